"""Two states of a table: what the newer one changed, and what it adds to the panel.

A state is a dict: source code of a measure → Series of its cells by `area` and `month`; NaN is a
hidden count, a cell that is not printed has no row.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.sources.panel import HIDDEN, OBSERVED
from kokeilu_analysis.sources.statfin import CUBE, NO_MUNICIPALITY, Snapshot

REVISED, HID, OPENED, DIVISION = "revised", "hidden now", "printed now", "new division"


@dataclass(frozen=True, eq=False)
class Revision:
    """What changed between two states.

    Attributes
    ----------
    sizes : DataFrame
        `what` (areas, months, measures), `older`, `newer` (how many), `added`, `removed` (tuples
        of codes).
    measures : DataFrame
        One row per measure of both states: `measure`, `compared` (cells in both), `changed`,
        `first_month`, `last_month` (of the changes), `largest` (change in size), `added` (cells).
    cells : DataFrame
        Every changed cell: `measure`, `area`, `month`, `older`, `newer`, `kind`; NaN is hidden.
        ``new division`` marks the areas that took others in.
    """

    sizes: pd.DataFrame
    measures: pd.DataFrame
    cells: pd.DataFrame


def compare(older, newer, absorbed=None):
    """Compare two states of a table.

    Parameters
    ----------
    older, newer : dict of str to Series
        States. Kinds of area that the older one does not hold at all are left out.
    absorbed : dict, optional
        Municipality → the one it merged into (`statfin.merged_codes`).

    Returns
    -------
    Revision

    Examples
    --------
    >>> at = pd.MultiIndex.from_tuples([("KU091", pd.Timestamp("2021-03-01"))],
    ...     names=["area", "month"])
    >>> found = compare({"A": pd.Series([7.0], at)}, {"A": pd.Series([9.0], at)})
    >>> found.cells[["measure", "area", "older", "newer", "kind"]].values.tolist()
    [['A', 'KU091', 7.0, 9.0, 'revised']]
    """
    kinds = {_kind(a) for cells in older.values() for a in _level(cells, "area")}
    newer = {
        code: cells[cells.index.get_level_values("area").map(_kind).isin(kinds)]
        for code, cells in newer.items()
    }
    into = {"KU" + new for new in (absorbed or {}).values()}
    rows, changed = [], []
    for code in [c for c in older if c in newer]:
        both = pd.concat([older[code], newer[code]], axis=1, join="inner", keys=["older", "newer"])
        hid = both.isna()
        differs = (both["older"] != both["newer"]) & ~hid.all(axis=1)
        cells = both[differs].reset_index()
        kind = np.select(
            [cells["area"].isin(into), cells["newer"].isna(), cells["older"].isna()],
            [DIVISION, HID, OPENED],
            REVISED,
        )
        changed.append(cells.assign(measure=code, kind=kind))
        rows.append(
            {
                "measure": code,
                "compared": len(both),
                "changed": len(cells),
                "first_month": cells["month"].min(),
                "last_month": cells["month"].max(),
                "largest": (cells["newer"] - cells["older"]).abs().max(),
                "added": len(newer[code].index.difference(older[code].index)),
            }
        )
    columns = ["measure", "area", "month", "older", "newer", "kind"]
    cells = pd.concat(changed)[columns] if changed else pd.DataFrame(columns=columns)
    return Revision(
        _sizes(older, newer), pd.DataFrame(rows), cells.sort_values(columns[:3], ignore_index=True)
    )


def lines(revision, against):
    """Return a revision as lines for the terminal.

    Parameters
    ----------
    revision : Revision
    against : str
        What it was compared with, in words.
    """
    said = [f"Compared with {against}:"]
    for row in revision.sizes.itertuples():
        parts = [f"{row.newer:,} {row.what}"]
        for word in ("added", "removed"):
            codes = getattr(row, word)
            if codes:
                parts.append(f"{len(codes)} {word} ({_few(codes)})")
        said.append("  " + ", ".join(parts))
    if revision.cells.empty:
        said.append("  no cell that both hold has changed")
    for row in revision.measures[revision.measures["changed"] > 0].itertuples():
        kinds = revision.cells.loc[revision.cells["measure"] == row.measure, "kind"].value_counts()
        largest = "" if np.isnan(row.largest) else f", by at most {row.largest:,.12g}"
        said.append(
            f"  {row.measure}: {row.changed:,} of {row.compared:,} cells changed "
            f"({', '.join(f'{count:,} {kind}' for kind, count in kinds.items())}) "
            f"in {row.first_month:%Y-%m}–{row.last_month:%Y-%m}{largest}"
        )
    return said


def state(snapshots):
    """Return the state that several snapshots make: of each measure and month the newest one."""
    cells = {}
    for snapshot in sorted(snapshots, key=lambda s: s.vintage, reverse=True):
        for code in snapshot.cells.columns:
            own = snapshot.cells[code]
            if code in cells:
                rest = ~own.index.get_level_values("month").isin(_level(cells[code], "month"))
                own = pd.concat([cells[code], own[rest]])
            cells[code] = own
    return cells


def cube_state(cube):
    """Return the state that a `jsonstat.Cube` with dimensions `statfin.CUBE` holds."""
    areas, months, codes = (cube.codes[dimension] for dimension in CUBE)
    times = pd.to_datetime(months, format="%YM%m")
    index = pd.MultiIndex.from_product([areas, times], names=["area", "month"])
    kept = ~index.get_level_values("area").isin(NO_MUNICIPALITY)
    cells = cube.values.reshape(-1, len(codes))
    return {code: pd.Series(cells[kept, at], index[kept]) for at, code in enumerate(codes)}


def within(cells_by_measure, first=None, last=None):
    """Return a state's cells from one month to another, both ends included."""
    first, last = first or pd.Timestamp.min, last or pd.Timestamp.max
    return {
        code: cells[(months >= first) & (months <= last)]
        for code, cells in cells_by_measure.items()
        for months in [cells.index.get_level_values("month")]
    }


