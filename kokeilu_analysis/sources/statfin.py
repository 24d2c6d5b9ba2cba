"""StatFin table 12r5: read its snapshots in each form they come in and refuse what is damaged.

A snapshot is one table state saved as a file: wide CSV (plain or gzip, one row per area and month),
the answer of the table's own interface in its ``json`` format, or a state that `kokeilu fetch` put
together as JSON-stat 2.0. Reading ends in a `Snapshot` whose every cell has been checked; what is
wrong is named by file, row and column.
"""

import csv
import gzip
import io
import itertools
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kokeilu_analysis import store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, jsonstat

AREA_COLUMN, MONTH_COLUMN = "alue", "kuukausi"
DIVISION = pd.Timestamp("2021-12-31")  # the panel has the municipalities of 2021
HIDDEN_MARK = "..."  # how the table prints a count it keeps secret; the CSV forms leave it empty
HIDDEN_LOWER, HIDDEN_UPPER = 1, 4  # the secrecy rule: counts 1-4 are not printed, 0 and 5+ are
NO_MUNICIPALITY = {"KU199", "KUJOU"}  # vacancies that belong to no municipality
AREA_PATTERN = r"SSS|(KU|SK|ELY)([0-9]{2,3}|JOU?)|MK([0-9]{2}|JO)"  # JO: belongs to no place
MONTH_PATTERN = r"20[0-9]{2}M(0[1-9]|1[0-2])"
AREA, MONTH = "an area code such as KU091", "a month such as 2021M03"
FETCHED = "json-stat2"  # the form of a table state that `kokeilu fetch` put together
CUBE = ("Alue", "timeperiod_m", "contentscode")  # its dimensions: area, month, measure
RESTORE = "Restore the file from its source, or fetch it again."


@dataclass(frozen=True)
class Snapshot:
    """One checked table state.

    Attributes
    ----------
    name : str
        File name.
    vintage : str
        Date of the table state, ``YYYY-MM-DD``.
    cells : DataFrame
        Index (`area`, `month`), one float column per source code; NaN = hidden count.
    places : DataFrame
        Same index, column ``row``: the line or element of the file that holds the cells.
    """

    name: str
    vintage: str
    cells: pd.DataFrame
    places: pd.Series

    @property
    def municipalities(self):
        """Three-digit codes of the municipalities in the snapshot, sorted."""
        areas = self.cells.index.get_level_values("area").unique()
        return sorted(a[2:] for a in areas if a.startswith("KU"))


