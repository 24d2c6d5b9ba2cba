"""Is the study the same elsewhere? Run `python3 checks/elsewhere.py [SCENARIO …]` (or `--list`).

Each scenario gets a copy of the committed tree without history, an empty home and a fresh
environment, runs `make study` and `.venv/bin/kokeilu export`, and compares every notebook, result
table, figure and document with those of the first scenario, byte by byte. `oldest` takes the oldest
direct dependencies that pyproject.toml allows (resolved by `uv`, which must be installed) and
compares numbers in result tables to 1e-10 instead. Needs the network for the packages. Other
Pythons are found on the path or with pyenv, or named: `--python 3.12=/usr/bin/python3.12`.
"""

import argparse
import csv
import hashlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = ("notebooks", "data/processed", "reports")
NOT_COMPARED = {".turn", "made", "made.json"}  # the turn; stamps hold checksums of Python itself
CLOSE = 1e-10
SCENARIOS = {
    "plain": {},
    "path with a space and an ä": {"folder": "työ kansio/kokeilu ä"},
    "LANG=C, another time zone": {"env": {"LANG": "C", "LC_ALL": "C", "TZ": "Asia/Tokyo"}},
    "Python 3.12": {"python": "3.12"},
    "Python 3.13": {"python": "3.13"},
    "ordinary user": {"user": 65534, "env": {"PATH": "/usr/local/bin:/usr/bin:/bin"}},
    "read-only data/raw": {"readonly": True},
    "two at once": {"copies": 2},
    "oldest": {"oldest": True},
}


def interpreter(version):
    """Return the path of a Python of that version, or None.

    A command on the path may be a version manager's stand-in that answers only in its user's home;
    so Python itself is asked where it is before the home becomes an empty one.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for command in [f"python{version}", *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        try:
            asked = [command, "-c", "import sys; print(sys.executable)"]
            said = subprocess.run(asked, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return said.stdout.strip()
    return None


def copy(where):
    """Put the committed tree there, without history."""
    where.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x", "-C", where], input=archive.stdout, check=True)
    shutil.rmtree(where / "checks" / "made", ignore_errors=True)


def resolve_oldest(where):
    """Replace the lock by the oldest direct dependencies."""
    command = ["uv", "pip", "compile", "--resolution", "lowest-direct", "--group", "dev"]
    command += [
        "--universal",
        "--generate-hashes",
        "--no-header",
        "pyproject.toml",
        "-o",
        "requirements.lock",
    ]
    (where / "requirements.lock").unlink()
    subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL)


def start(where, home, scenario, python):
    """Start the study there, under the scenario's circumstances."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    env |= {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_"))}
    env |= scenario.get("env", {})
    command = f"make study PYTHON={python} && .venv/bin/kokeilu export"
    user = {}
    if "user" in scenario:
        user = {"user": scenario["user"], "group": scenario["user"], "extra_groups": []}
        for path in [where, home, *where.rglob("*")]:
            os.chown(path, scenario["user"], scenario["user"])
    if scenario.get("readonly"):
        for path in [*(where / "data/raw").rglob("*"), where / "data/raw"]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    log = open(home / "log", "w", encoding="utf-8")
    return subprocess.Popen(
        ["bash", "-c", command], cwd=where, env=env, stdout=log, stderr=log, **user
    )


def digests(where):
    """Checksum of every file that the study makes, by its name."""
    found = {}
    for folder in MADE:
        for path in sorted((where / folder).rglob("*")):
            if path.is_file() and not NOT_COMPARED & set(path.relative_to(where).parts):
                name = path.relative_to(where).as_posix()
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def furthest(one, other):
    """Largest relative difference of numbers in two folders of result tables; texts must agree."""
    worst = 0.0
    for path in sorted(one.glob("*.csv")):
        rows = [list(csv.reader(open(p, encoding="utf-8"))) for p in (path, other / path.name)]
        for left, right in zip(*rows, strict=True):
            for a, b in zip(left, right, strict=True):
                if a == b:
                    continue
                try:
                    x, y = float(a), float(b)
                except ValueError:
                    return math.inf
                worst = max(worst, abs(x - y) / max(1.0, abs(x)))
    return worst


def main():
    """Run the scenarios asked for and print a table; exit 1 if one differs."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("scenarios", nargs="*", default=list(SCENARIOS), metavar="SCENARIO")
    asked.add_argument("--list", action="store_true")
    asked.add_argument("--python", action="append", default=[], metavar="VERSION=PATH")
    options = asked.parse_args()
    if options.list:
        print("\n".join(SCENARIOS))
        return 0
    pythons = dict(named.split("=", 1) for named in options.python)
    names = ["plain", *(s for s in options.scenarios if s != "plain")]
    failed, reference, tables = 0, None, None
    print("| scenario | seconds | files | result |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="elsewhere-") as top:
        os.chmod(top, 0o755)
        for number, name in enumerate(names):
            scenario, python = SCENARIOS[name], "python3"
            if version := scenario.get("python"):
                python = pythons.get(version) or interpreter(version)
            if python is None:
                failed += 1
                print(f"| {name} | | | not run: not found, name it with --python |", flush=True)
                continue
            places = [
                Path(top, str(number), str(k), scenario.get("folder", "kokeilu"))
                for k in range(scenario.get("copies", 1))
            ]
            began, running = time.perf_counter(), []
            for where in places:
                home = where.parent / "home"
                copy(where)
                home.mkdir()
                if scenario.get("oldest"):
                    resolve_oldest(where)
                running.append(start(where, home, scenario, python))
            codes = [process.wait() for process in running]
            taken, said, count = time.perf_counter() - began, [], 0
            for where, code in zip(places, codes, strict=True):
                if code:
                    log = (where.parent / "home/log").read_text(encoding="utf-8")
                    lines = log.splitlines()
                    why = [line for line in lines if "error" in line.lower()][:3] or lines[-1:]
                    said.append(f"stopped ({code}): {' / '.join(why)}")
                    continue
                found = digests(where)
                count = len(found)
                if reference is None:
                    reference, tables = found, where / "data/processed/results"
                    said.append("reference")
                elif scenario.get("oldest"):
                    far = furthest(tables, where / "data/processed/results")
                    said.append(
                        f"numbers within {far:.1e}" + ("" if far <= CLOSE else ": DIFFERENT")
                    )
                else:
                    odd = sorted(n for n in reference | found if reference.get(n) != found.get(n))
                    said.append(
                        f"DIFFERENT: {', '.join(odd[:3])}, {len(odd)}" if odd else "same bytes"
                    )
            failed += any("DIFFERENT" in s or "stopped" in s for s in said)
            print(f"| {name} | {taken:.0f} | {count} | {'; '.join(said)} |", flush=True)
            for where in places:
                if where.parent.parent.name != "0":
                    shutil.rmtree(where.parent, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
