"""Does the study survive being stopped? Run `.venv/bin/python checks/interrupted.py --kills 200`.

A copy of the committed tree is run with this environment and killed (SIGKILL, with all its
children) at random moments, `USUAL` seconds after its start on average. After every kill each
file that the study makes must be whole: the old one, or the new one, which here are the same bytes.
The next run goes on from what was left; one that ends by itself must leave the same bytes as one
that was never stopped, and then all is made anew. Nor may a process of a killed run live on: what
runs `GRACE` seconds later is counted and ended (on Linux). `--full-disk` puts the copy on a small
memory disk that fills up (needs root), `--no-write` takes away the right to write in the middle;
root, whom that would not stop, first lays down the power to write everywhere (with `setpriv`).
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = ("notebooks", "data/processed", "reports/figures", "docs/figures")
USUAL = 15.0  # seconds; a few runs get much further, so that all comes to its end now and then
GRACE = 10.0  # seconds in which kernels and workers notice that their parent is gone
POWERS = "-dac_override,-dac_read_search"  # those by which root passes over rights to files
ORDINARY = ["setpriv", f"--inh-caps={POWERS}", f"--bounding-set={POWERS}"]


def copy(where):
    """Put the committed tree there and make the package be found there first."""
    where.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x", "-C", where], input=archive.stdout, check=True)


def study(where, anew=False, ordinary=False):
    """Start the study in a process group of its own, if asked with the rights of any user."""
    command = [sys.executable, "-m", "kokeilu_analysis.cli", "study"] + ["--anew"] * anew
    if ordinary and os.geteuid() == 0:
        command = ORDINARY + command
    env = os.environ | {"PYTHONPATH": str(where)}
    log = open(where / "log", "a", encoding="utf-8")
    return subprocess.Popen(
        command, cwd=where, env=env, stdout=log, stderr=log, start_new_session=True
    )


def last_words(where):
    """Return the last line that a run wrote."""
    return (where / "log").read_text(encoding="utf-8").splitlines()[-1:]


def kill(process):
    """Kill a run and all its children; whatever they were doing ends there."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def alive(where):
    """Numbers of the processes of runs in the copy; every child inherits where it was started."""
    mark, found = f"PYTHONPATH={where}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def left_behind(where):
    """Wait until a killed run's processes are gone; return how many had to be ended."""
    until = time.monotonic() + GRACE
    while (numbers := alive(where)) and time.monotonic() < until:
        time.sleep(0.1)
    for number in numbers:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(numbers)


def digests(where):
    """Checksum by name; what a stopped write left under a hidden name is counted apart."""
    found, left = {}, 0
    for folder in MADE:
        for path in sorted((where / folder).rglob("*")):
            if path.is_file() and path.name.startswith("."):
                left += 1
            elif path.is_file() and path.name != "made.json":
                found[path.relative_to(where).as_posix()] = hashlib.sha256(
                    path.read_bytes()
                ).hexdigest()
    return found, left


def main():
    """Kill as often as asked, then let a run end, and say what was found."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--full-disk", action="store_true")
    asked.add_argument("--no-write", action="store_true")
    options = asked.parse_args()
    rng = random.Random(options.seed)
    top = Path(tempfile.mkdtemp(prefix="interrupted-"))
    where, wrong = top / "kokeilu", []
    try:
        copy(where)
        began = time.perf_counter()
        assert study(where).wait() == 0, (where / "log").read_text(encoding="utf-8")
        whole = time.perf_counter() - began
        reference, _ = digests(where)
        print(f"uninterrupted: {whole:.0f} s, {len(reference)} files", flush=True)

        def compare(what):
            found, left = digests(where)
            odd = [n for n in reference if n in found and found[n] != reference[n]]
            if odd:
                wrong.append(f"{what}: {odd[0]}")
            return left

        most = kills = ends = orphans = 0
        shutil.rmtree(where / "reports", ignore_errors=True)  # so that all is made anew
        while kills < options.kills and not wrong:
            process = study(where)
            try:
                if process.wait(rng.expovariate(1 / USUAL)):
                    wrong.append(f"after kill {kills}: {last_words(where)}")
                compare(f"the run after kill {kills}")
                missing = sorted(set(reference) - set(digests(where)[0]))
                wrong += [f"after kill {kills}: no {name}" for name in missing]
                shutil.rmtree(where / "reports", ignore_errors=True)
                ends += 1
            except subprocess.TimeoutExpired:
                kill(process)
                kills += 1
                orphans += left_behind(where)
                most = max(most, compare(f"kill {kills}"))
            print(f"\r{kills} kills, {ends} whole runs", end="", flush=True)
        if options.kills:
            print(
                f"\r{kills} kills, {ends} runs between them came to their end: {len(wrong)} files "
                f"not whole; at most {most} unfinished ones under hidden names; {orphans} "
                f"processes still there {GRACE:.0f} seconds after a kill",
                flush=True,
            )
        if options.full_disk:
            full_disk(where, reference)
        if options.no_write:
            no_write(where, whole, compare)
        assert study(where).wait() == 0, (where / "log").read_text(encoding="utf-8")[-2000:]
        found, left = digests(where)
        same = found == reference
        print(f"the next run: {'the same bytes' if same else 'DIFFERENT'}; {left} unfinished left")
        for line in wrong:
            print(line)
        return 0 if same and not wrong and not orphans else 1
    finally:
        shutil.rmtree(top, ignore_errors=True)


def full_disk(where, reference):
    """Run in a place that has hardly any room left."""
    disk = where.parent / "disk"
    disk.mkdir()
    size = sum(p.stat().st_size for p in where.rglob("*") if p.is_file()) >> 20
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + 2}m", "none", disk], check=True)
    try:
        inside = disk / "kokeilu"
        copy(inside)
        before, _ = digests(inside)
        code = study(inside, anew=True).wait()
        said = last_words(inside)
        after, left = digests(inside)
        # another processor may make other last digits than the committed ones; both are whole
        broken = [n for n in before if after.get(n) not in (before[n], reference.get(n))]
        print(
            f"full disk: exit {code}, {len(broken)} files neither the old nor the new one, "
            f"{left} unfinished left; {said}"
        )
    finally:
        subprocess.run(["umount", disk], check=True)


def no_write(where, whole, compare):
    """Take the right to write away in the middle of a run."""
    if os.geteuid() == 0 and not shutil.which(ORDINARY[0]):
        print("no right to write: not tried, as root may always write and setpriv is not here")
        return
    process = study(where, anew=True, ordinary=True)
    time.sleep(whole / 3)
    folders = [p for name in MADE for p in [where / name, *(where / name).rglob("*")] if p.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    code = process.wait()
    for folder in folders:
        folder.chmod(0o755)
    said = last_words(where)
    compare("no right to write")
    print(f"no right to write: exit {code}; {said}")


if __name__ == "__main__":
    sys.exit(main())
