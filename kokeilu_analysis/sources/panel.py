"""The municipality × month panel: built from snapshots, read, turned into rates, aggregated.

A cell is `value` with `lower`, `upper` and `status`:

- ``observed``: the three are equal;
- ``hidden``: the table keeps a count of 1-4 secret, so `value` is missing and the cell is an
  interval;
- ``merged``: published only together with the municipality it was later merged into;
- ``not published yet``: the month lies after the newest snapshot of the measure.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage
from kokeilu_analysis.sources.statfin import HIDDEN_LOWER, HIDDEN_UPPER, merged_codes

OBSERVED, HIDDEN, MERGED, NOT_YET = "observed", "hidden", "merged", "not published yet"
COLUMNS = ["municipality", "month", "measure", "value", "lower", "upper", "status", "vintage"]


def build(snapshots, measures, municipalities, changes, first, last):
    """Build the panel: for each measure and month the newest table state that prints it.

    Parameters
    ----------
    snapshots : list of statfin.Snapshot
        Checked, any order.
    measures, municipalities, changes : DataFrame
        Facts of the same names.
    first, last : Timestamp
        First and last month.

    Returns
    -------
    DataFrame
        `COLUMNS`, one row per municipality of 2021 × month × measure, sorted by measure,
        municipality and month. Counts in persons, labour force in persons, rate in per cent.
    """
    months = pd.date_range(first, last, freq="MS", name="month")
    codes = sorted(municipalities["municipality"])
    merged = merged_codes(changes)
    newest_first = sorted(snapshots, key=lambda s: s.vintage, reverse=True)
    tables = {
        row.measure: _table(newest_first, row.source_code, codes, months, merged)
        for row in measures.itertuples()
    }
    kinds = dict(zip(measures["measure"], measures["kind"], strict=True))
    force = tables["labour_force"]["value"]
    parts = []
    for measure in sorted(tables):
        value, status = tables[measure]["value"], tables[measure]["status"]
        hidden = status == HIDDEN
        lower, upper = value.copy(), value.copy()
        if kinds[measure] == "rate":
            # 1-4 unemployed over the labour force, printed to one decimal; 0-100 without one
            lower[hidden] = np.nan_to_num(np.round(100 * HIDDEN_LOWER / force, 1), nan=0)[hidden]
            upper[hidden] = np.nan_to_num(np.round(100 * HIDDEN_UPPER / force, 1), nan=100)[hidden]
        else:
            lower[hidden], upper[hidden] = HIDDEN_LOWER, HIDDEN_UPPER
        parts.append(
            pd.DataFrame(
                {
                    "municipality": np.repeat(codes, len(months)),
                    "month": np.tile(months, len(codes)),
                    "measure": measure,
                    "value": value.ravel(),
                    "lower": lower.ravel(),
                    "upper": upper.ravel(),
                    "status": status.ravel(),
                    "vintage": tables[measure]["vintage"].ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _table(newest_first, source_code, codes, months, merged):
    """Return arrays municipality × month of value, status and vintage of one measure."""
    value = np.full((len(codes), len(months)), np.nan)
    status = np.full(value.shape, NOT_YET, dtype=object)
    vintage = np.full(value.shape, "", dtype=object)
    for snapshot in newest_first:
        if source_code not in snapshot.cells.columns:
            continue
        table = snapshot.cells[source_code].unstack("month")
        new = months.isin(table.columns) & (status == NOT_YET).all(axis=0)
        if not new.any():
            continue
        own = table.reindex(index=["KU" + c for c in codes], columns=months).to_numpy()[:, new]
        # The newest state fixes the division: a merged municipality must not come from an older
        # state, or its people would be counted twice.
        gone = ~np.isin(codes, snapshot.municipalities)
        unexplained = [c for c, g in zip(codes, gone, strict=True) if g and c not in merged]
        if unexplained:
            raise DataError(snapshot.name, f"no KU{unexplained[0]}", "every municipality of 2021")
        value[:, new] = own
        status[:, new] = np.where(gone[:, None], MERGED, np.where(np.isnan(own), HIDDEN, OBSERVED))
        vintage[:, new] = snapshot.vintage
    return {"value": value, "status": status, "vintage": vintage}


def write(panel, folder=paths.PROCESSED):
    """Write the panel, then its checksum; each file whole or not at all.

    Raises
    ------
    DataError
        The folder does not describe a panel; then nothing is written.
    """
    datapackage.resource(folder, "panel")
    store.write_parquet(folder / paths.PANEL.name, panel)
    datapackage.describe(folder, "panel")


def load(measures=None, folder=paths.PROCESSED):
    """Read the panel, or some of its measures.

    Raises
    ------
    DataError
        The file is missing, is not the one its description names, or lacks a measure.
    """
    path = datapackage.verify(folder, "panel")
    wanted = None if measures is None else [("measure", "in", list(measures))]
    panel = pd.read_parquet(path, filters=wanted)
    absent = sorted(set(measures or []) - set(panel["measure"].unique()))
    if absent:
        raise DataError(paths.shown(path), f"no measure {absent[0]}", "a measure of measures.csv")
    return panel


def labour_force(panel, year):
    """Return the labour force printed in the months of `year`, one number per municipality.

    It is constant within a calendar year and about two years old, so the same number serves as
    fixed denominator for every month.

    Returns
    -------
    Series
        Persons, index `municipality`, name ``labour_force_<year>``.
    """
    rows = panel[(panel["measure"] == "labour_force") & (panel["month"].dt.year == year)]
    grouped = rows.groupby("municipality")["value"]
    if rows.empty or rows["value"].isna().any() or (grouped.nunique() != 1).any():
        raise DataError("the panel", "gaps or steps", f"one labour force a municipality in {year}")
    return grouped.first().rename(f"labour_force_{year}")


def rates(panel, measure, denominator):
    """Return a measure in per cent of a fixed denominator.

    Parameters
    ----------
    panel : DataFrame
        Panel rows, at least of `measure`.
    measure : str
        A count.
    denominator : Series
        Persons by municipality (or by unit, for aggregated rows), e.g. `labour_force`.

    Returns
    -------
    DataFrame
        As the panel, `value`, `lower`, `upper` in per cent of the denominator, months that are
        not published left out, and the denominator as column ``labour_force``. A month after a
        merger is left out for all: its municipalities are no longer those of the months before.

    Examples
    --------
    5 unemployed of a labour force of 200 are 2.5 per cent.
    """
    rows = panel[(panel["measure"] == measure) & (panel["status"] != NOT_YET)]
    rows = rows[~rows["month"].isin(rows.loc[rows["status"] == MERGED, "month"])]
    unit = "municipality" if "municipality" in rows else "unit"
    force = rows[unit].map(denominator)
    if force.isna().any():
        raise DataError(
            "the panel", rows.loc[force.isna(), unit].iloc[0], "a unit with labour force"
        )
    scaled = rows[["value", "lower", "upper"]].mul(100 / force, axis=0)
    return rows.assign(**scaled, labour_force=force)


def combine(panel, name, plus, minus=()):
    """Return a count made of several: the sum of some measures less others.

    Parameters
    ----------
    panel : DataFrame
        Panel rows, at least of the measures named.
    name : str
        What the new measure is called.
    plus, minus : iterable of str
        Measures added, and taken away. Hidden cells are free of each other, so the lower end adds
        the lower ends of `plus` and takes away the upper ends of `minus`.

    Returns
    -------
    DataFrame
        As the panel; months and municipalities that all parts have, `value` only where nothing is
        hidden.

    Raises
    ------
    DataError
        A measure is not among the rows.

    Examples
    --------
    100 unemployed of whom 1-4 laid off (hidden) are 96-99 unemployed without the laid off.
    """
    parts = [(m, 1) for m in plus] + [(m, -1) for m in minus]
    keys, total = ["municipality", "month"], None
    for measure, sign in parts:
        rows = panel[(panel["measure"] == measure) & panel["status"].isin([OBSERVED, HIDDEN])]
        if rows.empty:
            raise DataError("the panel", f"no measure {measure}", "the parts of a combined outcome")
        ends = rows.set_index(keys)[["lower", "upper"]]
        signed = (
            ends if sign > 0 else -ends[["upper", "lower"]].set_axis(["lower", "upper"], axis=1)
        )
        total = signed if total is None else total.add(signed).dropna()
    hidden = ~(total["lower"] == total["upper"])
    status = np.where(hidden, HIDDEN, OBSERVED)
    whole = total.assign(measure=name, value=total["lower"].mask(hidden), status=status)
    return whole.reset_index()[[*keys, "measure", "value", "lower", "upper", "status"]]


def aggregate(panel, units):
    """Add municipalities up to areas or groups; hidden cells stay intervals.

    A merged cell adds nothing, since the municipality that it merged into carries its people;
    the two belong in one unit.

    Parameters
    ----------
    panel : DataFrame
        Panel rows of counts and denominators (a rate cannot be added up).
    units : Series
        Unit of each municipality (index `municipality`); municipalities left out are not counted.

    Returns
    -------
    DataFrame
        `unit`, `month`, `measure`, `value`, `lower`, `upper`, `status`, `hidden_cells`; a sum with
        a hidden member has no `value` but `lower` and `upper`.
    """
    if (panel["measure"] == "unemployment_rate").any():
        raise DataError("the panel", "unemployment_rate", "counts: rates cannot be added up")
    printed = panel["status"].isin([OBSERVED, HIDDEN])
    rows = panel[panel["municipality"].isin(units.index) & printed]
    rows = rows.assign(unit=rows["municipality"].map(units), hidden_cells=rows["status"] == HIDDEN)
    sums = rows.groupby(["unit", "month", "measure"], as_index=False, observed=True)[
        ["value", "lower", "upper", "hidden_cells"]
    ].sum()
    whole = sums["hidden_cells"] == 0
    return sums.assign(value=sums["value"].where(whole), status=np.where(whole, OBSERVED, HIDDEN))


def coverage(panel, municipalities):
    """Say for each measure which months it has and how many of its cells are hidden.

    Parameters
    ----------
    municipalities : iterable of str
        Codes to count, e.g. the mainland.

    Returns
    -------
    DataFrame
        ``measure``, ``first_month``, ``last_month``, ``cells``, ``hidden``, ``hidden_share``
        (of the published cells, 0-1) and ``never_hidden`` (municipalities without a hidden cell).
    """
    rows = panel[panel["municipality"].isin(set(municipalities)) & (panel["status"] != NOT_YET)]
    rows = rows.assign(hidden=rows["status"] == HIDDEN)
    by = rows.groupby("measure")
    table = by.agg(
        first_month=("month", "min"),
        last_month=("month", "max"),
        cells=("hidden", "size"),
        hidden=("hidden", "sum"),
    )
    ever = rows.groupby(["measure", "municipality"])["hidden"].any().groupby("measure")
    table = table.assign(
        hidden_share=table["hidden"] / table["cells"], never_hidden=ever.size() - ever.sum()
    )
    return table.reset_index()