def panel_snapshots(panel, measures, vintages):
    """Return a panel's cells as the table states they came from, a snapshot for each measure.

    Parameters
    ----------
    panel : DataFrame
        See `panel.build`, which makes the same panel of the result.
    measures : DataFrame
        `measure` and `source_code`.
    vintages : iterable of str
        Table states to keep. Cells of others are left out, so a panel that was extended once is
        extended anew rather than further.

    Returns
    -------
    list of statfin.Snapshot
    """
    kept = panel["status"].isin([OBSERVED, HIDDEN]) & panel["vintage"].isin(set(vintages))
    rows = panel[kept].assign(area="KU" + panel["municipality"])
    code = dict(zip(measures["measure"], measures["source_code"], strict=True))
    return [
        Snapshot(
            "the panel",
            vintage,
            part.set_index(["area", "month"])[["value"]].set_axis([code[measure]], axis=1),
            pd.Series("", index=pd.MultiIndex.from_frame(part[["area", "month"]])),
        )
        for (vintage, measure), part in rows.groupby(["vintage", "measure"])
    ]


def extension(study, fetched):
    """Return what fetched states add to the study's own: months that those do not print.

    The study's figures rest on the states it describes; a newer one extends them and leaves what
    they print alone, since it also carries a later municipal division back in time.

    Parameters
    ----------
    study, fetched : list of statfin.Snapshot

    Returns
    -------
    list of statfin.Snapshot
        Of the fetched ones, one for each set of measures that lacks the same months.

    Examples
    --------
    Counts that the study has to October 2023 and new vacancies that it has to February 2022 are
    extended from November 2023 and from March 2022.
    """
    has = {code: set(_level(cells, "month")) for code, cells in state(study).items()}
    added = []
    for snapshot in fetched:
        months = snapshot.cells.index.get_level_values("month")
        lacking = {
            code: frozenset(set(months) - has.get(code, set())) for code in snapshot.cells.columns
        }
        for wanted in dict.fromkeys(lacking.values()):
            if wanted:
                codes = [code for code in snapshot.cells.columns if lacking[code] == wanted]
                rows = months.isin(wanted)
                cells, places = snapshot.cells.loc[rows, codes], snapshot.places[rows]
                added.append(Snapshot(snapshot.name, snapshot.vintage, cells, places))
    return added


def _sizes(older, newer):
    parts = {
        "areas": [set().union(*(_level(c, "area") for c in s.values())) for s in (older, newer)],
        "months": [
            {f"{m:%Y-%m}" for c in s.values() for m in _level(c, "month")} for s in (older, newer)
        ],
        "measures": [set(older), set(newer)],
    }
    rows = [
        (what, len(old), len(new), tuple(sorted(new - old)), tuple(sorted(old - new)))
        for what, (old, new) in parts.items()
    ]
    return pd.DataFrame(rows, columns=["what", "older", "newer", "added", "removed"])


def _level(cells, name):
    return cells.index.get_level_values(name).unique()


def _kind(area):
    return area.rstrip("0123456789")


def _few(codes):
    if len(codes) <= 4:
        return ", ".join(codes)
    return f"{codes[0]}, {codes[1]} … {codes[-1]}"
