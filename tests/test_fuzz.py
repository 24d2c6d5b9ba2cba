"""No file breaks a reader: a slice of `checks/fuzz.py`, and every fault that it has found."""

import gzip
import json
import re
import sys
import tempfile
import time
import zipfile
import zlib

import pytest

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.methods import design
from kokeilu_analysis.sources import datapackage, statfin, survey

sys.path.insert(0, str(paths.ROOT / "checks"))
import fuzz
import spoil
from fuzz_readers import READERS, TOWNS, Reader

SLICE = {"register Parquet": 3, "register CSV": 3, "returns XLSX": 10}  # others: 25 inputs each


@pytest.fixture
def reader(tmp_path):
    """Return a function that sets a reader up in a folder of its own."""
    return lambda name: fuzz.prepared(READERS[name], tmp_path / "files")


def refused(reader, content):
    """Return what a reader says against an input, and assert that it was quick to say it."""
    began = time.perf_counter()
    outcome, mark, said = fuzz.judge(reader, content)
    assert time.perf_counter() - began < fuzz.PATIENCE
    assert outcome == "refused", (outcome, said)
    return f"{said} {mark}"


@pytest.mark.parametrize("name", READERS)
def test_a_slice_of_the_campaign_finds_nothing(name, tmp_path, monkeypatch):
    folder, seen = tmp_path / "files", []
    reader = fuzz.prepared(READERS[name], folder)
    assert {fuzz.judge(reader, content)[0] for content in reader.seeds} == {"accepted"}
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "scratch"))
    numbers = range(SLICE.get(name, 25))
    fuzz.feed(reader, numbers, 7, lambda at, how, said: seen.append((how, said)), folder)
    assert not [said for how, said in seen if how in ("other", "outside")]
    assert sum(how != "started" for how, _ in seen) == len(numbers)


# --- the campaign itself can fail ----------------------------------------------------------------


def _broken(folder):
    """A reader with every fault that a campaign must find: it waits or works without end, escapes
    and writes outside."""
    (folder.parent / "elsewhere").mkdir(exist_ok=True)

    def read(path):
        case = zlib.crc32(path.read_bytes()) % 25
        if case == 1:
            time.sleep(60)
        while case == 8:
            pass
        if case in (2, 3, 4):
            (folder.parent / "elsewhere" / "stray").write_text("x")
        if case in (5, 6, 7):
            raise KeyError("x")
        return "fine", True

    return Reader("csv", [b"a,b\n1,2\n"], folder / "a.csv", read)


def test_a_reader_that_hangs_escapes_or_writes_elsewhere_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz, "PATIENCE", 0.5)
    tally = fuzz.campaign((_broken,), 40, 3, keep=tmp_path)
    assert tally.inputs == 40 == tally.accepted + tally.other + tally.late
    assert min(tally.other, tally.outside, tally.late) > 0
    kinds = " ".join(kind for kind, _, _ in tally.findings)
    assert all(kind in kinds for kind in ("other", "outside", "SIGKILL", "SIGPROF"))
    assert len([*tmp_path.iterdir()]) == tally.other + tally.late


def test_an_error_that_does_not_name_its_file_is_found(tmp_path):
    def read(path):
        raise KokeiluError("something is wrong")

    broken = Reader("csv", [b""], tmp_path / "a.csv", read)
    assert fuzz.judge(broken, b"")[0] == "other"


def test_the_same_seed_spoils_the_same_way():
    import random

    for name, form in (
        ("a,b\n1,2\n", "csv"),
        ('{"a": [1, {"b": 2}]}', "json"),
        ("[a]\nb = 1", "toml"),
    ):
        one, two = (
            [spoil.spoiled(name.encode(), form, random.Random(f"1 {at}")) for at in range(50)]
            for _ in range(2)
        )
        assert one == two and len(set(one)) > 25


# --- faults that were found: snapshots and JSON-stat ---------------------------------------------

