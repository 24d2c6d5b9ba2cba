"""The one schema of estimates: every published number is one row of a table of this shape."""

import pandas as pd

from kokeilu_analysis.errors import KokeiluError

TEXT = ["outcome", "estimand", "estimator", "weights", "pre", "post", "controls"]
WHERE = ["event_month", "area_id"]
SAMPLING = ["estimate", "se", "ci_low", "ci_high", "p", "inference"]
SETS = ["bound_low", "bound_high"]
SIZE = ["n_units", "n_clusters"]
COLUMNS = [*TEXT, *WHERE, *SAMPLING, *SETS, *SIZE, "spec", "is_main", "note"]
NUMBERS = ["estimate", "se", "ci_low", "ci_high", "p", "bound_low", "bound_high"]
COUNTS = ["event_month", "n_units", "n_clusters"]


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
    frame = pd.DataFrame(rows)
    unknown = [c for c in frame.columns if c not in COLUMNS]
    if unknown:
        raise KokeiluError(f"No column {unknown[0]} in the schema of estimates; it has {COLUMNS}.")
    frame = frame.reindex(columns=COLUMNS)
    for column in NUMBERS:
        frame[column] = pd.to_numeric(frame[column]).astype(float)
    for column in COUNTS:
        frame[column] = pd.to_numeric(frame[column]).astype("Int64")
    frame["is_main"] = frame["is_main"].astype("boolean").fillna(False).astype(bool)
    text = [*TEXT, "area_id", "inference", "spec", "note"]
    frame[text] = frame[text].astype("str").where(frame[text].notna(), "")
    return frame
