"""The table of timings has every promised figure; its scripts run, and its ratios are of one round.

Nothing here measures time: what is as quick as promised, `make bench` says.
"""

import importlib
import re
import sys

import pytest
from test_repository import tracked

from kokeilu_analysis import paths

sys.path.insert(0, str(paths.ROOT / "bench"))
import timing

pytestmark = pytest.mark.filterwarnings("ignore")  # what peers say of themselves
TINY = timing.Asked(rounds=1, sizes=(1,), tiny=True)
SCRIPTS = sorted(p.stem for p in (paths.ROOT / "bench").glob("*.py"))
SCRIPTS = [name for name in SCRIPTS if name not in ("all", "timing")]
SIZES = [f"{times}×" for times in timing.Asked.sizes]
PROMISED = {  # task: what is aimed at
    "ends of every backlog, 25 areas": "",
    "ends of every backlog, 309 units": "",
    "every reading, 25 areas": "",
    "every reading, 309 units": "",
    "ranking of replies, 25 areas": "60 s",
    **{f"two-by-two, {size}": "0.2 × peer" for size in SIZES},
    **{f"event study, {size}": "0.2 × peer" for size in SIZES},
    **{f"wild bootstrap, 9,999 draws, {size}": "" for size in SIZES},
    **{f"randomization, 9,999 draws, {size}": "" for size in SIZES},
    **{f"2,000 specifications, 9,999 draws, {size}": "" for size in SIZES},
    "wild bootstrap, 9,999 draws, and its peer": "",
    "randomization, 9,999 draws, and its peer": "",
    "randomization, 1,000,000 draws": "",
    "2,000 specifications, 9,999 draws, and the product": "",
    "synthetic difference-in-differences, 50 placebos": "",
    "four ends, 25 areas, labour force weights": "1 s",
    "four ends, 25 areas, equal weights": "1 s",
    "four ends, 25 areas, ranges and mean": "1 s",
    "four ends, 309 simulated units": "20 s",
    "frontier on 200 × 200, 0.001 points": "20 s",
    "ranking of replies by effect, all statements": "60 s",
    "registers, 1,000,000 spells: read, checked, counted": "3 s",
    "registers, 1,000,000 spells: memory": "1,024 MiB",
    "registers, 100,000,000 spells without three columns: read, checked, counted": "60 s",
    "registers, 100,000,000 spells without three columns: counting": "1.3 × peer",
    "registers, 100,000,000 spells: read, checked, counted": "60 s",
    "registers, 100,000,000 spells: memory": "1,024 MiB",
    "registers, 100,000,000 spells: counting": "1.3 × peer",
    "protecting 500 random tables": "",
    "protecting a panel of 86 months": "",
    "fetch of 111,240 cells from loopback": "",
    "1,000 random fault sequences": "",
    "kokeilu --help": "0.3 s",
    "all notebooks anew, and figures": "",
    "make study, nothing changed": "30 s",
    "memo and area pages in three languages": "15 s",
    "site, notebooks executed": "10 s",
    "make test": "600 s",
}
ALONE = r"^[\d.,]+( \([\d.,]+–[\d.,]+\))? (s|MiB)$"


def written():
    """Rows of docs/timings.md: task and the other cells."""
    text = (paths.ROOT / "docs" / "timings.md").read_text(encoding="utf-8")
    rows = [[c.strip() for c in line[1:-1].split("|")] for line in text.splitlines() if "|" in line]
    return {task: cells for task, *cells in rows if task not in (timing.HEAD[0], "---")}


@pytest.mark.parametrize("task", PROMISED)
def test_every_promised_figure_is_in_the_table_with_its_aim(task):
    aim, ours, *_ = written()[task]
    assert aim == PROMISED[task]
    assert re.match(ALONE, ours)  # a run without --large leaves two out: not for this table


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_runs_and_each_of_its_rows_is_in_the_table(name):
    if name == "commands":
        tracked()  # it times a copy of the committed tree; skipped where there is none
    found = [row.task for row in importlib.import_module(name).rows(TINY)]
    assert found and set(found) <= set(written())


def test_all_runs_every_script():
    every = importlib.import_module("all")
    assert sorted(script.__name__ for script in every.SCRIPTS.values()) == SCRIPTS


def test_the_head_says_what_the_figures_depend_on_and_not_where_they_were_made():
    head = importlib.import_module("all").head(TINY, 0.25)
    assert re.search(r"\d+ processors, load before the start 0\.2;\nPython 3\.\d+", head)
    assert "numpy" in head and "duckdb" in head and str(paths.ROOT) not in head


# --- the measuring itself, with seconds that are told --------------------------------------------


def race(seconds, rounds=3, **more):
    """A race whose runners say how long they took, one list of seconds each."""
    asked, left = [], {name: list(times) for name, times in seconds.items()}

    def measure(name):
        asked.append(name)
        return left[name].pop(0)

    peers = {name: name for name in seconds if name not in ("ours", "limit")}
    limit = ("least", "limit") if "limit" in seconds else None
    row = timing.race("t", "ours", peers, limit, rounds=rounds, measure=measure, **more)
    return row, asked


def test_ratios_are_of_the_same_round_and_against_the_fastest_peer():
    told = {"ours": [1, 2, 8], "slow": [9, 9, 99], "quick": [2, 8, 8], "limit": [1, 1, 2]}
    row, asked = race(told)
    assert row.ours == (1, 2, 8) and row.peer == "quick"
    assert row.ratio == (0.25, 0.5, 1.0) and row.limit_ratio == 2
    assert asked[:4] == asked[7:3:-1] == asked[8:]  # taking turns, the other way round each time


def test_who_has_taken_a_minute_is_not_asked_again_and_ratios_keep_to_rounds_both_ran():
    row, asked = race({"ours": [1, 2, 3], "slow": [70]})
    assert asked.count("slow") == 1 and row.ratio == (1 / 70,) * 3


@pytest.mark.parametrize(
    ("aims", "met"),
    [
        ({}, None),
        ({"aim": 2}, True),
        ({"aim": 1.9}, False),
        ({"aim": 2, "aim_ratio": 0.4}, False),
        ({"aim_ratio": 0.5}, True),
    ],
)
def test_an_aim_is_met_by_the_middle_round(aims, met):
    row, _ = race({"ours": [1, 2, 8], "peer": [2, 4, 16]}, **aims)
    assert row.met is met


def test_a_row_that_was_not_measured_says_so_and_meets_nothing():
    row = timing.Row("t", aim=1, aim_ratio=1)
    assert row.met is None and row.cells()[2] == "not measured"


def test_growth_is_said_beside_that_of_the_data():
    first, second = timing.Row("t", timing.Spread(1, 1, 1)), timing.Row("t", timing.Spread(8, 8, 8))
    assert timing.grown(first, 1, None).note == ""
    assert timing.grown(second, 10, (1, first)).note == "8 × the time for 10 × the data"


def test_a_wrong_answer_stops_the_timing():
    with pytest.raises(SystemExit, match="ends: 1 is not 2 within 0.1"):
        timing.same("ends", 1, 2, 0.1)
