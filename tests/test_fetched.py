"""Claims about `kokeilu fetch` as a whole: what it keeps, what it refuses, what the panel becomes.

A synthetic study (see snapshot_cases.py) asks a server on loopback (see pxweb_server.py).
"""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pxweb_server as px
import pytest
from snapshot_cases import FORCE, LAID_OFF, NAMES, RATE, UNEMPLOYED, cells, without_progress

from kokeilu_analysis import cli, paths, store
from kokeilu_analysis.methods import design
from kokeilu_analysis.sources import datapackage, facts, fetched, panel, pxweb

MONTHS = tuple(f"2022M{m:02d}" for m in range(1, 9))
STATE = "tyonv_12r5_fetched_2026-08-25_2022M01_2022M08.json"


def whole_table(months=MONTHS, seed=5, **options):
    """A made-up table of the 308 municipalities of 2025 and their sub-regions, with true sums."""
    towns = facts.municipalities().set_index("municipality").drop("588")
    shape = (len(towns), len(months))
    random = np.random.default_rng(seed)
    force = np.repeat((0.45 * towns["population_2020"]).round().to_numpy()[:, None], shape[1], 1)
    unemployed = (force * random.uniform(0.05, 0.16, shape)).astype(int) + 5
    counts = np.stack([unemployed, force, random.binomial(unemployed, 0.03)], axis=2)
    regions = "SK" + towns["sub_region_code"]
    sums = [counts[(regions == r).to_numpy()].sum(axis=0) for r in sorted(set(regions))]
    counts = np.concatenate([counts, np.stack(sums)]).astype(float)
    rate = np.round(100 * counts[..., 0] / counts[..., 1], 1)
    made = np.concatenate([counts, rate[..., None]], axis=2)
    areas = (*("KU" + towns.index), *sorted(set(regions)))
    measures = (UNEMPLOYED, FORCE, LAID_OFF, RATE)
    return px.Table(areas, tuple(months), measures, made, **options)


def changed(table, area, month, measure, value):
    """Return the table with one cell changed; a value of None is empty without a mark."""
    key = (area, month, measure)
    if value is None:
        return replace(table, missing={key: ""})
    made = table.cells.copy()
    made[tuple(c.index(k) for c, k in zip(table.codes.values(), key, strict=True))] = value
    return replace(table, cells=made)


@pytest.fixture(scope="module")
def made():
    return whole_table()


@pytest.fixture
def server(made, monkeypatch):
    monkeypatch.setattr(pxweb.Client.__init__, "__defaults__", (None, px.FakeTime(), print, 3, 9.0))
    with px.PxWebServer(made, cells=6000) as running:
        monkeypatch.setenv(pxweb.ENVIRONMENT, running.base)
        yield running


@pytest.fixture
def home(study, monkeypatch):
    """The synthetic study where `kokeilu fetch` keeps its files, with a short panel."""
    monkeypatch.setattr(paths, "ANSWERS", study.snapshots / "answers")
    monkeypatch.setattr(paths, "REVISIONS", study.snapshots / "revisions")
    plan, whole = design.load(), panel.build

    def build(snapshots, measures, municipalities, changes, first, last):
        span = pd.Timestamp("2021-11-01"), pd.Timestamp("2022-08-01")
        return whole(snapshots, measures, municipalities, changes, *span)

    monkeypatch.setattr(design, "load", lambda: plan)
    monkeypatch.setattr(panel, "build", build)
    return study


@pytest.fixture
def imported(home, capsys):
    """The same after an import of the study's own snapshots."""
    assert cli.main(["import", str(home.delivered)]) == 0
    capsys.readouterr()
    return home


def ask(capsys, *arguments):
    """Run a command; return exit code, stdout and what stderr says but for progress."""
    code = cli.main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def top(study):
    """Names of the files among the snapshots, without what fetch keeps in folders."""
    return {p.name for p in study.snapshots.glob("*") if p.is_file()}


def files(study):
    """Return every file that a study has put out, but for the raw answers."""
    return {
        p.relative_to(study.root).as_posix(): p.read_bytes()
        for folder in (study.processed, study.snapshots)
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.parent != paths.ANSWERS
    }


# --- what is kept --------------------------------------------------------------------------------


