"""Claims about damaged snapshots in CSV: each is refused at its place and nothing changes.

The snapshots are synthetic (see snapshot_cases.py). Every damage goes through the command line, so
that message, exit code and the untouched earlier outputs are seen as a user sees them.
"""

import gzip
import re

import pytest
from snapshot_cases import (
    FORCE,
    LAID_OFF,
    NAMES,
    RATE,
    UNEMPLOYED,
    VACANCIES,
    Lines,
    parts,
    read,
    refusal,
)

from kokeilu_analysis import cli
from kokeilu_analysis.sources import facts

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
def test_a_faulty_cell_is_named_and_earlier_outputs_stay(earlier, capsys, case):
    short, area, month, column, text, expected = CELLS[case]
    lines = Lines(earlier.path(short))
    row = lines.put(area, month, column, text)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES[short], str(row), column)
    assert said["found"] == (text or "nothing")
    assert said["expected"].startswith(expected)


@pytest.mark.parametrize(
    ("short", "column", "text"),
    [("rate", RATE, "8,1"), ("counts", UNEMPLOYED, "51,3"), ("counts", FORCE, '"51,3"')],
)
def test_a_decimal_comma_is_found_as_one_field_too_many(earlier, capsys, short, column, text):
    lines = Lines(earlier.path(short))
    row = lines.put("KU091", "2022M02", column, text)
    width = len(lines.columns)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"]) == (NAMES[short], str(row))
    assert said["found"].startswith(f"{width + 1} fields")
    assert said["expected"] == f"{width} fields"
    assert "decimal comma" in said["advice"]
    # which comma is one too many cannot be seen: the columns it can be in are named
    assert said["column"] == (RATE if short == "rate" else f"{UNEMPLOYED} to {VACANCIES}")


# --- an edited digit: placed by sums, by the other snapshot, or at least noticed by checksum ------


@pytest.mark.parametrize("edited", ["KU091", "SK011"])
def test_an_edited_digit_is_placed_by_the_sum_of_the_sub_region(earlier, capsys, edited):
    lines = Lines(earlier.path("counts"))
    changed = lines.add(edited, "2022M03", UNEMPLOYED, 100)
    total = lines.row("SK011", "2022M03")
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["counts"], str(total), UNEMPLOYED)
    assert said["found"].endswith("for SK011 in 2022-03")
    named = [total, *map(int, re.search(r"rows (.+)", said["expected"])[1].split(", "))]
    assert changed in named
    assert len(named) == 1 + (facts.municipalities()["sub_region_code"] == "011").sum()


def test_a_total_outside_what_hidden_cells_allow_is_refused_with_the_interval(earlier, capsys):
    lines = Lines(earlier.path("all"))
    area = next(x[:5] for x in lines.lines if re.match(r"KU\d+,2021M11,\d+,\d+,[\d.]+,,", x))
    towns = facts.municipalities().set_index("municipality")
    region = "SK" + towns.loc[area[2:], "sub_region_code"]
    total = lines.put(region, "2021M11", LAID_OFF, "99999")
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"]) == (str(total), LAID_OFF)
    low, high = map(int, re.match(r"(\d+) to (\d+), the sum", said["expected"]).groups())
    assert high - low >= 3 and (high - low) % 3 == 0  # each hidden cell leaves 3 open


def test_an_edit_that_keeps_the_sums_is_placed_by_the_other_snapshot(earlier, capsys):
    lines, other = Lines(earlier.path("counts")), Lines(earlier.path("all"))
    row = lines.add("KU091", "2022M01", VACANCIES, 10)
    lines.add("SK011", "2022M01", VACANCIES, 10)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["counts"], str(row), VACANCIES)
    assert said["found"] == f"{lines.cell('KU091', '2022M01', VACANCIES)} for KU091 in 2022-01"
    assert f"{NAMES['all']} row {other.row('KU091', '2022M01')}" in said["expected"]
    assert said["expected"].endswith(other.cell("KU091", "2022M01", VACANCIES))


def test_a_count_that_is_erased_is_placed_by_the_other_snapshot(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    area, region = sole_member()
    shown = lines.cell(area, "2022M01", VACANCIES)
    row = lines.put(area, "2022M01", VACANCIES, "")
    lines.put(region, "2022M01", VACANCIES, "")
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"]) == (str(row), VACANCIES)
    assert said["found"] == f"an empty cell for {area} in 2022-01"
    assert said["expected"].endswith(f", {shown}")


def test_a_rate_that_contradicts_the_counts_is_refused_with_both_places(earlier, capsys):
    lines, other = Lines(earlier.path("rate")), Lines(earlier.path("counts"))
    wrong = f"{float(lines.cell('KU091', '2022M04', RATE)) + 0.1:.1f}"
    row = lines.put("KU091", "2022M04", RATE, wrong)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["rate"], str(row), RATE)
    assert said["found"] == f"{wrong} for KU091 in 2022-04"
    assert f"{NAMES['counts']} row {other.row('KU091', '2022M04')}" in said["expected"]


def test_a_rate_that_is_erased_where_the_count_is_printed_is_refused_by_place(earlier, capsys):
    lines = Lines(earlier.path("rate"))
    row = lines.put("KU091", "2022M04", RATE, "")
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (NAMES["rate"], str(row), RATE)
    assert said["found"] == "an empty cell for KU091 in 2022-04"


