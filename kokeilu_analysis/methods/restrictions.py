"""What shape restrictions buy: the effect at a backlog under one assumption at a time.

Backlogs are known to lie in [L_a, U_a]. `manski_tamer` assumes that the expected effect is a line
in the true backlog, `monotone_bounds` that it only falls or only rises, `lipschitz_bounds` that it
cannot change faster than a constant; none of them assumes where in its range a backlog lies.
`restricted_bounds` keeps the least-squares line and switches assumptions about it on.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.lag_input import (
    box,
    checked_effects,
    checked_weights,
    evidence_region,
    pair,
    shares,
)
from kokeilu_analysis.methods.lag_line import solved
from kokeilu_analysis.methods.line_inequalities import (
    ROUNDING,
    bootstrapped,
    closest,
    level_set,
)
from kokeilu_analysis.methods.line_steep import fitted_within


def manski_tamer(
    effects,
    lower,
    upper,
    weights=None,
    slope_sign=None,
    tolerance=None,
    at=0.0,
    level=0.95,
    draws=200,
    seed=0,
    minimum_areas=5,
):
    """Bound the line E[d | B] = theta0 + theta1 B from ranges of B alone.

    A rising line obeys theta0 + theta1 L_a <= E[d_a] <= theta0 + theta1 U_a, a falling one the
    same with L and U changed over. Effects carry noise, so the inequalities need not hold
    together: the squared violations Q = sum w [(d - high)_+^2 + (low - d)_+^2] are minimised and
    every line with Q <= min Q + tolerance is kept. The bare minimiser is far too narrow.

    Parameters
    ----------
    effects, lower, upper, weights, minimum_areas
        As in `lag.intercept_bounds`; weights are scaled to sum to one.
    slope_sign : {1, -1, None}
        Sign of theta1, None for either.
    tolerance : float, optional
        In squared units of the effects; 0 is right only without noise. If left out, the `level`
        quantile over `draws` area bootstraps of Q*(line) - min Q*, with `seed`.
    at : float
        Reference backlog, share 0-1.

    Returns
    -------
    DataFrame
        One row for each sign asked for: `slope_sign`, `bound_low`, `bound_high` (effect at `at`),
        `slope_low`, `slope_high`, `least` (min Q), `tolerance`. Infinite where nothing limits the
        line; NaN where the other sign comes nearer and no line of this sign is within tolerance.

    References
    ----------
    Manski and Tamer 2002, Econometrica 70; Chernozhukov, Hong and Tamer 2007, Econometrica 75
    (level sets).

    Examples
    --------
    >>> b = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    >>> found = manski_tamer(1 - b, b - 0.1, b + 0.1, slope_sign=-1, tolerance=0)
    >>> found[["bound_low", "bound_high", "slope_low", "slope_high"]].round(4).values.tolist()
    [[0.9, 1.1667, -1.3333, -0.8]]
    """
    if slope_sign not in (1, -1, None):
        raise KokeiluError(f"`slope_sign` is {slope_sign}; give 1, -1 or None.")
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    low, high = box(d, lower, upper)
    shares(at, "at")
    y, signs = d.to_numpy(), (1, -1) if slope_sign is None else (slope_sign,)
    best = {sign: closest(y, low - at, high - at, w, sign) for sign in signs}
    nearest = min(signs, key=lambda sign: best[sign][0])
    if tolerance is None:
        tolerance = bootstrapped(y, low - at, high - at, w, signs, best, level, draws, seed)
    elif not tolerance >= 0:
        raise KokeiluError(f"`tolerance` is {tolerance}; give zero or more.")
    limit = best[nearest][0] + tolerance
    rows = []
    for sign in signs:
        least, value, steep = best[sign]
        if least > limit + (ROUNDING * np.abs(y).max()) ** 2:
            ends = (np.nan,) * 4
        else:
            ends = level_set(y, low - at, high - at, w, sign, limit, value, steep)
        rows.append((sign, *ends, least, tolerance))
    columns = "slope_sign bound_low bound_high slope_low slope_high least tolerance"
    return pd.DataFrame(rows, columns=columns.split())


def monotone_bounds(effects, lower, upper, at, slope_sign=-1, tolerance=0.0, minimum_areas=1):
    """Bound the expected effect at a backlog when it only falls (or only rises) with the backlog.

    A rising effect at `at` is at least that of every area whose backlog is surely no larger, and
    at most that of every area whose backlog is surely no smaller. Where areas contradict this,
    all effects are given the least room that removes the contradiction, and it is reported.

    Parameters
    ----------
    effects, lower, upper
        As in `lag.intercept_bounds`; the effects are taken as expected effects.
    at : float or array
        Reference backlogs, shares 0-1.
    slope_sign : {1, -1}
        -1: the expected effect (as a number) falls as the backlog grows.
    tolerance : float
        Room for noise each way, in the effects' unit, beyond the least.

    Returns
    -------
    DataFrame
        `at`, `bound_low`, `bound_high` (infinite: no area says anything), `slack` (the least room).

    References
    ----------
    Manski and Tamer 2002, Econometrica 70; monotone treatment response: Manski 1997,
    Econometrica 65.

    Examples
    --------
    >>> monotone_bounds([0.6, 0.5, 0.2], [0.1, 0.2, 0.7], [0.2, 0.6, 0.8], [0, 0.65])[
    ...     ["bound_low", "bound_high"]].values.tolist()
    [[0.6, inf], [0.2, 0.5]]
    """
    d = checked_effects(effects, minimum_areas)
    low, high = box(d, lower, upper)
    if slope_sign not in (1, -1):
        raise KokeiluError(f"`slope_sign` is {slope_sign}; give 1 or -1.")
    if not tolerance >= 0:
        raise KokeiluError(f"`tolerance` is {tolerance}; give zero or more.")
    at, y = shares(at, "at"), slope_sign * d.to_numpy()
    ordered = high[:, None] <= low[None]  # the first area's backlog is surely no larger
    against = np.where(ordered, y[:, None] - y[None], -np.inf)
    slack = max(0.0, float(against.max()) / 2)
    room = slack + tolerance
    least = np.where(high[:, None] <= at, y[:, None], -np.inf).max(axis=0) - room
    most = np.where(low[:, None] >= at, y[:, None], np.inf).min(axis=0) + room
    if slope_sign < 0:
        least, most = -most, -least
    return pd.DataFrame({"at": at, "bound_low": least, "bound_high": most, "slack": slack})


def lipschitz_bounds(effects, lower, upper, k, at, tolerance=0.0, minimum_areas=1):
    """Bound the expected effect at a backlog when it changes by at most `k` per unit of backlog.

    max(d_a - k far_a) <= tau(at) <= min(d_a + k far_a), far_a the greatest distance between `at`
    and the area's range. Sharp for backlogs known as points; for ranges valid and perhaps wide,
    because each area may use its own worst backlog. Contradictions are treated as in
    `monotone_bounds`.

    Parameters
    ----------
    effects, lower, upper
        As in `lag.intercept_bounds`.
    k : float or array
        Zero or more: largest change of the effect from backlog 0 to 1. One row for each k and at.
    at : float or array
        Shares 0-1.
    tolerance : float
        Room for noise each way, in the effects' unit, beyond the least.

    Returns
    -------
    DataFrame
        `k`, `at`, `bound_low`, `bound_high`, `slack`.

    Examples
    --------
    >>> found = lipschitz_bounds([0.5, 0.2], [0.2, 0.6], [0.2, 0.8], 1.0, 0.0)
    >>> found[["bound_low", "bound_high"]].round(6).values.tolist()
    [[0.3, 0.7]]
    """
    d = checked_effects(effects, minimum_areas)
    low, high = box(d, lower, upper)
    ks, places = np.atleast_1d(np.asarray(k, dtype=float)), shares(at, "at")
    if not (np.isfinite(ks) & (ks >= 0)).all():
        raise KokeiluError(f"`k` is {k}; give the largest change per unit of backlog, 0 or more.")
    if not tolerance >= 0:
        raise KokeiluError(f"`tolerance` is {tolerance}; give zero or more.")
    y = d.to_numpy()
    apart = np.maximum(high[:, None] - low[None], high[None] - low[:, None])
    rows = []
    for steep in ks:
        slack = max(0.0, float((np.abs(y[:, None] - y[None]) - steep * apart).max()) / 2)
        for place in places:
            far = steep * np.maximum(np.abs(low - place), np.abs(high - place))
            room = slack + tolerance
            rows.append((steep, place, (y - far).max() - room, (y + far).min() + room, slack))
    return pd.DataFrame(rows, columns=["k", "at", "bound_low", "bound_high", "slack"])


def restricted_bounds(
    effects,
    lower=None,
    upper=None,
    weights=None,
    mean=None,
    constraints=None,
    at=0.0,
    slope_sign=None,
    steepest=None,
    effect=None,
    minimum_areas=5,
):
    """Bound the fitted effect at a backlog with assumptions switched on, one by one and together.

    Parameters
    ----------
    effects, lower, upper, weights, mean, constraints, at, minimum_areas
        As in `lag.intercept_bounds`.
    slope_sign : {1, -1}, optional
        Only backlogs whose line has this sign (or is flat) are kept.
    steepest : float, optional
        The effect changes by no more than this per 10 points of backlog, either way.
    effect : (float, float), optional
        The fitted effect at `at` lies within.

    Returns
    -------
    DataFrame
        `restriction` ("none", those given, and "all" if several), `bound_low`, `bound_high`,
        `gap`: no feasible line goes further, and an attained one comes as near as this. NaN where
        no feasible backlogs satisfy the restriction.

    Examples
    --------
    >>> restricted_bounds(
    ...     [0.30, 0.55, 0.10, 0.42, 0.20, 0.61], [0.25, 0.4, 0.6, 0.35, 0, 0.1],
    ...     [0.25, 0.6, 0.8, 0.35, 1, 0.1], steepest=0.05,
    ... )[["restriction", "bound_low", "bound_high"]].round(3).values.tolist()
    [['none', 0.381, 0.679], ['steepest', 0.381, 0.601]]
    """
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    shares(at, "at")
    region = evidence_region(d, lower, upper, w, mean, constraints)
    given = {
        name: value
        for name, value in (("slope_sign", slope_sign), ("steepest", steepest), ("effect", effect))
        if value is not None
    }
    if slope_sign not in (1, -1, None):
        raise KokeiluError(f"`slope_sign` is {slope_sign}; give 1 or -1.")
    if steepest is not None and not 0 < steepest < np.inf:
        raise KokeiluError(f"`steepest` is {steepest}; give a change per 10 points above 0.")
    asked = [("none", {})] + [(name, {name: value}) for name, value in given.items()]
    if len(given) > 1:
        asked.append(("all", given))
    rows = [(name, *_restricted(d, w, region, at, **switches)) for name, switches in asked]
    return pd.DataFrame(rows, columns=["restriction", "bound_low", "bound_high", "gap"])


def _restricted(d, w, region, at, slope_sign=None, steepest=None, effect=None):
    if slope_sign is not None:
        row = np.zeros(len(region.lower))
        row[: len(d)] = -slope_sign * w * (d.to_numpy() - w @ d.to_numpy())
        region = region.with_rows(row, [0.0])
        if region.extreme(np.zeros(len(region.lower))) is None:
            return np.nan, np.nan, 0.0
    names = ("intercept_low", "intercept_high")
    if steepest is None:
        ends, _, gap = solved(d, w, region, at, names)
        low, high = (ends[name] for name in names)
    else:
        low, high, gap = fitted_within(d, w, region, at, 10 * steepest)
    if effect is not None:
        least, most = pair(effect, "effect")
        low, high = max(low, least), min(high, most)
        if low > high:
            return np.nan, np.nan, gap
    return low, high, gap
