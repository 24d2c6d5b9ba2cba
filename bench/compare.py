"""Trial against control, timed: run `.venv/bin/python bench/compare.py` from the project's root.

From the long frame to the table, against the fastest well-kept peers on the same data: diff-diff
for the two-by-two and pyfixest for the event study (and the other way round). 309 municipalities ×
96 months in 70 areas, 25 of them treated, then 10 and 100 times as many. Every answer is compared
before it is timed. Rounds take turns, so that a busy spell of the machine meets everyone; seconds
depend on the machine, the ratio (who / the first row of the task, same run) is the result, of the
shortest rounds and of the middle ones. A peer that needed over `PATIENCE` seconds at one size is
not asked at the next.
"""

import argparse
import resource
import time
import warnings

import numpy as np
import pandas as pd

from kokeilu_analysis.methods import compare, fixed_effects, frames

MUNICIPALITIES, MONTHS, START, AREAS, TREATED = 309, 96, 48, 70, 25
PATIENCE = 1.0
NAMES = ("y", "unit", "month", "treated")


def long_frame(times):
    """Independent normals with shocks by area; no effect."""
    rng = np.random.default_rng(20210301)
    units, areas = MUNICIPALITIES * times, AREAS * times
    area = np.arange(units) % areas
    y = rng.normal(size=(units, MONTHS)) + rng.normal(size=(areas, MONTHS))[area]
    frame = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), MONTHS),
            "month": np.tile(np.arange(MONTHS), units),
            "area": np.repeat(area, MONTHS),
            "treated": np.repeat((area < TREATED * times).astype(int), MONTHS),
            "y": y.ravel(),
        }
    )
    after = (frame["month"] >= START).astype(int)
    return frame.assign(after=after, post=frame["treated"] * after)


def race(tasks, rounds):
    """Return the seconds of every round by task; who goes first changes from round to round."""
    taken = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in list(tasks)[:: 1 if turn % 2 else -1]:
            if sum(taken[name]) > 10 * PATIENCE:
                continue  # a slow one has said enough
            began = time.perf_counter()
            tasks[name]()
            taken[name].append(time.perf_counter() - began)
    return taken


def lines(task, times, taken):
    """Rows of the table: shortest and middle seconds, and their ratios to the first task's."""
    seconds = pd.DataFrame(
        {who: [min(s), np.median(s), len(s)] for who, s in taken.items()},
        index=["shortest", "middle", "rounds"],
    ).T
    ratios = seconds[["shortest", "middle"]] / seconds[["shortest", "middle"]].iloc[0]
    rows = seconds.join(ratios.add_prefix("ratio_")).rename_axis("who").reset_index()
    return rows.assign(task=task, times=times)[["task", "times", *rows.columns]]


def show(tables):
    """Print the rows of all tables."""
    table = pd.concat(tables, ignore_index=True).astype({"rounds": int})
    digits = {"shortest": 5, "middle": 5, "ratio_shortest": 2, "ratio_middle": 2}
    print(table.round(digits).to_string(index=False))


def did_tasks(frame):
    """The two-by-two, one number each."""
    import pyfixest
    from diff_diff import TwoWayFixedEffects

    def ours():
        return compare.did(frame, *NAMES, START, cluster="area").loc[0, "estimate"]

    def with_gaps_solved():
        table = frames.panel(frame, *NAMES, None, "area")
        return fixed_effects.two_by_two(table, np.arange(MONTHS) >= START)["estimate"]

    def fixest():
        fit = pyfixest.feols("y ~ post | unit + month", frame, vcov={"CRV1": "area"})
        return fit.coef()["post"]

    def diff_diff():
        fit = TwoWayFixedEffects(cluster="area").fit(
            frame, outcome="y", treatment="treated", post="after", unit="unit"
        )
        return fit.att

    return {"compare.did": ours, "same as regression": with_gaps_solved} | {
        "diff-diff": diff_diff,
        "pyfixest": fixest,
    }


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

    return {"compare.event_study": ours, "pyfixest": fixest, "diff-diff": diff_diff}


def main():
    """Print a table of tasks, sizes, seconds and ratios."""
    warnings.simplefilter("ignore")
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100])
    tables, tired = [], set()
    for times in asked.parse_args().sizes:
        frame = long_frame(times)
        for task, make in (("two-by-two", did_tasks), ("event study", event_tasks)):
            asked_now = {n: run for n, run in make(frame).items() if (task, n) not in tired}
            answers = {name: run() for name, run in asked_now.items()}
            reference = next(iter(answers.values()))
            for name, answer in answers.items():
                if not np.isclose(answer, reference, rtol=1e-6):
                    raise SystemExit(f"{task}, {name}: {answer} is not {reference}.")
            taken = race(asked_now, 25 if times == 1 else 3)
            tired |= {(task, name) for name, seconds in taken.items() if min(seconds) > PATIENCE}
            tables.append(lines(task, times, taken))
    show(tables)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory of the whole run, peers included, {peak:.1f} GiB")


if __name__ == "__main__":
    main()