def test_a_fetch_keeps_the_state_its_description_and_the_answers(home, server, capsys):
    code, out, err = ask(capsys, "fetch")
    assert code == 0 and top(home) == {STATE, "datapackage.json"}
    assert out.splitlines()[0] == "Compared with the panel:"
    assert out.splitlines()[-1].endswith("`kokeilu build` adds it to the panel.")
    assert "call 1 of 3: 2022M01–2022M03, 4,524 cells" in err
    assert len(list(paths.ANSWERS.glob("data_*.answer"))) == 3
    (entry,) = fetched.entries(home.snapshots)
    assert entry["hash"] == f"sha256:{store.sha256(home.snapshots / STATE)}"
    assert (entry["vintage"], entry["form"]) == ("2026-08-25", "json-stat2")
    assert "CC BY 4.0" in entry["attribution"] and entry["page"] == f"{server.base}12r5.px"
    code, out, _ = ask(capsys, "check")
    assert code == 0 and f"{paths.shown(home.snapshots)}/{STATE}: right" in out


def test_a_fetch_changes_neither_panel_nor_the_studys_snapshots(imported, server, capsys):
    before = files(imported)
    assert ask(capsys, "fetch")[0] == 0
    after = files(imported)
    assert {name: after[name] for name in before} == before


def test_a_second_fetch_asks_nothing_anew_and_changes_nothing(home, server, capsys):
    ask(capsys, "fetch")
    before, server.log = files(home), []
    code, out, err = ask(capsys, "fetch")
    assert code == 0 and server.asked("data") == 0 and files(home) == before
    assert "3 of 3 answers had arrived earlier" in err


def test_a_dry_run_says_what_would_be_asked_and_writes_nothing(home, server, capsys):
    before = files(home)
    code, out, err = ask(capsys, "fetch", "--dry-run", "--from", "2022-02", "--to", "2022-06")
    assert code == 0 and files(home) == before and not home.snapshots.exists()
    assert server.asked("data") == 0 and server.asked("metadata") == 1
    lines = out.splitlines()
    assert lines[0] == (f"{server.base}12r5.px: 377 areas × 5 months × 4 measures = 7,540 cells.")
    assert lines[1].startswith("2 calls within the server's limits (6,000 cells a call, 40 calls")
    assert lines[2:4] == ["  1. 2022M02–2022M04, 4,524 cells", "  2. 2022M05–2022M06, 3,016 cells"]


def test_the_base_address_given_wins_over_the_environment(home, server, capsys):
    code, _, err = ask(capsys, "fetch", "--dry-run", "--base", "no address")
    assert code == 1 and "this is no address of the web" in err
    assert server.log == []


def test_a_fetch_that_is_stopped_says_so_and_goes_on_later(home, server, capsys):
    def stop(running, kind, _):
        if running.asked("data") == 2:
            running.on_request = lambda *_: None
            raise OSError

    def interrupt(*_):
        raise KeyboardInterrupt

    server.on_request = stop
    pxweb.Client.__init__.__defaults__[1].sleep = interrupt  # in the pause before it asks again
    code, out, err = ask(capsys, "fetch")
    assert code == 130 and "files already written are whole" in err and top(home) == set()
    assert ask(capsys, "build")[1].startswith("no snapshots here")
    server.log = []
    assert ask(capsys, "fetch")[0] == 0 and server.asked("data") == 2


def test_a_state_that_cannot_be_written_leaves_a_study_that_still_builds(
    home, server, capsys, monkeypatch
):
    write = store.write_bytes

    def full(path, content):
        if path.name == STATE:
            raise OSError(28, "No space left on device", path.name)
        return write(path, content)

    monkeypatch.setattr(store, "write_bytes", full)
    code, _, err = ask(capsys, "fetch")
    assert code == 1 and "No space left on device" in err
    assert ask(capsys, "build")[1].startswith("no snapshots here")


# --- what changed --------------------------------------------------------------------------------


def test_a_revision_is_told_and_listed_before_the_panel_changes(imported, server, capsys):
    ask(capsys, "fetch")
    newer = changed(server.table, "KU091", "2022M03", LAID_OFF, 777)
    fixed = {"SK011": newer.cells[newer.areas.index("SK011"), 2, 2]}
    own = server.table.cells[newer.areas.index("KU091"), 2, 2]
    newer = changed(newer, "SK011", "2022M03", LAID_OFF, fixed["SK011"] + 777 - own)
    server.table = replace(newer, updated="2026-09-22T05:00:00Z")
    code, out, _ = ask(capsys, "fetch")
    assert code == 0 and f"Compared with {STATE} and the panel:" in out
    assert f"{LAID_OFF}: 2 of" in out and "(2 revised) in 2022-03–2022-03" in out
    (table,) = paths.REVISIONS.glob("*2026-09-22*.csv")
    rows = pd.read_csv(table)
    row = rows[rows["area"] == "KU091"].iloc[0]
    assert (row["measure"], row["month"], row["newer"]) == (LAID_OFF, "2022-03-01", 777)


