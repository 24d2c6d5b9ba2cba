"""Claims about described tables: how they are read, and how faulty ones are refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, facts

RESOURCES = datapackage.load(paths.RAW)["resources"]
COMMITTED = [entry["name"] for entry in RESOURCES if entry.get("committed", True)]


@pytest.fixture
def copy(tmp_path):
    """A copy of the committed facts that a test may break."""
    for path in paths.RAW.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


def edit(folder, name, old, new, count=1, describe=True):
    """Replace text in a table; with `describe` the checksum is made to agree."""
    path = folder / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {name}.csv: the test no longer breaks anything"
    path.write_bytes(text.replace(old, new, count).encode("utf-8"))
    if describe:
        refresh(folder, name)


def refresh(folder, name):
    """Make the checksum agree with a table, however broken it is."""
    package = datapackage.load(folder)
    entry = next(e for e in package["resources"] if e["name"] == name)
    entry["hash"] = f"sha256:{store.sha256(folder / entry['path'])}"
    (folder / datapackage.DESCRIPTOR).write_text(json.dumps(package), encoding="utf-8")


def drop_row(folder, name, start):
    path = folder / f"{name}.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(start)]
    assert len(kept) == len(lines) - 1
    path.write_bytes("".join(kept).encode("utf-8"))
    refresh(folder, name)


# --- descriptions and faulty files ---------------------------------------------------------------


@pytest.mark.parametrize("name", COMMITTED)
def test_every_committed_table_is_there_and_is_the_one_described(name):
    entry = datapackage.resource(paths.RAW, name)
    content = (paths.RAW / entry["path"]).read_bytes()
    assert len(datapackage.read(paths.RAW, name)) == entry["rows"]
    assert len(content) == entry["bytes"]
    assert content.endswith(b"\n") and b"\r" not in content
    for key in ("title", "description", "producer", "citation", "page", "licenses"):
        assert entry[key], key
    assert entry["real"] is True
    assert all(field["description"] for field in entry["schema"]["fields"])


def test_every_csv_in_the_folder_is_described():
    described = {entry["path"] for entry in RESOURCES}
    assert {path.name for path in paths.RAW.glob("*.csv")} <= described
    assert len({entry["name"] for entry in RESOURCES}) == len(RESOURCES)


def test_snapshots_are_described_but_not_committed():
    snapshots = [entry for entry in RESOURCES if not entry.get("committed", True)]
    forms = [entry["form"] for entry in snapshots]
    vintages = [entry["vintage"] for entry in snapshots if entry["form"] == "wide"]
    assert sorted(forms) == ["json", "metadata", "wide", "wide", "wide"]
    assert vintages == ["2022-05-01", "2023-12-05", "2025-02-25"]
    assert all(entry["path"].startswith("statfin/") for entry in snapshots)


REAL = paths.ROOT.parent / "shared" / "data" / "real"


@pytest.mark.skipif(not REAL.exists(), reason="the snapshots are not beside the repository")
def test_snapshot_checksums_are_those_of_the_files():
    for entry in RESOURCES:
        if not entry.get("committed", True):
            path = REAL / entry["path"].removeprefix("statfin/")
            assert entry["hash"] == f"sha256:{store.sha256(path)}"
            assert entry["bytes"] == path.stat().st_size


FAULTS = [  # table, old, new, row, column, what the message says
    ("municipalities", "KEEP", "", None, None, "checksum"),
    ("municipalities", ",9700,", ",-9700,", 2, "population_2018", "at least 1"),
    ("municipalities", ",9700,", ",97.5,", 2, "population_2018", "A count has no decimals"),
    ("municipalities", ",9700,", ",many,", 2, "population_2018", "a whole number"),
    ("municipalities", ",9700,", ",,", 2, "population_2018", "an empty cell"),
    ("municipalities", ",9700,", ',"9700,5",', 2, "population_2018", "decimal comma"),
    ("municipalities", ",23.82298,", ',"23,82298",', 2, "centre_lon", "decimal comma"),
    ("municipalities", ",23.82298,", ",238.2298,", 2, "centre_lon", "at most 32"),
    ("municipalities", ",9700,", ",9700,9700,", 2, None, "23 fields"),
    ("municipalities", ",9700,", ",", 2, None, "21 fields"),
    ("municipalities", "\n005,", "\n5,", 2, "municipality", r"the form \\d\{3\}"),
    ("municipalities", "\n009,", "\n005,", 3, "municipality", "again .first in row 2"),
    ("municipalities", "Semi-urban municipalities", "Semi", 2, "urban_class_name_en", "one of"),
    ("municipalities", "population_2018", "population", 1, None, "missing: population_2018"),
    ("municipalities", "population_2018", "population_2019", 1, None, "twice: population_2019"),
    ("municipalities", "Alajärvi", '"Alajärvi', None, None, "well-formed CSV row"),
    ("municipalities", "\n009,", "\n\n009,", 3, None, "0 fields"),
    ("trial_areas", "KK02,Espoo,Esbo,049", "KK02,Espoo,Esbo,048", 3, "municipality", "'048'"),
    ("trial_areas", ",high,", ",certain,", 2, "confidence", "one of high, medium"),
    ("timeline", ",2021-01-31,", ",31.1.2021,", None, "date_to", "a date such as 2021-03-01"),
    ("timeline", ",2021-01-31,", ",2021-02-31,", None, "date_to", "a date such as 2021-03-01"),
    ("backlog_evidence", ",2021-04,", ",2021-13,", 2, "said_on", "a month such as 2021-03"),
    ("area_groups", "KK02,049", "KK02,091", 3, "area_id, municipality", "trial_areas.csv"),
]


@pytest.mark.parametrize(("table", "old", "new", "row", "column", "says"), FAULTS)
def test_a_faulty_cell_is_named_by_file_row_and_column(copy, table, old, new, row, column, says):
    if old == "KEEP":  # well formed, but another number than the one described
        old, new = ",9700,", ",9701,"
    edit(copy, table, old, new, describe="checksum" not in says)
    with pytest.raises(DataError, match=says) as fault:
        datapackage.read(copy, table)
    assert fault.value.file.endswith(f"{table}.csv")
    if row is not None:
        assert fault.value.row == row
    if column is not None:
        assert fault.value.column == column.replace("area_id, municipality", "area_id, city")


def test_an_edited_file_is_refused_with_what_to_do_and_can_be_described_anew(copy):
    edit(copy, "municipalities", ",9700,", ",9701,", describe=False)
    with pytest.raises(DataError, match="kokeilu check --describe"):
        datapackage.read(copy, "municipalities")
    assert datapackage.read(copy, "municipalities", check_hash=False).loc[0, "population_2018"]
    datapackage.describe(copy, "municipalities")
    assert datapackage.read(copy, "municipalities").loc[0, "population_2018"] == 9701


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda b: b[:-40], "truncated"),
        (lambda b: b[: b.rindex(b"\n", 0, -1) + 1], r"128 rows.*129 rows"),
        (lambda b: b"", "an empty file"),
        (lambda b: b"\xef\xbb\xbf" + b, "byte-order mark"),
        (lambda b: b.decode().encode("utf-16"), "byte-order mark"),
        (lambda b: b.replace(b"\n", b"\r\n"), "carriage return"),
        (
            lambda b: b.decode().replace("–", "-").encode("latin-1"),
            "row 6: found byte 0xe5 at offset 778",
        ),
    ],
    ids="cut short_by_a_row empty bom utf16 crlf latin1".split(),
)
def test_a_damaged_file_is_refused(copy, damage, says):
    path = copy / "trial_areas.csv"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=says):
        facts.trial_areas(copy)


def test_a_missing_file_and_a_missing_or_broken_description_are_named(copy):
    (copy / "timeline.csv").unlink()
    with pytest.raises(DataError, match=r"timeline.csv: found no file.*Restore"):
        facts.timeline(copy)
    (copy / "datapackage.json").write_text('{"resources": [', encoding="utf-8")
    with pytest.raises(DataError, match=r"datapackage.json, row 1: .* expected JSON"):
        facts.timeline(copy)
    (copy / "datapackage.json").unlink()
    with pytest.raises(DataError, match="the description of the folder"):
        facts.timeline(copy)


def test_an_unknown_table_and_one_without_fields_are_refused():
    with pytest.raises(DataError, match="no resource 'timelines'.*timeline"):
        datapackage.read(paths.RAW, "timelines")
    with pytest.raises(DataError, match="without a schema"):
        datapackage.read(paths.RAW, "statfin_counts")


def test_a_trial_municipality_that_is_absent_is_noticed(copy):
    drop_row(copy, "trial_areas", "KK02,")
    with pytest.raises(DataError, match="24 trial areas and 117 trial municipalities"):
        facts.treatment(copy)


def test_a_control_municipality_that_is_absent_is_noticed(copy):
    drop_row(copy, "municipalities", "005,")
    with pytest.raises(DataError, match="308 municipalities, expected 309"):
        facts.treatment(copy)


def test_a_trial_municipality_absent_from_the_municipalities_is_named(copy):
    drop_row(copy, "municipalities", "049,")
    with pytest.raises(DataError, match=r"row 3, column municipality: found '049'"):
        facts.treatment(copy)


def test_a_code_that_belongs_to_another_name_is_refused(copy):
    edit(copy, "trial_areas", "Esbo,049,Espoo,Esbo", "Esbo,005,Espoo,Esbo")
    with pytest.raises(DataError, match=r"row 3, column municipality_name_fi: found 'Espoo'"):
        facts.trial_areas(copy)


def test_an_area_with_two_names_is_refused(copy):
    edit(copy, "trial_areas", "KK03,Vantaa–Kerava,Vanda–Kervo,245", "KK03,Vantaa,Vanda–Kervo,245")
    with pytest.raises(DataError, match="found 'Vantaa', expected the area's name"):
        facts.trial_areas(copy)


def test_a_wrong_total_in_the_groups_is_noticed(copy):
    edit(copy, "municipalities", "\n005,Alajärvi,Alajärvi,14,", "\n005,Alajärvi,Alajärvi,21,")
    with pytest.raises(DataError, match="118 trial, 174 other mainland and 17 Åland"):
        facts.treatment(copy)


def test_an_event_that_ends_before_it_begins_is_refused(copy):
    edit(copy, "timeline", ",2020-05-01,2021-01-31,", ",2021-05-01,2021-01-31,")
    with pytest.raises(DataError, match="column date_from: found 2021-05-01.*no more than date_to"):
        facts.timeline(copy)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("range,0.6,0.8", "range,0.9,0.8", "found 0.9, expected a share not above upper"),
        ("range,0.6,0.8", "range,60,80", "expected at most 1. Write a share, not per cent"),
        ("six_cities,range", "big_cities,range", "an area id, a group, all or replied"),
        ("all,mean,0.475,0.525,,,areas", "all,mean,0.475,0.525,,,", "areas or customers"),
        (",mean_exact,mean_about_half,", ",mean_exact,mean_about,", "'mean_about'"),
    ],
)
def test_faulty_evidence_in_the_register_is_refused(copy, old, new, says):
    edit(copy, "backlog_evidence", old, new)
    with pytest.raises(DataError, match=says) as fault:
        facts.evidence(folder=copy)
    assert fault.value.file.endswith("backlog_evidence.csv") and fault.value.row >= 2


# --- the reader as such --------------------------------------------------------------------------


def package(folder, text, fields, **schema):
    (folder / "t.csv").write_bytes(text.encode("utf-8"))
    entry = {"name": "t", "path": "t.csv", "schema": {"fields": fields, **schema}}
    text = json.dumps({"resources": [entry]})
    (folder / "datapackage.json").write_text(text, encoding="utf-8")
    datapackage.describe(folder)
    return folder


def field(name, kind="string", required=False, **constraints):
    constraints["required"] = required
    return {"name": name, "type": kind, "description": name, "constraints": constraints}


def test_types_come_from_the_description_and_gaps_keep_them(tmp_path):
    fields = [field("code"), field("n", "integer"), field("all", "integer", required=True)]
    fields += [field("x", "number"), field("day", "date"), field("yes", "boolean", required=True)]
    text = 'code,n,all,x,day,yes\n007,,1,1e-3,2021-03-01,true\n,5,2,,,false\n"a, b",6,3,-2,,true\n'
    frame = datapackage.read(package(tmp_path, text, fields), "t")
    assert frame["code"].tolist() == ["007", "", "a, b"]
    assert frame["n"].dtype == "Int64" and frame["n"].isna().tolist() == [True, False, False]
    assert frame["all"].dtype == "int64" and frame["yes"].dtype == "bool"
    assert frame["x"].tolist()[::2] == [0.001, -2.0] and np.isnan(frame.loc[1, "x"])
    assert frame["day"].tolist()[0] == pd.Timestamp("2021-03-01") and frame["day"].isna().sum() == 2


def test_rows_are_counted_in_lines_of_the_file_even_after_a_line_break_in_a_cell(tmp_path):
    folder = package(tmp_path, 'a,n\n"two\nlines",1\nb,1\n', [field("a"), field("n", "integer")])
    path = folder / "t.csv"
    path.write_bytes(path.read_bytes().replace(b"b,1", b"b,x"))
    with pytest.raises(DataError, match=r"row 4, column n: found 'x'"):
        datapackage.read(folder, "t")


def test_a_table_may_refer_to_itself_and_empty_references_are_allowed(tmp_path):
    key = {"fields": "old", "reference": {"resource": "", "fields": "id"}}
    fields = [field("id"), field("old")]
    assert len(datapackage.read(package(tmp_path, "id,old\na,\nb,a\n", fields), "t")) == 2
    package(tmp_path, "id,old\na,\nb,c\n", fields, foreignKeys=[key])
    with pytest.raises(DataError, match="row 3, column old: found 'c', expected a id"):
        datapackage.read(tmp_path, "t")


@pytest.mark.parametrize("digits", ["nan", "inf", "1e999", "١", "0x10", " 1", "1_000", "9" * 30])
def test_only_plain_decimal_whole_numbers_are_counts(tmp_path, digits):
    folder = package(tmp_path, f"n\n{digits}\n", [field("n", "integer")])
    with pytest.raises(DataError, match="row 2, column n"):
        datapackage.read(folder, "t")


def test_a_frame_in_memory_meets_the_same_checks_under_its_own_row_names():
    fields = [field("area", required=True, pattern=r"KK\d\d"), field("share", "number", maximum=1)]
    schema = {"fields": fields, "primaryKey": ["area"]}
    good = pd.DataFrame({"share": [0.5, np.nan], "area": ["KK01", "KK02"]})
    assert list(datapackage.validate(good, schema, "form")) == ["area", "share"]
    for column, value, says in [
        ("area", "KK1", "row B3, column area: found 'KK1'"),
        ("area", "KK01", r"row B3, column area: found KK01 again \(first in row B2\)"),
        ("area", None, "row B3, column area: found an empty cell"),
        ("share", 50.0, "row B3, column share: found 50.0, expected at most 1"),
    ]:
        bad = good.copy()
        bad.loc[1, column] = value
        with pytest.raises(DataError, match=says):
            datapackage.validate(bad, schema, "form", rows=["B2", "B3"])
    with pytest.raises(DataError, match="expected number values"):
        datapackage.validate(good.assign(share="half"), schema, "form")
    with pytest.raises(DataError, match="expected string values"):
        datapackage.validate(good.assign(area=[1, 2]), schema, "form")


def test_describing_an_unchanged_folder_changes_nothing(copy):
    before = (copy / "datapackage.json").read_bytes()
    datapackage.describe(copy)
    assert (copy / "datapackage.json").read_bytes() == before


def test_a_file_of_another_form_is_verified_by_its_checksum(tmp_path):
    package(tmp_path, "a\n1\n", [field("a")])
    assert datapackage.verify(tmp_path, "t") == tmp_path / "t.csv"
    (tmp_path / "t.csv").write_bytes(b"a\n2\n")
    with pytest.raises(DataError, match="checksum"):
        datapackage.verify(tmp_path, "t")
    (tmp_path / "t.csv").unlink()
    with pytest.raises(DataError, match="no file"):
        datapackage.verify(tmp_path, "t")


def test_the_data_dictionary_gives_meaning_unit_and_allowed_values_of_every_column():
    table = datapackage.dictionary(paths.RAW, "backlog_evidence").set_index("column")
    assert list(table.index) == list(facts.evidence().columns)
    assert (table["meaning"] != "").all() and table.loc["lower", "unit"] == "share 0–1"
    assert table.loc["weight", "allowed"] == "areas | customers; may be empty"
