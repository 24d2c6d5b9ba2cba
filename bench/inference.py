"""Inference on few clusters, timed: run `.venv/bin/python bench/inference.py` from the root.

On the data of `bench/compare.py`: 309 municipalities × 96 months in 70 areas, 25 of them treated.

- the wild cluster bootstrap with its interval, and randomization by area, from the long frame,
  against pyfixest on the same changes (one row a municipality; its bootstrap needs the package
  wildboottest and its randomization numba: without them the row says so);
- a million reassignments, and 2,000 specifications × 9,999 reassignments, against the one matrix
  product of that size that no method can do without;
- synthetic difference-in-differences through `compare.synthetic_did` against diff-diff itself.

Every answer is compared before it is timed. The own tasks also with 10 and 100 times the
municipalities, each in a process of its own, with the peak of memory.
"""

from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context

import numpy as np
import timing
from compare import MONTHS, NAMES, START, long_frame

from kokeilu_analysis.methods import compare, frames, inference, multiple

PRODUCT = "one matrix product"


def changes(frame):
    """One row a unit: its change, treatment and area."""
    matrix, facts = frames.unit_table(frame, *NAMES, cluster="area")
    late = matrix.columns >= START
    values = matrix.to_numpy()
    return facts.assign(change=values[:, late].mean(axis=1) - values[:, ~late].mean(axis=1))


def wild(frame, draws):
    return inference.wild_cluster(changes(frame), "change ~ treated", "treated", "cluster", draws)


def randomized(frame, draws):
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


def curve(frame, draws):
    return multiple.specification_curve(*specified(frame), draws=draws)


def noise(p, draws):
    """Four standard errors of the difference of two simulated p-values."""
    return 4 * np.sqrt(2 * p * (1 - p) / draws) + 2 / draws


def fixest(frame):
    """The peer's regression of the changes."""
    import pyfixest

    unit = changes(frame).astype({"treated": float})  # whole numbers stay all 0 when redrawn
    return pyfixest.feols("change ~ treated", unit, vcov={"CRV1": "cluster"})


def lacks(package):
    """Say that the peer lacks what makes it quick; without that it would be no fair comparison."""
    return "" if find_spec(package) else f"pyfixest has no {package} here: not compared"


def wild_peer(frame, draws):
    if lack := lacks("wildboottest"):
        return {}, lack

    def peer():
        how = {"cluster": "cluster", "param": "treated", "seed": 1}
        return fixest(frame).wildboottest(draws, **how)

    ours, theirs = wild(frame, draws), peer()
    timing.same("t", ours["t"], theirs["t value"], 1e-8)
    timing.same("p", ours["p"], theirs["Pr(>|t|)"], noise(ours["p"], draws))
    return {"pyfixest": peer}, ""


def randomized_peer(frame, draws):
    if lack := lacks("numba"):
        return {}, lack

    def peer():
        rng = np.random.default_rng(1)
        return fixest(frame).ritest("treated", cluster="cluster", reps=draws, rng=rng)

    ours, theirs = randomized(frame, draws), peer()
    timing.same("estimate", ours["estimate"], float(theirs["Estimate"]), 1e-8)
    # it draws a coin for each area instead of keeping 25 treated: another distribution
    coins = 0.05 + noise(0.5, draws)
    timing.same("p, coins against a kept count", ours["p"], theirs["Pr(>|t|)"], coins)
    return {"pyfixest": peer}, ""


def reassigned(frame, draws):
    """Return the reassignments as numbers and what they are multiplied with."""
    unit = changes(frame)
    by_area = unit.groupby(unit["cluster"].astype(str))
    sums = np.column_stack([by_area["change"].sum(), by_area.size()])
    is_treated = by_area["treated"].first().to_numpy() == 1
    ready = np.empty((draws, len(sums)))
    np.concatenate(list(inference.assignments(is_treated, draws)), out=ready, casting="unsafe")
    return ready, sums


def million_product(frame, draws):
    ready, sums = reassigned(frame, draws)
    found, total = ready @ sums, sums.sum(axis=0)
    difference = found[:, 0] / found[:, 1] - (total[0] - found[:, 0]) / (total[1] - found[:, 1])
    timing.same("placebo", randomized(frame, draws)["placebo"], difference, 1e-8)
    return lambda: ready @ sums


