"""The one schema of estimates: every published number is one row of a table of this shape."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.frames import span

TEXT = ["outcome", "estimand", "estimator", "weights", "pre", "post", "controls"]
WHERE = ["event_month", "area_id"]
SAMPLING = ["estimate", "se", "ci_low", "ci_high", "p", "inference"]
SETS = ["bound_low", "bound_high"]
SIZE = ["n_units", "n_clusters"]
COLUMNS = [*TEXT, *WHERE, *SAMPLING, *SETS, *SIZE, "spec", "is_main", "note"]
NUMBERS = ["estimate", "se", "ci_low", "ci_high", "p", "bound_low", "bound_high"]
COUNTS = ["event_month", "n_units", "n_clusters"]
KIND_OF = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(COUNTS, "count") | {"is_main": "flag"}
KINDS = {
    "text": lambda v: pd.array(["" if x is None else str(x) for x in v], dtype="str"),
    "number": lambda v: np.array(v, dtype=float),
    "count": lambda v: pd.array(v, dtype="Int64"),
    "flag": lambda v: np.array([bool(x) for x in v], dtype=bool),
}


def table(rows):
    """Return rows as a frame of the schema; what a row leaves out is empty.

    Parameters
    ----------
    rows : list of dict, or DataFrame

    Returns
    -------
    DataFrame
        `COLUMNS`. Effects in percentage points of the fixed labour force unless `outcome` says
        otherwise; negative = fewer unemployed.

    Raises
    ------
    KokeiluError
        A row has a column that the schema does not know.

    Examples
    --------
    >>> float(table([{"outcome": "unemployed", "estimate": -0.2}]).loc[0, "estimate"])
    -0.2
    """
    if isinstance(rows, pd.DataFrame):
        index, given = rows.index, {column: rows[column].tolist() for column in rows}
    else:
        rows = list(rows)
        index, names = range(len(rows)), dict.fromkeys(name for row in rows for name in row)
        given = {column: [row.get(column) for row in rows] for column in names}
    unknown = [column for column in given if column not in COLUMNS]
    if unknown:
        raise KokeiluError(f"No column {unknown[0]} in the schema of estimates; it has {COLUMNS}.")
    size, nothing = len(index), [None] * len(index)
    cells = {c: [None if pd.isna(v) else v for v in given[c]] for c in given}
    filled = {}
    for kind, typed in KINDS.items():
        # one array for all columns of a kind, cut afterwards: pandas takes long over each
        columns = [c for c in COLUMNS if KIND_OF.get(c, "text") == kind]
        every = typed([v for c in columns for v in cells.get(c, nothing)])
        filled |= {c: every[k * size : (k + 1) * size] for k, c in enumerate(columns)}
    return pd.DataFrame({c: filled[c] for c in COLUMNS}, index=index)


def att(found, outcome, estimator, weights, before, after, n_units):
    """One row: an average effect on the treated, with what was compared.

    Parameters
    ----------
    found : dict
        The columns that the estimator knows: ``estimate``, ``se``, …
    outcome, estimator : str
    weights : str or None
    before, after : list of times
    n_units : int

    Returns
    -------
    DataFrame
        One row of the estimate schema.

    Examples
    --------
    >>> row = att({"estimate": 1.0}, "unemployed", "by hand", None, [1, 2], [3], 10).loc[0]
    >>> row["pre"], row["weights"]
    ('1–2', 'none')
    """
    common = {
        "outcome": outcome,
        "estimand": "ATT",
        "estimator": estimator,
        "weights": weights or "none",
        "pre": span(before),
        "post": span(after),
        "n_units": n_units,
    }
    return table([common | found])
