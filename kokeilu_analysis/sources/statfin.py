"""StatFin table 12r5: read its snapshots in each form they come in and refuse what is damaged.

A snapshot is one table state saved as a file: wide CSV (plain or gzip, one row per area and month)
or the answer of the table's own interface in its ``json`` format. Reading ends in a `Snapshot`
whose every cell has been checked; what is wrong is named by file, row and column.
"""

import gzip
import io
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kokeilu_analysis import store
from kokeilu_analysis.errors import DataError

AREA_COLUMN, MONTH_COLUMN = "alue", "kuukausi"
HIDDEN_MARK = "..."  # how the table prints a count it keeps secret; the CSV forms leave it empty
HIDDEN_LOWER, HIDDEN_UPPER = 1, 4  # the secrecy rule: counts 1-4 are not printed, 0 and 5+ are
NO_MUNICIPALITY = {"KU199", "KUJOU"}  # vacancies that belong to no municipality
AREA_PATTERN = r"SSS|(KU|SK|ELY)(\d{2,3}|JOU?)|MK(\d{2}|JO)"  # JO: belongs to no place
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
        if not path.exists():
            if entry.get("required", True):
                raise DataError(path.name, "no such file", f"the snapshot «{entry['title']}»")
            continue
        read = read_json if entry["form"] == "json" else read_csv
        snapshot = read(path, entry["vintage"], measures, known, mergers)
        check_sums(snapshot, measures, municipalities)
        snapshots.append((snapshot, path, entry))
    ordered = sorted((s for s, _, _ in snapshots), key=lambda s: s.vintage)
    check_between(ordered, measures, mergers)
    for _, path, entry in snapshots:
        digest = "sha256:" + store.sha256(path)
        if digest != entry["hash"] and not allow_unlisted:
            raise DataError(
                path.name,
                f"SHA-256 {digest[7:19]}…",
                f"{entry['hash'][7:19]}… as described in data/raw/datapackage.json",
                row="not known",
                column="not known",
                advice="The content passes the other checks, so a value was changed where no sum "
                f"or second file can tell which. {RESTORE} For a newer table state add "
                "--allow-unlisted.",
            )
    return ordered


def merged_codes(changes):
    """Return {old code: code it was merged into} for mergers after the division of 2021.

    >>> merged_codes(pd.DataFrame({"change": ["merger"], "from_code": ["588"],
    ...     "to_code": ["507"], "valid_from": pd.to_datetime(["2025-01-01"])}))
    {'588': '507'}
    """
    late = changes[(changes["change"] == "merger") & (changes["valid_from"] > "2021-12-31")]
    return dict(zip(late["from_code"], late["to_code"], strict=True))


def read_csv(path, vintage, measures, known, mergers):
    """Read one wide CSV (``.csv`` or ``.csv.gz``) into a `Snapshot`; see `read_folder`."""
    path = Path(path)
    text = _text(path)
    header, *lines = text[:-1].split("\n")
    columns = header.split(",")
    codes = columns[2:]
    if columns[:2] != [AREA_COLUMN, MONTH_COLUMN] or not codes:
        raise DataError(path.name, header[:60], "columns alue,kuukausi and measures", row=1)
    unknown = [c for c in codes if c not in set(measures["source_code"])]
    if unknown or len(set(codes)) < len(codes):
        found = unknown[0] if unknown else "a column twice"
        raise DataError(path.name, found, "measures of table 12r5, each once", row=1)
    for number, line in enumerate(lines, start=2):
        if line.count(",") != len(columns) - 1:
            fields = line.count(",") + 1
            raise DataError(
                path.name,
                f"{fields} fields ({line[:40]})",
                f"{len(columns)} fields",
                row=number,
                column=columns[min(fields, len(columns)) - 1],
                advice="A decimal comma or a cut line gives this. " + RESTORE,
            )
    raw = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_filter=False)
    raw.index = np.arange(2, len(raw) + 2)
    return _snapshot(path.name, vintage, raw, measures, known, mergers)


