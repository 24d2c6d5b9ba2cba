"""Fetching a table state, timed: run `.venv/bin/python bench/fetch.py` from the project's root.

From a server on loopback with made-up figures, which takes most of the time itself: against httpx
with pyjstat, which ask for the same pieces and check nothing, and against the bare requests. Then
random fault sequences: the server cuts, drips, refuses, spoils and reorders its answers, with
interruptions in between and saved files spoilt; the state in which each ends must have the bytes of
a fetch without faults.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import timing

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import fault_sequences
import pxweb_server


def whole_table(asked):
    """A made-up table of the study's shape: 309 municipalities, ten years, three measures."""
    areas = [f"KU{n:03d}" for n in range(1, asked.of(310, 9))]
    years = range(2015, asked.of(2025, 2016))
    months = [f"{year}M{month:02d}" for year in years for month in range(1, 13)]
    return pxweb_server.table(areas, months, fault_sequences.KNOWN)


def fetched_row(asked):
    """A state from the first question to the bytes that are kept."""
    import httpx
    from pyjstat import pyjstat

    with pxweb_server.PxWebServer(whole_table(asked), cells=20_000) as server:
        fault_sequences.fetched(server)
        bodies = [body for kind, body in server.log if kind == "data"]
        address = f"{server.base}{server.table.file}"

        def bare():
            with httpx.Client() as client:
                return [client.post(address, content=body).text for body in bodies]

        def peer():
            return [pyjstat.Dataset.read(said).write("dataframe") for said in bare()]

        return timing.race(
            "fetch of 111,240 cells from loopback",
            lambda: fault_sequences.fetched(server),
            {"httpx and pyjstat": peer},
            ("the bare requests", bare),
            rounds=asked.rounds,
            note=f"{len(bodies)} pieces",
        )


def sequences_row(asked):
    """A thousand sequences of faults, once."""
    met, counts = Counter(), Counter()
    seeds = range(asked.of(1_000, 3))

    def survive_all():
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                content, faults, stops = fault_sequences.survive(server, seed, Path(folder) / "a")
            if content != right:
                raise SystemExit(f"seed {seed}: other bytes after {faults}")
            met.update(faults)
            counts.update(requests=len(server.log), interruptions=stops)

    with pxweb_server.PxWebServer(fault_sequences.small_table(), cells=48) as server:
        right = fault_sequences.fetched(server)
        row = timing.race("1,000 random fault sequences", survive_all, rounds=1)
    return timing.noted(
        row,
        f"all with the bytes of a fetch without faults: {counts['requests']:,} requests, "
        f"{met.total():,} faults of {len(met)} kinds, {counts['interruptions']:,} interruptions",
    )


def rows(asked):
    """Yield the rows."""
    yield fetched_row(asked)
    yield sequences_row(asked)


if __name__ == "__main__":
    timing.main(rows, __doc__)
