"""JSON-stat 2.0: read an answer with its marks, arrange its dimensions, write it in one form.

A cell is a number or empty, and may carry a mark (``status``). Which mark means that a figure is
kept secret is the table's own convention; so marks are kept as they stand, and an empty cell
without a mark stays distinguishable from one that is hidden.
"""

import json
import math
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import DataError

# Few bytes can ask for much memory: empty lists, or a cube that is said in sizes and left empty.
SIZE_LIMIT, PART_LIMIT, CELL_LIMIT = 48_000_000, 2_000_000, 6_000_000  # all of 12r5: 4 million
CATEGORY_LIMIT = 100_000  # of a dimension; 12r5 has some 500 areas
HALF = re.compile(r"\\u[dD][89a-fA-F]")  # may be half of a sign, which no UTF-8 file can hold


@dataclass(frozen=True, eq=False)
class Cube:
    """One table in as many dimensions as it has.

    Attributes
    ----------
    codes : dict of str to list of str
        Category codes of each dimension in the order of their index; dimensions in the order of
        the axes of `values`.
    values : ndarray of float
        NaN where the cell is empty.
    marks : ndarray of object
        Same shape, the text of ``status``; empty text where there is none.
    labels : dict of str to dict
        Code to label, for each dimension.
    updated, source : str
        As the answer says; empty text where it does not.
    notes : tuple of str
    """

    codes: dict
    values: np.ndarray
    marks: np.ndarray
    labels: dict = field(default_factory=dict)
    updated: str = ""
    source: str = ""
    notes: tuple = ()


def read(content, name):
    """Read one JSON-stat 2.0 dataset.

    Parameters
    ----------
    content : bytes
        UTF-8 text of the answer.
    name : str
        What messages call it.

    Returns
    -------
    Cube

    Raises
    ------
    DataError
        It is not JSON, not a dataset, or its parts do not fit each other.

    Examples
    --------
    The order of the codes is that of ``index``, whatever order they are written in; the value of
    b is hidden.

    >>> cube = read(b'{"class": "dataset", "id": ["x"], "size": [2], "value": [7, null], '
    ...     b'"dimension": {"x": {"category": {"index": {"b": 1, "a": 0}}}}, '
    ...     b'"status": {"1": "..."}}', "answer")
    >>> cube.codes["x"], cube.values.tolist(), cube.marks.tolist()
    (['a', 'b'], [7.0, nan], ['', '...'])
    """
    answer = parse(content, name)
    if not isinstance(answer, dict) or answer.get("class", "dataset") != "dataset":
        raise DataError(name, shown(answer), "a JSON-stat 2.0 dataset")
    ids, size = _part(answer, "id", list, name), _part(answer, "size", list, name)
    dimensions = _part(answer, "dimension", dict, name)
    once = all(isinstance(i, str) for i in ids) and len(set(ids)) == len(ids)
    if not ids or not once or len(size) != len(ids):
        found = f"dimensions {shown(ids)} of sizes {shown(size)}"
        raise DataError(name, found, "each dimension once, with its size", column="id")
    codes, labels = {}, {}
    for dimension, expected in zip(ids, size, strict=True):
        if dimension not in dimensions:
            found = f"no dimension {_word(dimension)}"
            raise DataError(name, found, "one for each id", column="id")
        codes[dimension], labels[dimension] = _categories(dimensions[dimension], dimension, name)
        if len(codes[dimension]) != expected:
            found = f"{len(codes[dimension])} categories of {_word(dimension)}"
            raise DataError(name, found, f"{shown(expected)}, the size given", column="size")
    shape = tuple(len(c) for c in codes.values())
    if math.prod(shape) > CELL_LIMIT:
        found = f"sizes {shown(size)}, more cells than memory may hold"
        raise DataError(name, found, f"at most {CELL_LIMIT:,} cells", column="size")
    notes = answer.get("note") or []
    notes = notes if isinstance(notes, list) else [notes]
    return Cube(
        codes,
        _values(answer, math.prod(shape), name).reshape(shape),
        _marks(answer, math.prod(shape), name).reshape(shape),
        labels,
        *(_texts([answer.get(key) or ""], key, name)[0] for key in ("updated", "source")),
        _texts(notes, "note", name),
    )


