"""Returns from municipalities: read, checked cell by cell, and kept.

A return is refused row by row: every fault is reported with its cell, and the rows without a
fault are accepted. What the form looks like is in `survey_form`, how files are opened in
`survey_files`, what returns imply in `survey_evidence`.
"""

import datetime
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kokeilu_analysis import store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import survey_files as files
from kokeilu_analysis.sources import survey_form as form

KEPT = "survey_returns.csv"
COUNT_LIMIT = 250_000  # more customers than were moved to all trials together
PROBLEM = ["file", "cell", "found", "expected", "advice"]
THEMES = list(form.THEMES)
KEY = ["municipality", "date"]
COLUMNS = [*form.NAMES, "file", "row"]  # of accepted and of kept returns

_YES, _NO = {"kyllä", "ja", "yes", "x", "1", "true"}, {"ei", "nej", "no", "0", "false"}
# A name alone cannot be told from an office, so an office must say that it is one.
_OFFICE = re.compile(
    "toimisto|palvelu|työllisyy|kunta|kunna|kaupun|kokeilu|yksikkö|osasto|keskus|hallinto|tiimi"
    "|kontor|byrå|tjänst|sysselsätt|kommun|stad|försök|enhet|avdelning|central|förvaltning|team"
    "|office|service|unit|department|municipal|city",
    re.IGNORECASE,
)
_PRIVATE = {
    "an e-mail address": re.compile(r"\w@\w"),
    "a personal identity code": re.compile(r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]\b", re.IGNORECASE),
    "a phone number": re.compile(r"(?<![\d-])(?:\+|0)(?:[\s-]?\d){6,}"),
}
_OVERRIDES = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"  # make text read otherwise than it is
_NOT_A_COUNT = {
    "a formula": re.compile(r"^\s*="),
    "a percentage": re.compile("%"),
    "a negative number": re.compile(r"^\s*[-−–]\s?\d"),
    "a decimal comma": re.compile(r"\d,\d"),
    "a full stop in the number": re.compile(r"\d\.\d"),
    "a space in the number": re.compile(r"\d\s+\d"),
    "text": re.compile(""),
}


@dataclass(frozen=True)
class Returns:
    """What a reading of returns gave.

    Attributes
    ----------
    accepted : DataFrame
        One row per municipality and count day: the columns of the form, `file` and `row`.
        Counts are persons, themes 1 (yes), 0 (no) or missing.
    problems : DataFrame
        Columns `file`, `cell`, `found`, `expected`, `advice`; empty when all is well.

    """

    accepted: pd.DataFrame
    problems: pd.DataFrame


class _Fault(Exception):
    """A cell that is not what it should be: found, expected, advice."""


def read_returns(paths, municipalities, latest=form.LAST_DAY):
    """Read returned forms, report every problem at once and keep the rows without one.

    Parameters
    ----------
    paths : path-like or list of path-like
        Workbooks or CSV files.
    municipalities : DataFrame
        As for `survey_form.write_template`: all municipalities, trial or not.
    latest : date-like
        Last count day that can be true.

    Returns
    -------
    returned : Returns
        Rows without a fault, and the problems of all files.

    """
    register = municipalities.set_index("municipality")
    rows, problems = [], []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            grid = files.open_form(path)
        except DataError as error:
            place = "" if error.row is None else f"row {error.row}, column {error.column}"
            found, expected = str(error.found), str(error.expected)
            problems.append((error.file, place, found, expected, error.advice))
        else:
            rows += _read_grid(grid, register, pd.Timestamp(latest), problems)
    rows = _settle_duplicates(rows, problems)
    return Returns(_typed(rows), pd.DataFrame(problems, columns=PROBLEM, dtype=str))


