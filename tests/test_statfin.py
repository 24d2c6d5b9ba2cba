"""Claims about the snapshot reader: what it accepts, and how it refuses what is damaged.

The snapshots are synthetic (see conftest.py). Every damage goes through the command line, so that
message, exit code and the untouched earlier outputs are seen as a user sees them.
"""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import FORCE, LAID_OFF, NAMES, RATE, UNEMPLOYED, VACANCIES

from kokeilu_analysis import cli, paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import facts, statfin

MESSAGE = re.compile(
    r"kokeilu: (?P<file>[^,]+)(, row (?P<row>.+?))?(, column (?P<column>.+?))?: "
    r"found (?P<found>.+?), expected (?P<expected>.+?)\.( (?P<advice>.+))?\n"
)


class Lines:
    """The lines of one delivered CSV, to be damaged; row 1 is the header, as in messages."""

    def __init__(self, path):
        self.path = path
        content = path.read_bytes()
        self.packed = path.suffix == ".gz"
        text = (gzip.decompress(content) if self.packed else content).decode("utf-8")
        self.lines = text.splitlines()
        self.columns = self.lines[0].split(",")

    def row(self, area, month):
        """Line number of an area and month."""
        return next(
            n for n, x in enumerate(self.lines, start=1) if x.startswith(f"{area},{month},")
        )

    def cell(self, area, month, column):
        return self.lines[self.row(area, month) - 1].split(",")[self.columns.index(column)]

    def put(self, area, month, column, text):
        """Replace one cell and return its row."""
        row = self.row(area, month)
        fields = self.lines[row - 1].split(",")
        assert fields[self.columns.index(column)] != text, "the test would change nothing"
        fields[self.columns.index(column)] = text
        self.lines[row - 1] = ",".join(fields)
        return row

    def add(self, area, month, column, step):
        return self.put(area, month, column, str(int(self.cell(area, month, column)) + step))

    def save(self):
        content = "".join(f"{line}\n" for line in self.lines).encode("utf-8")
        self.path.write_bytes(gzip.compress(content, mtime=0) if self.packed else content)


def refusal(study, capsys, *options):
    """Import the delivered folder; return the refusal's parts and assert that nothing changed."""
    before = study.outputs()
    assert cli.main(["import", str(study.delivered), *options]) == 1
    assert study.outputs() == before, "a refused import changed earlier outputs"
    said = capsys.readouterr()
    assert said.out == ""
    match = MESSAGE.fullmatch(said.err)
    assert match, f"not one sentence with file, found and expected: {said.err!r}"
    return match.groupdict()


@pytest.fixture(autouse=True)
def earlier_snapshot(request):
    """Give the broken studies an earlier imported snapshot, so that its loss would be seen."""
    if "study" in request.fixturenames:
        study = request.getfixturevalue("study")
        study.snapshots.mkdir()
        (study.snapshots / NAMES["counts"]).write_bytes(b"an earlier import\n")


# --- one faulty cell: named by file, row, column, found and expected -----------------------------

WHOLE, POINT = "a whole number of 0 or more", "a rate in per cent with a decimal point"
SECRET = "0, 5 or more, or an empty cell"
CELLS = {  # file, area, month, column, what is written there, expected
    "negative count": ("counts", "KU091", "2022M01", UNEMPLOYED, "-7", WHOLE),
    "fractional count": ("counts", "KU091", "2022M01", UNEMPLOYED, "51318.5", WHOLE),
    "count with a float's zero": ("all", "KU091", "2022M01", LAID_OFF, "84.0", WHOLE),
    "text for a count": ("all", "KU049", "2021M12", VACANCIES, "many", WHOLE),
    "space among thousands": ("counts", "KU091", "2022M01", UNEMPLOYED, "51 318", WHOLE),
    "exponent": ("counts", "KU091", "2022M01", UNEMPLOYED, "5e4", WHOLE),
    "digits of another script": ("counts", "KU091", "2022M01", UNEMPLOYED, "٥١٣", WHOLE),
    "the table's own secrecy mark": ("counts", "KU091", "2022M01", VACANCIES, "...", WHOLE),
    "secret count in print": ("all", "KU280", "2021M11", LAID_OFF, "3", SECRET),
    "labour force left out": ("counts", "KU091", "2022M01", FORCE, "", "a labour force"),
    "negative labour force": ("all", "KU091", "2022M01", FORCE, "-1", WHOLE),
    "rate over 100": ("rate", "KU091", "2022M06", RATE, "100.1", "a rate of 0 to 100 per cent"),
    "rate over 100 in counts": ("all", "KU091", "2022M01", RATE, "250", "a rate of 0 to 100"),
    "negative rate": ("rate", "KU091", "2022M06", RATE, "-0.1", POINT),
    "rate with per cent sign": ("rate", "KU091", "2022M06", RATE, "8.1%", POINT),
    "rate with two decimals": ("rate", "KU091", "2022M06", RATE, "8.15", POINT),
    "month 13": ("counts", "KU091", "2022M01", "kuukausi", "2021M13", "a month such as 2021M03"),
    "month in words": ("rate", "KU091", "2022M01", "kuukausi", "2022-01", "a month such as"),
    "unknown municipality": ("counts", "KU091", "2022M01", "alue", "KU999", "a municipality of"),
    "municipality of 2019": ("all", "KU541", "2022M01", "alue", "KU911", "a municipality of"),
    "no area code": ("rate", "KU091", "2022M01", "alue", "Helsinki", "an area code such as KU091"),
    "code without its zero": ("rate", "KU091", "2022M01", "alue", "KU91", "a municipality of"),
}