def parse(content, name, advice=None):
    """Return what JSON text says; say in one sentence what stands there instead.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call it.
    advice : str, optional
        What messages advise.

    Raises
    ------
    DataError
        Not UTF-8, a web page, cut off, numbers that JSON does not have (NaN, Infinity), or more
        than an answer can hold.
    """
    parts, names = content.count(b"[") + content.count(b"{"), content.count(b":")
    if len(content) > SIZE_LIMIT or max(parts, names) > PART_LIMIT:
        found = f"{len(content):,} bytes with {parts:,} lists and tables and {names:,} names"
        expected = f"at most {SIZE_LIMIT:,} bytes and {PART_LIMIT:,} of each"
        raise DataError(name, found, expected, advice=advice)

    def no_number(text):
        raise ValueError(f"{text} is no number of JSON")

    try:
        text = content.decode("utf-8-sig")
        says = json.loads(text, parse_constant=no_number)
        if HALF.search(text):
            json.dumps(says, ensure_ascii=False).encode("utf-8")
        return says
    except UnicodeEncodeError as error:
        found = f"half a sign, {error.object[error.start]!a}"
        raise DataError(name, found, "whole signs", advice=advice) from error
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x}"
        raise DataError(name, found, "UTF-8 text", advice=advice) from error
    except RecursionError as error:
        found = "broken JSON (nested without end)"
        raise DataError(name, found, "a whole answer", advice=advice) from error
    except ValueError as error:
        said, place = str(error), {}
        if text.lstrip().startswith("<"):
            said = f"a web page: {_headline(text)}"
        elif isinstance(error, json.JSONDecodeError):
            said = error.msg
            place = {"row": error.lineno, "column": f"character {error.colno}"}
        found = f"broken JSON ({said})"
        raise DataError(name, found, "a whole answer", advice=advice, **place) from error


def arranged(cube, order, name):
    """Return a cube with its dimensions in a wanted order.

    Parameters
    ----------
    cube : Cube
    order : list of str
        Dimensions to keep, in order; any other one must have a single category and is dropped.
    name : str
        What messages call the cube.

    Raises
    ------
    DataError
        A wanted dimension is missing or another one has several categories.
    """
    absent = [d for d in order if d not in cube.codes]
    if absent:
        found = f"dimensions {', '.join(cube.codes)}"
        raise DataError(name, found, f"{', '.join(order)} among them", column="id")
    axes = list(cube.codes)
    spare = [d for d in axes if d not in order]
    broad = [d for d in spare if len(cube.codes[d]) > 1]
    if broad:
        found = f"a further dimension {broad[0]} with {len(cube.codes[broad[0]])} categories"
        raise DataError(name, found, f"only {', '.join(order)}", column="id")
    turn = [axes.index(d) for d in (*order, *spare)]
    shape = tuple(len(cube.codes[d]) for d in order)
    return Cube(
        {d: cube.codes[d] for d in order},
        cube.values.transpose(turn).reshape(shape),
        cube.marks.transpose(turn).reshape(shape),
        {d: cube.labels.get(d, {}) for d in order},
        cube.updated,
        cube.source,
        cube.notes,
    )


def frame(cube):
    """Return the cells as a long frame: one column for each dimension, `value` and `mark`."""
    index = pd.MultiIndex.from_product(cube.codes.values(), names=list(cube.codes))
    cells = {"value": cube.values.ravel(), "mark": cube.marks.ravel()}
    return pd.DataFrame(cells, index=index).reset_index()


