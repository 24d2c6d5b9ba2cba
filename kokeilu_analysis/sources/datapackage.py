"""Read tables by their Frictionless description, and say exactly what is wrong when they differ.

``datapackage.json`` in a folder is the only home of column names, types, units, allowed values,
keys and checksums. Supported from the specification: types ``string, integer, number, boolean,
date, yearmonth``; constraints ``required, unique, pattern, enum, minimum, maximum``; ``primaryKey``
and ``foreignKeys``. Beyond it: ``order``, pairs of columns of which the first is never above the
second, and ``infinite``, a number that may be open (``inf``). An empty cell is missing; in text
columns it stays the empty text. How a file is written is checked here, what its cells say by the
schemas of `contracts`.
"""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError

DESCRIPTOR = "datapackage.json"
SIZE_LIMIT, ROW_LIMIT = 20_000_000, 500_000  # bytes, rows: the largest table has 0.3 million bytes
COLUMN_LIMIT = 1_000
RESTORE = "Restore the file from the repository."
DESCRIBE = (
    "It was edited after it was described: restore it, or, if the change is meant, "
    "run `kokeilu check --describe`."
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE](\+?\d{1,2}|-\d{1,3}))?", re.ASCII)
# type: how a cell must look, and how the message names it
FORMS = {
    "integer": (re.compile(r"[+-]?\d{1,18}", re.ASCII), "a whole number"),
    "number": (NUMBER, "a number with a decimal point"),
    "boolean": (re.compile(r"[Tt]rue|[Ff]alse"), "true or false"),
    "date": (re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII), "a date such as 2021-03-01"),
    "yearmonth": (re.compile(r"\d{4}-\d{2}", re.ASCII), "a month such as 2021-03"),
}


def load(folder):
    """Return the description of a folder as a dict.

    Parameters
    ----------
    folder : path
        Folder that holds ``datapackage.json``.

    Raises
    ------
    DataError
        When the description is missing, is not JSON with a list of resources, or a resource has
        no name, a path out of the folder or a schema that is none.
    """
    path = Path(folder) / DESCRIPTOR
    file = paths.shown(path)
    try:
        package = json.loads(_content(path, file).decode("utf-8"))
    except FileNotFoundError:
        raise DataError(file, "no file", "the description of the folder", advice=RESTORE) from None
    except ValueError as fault:  # not JSON, or not UTF-8
        line = getattr(fault, "lineno", None)
        raise DataError(file, str(fault), "JSON in UTF-8", line, advice=RESTORE) from None
    except RecursionError:
        raise DataError(file, "JSON nested without end", "JSON", advice=RESTORE) from None
    if not isinstance(package, dict) or not isinstance(package.get("resources"), list):
        raise DataError(file, "no list of resources", 'a "resources" list', advice=RESTORE)
    for number, entry in enumerate(package["resources"], start=1):
        _check_entry(entry, number, file)
    return package