CUBE = {
    "class": "dataset",
    "id": ["x"],
    "size": [2],
    "value": [7, None],
    "dimension": {"x": {"category": {"index": ["a", "b"]}}},
}
NESTED = json.loads("[" * 500 + "]" * 500)
EMPTY_CUBE = {"id": list("wxyz"), "size": [100] * 4, "value": {}}
EMPTY_CUBE["dimension"] = dict.fromkeys(
    "wxyz", {"category": {"index": [f"{n}" for n in range(100)]}}
)
ANSWERS = {
    "a cube of sizes alone": (EMPTY_CUBE, "more cells than memory may hold"),
    "a code that is a list": (
        {"dimension": {"x": {"category": {"index": [["a"], "b"]}}}},
        "index of x",
    ),
    "a code that is a number": (
        {"dimension": {"x": {"category": {"index": [1, 2]}}}},
        "index of x",
    ),
    "marks that are lists": ({"status": [["a", "b"], ["c", "d"]]}, "a mark as text"),
    "a label that is a table": (
        {"dimension": {"x": {"category": {"index": ["a", "b"], "label": {"a": {}}}}}},
        "column label",
    ),
    "a note that is nested": ({"note": NESTED}, "column note"),
    "a date that is nested": ({"updated": NESTED}, "column updated"),
    "a size that is nested": ({"size": [NESTED]}, "categories of x"),
    "half a sign": ({"dimension": {"x": {"category": {"index": ["\ud800", "b"]}}}}, "half a sign"),
    "a position written two ways": ({"value": {"0": 1, "00": 2}}, "position 00"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_json_stat_answer_of_odd_parts_is_refused(case, reader):
    change, said = ANSWERS[case]
    assert said in refused(reader("JSON-stat"), json.dumps(CUBE | change).encode())


@pytest.mark.parametrize(
    "content", [b"[],", b'{"a":1},', b'"ab",'], ids=["lists", "tables", "texts"]
)
def test_a_json_file_that_unfolds_in_memory_is_refused_before_it_is_parsed(content, reader):
    whole = b"[" + content * (50_000_000 // len(content)) + b"0]"
    assert "lists and tables" in refused(reader("JSON-stat"), whole)


def test_names_without_end_are_refused_before_they_are_parsed(reader):
    whole = b"{" + b",".join(b'"%d":1' % n for n in range(2_100_000)) + b"}"
    assert "2,100,000 names" in refused(reader("JSON-stat"), whole)


def test_categories_without_end_are_refused_before_they_are_numbered(reader):
    index = [str(n) for n in range(100_001)]
    says = CUBE | {"size": [len(index)], "dimension": {"x": {"category": {"index": index}}}}
    said = refused(reader("JSON-stat"), json.dumps(says).encode())
    assert "column index: found 100,001 categories of x, expected at most 100,000" in said


def test_an_answer_of_more_cells_than_a_table_has_is_refused_before_they_are_read(reader):
    answer = reader("snapshot json")
    says = json.loads(answer.seeds[0])
    says["data"] = [0] * 1_000_001  # of six columns
    assert "6,000,006 cells" in refused(answer, json.dumps(says).encode())


def test_a_state_without_measures_is_refused(reader):
    fetched = reader("snapshot json-stat2")
    says = json.loads(fetched.seeds[0])
    says["dimension"]["contentscode"]["category"] = {"index": [], "label": {}}
    says |= {"size": [*says["size"][:2], 0], "value": [], "status": {}}
    assert "no measure" in refused(fetched, json.dumps(says).encode())
    answer = reader("snapshot json")
    says = json.loads(answer.seeds[0])
    says["columns"] = says["columns"][:2]
    says["data"] = [record | {"values": []} for record in says["data"]]
    assert "no measure" in refused(answer, json.dumps(says).encode())


def test_a_long_area_code_is_not_repeated_for_every_cell(reader):
    fetched = reader("snapshot json-stat2")
    says = json.loads(fetched.seeds[0])
    months = [f"20{y:02d}M{m:02d}" for y in range(100) for m in range(1, 13)]
    areas = ["KU091", "x" * 100_000, *(f"KU{n}" for n in range(100, 400))]
    shape = [len(areas), len(months), 4]
    for name, codes in zip(statfin.CUBE, (areas, months), strict=False):
        says["dimension"][name]["category"] = {"index": codes}
    says |= {"size": shape, "value": {}, "status": "..."}
    assert "an area code such as KU091" in refused(fetched, json.dumps(says).encode())


def test_a_count_of_thousands_of_digits_is_refused_at_its_cell(reader):
    snapshot = reader("snapshot CSV")
    content = snapshot.seeds[0].replace(
        b"KU091,2021M11,40,", b"KU091,2021M11," + b"9" * 5000 + b","
    )
    said = refused(snapshot, content)
    assert "row 2, column TYOTTOMATLOPUSSA" in said and "at most nine digits" in said


def test_a_small_gzip_file_that_unpacks_to_a_large_one_is_refused(reader):
    packed = reader("snapshot CSV.gz")
    assert "when unpacked" in refused(packed, gzip.compress(b"\n" * 60_000_000, 1))
    assert "cells" in refused(packed, gzip.compress(b"\n" * 40_000_000, 1))


def test_a_folder_in_the_place_of_a_snapshot_counts_as_no_file(tmp_path, reader):
    snapshot = reader("snapshot CSV")
    snapshot.target.mkdir()
    with pytest.raises(DataError, match="no such file"):
        snapshot.read(snapshot.target)


# --- study.toml ----------------------------------------------------------------------------------

STUDY = paths.STUDY.read_text("utf-8")
STUDIES = {
    "a number of thousands of digits": ("replies_grid = 9", "replies_grid = " + "9" * 5000, "TOML"),
    "brackets without end": (
        "replies_grid = 9",
        "replies_grid = " + "[" * 50_000,
        "nested without",
    ),
    "a value that is a list": ('spec = "unweighted"', 'spec = ["unweighted"]', "column spec"),
    "not a number": ("steepest = 0.2", "steepest = nan", "column steepest: found nan"),
    "endless": ("heap = 0.1", "heap = inf", "column heap: found inf"),
    "truth for a number": ("heap = 0.1", "heap = true", "column heap: found True"),
    "texts that are numbers": ('plus = ["unemployed"]', "plus = [1]", "[[outcome]] number 1"),
    "a condition that calls": (
        'keep = "not big_six"',
        "keep = \"@pd.io.common.os.system('x')\"",
        "a condition on columns",
    ),
    "a condition that reads an attribute": (
        'over_5000 = "population_2020 >= 5000"',
        'over_5000 = "population_2020.__class__"',
        "[specification_curve], column controls",
    ),
    "a text that turns": (
        'outcome = "unemployed"',
        'outcome = "\u202eunemployed"',
        "column outcome",
    ),
    "keys without end": ("[lag]", ".".join(["a"] * 60_000) + " = 1\n[lag]", "at most 100,000"),
    "a key without end": ("[lag]", ".".join(["a"] * 20_000) + " = 1\n[lag]", "full stops"),
}


@pytest.mark.parametrize("case", STUDIES)
def test_a_design_of_odd_values_is_refused_at_its_place(case, reader):
    old, new, said = STUDIES[case]
    assert old in STUDY
    assert said in refused(reader("study.toml"), STUDY.replace(old, new, 1).encode())


@pytest.mark.parametrize("section", ["windows", "robustness", "outcome", "main", "peers"])
@pytest.mark.parametrize("value", ["1", '"x"', "[1]", "{ a = 1 }", "[[]]"])
def test_a_section_of_another_form_is_refused(section, value, reader):
    tree = re.sub(rf"(?ms)^\[+{section}\]+.*?(?=^\[)", "", STUDY)
    assert refused(reader("study.toml"), f"{section} = {value}\n{tree}".encode())


def test_a_design_that_is_a_folder_says_so(tmp_path):
    with pytest.raises(DataError, match="expected a readable file"):
        design.load(tmp_path)


# --- described tables ----------------------------------------------------------------------------


def test_a_table_of_nothing_but_line_ends_or_columns_is_refused_quickly(reader):
    evidence = reader("evidence")
    assert "rows" in refused(evidence, b"\n" * 15_000_000)
    assert "row 1: found 19,000,001 columns" in refused(evidence, b"a" + b"," * 19_000_000 + b"\n")


DESCRIPTIONS = {
    "a file outside": ({"path": "../../etc/passwd"}, "column path"),
    "an absolute file": ({"path": "/etc/passwd"}, "column path"),
    "another system's path": ({"path": "..\\x.csv"}, "column path"),
    "no name": ({"name": None}, "column name"),
    "a schema that is a list": ({"schema": []}, "column schema"),
    "fields that are words": ({"schema": {"fields": ["a"]}}, "column fields"),
    "an unknown type": ({"schema": {"fields": [{"name": "a", "type": "object"}]}}, "column fields"),
    "a pattern that is none": (
        {"schema": {"fields": [{"name": "a", "type": "string", "constraints": {"pattern": "("}}]}},
        "column fields",
    ),
    **{
        f"a bound that no cell can be compared with: {str(bound)[:5]}": (
            {
                "schema": {
                    "fields": [{"name": "a", "type": "number", "constraints": {"maximum": bound}}]
                }
            },
            "column fields",
        )
        for bound in (10**400, float("nan"), float("inf"), True)
    },
    "a key that is no field": (
        {"schema": {"fields": [{"name": "a", "type": "string"}], "primaryKey": ["b"]}},
        "column primaryKey",
    ),
    "a key of no fields": (
        {"schema": {"fields": [{"name": "a", "type": "string"}], "primaryKey": []}},
        "column primaryKey",
    ),
    "a foreign key to nothing": (
        {"schema": {"fields": [{"name": "a", "type": "string"}], "foreignKeys": [{"fields": "a"}]}},
        "column foreignKeys",
    ),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_description_that_cannot_be_used_is_refused_at_its_resource(case, tmp_path):
    change, said = DESCRIPTIONS[case]
    entry = {"name": "a", "path": "a.csv", "schema": {"fields": []}} | change
    (tmp_path / datapackage.DESCRIPTOR).write_text(json.dumps({"resources": [entry]}))
    with pytest.raises(DataError, match=f"resource 1, {said}"):
        datapackage.load(tmp_path)


def _described(folder, schema, text):
    """Write a table of one column and its description; return what reading it raises."""
    entry = {"name": "a", "path": "a.csv", "schema": schema}
    (folder / datapackage.DESCRIPTOR).write_text(json.dumps({"resources": [entry]}))
    (folder / "a.csv").write_text(text)
    began = time.perf_counter()
    with pytest.raises(DataError) as fault:
        datapackage.read(folder, "a")
    assert time.perf_counter() - began < fuzz.PATIENCE
    return fault.value


def test_a_foreign_key_to_a_column_that_is_not_there_is_refused(tmp_path):
    reference = {"fields": "a", "reference": {"resource": "", "fields": "=b"}}
    schema = {"fields": [{"name": "a", "type": "string"}], "foreignKeys": [reference]}
    said = str(_described(tmp_path, schema, "a\nx\n"))
    assert "datapackage.json, row" in said and "column foreignKeys: found '=b', expected" in said


def test_of_faults_without_end_a_thousand_of_each_kind_are_said(tmp_path):
    field = {"name": "a", "type": "integer", "constraints": {"required": True, "maximum": 5}}
    schema = {"fields": [field], "primaryKey": "a"}
    fault = _described(tmp_path, schema, "a\n" + '7\n""\n' * 20_000)
    assert (fault.row, str(fault.found)) == (3, "an empty cell")
    assert 1_000 <= len(fault.all) <= 4_000


# --- returns -------------------------------------------------------------------------------------


def workbook(**changes):
    """Return a valid form with parts changed, as Excel writes it; in names, __ stands for /."""
    parts = spoil.parts_of(workbook.whole)
    for name, content in changes.items():
        parts[name.replace("__", "/").replace("_xml", ".xml")] = content
    return spoil._zip(parts.items())


@pytest.fixture
def returns(reader):
    made = reader("returns XLSX")
    workbook.whole = made.seeds[2]
    return made


def changed(old, new, part="xl__worksheets__sheet2_xml"):
    return lambda: workbook(
        **{part: re.sub(old, lambda _: new, spoil.parts_of(workbook.whole)[_named(part)], count=1)}
    )


def _named(part):
    return part.replace("__", "/").replace("_xml", ".xml")


END = rb"</sheetData>"
SHEET, DAMAGED = "xl__worksheets__sheet2_xml", "a damaged workbook"


def shared(text):
    """A form whose every cell says the same text, which stands in the file once."""
    parts = spoil.parts_of(workbook.whole)
    sheet = re.sub(rb't="s"><v>\d+', b't="s"><v>0', parts[_named(SHEET)])
    sheet = re.sub(rb'<c r="(\w+)"[^>]*/>', rb'<c r="\1" t="s"><v>0</v></c>', sheet)
    strings = re.sub(
        rb"<si>.*?</si>", b"<si><t>" + text + b"</t></si>", parts[spoil.STRINGS], count=1
    )
    return workbook(**{SHEET: sheet, "xl__sharedStrings_xml": strings})


def bomb(unit, size, head=b""):
    return lambda: spoil.workbook_bomb(spoil.SHEET, unit, size, head)


MERGES = b"<mergeCells>" + b'<mergeCell ref="A1:B1"/>' * 2000 + b"</mergeCells>"
ODD = b'<mergeCells><mergeCell x=">" ref="A1:XFD1048576"/></mergeCells>'
STYLES = b'<xf numFmtId="0"/>' * 90_000 + b"</cellXfs>"
UTF_7 = b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-'
WORKBOOKS = {
    "a merge that is slow to find": (bomb(b"mergeCell ", 5_000_000, b"<"), DAMAGED),
    "a tag without end": (bomb(b' r="A1"', 5_000_000, b"<c"), DAMAGED),
    "quotes without end": (bomb(b"<mergeCell x='", 900_000), DAMAGED),
    "tags without number": (bomb(b"<row/>", 9_000_000), "1,500,002 tags"),
    "styles without number": (
        changed(rb"</cellXfs>", STYLES, "xl__styles_xml"),
        "tags up to xl/styl",
    ),
    "merges without number": (changed(END, END + MERGES), "2000 merged areas"),
    "a merge behind an odd attribute": (changed(END, END + ODD), "17179869"),
    "one long text in every cell": (lambda: shared(b"a" * 60_000), "signs of text"),
    "a value in a far row without address": (
        changed(END, b'<row r="99999"><c t="n"><v>5</v></c></row></sheetData>'),
        "a value in cell A99999",
    ),
    "a part outside": (lambda: workbook(**{"../../outside": b"x"}), "outside the archive"),
    "an absolute part": (lambda: workbook(**{"/tmp/outside": b"x"}), "outside the archive"),
    "a part of another system": (lambda: workbook(**{"..\\outside": b"x"}), "outside the archive"),
    "an entity under another name": (
        lambda: workbook(xl__media__a="<!DOCTYPE a [<!ENTITY b 'c'>]>"),
        "an XML entity",
    ),
    "XML in UTF-7": (lambda: workbook(xl__workbook_xml=UTF_7), "another encoding"),
    "XML in EBCDIC": (
        lambda: workbook(xl__workbook_xml="<?xml version='1.0'?><a/>".encode("cp037")),
        "another encoding",
    ),
    "XML in UTF-16": (
        lambda: workbook(xl__workbook_xml="<a/>".encode("utf-16")),
        "another encoding",
    ),
    "thousands of parts": (lambda: workbook(**{f"x{n}": b"" for n in range(600)}), "612 parts"),
    "a shared text that is not there": (changed(rb't="s"><v>\d+', b't="s"><v>99999999'), DAMAGED),
    "a bomb": (bomb(b"\0", 60_000_000), "over 50 MB when unpacked"),
}


@pytest.mark.parametrize("case", WORKBOOKS)
def test_a_hostile_workbook_is_refused_in_a_moment(case, returns):
    make, said = WORKBOOKS[case]
    content = make()
    assert len(content) < 700_000
    returns.target.write_bytes(content)
    began = time.perf_counter()
    found = survey.read_returns(returns.target, TOWNS)
    assert time.perf_counter() - began < fuzz.PATIENCE
    assert found.accepted.empty and len(found.problems) == 1
    assert said in found.problems["found"].iloc[0]
    assert "return.xlsx" in found.problems["file"].iloc[0] and found.problems["advice"].iloc[0]


def test_a_part_that_stands_twice_is_refused(returns):
    with zipfile.ZipFile(returns.target, "w") as archive, pytest.warns(UserWarning):
        for _ in range(2):
            archive.writestr("xl/workbook.xml", b"<a/>")
    assert "2 parts, 1 names" in survey.read_returns(returns.target, TOWNS).problems["found"][0]


def test_an_entity_reads_no_file_of_this_computer(returns, tmp_path):
    (tmp_path / "secret").write_text("a secret")
    declared = f'<!DOCTYPE a [<!ENTITY b SYSTEM "file://{tmp_path}/secret">]>'.encode()
    sheet = spoil.parts_of(workbook.whole)["xl/worksheets/sheet2.xml"]
    for text in (declared + sheet, (declared + sheet).decode().encode("utf-16")):
        returns.target.write_bytes(workbook(xl__worksheets__sheet2_xml=text))
        found = survey.read_returns(returns.target, TOWNS)
        assert found.accepted.empty and "an XML entity" in found.problems["found"][0]


@pytest.mark.parametrize(
    "content",
    [
        b"\n" * 9_000_000,
        b";" * 9_000_000,
        b"customers_transferred" + b";" * 500_000,
        b"1 " * 9_000_000,
    ],
    ids=["rows", "columns", "columns of a form", "text"],
)
def test_a_csv_return_larger_than_any_form_is_refused_in_a_moment(content, reader):
    assert "returns" in refused(reader("returns CSV"), content)


def test_kept_returns_that_are_no_table_of_returns_are_refused(reader, returns):
    kept = reader("kept returns")
    assert "survey_returns.csv, row 1" in refused(kept, b"\xef\xbb\xbf")
    assert "survey_returns.csv, row 1" in refused(kept, workbook.whole)
    first, *rows = kept.seeds[0].splitlines(keepends=True)
    assert "a second time" in refused(kept, first + rows[0] + rows[0])
