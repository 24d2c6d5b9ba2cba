"""Whether the comparison finds an effect that was planted and its intervals hold their level.

Panels of `simulate` with a known effect, every estimator and every inference on the same panels.
Each draw has its own seed, so tables do not depend on how many processes made them.
"""

from functools import partial

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import adjusted, donors, inference, simulate, synthetic
from kokeilu_analysis.workers import side_by_side

LEVEL = 0.95
RESAMPLES = 999  # signs or assignments within one draw
COLUMNS = (
    "weights estimator inference draws planted bias bias_share mean_error mean_error_mc_error "
    "coverage coverage_mc_error width rejection_no_effect note"
).split()
RECOMMENDED = "jackknife CR3 by area, t(G-1)"
DID, TREND, MATCHED = "two-by-two", "unit trends removed", "matched, 5 nearest"
ROBUST, SYNTHETIC = "doubly robust, log size", "synthetic difference-in-differences"
NOTES = {
    (DID, RECOMMENDED): "recommended",
    (DID, "OLS on the panel, nothing clustered"): "unit-months as if independent",
    (DID, "randomization of municipalities, difference"): "p-value at the truth; units, not areas",
    (DID, "randomization of areas, difference"): "p-value at the truth",
    (DID, "randomization of areas, t"): "p-value at the truth",
    (TREND, RECOMMENDED): "two years before, one after, 26 months between",
    (MATCHED, RECOMMENDED): "matches taken as given",
    (SYNTHETIC, "placebo variance, 100 draws"): "areas as units, from the first month to the last",
}