def _read_grid(grid, register, latest, problems):
    """Return the accepted rows of one form as dicts; add what is wrong to `problems`."""
    header, columns = _header(grid, problems)
    if columns is None:
        return []
    bad_rows = set()
    for area, first, last in grid.merged:
        if last > header:
            fault = ("merged cells", "one cell for every answer", "Unmerge them and fill each.")
            problems.append((grid.file, f"{grid.sheet}!{area}", *fault))
            bad_rows.update(range(first, last + 1))
    titled = len(grid.rows[header - 1])
    rows = []
    for number, cells in enumerate(grid.rows[header:], start=header + 1):
        before = len(problems)
        for column, value in enumerate(cells, start=1):
            headless = column > titled or _blank(grid.rows[header - 1][column - 1])
            if headless and not _blank(value):
                fault = (_show(value), "no value outside the named columns", "Move or delete it.")
                problems.append((grid.file, grid.address(number, column), *fault))
        row = _read_row(grid, number, cells, columns, register, latest, problems)
        if row and len(problems) == before and number not in bad_rows:
            rows.append(row)
    return rows


def _header(grid, problems):
    """Return the row number of the machine names and the column number of each, or None."""

    def complain(row, column, *fault):
        problems.append((grid.file, grid.address(row, column), *fault))

    advice = "Copy the answers to a fresh form."
    header = next(
        (n for n, row in enumerate(grid.rows[:20], 1) if len(set(form.NAMES) & set(row)) > 2), None
    )
    if header is None:
        complain(form.LABEL_ROWS, 1, "no row of column names", ", ".join(form.NAMES), advice)
        return None, None
    wanted = f"{form.FORM} {form.VERSION}"
    places = [(r, c) for r, row in enumerate(grid.rows[: header - 1], 1) for c in range(len(row))]
    stamps = {p: str(grid.rows[p[0] - 1][p[1]] or "").strip() for p in places}
    stamps = {p: text for p, text in stamps.items() if text.startswith(form.FORM)}
    usable = wanted in stamps.values()
    if not stamps:
        complain(1, 1, "no template version", wanted, advice)
    elif not usable:
        (row, column), text = next(iter(stamps.items()))
        complain(row, column + 1, f"template version {text!r}", wanted, advice)
    columns = {}
    for number, value in enumerate(grid.rows[header - 1], start=1):
        name = str(value).strip() if not _blank(value) else None
        if name in columns:
            complain(header, number, f"column {name} a second time", "each column once", advice)
            usable = False
        elif name in form.NAMES:
            columns[name] = number
        elif name:
            complain(header, number, f"unknown column {name!r}", "the form's columns", "Delete it.")
    for name in form.NAMES:
        if name not in columns:
            complain(header, 1, f"no column {name}", "all columns of the form", advice)
            usable = False
    return header, columns if usable else None


def _read_row(grid, number, cells, columns, register, latest, problems):
    """Return the answers of a row, or None if it has none; add what is wrong to `problems`."""
    cells = {name: cells[c - 1] if c <= len(cells) else None for name, c in columns.items()}
    if all(_blank(value) for value in cells.values()):
        return None

    def complain(name, *fault):
        problems.append((grid.file, grid.address(number, columns[name]), *fault))

    answer = {}
    for column in form.COLUMNS:
        try:
            answer[column.name] = _parse(column.kind, cells[column.name])
        except _Fault as fault:
            complain(column.name, *fault.args)
    _check_identity(answer, register, complain)
    if all(_blank(cells[name]) for name in form.NAMES[3:]):
        return None  # a row of the empty form
    known = answer.get("municipality") in register.index
    outside = known and int(register.loc[answer["municipality"], "is_trial"]) == 0
    _check_answers(answer, outside, latest, complain)
    if known:
        area = register.loc[answer["municipality"], "area_id"]
        answer["area_id"] = area if isinstance(area, str) else ""
    place = grid.address(number, columns["municipality"])
    return answer | {
        "file": files.plain_name(grid.file),
        "row": number,
        "place": (grid.file, place),
    }