@pytest.mark.parametrize("case", CELLS)
def test_a_faulty_cell_is_named_and_earlier_outputs_stay(study, capsys, case):
    short, area, month, column, text, expected = CELLS[case]
    lines = Lines(study.path(short))
    row = lines.put(area, month, column, text)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES[short], str(row), column)
    assert said["found"] == (text or "nothing")
    assert said["expected"].startswith(expected)


@pytest.mark.parametrize(
    ("short", "column", "text"),
    [("rate", RATE, "8,1"), ("counts", UNEMPLOYED, "51,3"), ("counts", FORCE, '"51,3"')],
)
def test_a_decimal_comma_is_found_as_one_field_too_many(study, capsys, short, column, text):
    lines = Lines(study.path(short))
    row = lines.put("KU091", "2022M02", column, text)
    width = len(lines.columns)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"]) == (NAMES[short], str(row))
    assert said["found"].startswith(f"{width + 1} fields")
    assert said["expected"] == f"{width} fields"
    assert "decimal comma" in said["advice"]
    # which comma is one too many cannot be seen: the columns it can be in are named
    assert said["column"] == (RATE if short == "rate" else f"{UNEMPLOYED} to {VACANCIES}")


# --- an edited digit: placed by sums, by the other snapshot, or at least noticed by checksum ------


@pytest.mark.parametrize("edited", ["KU091", "SK011"])
def test_an_edited_digit_is_placed_by_the_sum_of_the_sub_region(study, capsys, edited):
    lines = Lines(study.path("counts"))
    changed = lines.add(edited, "2022M03", UNEMPLOYED, 100)
    total = lines.row("SK011", "2022M03")
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["counts"], str(total), UNEMPLOYED)
    assert said["found"].endswith("for SK011 in 2022-03")
    named = [total, *map(int, re.search(r"rows (.+)", said["expected"])[1].split(", "))]
    assert changed in named
    assert len(named) == 1 + (facts.municipalities()["sub_region_code"] == "011").sum()


def test_a_total_outside_what_hidden_cells_allow_is_refused_with_the_interval(study, capsys):
    lines = Lines(study.path("all"))
    area = next(x[:5] for x in lines.lines if re.match(r"KU\d+,2021M11,\d+,\d+,[\d.]+,,", x))
    towns = facts.municipalities().set_index("municipality")
    region = "SK" + towns.loc[area[2:], "sub_region_code"]
    total = lines.put(region, "2021M11", LAID_OFF, "99999")
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"]) == (str(total), LAID_OFF)
    low, high = map(int, re.match(r"(\d+) to (\d+), the sum", said["expected"]).groups())
    assert high - low >= 3 and (high - low) % 3 == 0  # each hidden cell leaves 3 open


def test_an_edit_that_keeps_the_sums_is_placed_by_the_other_snapshot(study, capsys):
    lines, other = Lines(study.path("counts")), Lines(study.path("all"))
    row = lines.add("KU091", "2022M01", VACANCIES, 10)
    lines.add("SK011", "2022M01", VACANCIES, 10)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["counts"], str(row), VACANCIES)
    assert said["found"] == f"{lines.cell('KU091', '2022M01', VACANCIES)} for KU091 in 2022-01"
    assert f"{NAMES['all']} row {other.row('KU091', '2022M01')}" in said["expected"]
    assert said["expected"].endswith(other.cell("KU091", "2022M01", VACANCIES))


