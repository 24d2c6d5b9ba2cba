"""Trial against control, timed: run `.venv/bin/python bench/compare.py` from the project's root.

From the long frame to the table, against the fastest well-kept peers on the same data: diff-diff
for the two-by-two and pyfixest for the event study (and the other way round). 309 municipalities ×
96 months in 70 areas, 25 of them treated, then 10 and 100 times as many; from the second size on
only the peer that was fastest before is asked, and none where it would fill the memory. Every
answer is compared before it is timed. The least possible is to read the frame's five columns once.
"""

import numpy as np
import pandas as pd
import timing

from kokeilu_analysis.methods import compare, fixed_effects, frames

MUNICIPALITIES, MONTHS, START, AREAS, TREATED = 309, 96, 48, 70, 25
NAMES = ("y", "unit", "month", "treated")
READ = "reading the data once"


def long_frame(times, tiny=False):
    """Independent normals with shocks by area; no effect."""
    rng = np.random.default_rng(20210301)
    units, areas = MUNICIPALITIES // (8 if tiny else 1) * times, AREAS // (5 if tiny else 1) * times
    area = np.arange(units) % areas
    treated = (area < areas * TREATED // AREAS).astype(int)
    y = rng.normal(size=(units, MONTHS)) + rng.normal(size=(areas, MONTHS))[area]
    frame = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), MONTHS),
            "month": np.tile(np.arange(MONTHS), units),
            "area": np.repeat(area, MONTHS),
            "treated": np.repeat(treated, MONTHS),
            "y": y.ravel(),
        }
    )
    after = (frame["month"] >= START).astype(int)
    return frame.assign(after=after, post=frame["treated"] * after)


def read(frame):
    """Sum the columns that every answer depends on."""
    return [frame[name].to_numpy().sum() for name in (*NAMES, "area")]


def did_tasks(frame):
    """The two-by-two, one number each."""
    import pyfixest
    from diff_diff import TwoWayFixedEffects

    def ours():
        return compare.did(frame, *NAMES, START, cluster="area").loc[0, "estimate"]

    def fixest():
        fit = pyfixest.feols("y ~ post | unit + month", frame, vcov={"CRV1": "area"})
        return fit.coef()["post"]

    def diff_diff():
        fit = TwoWayFixedEffects(cluster="area").fit(
            frame, outcome="y", treatment="treated", post="after", unit="unit"
        )
        return fit.att

    return ours, {"diff-diff": diff_diff, "pyfixest": fixest}


def gap_tasks(frame):
    """The two-by-two as the regression that stands gaps, one number each."""

    def ours():
        table = frames.panel(frame, *NAMES, None, "area")
        return fixed_effects.two_by_two(table, np.arange(MONTHS) >= START)["estimate"]

    return ours, did_tasks(frame)[1]


def event_tasks(frame):
    """The event study, the sum of its absolute coefficients each."""
    import pyfixest
    from diff_diff import MultiPeriodDiD

    def ours():
        found = compare.event_study(frame, *NAMES, START, cluster="area")
        return found["estimate"].abs().sum()

    def fixest():
        formula = f"y ~ i(month, treated, ref={START - 1}) | unit + month"
        return pyfixest.feols(formula, frame, vcov={"CRV1": "area"}).coef().abs().sum()

    def diff_diff():
        fit = MultiPeriodDiD(cluster="area").fit(
            frame,
            outcome="y",
            treatment="treated",
            time="month",
            unit="unit",
            absorb=["unit"],
            post_periods=list(range(START, MONTHS)),
            reference_period=START - 1,
        )
        return sum(abs(e.effect) for e in fit.period_effects.values())

    return ours, {"pyfixest": fixest, "diff-diff": diff_diff}


TASKS = {
    "two-by-two": did_tasks,
    "two-by-two where there are gaps": gap_tasks,
    "event study": event_tasks,
}


def rows(asked):
    """Yield the rows: each task at each size."""
    last = {}
    for times in asked.sizes:
        frame = long_frame(times, asked.tiny)
        for task, make in TASKS.items():
            ours, peers = make(frame)
            before = last.get(task)
            wide = make is event_tasks and times > 10
            if wide:
                peers = {}
            elif before:
                peers = {who: run for who, run in peers.items() if who == before[1].peer}
            for who, run in peers.items():
                timing.same(f"{task}, {who}", run() / ours(), 1, 1e-6)
            row = timing.race(
                f"{task}, {times}×",
                ours,
                peers,
                (READ, lambda frame=frame: read(frame)),
                rounds=asked.rounds,
                aim_ratio=None if make is gap_tasks else 0.2,
                note="no peer asked: it fills over 11 GiB" if wide else "",
            )
            last[task] = times, row
            yield timing.grown(row, times, before)


if __name__ == "__main__":
    timing.main(rows, __doc__)
