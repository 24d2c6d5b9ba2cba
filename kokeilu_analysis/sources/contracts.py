"""Data contracts: pandera schemas made from ``datapackage.json``, and every breach of them named.

The descriptions of ``data/raw`` and ``data/processed`` are the one home of columns, types, ranges,
allowed values and keys; here they become schemas, and what pandera finds becomes the same
`DataError` that every reader gives: file, row, column, found, expected.
"""

import re
from functools import partial
from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError

RIGHT = "right"
EMPTY = "not_nullable"  # what the check of empty cells is called
MOST = 1_000  # breaches of one rule in one table that are said one by one
ABSENT = "not here (optional)"


def described(package, entry, shared=None):
    """Return the description of a table with its schema spelled out.

    Parameters
    ----------
    package : dict
        The whole description; `columns` in it describes columns that several tables have, `order`
        pairs of columns of which the first is never above the second.
    entry : dict
        One of its resources: with a `schema`, or with `columns`: names, or whole fields where a
        table means something else by a name, or the name of a list of `shared`.
    shared : dict, optional
        Name → list of columns that the code owns, such as the schema of estimates.

    Examples
    --------
    >>> package = {"columns": {"p": {"type": "number"}}}
    >>> described(package, {"columns": ["p"]})["schema"]["fields"]
    [{'name': 'p', 'type': 'number'}]
    """
    if "columns" not in entry:
        return entry
    listed = entry["columns"]
    if isinstance(listed, str):
        listed = (shared or {})[listed]
    fields = [
        column if isinstance(column, dict) else {"name": column} | package["columns"][column]
        for column in listed
    ]
    names = {field["name"] for field in fields}
    order = [pair for pair in package.get("order", []) if names.issuperset(pair)]
    schema = {"fields": fields, "order": order}
    if "primaryKey" in entry:
        schema["primaryKey"] = entry["primaryKey"]
    return entry | {"schema": schema}


def schema(descriptor):
    """Return the pandera schema of a described table.

    Parameters
    ----------
    descriptor : dict
        A resource with `schema`, or the schema: `fields` (``type, constraints``), `primaryKey`,
        and `order`, pairs of columns of which the first is never above the second.

    Returns
    -------
    pandera.pandas.DataFrameSchema
        The text of each check says what was expected.

    Examples
    --------
    >>> made = schema({"fields": [{"name": "n", "type": "integer", "constraints": {"minimum": 0}}]})
    >>> [check.error for check in made.columns["n"].checks]
    ['a whole number', 'at least 0']
    """
    import pandera.pandas as pa

    check = partial(pa.Check, n_failure_cases=MOST)
    filled = check(_filled, error=EMPTY, ignore_na=False)
    given = descriptor.get("schema", descriptor)
    columns = {
        field["name"]: pa.Column(
            checks=[filled] * field.get("constraints", {}).get("required", False)
            + [check(test, error=says) for test, says in _tests(field)],
            nullable=True,  # its own check says every empty cell
        )
        for field in given["fields"]
    }
    pairs = [
        check(partial(_in_order, low=low, high=high), error=f"{low} no more than {high}")
        for low, high in given.get("order", [])
    ]
    return pa.DataFrameSchema(columns, checks=pairs, strict=True)


def faults(frame, descriptor, file, rows=None):
    """Return the breaches of a contract, at most `MOST` of each rule, by column and row.

    Parameters
    ----------
    frame : DataFrame
        Typed columns; the columns themselves are right (`datapackage.validate` sees to that).
    descriptor : dict
        As for `schema`.
    file : str
        Name for the messages.
    rows : sequence, optional
        What to call each row; by default the line it would have in a CSV.

    Returns
    -------
    list of DataError
    """
    import pandera.errors

    given = descriptor.get("schema", descriptor)
    fields = {field["name"]: field for field in given["fields"]}
    rows = range(2, len(frame) + 2) if rows is None else rows
    wrong = [f for f in map(partial(_wrong_type, frame), fields.values()) if f]
    if wrong:
        return [DataError(file, found, expected, column=c) for c, found, expected in wrong]
    cells = frame[list(fields)].reset_index(drop=True)
    for name, field in fields.items():
        if field["type"] == "string":  # an empty text is a missing one
            cells[name] = cells[name].mask(cells[name] == "")
    found = []
    try:
        schema(given).validate(cells, lazy=True)
    except pandera.errors.SchemaErrors as breach:
        found = list(_named(breach.failure_cases, cells, fields, file, rows))
    keys = [given["primaryKey"]] if "primaryKey" in given else []
    keys += [f["name"] for f in fields.values() if f.get("constraints", {}).get("unique")]
    for key in keys:
        found += _again(cells, [key] if isinstance(key, str) else list(key), file, rows)
    return found


def report(folder, shared=None):
    """Check every described file of a folder.

    Parameters
    ----------
    folder : path
        Holds ``datapackage.json``.
    shared : dict, optional
        See `described`.

    Returns
    -------
    list of (str, list of str)
        File and what is wrong; ``["right"]`` where nothing is.
    """
    from kokeilu_analysis.sources import datapackage

    folder, package = Path(folder), datapackage.load(folder)
    found = []
    for entry in package["resources"]:
        path = folder / entry["path"]
        made = "hash" not in entry  # by the notebooks, and anew by each run
        if not path.exists() and (made or not entry.get("committed", True)):
            found.append((paths.shown(path), [ABSENT]))
        else:
            wrong = _faults_of_file(folder, described(package, entry, shared))
            found.append((paths.shown(path), list(map(str, wrong)) or [RIGHT]))
    return found


