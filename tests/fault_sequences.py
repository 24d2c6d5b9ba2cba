"""Random sequences of faults, interruptions and damaged files, and what a fetch makes of them."""

import random
from contextlib import contextmanager

import pxweb_server as pxweb_test

from kokeilu_analysis.sources import fetch, pxweb
from kokeilu_analysis.sources.answers import Answers

KNOWN = ["TYOTTOMATLOPUSSA", "LOMAUTETTU", "AVPAIKATLOPUSSA"]
AREAS = ["SSS", *(f"KU{n:03d}" for n in (5, 9, 10, 16, 18, 19, 20))]
MONTHS = [f"2021M{m:02d}" for m in range(1, 13)]
LIKELY = [f for f in pxweb_test.FAULTS if f not in pxweb_test.SLOW] + ["403"]
IN_A_ROW = 4  # the client gives up after six


class Told:
    """Progress that keeps what it is told and can interrupt a fetch."""

    def __init__(self, interrupt=lambda: False):
        self.said, self.interrupt = [], interrupt

    @contextmanager
    def step(self, text):
        self.said.append(text)
        if self.interrupt():
            raise KeyboardInterrupt
        yield
        if self.interrupt():
            raise KeyboardInterrupt

    def say(self, text):
        self.said.append(text)


def small_table(**options):
    """Return a made-up table of 8 areas, 12 months and 2 measures."""
    return pxweb_test.table(AREAS, MONTHS, **options)


def fetched(server, folder=None, told=None, time=None, deadline=5.0, attempts=6, plan=None):
    """Fetch the server's whole table; return the bytes of its state."""
    told = told or Told()
    client = pxweb.Client(
        pxweb.base_address(server.base),
        folder and Answers(folder),
        time or pxweb_test.FakeTime(),
        told.say,
        attempts,
        deadline,
    )
    made = fetch.read(client, lambda: fetch.plan(client, KNOWN, **(plan or {})), told)
    return fetch.written(made)[0]


def survive(server, seed, folder, deadline=1.0):
    """Fetch through one random sequence; return bytes, faults met and interruptions."""
    draw, row, met, interruptions = random.Random(seed), [0], [], 0
    hostile = draw.uniform(0.1, 0.6)

    def fault():
        if row[0] >= IN_A_ROW or draw.random() > hostile:
            row[0] = 0
            return None
        row[0] += 1
        met.append(draw.choice(pxweb_test.SLOW if draw.random() < 0.01 else LIKELY))
        return met[-1]

    server.faults, server.log = fault, []
    time = pxweb_test.FakeTime(offset=draw.choice([0, -1e9, 1e9]))
    while True:
        # a fetch that is stopped over and over must still come to an end
        rate = 0.15 if interruptions < 5 else 0.0
        told = Told(lambda rate=rate: draw.random() < rate)
        try:
            return fetched(server, folder, told, time, deadline), met, interruptions
        except KeyboardInterrupt:
            interruptions += 1
            damage(folder, draw)


def damage(folder, draw):
    """Spoil one saved file now and then, as a full disk or an editor would."""
    files = sorted(folder.glob("*")) if folder.exists() else []
    if files and draw.random() < 0.5:
        victim = draw.choice(files)
        content = victim.read_bytes()
        victim.write_bytes(draw.choice([b"", content[: len(content) // 2], content + b" ", b"{}"]))