def _check_entry(entry, number, file):
    """Refuse a description that names no file of its folder, or whose schema cannot be one."""

    def require(right, key, given, expected):
        if not right:
            form = {dict: "a table", list: "a list", type(None): "nothing"}.get(type(given))
            found, row = form or repr(given)[:60], f"resource {number}"
            raise DataError(file, found, expected, row, key, RESTORE)

    require(isinstance(entry, dict), None, entry, "a resource with its keys")
    for key in ("name", "path", "hash", "title", "form", "vintage"):
        needed = key in ("name", "path") or "form" in entry  # a snapshot has them all
        given = entry.get(key) if needed else entry.get(key, "none")
        require(_word(given), key, given, "a short text")
    place = Path(entry["path"].replace("\\", "/"))
    inside = not place.is_absolute() and ".." not in place.parts
    require(inside and ":" not in entry["path"], "path", entry["path"], "a file of the folder")
    size = entry.get("bytes", 0 if "form" not in entry else None)
    require(type(size) is int, "bytes", size, "a number of bytes")
    schema = entry.get("schema", {"fields": []})
    require(isinstance(schema, dict), "schema", schema, "a table")
    fields, keys = schema.get("fields"), schema.get("primaryKey", [])
    pairs, foreign = (schema.get(key, []) for key in ("order", "foreignKeys"))
    described = isinstance(fields, list) and all(map(_is_field, fields))
    require(described, "fields", fields, "fields with name, type and sound constraints")
    names = {field["name"] for field in fields}
    require(len(names) == len(fields), "fields", fields, "each name once")

    def known(given):
        return (listed := _names(given)) is not None and names.issuperset(listed)

    some = bool(keys) or "primaryKey" not in schema
    require(some and known(keys), "primaryKey", keys, "names of fields")
    right = isinstance(pairs, list) and all(map(known, pairs))
    right = right and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    require(right, "order", pairs, "pairs of fields")
    right = isinstance(foreign, list) and all(map(_is_reference, foreign))
    right = right and all(known(key["fields"]) for key in foreign)
    require(right, "foreignKeys", foreign, "fields and the fields that they refer to")


def _is_field(field):
    """Tell whether a description of a column can be used."""
    if not isinstance(field, dict) or not _word(field.get("name")):
        return False
    kind, limits = field.get("type"), field.get("constraints", {})
    if kind not in ("string", *FORMS) or not isinstance(limits, dict):
        return False
    flags = [limits.get("required", True), limits.get("unique", True), field.get("infinite", True)]
    texts = [field.get(key, "") for key in ("description", "unit", "advice")]
    bounds = [limits[key] for key in ("minimum", "maximum") if key in limits]
    allowed = limits.get("enum", [])
    try:
        re.compile(limits.get("pattern", ""))
        if kind in ("date", "yearmonth"):
            bounds = [pd.Timestamp(bound).day for bound in bounds]
    except (re.error, TypeError, ValueError, RecursionError, OverflowError):
        return False
    return (
        all(type(flag) is bool for flag in flags)
        and all(isinstance(text, str) for text in texts)
        and all(map(_is_number, bounds))
        and not (bounds and kind == "string")
        and isinstance(allowed, list)
        and all(isinstance(value, str) or _is_number(value) for value in allowed)
    )


def _is_number(value):
    """Tell whether a number can be compared with cells: it has at most 18 digits, as they have."""
    return type(value) in (int, float) and abs(value) < 10**18


def _is_reference(key):
    """Tell whether a foreign key can be followed."""
    other = key.get("reference") if isinstance(key, dict) else None
    if not isinstance(other, dict) or not isinstance(other.get("resource"), str):
        return False
    ends = [_names(key.get("fields")), _names(other.get("fields"))]
    return None not in ends and len(ends[0]) == len(ends[1]) > 0


def _word(text):
    return isinstance(text, str) and text.isprintable() and 0 < len(text) <= 300


def _names(given):
    """Return one name or several as a list; None if it is neither."""
    given = [given] if isinstance(given, str) else given
    return given if isinstance(given, list) and all(map(_word, given)) else None


