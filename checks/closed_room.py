"""Do the notebooks run on a register? Run `.venv/bin/python checks/closed_room.py [--rows N]`.

A copy of the committed tree gets simulated spells, one setting, and then `kokeilu build`,
`notebooks`, `check` and `export`, as in a closed room (docs/registers.md). All six notebooks must
come to their end, and the disclosure check must pass, since `export` refuses without it. Takes some
five minutes with ten million spells. With far fewer the main outcome of small municipalities has to
be hidden, and notebook 03 stops and says so; `tests/test_closed_room.py` runs a small register.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():
    """Run the steps one after the other; print what each says last and its time."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=10_000_000)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="closed-room-") as top:
        where, spells = Path(top, "kokeilu"), Path(top, "simulated spells")
        where.mkdir()
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", where], input=archive.stdout, check=True)
        steps = [
            ["registers", "simulate", str(spells), "--rows", str(options.rows)],
            ["build"],
            ["notebooks"],
            ["check"],
            ["export"],
        ]
        for number, step in enumerate(steps):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "kokeilu_analysis.cli", *step],
                cwd=where,
                env=os.environ | {"PYTHONPATH": str(where)},
                capture_output=True,
                text=True,
                check=False,
            )
            said = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
            taken = time.perf_counter() - began
            print(f"{step[0]}: {taken:.0f} s, exit {done.returncode}; {said}", flush=True)
            if done.returncode:
                lines = (done.stdout + done.stderr).splitlines()
                print("\n".join(line for line in lines if not line.endswith(": right")))
                return 1
            if number == 0:
                study = where / "study.toml"
                text = study.read_text(encoding="utf-8")
                assert 'source = ""' in text, "study.toml: no empty source"
                text = text.replace('source = ""', f'source = "{spells}"', 1)
                study.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