def undescribed(folder, others=()):
    """Return the tables of a folder that its description does not know, as `report` does.

    `others` are names of files that may lie there without.
    """
    from kokeilu_analysis.sources import datapackage

    folder = Path(folder)
    places = {folder / entry["path"] for entry in datapackage.load(folder)["resources"]}
    places |= {folder / name for name in others}
    found = sorted({*folder.glob("*.csv"), *folder.glob("*/*.csv")} - places)
    expected = f"a table that {datapackage.DESCRIPTOR} describes"
    return [
        (paths.shown(path), [str(DataError(paths.shown(path), "a table", expected))])
        for path in found
    ]


def _faults_of_file(folder, entry):
    from kokeilu_analysis.sources import datapackage

    path = folder / entry["path"]
    try:
        if "schema" in entry and path.suffix == ".csv":
            datapackage.read_described(folder, entry)
        elif "schema" in entry and path.suffix == ".parquet":
            datapackage.verify(folder, entry["name"])
            return faults(pd.read_parquet(path), entry, paths.shown(path))
        else:
            datapackage.verify(folder, entry["name"])
    except DataError as fault:
        return getattr(fault, "all", [fault])
    return []


def _wrong_type(frame, field):
    """Return column, found and expected where the values of a column are of another type."""
    column, kind = frame[field["name"]], field["type"]
    numeric = pd.api.types.is_numeric_dtype(column)
    dated = pd.api.types.is_datetime64_any_dtype(column)
    fits = {"string": not (numeric or dated), "date": dated, "yearmonth": dated}
    if fits.get(kind, numeric):
        return None
    return field["name"], f"{column.dtype} values", f"{kind} values"


def _tests(field):
    """Yield a test of a column, true where a cell is right, and what it expects."""
    constraints, dated = field.get("constraints", {}), field["type"] in ("date", "yearmonth")
    if field["type"] == "integer":
        yield _whole, "a whole number"
    if "pattern" in constraints:
        yield partial(_matches, form=constraints["pattern"]), f"the form {constraints['pattern']}"
    if "enum" in constraints:
        allowed = constraints["enum"]
        yield partial(_among, allowed=allowed), f"one of {', '.join(map(str, allowed))}"
    for key, test, word in (("minimum", _at_least, "least"), ("maximum", _at_most, "most")):
        if key in constraints:
            bound = pd.Timestamp(constraints[key]) if dated else constraints[key]
            yield partial(test, bound=bound), f"at {word} {constraints[key]}"


def _filled(column):
    return column.notna()


# pandera leaves missing cells out before it asks the rest


def _whole(column):
    return column % 1 == 0


def _matches(column, form):
    """Match each different text once: a panel has few codes and many rows."""
    form = re.compile(form)
    return column.map({text: bool(form.fullmatch(str(text))) for text in column.unique()})


def _among(column, allowed):
    return column.isin(allowed)


def _at_least(column, bound):
    return column >= bound


def _at_most(column, bound):
    return column <= bound


def _in_order(frame, low, high):
    return ~(frame[low] > frame[high]).fillna(False).astype(bool)


def _named(cases, cells, fields, file, rows):
    """Turn pandera's failure cases into errors that name the cell."""
    checks = {test[1]: i for field in fields.values() for i, test in enumerate(_tests(field))}
    places = {name: i for i, name in enumerate(fields)}
    seen = []
    for case in cases.drop_duplicates(
        ["check", "index", "schema_context"] + ["column"]
    ).itertuples():
        at = None if pd.isna(case.index) else int(case.index)
        if case.schema_context == "DataFrameSchema":
            low, _, high = case.check.partition(" no more than ")
            column, expected = low, f"no more than {high} ({cells[high].iloc[at]})"
        else:
            column, expected = case.column, case.check
        empty = expected == EMPTY
        value = cells[column].iloc[at]
        found = "an empty cell" if empty else repr(value) if isinstance(value, str) else str(value)
        expected = "a value" if empty else expected
        advice = None if empty else fields[column].get("advice")
        order = (places[column], -1 if empty else checks.get(expected, 99), at)
        seen.append((order, DataError(file, found, expected, rows[at], column, advice)))
    for _, fault in sorted({order: fault for order, fault in seen}.items()):
        yield fault


def _again(cells, columns, file, rows):
    """Return an error for each row whose key stands in the table before it."""
    twice = cells.duplicated(columns)
    twice &= twice.cumsum() <= MOST
    if not twice.any():
        return []
    first, found = {}, []
    keys = cells[columns].astype(object).where(cells[columns].notna(), "")
    for row, key, again in zip(rows, keys.itertuples(index=False, name=None), twice, strict=True):
        if again:
            says = f"{', '.join(map(str, key))} again (first in row {first[key]})"
            found.append(DataError(file, says, "each key once", row, ", ".join(columns)))
        first.setdefault(key, row)
    return found