def read_folder(folder, resources, measures, municipalities, changes, allow_unlisted=False):
    """Read and check every described snapshot in a folder, oldest table state first.

    Parameters
    ----------
    folder : path
        Holds the files.
    resources : list of dict
        Snapshot entries of ``data/raw/datapackage.json``: ``path``, ``hash``, ``vintage``,
        ``form`` and ``required``.
    measures : DataFrame
        Columns `measure`, `source_code`, `kind` (count, rate or denominator).
    municipalities : DataFrame
        Columns `municipality` and `sub_region_code`, one row per municipality of 2021.
    changes : DataFrame
        `boundary_changes`: mergers that a later table state applies to all its months.
    allow_unlisted : bool
        Accept a listed file name whose bytes differ from the described ones, if its content
        passes every check. For a table state newer than the study.

    Returns
    -------
    list of Snapshot

    Raises
    ------
    DataError
        A file is missing, truncated, re-encoded or edited, or two files contradict each other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(folder, "no such folder", "a folder of StatFin 12r5 snapshots")
    known, mergers = set(municipalities["municipality"]), merged_codes(changes)
    snapshots = []
    for entry in resources:
        path = folder / Path(entry["path"]).name
        if entry["form"] == "metadata":
            continue
        if not path.is_file():
            if entry.get("required", True):
                raise DataError(path.name, "no such file", f"the snapshot «{entry['title']}»")
            continue
        read = {"json": read_json, FETCHED: read_fetched}.get(entry["form"], read_csv)
        snapshot = read(path, entry["vintage"], measures, known, mergers)
        check_sums(snapshot, measures, municipalities)
        snapshots.append((snapshot, path, entry))
    ordered = sorted((s for s, _, _ in snapshots), key=lambda s: s.vintage)
    fetched = {path.name for _, path, entry in snapshots if entry["form"] == FETCHED}
    check_between(ordered, measures, mergers, fetched)
    for _, path, entry in snapshots:
        digest = "sha256:" + store.sha256(path)
        if digest != entry["hash"] and not allow_unlisted:
            own = entry["form"] == FETCHED
            home = "the datapackage.json beside it" if own else "data/raw/datapackage.json"
            raise DataError(
                path.name,
                f"SHA-256 {digest[7:19]}… ({path.stat().st_size:,} bytes)",
                f"{entry['hash'][7:19]}… ({entry['bytes']:,} bytes) as described in {home}",
                row="not known",
                column="not known",
                advice="The content passes the other checks, so what was changed or cut off "
                f"lies where no sum or second file can tell. {RESTORE} For a newer table state add "
                "--allow-unlisted.",
            )
    return ordered


def merged_codes(changes):
    """Return {old code: code it was merged into} for mergers after the division of 2021.

    >>> merged_codes(pd.DataFrame({"change": ["merger"], "from_code": ["588"],
    ...     "to_code": ["507"], "valid_from": pd.to_datetime(["2025-01-01"])}))
    {'588': '507'}
    """
    columns = (changes[name] for name in ("from_code", "to_code", "change", "valid_from"))
    return {
        old: new
        for old, new, change, day in zip(*columns, strict=True)
        if change == "merger" and day > DIVISION
    }


def read_csv(path, vintage, measures, known, mergers):
    """Read one wide CSV (``.csv`` or ``.csv.gz``) into a `Snapshot`; see `read_folder`."""
    path = Path(path)
    text = _text(path)
    cells = text.count("\n") * (1 + text[: text.find("\n")].count(","))
    _check_number(path.name, cells)
    header, *lines = text[:-1].split("\n")
    columns = header.split(",")
    codes = columns[2:]
    if columns[:2] != [AREA_COLUMN, MONTH_COLUMN] or not codes:
        expected = f"columns {AREA_COLUMN},{MONTH_COLUMN} and measures"
        raise DataError(path.name, header[:60], expected, row=1, column=columns[0], advice=RESTORE)
    _check_codes(path.name, codes, measures, row=1)
    for number, line in enumerate(lines, start=2):
        if line.count(",") != len(columns) - 1:
            fields = line.count(",") + 1
            # after one comma too many any column can be the one that holds it
            anywhere = codes[0] if len(codes) == 1 else f"{codes[0]} to {codes[-1]}"
            raise DataError(
                path.name,
                f"{fields} fields ({line[:40]})",
                f"{len(columns)} fields",
                row=number,
                column=anywhere if fields > len(columns) else columns[fields - 1],
                advice="A decimal comma or a cut line gives this. " + RESTORE,
            )
    raw = pd.read_csv(
        io.StringIO(text), dtype=str, keep_default_na=False, na_filter=False, quoting=csv.QUOTE_NONE
    )
    raw.index = np.arange(2, len(raw) + 2)
    return _snapshot(path.name, vintage, raw, measures, known, mergers)


def read_json(path, vintage, measures, known, mergers):
    """Read one interface answer in PxWeb's ``json`` format into a `Snapshot`.

    Variables are told apart by their type (``d`` area, ``t`` month, ``c`` measure), since their
    names changed in June 2026.
    """
    path = Path(path)
    answer = jsonstat.parse(_content(path), path.name, RESTORE)

    def part(record, key, form, row=None):
        value = record.get(key) if isinstance(record, dict) else None
        if not isinstance(value, form):
            expected = "columns and data as the table gives them"
            raise DataError(path.name, f"no {key}", expected, row=row, advice=RESTORE)
        return value

    listed = part(answer, "columns", list)
    variables = [(part(v, "type", str), part(v, "code", str)) for v in listed]
    codes = [code for kind, code in variables if kind == "c"]
    keys = [kind for kind, _ in variables if kind != "c"]
    if sorted(keys) != ["d", "t"]:
        found = f"variables of type {', '.join(keys) or 'c only'}"
        raise DataError(path.name, found, "one area (d) and one month (t)", column="columns")
    _check_codes(path.name, codes, measures)
    columns, rows, data = [AREA_COLUMN, MONTH_COLUMN, *codes], [], part(answer, "data", list)
    _check_number(path.name, len(data) * len(columns))
    for row, record in enumerate(data, start=1):
        key, values = part(record, "key", list, row), part(record, "values", list, row)
        if (len(key), len(values)) != (2, len(codes)):
            found = f"{len(key)} keys and {len(values)} values"
            expected = f"2 keys and {len(codes)} values"
            raise DataError(path.name, found, expected, row=row, column="data", advice=RESTORE)
        rows.append([key[keys.index("d")], key[keys.index("t")], *values])
        for column, cell in zip(columns, rows[-1], strict=True):
            if not isinstance(cell, str):
                expected = "a text, the form of every cell of an answer"
                found = jsonstat.shown(cell)
                raise DataError(path.name, found, expected, row=row, column=column, advice=RESTORE)
    raw = pd.DataFrame(rows, columns=columns, dtype=str)
    raw.index = np.arange(1, len(raw) + 1)
    raw[codes] = raw[codes].where(raw[codes] != HIDDEN_MARK, "")
    return _snapshot(path.name, vintage, raw, measures, known, mergers)


def read_fetched(path, vintage, measures, known, mergers):
    """Read one table state that `kokeilu fetch` put together into a `Snapshot`."""
    path = Path(path)
    cube = jsonstat.read(_content(path), path.name)
    return from_cube(cube, path.name, vintage, measures, known, mergers)


def from_cube(cube, name, vintage, measures, known, mergers):
    """Check a `jsonstat.Cube` with dimensions `CUBE` and return it as a `Snapshot`.

    An empty cell is a hidden count only where the table marks it so; any other one is refused.
    """
    cube = jsonstat.arranged(cube, CUBE, name)
    areas, months, codes = cube.codes.values()
    _check_codes(name, codes, measures)
    keys = (areas, AREA_PATTERN, AREA_COLUMN, AREA), (months, MONTH_PATTERN, MONTH_COLUMN, MONTH)
    for listed, pattern, column, expected in keys:  # before each is repeated for every cell
        wrong = next((code for code in listed if not re.fullmatch(pattern, code)), None)
        if wrong is not None:
            raise DataError(name, jsonstat.shown(wrong), expected, column=column)
    values, marks = (part.reshape(-1, len(codes)) for part in (cube.values, cube.marks))
    raw = pd.DataFrame({AREA_COLUMN: np.repeat(areas, len(months))}, dtype=str)
    raw[MONTH_COLUMN] = np.tile(np.array(months, dtype=object), len(areas))
    for at, code in enumerate(codes):
        empty = np.where(marks[:, at] == HIDDEN_MARK, "", marks[:, at])
        empty = np.where(marks[:, at] == "", "null without a mark", empty)
        shown = [f"{v:.0f}" if v.is_integer() else repr(v) for v in values[:, at].tolist()]
        raw[code] = np.where(np.isnan(values[:, at]), empty, np.array(shown, dtype=object))
    raw.index = raw[AREA_COLUMN] + " " + raw[MONTH_COLUMN]
    return _snapshot(name, vintage, raw, measures, known, mergers)


def check_sums(snapshot, measures, municipalities):
    """Check that municipalities add up to their sub-region, hidden cells counted as 1-4.

    The table's sub-region rows are exact sums of its municipal rows, so a changed digit in either
    is found and placed. Skipped where the snapshot has another sub-regional division.
    """
    areas = snapshot.cells.index.get_level_values("area")
    sub_region = "SK" + municipalities.set_index("municipality")["sub_region_code"]
    if set(areas[areas.str.startswith("SK")]) != set(sub_region):
        return
    summed = [c for c in snapshot.cells.columns if _kind(measures)[c] != "rate"]
    own = snapshot.cells.loc[areas.str.startswith("KU"), summed].reset_index()
    key = [own["area"].str[2:].map(sub_region).rename("area"), own["month"]]
    lower = own[summed].fillna(HIDDEN_LOWER).groupby(key).sum()
    upper = own[summed].fillna(HIDDEN_UPPER).groupby(key).sum()
    total = snapshot.cells.loc[areas.str.startswith("SK"), summed].reindex(lower.index)
    wrong = (total < lower) | (total > upper)  # a hidden total is NaN and compares False
    if wrong.to_numpy().any():
        at, code = np.argwhere(wrong.to_numpy())[0]
        area, month = wrong.index[at]
        low, high = lower.iloc[at, code], upper.iloc[at, code]
        members = sorted("KU" + sub_region.index[sub_region == area])
        places = [snapshot.places[(m, month)] for m in members if (m, month) in snapshot.places]
        raise DataError(
            snapshot.name,
            f"{total.iloc[at, code]:.0f} for {area} in {month:%Y-%m}",
            f"{low:.0f}" + (f" to {high:.0f}" if high > low else "") + ", the sum of its "
            f"municipalities in rows {', '.join(map(str, places))}",
            row=snapshot.places[(area, month)],
            column=summed[code],
            advice="One of these cells was changed. " + RESTORE,
        )


def check_between(snapshots, measures, mergers, revised=()):
    """Check that table states agree where they must: counts with counts, rates with counts.

    Labour force may differ: the table prints it first as provisional. So may the counts of the
    states named in `revised`, whose differences are reported (see `revisions`), not refused.
    """
    kind = _kind(measures)
    for older, newer in itertools.combinations(snapshots, 2):
        if {older.name, newer.name} & set(revised):
            continue
        for code in older.cells.columns.intersection(newer.cells.columns):
            if kind[code] == "count":
                _check_same(older, newer, code)
    rate = measures.loc[measures["kind"] == "rate", "source_code"].iloc[0]
    counts = [s for s in snapshots if {"TYOTTOMATLOPUSSA", "TYOVOIMATK"} <= set(s.cells.columns)]
    for source in (s for s in snapshots if rate in s.cells.columns):
        # The labour force of a later table state is the revised one, so it goes with later rates.
        base = max(counts, key=lambda s: (s.vintage <= source.vintage, s.vintage), default=None)
        if base is None:
            continue
        both = base.cells.join(source.cells[rate].rename("printed"), how="inner")
        absorbing = ["KU" + new for old, new in mergers.items() if old not in source.municipalities]
        both = both[~both.index.get_level_values("area").isin(absorbing)]
        unemployed, printed = both["TYOTTOMATLOPUSSA"], both["printed"]
        computed = 100 * unemployed / both["TYOVOIMATK"]
        off = (printed - computed).abs() > 0.05 + 1e-9
        off |= printed.isna() != unemployed.isna()  # a rate is hidden where its count is
        if off.any():
            at = both.index[off][0]
            raise DataError(
                source.name,
                f"{_said(printed[at], '.1f')} for {at[0]} in {at[1]:%Y-%m}",
                f"unemployed per labour force as in {base.name} row {base.places[at]}, "
                f"{_said(computed[at], '.3f')}",
                row=source.places[at],
                column=rate,
                advice="One of these cells was changed. " + RESTORE,
            )


def _check_same(older, newer, code):
    """Refuse the first cell of a count that two table states print differently."""
    both = pd.concat([older.cells[code], newer.cells[code]], axis=1, join="inner")
    first, second = both.iloc[:, 0], both.iloc[:, 1]
    differs = (first != second) & ~(first.isna() & second.isna())
    if differs.any():
        at = both.index[differs][0]
        raise DataError(
            newer.name,
            f"{_said(second[at])} for {at[0]} in {at[1]:%Y-%m}",
            f"the same count as in {older.name} row {older.places[at]}, {_said(first[at])}",
            row=newer.places[at],
            column=code,
            advice="One of the two cells was changed. " + RESTORE,
        )


def _said(value, form=".0f"):
    return "an empty cell" if np.isnan(value) else f"{value:{form}}"


def _kind(measures):
    return dict(zip(measures["source_code"], measures["kind"], strict=True))


def _check_codes(name, codes, measures, row=None):
    known = set(measures["source_code"])
    if not codes:
        raise DataError(name, "no measure", "measures of table 12r5", row=row, advice=RESTORE)
    for place, code in enumerate(codes):
        if code not in known or code in codes[:place]:
            found = f"{code} a second time" if code in known else code
            expected = "measures of table 12r5, each once"
            raise DataError(name, found, expected, row=row, column=code, advice=RESTORE)


def _content(path):
    """Return a file's bytes, refusing more than any table state has."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= jsonstat.SIZE_LIMIT else b""
    except OSError as error:
        raise DataError(path.name, error.strerror, "a readable file") from error
    _check_size(path, size)
    return content