def test_a_count_that_is_erased_is_placed_by_the_other_snapshot(study, capsys):
    lines = Lines(study.path("counts"))
    area, region = sole_member()
    shown = lines.cell(area, "2022M01", VACANCIES)
    row = lines.put(area, "2022M01", VACANCIES, "")
    lines.put(region, "2022M01", VACANCIES, "")
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"]) == (str(row), VACANCIES)
    assert said["found"] == f"an empty cell for {area} in 2022-01"
    assert said["expected"].endswith(f", {shown}")


def test_a_rate_that_contradicts_the_counts_is_refused_with_both_places(study, capsys):
    lines, other = Lines(study.path("rate")), Lines(study.path("counts"))
    wrong = f"{float(lines.cell('KU091', '2022M04', RATE)) + 0.1:.1f}"
    row = lines.put("KU091", "2022M04", RATE, wrong)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["rate"], str(row), RATE)
    assert said["found"] == f"{wrong} for KU091 in 2022-04"
    assert f"{NAMES['counts']} row {other.row('KU091', '2022M04')}" in said["expected"]


def test_a_rate_that_is_erased_where_the_count_is_printed_is_refused_by_place(study, capsys):
    lines = Lines(study.path("rate"))
    row = lines.put("KU091", "2022M04", RATE, "")
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["rate"], str(row), RATE)
    assert said["found"] == "an empty cell for KU091 in 2022-04"


def test_an_edit_that_agrees_everywhere_is_still_noticed_by_the_checksum(study, capsys):
    lines = Lines(study.path("counts"))  # months after the other snapshots have counts
    for area in ("KU091", "SK011"):
        lines.add(area, "2022M03", VACANCIES, 1)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (
        NAMES["counts"],
        "not known",
        "not known",
    )
    assert re.match(r"SHA-256 [0-9a-f]{12}…", said["found"])
    assert "data/raw/datapackage.json" in said["expected"]
    assert "--allow-unlisted" in said["advice"]


def sole_member():
    """Return a municipality that is its sub-region alone or with few, and that sub-region."""
    towns = facts.municipalities().query("region_code != '21'")
    sizes = towns.groupby("sub_region_code")["municipality"].agg(["size", "first"])
    smallest = sizes.sort_values("size").index[0]
    return "KU" + sizes.loc[smallest, "first"], "SK" + smallest


# --- rows: missing, twice, out of place ----------------------------------------------------------


def test_a_row_twice_is_refused_at_its_second_place(study, capsys):
    lines = Lines(study.path("counts"))
    first = lines.row("KU091", "2022M01")
    lines.lines.append(lines.lines[first - 1])
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"]) == (str(len(lines.lines)), "alue")
    assert said["found"] == f"KU091 2022M01 a second time (first in row {first})"


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_a_month_missing_for_one_municipality_is_refused_near_its_place(study, capsys, short):
    lines = Lines(study.path(short))
    row = lines.row("KU297", "2021M12")
    del lines.lines[row - 1]
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"], said["column"]) == (
        NAMES[short],
        f"{row - 1} or near it",
        "kuukausi",
    )
    assert said["found"] == "no row for KU297 2021M12"


def test_a_month_missing_in_the_middle_for_all_is_refused_near_its_place(study, capsys):
    lines = Lines(study.path("counts"))
    before = lines.row("KU005", "2022M01")
    lines.lines = [x for x in lines.lines if ",2022M02," not in x]
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"]) == (f"{before} or near it", "kuukausi")
    assert (said["found"], said["expected"]) == ("no row for 2022M02", "every month")


@pytest.mark.parametrize("month", ["2092M01", "2001M01", "2022M05"])
def test_a_month_that_no_other_area_has_is_refused_at_its_own_row(study, capsys, month):
    lines = Lines(study.path("counts"))
    row = lines.put("KU091", "2022M01", "kuukausi", month)
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"], said["found"]) == (str(row), "kuukausi", month)
    assert said["expected"] == "a month that the other areas have"


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_an_absent_trial_municipality_is_refused_by_code(study, capsys, short):
    lines = Lines(study.path(short))
    row = lines.row("KU297", "2021M11")  # Kuopio
    lines.lines = [x for x in lines.lines if not x.startswith("KU297,")]
    lines.save()
    said = refusal(study, capsys)
    assert (said["row"], said["column"]) == (f"{row - 1} or near it", "alue")
    assert said["found"] == "no row for KU297"
    assert said["expected"] == "all municipalities of 2021"


