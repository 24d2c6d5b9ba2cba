"""Exported figures are made again exactly when something that decides their looks has changed."""

import shutil
from pathlib import Path

import pytest

from kokeilu_analysis import paths, results, store
from kokeilu_analysis.report import export


@pytest.fixture
def one_figure(tmp_path, monkeypatch):
    """An export folder with one cheap file, and a count of how often it was drawn."""
    drawn = []

    def draw(folder, tables, workers):
        drawn.append(folder)
        return [store.write_bytes(folder / "F1_fi.png", b"picture")]

    monkeypatch.setattr(export, "_drawn", draw)
    tables = tmp_path / "results"
    shutil.copytree(paths.RESULTS, tables)
    return tmp_path / "figures", tables, drawn


def test_an_unchanged_export_draws_nothing(one_figure):
    folder, tables, drawn = one_figure
    first, second = export.figures(folder, tables), export.figures(folder, tables)
    assert first == second and len(drawn) == 1


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"cut")])
def test_a_lost_or_damaged_figure_is_made_again(one_figure, damage):
    folder, tables, drawn = one_figure
    damage(export.figures(folder, tables)[0])
    assert export.figures(folder, tables)[0].read_bytes() == b"picture" and len(drawn) == 2


def test_a_damaged_record_is_no_record(one_figure):
    folder, tables, drawn = one_figure
    export.figures(folder, tables)
    (folder / export.MADE).write_text('{"key":', encoding="utf-8")
    export.figures(folder, tables)
    assert len(drawn) == 2


def test_a_changed_number_makes_the_figures_again(one_figure):
    folder, tables, drawn = one_figure
    export.figures(folder, tables)
    table = tables / "03_did.csv"
    table.write_text(table.read_text("utf-8").replace("0.7", "0.8", 1), encoding="utf-8")
    export.figures(folder, tables)
    assert len(drawn) == 2


@pytest.mark.parametrize(
    "touched",
    [
        "kokeilu_analysis/report/drawings/limits.py",
        "kokeilu_analysis/report/figures.toml",
        "kokeilu_analysis/report/texts/sv.toml",
        "kokeilu_analysis/results.py",
        "requirements.lock",
    ],
)
def test_touching_code_words_or_lock_changes_the_key(touched, tmp_path, monkeypatch):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(paths.ROOT / "kokeilu_analysis", tmp_path / "kokeilu_analysis", ignore=ignored)
    shutil.copy(paths.ROOT / "requirements.lock", tmp_path)
    for module in (export, results, store):
        there = tmp_path / Path(module.__file__).relative_to(paths.ROOT)
        monkeypatch.setattr(module, "__file__", str(there))
    monkeypatch.setattr(paths, "LOCK", tmp_path / "requirements.lock")
    before = export.content_key()
    assert before == export.content_key()
    with open(tmp_path / touched, "a", encoding="utf-8") as file:
        file.write("\n")
    assert export.content_key() != before


@pytest.fixture
def simulated(monkeypatch):
    """Take the panel for one that was built from simulated spells."""
    monkeypatch.setattr(store, "origin", lambda panel: "simulated")


def test_names_of_files_made_from_simulated_data_say_so(tmp_path, simulated):
    pictures = export._export_one("F10", "en", tmp_path, paths.RESULTS)
    names = {path.name for path in pictures}
    ends = ("_en.png", "_en.svg", "_en_esitys.png", ".csv")
    assert names == {f"simulated_F10{end}" for end in ends}
    assert "SIMULATED" in (tmp_path / "simulated_F10_en.svg").read_text("utf-8")


def test_figures_of_open_data_are_no_longer_there_after_a_simulated_export(one_figure, monkeypatch):
    folder, tables, drawn = one_figure
    export.figures(folder, tables)
    monkeypatch.setattr(store, "origin", lambda panel: "simulated")
    export.figures(folder, tables)
    assert len(drawn) == 2, "titles and names differ, so the figures are made again"


def test_the_picture_of_the_readme_is_made_from_open_data_only(one_figure, monkeypatch, simulated):
    folder, tables, _ = one_figure
    written = folder.parent / "readme"
    monkeypatch.setattr(paths, "FIGURES", folder)
    monkeypatch.setattr(paths, "README_FIGURES", written)
    export.figures(folder, tables)
    assert not written.exists()
