"""Whose answer would teach the most: how an area's exact figure narrows a bound."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError


def rank_replies(feasible, weights, grid=9):
    """Rank the areas by how much an exact reply would narrow the bounds of ``Σ wᵢ Bᵢ``.

    A reply of area j fixes ``Bⱼ`` at some value the statements still allow. After it the bounds
    have a width that depends on the value: the worst, the best and the mean over the possible
    answers are given. Nothing is assumed about which answer is likely except in the mean.

    Parameters
    ----------
    feasible : kokeilu_analysis.methods.backlog.FeasibleSet
    weights : Series or dict by area
        The quantity of interest, as in `FeasibleSet.bounds`.
    grid : int
        Number of evenly spaced answers between the area's bounds, ends included, at least 2.

    Returns
    -------
    DataFrame
        rank, area_id, bound_low, bound_high (the possible answers), width_now, width_worst,
        width_best, width_mean, gain_worst, gain_best, gain_mean; the most telling area first
        (by mean gain, then by the gain in the worst case).

    Notes
    -----
    `width_worst` is exact: the widest bounds over all answers are one programme with two copies
    of the backlogs that agree in area j. `width_best` and `width_mean` are over the grid; where
    only linear statements restrict the backlogs the width is concave in the answer, so that the
    best lies at an end and is exact as well. The mean is over answers spread evenly between the
    area's bounds (trapezoidal rule). Answers inside a gap of the set are left out.

    Examples
    --------
    >>> from kokeilu_analysis.methods.backlog import FeasibleSet
    >>> evidence = pd.DataFrame({"subject": ["A", "B"], "kind": "range", "lower": [0.2, 0.4],
    ...                          "upper": [0.8, 0.5]})
    >>> ranked = rank_replies(FeasibleSet.from_evidence(evidence, ["A", "B"]), {"A": 1, "B": 1})
    >>> ranked[["area_id", "gain_mean"]].round(6).to_dict("list")
    {'area_id': ['A', 'B'], 'gain_mean': [0.6, 0.1]}
    """
    if grid < 2:
        raise KokeiluError("The grid of answers needs both ends: at least 2 points.")
    w = pd.Series(weights, dtype=float).reindex(feasible.areas, fill_value=0.0)
    low, high = feasible.bounds(weights)
    now, bounds = high - low, feasible.bounds_area()
    found, rows = {}, []
    # areas of which the same was said, and with the same weight, are worth the same
    for area, kind, answers in zip(
        feasible.areas, feasible.alike(), bounds.itertuples(index=False), strict=True
    ):
        if (kind, w[area]) not in found:
            found[kind, w[area]] = _widths(feasible, w.to_numpy(), answers, grid, now)
        worst, best, mean = found[kind, w[area]]
        gains = now - worst, now - best, now - mean
        rows.append((*answers, now, worst, best, mean, *gains))
    columns = (
        "area_id bound_low bound_high width_now width_worst width_best width_mean "
        "gain_worst gain_best gain_mean"
    )
    table = pd.DataFrame(rows, columns=columns.split())
    numbers = columns.split()[1:]
    # equal gains differ in their last digits; rounding keeps the order of areas stable
    table[numbers] = table[numbers].round(10) + 0.0
    order = np.lexsort([table["area_id"], -table["gain_worst"], -table["gain_mean"]])
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _widths(feasible, w, answers, grid, now):
    """Return the worst, best and mean width after a reply of one area."""
    number = feasible.areas.index(answers.area_id)
    if answers.bound_high - answers.bound_low < 1e-9:
        return now, now, now  # the answer is known already
    program, columns = feasible.program(), np.arange(len(w))
    values = np.linspace(answers.bound_low, answers.bound_high, grid)
    widths = np.full(grid, np.nan)
    for k, value in enumerate(values):
        program.lower[number] = program.upper[number] = value
        least, most = program.minimise(columns, w), program.minimise(columns, -w)
        if least is not None and most is not None:
            widths[k] = -most[0] - least[0]
    known = np.isfinite(widths)
    pairs = known[1:] & known[:-1]
    if pairs.any():
        mean = ((widths[1:] + widths[:-1]) / 2)[pairs].mean()
    else:
        mean = widths[known].mean()
    worst = max(_worst(feasible, w, number), widths[known].max())
    return min(worst, now), widths[known].min(), mean


def _worst(feasible, w, number):
    twice = feasible.program()
    second = twice.include(feasible.program())
    twice.row([number, second + number], [1.0, -1.0], 0.0, 0.0)
    n = len(w)
    columns = np.concatenate([np.arange(n), second + np.arange(n)])
    return -twice.minimise(columns, np.concatenate([w, -w]))[0]
