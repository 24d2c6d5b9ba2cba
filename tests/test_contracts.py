"""Claims about the data contracts: what the descriptions allow passes, everything else is named."""

import json
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis import paths, run
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.methods import estimates
from kokeilu_analysis.sources import contracts, datapackage

SHARED = {"estimates": estimates.COLUMNS}
PACKAGES = {folder: datapackage.load(folder) for folder in (paths.RAW, paths.PROCESSED)}
TABLES = {
    entry["name"]: contracts.described(package, entry, SHARED)
    for package in PACKAGES.values()
    for entry in package["resources"]
    if "schema" in entry or "columns" in entry
}
COLUMNS = PACKAGES[paths.PROCESSED]["columns"]
TYPES = ("string", "integer", "number", "boolean", "date")


# --- tables that hypothesis makes up --------------------------------------------------------------


@st.composite
def fields(draw, number):
    """A described column: any type, any of the constraints that go with it."""
    kind = draw(st.sampled_from(TYPES))
    limits = {"required": draw(st.booleans())}
    if kind == "string":
        limits |= draw(st.sampled_from([{}, {"pattern": r"KK\d\d"}, {"enum": ["a", "b"]}]))
    if kind in ("integer", "number"):
        low = draw(st.integers(-5, 5))
        limits |= draw(
            st.sampled_from([{}, {"minimum": low}, {"minimum": low, "maximum": low + 9}])
        )
    if kind == "date":
        limits |= draw(st.sampled_from([{}, {"minimum": "2021-03-01"}]))
    return {"name": f"c{number}", "type": kind, "constraints": limits, "advice": "Look again."}


@st.composite
def cells(draw, field):
    """A cell that the description of its column allows."""
    limits = field["constraints"]
    if not limits["required"] and draw(st.integers(0, 3)) == 0:
        return "" if field["type"] == "string" else None
    low = limits.get("minimum", -100)
    if field["type"] == "string":
        if "pattern" in limits:
            return f"KK{draw(st.integers(0, 99)):02}"
        return draw(st.sampled_from(limits.get("enum", ["x", "y z", "ä"])))
    if field["type"] == "integer":
        return draw(st.integers(low, limits.get("maximum", 100)))
    if field["type"] == "number":
        return draw(st.floats(low, limits.get("maximum", 100), allow_nan=False))
    if field["type"] == "boolean":
        return draw(st.booleans())
    return pd.Timestamp(draw(st.dates(date(2021, 3, 1), date(2024, 12, 31))))


@st.composite
def tables(draw):
    """A description, and a table that it allows."""
    described = [draw(fields(number)) for number in range(draw(st.integers(1, 4)))]
    rows = draw(st.integers(1, 6))
    key = {"name": "id", "type": "integer", "constraints": {"required": True}}
    made = {f["name"]: [draw(cells(f)) for _ in range(rows)] for f in described}
    dtypes = {"integer": "Int64", "number": "float64", "boolean": "boolean"}
    dtypes |= {"string": "str", "date": "datetime64[us]"}
    frame = pd.DataFrame(
        {f["name"]: pd.Series(made[f["name"]], dtype=dtypes[f["type"]]) for f in described}
    )
    schema = {"fields": [key, *described], "primaryKey": "id"}
    return schema, frame.assign(id=range(rows))[["id", *made]]


def spoilings(field):
    """Return what a column must not hold: the cell, and what the message says."""
    limits, kind = field["constraints"], field["type"]
    bad = []
    if limits.get("required"):
        bad.append((None if kind != "string" else "", "found an empty cell, expected a value"))
    if "pattern" in limits:
        bad.append(("KK1", r"found 'KK1', expected the form KK\d\d"))
    if "enum" in limits:
        bad.append(("c", "found 'c', expected one of a, b"))
    if "minimum" in limits:
        low = limits["minimum"]
        cell = pd.Timestamp("2020-01-01") if kind == "date" else low - 1
        bad.append((cell, f"expected at least {low}"))
    if "maximum" in limits:
        bad.append((limits["maximum"] + 1, f"expected at most {limits['maximum']}"))
    return bad


@settings(max_examples=40, deadline=None)
@given(tables())
def test_a_table_within_its_description_has_no_faults_and_passes_whole(made):
    schema, frame = made
    assert contracts.faults(frame, schema, "t.csv") == []
    pd.testing.assert_frame_equal(datapackage.validate(frame, schema, "t.csv"), frame)