def _check_identity(answer, register, complain):
    """Check that code, name and area mean the same municipality."""
    if "municipality" not in answer:
        return
    code = answer["municipality"]
    if code not in register.index:
        found = "an empty cell" if code is None else f"unknown municipality {code!r}"
        advice = "See the list of codes in the sheet Luettelot."
        complain("municipality", found, "a municipality code of 2021", advice)
        return
    known = register.loc[code]
    names = [known["municipality_name_fi"], known["municipality_name_sv"]]
    name = answer.get("municipality_name", names[0])
    if name is None or _fold(name) not in map(_fold, names):
        advice = "Correct the code or the name."
        complain("municipality_name", _show(name), f"{names[0]!r}, as {code} is", advice)
    area = answer.get("area_id")
    if area and area != known["area_id"]:
        trial = int(known["is_trial"]) == 1
        expected = f"{known['area_id']!r}, as {code} is in it" if trial else "an empty cell"
        complain("area_id", _show(area), expected, "Leave the area as the form gives it.")


def _check_answers(answer, outside, latest, complain):
    """Check a row against itself: date, sums and parts, and who may give counts."""
    date = answer.get("date", latest)
    if date is None or not form.FIRST_DAY <= date <= latest:
        found = "an empty cell" if date is None else f"{date:%Y-%m-%d}"
        span = f"a count day from {form.FIRST_DAY:%Y-%m-%d} to {latest:%Y-%m-%d}"
        complain("date", found, span, "Give the day that the figures describe.")
    contents = [*form.COUNTS, "round_done", *THEMES, "free_text"]
    if all(answer.get(name, "?") is None for name in contents):
        complain("date", "a date or office without answers", "at least one answer", "Fill the row.")
    counts = {name: answer[name] for name in form.COUNTS if name in answer}
    given = [name for name, count in counts.items() if count is not None]
    if given and outside:
        advice = "No customers were moved outside the trials: leave the four counts empty."
        complain(given[0], _show(counts[given[0]]), "an empty cell", advice)
        return
    if given and answer.get("source_office", "?") is None:
        complain("source_office", "an empty cell", "the office that gave the counts", "Name it.")
    if len(counts) < len(form.COUNTS) or set(given) <= {"customers_transferred"}:
        return
    for name in (name for name, count in counts.items() if count is None):
        advice = "Give all four counts, or leave the three of plans empty. None is 0."
        complain(name, "an empty cell", "a count, as the others are given", advice)
    customers = counts["customers_transferred"]
    if customers is None or len(given) < len(form.COUNTS):
        return
    parts = {name: counts[name] for name in form.PLANS}
    for name in (name for name, count in parts.items() if count > customers):
        expected = f"at most the {customers} customers"
        complain(name, f"{parts[name]}, a part over 100 %", expected, "Correct either number.")
    if max(parts.values()) <= customers != sum(parts.values()):
        found = f"{customers}, but {' + '.join(map(str, parts.values()))} = {sum(parts.values())}"
        expected = "valid + out of date + never made = customers"
        complain("customers_transferred", found, expected, "Correct the count that is wrong.")


def _settle_duplicates(rows, problems):
    """Keep one of several equal returns for a municipality and day, none of those that differ."""
    groups, kept = {}, []
    for row in rows:
        groups.setdefault((row["municipality"], row["date"]), []).append(row)
    for first, *others in groups.values():
        same = all(row[name] == first[name] for row in others for name in form.NAMES)
        pairs = [(row, first) for row in others]
        if same:
            kept.append(first)
        else:
            pairs.insert(0, (first, others[0]))
        for row, twin in pairs:
            found = f"a second return for {row['municipality']} on {row['date']:%Y-%m-%d}"
            expected = f"one return; see also {', '.join(twin['place'])}"
            advice = "Delete it: it says the same." if same else "Keep the right one only."
            problems.append((*row["place"], found, expected, advice))
    return kept


def _blank(value):
    return value is None or (isinstance(value, str) and not value.strip())


def _fold(name):
    return re.sub(r"[\s\-–—]+", " ", str(name)).strip().casefold()


def _show(value):
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = "an empty cell" if _blank(value) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"


