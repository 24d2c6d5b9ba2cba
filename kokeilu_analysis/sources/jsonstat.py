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
        raise DataError(name, _shown(answer), "a JSON-stat 2.0 dataset")
    ids, size = _part(answer, "id", list, name), _part(answer, "size", list, name)
    dimensions = _part(answer, "dimension", dict, name)
    once = all(isinstance(i, str) for i in ids) and len(set(ids)) == len(ids)
    if not ids or not once or len(size) != len(ids):
        found = f"dimensions {_shown(ids)} of sizes {_shown(size)}"
        raise DataError(name, found, "each dimension once, with its size", column="id")
    codes, labels = {}, {}
    for dimension, expected in zip(ids, size, strict=True):
        if dimension not in dimensions:
            raise DataError(name, f"no dimension {dimension}", "one for each id", column="id")
        codes[dimension], labels[dimension] = _categories(dimensions[dimension], dimension, name)
        if len(codes[dimension]) != expected:
            found = f"{len(codes[dimension])} categories of {dimension}"
            raise DataError(name, found, f"{expected}, the size given", column="size")
    shape = tuple(len(c) for c in codes.values())
    notes = answer.get("note") or []
    return Cube(
        codes,
        _values(answer, math.prod(shape), name).reshape(shape),
        _marks(answer, math.prod(shape), name).reshape(shape),
        labels,
        str(answer.get("updated") or ""),
        str(answer.get("source") or ""),
        tuple(map(str, notes if isinstance(notes, list) else [notes])),
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
        Not UTF-8, a web page, cut off, or numbers that JSON does not have (NaN, Infinity).
    """

    def no_number(text):
        raise ValueError(f"{text} is no number of JSON")

    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, parse_constant=no_number)
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
        raise DataError(name, f"no {key} ({_shown(answer)})", "the parts of a dataset", column=key)
    return part


def _categories(dimension, name_of, name):
    """Return codes in the order of their index, and labels by code."""
    category = dimension.get("category") if isinstance(dimension, dict) else None
    category = category if isinstance(category, dict) else {}
    labels = category.get("label") if isinstance(category.get("label"), dict) else {}
    # a dimension with one category may leave the index out
    index = category.get("index", list(labels) if len(labels) == 1 else None)
    if isinstance(index, list):
        index = {code: place for place, code in enumerate(index)}
    if (
        not isinstance(index, dict)
        or any(type(place) is not int for place in index.values())
        or sorted(index.values()) != list(range(len(index)))
    ):
        found = f"an index of {name_of} that does not count from 0 without gaps"
        raise DataError(name, found, "a place for each category", column="index")
    return sorted(index, key=index.get), labels


def _values(answer, count, name):
    given = answer.get("value")
    if isinstance(given, dict):  # sparse: position to value, the rest is empty
        places = _places(given, count, name, "value")
        full = [None] * count
        for place, cell in zip(places, given.values(), strict=True):
            full[place] = cell
        given = full
    if not isinstance(given, list) or len(given) != count:
        found = f"{len(given)} values" if isinstance(given, list) else "no values"
        raise DataError(name, found, f"{count}, the product of the sizes", column="value")
    wrong = [at for at, cell in enumerate(given) if cell is not None and not _number(cell)]
    if wrong:
        raise DataError(name, repr(given[wrong[0]]), "a number or null", wrong[0], "value")
    return np.array([math.nan if cell is None else cell for cell in given], dtype=float)


def _number(cell):
    # beyond 2**53 a float no longer holds every whole number, and no statistic is that large
    return type(cell) in (int, float) and -(2**53) < cell < 2**53


def _marks(answer, count, name):
    given, marks = answer.get("status") or {}, np.full(count, "", dtype=object)
    if isinstance(given, str):  # one mark for every cell
        marks[:] = given
    elif isinstance(given, list):
        if len(given) not in (1, count):
            raise DataError(name, f"{len(given)} marks", f"{count}", column="status")
        marks[:] = [mark or "" for mark in given]
    else:
        for place, mark in zip(_places(given, count, name, "status"), given.values(), strict=True):
            marks[place] = mark or ""
    wrong = [at for at, mark in enumerate(marks) if not isinstance(mark, str)]
    if wrong:
        raise DataError(name, repr(marks[wrong[0]]), "a mark as text", wrong[0], "status")
    return marks


def _places(given, count, name, key):
    if not isinstance(given, dict):
        raise DataError(name, _shown(given), "position to value", column=key)
    for place in given:
        if not (re.fullmatch("[0-9]{1,9}", place) and int(place) < count):
            raise DataError(name, f"position {place}", f"0 to {count - 1}", column=key)
    return [int(place) for place in given]


def _headline(page):
    """Return the title of a web page, or how it begins."""
    start, end = page.lower().find("<title>"), page.lower().find("</title>")
    said = page[start + 7 : end] if 0 <= start < end else page
    return " ".join(said.split())[:60]


def _shown(part):
    text = json.dumps(part, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