@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_a_spoiled_cell_is_named_by_row_column_found_and_expected_and_nothing_else_is(made, data):
    schema, frame = made
    can = [(f, bad) for f in schema["fields"][1:] for bad in spoilings(f)]
    if not can:
        return
    field, (cell, says) = data.draw(st.sampled_from(can))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame.loc[at, field["name"]] = cell
    (fault,) = contracts.faults(frame, schema, "t.csv")
    assert (fault.file, fault.row, fault.column) == ("t.csv", at + 2, field["name"])
    assert says in str(fault)
    with pytest.raises(DataError, match=f"row {at + 2}, column {field['name']}"):
        datapackage.validate(frame, schema, "t.csv")


@settings(max_examples=40, deadline=None)
@given(tables(), st.data())
def test_every_fault_of_a_table_is_found_not_only_the_first(made, data):
    schema, frame = made
    spoiled = set()
    for field in schema["fields"][1:]:
        if bad := spoilings(field):
            at = data.draw(st.integers(0, len(frame) - 1))
            frame.loc[at, field["name"]] = bad[0][0]
            spoiled.add((at + 2, field["name"]))
    found = contracts.faults(frame, schema, "t.csv")
    assert {(fault.row, fault.column) for fault in found} == spoiled
    order = [f["name"] for f in schema["fields"]]
    assert [order.index(f.column) for f in found] == sorted(order.index(f.column) for f in found)


@settings(max_examples=25, deadline=None)
@given(tables(), st.data())
def test_a_key_that_stands_twice_a_column_too_many_or_too_few_is_refused(made, data):
    schema, frame = made
    again = pd.concat([frame, frame.iloc[[0]]], ignore_index=True)
    with pytest.raises(DataError, match=r"column id: found 0 again \(first in row 2\)"):
        datapackage.validate(again, schema, "t.csv")
    with pytest.raises(DataError, match="unknown: other"):
        datapackage.validate(frame.assign(other=1), schema, "t.csv")
    column = data.draw(st.sampled_from(list(frame.columns)))
    with pytest.raises(DataError, match=f"missing: {column}"):
        datapackage.validate(frame.drop(columns=column), schema, "t.csv")


@settings(max_examples=25, deadline=None)
@given(tables())
def test_a_table_written_as_csv_is_read_back_by_its_description(made):
    schema, frame = made
    text = frame.copy()
    for field in schema["fields"]:
        name = field["name"]
        if field["type"] == "date":
            text[name] = text[name].dt.strftime("%Y-%m-%d")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.csv").write_bytes(
            text.to_csv(index=False, lineterminator="\n").encode("utf-8")
        )
        read = datapackage.read_described(folder, {"path": "t.csv", "schema": schema})
    same = {c: read[c].astype(frame[c].dtype) for c in frame}
    pd.testing.assert_frame_equal(pd.DataFrame(same), frame, check_exact=False, rtol=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "row"),
    [
        ([1.0, 2.0], [1.0, 1.9], 3),
        ([np.nan, 2.0], [0.0, np.nan], None),
        ([3.0, 0.0], [2.0, 1.0], 2),
    ],
)
def test_ends_of_an_interval_stand_in_order_where_both_are_there(low, high, row):
    number = {"type": "number"}
    schema = {"fields": [{"name": "low"} | number, {"name": "high"} | number]}
    schema["order"] = [["low", "high"]]
    found = contracts.faults(pd.DataFrame({"low": low, "high": high}), schema, "t.csv")
    assert [fault.row for fault in found] == ([] if row is None else [row])
    assert all("expected no more than high" in str(fault) for fault in found)


def test_values_of_another_type_are_named_with_their_column():
    schema = {"fields": [{"name": "n", "type": "integer"}, {"name": "day", "type": "date"}]}
    frame = pd.DataFrame({"n": ["many"], "day": pd.to_datetime(["2021-03-01"])})
    (fault,) = contracts.faults(frame, schema, "t.csv")
    assert fault.column == "n" and "expected integer values" in str(fault)


# --- the study's own tables ----------------------------------------------------------------------