def _check_number(name, cells):
    if cells > jsonstat.CELL_LIMIT:
        expected = f"at most {jsonstat.CELL_LIMIT:,}"
        raise DataError(name, f"{cells:,} cells", expected, row=1, advice=RESTORE)


def _check_size(path, size, kind="bytes"):
    if size > jsonstat.SIZE_LIMIT:
        expected = f"at most {jsonstat.SIZE_LIMIT:,}"
        raise DataError(path.name, f"{size:,} {kind} or more", expected, row=1, advice=RESTORE)


def _text(path):
    """Return a file's text, refusing what is cut, compressed badly or in another encoding."""
    content = _content(path)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(jsonstat.SIZE_LIMIT + 1)
            _check_size(path, len(content), "bytes when unpacked")
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
            raise DataError(
                path.name, "a truncated or damaged gzip file", "a whole gzip file", advice=RESTORE
            ) from error
    resaved = f"The file was saved again by another program. {RESTORE}"
    return datapackage.text_of(content, path.name, resaved, f"The file is truncated. {RESTORE}")


def _snapshot(name, vintage, raw, measures, known, mergers):
    """Turn a frame of text cells, indexed by their place in the file, into a `Snapshot`."""
    area, month = raw[AREA_COLUMN], raw[MONTH_COLUMN]

    def refuse(where, column, expected, advice=RESTORE):
        row = raw.index[where][0]
        cell = raw.loc[row, column]
        found = (cell if cell.isprintable() else repr(cell)) or "nothing"
        raise DataError(name, found, expected, row=row, column=column, advice=advice)

    _refuse_if(refuse, ~area.str.fullmatch(AREA_PATTERN), AREA_COLUMN, AREA)
    is_municipality = area.str.startswith("KU") & ~area.isin(NO_MUNICIPALITY)
    unknown = is_municipality & ~area.str[2:].isin(known)
    _refuse_if(refuse, unknown, AREA_COLUMN, "a municipality of 2021")
    wrong_month = ~month.str.fullmatch(MONTH_PATTERN)
    _refuse_if(refuse, wrong_month, MONTH_COLUMN, MONTH)
    twice = raw.duplicated([AREA_COLUMN, MONTH_COLUMN])
    if twice.any():
        row = raw.index[twice][0]
        first = raw.index[(area == area[row]) & (month == month[row])][0]
        key = f"{area[row]} {month[row]} a second time (first in row {first})"
        raise DataError(name, key, "each area and month once", row=row, column=AREA_COLUMN)
    _check_complete(name, raw, is_municipality, known, mergers)
    values = {}
    for code in raw.columns[2:]:
        _check_cells(refuse, raw[code], code, _kind(measures)[code])
        values[code] = pd.to_numeric(raw[code].where(raw[code] != ""), errors="raise").astype(float)
    index = pd.MultiIndex.from_arrays(
        [area, pd.to_datetime(month, format="%YM%m")], names=["area", "month"]
    )
    cells = pd.DataFrame(values).set_axis(index)
    kept = ~area.isin(NO_MUNICIPALITY).to_numpy()
    places = pd.Series(raw.index, index=index)
    return Snapshot(name, vintage, cells[kept], places[kept])