def curve_product(frame, draws):
    sums, sizes, is_treated = specified(frame)
    assigned = np.concatenate(list(inference.assignments(is_treated, draws))).astype(float)
    both = np.concatenate([sums, sizes], axis=1)

    def product():  # in blocks, as 20 million numbers would wait for memory
        return [assigned[begin : begin + 1024] @ both for begin in range(0, draws, 1024)]

    chosen, total = np.concatenate(product()), both.sum(axis=0)
    specs = sums.shape[1]
    gap = chosen[:, :specs] / chosen[:, specs:]
    gap -= (total - chosen)[:, :specs] / (total - chosen)[:, specs:]
    ours = curve(frame, draws)
    timing.same("median", ours["placebo_median"], np.median(gap, axis=1), 1e-8)
    larger = (np.abs(gap) >= np.abs(ours["table"]["estimate"].to_numpy())).sum(axis=0)
    timing.same("p", ours["table"]["p"], (1 + larger) / (draws + 1), 1e-3)
    return product


def synthetic_row(frame, asked):
    from diff_diff import SyntheticDiD

    placebos = asked.of(50, 3)

    def ours():
        row = compare.synthetic_did(frame, *NAMES, START, draws=placebos).loc[0]
        return row["estimate"], row["se"]

    def direct():
        model = SyntheticDiD(variance_method="placebo", n_bootstrap=placebos, seed=0)
        names = dict(zip(("outcome", "unit", "time", "treatment"), NAMES, strict=True))
        fit = model.fit(frame, post_periods=list(range(START, MONTHS)), **names)
        return fit.att, fit.se

    timing.same("synthetic difference-in-differences", ours(), direct(), 0)
    name = "synthetic difference-in-differences, 50 placebos"
    return timing.race(name, ours, {"diff-diff, called directly": direct}, rounds=asked.rounds)


OWN = {"wild bootstrap": wild, "randomization": randomized, "2,000 specifications": curve}


def alone(task, times, draws, tiny):
    """Seconds of up to three rounds and the peak of memory in GiB."""
    frame = long_frame(times, tiny)
    OWN[task](long_frame(1, tiny), draws)  # imports, not timed
    seconds = []
    while not seconds or (len(seconds) < 3 and seconds[0] < 5):
        seconds.append(timing.clocked(lambda: OWN[task](frame, draws)))
    return seconds, timing.peak() / 1024


def rows(asked):
    """Yield the rows."""
    draws, many = asked.of(9_999, 199), asked.of(1_000_000, 999)
    spawn = get_context("spawn")  # a forked process would begin with this one's peak of memory
    for task in OWN:
        before = None
        for times in asked.sizes:
            with ProcessPoolExecutor(1, mp_context=spawn) as one:
                seconds, peak = one.submit(alone, task, times, draws, asked.tiny).result()
            row = timing.Row(
                f"{task}, 9,999 draws, {times}×",
                timing.Spread.of(seconds),
                note=f"peak {peak:.1f} GiB",
            )
            yield timing.grown(row, times, before)
            before = times, row
    frame = long_frame(1, asked.tiny)
    for task, peer in (("wild bootstrap", wild_peer), ("randomization", randomized_peer)):
        peers, note = peer(frame, draws)
        ours = OWN[task]
        yield timing.race(
            f"{task}, 9,999 draws, and its peer",
            lambda ours=ours: ours(frame, draws),
            peers,
            rounds=asked.rounds,
            note=note,
        )
    yield timing.race(
        "randomization, 1,000,000 draws",
        lambda: randomized(frame, many),
        limit=(PRODUCT, million_product(frame, many)),
        rounds=asked.rounds,
    )
    yield timing.race(
        "2,000 specifications, 9,999 draws, and the product",
        lambda: curve(frame, draws),
        limit=(PRODUCT, curve_product(frame, draws)),
        rounds=asked.rounds,
    )
    yield synthetic_row(frame, asked)


if __name__ == "__main__":
    timing.main(rows, __doc__)