def test_a_month_taken_back_at_the_end_is_told(imported, server, capsys):
    ask(capsys, "fetch")
    shorter = server.table.without(1, "2022M08")
    server.table = replace(shorter, updated="2026-09-22T05:00:00Z")
    code, out, _ = ask(capsys, "fetch", "--from", "2022-01")
    assert code == 0 and "  7 months, 1 removed (2022-08)" in out.splitlines()


def test_months_that_were_not_asked_for_are_not_called_removed(imported, server, capsys):
    ask(capsys, "fetch")
    code, out, _ = ask(capsys, "fetch", "--from", "2022-03", "--to", "2022-05")
    assert code == 0 and "  3 months" in out.splitlines()


def test_a_measure_taken_away_is_told(imported, server, capsys):
    ask(capsys, "fetch")
    server.table = replace(server.table.without(2, LAID_OFF), updated="2026-09-22T05:00:00Z")
    code, out, err = ask(capsys, "fetch", "--from", "2022-01")
    assert code == 0 and re.search(rf"^  3 measures, .* removed \(.*{LAID_OFF}.*\)$", out, re.M)
    assert "The table no longer has: HAKIJALOPUSSA" in err


def test_a_damaged_earlier_state_is_left_out_of_the_comparison_and_said(home, server, capsys):
    ask(capsys, "fetch")
    (home.snapshots / STATE).write_bytes(b"{}")
    server.table = replace(server.table, updated="2026-09-22T05:00:00Z")
    code, out, err = ask(capsys, "fetch")
    assert code == 0 and "Compared with the panel:" in out
    assert f"{STATE}, column id: found no id" in err and "left out of the comparison" in err


# --- what is refused -----------------------------------------------------------------------------


def add_municipality(table):
    areas = (*table.areas, "KU999")
    return replace(table, areas=areas, cells=np.concatenate([table.cells, table.cells[:1]]))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (add_municipality, "found KU999, expected a municipality of 2021"),
        (lambda t: t.without(0, "KU091"), "found no row for KU091"),
        (lambda t: t.without(1, "2022M05"), "found no row for 2022M05, expected every month"),
        (
            lambda t: changed(t, "KU091", "2022M03", UNEMPLOYED, None),
            f"row KU091 2022M03, column {UNEMPLOYED}: found null without a mark",
        ),
        (
            lambda t: replace(t, missing={("KU091", "2022M03", LAID_OFF): ".."}),
            f"row KU091 2022M03, column {LAID_OFF}: found ..",
        ),
        (
            lambda t: changed(t, "KU091", "2022M03", LAID_OFF, 99999),
            "the sum of its municipalities",
        ),
        (lambda t: changed(t, "KU091", "2022M03", LAID_OFF, 10.5), "found 10.5"),
        (lambda t: changed(t, "KU091", "2022M03", RATE, 99.9), "unemployed per labour force"),
    ],
)
def test_a_state_that_is_not_sound_is_told_then_refused_and_not_kept(
    home, server, capsys, edit, sentence
):
    server.table = edit(server.table)
    before = (home.processed / "panel.parquet").read_bytes()
    code, out, err = ask(capsys, "fetch")
    assert code == 1 and sentence in err and err.count("kokeilu:") == 1
    assert out.startswith("Compared with the panel:")
    assert top(home) == set() and (home.processed / "panel.parquet").read_bytes() == before
    assert list(paths.ANSWERS.glob("data_*.json")), "what has arrived is kept"


def test_an_added_municipality_stands_in_the_report(home, server, capsys):
    ask(capsys, "fetch")
    server.table = replace(add_municipality(server.table), updated="2026-09-22T05:00:00Z")
    code, out, _ = ask(capsys, "fetch")
    assert code == 1 and "1 added (KU999)" in out


def test_a_server_that_does_not_answer_leaves_everything_as_it_was(imported, server, capsys):
    before = files(imported)
    server.faults = lambda: "html"
    code, out, err = ask(capsys, "fetch")
    assert (code, out) == (1, "") and "a web page: Huoltokatko" in without_progress(err)
    assert files(imported) == before


# --- what the panel becomes ----------------------------------------------------------------------


