"""Where a published figure or number comes from, worked out from code, tables and checksums.

figure or number → row of a result table → notebook and cell → functions → measures and months of
the panel → source files with date and checksum. `report.chains` says it in words.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cache

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.report import figures
from kokeilu_analysis.report.marks import window_ends
from kokeilu_analysis.sources import datapackage
from kokeilu_analysis.trace import printed, writers

FIGURE = re.compile(r"(?:figure|fig\.?|f)?\s*(\d+)")
ROW = re.compile(r"(?:.*/)?(\w+?)(?:\.csv)?(?:[: ](\d+))?")
MANY = 4  # more periods than these are told by their ends


@dataclass(frozen=True)
class Step:
    """A result table on the way: its file, the lines traced, who wrote it, the months it is about.

    ``lines``: line numbers in the file, the header is line 1; ``column``: where one cell is meant;
    ``spans``: pairs of first and last month.
    """

    file: str
    lines: tuple
    column: str | None
    written: writers.Written
    spans: tuple


@dataclass(frozen=True)
class Source:
    """A file that the study did not make: its checksum and, of a table state, the date.

    A table state that was imported without a description has no checksum, and only a folder.
    """

    file: str
    sha256: str | None
    date: str | None = None


@dataclass(frozen=True)
class Chain:
    """A chain: what is traced, the numbers that are printed there, the steps, the source files."""

    key: str
    numbers: tuple
    steps: tuple
    sources: tuple


@cache
def chain(key):
    """Return where something that is printed comes from.

    Parameters
    ----------
    key : str
        A figure (``F3``, ``figure 3``), a number (``estimate``, ``kk05_backlog_low``; see
        `known`), or a result table and if wanted its line (``03_did``, ``03_did.csv:6``).

    Returns
    -------
    Chain

    Raises
    ------
    KokeiluError
        Nothing has that name; the message names what is close.
    DataError
        The table has no such line.

    Examples
    --------
    >>> found = chain("estimate")
    >>> found.steps[0].lines, found.steps[0].written.cell, found.sources[-1].date
    ((6,), '03-07', '2023-12-05')
    """
    figure, row, number = FIGURE.fullmatch(key.lower()), ROW.fullmatch(key), key.lower()
    if figure and f"F{figure[1]}" in figures.register():
        name = f"F{figure[1]}"
        said = tuple(printed.find(k) for k in printed.values(name))
        return _chain(name, said, {table: (None, None) for table in figures.tables(name)})
    if row and row[1] in writers.by_table():
        return _chain(key, (), {row[1]: (_line(row), None)})
    if printed.source_of(number):
        found = printed.find(number)
        wanted = {table: (_rows(found, table), None) for table in found.tables}
        if found.cell:
            wanted = {found.cell.table: ((found.cell.line,), found.cell.column)}
        return _chain(number, (found,), wanted)
    names = [name for group in known().values() for name in group]
    close = difflib.get_close_matches(key, [*names, *map(str.lower, names)], n=5, cutoff=0.5)
    advice = f" Close: {', '.join(dict.fromkeys(close))}." if close else ""
    raise KokeiluError(
        f"Nothing printed is called {key!r}.{advice} `kokeilu trace` lists what can be traced."
    )


def known():
    """Return what can be traced.

    Returns
    -------
    dict
        ``figures``; numbers of the ``memo`` (and headline), of the ``areas``' pages, ``said`` by
        the figures; ``tables``: lists of names.
    """
    said = [key for figure_id in figures.register() for key in printed.values(figure_id)]
    numbers = {source: list(printed.values(source)) for source in ("memo", "areas")}
    shown = {"figures": list(figures.register())}
    return shown | numbers | {"said": said, "tables": sorted(writers.by_table())}


def used():
    """Return the names of the result tables that figures, memo and area pages rest on."""
    shown = {table for i in figures.register() for table in figures.tables(i)}
    said = {table for source in ("memo", "areas") for table in printed.tables(source)}
    return sorted(shown | said)


def vintages():
    """Return the dates of the table states that the panel is made of, oldest first."""
    return sorted(_states()["vintage"].unique())


def _chain(key, numbers, wanted):
    steps, queue = {}, list(wanted)
    while queue:
        table = queue.pop(0)
        if table not in steps:
            steps[table] = _step(table, *wanted.get(table, (None, None)))
            queue += steps[table].written.reads
    return Chain(key, numbers, tuple(steps.values()), _sources(steps.values()))


def _step(table, lines, column):
    frame = printed.table(table)
    every = tuple(range(2, len(frame) + 2))
    lines = every if lines is None else lines
    traced = frame.iloc[[line - 2 for line in lines]]
    file = paths.shown(paths.RESULTS / f"{table}.csv")
    return Step(file, lines, column, writers.by_table()[table], _spans(traced))


def _line(row):
    if row[2] is None:
        return None
    last = len(printed.table(row[1])) + 1
    if not 2 <= int(row[2]) <= last:
        found = f"no line {row[2]} with numbers"
        raise DataError(f"{row[1]}.csv", found, f"a line from 2 to {last}")
    return (int(row[2]),)


def _rows(number, table):
    """Lines of a table behind a number made from several cells: its area's, its month's.

    All of them where the table knows neither.
    """
    frame = printed.table(table)
    keep = pd.Series(True, index=frame.index)
    area = number.key.partition("_")[0].upper()
    if "area_id" in frame and area in set(frame["area_id"]):
        keep &= frame["area_id"] == area
    if "month" in frame and isinstance(number.value, pd.Timestamp):
        keep &= frame["month"] == number.value
    kept = frame.index[keep] if keep.any() else frame.index
    return tuple(int(i) + 2 for i in kept)


def _spans(rows):
    """Return the months that rows of a result table are about, as pairs; none if not said."""
    if "month" in rows and len(rows):
        return ((rows["month"].min(), rows["month"].max()),)
    texts = {t for c in printed.WINDOWS if c in rows for t in rows[c].dropna() if "M" in str(t)}
    spans = sorted((ends[0], ends[-1]) for ends in map(window_ends, texts))
    if len(spans) > MANY:
        return ((spans[0][0], max(last for _, last in spans)),)
    return tuple(spans)


def _sources(steps):
    raw = {f"data/raw/{e['path']}": e for e in datapackage.load(paths.RAW)["resources"]}
    panel = datapackage.resource(paths.PROCESSED, "panel")
    told = list(dict.fromkeys(file for step in steps for file in step.written.facts))
    found = [
        Source(file, _digest(raw[file]) if file in raw else store.sha256(paths.ROOT / file))
        for file in told
    ]
    measures = {measure for step in steps for measure in step.written.measures}
    if measures:
        found.append(Source(paths.shown(paths.PANEL), _digest(panel)))
        states = _states()
        dates = set(states.loc[states["measure"].isin(measures), "vintage"])
        found += _snapshots(raw, dates)
    return tuple(found)


def _snapshots(raw, dates):
    """Table states by date: the study's, then fetched ones, then what nobody has described."""
    from kokeilu_analysis.sources import fetched

    folder = paths.shown(paths.SNAPSHOTS)
    described = raw | {f"{folder}/{e['path']}": e for e in fetched.entries(paths.SNAPSHOTS)}
    found = [
        Source(file, _digest(entry), entry["vintage"])
        for file, entry in described.items()
        if entry.get("vintage") in dates and entry["form"] != "metadata"
    ]
    left = sorted(dates - {source.date for source in found})
    return [*found, *(Source(folder, None, date) for date in left)]


def _digest(entry):
    return entry["hash"].removeprefix("sha256:")


@cache
def _states():
    """Measures of the panel and the table states that their cells come from."""
    path = datapackage.verify(paths.PROCESSED, "panel")
    cells = pd.read_parquet(path, columns=["measure", "vintage"]).drop_duplicates()
    return cells[cells["vintage"] != ""]
