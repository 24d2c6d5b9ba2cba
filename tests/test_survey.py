"""Claims on the form, its reader and what returns imply; all figures in them are made up."""

import datetime
import io
import re
import zipfile

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import survey
from kokeilu_analysis.sources import survey_evidence as implied
from kokeilu_analysis.sources import survey_form as form

MUNICIPALITIES = pd.DataFrame(
    [
        ("091", "Helsinki", "Helsingfors", "KK01", 1),
        ("092", "Vantaa", "Vanda", "KK03", 1),
        ("245", "Kerava", "Kervo", "KK03", 1),
        ("145", "Ilmajoki", "Ilmola", "KK17", 1),
        ("743", "Seinäjoki", "Seinäjoki", "KK17", 1),
        ("286", "Kouvola", "Kouvola", "SK081", 0),
    ],
    columns=["municipality", "municipality_name_fi", "municipality_name_sv", "area_id", "is_trial"],
)
DAY = datetime.datetime(2021, 3, 31)
# Rows of the form: 5 Helsinki, 6 Vantaa, 7 Kerava, 8 Ilmajoki, 9 Seinäjoki, then empty ones.
VANTAA = {"D6": DAY, "E6": 100, "F6": 40, "G6": 35, "H6": 25, "I6": "Työllisyyspalvelut"}
HELSINKI = {"D5": DAY, "E5": 50, "F5": 10, "G5": 30, "H5": 10, "I5": "Helsingin kaupunki"}
KOUVOLA = {"A10": "286", "B10": "Kouvola", "D10": DAY, "K10": "kyllä"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return form.write_template(tmp_path_factory.mktemp("a") / "a", MUNICIPALITIES).read_bytes()


@pytest.fixture
def fill(tmp_path):
    """Return a function that writes a return; `change` may do anything else to its sheet."""
    path = form.write_template(tmp_path / "empty.csv", MUNICIPALITIES, "csv")
    values = path.read_text("utf-8-sig")

    def fill(*edits, change=lambda sheet: None, name="return.xlsx"):
        book = openpyxl.Workbook()
        (sheet := book.active).title = form.SHEET
        for line in values.splitlines():
            sheet.append([value or None for value in line.split(";")])
        for cells in edits:
            for cell, value in cells.items():
                sheet[cell] = value
        change(sheet)
        book.save(tmp_path / name)
        return tmp_path / name

    return fill


@pytest.fixture
def fill_csv(tmp_path):
    def fill_csv(*rows, head=None, encoding="utf-8", delimiter=";", name="return.csv"):
        lines = head or [f"{form.FORM} {form.VERSION}", delimiter.join(form.NAMES)]
        (tmp_path / name).write_bytes("\r\n".join([*lines, *rows, ""]).encode(encoding))
        return tmp_path / name

    return fill_csv


def read(*paths):
    return survey.read_returns(list(paths), MUNICIPALITIES)


def said(problems):
    return "\n".join(" | ".join(map(str, row)) for row in problems.to_numpy())


BROKEN_CELLS = {
    "sum too small": ({"F5": 9}, "E5", "50, but 9 + 30 + 10 = 49"),
    "sum too large": ({"H5": 20}, "E5", "10 + 30 + 20 = 60"),
    "part over the whole": ({"G5": 51}, "G5", "a part over 100 %"),
    "plans without customers": ({"E5": 0}, "G5", "at most the 0 customers"),
    "negative": ({"F5": -10}, "F5", "a negative number"),
    "fraction": ({"F5": 10.5}, "F5", "a fraction"),
    "share for a count": ({"G5": 0.6}, "G5", "a fraction"),
    "text": ({"F5": "noin kymmenen"}, "F5", "'noin kymmenen', text"),
    "percentage as text": ({"G5": "60 %"}, "G5", "a percentage"),
    "decimal comma": ({"G5": "30,0"}, "G5", "a decimal comma"),
    "space in thousands": ({"E5": "1 200"}, "E5", "a space in the number"),
    "narrow space in thousands": ({"E5": "1\u202f200"}, "E5", "a space in the number"),
    "full stop in thousands": ({"E5": "1.200"}, "E5", "a full stop"),
    "negative as text": ({"F5": "\u22125"}, "F5", "a negative number"),
    "true for a count": ({"F5": True}, "F5", "not a number"),
    "date for a count": ({"F5": DAY}, "F5", "not a number"),
    "endless number": ({"E5": 1e300}, "E5", "at most 250000"),
    "more than all trials had": ({"E5": 300_000}, "E5", "at most 250000"),
    "one count missing": ({"H5": None}, "H5", "as the others are given"),
    "customers missing": ({"E5": None}, "E5", "as the others are given"),
    "no office": ({"I5": None}, "I5", "the office that gave the counts"),
    "e-mail for an office": ({"I5": "matti@example.org"}, "I5", "an e-mail address"),
    "at sign in an office": ({"I5": "TE-toimisto @ keskusta"}, "I5", "an office, never a person"),
    "phone for an office": ({"I5": "kaupunki 040 123 4567"}, "I5", "a phone number"),
    "name for an office": ({"I5": "Matti Meikäläinen"}, "I5", "an office, never a person"),
    "long office": ({"I5": "palvelu " * 20}, "I5", "at most 120"),
    "identity code in text": ({"T5": "asiakas 010190-123A"}, "T5", "a personal identity code"),
    "phone in text": ({"T5": "soita +358 40 1234567"}, "T5", "a phone number"),
    "long text": ({"T5": "a" * 2001}, "T5", "2001 characters"),
    "text direction turned": ({"T5": "abc\u202ecba"}, "T5", "U+202E"),
    "no date": ({"D5": None}, "D5", "an empty cell"),
    "date before the trials": ({"D5": datetime.datetime(2021, 2, 28)}, "D5", "2021-02-28"),
    "date far ahead": ({"D5": datetime.datetime(2031, 3, 31)}, "D5", "to 2024-12-31"),
    "month for a date": ({"D5": "maaliskuu 2021"}, "D5", "a date such as 31.3.2021"),
    "day that no month has": ({"D5": "31.4.2021"}, "D5", "'31.4.2021'"),
    "American date": ({"D5": "3/31/2021"}, "D5", "a date such as 31.3.2021"),
    "two-digit year": ({"D5": "31.3.21"}, "D5", "a date such as 31.3.2021"),
    "time of day": ({"D5": datetime.datetime(2021, 3, 31, 12)}, "D5", "2021-03-31 12:00"),
    "date alone": (dict.fromkeys(["E5", "F5", "G5", "H5"]), "D5", "without answers"),
    "unknown municipality": ({"A5": "999"}, "A5", "unknown municipality '999'"),
    "no municipality": ({"A5": None}, "A5", "an empty cell"),
    "prefixed code": ({"A5": "KU091"}, "A5", "a three-digit municipality code"),
    "name of another": ({"B5": "Espoo"}, "B5", "'Helsinki', as 091 is"),
    "no name": ({"B5": None}, "B5", "'Helsinki', as 091 is"),
    "code of another": ({"A5": "743"}, "B5", "'Seinäjoki', as 743 is"),
    "area of another": ({"C5": "KK03"}, "C5", "'KK01', as 091 is in it"),
    "formula for a count": ({"E5": "=SUM(F5:H5)"}, "E5", "the formula '=SUM(F5:H5)'"),
    "formula for a date": ({"D5": "=TODAY()"}, "D5", "the formula"),
    "formula in text": ({"T5": '=HYPERLINK("x")'}, "T5", "the formula"),
    "third round": ({"J5": 3}, "J5", "0, 1 or 2 rounds"),
    "round in words": ({"J5": "molemmat"}, "J5", "0, 1 or 2 rounds"),
    "theme perhaps": ({"K5": "ehkä"}, "K5", "kyllä or ei"),
    "theme by number": ({"L5": 2}, "L5", "kyllä or ei"),
    "value beside the form": ({"V5": "huom"}, "V5", "outside the named columns"),
}  # fmt: skip


@pytest.mark.parametrize("edits, cell, words", BROKEN_CELLS.values(), ids=BROKEN_CELLS)
def test_a_broken_cell_is_named_and_the_other_row_is_kept(fill, edits, cell, words):
    returns = read(fill(VANTAA, HELSINKI, edits))
    lines = said(returns.problems).splitlines()
    assert any(f"| Vastaus!{cell} |" in line and words in line for line in lines), lines
    assert list(returns.accepted["municipality"]) == ["092"]


def test_a_comparison_may_not_have_counts_or_an_area_of_the_trials(fill):
    counts = {"E10": 5, "F10": 5, "G10": 0, "H10": 0, "I10": "kunta", "C10": "KK01"}
    returns = read(fill(VANTAA, KOUVOLA, counts))
    assert list(returns.problems["cell"]) == ["Vastaus!C10", "Vastaus!E10"]
    assert list(returns.accepted["municipality"]) == ["092"]


def put(cell, value):
    return lambda sheet: sheet.__setitem__(cell, value)


BROKEN_SHEETS = {
    "merged data": (lambda s: s.merge_cells("E5:F5"), "Vastaus!E5:F5", "merged cells", 1),
    "merged rows": (lambda s: s.merge_cells("D5:D7"), "Vastaus!D5:D7", "merged cells", 0),
    "unknown column": (put("U4", "puhelin"), "Vastaus!U4", "unknown column 'puhelin'", 2),
    "duplicate column": (put("U4", "date"), "Vastaus!U4", "column date a second time", 0),
    "missing column": (lambda s: s.delete_cols(8), "Vastaus!A4", "no column plans_never_made", 0),
    "no header": (lambda s: s.delete_rows(4), "Vastaus!A4", "no row of column names", 0),
    "no version": (put("A1", None), "Vastaus!A1", "no template version", 0),
    "old version": (put("A1", "kokeilu-lomake 0"), "Vastaus!A1", "'kokeilu-lomake 0'", 0),
    "new version": (put("A1", "kokeilu-lomake 2"), "Vastaus!A1", "'kokeilu-lomake 2'", 0),
    "wrong sheet": (lambda s: setattr(s, "title", "Taul1"), "", "'Taul1'", 0),
    "value far away": (put("XFD1048576", 1), "", "cell XFD1048576", 0),
    "huge merge": (lambda s: s.merged_cells.add("A1:XFD1048576"), "", "cells in", 0),
}  # fmt: skip


@pytest.mark.parametrize("change, cell, words, kept", BROKEN_SHEETS.values(), ids=BROKEN_SHEETS)
def test_a_broken_sheet_is_named_with_its_cell(fill, change, cell, words, kept):
    returns = read(fill(VANTAA, HELSINKI, change=change))
    found = returns.problems.loc[returns.problems["cell"] == cell, "found"]
    assert found.str.contains(words, regex=False).any(), said(returns.problems)
    assert len(returns.accepted) == kept


GOOD = "092;Vantaa;KK03;31.3.2021;100;40;35;25;Työllisyyspalvelut;1;ja;nej;;;;;;;;"
BROKEN_CSV = {
    "sum": ("091;Helsinki;KK01;31.3.2021;50;9;30;10;kaupunki;;;;;;;;;;;", 5, "9 + 30 + 10"),
    "percent": ("091;Helsinki;KK01;31.3.2021;50;10 %;30;10;kaupunki;;;;;;;;;;;", 6, "percentage"),
    "formula": ("091;Helsinki;KK01;31.3.2021;=1+1;1;1;0;kaupunki;;;;;;;;;;;", 5, "a formula"),
    "too many": ("091;Helsinki;KK01;31.3.2021;50;10;30;10;kaupunki;;;;;;;;;;;;x", 21, "outside"),
    "too few": ("091;Helsinki;KK01;31.3.2021;50", 9, "the office"),
    "serial": ("091;Helsinki;KK01;44286;50;10;30;10;kaupunki;;;;;;;;;;;", 4, "31.3.2021"),
    "control": ("091;Helsinki;KK01;31.3.2021;;;;;;1;;;;;;;;;;a\x07b", 20, "U+0007"),
}


@pytest.mark.parametrize("row, column, words", BROKEN_CSV.values(), ids=BROKEN_CSV)
def test_a_broken_csv_row_is_named_and_the_other_row_is_kept(fill_csv, row, column, words):
    returns = read(fill_csv(row, GOOD))
    problems = returns.problems[returns.problems["cell"] == f"row 3, column {column}"]
    assert words in said(problems), said(returns.problems)
    assert list(returns.accepted["municipality"]) == ["092"]


def test_latin_1_is_refused_at_its_first_cell_with_a_way_out(fill_csv):
    row = "743;Seinäjoki;KK17;31.3.2021;8;4;2;2;kaupunki;;;;;;;;;;;"
    returns = read(fill_csv(GOOD.replace("Työ", "Tyo"), row, encoding="cp1252"))
    assert said(returns.problems).count("\n") == 0
    problem = returns.problems.iloc[0]
    assert problem["cell"] == "row 4, column 2"
    assert "'ä' in Latin-1" in problem["found"] and "CSV UTF-8" in problem["advice"]


def packed(**parts):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return buffer.getvalue()


ENTITY = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
WIDE_ENTITY = ENTITY.decode().encode("utf-16")
BROKEN_FILES = {
    "empty": ("a.csv", b"", "an empty file"),
    "encrypted or xls": ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 64, "encrypted"),
    "text named xlsx": ("a.xlsx", b"municipality;date", "no workbook"),
    "cut zip": ("a.xlsx", b"PK\x03\x04 and nothing more", "a damaged workbook (BadZipFile)"),
    "zip of something": ("a.xlsx", packed(content="<a/>"), "an archive without a workbook"),
    "workbook of nothing": ("a.xlsx", packed(xl__workbook="<a/>"), "a damaged workbook"),
    "bomb": ("a.xlsx", packed(xl__workbook=bytes(60_000_000)), "over 50 MB when unpacked"),
    "entity": ("a.xlsx", packed(xl__workbook=ENTITY), "an XML entity"),
    "entity in UTF-16": ("a.xlsx", packed(xl__workbook=WIDE_ENTITY), "an XML entity"),
    "UTF-16": ("a.csv", "municipality;date".encode("utf-16"), "text in UTF-16"),
    "binary": ("a.csv", b"abc\0def", "binary content"),
    "open quote": ("a.csv", b'customers_transferred;b\n"x;1\n', "broken quoting"),
    "tabs": ("a.csv", "\t".join(form.NAMES).encode(), "columns split by tabs"),
    "no header": ("a.csv", b"kunta;luku\n091;5\n", "no row of column names"),
    "endless": ("a.csv", b"\n" * 2001, "2001 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name, content, words", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_broken_file_is_refused_and_the_next_is_read(fill, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    returns = read(tmp_path / name, fill(VANTAA))
    assert words in said(returns.problems) and len(returns.problems) == 1
    assert name in returns.problems["file"].iloc[0] and returns.problems["advice"].iloc[0]
    assert list(returns.accepted["municipality"]) == ["092"]


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    problems = read(tmp_path / "none.xlsx", tmp_path).problems
    assert list(problems["found"]) == ["no such file", "a folder"]


def test_macros_and_passwords_are_refused(empty, tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(empty)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"x")
    assert "with macros" in said(read(path).problems)
    locked = bytearray(packed(a="<a/>"))
    for start in (b"PK\x03\x04", b"PK\x01\x02"):  # the flag of encryption in both headers
        locked[locked.index(start) + (6 if start.endswith(b"\x04") else 8)] |= 1
    path.write_bytes(locked)
    assert "an encrypted archive" in said(read(path).problems)


def test_every_problem_of_a_file_is_reported_at_once(fill):
    edits = {"D5": "x", "E5": "y", "J5": 7, "K5": "z", "I5": "a@b.fi", "B7": "Espoo"}
    cells = set(read(fill(VANTAA, HELSINKI, edits)).problems["cell"])
    assert cells == {f"Vastaus!{cell}" for cell in edits}


def test_equal_returns_count_once_and_different_ones_not_at_all(fill):
    first = fill(VANTAA, HELSINKI, name="a.xlsx")
    second = fill(VANTAA, HELSINKI, {"F5": 11, "G5": 29}, name="b.xlsx")
    returns = read(first, second)
    assert list(returns.accepted["municipality"]) == ["092"]
    assert sorted(returns.problems["cell"]) == ["Vastaus!A5", "Vastaus!A5", "Vastaus!A6"]
    assert returns.problems["expected"].str.contains(r"[ab]\.xlsx, Vastaus!A[56]").all()


def test_two_returns_in_one_file_for_one_day_are_refused(fill):
    twin = {"A10": "091", "B10": "Helsinki", "D10": DAY, "J10": 1}
    returns = read(fill(VANTAA, HELSINKI, twin))
    assert sorted(returns.problems["cell"]) == ["Vastaus!A10", "Vastaus!A5"]
    later = read(fill(VANTAA, HELSINKI, twin | {"D10": datetime.datetime(2021, 4, 30)}))
    assert later.problems.empty and len(later.accepted) == 3


@pytest.mark.parametrize("format", ["xlsx", "csv"])
def test_the_empty_form_says_nothing_and_its_bytes_are_fixed(tmp_path, format):
    first = form.write_template(tmp_path / f"a.{format}", MUNICIPALITIES, format)
    returns = read(first)
    assert returns.problems.empty and returns.accepted.empty
    shuffled = MUNICIPALITIES.sample(frac=1, random_state=1)
    second = form.write_template(tmp_path / f"b.{format}", shuffled, format)
    assert first.read_bytes() == second.read_bytes()


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(KokeiluError, match="'ods'"):
        form.write_template(tmp_path / "a.ods", MUNICIPALITIES, "ods")


def test_the_workbook_checks_answers_while_they_are_typed(empty):
    sheet = openpyxl.load_workbook(io.BytesIO(empty))[form.SHEET]
    rules = {}
    for rule in sheet.data_validations.dataValidation:
        for area in str(rule.sqref).split():
            rules[re.match("[A-Z]+", area)[0]] = rule.type
    assert rules == {
        **dict.fromkeys("EFGH", "whole"), **dict.fromkeys("AJKLMNOPQRS", "list"),
        "D": "date", "I": "textLength", "T": "textLength",
    }  # fmt: skip
    assert sheet.freeze_panes == "C5" and sheet["A1"].value == "kokeilu-lomake 1"


@pytest.mark.parametrize("format", ["xlsx", "csv"])
def test_answers_survive_a_round_trip(fill, tmp_path, format):
    edits = {"J5": 2, "K5": "kyllä", "L5": "nej", "T5": 'Lyhyt; teksti, \u2013 ja "muuta"'}
    first = read(fill(VANTAA, HELSINKI, KOUVOLA, edits)).accepted
    path = form.write_template(tmp_path / f"again.{format}", MUNICIPALITIES, format, first)
    pd.testing.assert_frame_equal(first[form.NAMES], read(path).accepted[form.NAMES])
    assert len(first) == 3


def test_the_workbook_that_is_sent_can_be_filled_and_read(empty, tmp_path):
    book = openpyxl.load_workbook(io.BytesIO(empty))
    for cell, value in (VANTAA | KOUVOLA).items():
        book[form.SHEET][cell] = value
    book[form.LISTS].sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    assert list(read(tmp_path / "a.xlsx").accepted["municipality"]) == ["092", "286"]


def test_commas_lost_zeros_and_both_date_forms_are_understood(fill_csv):
    row = "91,HELSINGFORS,,2021-03-31,50,10,30,10,stadens service,,x,0,,,,,,,,"
    head = ["kokeilu-lomake 1,", ",".join(form.NAMES)]
    answer = read(fill_csv(row, head=head, encoding="utf-8-sig")).accepted.iloc[0]
    assert (answer["municipality"], answer["area_id"], answer["date"]) == ("091", "KK01", DAY)
    assert (answer["theme_1"], answer["theme_2"]) == (1, 0) and pd.isna(answer["theme_3"])


def test_themes_without_counts_are_an_answer(fill):
    accepted = read(fill({"D7": DAY, "K7": "ja"}, {"D8": DAY, "E8": 60, "I8": "kunta"})).accepted
    assert list(accepted["municipality"]) == ["145", "245"]
    assert implied.to_evidence(accepted, MUNICIPALITIES).empty


ATTACKS = ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "hei;=1+1", "hei, =1+1", "＝1", "-5 % vähemmän"]


@pytest.mark.parametrize("text", ATTACKS)
def test_a_formula_never_survives_to_an_export(fill_csv, tmp_path, text):
    returns = read(fill_csv(f'245;Kerava;KK03;31.3.2021;;;;;;1;;;;;;;;;;"{text}"'))
    assert returns.problems.empty, said(returns.problems)
    survey.save_returns(returns, tmp_path)
    again = form.write_template(tmp_path / "a.xlsx", MUNICIPALITIES, answers=returns.accepted)
    form.write_template(tmp_path / "a.csv", MUNICIPALITIES, "csv", answers=returns.accepted)
    for cell in (c for s in openpyxl.load_workbook(again).worksheets for r in s.rows for c in r):
        assert cell.data_type != "f" and not str(cell.value or "").startswith(tuple("=+-@＝"))
    for name in (survey.KEPT, "a.csv"):  # whatever delimiter the reader's locale splits at
        for part in re.split("[;,\r\n]", (tmp_path / name).read_text("utf-8-sig")):
            assert not part.strip(' "').startswith(tuple("=+-@＝")), (name, part)
    assert survey.kept(tmp_path)["free_text"].iloc[0] == returns.accepted["free_text"].iloc[0]
    assert read(again).accepted["free_text"].iloc[0] == returns.accepted["free_text"].iloc[0]


@given(st.text("=+-@';, a", max_size=12))
@settings(max_examples=300, deadline=None)
def test_neutralising_is_undone_exactly(text):
    assert form.restore(form.neutralise(text)) == text


def test_kept_returns_grow_once_and_are_never_overwritten(fill, tmp_path):
    first = read(fill(VANTAA, HELSINKI, {"T5": "teksti"}))
    merged = survey.save_returns(first, tmp_path)
    before = (tmp_path / survey.KEPT).read_bytes()
    pd.testing.assert_frame_equal(merged.accepted, survey.kept(tmp_path))
    again = survey.save_returns(first, tmp_path)
    assert (tmp_path / survey.KEPT).read_bytes() == before and again.problems.empty
    other = read(fill(HELSINKI, {"F5": 5, "G5": 35}, {"D7": DAY, "J7": 1}, name="b.xlsx"))
    third = survey.save_returns(other, tmp_path)
    assert list(third.problems["cell"]) == ["row 5"] and "091" in third.problems["found"].iloc[0]
    assert list(third.accepted["municipality"]) == ["091", "092", "245"]
    assert survey.kept(tmp_path)["plans_valid"].iloc[0] == 10


WRONG_EDITS = [
    (",40,35,25,", ',"40,5",35,25,', "row 2, column plans_valid: .*decimal comma"),
    (",40,35,25,", ",40,36,25,", r"row 2, column customers_transferred: .*40 \+ 36 \+ 25"),
    ("2021-03-31", "", "row 2, column date: found an empty cell"),
    ("092,", ",", "row 2, column municipality: found an empty cell"),
    (",date,", ",day,", "row 1: found .*day"),
    ("Vantaa", "Vantaa,", "row 2: found 23 values"),
    ("Ty\u00f6", "Ty\udcf6", "row 2, column 9: .*in Latin-1"),
]


@pytest.mark.parametrize("old, new, words", WRONG_EDITS)
def test_a_kept_file_that_was_edited_wrongly_is_named_by_place(fill, tmp_path, old, new, words):
    survey.save_returns(read(fill(VANTAA)), tmp_path)
    path = tmp_path / survey.KEPT
    text = path.read_text("utf-8").replace(old, new, 1)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=words):
        survey.kept(tmp_path)


SIZES = pd.Series({"091": 50, "092": 100, "245": 25, "145": 10, "743": 30})


def test_an_area_is_a_value_when_all_have_answered_and_a_range_before(fill):
    kerava = {"D7": DAY, "E7": 25, "F7": 25, "G7": 0, "H7": 0, "I7": "kaupunki"}
    part = implied.to_evidence(read(fill(VANTAA, HELSINKI)).accepted, MUNICIPALITIES, SIZES)
    whole = implied.to_evidence(read(fill(VANTAA, kerava)).accepted, MUNICIPALITIES)
    part = part.set_index("subject")
    assert part.loc["KK01", ["kind", "lower", "upper"]].tolist() == ["value", 0.8, 0.8]
    assert part.loc["KK03", ["kind", "lower", "upper"]].tolist() == ["range", 60 / 125, 85 / 125]
    assert whole.loc[0, ["subject", "kind", "lower", "upper"]].tolist() == [
        "KK03", "value", 60 / 125, 60 / 125]  # fmt: skip
    assert list(whole.columns) == implied.EVIDENCE and set(whole["reading"]) == {"default"}


def test_an_area_total_a_split_and_equal_weights_give_the_same_range(fill):
    accepted = read(fill(VANTAA)).accepted
    by_split = implied.to_evidence(accepted, MUNICIPALITIES, SIZES)
    by_total = implied.to_evidence(accepted, MUNICIPALITIES, pd.Series({"KK03": 125}))
    by_size = implied.to_evidence(accepted, MUNICIPALITIES, weights=SIZES * 2)
    for bound in ("lower", "upper"):
        assert by_total[bound][0] == pytest.approx(by_split[bound][0], abs=1e-12)
        assert by_size[bound][0] == pytest.approx(by_split[bound][0], abs=1e-12)


def test_an_unanswered_member_of_unknown_size_and_too_small_a_total_are_errors(fill):
    accepted = read(fill(VANTAA)).accepted
    with pytest.raises(KokeiluError, match="KK03: no customers or weight for 245"):
        implied.to_evidence(accepted, MUNICIPALITIES)
    with pytest.raises(KokeiluError, match="100 reported customers in KK03, more than the 90"):
        implied.to_evidence(accepted, MUNICIPALITIES, pd.Series({"KK03": 90}))


def test_only_a_first_count_by_the_date_speaks_for_the_start(fill):
    may = datetime.datetime(2021, 5, 31)
    twin = {"A10": "091", "B10": "Helsinki", "D10": may, "E10": 50, "F10": 30, "G10": 10,
            "H10": 10, "I10": "kaupunki"}  # fmt: skip
    accepted = read(fill(HELSINKI, twin)).accepted
    rows = implied.to_evidence(accepted, MUNICIPALITIES)
    assert rows[["statement_id", "kind", "lower"]].to_numpy().tolist() == [
        ["survey_KK01", "value", 0.8], ["survey_KK01_2021-05-31", "later", 0.4]]  # fmt: skip
    late = accepted[accepted["date"] == may]
    assert list(implied.to_evidence(late, MUNICIPALITIES)["kind"]) == ["later"]
    assert list(implied.to_evidence(late, MUNICIPALITIES, date=may)["kind"]) == ["value"]


@given(st.lists(st.tuples(*[st.integers(1, 40)] * 3), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_each_further_answer_narrows_the_range_around_the_truth(answers):
    places = pd.DataFrame({"municipality": ["1", "2", "3"], "area_id": "KK99", "is_trial": 1})
    accepted = pd.DataFrame(answers, columns=form.PLANS)
    accepted["customers_transferred"] = accepted.sum(axis=1)
    accepted = accepted.assign(municipality=["1", "2", "3"], date=implied.START, file="a.csv")
    sizes = accepted.set_index("municipality")["customers_transferred"]
    truth = 1 - accepted["plans_valid"].sum() / sizes.sum()
    last_low, last_high = 0.0, 1.0
    for number in (1, 2, 3):
        evidence = implied.to_evidence(accepted.head(number), places, sizes)
        low, high = evidence.loc[0, ["lower", "upper"]]
        assert last_low - 1e-12 <= low <= truth + 1e-12
        assert truth - 1e-12 <= high <= last_high + 1e-12
        last_low, last_high = low, high
    assert low == high


def test_the_response_rate_counts_members_and_weight(fill):
    accepted = read(fill(VANTAA, HELSINKI, {"D7": DAY, "J7": 1}, KOUVOLA)).accepted
    rate = implied.response_rate(accepted, MUNICIPALITIES, SIZES).set_index("area_id")
    assert rate.loc["KK03"].tolist() == [2, 2, 1, 100 / 125]
    assert rate.loc["KK17"].tolist() == [2, 0, 0, 0.0]
    assert rate.loc["all"].tolist() == [5, 3, 2, 150 / 215]
    nobody = implied.response_rate(accepted.head(0), MUNICIPALITIES)
    assert nobody["answered"].sum() == 0 and nobody["share_weight"].isna().all()


def test_coverage_counts_the_latest_answer_and_keeps_comparisons_apart(fill):
    june = {"A11": "092", "B11": "Vanda", "D11": datetime.datetime(2021, 6, 30), "K11": "ja",
            "J11": 2}  # fmt: skip
    accepted = read(fill(VANTAA, {"K6": "ei", "L6": "kyllä", "J6": 1}, KOUVOLA, june)).accepted
    table = implied.coverage(accepted, MUNICIPALITIES).set_index(["item_id", "group"])
    assert len(table) == 22
    assert table.loc[("theme_1", "trial")].tolist() == [1, 0, 4]
    assert table.loc[("theme_2", "trial")].tolist() == [1, 0, 4]
    assert table.loc[("theme_1", "comparison")].tolist() == [1, 0, 0]
    assert table.loc[("round_2", "trial")].tolist() == [1, 0, 4]
    assert table.loc[("round_1", "comparison")].tolist() == [0, 0, 1]
    assert implied.coverage(accepted.head(0), MUNICIPALITIES)[["yes", "no"]].sum().sum() == 0


def test_at_least_forty_broken_returns_are_tried():
    assert len(BROKEN_CELLS) + len(BROKEN_SHEETS) + len(BROKEN_CSV) + len(BROKEN_FILES) >= 40
