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
from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError

DESCRIPTOR = "datapackage.json"
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
        When the description is missing or is not JSON with a list of resources.
    """
    path = Path(folder) / DESCRIPTOR
    file = paths.shown(path)
    try:
        package = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(file, "no file", "the description of the folder", advice=RESTORE) from None
    except ValueError as fault:  # not JSON, or not UTF-8
        line = getattr(fault, "lineno", None)
        raise DataError(file, str(fault), "JSON in UTF-8", line, advice=RESTORE) from None
    if not isinstance(package, dict) or not isinstance(package.get("resources"), list):
        raise DataError(file, "no list of resources", 'a "resources" list', advice=RESTORE)
    return package


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
            [field["name"], field["type"], field.get("unit", ""), field["description"], says]
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
    content = path.read_bytes()
    advice = "Save it as UTF-8 without a byte-order mark, with plain line ends."
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise DataError(file, "a byte-order mark", "plain UTF-8", row=1, advice=advice)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as fault:
        row = content.count(b"\n", 0, fault.start) + 1
        found = f"byte 0x{content[fault.start]:02x} at offset {fault.start}"
        raise DataError(file, found, "UTF-8 text", row=row, advice=advice) from None
    if "\r" in text:
        row = text.count("\n", 0, text.index("\r")) + 1
        raise DataError(file, "a carriage return", "lines that end in \\n", row, advice=advice)
    if not text.endswith("\n"):
        found = "an empty file" if not text else "a line without an end (truncated)"
        row = text.count("\n") + 1
        raise DataError(file, found, "a table that ends with a line end", row, advice=RESTORE)
    reader, records, lines, start = csv.reader(io.StringIO(text), strict=True), [], [], 1
    try:
        for record in reader:
            records.append(record)
            lines.append(start)
            start = reader.line_num + 1
    except csv.Error as fault:
        raise DataError(file, str(fault), "a well-formed CSV row", start, advice=RESTORE) from None
    width = len(records[0])
    for line, record in zip(lines, records, strict=True):
        if len(record) != width:
            found, expected = f"{len(record)} fields", f"{width} fields as in the header"
            hint = "A text with a comma must stand in double quotes."
            raise DataError(file, found, expected, row=line, advice=hint)
    return records[0], records[1:], lines[1:]


def _check_columns(header, fields, file):
    expected = [field["name"] for field in fields]
    faults = {
        "twice": sorted({str(name) for name in header if list(header).count(name) > 1}),
        "missing": [name for name in expected if name not in header],
        "unknown": [str(name) for name in header if name not in expected],
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
    filled = column != ""
    right = {cell: bool(pattern.fullmatch(cell)) for cell in set(column)}
    right |= dict.fromkeys(("inf", "-inf"), field.get("infinite", False))
    bad = filled & ~column.map(right).astype(bool)
    values = column.where(filled)
    if kind in ("date", "yearmonth"):  # the right form can still name a day that is not
        form = "%Y-%m-%d" if kind == "date" else "%Y-%m"
        values = pd.to_datetime(values, format=form, errors="coerce").astype("datetime64[us]")
        bad |= filled & values.isna()
    if bad.any():
        at = int(bad.to_numpy().argmax())
        cell, advice = column.iloc[at], field.get("advice")
        if kind in ("integer", "number") and re.fullmatch(r"[+-]?\d+,\d+", cell):
            advice = "Write the decimal point, not a decimal comma."
        elif kind == "integer" and NUMBER.fullmatch(cell):
            advice = "A count has no decimals."
        raise DataError(file, repr(cell), expected, lines[at], name, advice)
    whole = field.get("constraints", {}).get("required", False) and filled.all()
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
