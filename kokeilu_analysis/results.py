"""Result tables: the only way that numbers travel from a notebook to figures and reports."""

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError


def write(name, frame, folder=paths.RESULTS):
    """Write a result table.

    Parameters
    ----------
    name : str
        ``<notebook number>_<topic>``, without ending.
    frame : DataFrame
        Sorted by the caller; written without index.
    """
    store.write_csv(folder / f"{name}.csv", frame)


def read(name, folder=paths.RESULTS):
    """Read a result table back; codes stay text, months become dates.

    Raises
    ------
    DataError
        The table has not been made yet.
    """
    path = folder / f"{name}.csv"
    if not path.exists():
        raise DataError(
            paths.shown(path), "no such file", "a result table", advice="Run `kokeilu notebooks`."
        )
    columns = pd.read_csv(path, nrows=0).columns
    text = [c for c in columns if c in ("municipality", "pre", "post") or c.endswith("_code")]
    frame = pd.read_csv(path, dtype=dict.fromkeys(text, str))
    if "month" in columns:
        frame["month"] = pd.to_datetime(frame["month"])
    return frame