def write(cube, label, roles=None):
    """Return a cube as the bytes of a JSON-stat 2.0 file; the same cube gives the same bytes.

    Parameters
    ----------
    cube : Cube
    label : str
        Title of the dataset.
    roles : dict, optional
        Role (``time``, ``metric``, ``geo``) to list of dimensions.
    """
    values = [
        None if math.isnan(v) else int(v) if v.is_integer() else v
        for v in cube.values.ravel().tolist()
    ]
    marked = np.flatnonzero(cube.marks.ravel() != "")
    dimension = {
        d: {
            "label": d,
            "category": {
                "index": {code: place for place, code in enumerate(codes)},
                "label": {code: cube.labels.get(d, {}).get(code, code) for code in codes},
            },
        }
        for d, codes in cube.codes.items()
    }
    says = {
        "version": "2.0",
        "class": "dataset",
        "label": label,
        "source": cube.source,
        "updated": cube.updated,
        "note": list(cube.notes),
        "role": roles or {},
        "id": list(cube.codes),
        "size": list(cube.values.shape),
        "dimension": dimension,
        "value": values,
        "status": {str(at): cube.marks.ravel()[at] for at in marked.tolist()},
    }
    says = {key: part for key, part in says.items() if part not in ("", [], {})}
    return (json.dumps(says, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")


def _part(answer, key, form, name):
    part = answer.get(key)
    if not isinstance(part, form):
        raise DataError(name, f"no {key} ({shown(answer)})", "the parts of a dataset", column=key)
    return part


def _categories(dimension, name_of, name):
    """Return codes in the order of their index, and labels by code."""
    category = dimension.get("category") if isinstance(dimension, dict) else None
    category = category if isinstance(category, dict) else {}
    labels = category.get("label") if isinstance(category.get("label"), dict) else {}
    # a dimension with one category may leave the index out
    index = category.get("index", list(labels) if len(labels) == 1 else None)
    if isinstance(index, list | dict) and len(index) > CATEGORY_LIMIT:
        found, most = (
            f"{len(index):,} categories of {_word(name_of)}",
            f"at most {CATEGORY_LIMIT:,}",
        )
        raise DataError(name, found, most, column="index")
    if isinstance(index, list) and all(isinstance(code, str) for code in index):
        index = {code: place for place, code in enumerate(index)}
    if (
        not isinstance(index, dict)
        or any(type(place) is not int for place in index.values())
        or sorted(index.values()) != list(range(len(index)))
    ):
        found = f"an index of {_word(name_of)} that does not count from 0 without gaps"
        raise DataError(name, found, "a place for each category", column="index")
    _texts(labels.values(), "label", name)
    return sorted(index, key=index.get), labels


def _texts(parts, key, name):
    """Return texts as a tuple; refuse anything else."""
    for part in parts:
        if not isinstance(part, str):
            raise DataError(name, shown(part), "a text", column=key)
    return tuple(parts)


def _values(answer, count, name):
    given = answer.get("value")
    if isinstance(given, dict):  # sparse: position to value, the rest is empty
        places, cells = _places(given, count, name, "value"), list(given.values())
    elif isinstance(given, list) and len(given) == count:
        places, cells = range(count), given
    else:
        found = f"{len(given)} values" if isinstance(given, list) else "no values"
        raise DataError(name, found, f"{count}, the product of the sizes", column="value")
    wrong = [at for at, cell in enumerate(cells) if cell is not None and not _number(cell)]
    if wrong:
        cell, place = cells[wrong[0]], places[wrong[0]]
        raise DataError(name, shown(cell), "a number or null", place, "value")
    values = np.full(count, math.nan)
    values[places] = [math.nan if cell is None else cell for cell in cells]
    return values


def _number(cell):
    # beyond 2**53 a float no longer holds every whole number, and no statistic is that large
    return type(cell) in (int, float) and -(2**53) < cell < 2**53


def _marks(answer, count, name):
    given, marks = answer.get("status") or {}, np.full(count, "", dtype=object)
    if isinstance(given, str):  # one mark for every cell
        marks[:] = given
        return marks
    if isinstance(given, list) and len(given) not in (1, count):
        raise DataError(name, f"{len(given)} marks", f"{count}", column="status")
    every = isinstance(given, list)
    places = range(len(given)) if every else _places(given, count, name, "status")
    for place, mark in zip(places, given if every else given.values(), strict=True):
        if mark is not None and not isinstance(mark, str):
            raise DataError(name, shown(mark), "a mark as text", place, "status")
        marks[place] = mark or ""
    if every and len(given) == 1:
        marks[:] = marks[0]
    return marks


def _places(given, count, name, key):
    if not isinstance(given, dict):
        raise DataError(name, shown(given), "position to value", column=key)
    for place in given:
        if not (re.fullmatch("0|[1-9][0-9]{0,8}", place) and int(place) < count):
            raise DataError(name, f"position {_word(place)}", f"0 to {count - 1}", column=key)
    return [int(place) for place in given]


def _headline(page):
    """Return the title of a web page, or how it begins."""
    start, end = page.lower().find("<title>"), page.lower().find("</title>")
    said = page[start + 7 : end] if 0 <= start < end else page
    return " ".join(said.split())[:60]


def shown(part):
    """Return how parsed JSON begins, for a message.

    >>> shown(None), shown({"id": ["ä"]})
    ('None', '{"id": ["ä"]}')
    """
    try:
        text = ""
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(part):
            text += piece if isinstance(part, list | dict) else repr(part)
            if len(text) > 60:  # the rest may be long
                break
    except RecursionError:
        return "something nested without end"
    text = text[:100] if text.isprintable() else ascii(text[:100])
    return text if len(text) <= 60 else f"{text[:59]}…"


def _word(text):
    return shown(text)[1:].rstrip("'\"")
