"""How everything here is timed, and the one shape in which it is said.

The study's code, its peers and the arithmetic limit take turns, so that a busy spell of the machine
meets them all; who goes first changes from round to round. Seconds depend on the machine. The
result is the ratio: ours to the fastest peer of the same round, below 1 where ours is quicker.
"""

import argparse
import re
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

PATIENCE = 60.0  # seconds; who has taken as long is not asked for another round
OURS, LIMIT = "ours", "limit"
HEAD = (
    "task",
    "aim",
    "ours: middle (least–most)",
    "met",
    "fastest peer",
    "ours to peer: middle (least–most)",
    "least possible",
    "ours to that",
    "remarks",
)


class Spread(NamedTuple):
    """Least, middle and greatest of some repeats."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values):
        values = sorted(values)
        return cls(values[0], median(values), values[-1])

    def __str__(self):
        ends = f"{number(self.least)}–{number(self.most)}"
        return number(self.middle) + ("" if self.least == self.most else f" ({ends})")


@dataclass(frozen=True)
class Asked:
    """How much is measured."""

    rounds: int = 5
    sizes: tuple = (1, 10, 100)  # times the study's municipalities
    large: bool = False  # a hundred million spells and the whole test suite as well
    tiny: bool = False  # only to see that everything runs

    def of(self, usual, tiny):
        """Return the usual size of something, or the tiny one."""
        return tiny if self.tiny else usual


@dataclass(frozen=True)
class Row:
    """One task: what it took, beside whom, and what was aimed at (of the middle ones)."""

    task: str
    ours: Spread | None = None  # None: not measured
    unit: str = "s"
    aim: float | None = None  # at most so many units
    peer: str = ""
    ratio: Spread | None = None
    aim_ratio: float | None = None  # at most so many times the fastest peer
    limit: str = ""
    limit_ratio: float | None = None
    note: str = ""

    @property
    def met(self):
        """Whether every aim is met; None where there is none, or nothing to measure it against."""
        pairs = (self.aim, self.ours), (self.aim_ratio, self.ratio)
        known = [found.middle <= aim for aim, found in pairs if aim is not None and found]
        return all(known) if known else None

    def cells(self):
        """Return the row's texts under `HEAD`."""
        aims = [f"{number(self.aim)} {self.unit}"] if self.aim is not None else []
        aims += [f"{number(self.aim_ratio)} × peer"] if self.aim_ratio is not None else []
        return (
            self.task,
            ", ".join(aims),
            f"{self.ours} {self.unit}" if self.ours else "not measured",
            {True: "yes", False: "**no**", None: ""}[self.met],
            self.peer,
            str(self.ratio or ""),
            self.limit,
            "" if self.limit_ratio is None else number(self.limit_ratio),
            self.note,
        )


def number(value):
    """Return a number with two or three digits that say something.

    >>> [number(x) for x in (0.000123, 1.234, 12.34, 1234.5, 2)]
    ['0.00012', '1.23', '12.3', '1,234', '2']
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{3 if abs(value) >= 1 else 2}g}"


def peak():
    """Return the most memory, in MiB, that this process has held.

    From /proc, since ru_maxrss counts what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def clocked(run):
    """Return the seconds that something takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def race(task, ours, peers=None, limit=None, *, rounds, measure=clocked, **more):
    """Let ours, the peers and the limit take turns; return a `Row`.

    Parameters
    ----------
    task : str
    ours : callable without arguments
    peers : dict of callables by name, optional
    limit : (str, callable), optional
        What any way of doing it must do at least.
    rounds : int
    measure : callable
        Takes one of the callables, returns its seconds.
    **more
        Further fields of the row.
    """
    peers = peers or {}
    runners = {OURS: ours, **peers, **({LIMIT: limit[1]} if limit else {})}
    seconds = {name: [] for name in runners}
    for turn in range(rounds):
        for name in list(runners)[:: -1 if turn % 2 else 1]:
            if sum(seconds[name]) < PATIENCE:
                seconds[name].append(measure(runners[name]))
    found = {"ours": Spread.of(seconds[OURS])}
    if peers:
        fastest = min(peers, key=lambda name: median(seconds[name]))
        found |= {"peer": fastest, "ratio": _ratio(seconds[OURS], seconds[fastest])}
    if limit:
        found |= {"limit": limit[0], "limit_ratio": _ratio(seconds[OURS], seconds[LIMIT]).middle}
    return Row(task, **found, **more)


def _ratio(ours, theirs):
    return Spread.of(a / b for a, b in zip(ours, theirs, strict=False))  # of rounds that both ran


def grown(row, times, before):
    """Return a row that also says how much longer it took than the size before.

    `before` holds that size and its row, and is None for the first one.
    """
    if before is None:
        return row
    longer = number(row.ours.middle / before[1].ours.middle)
    return noted(row, f"{longer} × the time for {number(times / before[0])} × the data")


def noted(row, text):
    """Return a row with one more remark."""
    return replace(row, note="; ".join(filter(None, [row.note, text])))


def same(what, ours, theirs, tolerance):
    """Stop when two answers differ by more than the tolerance: then times mean nothing."""
    import numpy as np

    if not np.allclose(ours, theirs, rtol=0, atol=tolerance):
        raise SystemExit(f"{what}: {ours} is not {theirs} within {tolerance}.")


def told(names):
    """Return a line of a table."""
    return f"| {' | '.join(names)} |"


def table(rows):
    """Yield the lines of the table of rows, each as soon as it is known."""
    yield told(HEAD)
    yield told(["---"] * len(HEAD))
    for row in rows:
        yield told(row.cells())


def parser(description):
    """Return a parser with the options of `asked`."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rounds", type=int, default=Asked.rounds)
    made.add_argument("--sizes", type=int, nargs="+", default=Asked.sizes, metavar="TIMES")
    made.add_argument("--large", action="store_true", help="also what takes many minutes")
    return made


def asked(options):
    """Return what the options of `parser` ask for."""
    return Asked(options.rounds, tuple(options.sizes), options.large)


def main(rows, description):
    """Print the rows of one script."""
    warnings.simplefilter("ignore")
    for line in table(rows(asked(parser(description).parse_args()))):
        print(line, flush=True)