def over_draws(work, draws, workers=None):
    """Call `work(k)` for each draw k and return the answers in order.

    Parameters
    ----------
    work : callable
        Of a module, so that another process can find it; seeds itself from k.
    draws : int
    workers : int, optional
        Processes; as many as the machine has processors if left out. The answers do not depend
        on it.

    Returns
    -------
    list

    Examples
    --------
    >>> over_draws(abs, 3, workers=1)
    [0, 1, 2]
    """
    if draws < 1:
        raise KokeiluError(f"{draws} draws; give at least 1.")
    if workers == 1:
        return [work(k) for k in range(draws)]
    with side_by_side(workers, "fork") as pool:
        return list(pool.map(work, range(draws), chunksize=max(1, min(20, draws // 8))))


def coverage_error(coverage, draws):
    """Return the Monte Carlo standard error of a share.

    Examples
    --------
    >>> round(coverage_error(0.95, 2000), 4)
    0.0049
    """
    return float(np.sqrt(coverage * (1 - coverage) / draws))


def table(design, baseline, post, draws=2000, seed=0, planted=-0.5, long=None, workers=None):
    """Plant an effect in many panels and count how estimators and intervals fare.

    The bias is the mean over draws and their mirror images (the same residuals with the other
    sign): residuals are as likely up as down, so what is left is the estimator's own doing and
    not the luck of the draws. Estimators linear in the residuals have none then, by algebra; the
    plain mean over draws, whose luck shows in its own error, stands beside it.

    Every estimator here moves one for one with a constant effect, so an interval misses zero
    without an effect exactly when it misses the effect with one.

    Parameters
    ----------
    design : simulate.Blueprint
        With weights and clusters.
    baseline, post : sequence of times
        The two windows of the comparison; post lies after the start.
    draws : int
        Panels. The estimators that cost more take fewer: trends and doubly robust a half, matched
        a fifth, synthetic difference-in-differences a tenth.
    seed : int
    planted : float
        Effect, in the unit of the outcome; not zero.
    long : simulate.Blueprint, optional
        The same design over more times, for trends: the first 24 are before, the last 12 after.
        Trends are left out without it.
    workers : int, optional
        See `over_draws`.

    Returns
    -------
    DataFrame
        One row for each of `weights` ("labour_force" = the blueprint's, "none"), `estimator` and
        `inference`: `draws`, `planted`, `bias` (unit of the outcome), `bias_share` of the planted
        effect, `mean_error` (without mirror images) with its Monte Carlo error, `coverage` of the
        95 % interval with its Monte Carlo error, mean `width` (empty where only a p-value is
        counted), `rejection_no_effect`, `note`.

    Raises
    ------
    KokeiluError
        Nothing is planted, or a window is not in the design.
    """
    if not planted:
        raise KokeiluError("Nothing is planted; give an effect that is not zero.")
    baseline, post = pd.Index(baseline), pd.Index(post)
    absent = baseline.union(post).difference(design.times)
    if len(absent) or not (post.min() >= design.start > baseline.max()):
        raise KokeiluError(
            f"The simulated panel runs from {design.times[0]} to {design.times[-1]} and starts at "
            f"{design.start}; the baseline must lie before and post after the start."
        )
    place = design.times.get_indexer(baseline), design.times.get_indexer(post)
    tasks = [
        (partial(two_by_two, design, place, planted, seed), draws),
        (partial(robust, design, place, planted, seed), max(draws // 2, 1)),
        (partial(matched, design, place, planted, seed), max(draws // 5, 1)),
        (partial(synthesised, design, planted, seed), max(draws // 10, 1)),
    ]
    if long is not None:
        tasks.insert(1, (partial(trends, long, planted, seed), max(draws // 2, 1)))
    found = [rows for work, count in tasks for rows in over_draws(work, count, workers)]
    rows = pd.DataFrame([row for rows in found for row in rows], columns=ROW)
    return _summary(rows, planted)


NAMES = ("y", "unit", "time", "treated")
ROW = ["weights", "estimator", "inference", "estimate", "mirrored", "covers", "width"]


def two_by_two(design, place, planted, seed, k):
    """Return one row for each weighting and inference of the two-by-two on draw k."""
    from scipy import special

    values, mirror = _pair(design, planted, seed, k)
    base, post = place
    arm = design.units["treated"].to_numpy()
    areas, own = design.units["cluster"].to_numpy(), np.arange(len(arm))
    change = values[:, post].mean(axis=1) - values[:, base].mean(axis=1)
    image = mirror[:, post].mean(axis=1) - mirror[:, base].mean(axis=1)
    frame = pd.DataFrame({"change": change, "treated": arm, "area": areas})
    rows = []
    for name, w in _weightings(design):
        by_area = inference.difference(change, arm, w, areas)
        by_unit = inference.difference(change, arm, w, own)
        mirrored = inference.difference(image, arm, w, areas)["estimate"]
        sizes = pd.Series(w[arm == 1]).groupby(areas[arm == 1]).sum()
        few = inference.effective_clusters(sizes) - 1
        groups, units = by_area["n_clusters"] - 1, by_unit["n_clusters"] - 1
        classical, rest = panel_ols(values[:, np.append(base, post)], len(base), arm, w)
        z = special.ndtri(0.5 + LEVEL / 2)
        t = {df: special.stdtrit(df, 0.5 + LEVEL / 2) for df in (groups, units, few, rest)}
        estimate = by_area["estimate"]
        for words, reach in (
            (RECOMMENDED, t[groups] * by_area["se"]),
            ("jackknife CR3 by area, t(effective treated areas - 1)", t[few] * by_area["se"]),
            ("sandwich CR1 by area, t(G-1)", t[groups] * by_area["se_cr1"]),
            ("sandwich CR1 by area, normal", z * by_area["se_cr1"]),
            ("sandwich CR1 by municipality, t(N-1)", t[units] * by_unit["se_cr1"]),
            ("OLS on the panel, nothing clustered", t[rest] * classical),
        ):
            covers = abs(estimate - planted) <= reach
            rows.append((name, DID, words, estimate, mirrored, covers, 2 * reach))
        wild = inference.wild_cluster(
            frame.assign(w=w), "change ~ treated", "treated", "area", RESAMPLES, k, "w"
        )
        covers = wild["ci_low"] <= planted <= wild["ci_high"]
        width = wild["ci_high"] - wild["ci_low"]
        words = f"wild cluster bootstrap by area, {RESAMPLES} draws"
        rows.append((name, DID, words, estimate, mirrored, covers, width))
        for words, clusters, statistic in (
            ("randomization of areas, difference", areas, "difference"),
            ("randomization of areas, t", areas, "t"),
            ("randomization of municipalities, difference", None, "difference"),
        ):
            p = inference.randomization(
                change - planted * arm, arm, clusters, RESAMPLES, k, w, statistic=statistic
            )["p"]
            rows.append((name, DID, words, estimate, mirrored, p > 1 - LEVEL, np.nan))
    return rows


def trends(design, planted, seed, k):
    """Return rows without unit trends: 24 times before, the last 12 after."""
    kept = np.append(np.arange(24), np.arange(-12, 0) + len(design.times))
    call = partial(adjusted.trend_adjusted, start=kept[24])
    return _by_frames(design, kept, TREND, call, planted, seed, k)


def robust(design, place, planted, seed, k):
    """Return the row of the doubly robust two-by-two, units equal, log of size as covariate."""
    pair = [
        adjusted.doubly_robust(frame, *NAMES, place[1][0], ["log_size"], cluster="cluster")
        for frame in _frames(design, np.concatenate(place), planted, seed, k)
    ]
    return [_row("none", ROBUST, "influence function by area, t(G-1)", pair, planted)]


def matched(design, place, planted, seed, k):
    """Return rows of the two-by-two against the five controls of nearest path, by weighting."""
    kept = np.concatenate(place)
    call = partial(donors.matched, start=place[1][0], neighbours=5)
    return _by_frames(design, kept, MATCHED, call, planted, seed, k)


def synthesised(design, planted, seed, k):
    """Return the row of synthetic difference-in-differences on areas."""
    found = []
    for values, variance in zip(_pair(design, planted, seed, k), (100, 2), strict=True):
        length = len(design.times)
        frame = pd.DataFrame(
            {
                "area": np.repeat(design.areas.index, length),
                "time": np.tile(np.arange(length), len(design.areas)),
                "treated": np.repeat(design.areas["treated"].to_numpy(), length),
                "y": (design.share @ values).ravel(),
            }
        )
        start = int(design.times.get_loc(design.start))
        columns = ("y", "area", "time", "treated", start)
        found.append(synthetic.synthetic_did(frame, *columns, draws=variance, seed=k))
    return [_row("none", SYNTHETIC, "placebo variance, 100 draws", found, planted)]


def panel_ols(values, before, arm, w):
    """Return the classical standard error of treated x post with unit and time effects.

    What comes out when nobody clusters: errors of unit-months taken as independent.

    Parameters
    ----------
    values : array, shape (units, times)
        The first `before` times lie before the start.
    before : int
    arm : array of 0/1, shape (units,)
    w : array, shape (units,)

    Returns
    -------
    (float, int)
        Standard error and degrees of freedom.

    Examples
    --------
    >>> y = np.array([[0.0, 3, 1], [1, 2, 1], [0, 0, 1], [2, 1, 1]])
    >>> se, df = panel_ols(y, 1, np.array([1, 1, 0, 0]), np.ones(4))
    >>> round(se, 4), df
    (1.0954, 5)
    """
    units, times = values.shape
    w = w / w.sum()
    y = values - values.mean(axis=1, keepdims=True)
    y = y - w @ y
    post = np.arange(times) >= before
    x = np.outer(arm - w @ arm, post - post.mean())
    spread = (w[:, None] * x**2).sum()
    rest = y - x * ((w[:, None] * x * y).sum() / spread)
    df = units * times - units - times
    return float(np.sqrt((w[:, None] * rest**2).sum() / df / spread)), df


def _pair(design, planted, seed, k):
    """A draw and its mirror image."""
    drawn = simulate.residuals(design, [seed, k])
    return [
        simulate.draw(design, planted, seed=[seed, k], noise=sign, drawn=drawn).values
        for sign in (1, -1)
    ]


def _frames(design, kept, planted, seed, k):
    """A draw and its mirror image as long frames of some times; times and units are numbers."""
    units, length = len(design.units), len(kept)
    own = design.units.reset_index(drop=True)
    by_unit = own.assign(unit=own.index, log_size=np.log(own["weight"]))
    by_unit = by_unit.loc[np.repeat(own.index, length)].assign(time=np.tile(kept, units))
    return [by_unit.assign(y=v[:, kept].ravel()) for v in _pair(design, planted, seed, k)]


def _by_frames(design, kept, estimator, call, planted, seed, k):
    """Rows of an estimator that takes long frames, for both weightings."""
    frames = _frames(design, kept, planted, seed, k)
    rows = []
    for name, weights in (("labour_force", "weight"), ("none", None)):
        pair = [call(f, *NAMES, weights=weights, cluster="cluster") for f in frames]
        rows.append(_row(name, estimator, RECOMMENDED, pair, planted))
    return rows


def _weightings(design):
    w = design.units["weight"].to_numpy(dtype=float)
    return (("labour_force", w), ("none", np.ones(len(w))))


def _row(weights, estimator, words, pair, planted):
    found, mirror = (table.iloc[0] for table in pair)
    covers = found["ci_low"] <= planted <= found["ci_high"]
    width = found["ci_high"] - found["ci_low"]
    return weights, estimator, words, found["estimate"], mirror["estimate"], covers, width


def _summary(rows, planted):
    """Means over draws, in the order in which the rows came first."""
    out = []
    for key, group in rows.groupby(ROW[:3], sort=False):
        count = len(group)
        bias = float((group["estimate"] + group["mirrored"]).mean() / 2 - planted)
        coverage = float(group["covers"].mean())
        out.append(
            {
                **dict(zip(ROW[:3], key, strict=True)),
                "draws": count,
                "planted": planted,
                "bias": bias,
                "bias_share": abs(bias / planted),
                "mean_error": float(group["estimate"].mean() - planted),
                "mean_error_mc_error": float(group["estimate"].std() / np.sqrt(count)),
                "coverage": coverage,
                "coverage_mc_error": coverage_error(coverage, count),
                "width": group["width"].mean(),
                "rejection_no_effect": 1 - coverage,
                "note": NOTES.get(key[1:], ""),
            }
        )
    found = pd.DataFrame(out, columns=COLUMNS)
    order = found["weights"].map({"labour_force": 0, "none": 1})
    found = found.assign(order=order).sort_values("order", kind="stable").drop(columns="order")
    return found.round(6).reset_index(drop=True)
