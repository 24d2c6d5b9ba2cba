"""Whose exact backlog would narrow the adjusted effect most, and when its sign is settled."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.lag_input import (
    checked_effects,
    checked_weights,
    evidence_region,
    matched,
    shares,
)
from kokeilu_analysis.methods.lag_line import solved
from kokeilu_analysis.methods.line_choices import completed

NAMES = ("intercept_low", "intercept_high")
MOST_NODES = 150  # many bounds are needed; what a short search leaves open widens them
KNOWN = 1e-9  # a range narrower than this is a point


def rank_replies_effect(
    effects,
    lower=None,
    upper=None,
    weights=None,
    mean=None,
    constraints=None,
    at=0.0,
    grid=3,
    minimum_areas=5,
):
    """Rank the areas by how much an exact reply would narrow the adjusted effect.

    For each area the possible answers are evenly spaced between the ends of its own bounds; after
    each answer the sharp bounds of the fitted effect at `at` are found again.

    Parameters
    ----------
    effects, lower, upper, weights, mean, constraints, at, minimum_areas
        As in `lag.intercept_bounds`.
    grid : int
        Answers tried for an area, ends included, at least 2. Time is areas x grid x two ends.

    Returns
    -------
    DataFrame
        `rank`, `area_id`, `bound_low`, `bound_high` (shares: the possible answers), `width_now`,
        `width_worst`, `width_best`, `width_mean` (over the answers tried), `gain_worst`,
        `gain_best`, `gain_mean` in the effects' unit, `share_signed`: share of the answers after
        which the effect has one sign. The most telling area first, by mean gain. An infinite
        width now makes every finite gain infinite; then the rank is by the mean width.

    Examples
    --------
    >>> ranked = rank_replies_effect(
    ...     [0.30, 0.55, 0.10, 0.42, 0.20, 0.61], [0.25, 0.4, 0.6, 0.35, 0, 0.1],
    ...     [0.25, 0.6, 0.8, 0.35, 1, 0.1])
    >>> ranked.loc[0, ["area_id", "width_now", "width_mean"]].round(3).tolist()
    [4.0, 0.298, 0.081]
    """
    if grid < 2:
        raise KokeiluError("The grid of answers needs both ends: at least 2 points.")
    d, w, region = _problem(effects, lower, upper, weights, mean, constraints, at, minimum_areas)
    now, telling = _width(d, w, region, at), _telling(region, w)
    rows = []
    for j, area in enumerate(d.index):
        answers = _answers(region, j)
        found = [now]
        if telling[j] and answers[1] - answers[0] > KNOWN:
            tried = (_known(region, j, x) for x in np.linspace(*answers, grid))
            found = [_width(d, w, part, at) for part in tried if part is not None]
        widths = np.array([high - low for low, high in found])
        signed = np.mean([low > 0 or high < 0 for low, high in found])
        summary = np.array([widths.max(), widths.min(), widths.mean()])
        with np.errstate(invalid="ignore"):
            gains = np.nan_to_num(now[1] - now[0] - summary, nan=0.0, posinf=np.inf)
        rows.append((area, *answers, now[1] - now[0], *summary, *gains, signed))
    columns = (
        "area_id bound_low bound_high width_now width_worst width_best width_mean "
        "gain_worst gain_best gain_mean share_signed"
    )
    table = pd.DataFrame(rows, columns=columns.split())
    numbers = columns.split()[1:]
    # equal gains differ in their last digits; rounding keeps the order of areas stable
    table[numbers] = table[numbers].round(8) + 0.0
    table = table.sort_values(
        ["gain_mean", "width_mean", "width_worst"], ascending=[False, True, True], kind="stable"
    ).reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def replies_until_sign(
    effects,
    truth,
    lower=None,
    upper=None,
    weights=None,
    mean=None,
    constraints=None,
    at=0.0,
    order=None,
    most=None,
    minimum_areas=5,
):
    """Reveal true backlogs one by one until the adjusted effect has one sign.

    Parameters
    ----------
    effects, lower, upper, weights, mean, constraints, at, minimum_areas
        As in `lag.intercept_bounds`.
    truth : Series or array of A
        Backlogs that the evidence allows: what the areas would answer.
    order : sequence of areas, optional
        In which to ask. If left out, at each step the area whose true answer narrows the effect
        most: the best order one can hope for, which nobody knows beforehand.
    most : int, optional
        Stop after so many replies.

    Returns
    -------
    DataFrame
        One row for each number of replies from 0: `replies`, `area_id` (asked last), `bound_low`,
        `bound_high`, `settled`. Ends when the sign is settled, with the last area, or at `most`.

    Examples
    --------
    >>> replies_until_sign(
    ...     [-0.1, 0.15, -0.3, 0.02, -0.2, 0.21], [0.25, 0.45, 0.7, 0.35, 0.9, 0.1],
    ...     [0.25, 0.4, 0.6, 0.35, 0, 0.1], [0.25, 0.6, 0.8, 0.35, 1, 0.1])["settled"].tolist()
    [False, True]
    """
    d, w, region = _problem(effects, lower, upper, weights, mean, constraints, at, minimum_areas)
    true = shares(matched(truth, d, "truth"), "truth")
    if _known(region, np.arange(len(d)), true) is None:
        raise KokeiluError("`truth` contradicts the evidence; give backlogs that it allows.")
    if order is not None:
        unknown = [area for area in order if area not in d.index]
        if unknown:
            raise KokeiluError(f"`order` names area {unknown[0]}, which has no effect.")
        left = [d.index.get_loc(area) for area in order]
    else:
        open_ = (region.upper - region.lower)[: len(d)] > KNOWN
        left = np.flatnonzero(open_ & _telling(region, w)).tolist()
    found, area, rows = _width(d, w, region, at), None, []
    while True:
        settled = found[0] > 0 or found[1] < 0
        rows.append((len(rows), area, *found, settled))
        if settled or not left or (most is not None and len(rows) > most):
            break
        tried = {}
        for j in left if order is None else left[:1]:
            part = _known(region, j, true[j])
            tried[j] = (_width(d, w, part, at), part)
        best = min(tried, key=lambda j: tried[j][0][1] - tried[j][0][0])
        left.remove(best)
        (found, region), area = tried[best], d.index[best]
    return pd.DataFrame(rows, columns=["replies", "area_id", "bound_low", "bound_high", "settled"])


def _problem(effects, lower, upper, weights, mean, constraints, at, minimum_areas):
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    shares(at, "at")
    region = evidence_region(d, lower, upper, w, mean, constraints)
    return d, w, replace(region, most_nodes=MOST_NODES)


def _telling(region, w):
    """Tell whose replies can matter: areas with weight, and those that a statement links."""
    linked = np.vstack([region.rows, region.equal_rows])[:, : len(w)].any(axis=0)
    return (w > 0) | linked


def _answers(region, j):
    """Return the ends of an area's own bounds (of the relaxation, where choices are open)."""
    direction = np.zeros(len(region.lower))
    direction[j] = 1.0
    return -region.extreme(-direction)[0], region.extreme(direction)[0]


def _known(region, numbers, values):
    """Return the region after replies, or None if no backlogs go with them."""
    lower, upper = region.lower.copy(), region.upper.copy()
    outside = np.any((values < lower[numbers] - KNOWN) | (values > upper[numbers] + KNOWN))
    lower[numbers] = upper[numbers] = values
    part = replace(region, lower=lower, upper=upper)
    if outside:
        return None
    if not len(part.whole):
        return None if part.extreme(np.zeros(len(lower))) is None else part
    return None if completed(part, lower) is None else part


def _width(d, w, region, at):
    """Return the bounds of the fitted effect, widened by what the search left unproven."""
    ends, _, gap = solved(d, w, region, at, NAMES)
    gap = gap if gap > 1e-8 * np.abs(d).max() else 0.0
    return ends["intercept_low"] - gap, ends["intercept_high"] + gap
