"""Random linked tables with small counts, and an attacker who shares no code with the study.

The numbers are made up: seeded random counts by place, in a nested division, and by status.
"""

import numpy as np
import pandas as pd

STATUS = {"unemployed": ["men", "women"]}
WITHIN = [("long_term", "unemployed"), ("under_25", "unemployed"), ("under_20", "under_25")]


def one_small(kept=()):
    """Return a small cell, a larger one and their total, some of them to be kept; and the sums."""
    table = pd.DataFrame({"unit": ["a", "b", "all"], "value": [3, 8, 11]})
    return table.assign(kept=table["unit"].isin(kept)), {"unit": [("all", ["a", "b"])]}


def draw(seed):
    """Return a table (``unit, measure, value``) with its totals, its sums and what lies within.

    Two-way: places × status. Places nest: municipality, sub-region, country, and areas that cut
    across the sub-regions; men and women add up; young and long-term are parts.
    """
    rng = np.random.default_rng(seed)
    places = [f"m{i}" for i in range(rng.integers(4, 10))]
    sub = {p: f"s{rng.integers(0, 3)}" for p in places}
    area = {p: f"a{rng.integers(0, 2)}" for p in places}
    scale = rng.choice([2.0, 8.0, 60.0], len(places))
    men, women = rng.poisson(scale), rng.poisson(scale)
    unemployed = men + women
    under_25 = rng.binomial(unemployed, 0.3)
    counts = {
        "men": men,
        "women": women,
        "unemployed": unemployed,
        "long_term": rng.binomial(unemployed, 0.4),
        "under_25": under_25,
        "under_20": rng.binomial(under_25, 0.5),
    }
    wide = pd.DataFrame(counts, index=places)
    units = [
        (total, [p for p in places if of[p] == total])
        for of in (sub, area)
        for total in sorted(set(of.values()))
    ]
    units.append(("all", sorted(set(sub.values()))))
    for total, parts in units:
        wide.loc[total] = wide.loc[parts].sum()
    table = wide.rename_axis("unit").reset_index().melt("unit", var_name="measure")
    return table, {"unit": units, "measure": list(STATUS.items())}, {"measure": WITHIN}


def widths(published, sums, within, rounding=0, differences=()):
    """Return what linear programmes leave open of each hidden cell and each asked difference.

    Parameters
    ----------
    published : DataFrame
        ``unit, measure, lower, upper, status`` as put out.
    differences : list of (unit, part, whole)

    Returns
    -------
    (Series, list)
        Number of whole units between least and greatest, by (unit, measure), and the same of the
        differences.
    """
    from scipy.optimize import linprog

    cells = list(zip(published["unit"], published["measure"], strict=True))
    at = {cell: i for i, cell in enumerate(cells)}
    units, measures = published["unit"].unique(), published["measure"].unique()
    equal, above = [], []
    for total, parts in sums["unit"]:
        equal += [([(total, m)], [(p, m) for p in parts]) for m in measures]
    for total, parts in sums["measure"]:
        equal += [([(u, total)], [(u, p) for p in parts]) for u in units]
    for part, whole in within["measure"]:
        above += [([(u, part)], [(u, whole)]) for u in units]

    def rows(pairs):
        matrix = np.zeros((len(pairs), len(cells)))
        for i, (plus, minus) in enumerate(pairs):
            for cell in plus:
                matrix[i, at[cell]] += 1
            for cell in minus:
                matrix[i, at[cell]] -= 1
        return matrix

    open_by = np.where((published["status"] == "observed") & (rounding > 1), rounding / 2, 0)
    low = np.maximum(published["lower"].to_numpy() - open_by, 0)
    bounds = np.column_stack([low, published["upper"].to_numpy() + open_by])
    a_eq, a_ub = rows(equal), rows(above)

    def width(cost):
        ends = []
        for sign in (1, -1):
            answer = linprog(
                sign * cost, a_ub, np.zeros(len(a_ub)), a_eq, np.zeros(len(a_eq)), bounds
            )
            assert answer.status == 0, answer.message
            ends.append(sign * answer.fun)
        return np.floor(ends[1] + 1e-6) - np.ceil(ends[0] - 1e-6)

    hidden = published.index[published["status"] == "hidden"]
    found = {cells[i]: width(np.eye(len(cells))[i]) for i in hidden}
    asked = [width(rows([([(u, whole)], [(u, part)])])[0]) for u, part, whole in differences]
    return pd.Series(found, dtype=float), asked


def small_differences(table, within, minimum):
    """Return (unit, part, whole) wherever the whole is a little more than the part."""
    wide = table.pivot(index="unit", columns="measure", values="value")
    return [
        (unit, part, whole)
        for part, whole in within["measure"]
        for unit, rest in (wide[whole] - wide[part]).items()
        if 0 < rest < minimum
    ]
