"""Which cell of which result table a printed number is.

The code that fills the sentences is run a second time on tables in which every cell bears a mark
of its own, so small that it changes no choice. The mark comes out again in the number and names
the cell, whatever happened on the way. A number that no single cell gives (a mean, a count) is
traced to the tables that it is made from.
"""

import re
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from kokeilu_analysis import paths, results
from kokeilu_analysis.report import area_pages, figures, wording
from kokeilu_analysis.trace import makers

YEAR = re.compile(r"\d{4}(?=M\d\d)")
SMALL = 1e-10  # relative mark of the first cell; the last of 100 000 cells is still below 1e-5
EVEN = 1e-6  # relative mark of all cells of the first table
LARGE = 10**7  # mark of whole numbers: more than anything counted in Finland
SCALES = (1, 100, 0.1)  # how a cell may be printed: as it is, a share in per cent, per ten points
ROUNDED = 5.0  # the most that a number printed in tens differs from its cell
WINDOWS = ("pre", "post")  # columns of periods such as 2019M03–2020M02


@dataclass(frozen=True)
class Cell:
    """A cell of a result table; `line` counts as an editor does, the header is line 1."""

    table: str
    line: int
    column: str


@dataclass(frozen=True)
class Printed:
    """A printed number: its key and value, and where it stands.

    ``cell`` is None for a number made from several cells of `tables`; then ``made`` is the function
    that makes it, at the line where its key stands. Without tables it is a choice written there.
    """

    key: str
    value: object
    cell: Cell | None
    tables: tuple
    made: object = None


def sources():
    """Return where numbers are printed: name → function that returns key → value for a folder.

    Each figure with its own keys (``f3_trial_base``), memo and headline (``estimate``), and the
    area pages (``kk05_estimate``).
    """
    of_figures = {i: partial(_figure, i) for i in figures.register()}
    return of_figures | {"memo": _memo, "areas": _areas}


def _figure(figure_id, folder):
    found = wording.figure_values(figure_id, folder)
    return {f"{figure_id.lower()}_{name}": value for name, value in found.items()}


def _memo(folder):
    known = tuple(f"{i.lower()}_" for i in figures.register())
    found = wording.study("en", folder)
    # what a figure says is traced with the figure; the verdict on it is a word
    return {k: v for k, v in found.items() if not k.startswith(known)}


def _areas(folder):
    common, areas = area_pages.area_values("en", folder)
    found = {f"areas_{name}": value for name, value in common.items()}
    for area_id, values in areas.items():
        own = {k: v for k, v in values.items() if k not in common}
        found |= {f"{area_id.lower()}_{name}": value for name, value in own.items()}
    return found


@cache
def values(source):
    """Return the numbers of a source: key → value, months included, words left out."""
    found = sources()[source](paths.RESULTS)
    return {key: value for key, value in found.items() if _is_number(value)}


def source_of(key):
    """Return where a number is printed; None if there is no such number.

    >>> source_of("f3_peak"), source_of("kk05_backlog_low"), source_of("estimate"), source_of("x")
    ('F3', 'areas', 'memo', None)
    """
    first = key.partition("_")[0]
    figure = first.upper() in figures.register()
    area = first == "areas" or re.fullmatch(r"kk\d\d", first)
    source = first.upper() if figure else "areas" if area else "memo"
    return source if key in values(source) else None


def tables(source):
    """Return the names of the result tables that a source of numbers opens."""
    return sorted(_run(source, "small").opened)


@cache
def table(name):
    """Return a result table, read once; to be read, not changed."""
    return results.read(name)


def _is_number(value):
    return isinstance(value, int | float | np.number | pd.Timestamp) and not isinstance(value, bool)


def find(key):
    """Return where a number stands.

    Parameters
    ----------
    key : str
        A key of `values`.

    Returns
    -------
    Printed

    Examples
    --------
    >>> find("f8_zero_low").cell
    Cell(table='04_adjusted', line=4, column='bound_low')
    """
    source = source_of(key)
    value = values(source)[key]
    if isinstance(value, pd.Timestamp):
        cell, home = _by_window(key, value, _run(source, "windows")), None
    else:
        cell = _by_small(key, value, _run(source, "small"))
        cell = cell or _by_large(key, value, _run(source, "large"))
        home = None if cell else _by_table(key, value, _run(source, "tables"))
    if cell:
        return Printed(key, value, cell, (cell.table,))
    made = makers.find(key if source == "memo" else key.partition("_")[2], source)
    if home:
        named = {home}
    elif made.tables is None:
        named = tables(source)
    else:
        named = made.tables | {t for k in made.keys for t in find(k).tables}
    return Printed(key, value, None, tuple(sorted(named)), made.function)


