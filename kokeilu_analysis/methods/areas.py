"""One trial area at a time: its own comparison, and how far its backlog could have moved it."""

import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.describe import group_means
from kokeilu_analysis.methods.frames import needs


def own_comparison(frame, outcome, time, area, treated, region, weights=None, fewest=3):
    """Return the mean outcome of each treated area and of the controls nearest to it in kind.

    An area is compared with the control units of its own regions. Where these are fewer than
    `fewest`, one unit's luck would pass for the region's, and all controls are taken instead.

    Parameters
    ----------
    frame : DataFrame
        Long, one row per unit and time; column names follow. `treated` is 0/1 and `area` says
        which area a treated row belongs to; an area may lie in several regions.
    weights : str, optional
        Column of weights; None: every row the same.
    fewest : int
        Smallest number of control units of the same region that is a comparison.

    Returns
    -------
    DataFrame
        ``area_id``, `time`, ``area`` and ``comparison`` (weighted means, in the outcome's unit),
        ``controls`` (``same_region`` or ``all``), ``n_controls``; sorted by area and time.

    Raises
    ------
    KokeiluError
        A column, a value or a weight is missing, or there is no treated or no control unit.

    Examples
    --------
    >>> f = pd.DataFrame({"t": 0, "a": [*"AABCC"], "d": [1, 1, 0, 0, 0], "r": [*"nnnss"],
    ...                   "y": [4.0, 6, 3, 1, 2]})
    >>> own_comparison(f, "y", "t", "a", "d", "r", fewest=1).values.tolist()
    [['A', 0, 5.0, 3.0, 'same_region', 1]]
    >>> own_comparison(f, "y", "t", "a", "d", "r", fewest=2).values.tolist()
    [['A', 0, 5.0, 2.0, 'all', 3]]
    """
    needs(frame, outcome, time, area, treated, region, *([weights] if weights else []))
    arm = frame[treated] == 1
    treated_rows, controls = frame[arm], frame[~arm]
    if treated_rows.empty or controls.empty:
        raise KokeiluError(f"{treated} holds one value only; expected rows of 1 and of 0.")

    def mean(rows, name):
        means = group_means(rows.assign(_all=0), outcome, time, "_all", weights)
        return means.set_index(time)[["mean", "n_units"]].rename(columns={"mean": name})

    everyone, parts = mean(controls, "comparison"), []
    for name, rows in treated_rows.groupby(area):
        same = controls[controls[region].isin(rows[region].unique())]
        near = mean(same, "comparison") if len(same) else None
        enough = near is not None and near["n_units"].min() >= fewest
        chosen = near if enough else everyone
        part = mean(rows, "area")[["area"]].join(chosen, how="left").reset_index()
        kind = "same_region" if enough else "all"
        parts.append(part.assign(area_id=name, controls=kind, n_controls=part["n_units"]))
    columns = ["area_id", time, "area", "comparison", "controls", "n_controls"]
    return pd.concat(parts, ignore_index=True)[columns]


def without_backlog(effects, lower, upper, slope):
    """Return what each area's effect could be had it started without a backlog.

    The effect less slope times backlog, for every slope and every backlog of the ranges. Slope
    and backlogs are taken as free of each other, so the range holds the sharp one and may be
    wider; sampling error comes on top.

    Parameters
    ----------
    effects : Series
        Effect by area, any unit.
    lower, upper : Series
        Range of each area's backlog, shares 0–1.
    slope : (float, float)
        Range of the change of effect from backlog 0 to 1, in the unit of the effects.

    Returns
    -------
    DataFrame
        ``area_id, estimate, bound_low, bound_high``, in the order of `effects`.

    Raises
    ------
    KokeiluError
        An area lacks a range, or a range is upside down or no share.

    Examples
    --------
    >>> one = pd.Series({"A": 1.0})
    >>> without_backlog(one, 0.5 * one, 0.8 * one, (-1, 2)).values.tolist()   # 1-1.6, 1+0.8
    [['A', 1.0, -0.6000000000000001, 1.8]]
    """
    low, high = lower.reindex(effects.index), upper.reindex(effects.index)
    wrong = ~((low >= 0) & (low <= high) & (high <= 1))
    if wrong.any():
        area = wrong.idxmax()
        raise KokeiluError(
            f"Backlog of area {area}: found {low[area]} to {high[area]}, expected a range of "
            "shares between 0 and 1."
        )
    if slope[0] > slope[1]:
        raise KokeiluError(f"Slope: found {slope[0]} to {slope[1]}, expected the lower end first.")
    corners = pd.DataFrame({(s, i): s * b for s in slope for i, b in enumerate((low, high))})
    bounds = {
        "bound_low": effects - corners.max(axis=1),
        "bound_high": effects - corners.min(axis=1),
    }
    table = pd.DataFrame({"estimate": effects} | bounds)
    return table.rename_axis("area_id").reset_index()