def test_a_build_after_a_fetch_fills_the_open_months_only(imported, server, capsys):
    before = panel.load(folder=imported.processed)
    ask(capsys, "fetch")
    code, out, _ = ask(capsys, "build")
    assert code == 0 and out.startswith("panel built from")
    after = panel.load(folder=imported.processed)
    open_ = before["status"] == "not published yet"
    kept, printed = after[~open_], before[~open_]
    same = ["municipality", "month", "measure", "value", "status", "vintage"]
    pd.testing.assert_frame_equal(kept[same], printed[same])
    # a rate that hides 1-4 unemployed has narrower bounds once the labour force is known
    assert (kept["lower"] >= printed["lower"])[kept["status"] == "hidden"].all()
    assert (kept["upper"] <= printed["upper"])[kept["status"] == "hidden"].all()
    filled = after[open_ & (after["vintage"] == "2026-08-25")]
    months = filled.groupby("measure")["month"].unique().map(lambda m: sorted(m.month))
    # the study's snapshots print July 2022 in an answer, counts to April, the rate to June
    assert months.to_dict() == {
        "laid_off": [3, 4, 5, 6, 8],
        "labour_force": [5, 6, 8],
        "unemployed": [5, 6, 8],
        "unemployment_rate": [8],
    }
    assert set(cells(filled, municipality="588")["status"]) == {"merged"}
    hidden = cells(filled, measure="laid_off", status="hidden")
    assert len(hidden) > 50 and set(hidden["lower"]) == {1} and set(hidden["upper"]) == {4}


def test_without_the_fetched_state_the_panel_is_again_byte_by_byte_what_it_was(
    imported, server, capsys
):
    before = files(imported)
    ask(capsys, "fetch")
    ask(capsys, "build")
    assert files(imported)["processed/panel.parquet"] != before["processed/panel.parquet"]
    for path in (STATE, "datapackage.json"):
        (imported.snapshots / path).unlink()
    ask(capsys, "build")
    after = files(imported)
    assert {name: after[name] for name in before} == before


def test_where_only_a_fetched_state_is_here_it_extends_the_panel_that_is_here(
    imported, server, capsys
):
    ask(capsys, "fetch")
    ask(capsys, "build")
    expected = (imported.processed / "panel.parquet").read_bytes()
    (imported.snapshots / STATE).rename(imported.root / STATE)
    ask(capsys, "build")  # the panel of the study's snapshots alone
    assert (imported.processed / "panel.parquet").read_bytes() != expected
    (imported.root / STATE).rename(imported.snapshots / STATE)
    for name in NAMES.values():
        (imported.snapshots / name).unlink()
    for _ in range(2):  # extending again changes nothing
        assert ask(capsys, "build")[0] == 0
        assert (imported.processed / "panel.parquet").read_bytes() == expected


def test_a_fetched_state_can_be_carried_to_another_machine(imported, server, capsys, tmp_path):
    ask(capsys, "fetch")
    ask(capsys, "build")
    expected = (imported.processed / "panel.parquet").read_bytes()
    stick = tmp_path / "stick"
    shutil.copytree(imported.snapshots, stick, ignore=shutil.ignore_patterns("answers"))
    shutil.rmtree(imported.snapshots)
    assert ask(capsys, "import", str(stick))[0] == 0
    assert (
        STATE in top(imported) and (imported.processed / "panel.parquet").read_bytes() == expected
    )
    assert ask(capsys, "check")[0] == 0


def test_a_fetched_state_that_was_edited_is_refused_at_the_next_build(imported, server, capsys):
    ask(capsys, "fetch")
    path = imported.snapshots / STATE
    text = path.read_text(encoding="utf-8").replace("Nimi KU091", "Nimi KU092")
    path.write_text(text, encoding="utf-8")
    before = (imported.processed / "panel.parquet").read_bytes()
    code, _, err = ask(capsys, "build")
    assert code == 1 and f"{STATE}, row not known" in err and "SHA-256" in err
    assert (imported.processed / "panel.parquet").read_bytes() == before


def test_two_fetched_states_are_both_described_and_the_newer_one_counts(imported, server, capsys):
    ask(capsys, "fetch", "--to", "2022-06")
    server.table = replace(whole_table(seed=6), updated="2026-09-22T05:00:00Z")
    ask(capsys, "fetch")
    assert len(datapackage.load(imported.snapshots)["resources"]) == 2
    ask(capsys, "build")
    after = panel.load(folder=imported.processed)
    filled = cells(after, measure="unemployed", month=pd.Timestamp("2022-05-01"))
    assert set(filled["vintage"]) == {"2026-09-22"}


def test_what_is_fetched_is_json_stat_that_others_can_read(home, server, capsys):
    from jsonstat_validator import validate_jsonstat

    ask(capsys, "fetch")
    said = json.loads((home.snapshots / STATE).read_text(encoding="utf-8"))
    assert validate_jsonstat(said) is True and said["size"] == [377, 8, 4]