class _Marked:
    """A folder of result tables whose cells are marked when a table is opened.

    Cells are numbered through all tables in the order of opening, rows first.
    """

    def __init__(self, home, kind):
        self.home, self.mark = home, MARKS[kind]
        self.opened, self.cells, self.rows = {}, 0, 0

    def __truediv__(self, file):
        name = file.removesuffix(".csv")
        if name not in self.opened:
            frame = table(name)
            marked = self.mark(frame.copy(), self)
            marked.to_csv(self.home / file, index=False, encoding="utf-8")
            self.opened[name] = frame, self.cells, self.rows
            self.cells, self.rows = self.cells + frame.size, self.rows + len(frame)
        return self.home / file

    def cell(self, number):
        """Return a cell by its number and its value, or None twice."""
        for name, (frame, first, _) in self.opened.items():
            if 0 <= number - first < frame.size:
                row, column = divmod(number - first, frame.shape[1])
                return Cell(name, row + 2, frame.columns[column]), frame.iloc[row, column]
        return None, None


def _scaled(frame, factor):
    for i in _columns(frame, "f"):
        frame.isetitem(i, frame.iloc[:, i] * factor(i))
    return frame


def _small(frame, marked):
    first = marked.cells + 1 + np.arange(len(frame)) * frame.shape[1]
    return _scaled(frame, lambda column: 1 + SMALL * (first + column))


def _tables(frame, marked):
    return _scaled(frame, lambda column: 1 + EVEN * (len(marked.opened) + 1))


def _large(frame, marked):
    first = marked.cells + 1 + np.arange(len(frame)) * frame.shape[1]
    for i in _columns(frame, "fi"):
        frame.isetitem(i, frame.iloc[:, i] + LARGE * (first + i))
    return frame


def _windows(frame, marked):
    """Move the years of periods by the number of the row, counted through all tables."""
    for name in set(WINDOWS) & set(frame.columns):
        frame[name] = [
            YEAR.sub(lambda year, by=by: str(int(year[0]) + by), str(text))
            for by, text in enumerate(frame[name], start=marked.rows + 1)
        ]
    return frame


def _columns(frame, kinds):
    return [i for i, c in enumerate(frame.columns) if frame[c].dtype.kind in kinds]


MARKS = {"small": _small, "large": _large, "tables": _tables, "windows": _windows}


@dataclass(frozen=True)
class _Run:
    values: dict
    folder: _Marked

    @property
    def opened(self):
        return self.folder.opened


@cache
def _run(source, kind):
    """Fill the sentences of a source from marked tables."""
    with tempfile.TemporaryDirectory() as home:
        marked = _Marked(Path(home), kind)
        return _Run(sources()[source](marked), marked)


def _by_small(key, value, run):
    """The cell of a number with decimals: it is the cell times one of the usual scales."""
    new = run.values[key]
    if not value or new == value:
        return None
    number = (new / value - 1) / SMALL
    if not np.isfinite(number) or abs(number - round(number)) > 0.01:
        return None
    cell, content = run.folder.cell(round(number) - 1)
    if cell is None or isinstance(content, str):
        return None
    return cell if any(np.isclose(value, k * content, rtol=1e-12) for k in SCALES) else None


def _by_large(key, value, run):
    """The cell of a whole number, or of one that is printed in tens."""
    number = (run.values[key] - value) / LARGE
    if not number or not np.isfinite(number) or number != round(number):
        return None
    cell, content = run.folder.cell(round(number) - 1)
    if cell is None or isinstance(content, str):
        return None
    return cell if abs(content - value) <= (0 if value % 10 else ROUNDED) else None


def _by_window(key, value, run):
    """The cell whose period begins or ends with the month."""
    rows = run.values[key].year - value.year
    for name, (frame, _, first) in run.opened.items():
        row = rows - 1 - first
        if 0 <= row < len(frame):
            for column in set(WINDOWS) & set(frame.columns):
                if f"{value:%YM%m}" in str(frame[column].iloc[row]):
                    return Cell(name, row + 2, column)
    return None


def _by_table(key, value, run):
    """The one table that a number is made from, if it moves as all cells of that table do."""
    number = (run.values[key] / value - 1) / EVEN if value else 0
    if not np.isfinite(number) or round(number) < 1 or abs(number - round(number)) > 0.01:
        return None
    return list(run.opened)[round(number) - 1]
