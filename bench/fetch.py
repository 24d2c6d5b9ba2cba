"""A thousand random fault sequences: run `.venv/bin/python bench/fetch.py` from the project's root.

Each one is a fetch from a server on loopback that cuts, drips, refuses, spoils and reorders its
answers, with interruptions in between and saved files spoilt; the state it ends in must have the
same bytes as a fetch without faults. The figures are made up.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import fault_sequences
from pxweb_server import PxWebServer


def main():
    """Count the sequences survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    met, interruptions, asked, began = Counter(), 0, 0, time.perf_counter()
    seeds = range(options.first_seed, options.first_seed + options.sequences)
    with PxWebServer(fault_sequences.small_table(), cells=48) as server:
        right = fault_sequences.fetched(server)
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                content, faults, stops = fault_sequences.survive(server, seed, Path(folder) / "a")
            if content != right:
                sys.exit(f"seed {seed}: other bytes after {faults}")
            met.update(faults)
            interruptions += stops
            asked += len(server.log)
    print(f"{options.sequences:,} sequences, each with the bytes of the fetch without faults")
    print(f"{asked:,} requests, {met.total():,} faults, {interruptions:,} interruptions")
    print(f"{time.perf_counter() - began:.0f} s")
    for fault, count in sorted(met.items()):
        print(f"  {fault}: {count:,}")


if __name__ == "__main__":
    main()
