"""Sampling uncertainty on top of a set: the ends of the adjusted effect are estimates as well."""

from dataclasses import replace

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates, lag_line
from kokeilu_analysis.methods.intervals import critical_value
from kokeilu_analysis.methods.lag_input import (
    checked_effects,
    checked_weights,
    evidence_region,
    shares,
)

MOST_NODES = 150  # for a draw; what a short search leaves open widens its bounds
NAMES = ("intercept_low", "intercept_high")


def set_interval(
    effects,
    lower=None,
    upper=None,
    weights=None,
    mean=None,
    constraints=None,
    at=0.0,
    level=0.95,
    draws=99,
    seed=0,
    minimum_areas=5,
):
    """Bound the fitted effect at a backlog and add a confidence interval for the true effect.

    Areas are drawn with replacement, the bounds are solved again for each draw, and their
    standard errors widen the set by the Imbens-Manski critical value, which lies between the
    one-sided and the two-sided normal quantile. An area drawn twice keeps one backlog: it counts
    twice, and what is known of the backlogs themselves is the same in every draw. Ends of sets
    are extremes and biased inwards in small samples; see `note` for the recentred interval.

    Parameters
    ----------
    effects, lower, upper, weights, mean, constraints, at, minimum_areas
        As in `lag.intercept_bounds`.
    level : float
        Probability to cover the true effect.
    draws : int
        At least 20. A draw costs two solutions.
    seed : int

    Returns
    -------
    DataFrame
        Estimate schema, one row: `bound_low`, `bound_high` the set, `ci_low`, `ci_high` the
        interval, `se` the larger of the two standard errors. `inference` gives the critical
        value, `note` the interval around ends moved out by their bootstrap bias, with the
        two-sided quantile, and draws that had to be left out because all areas drawn could have
        the same backlog.

    References
    ----------
    Imbens and Manski 2004, Econometrica 72; Stoye 2009, Econometrica 77 on short sets.

    Examples
    --------
    >>> b = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    >>> found = set_interval(1 - b + 0.1 * (-1) ** np.arange(8), b - 0.02, b + 0.02, draws=20)
    >>> found[["bound_low", "bound_high"]].round(3).values.tolist()
    [[1.002, 1.087]]
    """
    from scipy import special

    if not 0.5 < level < 1:
        raise KokeiluError(f"`level` is {level}; give a probability between 0.5 and 1.")
    if draws < 20:
        raise KokeiluError(f"{draws} draws are too few for a standard error; give at least 20.")
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    shares(at, "at")
    region = evidence_region(d, lower, upper, w, mean, constraints)
    low, high = _ends(d, w, region, at)
    region = replace(region, most_nodes=MOST_NODES)
    if np.isinf(low) or np.isinf(high):
        raise KokeiluError("The evidence allows all areas the same backlog: no bounds to widen.")
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(d), np.full(len(d), 1 / len(d)), size=draws)
    found = np.array([_ends(d, w * n / (w @ n), region, at) for n in drawn if w @ n > 0])
    found = found[np.isfinite(found).all(axis=1)]
    if len(found) < 0.9 * draws:
        raise KokeiluError(
            f"Only {len(found)} of {draws} draws identify the line; too few areas have a backlog "
            "of their own for a bootstrap over areas."
        )
    se = found.std(axis=0, ddof=1)
    critical = critical_value(high - low, se.max(), level)
    bias = found.mean(axis=0) - (low, high)
    outer = low - max(bias[0], 0.0), high - min(bias[1], 0.0)
    two_sided = special.ndtri(0.5 + level / 2)
    note = (
        f"ends moved out by their bootstrap bias, two-sided quantile: "
        f"{outer[0] - two_sided * se[0]:.4g} to {outer[1] + two_sided * se[1]:.4g}"
    )
    if len(found) < draws:
        note += f"; {draws - len(found)} of {draws} draws without bounds left out"
    behind = f"{len(found)} area bootstraps"
    return _row(low, high, se, critical, behind, at, weights, len(d), note)


def ends_interval(found, effects, weights=None, shared=0.0, level=0.95):
    """Add sampling error to sharp bounds of the fitted effect, from the lines that attain them.

    Each end is the least-squares line through one vector of backlogs, and where that vector is
    best its small changes do not matter (the envelope theorem): the end's error is the HC3 error
    of that line. Valid in large samples when the vector is unique; `set_interval` solves the
    bounds again for drawn areas instead, which is slower and wider when few areas carry the slope.

    Parameters
    ----------
    found : LineBounds
        From `intercept_bounds`.
    effects, weights
        As there.
    shared : float
        As in `midpoint`.
    level : float
        Probability to cover the effect, wherever in the set it lies.

    Returns
    -------
    DataFrame
        Estimate schema, one row: ``bound_low``, ``bound_high`` and the interval around them.

    Raises
    ------
    KokeiluError
        An end is infinite, or one area alone sets the slope of an attaining line.

    References
    ----------
    Imbens and Manski 2004, Econometrica 72; Milgrom and Segal 2002, Econometrica 70.

    Examples
    --------
    >>> import pandas as pd
    >>> b = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    >>> d = pd.Series(1 - b + 0.1 * (-1) ** np.arange(8))
    >>> found = lag_line.intercept_bounds(d, b - 0.02, b + 0.02)
    >>> ends_interval(found, d)[["ci_low", "ci_high"]].round(2).values.tolist()
    [[0.83, 1.26]]
    """
    d = checked_effects(effects, 2)
    w = checked_weights(weights, d)
    low, high = found.intercept
    if not np.isfinite([low, high]).all():
        raise KokeiluError("The evidence allows all areas the same backlog: no bounds to widen.")
    own = [
        lag_line.fitted(d, np.asarray(found.witness[end], dtype=float), w, found.at)[1][0]
        for end in NAMES
    ]
    se = np.sqrt(np.square(own) + shared**2)
    critical = critical_value(high - low, se.max(), level)
    behind = "HC3 and control mean" if shared else "HC3"
    behind += " at each bound"
    return _row(low, high, se, critical, behind, found.at, weights, len(d))


def _row(low, high, se, critical, behind, at, weights, n_units, note=""):
    """One row of the estimate schema: bounds, and the interval around them."""
    row = {
        "estimand": f"effect at backlog {at:g}",
        "estimator": "sharp bounds of the line",
        "weights": "equal" if weights is None else "given",
        "se": se.max(),
        "ci_low": low - critical * se[0],
        "ci_high": high + critical * se[1],
        "inference": f"Imbens-Manski, c = {critical:.4f}; {behind}",
        "bound_low": low,
        "bound_high": high,
        "n_units": n_units,
        "note": note,
    }
    return estimates.table([row])


def _ends(d, w, region, at):
    """Return the bounds of the fitted effect, widened by what the search left unproven."""
    ends, _, gap = lag_line.solved(d, w, region, at, NAMES)
    return ends[NAMES[0]] - gap, ends[NAMES[1]] + gap
