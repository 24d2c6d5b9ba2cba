"""Long frames checked and brought into shape, before any estimator sees them."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError


def unit_table(frame, outcome, unit, time, treated, weights=None, cluster=None):
    """Return a unit × time matrix of the outcome and one row of facts per unit.

    Parameters
    ----------
    frame : DataFrame
        Long; `unit`, `time`, `outcome`, `treated` (0/1, constant by unit) and, where named,
        `weights` and `cluster` (constant by unit) are column names. Weights None or "none": every
        unit the same; cluster None: every unit its own.

    Returns
    -------
    (DataFrame, DataFrame)
        Matrix (units × times) and facts with columns ``treated``, ``weight``, ``cluster``.

    Raises
    ------
    KokeiluError
        A column is missing, a cell is missing, infinite or doubled, a unit fact is missing or
        changes over time, treatment is not 0 or 1, or a weight is not positive.
    """
    weights = None if weights == "none" else weights
    needs(frame, outcome, unit, time, treated, weights, cluster)
    nameless = frame[[unit, time]].isna().any(axis=1)
    if nameless.any():
        raise KokeiluError(f"Row {nameless.idxmax()} has no {unit} or no {time}.")
    doubled = frame.duplicated([unit, time])
    if doubled.any():
        raise KokeiluError(f"{place(frame, doubled, unit, time)} is there twice; expected once.")
    if not pd.api.types.is_numeric_dtype(frame[outcome]):
        raise KokeiluError(f"{outcome} holds {frame[outcome].dtype}; expected numbers.")
    matrix = frame.pivot(index=unit, columns=time, values=outcome).sort_index().sort_index(axis=1)
    gaps = ~np.isfinite(matrix.to_numpy(dtype=float, na_value=np.nan))
    if gaps.any():
        at, when = np.argwhere(gaps)[0]
        raise KokeiluError(
            f"{outcome} of {unit} {matrix.index[at]} is missing or infinite at "
            f"{matrix.columns[when]}; expected a balanced panel. Drop the unit, aggregate, or "
            "bound the cell."
        )
    facts = {"treated": treated, "weight": weights, "cluster": cluster}
    by_unit = frame.groupby(unit)
    columns = {}
    for name, column in facts.items():
        if column is None:
            columns[name] = 1.0 if name == "weight" else matrix.index
            continue
        if (by_unit[column].nunique(dropna=False) > 1).any():
            changing = by_unit[column].nunique(dropna=False).idxmax()
            raise KokeiluError(f"{column} of {unit} {changing} changes over time; expected one.")
        columns[name] = by_unit[column].first().reindex(matrix.index)
    facts = pd.DataFrame(columns, index=matrix.index)
    rules = {
        "treated": (facts["treated"].isin([0, 1]), "0 or 1"),
        "weight": (
            pd.to_numeric(facts["weight"], errors="coerce").between(0, np.inf, "neither"),
            "a positive number",
        ),
        "cluster": (facts["cluster"].notna(), "a label"),
    }
    for name, (right, expected) in rules.items():
        if not right.all():
            wrong = right.idxmin()
            column = {"treated": treated, "weight": weights, "cluster": cluster}[name]
            raise KokeiluError(
                f"{column} of {unit} {wrong} is {facts.loc[wrong, name]}; expected {expected}."
            )
    return matrix, facts.astype({"treated": int})


def place(frame, wrong, *columns):
    """Name the first row where `wrong` holds by the columns, as messages print it."""
    return ", ".join(f"{c} {frame.loc[wrong, c].iloc[0]}" for c in columns)


def needs(frame, *columns):
    """Refuse a frame that lacks one of the columns; None stands for a column not asked for."""
    absent = [c for c in columns if c is not None and c not in frame.columns]
    if absent:
        raise KokeiluError(f"The frame has no column {absent[0]!r}; it has {list(frame.columns)}.")


def ordered(frame, lower, upper, *where):
    """Refuse a cell without two ends, or with its ends the wrong way round."""
    wrong = ~(frame[lower] <= frame[upper])
    if wrong.any():
        found = place(frame, wrong, lower, upper)
        raise KokeiluError(
            f"{place(frame, wrong, *where)}: found {found}; expected two ends in order."
        )


def windowed(frame, time, baseline, window):
    """Rows of the two windows; a month that the frame lacks is an error, not a shorter window."""
    if window.first <= baseline.last:
        raise KokeiluError(
            f"{window.name} {window.text} must begin after the baseline {baseline.text}."
        )
    months = baseline.months.union(window.months)
    absent = months.difference(frame[time])
    if len(absent):
        raise KokeiluError(
            f"{absent[0]:%YM%m} has no rows; the comparison needs all of {baseline.text} and "
            f"{window.text}."
        )
    return frame[frame[time].isin(months)]