def _content(path, file):
    """Return the bytes of a file that may be read whole."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= SIZE_LIMIT else b""
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise DataError(file, fault.strerror, "a readable file", advice=RESTORE) from None
    if size > SIZE_LIMIT:
        raise DataError(file, f"{size:,} bytes", f"at most {SIZE_LIMIT:,}", advice=RESTORE)
    return content


def resource(folder, name):
    """Return the description of one resource of a folder as a dict."""
    known = {entry["name"]: entry for entry in load(folder)["resources"]}
    if name not in known:
        file = paths.shown(Path(folder) / DESCRIPTOR)
        raise DataError(file, f"no resource {name!r}", f"one of {', '.join(known)}")
    return known[name]


def verify(folder, name):
    """Check that a described file is there with the described content; return its path.

    For files that `read` does not read (Parquet, JSON, snapshots of another form).
    """
    entry = resource(folder, name)
    path = Path(folder) / entry["path"]
    if not path.is_file():
        raise DataError(paths.shown(path), "no file", f"the resource {name!r}", advice=RESTORE)
    _check_hash(path, entry, entry.get("rows"))
    return path


def read(folder, name, check_hash=True):
    """Read one CSV resource, typed and checked by its schema.

    Content is checked before the checksum, so that the message names the faulty cell where there
    is one; a file that is well formed but changed is refused by its checksum.

    Parameters
    ----------
    folder : path
        Folder that holds ``datapackage.json``.
    name : str
        Name of the resource.
    check_hash : bool
        False for a file that is being edited.

    Returns
    -------
    pandas.DataFrame
        One column per field in the order of the schema: ``string`` as text (empty where missing),
        ``integer`` as ``int64`` if required, else ``Int64``; ``number`` as ``float64``; ``date``
        and ``yearmonth`` as ``datetime64``; ``boolean`` as ``bool`` if required.

    Raises
    ------
    DataError
        With file, row (line number, the header is line 1), column, found, expected, advice.
    """
    return read_described(folder, resource(folder, name), check_hash)


def read_described(folder, entry, check_hash=True):
    """Read one CSV of a folder by a description that need not stand in the folder; see `read`.

    A table without a checksum (result tables: each run makes them anew) has none checked.
    """
    path = Path(folder) / entry["path"]
    file = paths.shown(path)
    fields = _fields(entry, file)
    header, rows, lines = _parse(path)
    _check_columns(header, fields, file)
    text = pd.DataFrame(rows, columns=header, dtype="str")
    typed = pd.DataFrame({field["name"]: _typed(text, field, file, lines) for field in fields})
    frame = validate(typed, entry, file, lines)
    for key in entry["schema"].get("foreignKeys", []):
        _check_foreign(folder, text, key, file, lines)
    if check_hash and "hash" in entry:
        _check_hash(path, entry, len(rows))
    return frame


def validate(frame, descriptor, file, rows=None):
    """Check a frame in memory against a schema and return it with the schema's column order.

    Parameters
    ----------
    frame : pandas.DataFrame
        Already typed columns.
    descriptor : dict
        A resource of the package, or its ``schema``.
    file : str
        Name for the messages.
    rows : sequence, optional
        What to call each row in a message; by default the line it would have in a CSV.

    Raises
    ------
    DataError
        The first breach; its attribute `all` has every one.

    Examples
    --------
    >>> schema = {"fields": [{"name": "share", "type": "number", "constraints": {"maximum": 1}}]}
    >>> validate(pd.DataFrame({"share": [0.5, 80.0]}), schema, "a.csv")
    Traceback (most recent call last):
    ...
    kokeilu_analysis.errors.DataError: a.csv, row 3, column share: found 80.0, expected at most 1.
    """
    from kokeilu_analysis.sources import contracts

    fields = _fields(descriptor, file)
    _check_columns(list(frame.columns), fields, file)
    found = contracts.faults(frame, descriptor, file, rows)
    if found:
        found[0].all = found
        raise found[0]
    return frame[[field["name"] for field in fields]]


def dictionary(folder, name):
    """Return the data dictionary of a resource: column, type, unit, meaning, allowed values."""

    def allowed(constraints):
        says = [" | ".join(map(str, constraints["enum"]))] if "enum" in constraints else []
        for word, key in (("at least", "minimum"), ("at most", "maximum"), ("form", "pattern")):
            says += [f"{word} {constraints[key]}"] if key in constraints else []
        return "; ".join(says + ([] if constraints.get("required") else ["may be empty"]))

    rows = []
    for field in _fields(resource(folder, name), name):
        says = allowed(field.get("constraints", {}))
        rows.append(
            [
                field["name"],
                field["type"],
                field.get("unit", ""),
                field.get("description", ""),
                says,
            ]
        )
    return pd.DataFrame(rows, columns=["column", "type", "unit", "meaning", "allowed"])


def describe(folder, name=None):
    """Write the present checksum, size and row count of a resource into ``datapackage.json``.

    Parameters
    ----------
    folder : path
        Folder that holds ``datapackage.json``.
    name : str, optional
        One resource; by default every resource whose file belongs to the repository.
    """
    package = load(folder)
    if name is not None:
        resource(folder, name)
    for entry in package["resources"]:
        if entry["name"] == name or (name is None and entry.get("committed", True)):
            path = Path(folder) / entry["path"]
            if not path.is_file():
                raise DataError(paths.shown(path), "no file", "a file to describe")
            entry["hash"] = f"sha256:{store.sha256(path)}"
            entry["bytes"] = path.stat().st_size
            if path.suffix == ".csv":
                entry["rows"] = len(_parse(path)[1])
    text = json.dumps(package, indent=1, ensure_ascii=False) + "\n"
    return store.write_text(Path(folder) / DESCRIPTOR, text)


def _fields(descriptor, file):
    schema = descriptor.get("schema", descriptor)
    if "fields" not in schema:
        raise DataError(file, "a resource without a schema", "a table described field by field")
    return schema["fields"]


def _parse(path):
    """Return header, rows of text and their line numbers; every fault of form is an error."""
    file = paths.shown(path)
    if not path.is_file():
        raise DataError(file, "no file", "a described table", advice=RESTORE)
    advice = "Save it as UTF-8 without a byte-order mark, with plain line ends."
    text = text_of(_content(path, file), file, advice, RESTORE)
    if text.count("\n") > ROW_LIMIT:
        raise DataError(file, f"{text.count(chr(10)):,} rows", f"at most {ROW_LIMIT:,}", ROW_LIMIT)
    reader, records, lines, start = csv.reader(io.StringIO(text), strict=True), [], [], 1
    hint = "A text with a comma must stand in double quotes."
    try:
        for record in reader:
            if records and len(record) != len(records[0]):
                found, expected = (
                    f"{len(record)} fields",
                    f"{len(records[0])} fields as in the header",
                )
                raise DataError(file, found, expected, row=start, advice=hint)
            if len(record) > COLUMN_LIMIT:
                most = f"at most {COLUMN_LIMIT:,}"
                raise DataError(file, f"{len(record):,} columns", most, start, advice=RESTORE)
            records.append(record)
            lines.append(start)
            start = reader.line_num + 1
    except csv.Error as fault:
        raise DataError(file, str(fault), "a well-formed CSV row", start, advice=RESTORE) from None
    return records[0], records[1:], lines[1:]


def text_of(content, file, resaved, cut):
    """Return the text of a file of lines; refuse what was saved in another form or cut off.

    Parameters
    ----------
    content : bytes
    file : str
        Name for the messages.
    resaved, cut : str
        What to advise where it was saved again by another program, and where it is truncated.

    Raises
    ------
    DataError
        With the row of what is wrong.
    """
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise DataError(file, "a byte-order mark", "plain UTF-8", row=1, advice=resaved)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as fault:
        row = content.count(b"\n", 0, fault.start) + 1
        found = f"byte 0x{content[fault.start]:02x} at offset {fault.start}"
        raise DataError(file, found, "UTF-8 text", row=row, advice=resaved) from None
    if not text:
        raise DataError(file, "an empty file", "a table", row=1, advice=cut)
    if "\r" in text:
        row = text.count("\n", 0, text.index("\r")) + 1
        raise DataError(file, "a carriage return", "lines that end in \\n", row, advice=resaved)
    if not text.endswith("\n"):
        last = text.rsplit("\n", 1)[-1][:40]
        found, row = f"the last line {last!r} without an end (truncated)", text.count("\n") + 1
        raise DataError(file, found, "a table that ends with a line end", row, advice=cut)
    return text


def _check_columns(header, fields, file):
    expected = [field["name"] for field in fields]
    faults = {
        "twice": sorted(str(name) for name, times in Counter(header).items() if times > 1),
        "missing": [name for name in expected if name not in set(header)],
        "unknown": [str(name)[:60] for name in header if name not in expected][:10],
    }
    found = "; ".join(f"{what}: {', '.join(names)}" for what, names in faults.items() if names)
    if found:
        raise DataError(file, f"columns {found}", f"columns {', '.join(expected)}", row=1)


def _typed(text, field, file, lines):
    """Turn one column of text into the type of its field."""
    name, kind, column = field["name"], field["type"], text[field["name"]]
    if kind == "string":
        return column
    pattern, expected = FORMS[kind]
    right = ("", "inf", "-inf") if field.get("infinite", False) else ("",)
    cells = set(column)
    wrong = {cell for cell in cells if cell not in right and not pattern.fullmatch(cell)}
    bad, filled = column.isin(wrong), "" not in cells
    values = column if filled else column.where(column != "")
    if kind in ("date", "yearmonth"):  # the right form can still name a day that is not
        form = "%Y-%m-%d" if kind == "date" else "%Y-%m"
        values = pd.to_datetime(values, format=form, errors="coerce").astype("datetime64[us]")
        bad |= values.isna() & (column != "")
    if bad.any():
        at = int(bad.to_numpy().argmax())
        cell, advice = column.iloc[at], field.get("advice")
        if kind in ("integer", "number") and re.fullmatch(r"[+-]?\d+,\d+", cell):
            advice = "Write the decimal point, not a decimal comma."
        elif kind == "integer" and NUMBER.fullmatch(cell):
            advice = "A count has no decimals."
        raise DataError(file, repr(cell), expected, lines[at], name, advice)
    whole = field.get("constraints", {}).get("required", False) and filled
    if kind == "number":
        return values.astype("float64")
    if kind == "integer":
        return pd.to_numeric(values).astype("int64" if whole else "Int64")
    if kind == "boolean":
        return (
            values.str.lower()
            .map({"true": True, "false": False})
            .astype("bool" if whole else "boolean")
        )
    return values


def _check_foreign(folder, text, key, file, lines):
    """Check that every filled value (or combination) stands in the table that it refers to."""
    reference, where, other = key["reference"], file, text
    columns, fields = (
        [names] if isinstance(names, str) else names
        for names in (key["fields"], reference["fields"])
    )
    if reference["resource"]:  # the empty name means the table itself
        path = Path(folder) / resource(folder, reference["resource"])["path"]
        header, rows, _ = _parse(path)
        other, where = pd.DataFrame(rows, columns=header, dtype="str"), paths.shown(path)
    absent = [name for name in fields if name not in other]
    if absent:
        home, expected = paths.shown(Path(folder) / DESCRIPTOR), f"columns of {where}"
        raise DataError(home, repr(absent[0]), expected, file, "foreignKeys", RESTORE)
    known = set(other[fields].itertuples(index=False, name=None))
    for line, values in zip(lines, text[columns].itertuples(index=False, name=None), strict=True):
        if all(values) and values not in known:
            found, expected = repr(", ".join(values)), f"a {', '.join(fields)} of {where}"
            raise DataError(file, found, expected, line, ", ".join(columns))


def _check_hash(path, entry, rows):
    digest, wanted = f"sha256:{store.sha256(path)}", entry["hash"]
    if digest != wanted:
        found, expected = f"checksum {digest[7:19]}…", f"{wanted[7:19]}…"
        if rows != entry.get("rows"):
            found, expected = f"{found} ({rows} rows)", f"{expected} ({entry.get('rows')} rows)"
        raise DataError(paths.shown(path), found, expected, advice=DESCRIBE)
