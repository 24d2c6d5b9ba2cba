"""What follows from which assumptions: every combination of a few choices, solved beforehand.

A reader of the site moves the assumptions; the site only looks rows of these tables up. Each row
comes from the functions that the notebooks use: `backlog.FeasibleSet` for what the statements
leave open, `lag.midpoint` and `lag.frontier_bounds` for the line through the areas.
"""

import pandas as pd

from kokeilu_analysis.methods import backlog, compare, inference, lag
from kokeilu_analysis.methods.frames import windowed
from kokeilu_analysis.methods.lag_input import shares

# readings of "only few lie below" and of "on average about 50 %", each from wide to narrow
FEW = ("default", "few_at_most_5", "few_at_most_3", "few_at_most_2")
AVERAGE = ("default", "mean_exact")
WEIGHTS = ("labour_force", "area_share")
BASELINE = ("baseline", "covid_year")
REFERENCE = (0.0, 0.125)  # backlog at which the effect is wanted: none; the smallest reported
CONTROL = (0.0, 0.125, 0.25, 0.375)  # controls' own: none to three quarters of the average of 50 %
RHO = (0.0, 0.5, 1.0)
TOLERANCE = 0.005  # percentage points: half of what the second printed decimal can show


def levels(reference=REFERENCE, control=CONTROL, rho=RHO):
    """Return at which backlog the line is read for each reference, control backlog and share rho.

    Of the slope theta1 a share rho is the backlog's own and would have shown without the trial,
    so that ``d_a = tau(B_a) + rho theta1 (B_a - B_C)`` with
    ``tau(B) = tau(0) + (1 - rho) theta1 B``. Then ``tau(r) = theta0 + theta1 (rho B_C +
    (1 - rho) r)``: the fitted line at backlog ``rho B_C + (1 - rho) r``. With r = 0 this is
    `lag.frontier`.

    Parameters
    ----------
    reference, control, rho : sequence of float
        Shares 0–1.

    Returns
    -------
    DataFrame
        ``reference, control, rho, level``; one row a combination.

    Examples
    --------
    >>> levels([0.125], [0.5], [0, 0.5, 1])["level"].tolist()
    [0.125, 0.3125, 0.5]
    """
    table = pd.MultiIndex.from_product(
        [reference, control, rho], names=["reference", "control", "rho"]
    ).to_frame(index=False)
    for name, values in table.items():
        shares(values, name)
    level = table["rho"] * table["control"] + (1 - table["rho"]) * table["reference"]
    return table.assign(level=level.round(9))


def area_effects(rates, plan, baselines=BASELINE, weights=WEIGHTS):
    """Return the areas' effects and the plain comparison for each baseline and weighting.

    Parameters
    ----------
    rates : DataFrame
        Municipality × month with ``municipality, month, value, is_trial, labour_force`` and the
        column of areas `plan.cluster`, over all windows.
    plan : design.Design
    baselines, weights : sequence of str
        Windows of the design; ``labour_force``, or ``area_share``: labour force within an area,
        every area the same.

    Returns
    -------
    (DataFrame, DataFrame)
        ``baseline, weights, area_id, estimate, weight, shared``, the last the standard error of
        the control mean that all areas are compared with; and the estimate schema with `baseline`.
        Both in percentage points.
    """
    areas = rates[[plan.cluster, "municipality", "labour_force"]].drop_duplicates("municipality")
    force = areas.set_index("municipality")["labour_force"]
    size = force.groupby(areas.set_index("municipality")[plan.cluster]).sum()
    share = rates["labour_force"] / rates[plan.cluster].map(size)
    post, effects, plain = plan.windows[plan.post], [], []
    for baseline in baselines:
        rows = windowed(rates.assign(area_share=share), "month", plan.windows[baseline], post)
        names = ("value", "municipality", "month", "is_trial", post.first)
        for kind in weights:
            found = compare.area_effects(rows, *names, plan.cluster, weights=kind)
            weight = found["area_id"].map(size) if kind == "labour_force" else 1.0
            shared = _control_error(rows, names, kind, plan.cluster)
            own = {"baseline": baseline, "weights": kind, "weight": weight, "shared": shared}
            effects.append(found[["area_id", "estimate"]].assign(**own))
            whole = compare.did(rows, *names, weights=kind, cluster=plan.cluster)
            plain.append(whole.assign(baseline=baseline, weights=kind))
    return pd.concat(effects, ignore_index=True), pd.concat(plain, ignore_index=True)


def _control_error(rows, names, weights, cluster):
    """Return the standard error of the mean change of the controls."""
    matrix, units = compare.unit_table(rows, *names[:4], weights, cluster)
    after = matrix.columns >= names[4]
    change = matrix.loc[:, after].mean(axis=1) - matrix.loc[:, ~after].mean(axis=1)
    controls = units[units["treated"] == 0]
    return inference.mean_error(change[controls.index], controls["weight"], controls["cluster"])


