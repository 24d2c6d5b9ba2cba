"""Inference on few clusters, timed: run `.venv/bin/python bench/inference.py` from the root.

On the data of `bench/compare.py`: 309 municipalities × 96 months in 70 areas, 25 of them treated.

- the wild cluster bootstrap with its interval, and randomization by area, from the long frame,
  against pyfixest on the same changes (one row a municipality; its bootstrap needs the package
  wildboottest and its randomization numba: without them the peer's row is left out and said so);
- a million reassignments, and 2,000 specifications × 9,999 reassignments, against the one matrix
  product of that size that no method can do without;
- synthetic difference-in-differences through `compare.synthetic_did` against diff-diff itself.

Every answer is compared before it is timed, ratios are within one run (see `bench/compare.py`).
Before that the own tasks with 10 and 100 times the municipalities, each size in a process of its
own: how much longer than at the size before, and the peak of memory.
"""

import argparse
import multiprocessing
import resource
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from compare import MONTHS, NAMES, START, lines, long_frame, race, show

from kokeilu_analysis.methods import compare, frames, inference, multiple

DRAWS, MANY, SPECS, PLACEBOS = 9_999, 1_000_000, 2_000, 50


def changes(frame):
    """One row a unit: its change, treatment and area."""
    matrix, facts = frames.unit_table(frame, *NAMES, cluster="area")
    late = matrix.columns >= START
    values = matrix.to_numpy()
    return facts.assign(change=values[:, late].mean(axis=1) - values[:, ~late].mean(axis=1))


def wild(frame):
    return inference.wild_cluster(changes(frame), "change ~ treated", "treated", "cluster", DRAWS)


def randomized(frame, draws=DRAWS):
    unit = changes(frame)
    return inference.randomization(unit["change"], unit["treated"], unit["cluster"], draws)


def specified(frame):
    """Cluster sums of 2,000 specifications: 20 baselines × 20 later windows × 5 weightings."""
    matrix, facts = frames.unit_table(frame, *NAMES, cluster="area")
    values = matrix.to_numpy()
    pre = np.column_stack([values[:, k:START].mean(axis=1) for k in range(20)])
    post = np.column_stack([values[:, START : MONTHS - k].mean(axis=1) for k in range(20)])
    change = (post[:, :, None] - pre[:, None, :]).reshape(len(values), -1)
    weight = np.random.default_rng(1).uniform(1, 2, (len(values), 5))
    weight[:, 0] = 1
    change, weight = np.repeat(change, 5, axis=1), np.tile(weight, change.shape[1])
    return multiple.specification_sums(change, weight, facts["treated"], facts["cluster"])


def curve(frame):
    return multiple.specification_curve(*specified(frame), draws=DRAWS)


def same(what, ours, theirs, tolerance):
    """Stop when two answers differ by more than the tolerance."""
    if not np.allclose(ours, theirs, rtol=0, atol=tolerance):
        raise SystemExit(f"{what}: {ours} is not {theirs} within {tolerance}.")


def bootstrap_race(frame, rounds):
    def fixest():
        import pyfixest

        fit = pyfixest.feols("change ~ treated", changes(frame), vcov={"CRV1": "cluster"})
        return fit.wildboottest(DRAWS, cluster="cluster", param="treated", seed=1)

    tasks = {"wild_cluster": lambda: wild(frame)}
    try:
        import wildboottest  # noqa: F401 -- the peer prints, and goes on to fail, without it

        peer = fixest()
    except ImportError:
        print("wild bootstrap: pyfixest has no wildboottest here; not compared")
    else:
        ours = wild(frame)
        same("t", ours["t"], peer["t value"], 1e-8)
        same("p", ours["p"], peer["Pr(>|t|)"], noise(ours["p"], DRAWS))
        tasks["pyfixest"] = fixest
    return lines(f"wild bootstrap {DRAWS:,}", 1, race(tasks, rounds))


def randomization_race(frame, rounds):
    def fixest():
        import pyfixest

        unit = changes(frame).astype({"treated": float})  # whole numbers stay all 0 when redrawn
        fit = pyfixest.feols("change ~ treated", unit, vcov={"CRV1": "cluster"})
        rng = np.random.default_rng(1)
        return fit.ritest("treated", cluster="cluster", reps=DRAWS, rng=rng)

    tasks, ours = {"randomization": lambda: randomized(frame)}, randomized(frame)
    try:
        peer = fixest()
    except ImportError:
        print("randomization: pyfixest has no numba here; not compared")
    else:
        same("estimate", ours["estimate"], float(peer["Estimate"]), 1e-8)
        # it draws a coin for each area instead of keeping 25 treated: another distribution
        same("p, coins against a kept count", ours["p"], peer["Pr(>|t|)"], 0.05)
        tasks["pyfixest"] = fixest
    return lines(f"randomization {DRAWS:,}", 1, race(tasks, rounds))


