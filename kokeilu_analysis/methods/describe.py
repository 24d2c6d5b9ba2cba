"""What the groups look like before anything is estimated: means over time and balance."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.frames import place


def group_means(frame, outcome, time, group, weights=None):
    """Return the weighted mean of the outcome by time and group.

    Returns
    -------
    DataFrame
        Columns `time`, `group`, ``mean``, ``n_units``.

    Raises
    ------
    KokeiluError
        A value or a weight is missing: a mean of what is left would be of another group.
    """
    w = frame[weights] if weights else pd.Series(1.0, index=frame.index)
    gaps = frame[outcome].isna() | w.isna()
    if gaps.any():
        where, rows = place(frame, gaps, time, group), int(gaps.sum())
        raise KokeiluError(
            f"{where}: {outcome} or its weight is missing in {rows:,} of {len(frame):,} rows, and "
            "a mean of the others would be of another group. Where counts are hidden to protect "
            "persons, name an outcome in [main] of study.toml whose counts are shown everywhere, "
            "such as one with more people in it, or months in [windows] and [event_study] in "
            "which they are."
        )
    parts = pd.DataFrame(
        {time: frame[time], group: frame[group], "w": w, "wy": w * frame[outcome], "n_units": 1}
    )
    sums = parts.groupby([time, group], as_index=False).sum()
    return sums.assign(mean=sums["wy"] / sums["w"])[[time, group, "mean", "n_units"]]


def balance(units, treated, columns, weights=None):
    """Compare treated and control units before the start.

    Parameters
    ----------
    units : DataFrame
        One row per unit.
    treated : str
        0/1 column.
    columns : list of str
        Numeric columns to compare.
    weights : str, optional
        Column of unit weights.

    Returns
    -------
    DataFrame
        ``variable``, ``trial``, ``control`` (weighted means), ``difference`` and
        ``standardised``: the difference over the square root of the mean of the two unweighted
        variances (Imbens & Rubin 2015, ch. 14); above 0.25 in size, regression cannot be trusted
        to remove it.

    Examples
    --------
    >>> u = pd.DataFrame({"d": [1, 1, 0, 0], "x": [3.0, 5, 1, 3]})
    >>> balance(u, "d", ["x"]).loc[0, ["difference", "standardised"]].round(3).tolist()
    [2.0, 1.414]
    """
    arms = {arm: rows for arm, rows in units.groupby(treated)}
    rows = []
    for column in columns:
        mean = {
            arm: np.average(u[column], weights=u[weights] if weights else None)
            for arm, u in arms.items()
        }
        spread = np.sqrt((arms[1][column].var() + arms[0][column].var()) / 2)
        gap = mean[1] - mean[0]
        rows.append([column, mean[1], mean[0], gap, gap / spread])
    names = ["variable", "trial", "control", "difference", "standardised"]
    return pd.DataFrame(rows, columns=names)


def half_years(frame, value, unit, time, start):
    """Average a monthly series over half-years counted from the start.

    Parameters
    ----------
    frame : DataFrame
        Long; `time` holds month starts. Other columns must be constant by unit and are kept.
    value : str
        Column to average.
    start : Timestamp
        First month of half-year 0.

    Returns
    -------
    DataFrame
        `unit`, ``half_year`` (-1 = the six months before the start), `value`, ``span`` (as
        2021M03–2021M08) and the other columns; half-years without all six months of every unit
        are left out.

    Examples
    --------
    >>> months = pd.date_range("2020-09-01", periods=13, freq="MS")
    >>> f = pd.DataFrame({"i": "a", "t": months, "y": range(13)})
    >>> half_years(f, "y", "i", "t", pd.Timestamp("2021-03-01"))[["half_year", "y"]].values.tolist()
    [[-1.0, 2.5], [0.0, 8.5]]
    """
    distance = (frame[time].dt.year - start.year) * 12 + frame[time].dt.month - start.month
    numbered = frame.assign(half_year=distance // 6)
    count = numbered.groupby(["half_year", unit])[time].nunique().groupby("half_year").min()
    numbered = numbered[numbered["half_year"].map(count) == 6]
    rest = [c for c in frame if c not in (value, unit, time)]
    by = numbered.groupby([unit, "half_year"], as_index=False)
    table = by.agg(**{value: (value, "mean")}, **{c: (c, "first") for c in rest})
    first = [start + pd.DateOffset(months=6 * int(h)) for h in table["half_year"]]
    last = [month + pd.DateOffset(months=5) for month in first]
    text = [f"{a:%YM%m}–{b:%YM%m}" for a, b in zip(first, last, strict=True)]
    return table.assign(span=text)