def feasible(evidence, areas, few, average, customers=None, groups=None, kept=()):
    """Return the set of backlogs under two readings, or the statements that cannot all hold.

    Parameters
    ----------
    evidence, areas, customers, groups
        As in `backlog.FeasibleSet.from_evidence`.
    few, average : str
        Readings of the two statements.
    kept : collection of str
        Ids of returns; what the letter said in general gives way to them.

    Returns
    -------
    (FeasibleSet or None, list of str)
        The set, or None and the ids of a minimal conflict.
    """
    found = backlog.FeasibleSet.from_evidence(
        evidence, list(areas), customers, [few, average], groups
    )
    conflict = next(iter(found.conflicts(limit=1)), [])
    if set(conflict) & set(kept):
        found, conflict = found.giving_way(kept)[0], []
    return (None, conflict) if conflict else (found, [])


def grid(effects, plain, evidence, customers, groups=None, kept=(), at=None, tolerance=TOLERANCE):
    """Solve every combination of assumptions.

    A bound is the tightest of those of this set and of the wider ones that hold it, so that within
    the tolerance, too, a narrower reading never widens it.

    Parameters
    ----------
    effects, plain : DataFrame
        As `area_effects` returns them.
    evidence, customers, groups, kept
        As in `feasible`.
    at : sequence of float, optional
        Backlogs at which the line is read; those of `levels` if left out.
    tolerance : float
        Percentage points by which a bound may lie outside the sharp one; never inside.

    Returns
    -------
    DataFrame
        One row a combination of ``few, average, weights, baseline, level``: ``estimate, ci_low,
        ci_high`` (plain comparison); ``mean_low, mean_high`` and
        ``mean_of_customers_low, mean_of_customers_high`` (average backlog of areas and of
        customers, shares); ``midpoint, midpoint_ci_low, midpoint_ci_high`` and
        ``bound_low, bound_high`` (effect at the level);
        ``sharp``, whether both bounds are, but for the tolerance; ``conflict``, the statements
        that exclude the combination, whose results are then missing.
    """
    at = sorted(set(levels()["level"])) if at is None else list(at)
    areas = list(dict.fromkeys(effects["area_id"]))
    parts = {
        key: part.set_index("area_id")
        for key, part in effects.groupby(["baseline", "weights"], sort=False)
    }
    lines = plain.set_index(["baseline", "weights"])[["estimate", "ci_low", "ci_high"]]
    solved, rows = {}, []
    for few in FEW:
        for average in AVERAGE:
            given = (evidence, areas, few, average, customers, groups, kept)
            allowed, conflict = feasible(*given)
            own = {"few": few, "average": average, "conflict": "; ".join(conflict)}
            if allowed is not None:
                own |= _averages(allowed)
                ranges = allowed.bounds_area().set_index("area_id").reindex(areas)
            for key, d in parts.items():
                if allowed is not None:
                    limits = (d["weight"], None, allowed, tolerance)
                    solved[few, average, key] = lag.frontier_bounds(
                        d["estimate"], None, None, [1.0], at, *limits
                    )
                for number, level in enumerate(at):
                    row = own | dict(zip(("baseline", "weights"), key, strict=True))
                    row |= {"level": level, "sharp": False} | lines.loc[key].to_dict()
                    if allowed is not None:
                        row |= _midpoint(d, ranges, level)
                        row |= _tightest(solved, few, average, key, number)
                    rows.append(row)
    numbers = [c for c in COLUMNS if c not in (*KEYS, "sharp", "conflict")]
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return table.round(dict.fromkeys(numbers, 6))


def _averages(allowed):
    """Return the bounds of the average backlog of areas and of customers."""
    found = {}
    for kind, name in (("areas", "mean"), ("customers", "mean_of_customers")):
        ends = allowed.bounds(allowed.weights(kind))
        found |= dict(zip((f"{name}_low", f"{name}_high"), ends, strict=True))
    return found


def _tightest(solved, few, average, key, number):
    """Return the tightest bounds among the sets that hold this one."""
    wider = [
        table.iloc[number]
        for (other, mean, part), table in solved.items()
        if part == key
        and FEW.index(other) <= FEW.index(few)
        and AVERAGE.index(mean) <= AVERAGE.index(average)
    ]
    return {
        "bound_low": max(row["bound_low"] for row in wider),
        "bound_high": min(row["bound_high"] for row in wider),
        "sharp": solved[few, average, key]["unproven"].iloc[0] == 0,
    }


def _midpoint(d, ranges, level):
    limits = (ranges["bound_low"], ranges["bound_high"], d["weight"])
    fitted = lag.midpoint(d["estimate"], *limits, at=level, shared=d["shared"].iloc[0]).iloc[0]
    names = ("midpoint", "midpoint_ci_low", "midpoint_ci_high")
    return dict(zip(names, fitted[["estimate", "ci_low", "ci_high"]], strict=True))


KEYS = ["few", "average", "weights", "baseline", "level"]
COLUMNS = [
    *KEYS,
    *("estimate", "ci_low", "ci_high"),
    *("mean_low", "mean_high", "mean_of_customers_low", "mean_of_customers_high"),
    *("midpoint", "midpoint_ci_low", "midpoint_ci_high", "bound_low", "bound_high"),
    *("sharp", "conflict"),
]