def test_a_file_with_a_header_only_is_refused(study, capsys):
    lines = Lines(study.path("counts"))
    del lines.lines[1:]
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["found"]) == (NAMES["counts"], "no row for KU005")


# --- columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "column", "found"),
    [
        (VACANCIES, "AVPAIKAT", "AVPAIKAT", "AVPAIKAT"),  # the name before 2021
        (VACANCIES, f"{VACANCIES},EXTRA", "EXTRA", "EXTRA"),
        (VACANCIES, UNEMPLOYED, UNEMPLOYED, f"{UNEMPLOYED} a second time"),
        ("alue,kuukausi", "kuukausi,alue", "kuukausi", "kuukausi,alue,TYOTTOMATLOPUSSA"),
        (",", ";", f"alue;kuukausi;{UNEMPLOYED}", "alue;kuukausi;TYOTTOMATLOPUSSA"),
    ],
)
def test_an_unknown_or_repeated_column_is_named(study, capsys, old, new, column, found):
    lines = Lines(study.path("counts"))
    lines.lines[0] = lines.lines[0].replace(old, new)
    lines.save()
    said = refusal(study, capsys)
    assert (said["file"], said["row"]) == (NAMES["counts"], "1")
    assert said["column"].startswith(column) and said["found"].startswith(found)


def test_an_extra_cell_in_a_row_is_refused_at_that_row(study, capsys):
    lines = Lines(study.path("counts"))
    row = lines.row("KU091", "2022M01")
    lines.lines[row - 1] += ",1"
    lines.save()
    said = refusal(study, capsys)
    assert said["row"] == str(row) and said["found"].startswith("6 fields (KU091,2022M01,")


# --- whole files: missing, cut, re-encoded -------------------------------------------------------


def test_a_missing_folder_is_refused(study, capsys):
    before = study.outputs()
    assert cli.main(["import", str(study.root / "nowhere")]) == 1
    assert study.outputs() == before
    said = MESSAGE.fullmatch(capsys.readouterr().err)
    assert said["found"] == "no such folder"
    assert said["file"].endswith("nowhere")


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_a_missing_snapshot_is_refused_by_name(study, capsys, short):
    study.path(short).unlink()
    said = refusal(study, capsys)
    assert (said["file"], said["found"]) == (NAMES[short], "no such file")
    assert "Table 12r5" in said["expected"]


def test_the_interface_answer_is_optional(study):
    study.path("answer").unlink()
    assert len(read(study)) == 3


def utf16(content):
    return content.decode().encode("utf-16")


def mark(content):
    return b"\xef\xbb\xbf" + content


def line_ends(content):
    return content.replace(b"\n", b"\r\n")


def latin1(content):
    return content.replace(b"KU049,2022M01", "KU049ä,2022M01".encode("latin-1"))


def cut_in_a_line(content):
    return content[: content.index(b"KU564,2022M01") + 9]


def cut_after_a_field(content):
    return content[: content.index(b"KU564,2022M01") + 14] + b"\n"


def cut_between_lines(content):
    return content[: content.index(b"KU564,2022M01")]


def with_a_quote(content):
    return content.replace(b"KU049,2022M01,", b'KU049,2022M01,"')


def with_a_zero_byte(content):
    return content.replace(b"KU049,2022M01,", b"KU049,2022M01,\0")


def with_an_empty_line(content):
    return content.replace(b"KU049,2022M01", b"\nKU049,2022M01")


