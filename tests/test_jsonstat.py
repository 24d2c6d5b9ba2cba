"""Claims about reading and writing JSON-stat 2.0; pyjstat and jsonstat-validator are the witnesses.

The figures are made up.
"""

import copy
import io
import json

import numpy as np
import pxweb_server as px
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonstat_validator import validate_jsonstat
from pyjstat import pyjstat

from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import jsonstat

TABLE = px.table(["SSS", "KU005", "KU091"], ["2021M02", "2021M03"], ("A", "B", "C", "D"), seed=4)
ROLES = {"time": ["timeperiod_m"], "metric": ["contentscode"]}


def answer(fault=None, **changes):
    said = px.dataset(TABLE, {n: list(c) for n, c in TABLE.codes.items()}, fault)
    return copy.deepcopy(said) | changes


def read(said):
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    return jsonstat.read(content, "answer.json")


def cells(cube):
    """Return {codes in the table's order of dimensions: (value, mark)}."""
    frame = jsonstat.frame(jsonstat.arranged(cube, list(TABLE.names), "cube"))
    keys = frame[list(TABLE.names)].itertuples(index=False, name=None)
    values = frame["value"].astype(object).where(frame["value"].notna(), None)
    return dict(zip(keys, zip(values, frame["mark"], strict=True), strict=True))


def truth():
    at = np.ndindex(TABLE.cells.shape)
    codes = list(TABLE.codes.values())
    return {
        tuple(c[i] for c, i in zip(codes, place, strict=True)): (None, "...")
        if TABLE.cells[place] in (1, 2, 3, 4)
        else (TABLE.cells[place], "")
        for place in at
    }


# --- the same cells whatever the form ------------------------------------------------------------


@pytest.mark.parametrize("form", [None, "dimensions", "labels", "sparse", "mark list"])
def test_every_form_of_an_answer_holds_the_same_cells_and_marks(form):
    said = answer(form)
    assert validate_jsonstat(said) is True
    assert cells(read(said)) == truth()


def test_codes_are_ordered_by_their_index_not_by_how_they_are_written():
    said = answer("labels")
    assert list(said["dimension"]["Alue"]["category"]["index"]) == ["SSS", "KU005", "KU091"]
    assert read(said).codes["Alue"] == ["KU091", "KU005", "SSS"]
    said = answer()
    said["dimension"]["Alue"]["category"]["index"] = ["SSS", "KU005", "KU091"]  # a list will do
    assert cells(read(said)) == truth()


@pytest.mark.parametrize("form", [None, "dimensions"])
def test_pyjstat_reads_the_same_values(form):
    said = answer(form)
    own = jsonstat.frame(read(said))
    other = pyjstat.Dataset.read(io.StringIO(json.dumps(said))).write("dataframe", naming="id")
    keys = list(said["id"])
    both = own.merge(other, on=keys, suffixes=("", "_other"), validate="1:1")
    assert len(both) == len(own) == len(other) == 24
    assert both["value"].equals(both["value_other"].astype(float))


def test_a_hidden_cell_differs_from_a_missing_and_from_an_empty_one():
    hidden, missing, empty, zero = TABLE.areas[0], TABLE.areas[1], TABLE.areas[2], 0
    keys = [(a, "2021M02", "A") for a in (hidden, missing, empty)]
    table = px.replace(TABLE, missing=dict(zip(keys, ("...", "..", ""), strict=True)))
    table.cells[0, 1, 0] = zero
    said = px.dataset(table, {n: list(c) for n, c in table.codes.items()})
    found = cells(read(said))
    assert [found[key] for key in keys] == [(None, "..."), (None, ".."), (None, "")]
    assert found[("SSS", "2021M03", "A")] == (0, "")


def test_a_mark_on_a_printed_value_is_kept():
    said = answer(status={"0": "p"})
    said["value"][0] = 9
    cube = read(said)
    assert (cube.values.flat[0], cube.marks.flat[0], cube.marks.flat[1]) == (9, "p", "")
    assert set(read(answer(status="p")).marks.flat) == {"p"}  # one mark for every cell
    assert read(answer(status=[None] * 23 + ["p"])).marks.ravel().tolist() == [""] * 23 + ["p"]


# --- writing -------------------------------------------------------------------------------------