def read_json(path, vintage, measures, known, mergers):
    """Read one interface answer in PxWeb's ``json`` format into a `Snapshot`.

    Variables are told apart by their type (``d`` area, ``t`` month, ``c`` measure), since their
    names changed in June 2026.
    """
    path = Path(path)
    try:
        answer = json.loads(path.read_bytes().decode("utf-8"))
        columns, data = answer["columns"], answer["data"]
        kinds = [c["type"] for c in columns]
        keys = [k for k, kind in enumerate(kinds) if kind != "c"]
        codes = [c["code"] for c in columns if c["type"] == "c"]
        area, month = kinds.index("d"), kinds.index("t")
        rows = [[d["key"][area], d["key"][month], *d["values"]] for d in data]
    except UnicodeDecodeError as error:
        raise DataError(path.name, f"byte {error.start} is not UTF-8", "UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise DataError(
            path.name, f"broken JSON ({error.msg})", "a whole answer", row=error.lineno
        ) from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(path.name, f"no {error}", "columns and data as the table gives") from error
    for number, row in enumerate(rows, start=1):
        if len(row) != len(codes) + len(keys):
            raise DataError(path.name, f"{len(row)} values", f"{len(codes) + 2} values", row=number)
    raw = pd.DataFrame(rows, columns=[AREA_COLUMN, MONTH_COLUMN, *codes], dtype=str)
    raw.index = np.arange(1, len(raw) + 1)
    for code in codes:
        if code not in set(measures["source_code"]):
            raise DataError(path.name, code, "a measure of table 12r5", column=code)
        raw[code] = raw[code].where(raw[code] != HIDDEN_MARK, "")
    return _snapshot(path.name, vintage, raw, measures, known, mergers)


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


def check_between(snapshots, measures, mergers):
    """Check that table states agree where they must: counts with counts, rates with counts.

    Labour force may differ: the table prints it first as provisional.
    """
    kind = _kind(measures)
    for older, newer in zip(snapshots, snapshots[1:], strict=False):
        for code in older.cells.columns.intersection(newer.cells.columns):
            if kind[code] != "count":
                continue
            both = pd.concat([older.cells[code], newer.cells[code]], axis=1, join="inner")
            _first_difference(older, newer, code, both, both.iloc[:, 0], "the same count")
    rate = measures.loc[measures["kind"] == "rate", "source_code"].iloc[0]
    counts = [s for s in snapshots if {"TYOTTOMATLOPUSSA", "TYOVOIMATK"} <= set(s.cells.columns)]
    for source in (s for s in snapshots if rate in s.cells.columns):
        # The labour force of a later table state is the revised one, so it goes with later rates.
        base = max(counts, key=lambda s: (s.vintage <= source.vintage, s.vintage), default=None)
        if base is None:
            continue
        computed = 100 * base.cells["TYOTTOMATLOPUSSA"] / base.cells["TYOVOIMATK"]
        both = pd.concat([source.cells[rate], computed], axis=1, join="inner")
        absorbing = ["KU" + new for old, new in mergers.items() if old not in source.municipalities]
        both = both[~both.index.get_level_values("area").isin(absorbing)]
        off = (both.iloc[:, 0] - both.iloc[:, 1]).abs() > 0.05 + 1e-9
        if off.any():
            area, month = both.index[off][0]
            raise DataError(
                source.name,
                f"{both.loc[(area, month)].iloc[0]} for {area} in {month:%Y-%m}",
                f"{both.loc[(area, month)].iloc[1]:.3f}, unemployed per labour force in "
                f"{base.name} row {base.places[(area, month)]}",
                row=source.places[(area, month)],
                column=rate,
                advice=RESTORE,
            )


def _first_difference(older, newer, code, both, reference, expectation):
    first, second = both.iloc[:, 0], both.iloc[:, 1]
    differs = (first != second) & ~(first.isna() & second.isna())
    if differs.any():
        area, month = both.index[differs][0]
        raise DataError(
            newer.name,
            f"{second[(area, month)]:.0f} for {area} in {month:%Y-%m}",
            f"{expectation} as in {older.name} row {older.places[(area, month)]}, "
            f"{reference[(area, month)]:.0f}",
            row=newer.places[(area, month)],
            column=code,
            advice="One of the two cells was changed. " + RESTORE,
        )


def _kind(measures):
    return dict(zip(measures["source_code"], measures["kind"], strict=True))


