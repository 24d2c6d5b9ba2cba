"""The study's commands, timed: run `.venv/bin/python bench/commands.py` from the project's root.

In a copy of the committed tree, so that nothing here is touched, with this environment. What a
command takes at least is the start of Python.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import timing

sys.path.append(str(Path(__file__).resolve().parents[1] / "checks"))

from interrupted import copy

LATER = (  # in this order: each needs what the one before has made
    "all notebooks anew, and figures",
    "make study, nothing changed",
    "memo and area pages in three languages",
    "site, notebooks executed",
)
DOCUMENTS = "from kokeilu_analysis import run; run.documents(run.Progress())"


def rows(asked):
    """Yield the rows."""
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))

        def python(*arguments):
            def run():
                env = os.environ | {"PYTHONPATH": folder}
                command = [sys.executable, *arguments]
                done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

            return run

        def kokeilu(*arguments):
            return python("-m", "kokeilu_analysis.cli", *arguments)

        start = ("start of Python", python("-c", "pass"))
        rounds = {"rounds": asked.rounds}
        kokeilu("--help")()  # byte code is written once
        yield timing.race("kokeilu --help", kokeilu("--help"), limit=start, aim=0.3, **rounds)
        if asked.tiny:
            yield from map(timing.Row, LATER)
            return
        anew, warm, documents, site = LATER
        yield timing.race(anew, kokeilu("study", "--anew"), **rounds)
        yield timing.race(warm, kokeilu("study"), limit=start, aim=30, **rounds)
        yield timing.race(documents, python("-c", DOCUMENTS), aim=15, **rounds)
        yield timing.race(site, kokeilu("render"), aim=10, **rounds)
        if asked.large:
            tests, note = python("-m", "pytest"), "without the tests that look at git's history"
            yield timing.race("make test", tests, rounds=1, aim=600, note=note)
        else:
            yield timing.Row("make test", aim=600, note="only with --large")


if __name__ == "__main__":
    timing.main(rows, __doc__)
