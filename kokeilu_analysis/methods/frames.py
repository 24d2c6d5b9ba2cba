"""Long frames checked and brought into shape, before any estimator sees them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError


@dataclass(frozen=True)
class Panel:
    """A long frame in the shape that estimators work on.

    `values` holds the outcome (`units` × `times`, NaN where no cell is), `cells` the weight of
    each cell (0 where none is), `by_unit` one entry per unit of ``treated``, ``weight`` (its mean
    over the unit's cells) and ``cluster``; `missing` counts cells without an outcome; `steady`
    says that every unit keeps one weight. `matrix` and `facts` are the same with their labels.
    """

    values: np.ndarray
    units: pd.Index
    times: pd.Index
    cells: np.ndarray
    by_unit: dict
    missing: int
    steady: bool

    @property
    def matrix(self):
        """The outcome as a frame, a row a unit and a column a time."""
        return pd.DataFrame(self.values, index=self.units, columns=self.times)

    @property
    def facts(self):
        """What holds for a unit at all times, a row each."""
        return pd.DataFrame(self.by_unit, index=self.units)


def panel(frame, outcome, unit, time, treated, weights=None, cluster=None):
    """Check a long frame and return it as units × times, gaps and varying weights allowed.

    Parameters
    ----------
    frame : DataFrame
        Long; `unit`, `time`, `outcome`, `treated` (0/1, constant by unit) and, where named,
        `weights` (by cell) and `cluster` (constant by unit) are column names. Weights None or
        "none": every cell the same; cluster None: every unit its own.

    Returns
    -------
    Panel

    Raises
    ------
    KokeiluError
        A column is missing, a cell is infinite or doubled, treatment or cluster is missing or
        changes over time, treatment is not 0 or 1, or a weight is not positive.

    Examples
    --------
    >>> f = pd.DataFrame({"i": list("aab"), "t": [0, 1, 1], "d": [1, 1, 0], "y": [4.0, 7, 2]})
    >>> panel(f, "y", "i", "t", "d").missing    # unit b has no row at time 0
    1
    """
    weights = None if weights == "none" else weights
    needs(frame, outcome, unit, time, treated, weights, cluster)
    u, units = _coded(frame[unit])
    t, times = _coded(frame[time], apart=int((u != u[:1]).argmax()) if len(u) else 0)
    nameless = np.minimum(u, t) < 0  # a missing label has code -1
    if nameless.any():
        raise KokeiluError(f"Row {frame.index[nameless.argmax()]} has no {unit} or no {time}.")
    shape = (len(units), len(times))
    cell = u * shape[1] + t  # place in the flattened matrix
    if len(frame) and np.bincount(cell).max() > 1:
        doubled = frame.duplicated([unit, time])
        raise KokeiluError(f"{place(frame, doubled, unit, time)} is there twice; expected once.")
    numbers = frame[outcome]
    if not pd.api.types.is_numeric_dtype(numbers):
        raise KokeiluError(f"{outcome} holds {numbers.dtype}; expected numbers.")
    values = np.full(shape, np.nan)
    values.reshape(-1)[cell] = numbers.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        at, when = np.argwhere(np.isinf(values))[0]
        raise KokeiluError(
            f"{outcome} of {unit} {units[at]} is missing or infinite at {times[when]}; "
            "expected a finite number."
        )
    begin = np.append(0, np.flatnonzero(u[1:] != u[:-1]) + 1)[: len(u)]
    first = np.empty(shape[0], dtype=int)
    first[u[begin[::-1]]] = begin[::-1]  # the first row of each unit

    def fact(column, right, expected):
        """One value per unit, checked."""
        dtype = frame[column].dtype
        if isinstance(dtype, np.dtype) and dtype.kind in "biu":  # never missing, quick to compare
            code = frame[column].to_numpy()
            own = labels = code[first]
            wrong = ~right(labels)
        else:
            code, labels = _coded(frame[column], sort=False)
            own = code[first]
            wrong = np.append(~right(labels), True)[own]  # a missing label has code -1
        changing = code != own[u]
        if changing.any():
            at = units[u[changing].min()]
            raise KokeiluError(f"{column} of {unit} {at} changes over time; expected one.")
        if wrong.any():
            at = wrong.argmax()
            found = frame[column].iloc[first[at]]
            raise KokeiluError(f"{column} of {unit} {units[at]} is {found}; expected {expected}.")
        return own if own is labels else labels.to_numpy()[own]

    facts = {"treated": fact(treated, lambda v: (v == 0) | (v == 1), "0 or 1").astype(int)}
    cells = np.isfinite(values).astype(float)
    steady = True
    facts["weight"] = np.ones(shape[0])
    if weights is not None:
        w = pd.to_numeric(frame[weights], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        wrong = ~((w > 0) & (w < np.inf))
        if wrong.any():
            at = wrong.argmax()
            raise KokeiluError(
                f"{weights} of {unit} {frame[unit].iloc[at]} is {frame[weights].iloc[at]}; "
                "expected a positive number."
            )
        steady = bool((w == w[first][u]).all())
        cells.reshape(-1)[cell] *= w
        facts["weight"] = w[first] if steady else np.bincount(u, w) / np.bincount(u)
    facts["cluster"] = units
    if cluster is not None:
        facts["cluster"] = fact(cluster, lambda v: np.ones(len(v), bool), "a label")
    units, times, missing = units.rename(unit), times.rename(time), int(np.isnan(values).sum())
    return Panel(values, units, times, cells, facts, missing, steady)


def _coded(column, apart=1, sort=True):
    """Codes of a column's labels, -1 where one is missing, and the labels.

    Long frames mostly hold one block of rows a unit. So a label often repeats the one before it,
    and a time the one `apart` rows before it: then only the others need to be looked up.
    """
    text, rows = column.dtype == "str", len(column)
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufM"
    if not (text or plain) or not 0 < apart < rows:
        return pd.factorize(column, sort=sort)
    values = column.array if text else column.to_numpy()
    new = np.flatnonzero(values[apart:] != values[:-apart])
    if rows % apart or len(new) > (0 if apart > 1 else rows // 4):
        return pd.factorize(column, sort=sort)
    begin = np.arange(apart) if apart > 1 else np.append(0, new + 1)
    if column.dtype.kind in "biu":  # never missing
        labels, code = np.unique(values[begin], return_inverse=True)
    else:
        code, labels = pd.factorize(values[begin], sort=sort)
    if apart > 1:
        return np.tile(code, rows // apart), pd.Index(labels)
    return np.repeat(code, np.diff(begin, append=rows)), pd.Index(labels)


def unit_table(frame, outcome, unit, time, treated, weights=None, cluster=None):
    """Return a unit × time matrix of the outcome and one row of facts per unit.

    Parameters
    ----------
    frame, outcome, unit, time, treated, weights, cluster
        As in `panel`, but no cell may be missing and weights are constant by unit.

    Returns
    -------
    (DataFrame, DataFrame)
        Matrix (units × times) and facts with columns ``treated``, ``weight``, ``cluster``.

    Raises
    ------
    KokeiluError
        See `panel`; also when a cell is missing or a weight changes over time.
    """
    table = panel(frame, outcome, unit, time, treated, weights, cluster)
    if table.missing:
        at, when = np.argwhere(np.isnan(table.values))[0]
        raise KokeiluError(
            f"{outcome} of {unit} {table.units[at]} is missing or infinite at "
            f"{table.times[when]}; expected a balanced panel. Drop the unit, aggregate, "
            "or bound the cell."
        )
    if not table.steady:
        at = np.ptp(table.cells, axis=1).argmax()
        raise KokeiluError(
            f"{weights} of {unit} {table.units[at]} changes over time; expected one."
        )
    return table.matrix, table.facts


def arms(facts):
    """Whether each unit is treated; both groups must be there.

    >>> arms(pd.DataFrame({"treated": [1, 0]})).tolist()
    [True, False]
    """
    arm = facts["treated"].to_numpy() == 1
    if arm.all() or not arm.any():
        raise KokeiluError("A comparison needs treated and control units; one group is empty.")
    return arm


def place(frame, wrong, *columns):
    """Name the first row where `wrong` holds by the columns, as messages print it."""
    return ", ".join(f"{c} {time_text(frame.loc[wrong, c].iloc[0])}" for c in columns)


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


def periods(matrix, start):
    """Times before the start and from it on; both must exist."""
    before = [t for t in matrix.columns if t < start]
    after = [t for t in matrix.columns if t >= start]
    if not before or not after:
        missing = "before" if not before else "after"
        raise KokeiluError(f"No time lies {missing} the start {time_text(start)}.")
    return before, after


def time_text(t):
    """A time as result tables print it.

    >>> time_text(pd.Timestamp("2021-03-01"))
    '2021M03'
    """
    return f"{t:%YM%m}" if isinstance(t, pd.Timestamp) else str(t)


def span(times):
    """First and last of some times, as result tables print them.

    >>> span([1, 2, 3])
    '1–3'
    """
    return f"{time_text(times[0])}–{time_text(times[-1])}"