DAMAGE = {  # damage, the place that row is counted to, column, found, in the advice
    "UTF-16": (utf16, None, None, "a byte-order mark", "saved again by another"),
    "byte-order mark": (mark, None, None, "a byte-order mark", "saved again by another"),
    "carriage returns": (line_ends, None, None, "a carriage return", "saved again by another"),
    "Latin-1": (latin1, b"KU049,2022M01", None, "byte 0xe4", "Restore"),
    "cut in a line": (cut_in_a_line, b"KU564,2022M01", None, "the last line 'KU564,202'", "trunc"),
    "cut after a field": (cut_after_a_field, b"KU564,2022M01", UNEMPLOYED, "3 fields", "cut line"),
    "cut between lines": (cut_between_lines, b"KU564,2021M12", "alue", "no row", "truncated"),
    "a quotation mark": (with_a_quote, b"KU049,2022M01", UNEMPLOYED, '"', "Restore"),
    "a zero byte": (with_a_zero_byte, b"KU049,2022M01", UNEMPLOYED, "'\\x00", "Restore"),
    "an empty line": (with_an_empty_line, b"KU049,2022M01", None, "1 fields", "Restore"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_refused_at_its_first_bad_row(study, capsys, case, packed):
    damage, place, column, found, advice = DAMAGE[case]
    path = study.path("all" if packed else "counts")
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    broken = damage(content)
    assert broken != content
    path.write_bytes(gzip.compress(broken, mtime=0) if packed else broken)
    said = refusal(study, capsys)
    assert said["file"] == path.name
    if place:
        row = content[: content.index(place)].count(b"\n") + 1
        assert said["row"] in (str(row), f"{row} or near it")
    else:
        assert said["row"] == "1"
    assert column is None or said["column"].startswith(column)
    assert found in said["found"]
    assert advice in said["advice"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[:-300],
        lambda c: c[:2000],
        lambda c: b"alue,kuukausi",
        lambda c: c + b"more",
        lambda c: c[:500] + b"\x00\xff" * 9 + c[518:],
    ],
    ids=["cut at the end", "cut early", "not gzip", "more at the end", "overwritten"],
)
def test_a_damaged_gzip_file_is_refused_as_a_whole(study, capsys, damage):
    path = study.path("all")
    path.write_bytes(damage(path.read_bytes()))
    said = refusal(study, capsys)
    assert (said["file"], said["found"]) == (NAMES["all"], "a truncated or damaged gzip file")


def test_an_empty_file_is_refused(study, capsys):
    study.path("rate").write_bytes(b"")
    assert refusal(study, capsys)["found"] == "an empty file"


def test_a_file_cut_at_the_end_of_an_area_is_refused_with_both_sizes(study, capsys):
    lines = Lines(study.path("counts"))
    whole = study.path("counts").stat().st_size
    last = lines.lines[-1][:5]
    lines.lines = [x for x in lines.lines if not x.startswith(last)]
    lines.save()
    said = refusal(study, capsys)
    assert f"{study.path('counts').stat().st_size:,} bytes" in said["found"]
    assert f"{whole:,} bytes" in said["expected"]


# --- the interface's own answer ------------------------------------------------------------------


def edit_answer(study, edit):
    answer = json.loads(study.path("answer").read_text(encoding="utf-8"))
    edit(answer)
    study.path("answer").write_text(json.dumps(answer), encoding="utf-8")


def element(answer, area):
    """Return the place (counted from 1) and the record of an area."""
    place = next(n for n, d in enumerate(answer["data"], 1) if d["key"][0] == area)
    return place, answer["data"][place - 1]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><body>Service unavailable</body></html>", "broken JSON"),
        (b'{"columns": [', "broken JSON"),
        (b"", "broken JSON"),
        (b"null", "no columns"),
        (b"[]", "no columns"),
        (b'{"data": []}', "no columns"),
        (b'{"columns": []}', "variables of type c only"),
        (b'{"columns": [{"code": "Alue", "type": "d"}], "data": []}', "variables of type d"),
        (b'{"columns": [{"code": "Alue"}], "data": []}', "no type"),
        (b'{"columns": {"a": 1}, "data": 3}', "no columns"),
        ('{"columns": "työ"}'.encode("latin-1"), "byte 0xf6"),
        (b'{"error": "Too many values selected"}', "no columns"),
        (b"[" * 200_000, "broken JSON"),
    ],
)
def test_an_answer_that_is_no_table_is_refused(study, capsys, content, found):
    study.path("answer").write_bytes(content)
    said = refusal(study, capsys)
    assert said["file"] == NAMES["answer"]
    assert said["found"].startswith(found)


def test_broken_json_is_refused_at_its_line_and_character(study, capsys):
    path = study.path("answer")
    text = path.read_text(encoding="utf-8")
    row = text[: text.index('["KU091"')].count("\n") + 1
    path.write_text(text.replace('["KU091"', '["KU091'), encoding="utf-8")
    said = refusal(study, capsys)
    assert said["row"] == str(row) and re.match(r"character \d+", said["column"])


