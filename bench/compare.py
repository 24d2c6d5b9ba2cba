"""Trial against control, timed: run `.venv/bin/python bench/compare.py` from the project's root.

From the long frame to the table, against the fastest well-kept peers on the same data: diff-diff
for the two-by-two and pyfixest for the event study (and the other way round). 309 municipalities ×
96 months in 70 areas, 25 of them treated, then 10 and 100 times as many. Every answer is compared
before it is timed. Seconds depend on the machine; the ratio (peer / ours, same run) is the result.
A peer that needed over `PATIENCE` seconds at one size is not asked at the next.
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


def best(task, rounds):
    """Return the answer and the shortest of the rounds; a slow task is asked once."""
    shortest, answer = np.inf, None
    for _ in range(rounds):
        began = time.perf_counter()
        answer = task()
        shortest = min(shortest, time.perf_counter() - began)
        if shortest > 1:
            break
    return answer, shortest


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
    rows, tired = [], set()
    small = long_frame(1).query("unit < 2 * @AREAS")
    for make in (did_tasks, event_tasks):
        for run in make(small).values():
            run()  # imports and compiled code, not timed
    for times in asked.parse_args().sizes:
        frame = long_frame(times)
        for task, make in (("two-by-two", did_tasks), ("event study", event_tasks)):
            reference, own = None, None
            for name, run in make(frame).items():
                if (task, name) in tired:
                    rows.append((task, times, name, np.nan, np.nan))
                    continue
                answer, seconds = best(run, 7 if times == 1 else 2)
                if reference is None:
                    reference, own = answer, seconds
                elif not np.isclose(answer, reference, rtol=1e-6):
                    raise SystemExit(f"{task}, {name}: {answer} is not {reference}.")
                if seconds > PATIENCE:
                    tired.add((task, name))
                rows.append((task, times, name, seconds, seconds / own))
    table = pd.DataFrame(rows, columns=["task", "times", "who", "seconds", "ratio"])
    print(table.round({"seconds": 4, "ratio": 1}).to_string(index=False, na_rep="-"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory of the whole run {peak:.1f} GiB")


if __name__ == "__main__":
    main()