codes = st.lists(st.text("abcÄ0", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
numbers = st.one_of(st.none(), st.integers(0, 10**9), st.integers(0, 9999).map(lambda n: n / 10))


@settings(max_examples=60, deadline=None)
@given(st.lists(codes, min_size=1, max_size=3), st.data())
def test_what_is_written_is_valid_and_reads_back_the_same(listed, data):
    shape = tuple(len(c) for c in listed)
    size = int(np.prod(shape))
    given_ = data.draw(st.lists(numbers, min_size=size, max_size=size))
    marks = data.draw(st.lists(st.sampled_from(["", "...", ".."]), min_size=size, max_size=size))
    cube = jsonstat.Cube(
        {f"d{at}": c for at, c in enumerate(listed)},
        np.array([np.nan if v is None else v for v in given_], dtype=float).reshape(shape),
        np.array(marks, dtype=object).reshape(shape),
        updated="2026-08-25T05:00:00Z",
    )
    content = jsonstat.write(cube, "made up")
    assert validate_jsonstat(json.loads(content)) is True
    back = jsonstat.read(content, "back")
    assert back.codes == cube.codes and (back.marks == cube.marks).all()
    np.testing.assert_array_equal(back.values, cube.values)
    assert jsonstat.write(back, "made up") == content


def test_whole_numbers_are_written_as_such_and_rates_with_their_decimal():
    said = answer(value=[12.8, 5, 5.0] + [0] * 21, status={})
    written = json.loads(jsonstat.write(read(said), "x", ROLES))
    assert [repr(v) for v in written["value"][:3]] == ["12.8", "5", "5"]
    assert written["role"] == ROLES and "status" not in written


# --- dimensions ----------------------------------------------------------------------------------


def test_a_further_dimension_of_one_category_is_dropped_and_a_wider_one_refused():
    said = answer(id=["Alue", "timeperiod_m", "contentscode", "x"], size=[3, 2, 4, 1])
    said["dimension"]["x"] = {"category": {"label": {"S": "Total"}}}  # no index needed for one
    assert cells(read(said)) == truth()
    cube = read(answer())
    with pytest.raises(DataError, match="a further dimension timeperiod_m with 2 categories"):
        jsonstat.arranged(cube, ["Alue", "contentscode"], "cube")
    with pytest.raises(DataError, match="found dimensions Alue, timeperiod_m, contentscode"):
        jsonstat.arranged(cube, ["Kunta"], "cube")


# --- what is wrong is named ----------------------------------------------------------------------


def without(key):
    said = answer()
    del said[key]
    return said


def category(**parts):
    said = answer()
    said["dimension"]["Alue"] = {"category": parts}
    return said


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"", "broken JSON"),
        (b'{"id": [', "broken JSON"),
        (b"<!DOCTYPE html><title>Huoltokatko</title>", "broken JSON (a web page: Huoltokatko)"),
        (b"[" * 100_000, "nested without end"),
        (b'{"value": [NaN]}', "NaN is no number of JSON"),
        ('{"id": "työ"}'.encode("latin-1"), "byte 0xf6"),
        ([], "[]"),
        ({"class": "collection"}, '{"class": "collection"}'),
        (without("id"), "no id"),
        (without("size"), "no size"),
        (without("dimension"), "no dimension"),
        (without("value"), "no values"),
        (answer(id=["Alue", "Alue", "contentscode"]), "dimensions"),
        (answer(id=["Alue", 3, "contentscode"]), "dimensions"),
        (answer(id=[["Alue"]], size=[3]), "dimensions"),
        (answer(id=["Alue", "m", "contentscode"]), "no dimension m"),
        (answer(size=[3, 2]), "dimensions"),
        (answer(size=[3, 2, 5]), "4 categories of contentscode"),
        (answer(value=[1] * 23), "23 values"),
        (answer(value=[1] * 25), "25 values"),
        (answer(value=[True] + [1] * 23), "True"),
        (answer(value=["1"] + [1] * 23), "'1'"),
        (answer(value=[2**60] + [1] * 23), str(2**60)),
        (answer(value={"24": 1}), "position 24"),
        (answer(value={"-1": 1}), "position -1"),
        (answer(status={"24": "..."}), "position 24"),
        (answer(status={"٣": "..."}), "position"),
        (answer(status={"1": 7}), "7"),
        (answer(status=["..."] * 3), "3 marks"),
        (answer(status=5), "5"),
        (category(), "an index of Alue that does not count from 0 without gaps"),
        (category(index={"a": 0, "b": 0, "c": 1}), "an index of Alue"),
        (category(index={"a": 0, "b": 1, "c": 3}), "an index of Alue"),
        (category(index={"a": 0, "b": 1, "c": "2"}), "an index of Alue"),
        (category(index=["a", "a", "b"]), "an index of Alue"),
        (answer(dimension={"Alue": 3, "timeperiod_m": 1, "contentscode": 1}), "an index of Alue"),
    ],
)
def test_a_faulty_answer_is_refused_in_one_sentence(said, found):
    with pytest.raises(DataError) as caught:
        read(said)
    text = str(caught.value)
    assert text.startswith("answer.json") and found in text and "\n" not in text


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_damage_makes_anything_but_a_cube_or_a_sentence(data):
    """Any part of an answer replaced by any JSON is read or refused, never a crash."""
    said = answer()
    json_value = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    )
    spot = said
    for _ in range(data.draw(st.integers(0, 3))):
        keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        inner = spot[data.draw(st.sampled_from(keys))] if keys else None
        if not isinstance(inner, dict | list) or not inner:
            break
        spot = inner
    keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
    spot[data.draw(st.sampled_from(keys))] = data.draw(json_value)
    try:
        cube = read(said)
    except DataError:
        return
    assert cube.values.shape == cube.marks.shape == tuple(len(c) for c in cube.codes.values())


def test_the_long_frame_has_a_row_for_each_cell():
    frame = jsonstat.frame(read(answer()))
    assert frame.columns.tolist() == [*TABLE.names, "value", "mark"] and len(frame) == 24
    assert (frame["value"].isna() == (frame["mark"] != "")).all()