def _refuse_if(refuse, where, column, expected):
    if where.any():
        refuse(where, column, expected)


def _check_complete(name, raw, is_municipality, known, mergers):
    """Every municipality of one division, every month between first and last, for every area."""
    area, month = raw[AREA_COLUMN], raw[MONTH_COLUMN]

    def refuse(found, expected, column, key):
        keys = area + " " + month
        before = keys[keys < key]  # the row after which the missing one belongs
        row = keys.index[keys == before.max()][0] if len(before) else 1
        advice = "The file is truncated or rows were removed. " + RESTORE
        raise DataError(name, found, expected, f"{row} or near it", column, advice)

    present = {a[2:] for a in area[is_municipality].unique()}
    absent = sorted(known - present - {m for m in mergers if mergers[m] in present})
    if absent:
        code = "KU" + absent[0]
        refuse(f"no row for {code}", "all municipalities of 2021", AREA_COLUMN, code)
    areas_with = month.value_counts()
    stray = month.map(areas_with) < area.nunique() / 2
    if stray.any():
        row, expected = raw.index[stray][0], "a month that the other areas have"
        raise DataError(name, month[row], expected, row, MONTH_COLUMN, RESTORE)
    first, last = (f"{m[:4]}-{m[5:]}" for m in (month.min(), month.max()))
    expected = pd.period_range(first, last, freq="M").strftime("%YM%m")
    missing = expected[~expected.isin(areas_with.index)]
    if len(missing):
        key = f"{area.min()} {missing[0]}"
        refuse(f"no row for {missing[0]}", "every month", MONTH_COLUMN, key)
    counts = area.value_counts()
    short = counts.index[counts < len(expected)]
    if len(short):
        code = min(short)
        gap = expected[~expected.isin(month[area == code])][0]
        key = f"{code} {gap}"
        refuse(f"no row for {key}", f"{len(expected)} months of {code}", MONTH_COLUMN, key)


def _check_cells(refuse, cells, code, kind):
    shown = cells != ""
    if kind == "rate":
        number = cells.str.fullmatch(r"[0-9]{1,3}(\.[0-9])?")
        _refuse_if(refuse, shown & ~number, code, "a rate in per cent with a decimal point")
        above = shown & (pd.to_numeric(cells.where(shown & number, "0")) > 100)
        _refuse_if(refuse, above, code, "a rate of 0 to 100 per cent")
        return
    number = cells.str.fullmatch("[0-9]{1,9}")  # Finland has ten million inhabitants at most
    expected = "a whole number of 0 or more, of at most nine digits"
    _refuse_if(refuse, shown & ~number, code, expected)
    if kind == "denominator":
        _refuse_if(refuse, ~shown, code, "a labour force")
    else:
        secret = cells.str.fullmatch(f"[{HIDDEN_LOWER}-{HIDDEN_UPPER}]")
        _refuse_if(refuse, secret, code, "0, 5 or more, or an empty cell: the table hides 1-4")