def value(column, cell):
    def edit(answer):
        codes = [c["code"] for c in answer["columns"]][2:]
        element(answer, "KU091")[1]["values"][codes.index(column)] = cell

    return edit


def key(place, cell):
    return lambda answer: element(answer, "KU091")[1]["key"].__setitem__(place, cell)


def values(edit):
    return lambda answer: edit(element(answer, "KU091")[1]["values"])


@pytest.mark.parametrize(
    ("edit", "column", "found", "expected"),
    [
        (value(UNEMPLOYED, "-7"), UNEMPLOYED, "-7", WHOLE),
        (value(UNEMPLOYED, "3"), UNEMPLOYED, "3", SECRET),
        (value(UNEMPLOYED, ".."), UNEMPLOYED, "..", WHOLE),
        (value(UNEMPLOYED, "5,1"), UNEMPLOYED, "5,1", WHOLE),
        (value(UNEMPLOYED, None), UNEMPLOYED, "None", "a text"),
        (value(UNEMPLOYED, 35000), UNEMPLOYED, "35000", "a text"),
        (value(RATE, "100.5"), RATE, "100.5", "a rate of 0 to 100 per cent"),
        (value(RATE, "8,1"), RATE, "8,1", POINT),
        (value(RATE, "0.0"), RATE, "0.0 for KU091", "unemployed per labour force as in"),
        (value(FORCE, "..."), FORCE, "nothing", "a labour force"),
        (key(0, "KU999"), "alue", "KU999", "a municipality of 2021"),
        (key(1, "2022M13"), "kuukausi", "2022M13", "a month such as 2021M03"),
        (values(lambda v: v.pop()), "data", "2 keys and 4 values", "2 keys and 5 values"),
        (values(lambda v: v.append("1")), "data", "2 keys and 6 values", "2 keys and 5 values"),
        (values(lambda v: v.clear()), "data", "2 keys and 0 values", "2 keys and 5 values"),
    ],
)
def test_a_faulty_element_of_the_answer_is_named(study, capsys, edit, column, found, expected):
    answer = json.loads(study.path("answer").read_text(encoding="utf-8"))
    place, _ = element(answer, "KU091")
    edit_answer(study, edit)
    said = refusal(study, capsys)
    assert (said["file"], said["row"]) == (NAMES["answer"], str(place))
    assert column is None or said["column"] == column
    assert said["found"].startswith(found) and said["expected"].startswith(expected)


def test_a_missing_part_of_the_answer_is_named(study, capsys):
    edit_answer(study, lambda a: element(a, "KU091")[1].pop("values"))
    said = refusal(study, capsys)
    assert said["found"] == "no values" and int(said["row"]) > 1
    edit_answer(study, lambda a: a.pop("data"))
    assert refusal(study, capsys)["found"] == "no data"


def test_an_unknown_or_repeated_measure_of_the_answer_is_refused(study, capsys):
    edit_answer(study, lambda a: a["columns"][2].update(code="TYOTTOMAT"))
    assert refusal(study, capsys)["column"] == "TYOTTOMAT"
    edit_answer(study, lambda a: a["columns"][2].update(code=FORCE))
    said = refusal(study, capsys)
    assert (said["column"], said["found"]) == (FORCE, f"{FORCE} a second time")


def test_an_absent_municipality_of_the_answer_is_refused(study, capsys):
    edit_answer(study, lambda a: a["data"].remove(element(a, "KU091")[1]))
    said = refusal(study, capsys)
    assert (said["found"], said["column"]) == ("no row for KU091", "alue")


# --- what is right is read right -----------------------------------------------------------------


def read(study, **options):
    from kokeilu_analysis.sources import datapackage

    entries = [e for e in datapackage.load(study.raw)["resources"] if "form" in e]
    return statfin.read_folder(
        study.delivered,
        entries,
        facts.measures(),
        facts.municipalities(),
        facts.boundary_changes(),
        **options,
    )