def million_race(frame, rounds):
    unit = changes(frame)
    by_area = unit.groupby(unit["cluster"].astype(str))
    sums = np.column_stack([by_area["change"].sum(), by_area.size()])
    is_treated = by_area["treated"].first().to_numpy() == 1
    ready = np.empty((MANY, len(sums)))
    np.concatenate(list(inference.assignments(is_treated, MANY)), out=ready, casting="unsafe")
    found, total = ready @ sums, sums.sum(axis=0)
    difference = found[:, 0] / found[:, 1] - (total[0] - found[:, 0]) / (total[1] - found[:, 1])
    ours = randomized(frame, MANY)
    same("placebo", ours["placebo"], difference, 1e-8)
    same("p", ours["p"], randomized(frame)["p"], noise(ours["p"], DRAWS))
    tasks = {
        "randomization": lambda: randomized(frame, MANY),
        "matrix product alone": lambda: ready @ sums,
    }
    return lines(f"randomization {MANY:,}", 1, race(tasks, rounds))


def curve_race(frame, rounds):
    sums, sizes, is_treated = specified(frame)
    assigned = np.concatenate(list(inference.assignments(is_treated, DRAWS))).astype(float)
    both = np.concatenate([sums, sizes], axis=1)

    def product():  # in blocks, as 20 million numbers would wait for memory
        return [assigned[begin : begin + 1024] @ both for begin in range(0, DRAWS, 1024)]

    chosen, total = np.concatenate(product()), both.sum(axis=0)
    gap = chosen[:, :SPECS] / chosen[:, SPECS:]
    gap -= (total - chosen)[:, :SPECS] / (total - chosen)[:, SPECS:]
    ours = curve(frame)
    same("median", ours["placebo_median"], np.median(gap, axis=1), 1e-8)
    larger = (np.abs(gap) >= np.abs(ours["table"]["estimate"].to_numpy())).sum(axis=0)
    same("p", ours["table"]["p"], (1 + larger) / (DRAWS + 1), 1e-3)
    del chosen, gap
    tasks = {"specification_curve": lambda: curve(frame), "matrix product alone": product}
    return lines(f"{SPECS:,} specifications × {DRAWS:,}", 1, race(tasks, rounds))


def synthetic_race(frame, rounds):
    from diff_diff import SyntheticDiD

    def ours():
        row = compare.synthetic_did(frame, *NAMES, START, draws=PLACEBOS).loc[0]
        return row["estimate"], row["se"]

    def direct():
        model = SyntheticDiD(variance_method="placebo", n_bootstrap=PLACEBOS, seed=0)
        names = dict(zip(("outcome", "unit", "time", "treatment"), NAMES, strict=True))
        fit = model.fit(frame, post_periods=list(range(START, MONTHS)), **names)
        return fit.att, fit.se

    same("synthetic difference-in-differences", ours(), direct(), 0)
    tasks = {"diff-diff": direct, "compare.synthetic_did": ours}
    return lines(f"synthetic, {PLACEBOS} placebos", 1, race(tasks, rounds))


def noise(p, draws):
    """Four standard errors of the difference of two simulated p-values."""
    return 4 * np.sqrt(2 * p * (1 - p) / draws) + 2 / draws


OWN = {
    "two-by-two": lambda f: compare.did(f, *NAMES, START, cluster="area"),
    "event study": lambda f: compare.event_study(f, *NAMES, START, cluster="area"),
    "wild bootstrap": wild,
    "randomization": randomized,
    "specification curve": curve,
}


def grown(task, times):
    """Shortest of three rounds (one when it is slow) and the peak of memory before and after."""
    frame = long_frame(times)
    OWN[task](long_frame(1))  # imports, not timed
    seconds = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while not seconds or (len(seconds) < 3 and seconds[0] < 5):
        began = time.perf_counter()
        OWN[task](frame)
        seconds.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return min(seconds), before / 1024**2, after / 1024**2


def growth(sizes):
    """How time and memory of the own tasks grow; every task and size in a fresh process."""
    spawn = multiprocessing.get_context("spawn")
    rows = []
    for task in OWN:
        last = None
        for times in sizes:
            with ProcessPoolExecutor(1, mp_context=spawn) as one:
                seconds, before, after = one.submit(grown, task, times).result()
            by_size = np.nan if last is None else seconds / last[0] / (times / last[1])
            rows.append((task, times, seconds, by_size, before, after))
            last = seconds, times
    columns = ["task", "times", "seconds", "per_unit", "GiB_frame_alone", "GiB_peak"]
    return pd.DataFrame(rows, columns=columns).round(4)


def main():
    """Print both tables."""
    warnings.simplefilter("ignore")
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--sizes", type=int, nargs="*", default=[1, 10, 100])
    given = asked.parse_args()
    if given.sizes:  # first: a process begins with the peak of the one that started it
        print("Own tasks; per_unit = growth of time over growth of data, 1 = linear")
        print(growth(given.sizes).to_string(index=False, na_rep="-"), end="\n\n")
    frame = long_frame(1)
    races = bootstrap_race, randomization_race, million_race, curve_race, synthetic_race
    show([one(frame, given.rounds) for one in races])


if __name__ == "__main__":
    main()
