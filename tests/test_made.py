"""Claims about reuse: nothing is made again without need, nothing stale is taken for fresh."""

import io
import json
import re
import shutil

import pytest

from kokeilu_analysis import made, notebooks, paths, run, store
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import figures  # imported before folders are moved under it

BOOKS = ["01_first", "02_second", "03_third"]
SOURCES = {  # the third reads the first
    "01_first": 'results.write("01_table", x)',
    "02_second": 'x = 2; results.write("02_table", x); results.write("profiles", x)',
    "03_third": 'results.write("03_table", results.read("01_table"))',
}


def book(source):
    cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A small project; returns its folder and the list of notebooks that have been executed."""
    for name in ("notebooks", "data/raw", "data/processed/results", "kokeilu_analysis/report"):
        (tmp_path / name).mkdir(parents=True)
    for name in BOOKS:
        (tmp_path / f"notebooks/{name}.ipynb").write_text(book(SOURCES[name]), encoding="utf-8")
    for name in (
        "data/raw/facts.csv",
        "data/processed/panel.parquet",
        "data/processed/results/simulation.csv",
        "data/processed/results/profiles.csv",
        "kokeilu_analysis/methods.py",
        "kokeilu_analysis/report/words.toml",
        "study.toml",
        "requirements.lock",
    ):
        (tmp_path / name).write_text("as it was\n", encoding="utf-8")
    places = {
        "NOTEBOOKS": "notebooks",
        "RAW": "data/raw",
        "PROCESSED": "data/processed",
        "PANEL": "data/processed/panel.parquet",
        "RESULTS": "data/processed/results",
        "REPORTS": "reports",
        "STUDY": "study.toml",
        "LOCK": "requirements.lock",
    }
    for name, place in places.items():
        monkeypatch.setattr(paths, name, tmp_path / place)
    package = tmp_path / "kokeilu_analysis"
    monkeypatch.setattr(made, "code", lambda: [*package.rglob("*.*"), paths.LOCK])
    monkeypatch.setattr(notebooks.release, "settle", lambda: None)
    monkeypatch.setattr(figures, "tables", lambda figure: [])
    executed = []

    def execute(path):
        executed.append(path.stem)
        text = path.read_text(encoding="utf-8")
        store.write_text(path, text.replace('"outputs": []', '"outputs": ["done"]'))
        for name in re.findall(r'results\.write\(."(\w+)', text):
            (paths.RESULTS / f"{name}.csv").write_text("a\n1\n", encoding="utf-8")

    monkeypatch.setattr(notebooks, "execute", execute)
    return tmp_path, executed


def rerun(executed, **options):
    executed.clear()
    notebooks.run(run.Progress(stream=io.StringIO()), **options)
    return sorted(executed)


def test_an_unchanged_study_executes_no_notebook_and_anew_executes_all(study):
    _, executed = study
    assert rerun(executed) == BOOKS
    assert rerun(executed) == []
    assert rerun(executed, anew=True) == BOOKS


@pytest.mark.parametrize(
    "touched",
    [
        "data/raw/facts.csv",
        "data/processed/panel.parquet",
        "data/processed/results/simulation.csv",
        "kokeilu_analysis/methods.py",
        "kokeilu_analysis/report/words.toml",
        "study.toml",
        "requirements.lock",
    ],
)
def test_touching_data_code_design_or_lock_executes_every_notebook(study, touched):
    folder, executed = study
    rerun(executed)
    (folder / touched).write_text("as it is now\n", encoding="utf-8")
    assert rerun(executed) == BOOKS
    assert rerun(executed) == []


def test_another_installed_version_executes_every_notebook(study, monkeypatch):
    _, executed = study
    rerun(executed)
    monkeypatch.setattr(made, "environment", lambda: "pandas 4.0")
    assert rerun(executed) == BOOKS


def test_an_edited_notebook_is_executed_and_those_that_read_its_changed_table(study):
    folder, executed = study
    rerun(executed)
    place = folder / "notebooks/02_second.ipynb"
    place.write_text(place.read_text("utf-8").replace("x = 2", "x = 3"), encoding="utf-8")
    assert rerun(executed) == ["02_second"]
    (folder / "data/processed/results/01_table.csv").write_text("a\n2\n", encoding="utf-8")
    assert rerun(executed) == ["01_first"], "its table was not what it made; now it is again"


def test_after_a_stop_the_notebooks_that_did_not_run_on_the_new_panel_are_named(study, monkeypatch):
    folder, executed = study
    rerun(executed)
    assert notebooks.outdated() == []
    (folder / "data/processed/disclosure.json").write_text("{}", encoding="utf-8")
    assert notebooks.outdated() == [], "what the disclosure check writes decides no result"
    (folder / "data/processed/panel.parquet").write_text("another", encoding="utf-8")
    assert [path.stem for path in notebooks.outdated()] == BOOKS
    execute = notebooks.execute

    def stops(path):
        if path.stem == "02_second":
            raise KokeiluError("the cell that begins 'x = 2' failed")
        execute(path)

    monkeypatch.setattr(notebooks, "execute", stops)
    with pytest.raises(KokeiluError):
        notebooks.run(run.Progress(stream=io.StringIO()), workers=1)
    assert [path.stem for path in notebooks.outdated()] == BOOKS[1:]


@pytest.mark.parametrize(
    "lost", ["data/processed/results/02_table.csv", "reports/made/02_second.json"]
)
def test_a_lost_table_or_stamp_is_made_again(study, lost):
    folder, executed = study
    rerun(executed)
    (folder / lost).unlink()
    assert rerun(executed) == ["02_second"]
    assert (folder / lost).exists()


def test_a_stamp_cut_short_is_no_stamp(study):
    folder, executed = study
    rerun(executed)
    place = folder / "reports/made/03_third.json"
    place.write_text(place.read_text("utf-8")[:40], encoding="utf-8")
    assert rerun(executed) == ["03_third"]


def test_a_project_that_has_moved_needs_nothing_made_again(study, tmp_path_factory, monkeypatch):
    folder, executed = study
    rerun(executed)
    there = tmp_path_factory.mktemp("elsewhere") / "kö pia"
    shutil.copytree(folder, there)
    key = made.key([folder / "study.toml"])
    monkeypatch.setattr(paths, "ROOT", folder)
    inside = made.key([folder / "study.toml"])
    monkeypatch.setattr(paths, "ROOT", there)
    assert made.key([there / "study.toml"]) == inside != key


def test_a_missing_file_is_not_an_empty_one(tmp_path):
    before = made.key([tmp_path / "a"])
    (tmp_path / "a").write_bytes(b"")
    assert made.key([tmp_path / "a"]) != before