def test_every_cell_is_read_as_it_stands_in_the_file_and_knows_its_row(study):
    snapshots = {s.name: s for s in read(study)}
    assert list(snapshots) == [NAMES[k] for k in ("all", "counts", "rate", "answer")]
    for short in ("all", "counts", "rate"):
        lines, snapshot = Lines(study.path(short)), snapshots[NAMES[short]]
        assert len(snapshot.cells) == len(lines.lines) - 1
        assert snapshot.cells.columns.tolist() == lines.columns[2:]
        for (area, month), values in snapshot.cells.iterrows():
            row = snapshot.places[(area, month)]
            printed = ["" if np.isnan(v) else f"{v:g}" for v in values]
            there = lines.lines[row - 1].split(",")
            assert there[:2] == [area, f"{month:%YM%m}"]
            assert [f"{float(x):g}" if x else "" for x in there[2:]] == printed


def test_the_answer_is_read_by_the_type_of_its_variables_not_by_name_or_place(study):
    before = read(study)[-1].cells

    def turn(answer):
        order = [1, 0, 2, 3, 4, 5, 6]
        answer["columns"] = [answer["columns"][k] for k in order]
        answer["columns"][0]["code"], answer["columns"][1]["code"] = "Kuukausi", "alue_23"
        for record in answer["data"]:
            record["key"].reverse()

    edit_answer(study, turn)
    pd.testing.assert_frame_equal(read(study, allow_unlisted=True)[-1].cells, before)


def test_a_provisional_labour_force_may_differ_between_table_states(study):
    older, newer = read(study)[:2]
    month = pd.Timestamp("2022-01-01")
    both = [s.cells[FORCE].xs(month, level="month") for s in (older, newer)]
    assert (both[0] != both[1]).any()


def test_vacancies_of_no_municipality_are_checked_but_not_kept(study):
    def add(answer):
        width = len(answer["columns"]) - 2
        for area in sorted(statfin.NO_MUNICIPALITY):
            answer["data"].append({"key": [area, "2022M07"], "values": ["0"] * width})

    before = read(study)[-1]
    edit_answer(study, add)
    after = read(study, allow_unlisted=True)[-1]
    pd.testing.assert_frame_equal(after.cells, before.cells)
    assert "091" in after.municipalities and "588" not in after.municipalities
    edit_answer(study, lambda a: a["data"][-1]["values"].__setitem__(0, "-1"))
    with pytest.raises(DataError, match="found -1"):
        read(study, allow_unlisted=True)


def test_another_sub_regional_division_is_not_held_against_a_snapshot(study):
    path = study.path("counts")
    lines = Lines(path)
    lines.lines = [x.replace("SK011,", "SK012,") for x in lines.lines]
    lines.add("KU091", "2022M03", VACANCIES, 5)
    lines.save()
    assert len(read(study, allow_unlisted=True)) == 4


def test_a_state_with_other_bytes_passes_only_when_it_is_allowed_and_sound(study, capsys):
    lines = Lines(study.path("counts"))
    for area in ("KU091", "SK011"):
        lines.add(area, "2022M03", VACANCIES, 1)
    lines.save()
    assert "--allow-unlisted" in refusal(study, capsys)["advice"]
    cells = read(study, allow_unlisted=True)[1].cells[VACANCIES]
    printed = lines.cell("KU091", "2022M03", VACANCIES)
    assert f"{cells[('KU091', pd.Timestamp('2022-03-01'))]:.0f}" == printed
    lines.add("KU091", "2022M03", VACANCIES, 1)
    lines.save()
    said = refusal(study, capsys, "--allow-unlisted")
    assert said["found"].endswith("for SK011 in 2022-03")


def test_the_real_snapshots_are_read_whole(real):
    sizes = {"all": (80_316, 23), "counts": (88_596, 3), "rate": (308 * 217, 1)}
    measures, known = facts.measures(), set(facts.municipalities()["municipality"])
    mergers = statfin.merged_codes(facts.boundary_changes())
    snapshot = statfin.read_csv(real / NAMES["rate"], "2025-02-25", measures, known, mergers)
    assert snapshot.cells.shape == sizes["rate"]
    answer = statfin.read_json(real / NAMES["answer"], "2026-07-21", measures, known, mergers)
    country = answer.cells.loc[("SSS", pd.Timestamp("2026-06-01"))]
    assert country[[UNEMPLOYED, FORCE, RATE]].tolist() == [352_001, 2_743_596, 12.8]
    assert answer.cells.shape[1] == 23 and len(answer.municipalities) == 308


def test_paths_of_this_test_do_not_reach_the_project(study):
    assert paths.ROOT not in study.root.parents
    assert paths.PROCESSED == study.processed and paths.SNAPSHOTS == study.snapshots