def test_every_table_of_the_study_is_described():
    for folder in PACKAGES:
        assert contracts.undescribed(folder) == []
    made = {path.stem for path in paths.RESULTS.glob("*.csv")}
    assert made <= set(TABLES) and len(made) > 50


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_column_of_a_table_says_what_it_means(name):
    for field in TABLES[name]["schema"]["fields"]:
        assert field["description"] and field["type"] in (*TYPES, "yearmonth"), field
        assert set(field.get("constraints", {})) <= {
            *("required", "unique", "pattern", "enum", "minimum", "maximum"),
        }


def test_the_estimate_schema_is_that_of_the_code():
    kinds = {c: COLUMNS[c]["type"] for c in estimates.COLUMNS}
    assert {c for c, kind in kinds.items() if kind == "number"} == set(estimates.NUMBERS)
    assert {c for c, kind in kinds.items() if kind == "integer"} == set(estimates.COUNTS)
    assert kinds["is_main"] == "boolean"
    row = estimates.table([{"outcome": "unemployed", "weights": "none", "estimate": -0.2}])
    assert contracts.faults(row, TABLES["03_did"], "03_did.csv") == []
    assert len(contracts.faults(row.assign(p=2.0), TABLES["03_did"], "03_did.csv")) == 1
    told = [e for e in PACKAGES[paths.PROCESSED]["resources"] if e.get("columns") == "estimates"]
    assert len(told) > 10


def test_the_committed_panel_keeps_its_contract_and_its_links(committed):
    assert contracts.faults(committed, TABLES["panel"], "panel.parquet") == []
    ends = {
        end: committed.pivot(index=["municipality", "month"], columns="measure", values=end)
        for end in ("lower", "upper")
    }
    links = TABLES["panel"]["links"]
    known = set(ends["lower"])
    within = [pair for pair in links["within"]["measure"] if known.issuperset(pair)]
    sums = [(t, parts) for t, parts in links["sums"]["measure"] if known.issuperset([t, *parts])]
    assert len(within) == 10 and len(sums) == 1  # the others are of registers
    for part, whole in within:
        assert not (ends["lower"][part] > ends["upper"][whole]).any(), (part, whole)
    for total, parts in sums:
        assert not (ends["lower"][parts].sum(axis=1) > ends["upper"][total]).any()


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("status", "secret", "found 'secret', expected one of observed"),
        ("value", -1.0, "found -1.0, expected at least 0"),
        ("municipality", "91", r"found '91', expected the form"),
        ("lower", 1e9, "no more than"),
        ("measure", "", "an empty cell"),
    ],
)
def test_a_faulty_panel_is_named_by_row_and_column(committed, column, value, says):
    panel = committed.head(1000).copy()
    panel.loc[7, column] = value
    found = contracts.faults(panel, TABLES["panel"], "panel.parquet")
    assert found and found[0].row == 9 and any(says in str(fault) for fault in found)


def test_check_reports_every_file_right_and_names_what_is_not(tmp_path):
    package = PACKAGES[paths.PROCESSED]
    kept = [e for e in package["resources"] if e["name"] in ("05_peers", "03_did", "01_groups")]
    text = json.dumps(package | {"resources": kept})
    (tmp_path / "datapackage.json").write_text(text, encoding="utf-8")
    (tmp_path / "results").mkdir()
    for name in ("05_peers", "03_did"):
        source = paths.RESULTS / f"{name}.csv"
        (tmp_path / "results" / source.name).write_bytes(source.read_bytes())
    assert [said for _, said in contracts.report(tmp_path, SHARED)] == [
        ["right"] if e["name"] != "01_groups" else ["not here (optional)"] for e in kept
    ]
    path = tmp_path / "results" / "05_peers.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    path.write_text("\n".join([lines[0], ",".join(["1.5", *cells[1:]]), *lines[2:], ""]))
    (tmp_path / "results" / "99_new.csv").write_text("a\n1\n")
    said = dict(contracts.report(tmp_path, SHARED) + contracts.undescribed(tmp_path))
    wrong = [text for texts in said.values() for text in texts if "found" in text]
    assert len(wrong) == 2
    assert "row 2, column share: found 1.5, expected at most 1" in wrong[0]
    assert "99_new.csv: found a table, expected a table that datapackage.json describes" in wrong[1]


def test_the_whole_data_folder_is_right():
    fine = ([contracts.RIGHT], [contracts.ABSENT])
    assert {name: said for name, said in run.check() if said not in fine} == {}
