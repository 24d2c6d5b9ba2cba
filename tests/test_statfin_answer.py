"""Claims about the interface's own answer, and about what a sound snapshot is read as.

The snapshots are synthetic (see snapshot_cases.py) unless a test says otherwise.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
from snapshot_cases import FORCE, NAMES, RATE, UNEMPLOYED, VACANCIES, Lines, read, refusal

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import facts, statfin

WHOLE, POINT = "a whole number of 0 or more", "a rate in per cent with a decimal point"
SECRET = "0, 5 or more, or an empty cell"

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
def test_an_answer_that_is_no_table_is_refused(earlier, capsys, content, found):
    earlier.path("answer").write_bytes(content)
    said = refusal(earlier, capsys)
    assert said["file"] == NAMES["answer"]
    assert said["found"].startswith(found)


def test_broken_json_is_refused_at_its_line_and_character(earlier, capsys):
    path = earlier.path("answer")
    text = path.read_text(encoding="utf-8")
    row = text[: text.index('["KU091"')].count("\n") + 1
    path.write_text(text.replace('["KU091"', '["KU091'), encoding="utf-8")
    said = refusal(earlier, capsys)
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
def test_a_faulty_element_of_the_answer_is_named(earlier, capsys, edit, column, found, expected):
    answer = json.loads(earlier.path("answer").read_text(encoding="utf-8"))
    place, _ = element(answer, "KU091")
    edit_answer(earlier, edit)
    said = refusal(earlier, capsys)
    assert (said["file"], said["row"]) == (NAMES["answer"], str(place))
    assert column is None or said["column"] == column
    assert said["found"].startswith(found) and said["expected"].startswith(expected)


def test_a_missing_part_of_the_answer_is_named(earlier, capsys):
    edit_answer(earlier, lambda a: element(a, "KU091")[1].pop("values"))
    said = refusal(earlier, capsys)
    assert said["found"] == "no values" and int(said["row"]) > 1
    edit_answer(earlier, lambda a: a.pop("data"))
    assert refusal(earlier, capsys)["found"] == "no data"


def test_an_unknown_or_repeated_measure_of_the_answer_is_refused(earlier, capsys):
    edit_answer(earlier, lambda a: a["columns"][2].update(code="TYOTTOMAT"))
    assert refusal(earlier, capsys)["column"] == "TYOTTOMAT"
    edit_answer(earlier, lambda a: a["columns"][2].update(code=FORCE))
    said = refusal(earlier, capsys)
    assert (said["column"], said["found"]) == (FORCE, f"{FORCE} a second time")


def test_an_absent_municipality_of_the_answer_is_refused(earlier, capsys):
    edit_answer(earlier, lambda a: a["data"].remove(element(a, "KU091")[1]))
    said = refusal(earlier, capsys)
    assert (said["found"], said["column"]) == ("no row for KU091", "alue")


# --- what is right is read right -----------------------------------------------------------------


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


def test_a_state_with_other_bytes_passes_only_when_it_is_allowed_and_sound(earlier, capsys):
    lines = Lines(earlier.path("counts"))
    for area in ("KU091", "SK011"):
        lines.add(area, "2022M03", VACANCIES, 1)
    lines.save()
    assert "--allow-unlisted" in refusal(earlier, capsys)["advice"]
    cells = read(earlier, allow_unlisted=True)[1].cells[VACANCIES]
    printed = lines.cell("KU091", "2022M03", VACANCIES)
    assert f"{cells[('KU091', pd.Timestamp('2022-03-01'))]:.0f}" == printed
    lines.add("KU091", "2022M03", VACANCIES, 1)
    lines.save()
    said = refusal(earlier, capsys, "--allow-unlisted")
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