def test_an_edit_that_agrees_everywhere_is_still_noticed_by_the_checksum(earlier, capsys):
    lines = Lines(earlier.path("counts"))  # months after the other snapshots have counts
    for area in ("KU091", "SK011"):
        lines.add(area, "2022M03", VACANCIES, 1)
    lines.save()
    said = refusal(earlier, capsys)
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


def test_a_row_twice_is_refused_at_its_second_place(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    first = lines.row("KU091", "2022M01")
    lines.lines.append(lines.lines[first - 1])
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"]) == (str(len(lines.lines)), "alue")
    assert said["found"] == f"KU091 2022M01 a second time (first in row {first})"


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_a_month_missing_for_one_municipality_is_refused_near_its_place(earlier, capsys, short):
    lines = Lines(earlier.path(short))
    row = lines.row("KU297", "2021M12")
    del lines.lines[row - 1]
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"], said["column"]) == (
        NAMES[short],
        f"{row - 1} or near it",
        "kuukausi",
    )
    assert said["found"] == "no row for KU297 2021M12"


def test_a_month_missing_in_the_middle_for_all_is_refused_near_its_place(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    before = lines.row("KU005", "2022M01")
    lines.lines = [x for x in lines.lines if ",2022M02," not in x]
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"]) == (f"{before} or near it", "kuukausi")
    assert (said["found"], said["expected"]) == ("no row for 2022M02", "every month")


@pytest.mark.parametrize("month", ["2092M01", "2001M01", "2022M05"])
def test_a_month_that_no_other_area_has_is_refused_at_its_own_row(earlier, capsys, month):
    lines = Lines(earlier.path("counts"))
    row = lines.put("KU091", "2022M01", "kuukausi", month)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"], said["found"]) == (str(row), "kuukausi", month)
    assert said["expected"] == "a month that the other areas have"


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_an_absent_trial_municipality_is_refused_by_code(earlier, capsys, short):
    lines = Lines(earlier.path(short))
    row = lines.row("KU297", "2021M11")  # Kuopio
    lines.lines = [x for x in lines.lines if not x.startswith("KU297,")]
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["row"], said["column"]) == (f"{row - 1} or near it", "alue")
    assert said["found"] == "no row for KU297"
    assert said["expected"] == "all municipalities of 2021"


def test_a_file_with_a_header_only_is_refused(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    del lines.lines[1:]
    lines.save()
    said = refusal(earlier, capsys)
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
def test_an_unknown_or_repeated_column_is_named(earlier, capsys, old, new, column, found):
    lines = Lines(earlier.path("counts"))
    lines.lines[0] = lines.lines[0].replace(old, new)
    lines.save()
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"]) == (NAMES["counts"], "1")
    assert said["column"].startswith(column) and said["found"].startswith(found)


def test_an_extra_cell_in_a_row_is_refused_at_that_row(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    row = lines.row("KU091", "2022M01")
    lines.lines[row - 1] += ",1"
    lines.save()
    said = refusal(earlier, capsys)
    assert said["row"] == str(row) and said["found"].startswith("6 fields (KU091,2022M01,")


# --- whole files: missing, cut, re-encoded -------------------------------------------------------


def test_a_missing_folder_is_refused(earlier, capsys):
    before = earlier.outputs()
    assert cli.main(["import", str(earlier.root / "nowhere")]) == 1
    assert earlier.outputs() == before
    said = parts(capsys.readouterr().err)
    assert said["found"] == "no such folder"
    assert said["file"].endswith("nowhere")


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_a_missing_snapshot_is_refused_by_name(earlier, capsys, short):
    earlier.path(short).unlink()
    said = refusal(earlier, capsys)
    assert (said["file"], said["found"]) == (NAMES[short], "no such file")
    assert "Table 12r5" in said["expected"]


def test_the_interface_answer_is_optional(earlier):
    earlier.path("answer").unlink()
    assert len(read(earlier)) == 3


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


@pytest.mark.parametrize(
    ("case", "packed"),
    [(case, False) for case in DAMAGE] + [("byte-order mark", True), ("cut between lines", True)],
)
def test_a_damaged_file_is_refused_at_its_first_bad_row(earlier, capsys, case, packed):
    damage, place, column, found, advice = DAMAGE[case]
    path = earlier.path("all" if packed else "counts")
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    broken = damage(content)
    assert broken != content
    path.write_bytes(gzip.compress(broken, mtime=0) if packed else broken)
    said = refusal(earlier, capsys)
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
def test_a_damaged_gzip_file_is_refused_as_a_whole(earlier, capsys, damage):
    path = earlier.path("all")
    path.write_bytes(damage(path.read_bytes()))
    said = refusal(earlier, capsys)
    assert (said["file"], said["found"]) == (NAMES["all"], "a truncated or damaged gzip file")


def test_an_empty_file_is_refused(earlier, capsys):
    earlier.path("rate").write_bytes(b"")
    assert refusal(earlier, capsys)["found"] == "an empty file"


def test_a_file_cut_at_the_end_of_an_area_is_refused_with_both_sizes(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    whole = earlier.path("counts").stat().st_size
    last = lines.lines[-1][:5]
    lines.lines = [x for x in lines.lines if not x.startswith(last)]
    lines.save()
    said = refusal(earlier, capsys)
    assert f"{earlier.path('counts').stat().st_size:,} bytes" in said["found"]
    assert f"{whole:,} bytes" in said["expected"]