def _parse(kind, value):
    """Return what a cell says, None if empty; raise `_Fault` if it does not say it."""
    if _blank(value):
        return None
    if isinstance(value, files.Formula):
        advice = "Copy the cell and paste it as a value."
        raise _Fault(f"the formula {value[:40]!r}", "a value", advice)
    return _PARSERS[kind](value)


def _code(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = _text(value)
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise _Fault(_show(value), "a three-digit municipality code", "See the sheet Luettelot.")
    return text.zfill(3)  # a spreadsheet makes 91 of 091


def _date(value):
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return pd.Timestamp(value)
    text = value.strip() if isinstance(value, str) else ""
    order = {r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d", r"\d{1,2}\.\d{1,2}\.\d{4}": "%d.%m.%Y"}
    for pattern, layout in order.items():
        if re.fullmatch(pattern, text, re.ASCII):
            try:
                return pd.Timestamp(datetime.datetime.strptime(text, layout))
            except ValueError:
                break  # a day that no month has
    raise _Fault(_show(value), "a date such as 31.3.2021 or 2021-03-31", "Write it as a date.")


def _count(value):
    advice = "Give persons as a plain whole number, without %, decimals or spaces."
    if isinstance(value, str) and not re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        kind = next(kind for kind, pattern in _NOT_A_COUNT.items() if pattern.search(value))
        raise _Fault(f"{_show(value)}, {kind}", "a count of 0 or more", advice)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Fault(f"{_show(value)}, not a number", "a count of 0 or more", advice)
    number = int(value) if isinstance(value, str) else value
    if number > COUNT_LIMIT:
        raise _Fault(_show(value), f"at most {COUNT_LIMIT}", "That is more than all trials had.")
    if not (number >= 0 and number == int(number)):
        kind = "a negative number" if number < 0 else "a fraction"
        raise _Fault(f"{_show(value)}, {kind}", "a count of 0 or more", advice)
    return int(number)


def _round(value):
    if not isinstance(value, bool) and str(value).strip() in {"0", "1", "2", "0.0", "1.0", "2.0"}:
        return int(float(value))
    raise _Fault(_show(value), "0, 1 or 2 rounds", "Give the number of interview rounds held.")


def _yes_no(value):
    word = str(value).strip().casefold().removesuffix(".0")
    if word in _YES or word in _NO:
        return int(word in _YES)
    raise _Fault(_show(value), "kyllä or ei, ja or nej", "Leave it empty if it is not known.")


def _text(value, limit=form.TEXT_LIMIT):
    for sign in str(value):
        control = unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\t\n\r"
        if control or sign in _OVERRIDES:
            raise _Fault(f"the control character U+{ord(sign):04X}", "text", "Type it again.")
    text = form.restore(" ".join(str(value).split()))
    if len(text) > limit:
        raise _Fault(f"{len(text)} characters", f"at most {limit}", "Shorten it.")
    for what, pattern in _PRIVATE.items():  # what was found is named, never repeated
        if pattern.search(text):
            raise _Fault(what, "nothing that points to a person", "Leave persons out.")
    return text


def _office(value):
    text = _text(value, form.OFFICE_LIMIT)
    if "@" in text or text.startswith("=") or not _OFFICE.search(text):
        advice = "Write for instance 'Porin työllisyyspalvelut'."
        raise _Fault("something other than an office", "an office, never a person", advice)
    return text


_PARSERS = {
    "code": _code,
    "name": _text,
    "area": _text,
    "date": _date,
    "count": _count,
    "office": _office,
    "round": _round,
    "yes_no": _yes_no,
    "text": _text,
}


def _typed(rows):
    """Return accepted rows as a frame with the types that `Returns` promises."""
    types = {c.name: "Int64" for c in form.COLUMNS if c.kind in ("count", "round", "yes_no")}
    types |= {"date": "datetime64[us]", "row": "int64"}
    rows = sorted(rows, key=lambda row: [row[name] for name in KEY])
    cells = {n: [row[n] if n in types else row[n] or "" for row in rows] for n in COLUMNS}
    return pd.DataFrame({n: pd.array(cells[n], dtype=types.get(n, str)) for n in COLUMNS})


def kept(folder):
    """Return the rows that were kept before, empty if there are none yet.

    Parameters
    ----------
    folder : path-like
        Where `survey_returns.csv` is.

    Returns
    -------
    DataFrame
        As `Returns.accepted`.

    Raises
    ------
    DataError
        If the file was edited into something that the form could not have said.
    """
    path = Path(folder) / KEPT
    if not path.exists():
        return _typed([])
    header, *lines = files.open_form(path).rows or [[]]
    if header != COLUMNS:
        raise DataError(KEPT, str(header)[:300], ", ".join(COLUMNS), row=1)
    rows = {}
    for number, line in enumerate(lines, start=2):
        if len(line) != len(COLUMNS):
            raise DataError(KEPT, f"{len(line)} values", f"{len(COLUMNS)} values", row=number)
        row = _kept_row(number, dict(zip(COLUMNS, line, strict=True)))
        if (key := (row["municipality"], row["date"])) in rows:
            raise DataError(KEPT, f"{key[0]} a second time", "once a day", number, KEY[0])
        rows[key] = row
    return _typed(list(rows.values()))


def _kept_row(line, record):
    """Return a kept row as answers, after the checks that need no list of municipalities."""

    def complain(name, found, expected, advice):
        raise DataError(KEPT, found, expected, line, name, advice)

    row = {"file": files.plain_name(form.restore(record["file"]))}
    for name, kind in [*((c.name, c.kind) for c in form.COLUMNS), ("row", "count")]:
        try:
            row[name] = _parse(kind, record[name])
        except _Fault as fault:
            complain(name, *fault.args)
        if row[name] is None and name in ("municipality", "row"):
            complain(name, "an empty cell", "a value", "Restore the file.")
    _check_answers(row, False, pd.Timestamp.max, complain)
    return row


def save_returns(returns, folder):
    """Add accepted rows to those kept before; the same rows again change nothing.

    Parameters
    ----------
    returns : Returns
        From `read_returns`.
    folder : path-like
        Where `survey_returns.csv` is or will be. Text in it is neutralised.

    Returns
    -------
    returned : Returns
        All rows now kept, and the problems of `returns` with one more for every row that
        contradicts a kept one. A contradicted row stays as it was.

    """
    old = kept(folder)
    known = {tuple(row[:2]): tuple(row) for row in _exported(old)[[*KEY, *form.NAMES]].to_numpy()}
    fresh, conflicts = [], []
    for place, row in enumerate(_exported(returns.accepted)[[*KEY, *form.NAMES]].to_numpy()):
        before = known.get(tuple(row[:2]))
        if before is None:
            fresh.append(place)
        elif before != tuple(row):
            source = returns.accepted.iloc[place]
            found = f"another answer for {row[0]} on {row[1]} than the one kept"
            advice = f"Delete its row in {KEPT} first if the new answer corrects it."
            cell = f"row {source['row']}"
            conflicts.append((source["file"], cell, found, f"the answer in {KEPT}", advice))
    merged = pd.concat([old, returns.accepted.iloc[fresh]]).sort_values(KEY, ignore_index=True)
    if fresh:
        store.write_csv(Path(folder) / KEPT, _exported(merged))
    conflicts = pd.DataFrame(conflicts, columns=PROBLEM, dtype=str)
    return Returns(merged, pd.concat([returns.problems, conflicts], ignore_index=True))


def _exported(accepted):
    """Return accepted rows as text that is safe in any spreadsheet, dates as ISO."""
    frame = accepted.assign(date=accepted["date"].dt.strftime("%Y-%m-%d"))
    said = {n: ["" if pd.isna(v) else form.neutralise(str(v)) for v in frame[n]] for n in frame}
    return pd.DataFrame(said, dtype=str)