def _text(path):
    """Return a file's text, refusing what is cut, compressed badly or in another encoding."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
            raise DataError(
                path.name, "a truncated or damaged gzip file", "a whole gzip file", advice=RESTORE
            ) from error
    if content.startswith(b"\xef\xbb\xbf") or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(
            path.name,
            "a byte-order mark",
            "plain UTF-8",
            row=1,
            advice="The file was saved again by another program. " + RESTORE,
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise DataError(
            path.name, f"byte {content[error.start]:#04x}", "UTF-8 text", row=row, advice=RESTORE
        ) from error
    if not text:
        raise DataError(path.name, "an empty file", "a snapshot", row=1, advice=RESTORE)
    if "\r" in text:
        row = text[: text.index("\r")].count("\n") + 1
        raise DataError(
            path.name,
            "a carriage return",
            "line ends of \\n only",
            row=row,
            advice="The file was saved again by another program. " + RESTORE,
        )
    if not text.endswith("\n"):
        raise DataError(
            path.name,
            f"the last line {text.rsplit(chr(10), 1)[-1][:40]!r} without an end",
            "a whole line",
            row=text.count("\n") + 1,
            advice="The file is truncated. " + RESTORE,
        )
    return text


def _snapshot(name, vintage, raw, measures, known, mergers):
    """Turn a frame of text cells, indexed by their place in the file, into a `Snapshot`."""
    area, month = raw[AREA_COLUMN], raw[MONTH_COLUMN]

    def refuse(where, column, expected, advice=RESTORE):
        row = raw.index[where][0]
        raise DataError(
            name, raw.loc[row, column] or "nothing", expected, row=row, column=column, advice=advice
        )

    _refuse_if(refuse, ~area.str.fullmatch(AREA_PATTERN), AREA_COLUMN, "an area code such as KU091")
    is_municipality = area.str.startswith("KU") & ~area.isin(NO_MUNICIPALITY)
    unknown = is_municipality & ~area.str[2:].isin(known)
    _refuse_if(refuse, unknown, AREA_COLUMN, "a municipality of 2021")
    wrong_month = ~month.str.fullmatch(r"20\d{2}M(0[1-9]|1[0-2])")
    _refuse_if(refuse, wrong_month, MONTH_COLUMN, "a month such as 2021M03")
    twice = raw.duplicated([AREA_COLUMN, MONTH_COLUMN])
    if twice.any():
        row = raw.index[twice][0]
        key = f"{area[row]} {month[row]} a second time"
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
    present = {a[2:] for a in area[is_municipality].unique()}
    absent = sorted(known - present - {m for m in mergers if mergers[m] in present})
    if absent:
        raise DataError(
            name, f"no row for KU{absent[0]}", "all municipalities of 2021", column=AREA_COLUMN
        )
    months = sorted(month.unique())
    span = pd.period_range(months[0].replace("M", "-"), months[-1].replace("M", "-"), freq="M")
    expected = [f"{p.year}M{p.month:02d}" for p in span]
    missing = sorted(set(expected) - set(months))
    if missing:
        raise DataError(name, f"no row for {missing[0]}", "every month", column=MONTH_COLUMN)
    counts = area.value_counts()
    short = counts[counts < len(expected)]
    if len(short):
        code = sorted(short.index)[0]
        gap = sorted(set(expected) - set(month[area == code]))[0]
        near = raw.index[area == code][-1]
        raise DataError(
            name,
            f"no row for {code} {gap}",
            f"{len(expected)} months of {code}",
            row=f"{near} or near it",
            column=MONTH_COLUMN,
            advice="The file is truncated or rows were removed. " + RESTORE,
        )


def _check_cells(refuse, cells, code, kind):
    shown = cells != ""
    if kind == "rate":
        number = cells.str.fullmatch(r"\d{1,3}(\.\d)?")
        _refuse_if(refuse, shown & ~number, code, "a rate in per cent with a decimal point")
        above = shown & (pd.to_numeric(cells.where(shown & number, "0")) > 100)
        _refuse_if(refuse, above, code, "a rate of 0 to 100 per cent")
        return
    number = cells.str.fullmatch(r"\d+")
    expected = "a whole number of 0 or more"
    _refuse_if(refuse, shown & ~number, code, expected)
    if kind == "denominator":
        _refuse_if(refuse, ~shown, code, "a labour force")
    else:
        secret = cells.str.fullmatch(f"[{HIDDEN_LOWER}-{HIDDEN_UPPER}]")
        _refuse_if(refuse, secret, code, "0, 5 or more, or an empty cell: the table hides 1-4")


def area_number(code):
    """Return the three-digit municipality code of a table area code, or None.

    >>> area_number("KU091")
    '091'
    """
    return code[2:] if re.fullmatch(r"KU\d{3}", code) and code not in NO_MUNICIPALITY else None
