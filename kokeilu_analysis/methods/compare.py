"""Trial against control: from the hand-computed two-by-two to the event study.

Every function takes a long frame with named columns and works on any panel with one start date;
none knows this study's names. Where the panel is balanced and weights are constant the closed
forms hold; elsewhere the regression that they stand for is solved.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates, fixed_effects, inference
from kokeilu_analysis.methods.frames import (
    arms,
    needs,
    ordered,
    panel,
    periods,
    span,
    time_text,
    unit_table,
    windowed,
)
from kokeilu_analysis.methods.synthetic import synthetic_did as synthetic_did  # one door to all

CR3 = "cluster jackknife (CR3), t(G-1)"


def did(frame, outcome, unit, time, treated, start, weights=None, cluster=None, level=0.95):
    """Difference-in-differences of period means: the two-by-two.

    This is the coefficient of treated × post in a regression with unit and time effects. On a
    balanced panel with constant weights it is a difference of mean changes and computed as one;
    elsewhere the regression is solved and ``note`` says how many cells are missing.

    Parameters
    ----------
    frame, outcome, unit, time, treated, weights, cluster
        See `frames.panel`. Times before `start` are "before", the others "after".
    start : value of `time`
        First treated time.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        One row of the estimate schema, in the unit of the outcome.

    Raises
    ------
    KokeiluError
        See `frames.panel`; also when no time lies before, or after, the start, or the cells that
        there are do not identify the effect.

    References
    ----------
    Card & Krueger 1994, AER; Baker, Callaway, Cunningham, Goodman-Bacon & Sant'Anna 2025.

    Examples
    --------
    >>> f = pd.DataFrame({"i": list("aabbcc"), "t": [0, 1] * 3, "d": [1, 1, 0, 0, 0, 0],
    ...                   "y": [4.0, 7, 2, 3, 1, 2]})
    >>> float(did(f, "y", "i", "t", "d", 1).loc[0, "estimate"])    # (7-4) - (1+1)/2
    2.0
    """
    table = panel(frame, outcome, unit, time, treated, weights, cluster)
    before, after = periods(table.matrix, start)
    late = table.times >= start
    if _closed(table):
        change = table.values[:, late].mean(axis=1) - table.values[:, ~late].mean(axis=1)
        found = inference.difference(change, *_roles(table), level)
    else:
        found = fixed_effects.two_by_two(table, late, level)
    row = _row(found, outcome, "difference-in-differences", weights, before, after, table.units)
    return estimates.table([row | {"note": _note(table)}])


def two_by_twos(frame, outcome, unit, time, treated, baseline, windows, weights, cluster, main):
    """Every two-by-two of a baseline window against later windows, for each weighting.

    Parameters
    ----------
    frame, outcome, unit, time, treated, cluster
        As in `did`.
    baseline : design.Window
    windows : list of design.Window
    weights : list of str or None
        Columns of unit weights; None = every unit the same.
    main : (str, str or None)
        Name of the window and weights of the main specification.

    Returns
    -------
    DataFrame
        The estimate schema; ``spec`` = window/weights.

    Raises
    ------
    KokeiluError
        See `unit_table`; also when a month of a window has no rows, or a window does not begin
        after the baseline.
    """
    tables = []
    for window in windows:
        inside = windowed(frame, time, baseline, window)
        for weight in weights:
            row = did(inside, outcome, unit, time, treated, window.first, weight, cluster)
            spec = f"{window.name}/{weight or 'none'}"
            is_main = spec == f"{main[0]}/{main[1] or 'none'}"
            tables.append(row.assign(spec=spec, is_main=is_main))
    return pd.concat(tables, ignore_index=True)


def leave_one_out(frame, outcome, unit, time, treated, start, cluster, weights=None):
    """Estimate the two-by-two without each treated cluster in turn.

    Returns
    -------
    DataFrame
        ``area_id`` (the cluster left out), ``estimate``, sorted by estimate.

    Raises
    ------
    KokeiluError
        See `unit_table`; also when a group is empty without the cluster.
    """
    matrix, facts = unit_table(frame, outcome, unit, time, treated, weights, cluster)
    before, after = periods(matrix, start)
    change = matrix[after].mean(axis=1) - matrix[before].mean(axis=1)
    clusters = sorted(facts.loc[facts["treated"] == 1, "cluster"].unique())
    estimate = [_gap(change[facts["cluster"] != c], facts[facts["cluster"] != c]) for c in clusters]
    left = pd.DataFrame({"area_id": clusters, "estimate": estimate})
    return left.sort_values("estimate", kind="stable", ignore_index=True)


def did_interval(frame, lower, upper, unit, time, treated, start, weights=None, cluster=None):
    """Sharp bounds of the two-by-two when some cells are intervals.

    The smallest difference has treated cells low after and high before, control cells the other
    way round; hidden cells are free of each other, so both ends are attained.

    Parameters
    ----------
    lower, upper : str
        Columns with the ends of each cell; the other arguments as in `did`.

    Returns
    -------
    (float, float)

    Raises
    ------
    KokeiluError
        See `unit_table`; also when a lower end lies above its upper end.

    Examples
    --------
    >>> f = pd.DataFrame({"i": list("aabb"), "t": [0, 1] * 2, "d": [1, 1, 0, 0],
    ...                   "lo": [4.0, 7, 2, 3], "up": [4.0, 8, 2, 4], "c": 1})
    >>> did_interval(f, "lo", "up", "i", "t", "d", 1)    # (7-4)-(4-2), (8-4)-(3-2)
    (1.0, 3.0)
    """
    needs(frame, lower, upper, unit, time, treated)
    ordered(frame, lower, upper, unit, time)
    ends = []
    for rising, falling in ((lower, upper), (upper, lower)):
        takes_rising = (frame[treated] == 1) == (frame[time] >= start)
        cell = frame[rising].where(takes_rising, frame[falling])
        matrix, facts = unit_table(
            frame.assign(cell=cell), "cell", unit, time, treated, weights, cluster
        )
        before, after = periods(matrix, start)
        change = matrix[after].mean(axis=1) - matrix[before].mean(axis=1)
        ends.append(_gap(change, facts))
    return tuple(ends)


def seasonal_change(frame, outcome, unit, time, first, last):
    """Subtract each unit's own mean over the same calendar month of a baseline window.

    Adding unit effects, month effects or any unit-by-calendar-month pattern to the outcome leaves
    the differences between groups of the result unchanged.

    Parameters
    ----------
    frame : DataFrame
        Long; `time` holds month starts (datetime64).
    first, last : Timestamp
        Baseline window, both ends included; must cover each calendar month equally often.

    Returns
    -------
    DataFrame
        The frame with column ``change``, in the unit of the outcome.

    Raises
    ------
    KokeiluError
        The window does not cover whole years in the data of every unit.
    """
    needs(frame, outcome, unit, time)
    season = frame[time].dt.month
    base = frame[(frame[time] >= first) & (frame[time] <= last)]
    counted = base.groupby([unit, base[time].dt.month])[outcome].agg(["mean", "count"])
    often = (
        counted["count"]
        .unstack(fill_value=0)
        .reindex(index=frame[unit].unique(), columns=range(1, 13), fill_value=0)
    )
    uneven = often.ne(max(often.to_numpy().max(), 1))
    if uneven.to_numpy().any():
        at, month = np.argwhere(uneven.to_numpy())[0]
        raise KokeiluError(
            f"The baseline {first:%YM%m}–{last:%YM%m} must hold every calendar month of every "
            f"{unit} equally often; {often.index[at]} has month {month + 1} "
            f"{often.iloc[at, month]} times."
        )
    keys = pd.MultiIndex.from_arrays([frame[unit], season])
    return frame.assign(change=frame[outcome] - counted["mean"].reindex(keys).to_numpy())


def event_study(
    frame, outcome, unit, time, treated, start, weights=None, cluster=None, base="last", level=0.95
):
    """Difference between groups at each time, relative to a base, with pointwise intervals.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start, weights, cluster
        As in `did`.
    base : "last", None or list of times
        Base of the comparison: the last time before `start`; none, when the outcome is already a
        change (see `seasonal_change`); or the mean of the listed times.

    Returns
    -------
    DataFrame
        The estimate schema, one row per time; ``event_month`` counts times from the start (0 =
        first treated). With base "last" that time is in the table with estimate and error 0.
        Where cells are missing or weights vary the regression with unit and time effects is
        solved; a time that its group's cells do not link to the base has an empty estimate.

    References
    ----------
    With one start date each coefficient is a difference of group means of Y_t - Y_base, which is
    also ATT(g, t) of Callaway & Sant'Anna 2021.

    Examples
    --------
    >>> f = pd.DataFrame({"i": list("aabbccdd"), "t": [0, 1] * 4, "d": [1] * 4 + [0] * 4,
    ...                   "y": [4.0, 7, 2, 3, 1, 2, 1, 1]})
    >>> event_study(f, "y", "i", "t", "d", 1)["estimate"].tolist()    # mean(3, 1) - mean(1, 0)
    [0.0, 1.5]
    """
    table = panel(frame, outcome, unit, time, treated, weights, cluster)
    before, after = periods(table.matrix, start)
    based = None
    if base is not None:
        based = [before[-1]] if isinstance(base, str) and base == "last" else list(base)
        absent = [b for b in based if b not in table.times]
        if absent or not based:
            raise KokeiluError(f"Base {absent or base} is not among the times of the frame.")
    places = None if based is None else table.times.get_indexer(based)
    if _closed(table):
        change = table.values
        if based:
            change = change - change[:, places].mean(axis=1)[:, None]
        found = inference.difference(change, *_roles(table), level)
    else:
        found = fixed_effects.by_time(table, places, level)
    pre = "" if based is None else "–".join(dict.fromkeys(map(time_text, (based[0], based[-1]))))
    common = _row(found, outcome, "event study", weights, before, after, table.units)
    common["pre"] = pre
    by_time = {k: v.tolist() for k, v in common.items() if isinstance(v, np.ndarray)}
    loose = np.where(np.isnan(found["estimate"]), "; this time has no link to the base", "")
    by_time |= {
        "event_month": range(-len(before), len(after)),
        "post": map(time_text, table.times),
        "note": [_note(table) + said for said in loose],
    }
    each = (dict(zip(by_time, row, strict=True)) for row in zip(*by_time.values(), strict=True))
    return estimates.table([common | row for row in each])


def event_interval(frame, lower, upper, time, treated, first, last, weights=None):
    """Bounds of the seasonal gap between groups at each time when some cells are intervals.

    Parameters
    ----------
    frame : DataFrame
        Long; `lower` and `upper` hold the ends of each cell, `weights` a column of unit weights.
    first, last : Timestamp
        Baseline window of whole years; times before or in it are left out, since their own cells
        are the base.

    Returns
    -------
    DataFrame
        `time`, ``bound_low``, ``bound_high``: the trial group's change from the same calendar
        months of the baseline minus the control group's, all hidden cells free of each other.

    Raises
    ------
    KokeiluError
        A column or an end is missing, a lower end lies above its upper end, the groups change
        from one time to another, or the baseline is not of whole years.
    """
    weights = None if weights == "none" else weights
    needs(frame, lower, upper, time, treated, weights)
    w = frame[weights] if weights else pd.Series(1.0, index=frame.index)
    ordered(frame, lower, upper, time)
    if not (frame[treated].isin([0, 1]).all() and (w > 0).all()):
        raise KokeiluError(f"{treated} must be 0 or 1 and weights positive in every row.")
    size = w.groupby([frame[treated], frame[time]]).sum().unstack(0)
    moved = size.isna().any(axis=1) | ~np.isclose(size, size.iloc[0], rtol=1e-9).all(axis=1)
    if moved.any():
        raise KokeiluError(f"The groups at {time_text(moved.idxmax())} are not those before it.")
    parts = frame[[time, treated]].assign(w=w, low=w * frame[lower], up=w * frame[upper])
    sums = parts.groupby([treated, time]).sum()
    ends = sums[["low", "up"]].div(sums["w"], axis=0)
    months = ends.index.get_level_values(time)
    in_base = (months >= first) & (months <= last)
    per_month = ends[in_base].groupby([treated, months[in_base].month])["low"].count()
    if len(per_month) != 24 or per_month.nunique() != 1:
        raise KokeiluError(
            f"The baseline {first:%YM%m}–{last:%YM%m} must hold every calendar month equally often."
        )
    base = ends[in_base].groupby([treated, months[in_base].month]).mean()

    def change(arm, now, then):
        after = ends.loc[arm, now]
        after = after[after.index > last]
        return after - base.loc[arm, then].reindex(after.index.month).to_numpy()

    low = change(1, "low", "up") - change(0, "up", "low")
    high = change(1, "up", "low") - change(0, "low", "up")
    return pd.DataFrame({"bound_low": low, "bound_high": high}).reset_index()


def area_effects(frame, outcome, unit, time, treated, start, area, weights=None, level=0.95):
    """Effect by treated area: its change minus the mean change of the control units.

    One area's interval cannot come from its own data; it comes from how far control areas stray
    from their mean: change ± t(C-1) · s · sqrt(1 + 1/C), s the standard deviation over the C
    control areas (the idea of Conley & Taber 2011, REStat 93(1)).

    Parameters
    ----------
    area : str
        Column with the area of each unit; the other arguments as in `did`.

    Returns
    -------
    DataFrame
        The estimate schema, one row per treated area.
    """
    from scipy import special

    matrix, facts = unit_table(frame, outcome, unit, time, treated, weights, area)
    before, after = periods(matrix, start)
    change = matrix[after].mean(axis=1) - matrix[before].mean(axis=1)
    weighted = pd.DataFrame(
        {"w": facts["weight"], "wd": facts["weight"] * change, "n": 1, "d": facts["treated"]}
    )
    arms = weighted.groupby(facts["cluster"])["d"].nunique()
    if (arms > 1).any():
        raise KokeiluError(f"Area {arms.idxmax()} is partly treated; an area has one treatment.")
    sums = weighted.groupby([weighted["d"], facts["cluster"]]).sum()[["w", "wd", "n"]]
    means = sums["wd"] / sums["w"]
    control_mean = sums.loc[0, "wd"].sum() / sums.loc[0, "w"].sum()
    controls, treated_areas = means.loc[0], means.loc[1]
    s = controls.std(ddof=1) * np.sqrt(1 + 1 / len(controls))
    reach = special.stdtrit(len(controls) - 1, 0.5 + level / 2) * s
    estimate = treated_areas.to_numpy() - control_mean
    common = _row({}, outcome, "area change minus control mean", weights, before, after, facts)
    rows = {
        "area_id": treated_areas.index,
        "estimate": estimate,
        "se": s,
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "inference": f"spread of {len(controls)} control areas, t(C-1)",
        "n_units": sums.loc[1, "n"].to_numpy(),
    }
    return estimates.table(pd.DataFrame(common | rows))


def _closed(table):
    """Whether the means of units' changes are the regression: no gap, one weight per unit."""
    return table.missing == 0 and table.steady


def _roles(table):
    """Treatment, weight and cluster by unit, as the methods of inference take them."""
    return table.by_unit["treated"], table.by_unit["weight"], table.by_unit["cluster"]


def _note(table):
    """What the regression had to do without, said in the row."""
    said = []
    if table.missing:
        said.append(f"{table.missing} of {table.cells.size} cells missing")
    if not table.steady:
        said.append("weights vary over time")
    return "; ".join(said)


def _gap(change, facts):
    """Weighted mean change of the treated minus that of the controls."""
    arm = arms(facts)
    means = [np.average(change[a], weights=facts.loc[a, "weight"]) for a in (arm, ~arm)]
    return float(means[0] - means[1])


def _row(found, outcome, estimator, weights, before, after, units):
    found = {k: v for k, v in found.items() if k != "se_cr1"}
    return {
        "outcome": outcome,
        "estimand": "ATT",
        "estimator": estimator,
        "weights": weights or "none",
        "pre": span(before),
        "post": span(after),
        "inference": CR3,
        "n_units": len(units),
        **found,
    }
