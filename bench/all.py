"""Every speed figure that the project promises: run `.venv/bin/python bench/all.py`.

Runs all scripts of this folder one after the other and writes docs/timings.md. `--large`
(`make bench`) also counts a hundred million spells and runs the whole test suite. Leave the machine
alone meanwhile. Two peers need packages that the study does not: `pip install wildboottest numba`
into another environment and run it from there, or the table says that they were not compared.
"""

import datetime
import os
import platform
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import backlog
import commands
import compare
import disclosure
import fetch
import inference
import lag
import registers
import timing

TABLE = Path(__file__).resolve().parents[1] / "docs" / "timings.md"
SCRIPTS = {
    "Backlog": backlog,
    "Trial against control": compare,
    "Inference": inference,
    "Starting lag": lag,
    "Registers": registers,
    "Disclosure": disclosure,
    "Fetching": fetch,
    "Commands": commands,
}
PACKAGES = ("numpy", "pandas", "scipy", "duckdb", "pyfixest", "diff-diff")


def head(asked, load):
    """Return the text above the tables."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    large = " --large" if asked.large else ""
    return f"""# Timings

    .venv/bin/python bench/all.py --rounds {asked.rounds}{large}

{datetime.date.today():%-d %B %Y}: {os.cpu_count()} processors, load before the start {load:.1f};
Python {platform.python_version()}, {packages}.

Seconds are by the clock, the middle of up to {asked.rounds} rounds with the least and the most in
brackets. In each round the study's code, its peers and the least possible take turns on the same
data; ratios are of the same round, below 1 where the study is quicker. "Met" compares the middle
ones with the aim. A task that has taken {timing.PATIENCE:.0f} seconds is not repeated.
"""


def written(asked, scripts=None):
    """Yield the text of the table, piece by piece."""
    yield head(asked, os.getloadavg()[0])
    began = time.perf_counter()
    for title, script in (scripts or SCRIPTS).items():
        yield f"\n## {title}\n"
        yield from timing.table(script.rows(asked))
    yield f"\nAll of it took {(time.perf_counter() - began) / 60:.0f} minutes."


def main():
    """Print the table as it grows, and write it when it is whole."""
    warnings.simplefilter("ignore")
    asked = timing.asked(timing.parser(__doc__).parse_args())
    pieces = []
    for piece in written(asked):
        print(piece, flush=True)
        pieces.append(piece)
    TABLE.write_text("\n".join(pieces) + "\n", encoding="utf-8")


if __name__ == "__main__":  # workers of a task import this file again
    main()
