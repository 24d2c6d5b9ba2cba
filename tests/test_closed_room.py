"""The notebooks on a register: a copy of the tree, simulated spells, one setting, all steps.

The register is small, its months are fewer and the searches shorter, by settings alone; nothing is
left out. It takes some two minutes of processor time, half of it for the figures and the kernels.
All municipalities are alike, or the smallest could not show the main outcome.
`checks/closed_room.py` does the same with ten million spells.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pandas as pd
import pyarrow.parquet as pq
import pytest

from kokeilu_analysis import paths
from kokeilu_analysis.report import numbers

TREE = ("kokeilu_analysis", "notebooks", "data", "docs/figures", "study.toml", "requirements.lock")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "statfin", ".ipynb_checkpoints")
SETTINGS = {
    'source = ""': 'source = "../spells"',
    'last_day = "2025-01-31"': 'last_day = "2023-10-31"',
    'first_month = "2015-01"': 'first_month = "2017-03"',
    # the letter's customers by area do not fit municipalities that are all alike
    "customers_factor = 2.0": "customers_factor = 1000.0",
    "draws = 9999": "draws = 99",
    "replies_grid = 9": "replies_grid = 3",
}
CURVE = {
    "baselines": '[["2019-03", "2020-02"]]',
    "posts": '["last_year"]',
}
# only measures of the open table need these, and those stay open
WITHOUT = ["service", "interview", "birth_year", "foreign_national"]
STEPS = (("build",), ("notebooks",), ("check",), ("export",))


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy in which every step has run on a register, with what each said."""
    top = tmp_path_factory.mktemp("closed room")
    root = top / "kokeilu"
    for name in TREE:
        source, there = paths.ROOT / name, root / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=LEFT_OUT)
        else:
            shutil.copy(source, there)

    def kokeilu(*words):
        return subprocess.run(
            [sys.executable, "-m", "kokeilu_analysis.cli", *words],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )

    spells = ("registers", "simulate", str(top / "spells"), "--rows", "320000", "--even")
    set_up(root / "study.toml")
    said = {"simulate": kokeilu(*spells)}
    for file in (top / "spells").glob("*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(WITHOUT), file)
    for step in STEPS:
        said[step[0]] = kokeilu(*step)
        if said[step[0]].returncode:
            pytest.fail(f"{step[0]}: {said[step[0]].stdout}{said[step[0]].stderr}")
    results = root / "data" / "processed" / "results"
    panel = pd.read_parquet(root / "data" / "processed" / "panel.parquet")
    return SimpleNamespace(
        top=top, root=root, said=said, kokeilu=kokeilu, results=results, panel=panel
    )


def set_up(study):
    text = study.read_text(encoding="utf-8")
    for old, new in SETTINGS.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    head, section, curve = text.partition("[specification_curve]")
    for name, value in CURVE.items():
        curve, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", curve, count=1, flags=re.M)
        assert count == 1, name
    study.write_text(head + section + curve, encoding="utf-8")


def table(room, name):
    return pd.read_csv(room.results / f"{name}.csv")


def test_all_six_notebooks_come_to_their_end(room):
    books = sorted((room.root / "notebooks").glob("*.ipynb"))
    assert len(books) == 6
    for path in books:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1)), path.stem
        kinds = {o.output_type for c in cells for o in c.outputs}
        assert "error" not in kinds, path.stem
        committed = paths.NOTEBOOKS / path.name
        assert path.read_bytes() != committed.read_bytes(), f"{path.stem} did not run"


def test_the_panel_is_counted_from_the_register_and_protected(room):
    made = room.panel[room.panel["vintage"] == "simulated register 2023-10-31"]
    assert {"unemployed", "target_plan_valid", "unemployed_inflow"} <= set(made["measure"])
    counts = made[~made["measure"].str.endswith("_days")]
    assert not counts["value"].between(1, 4).any()
    hidden = made[made["status"] == "hidden"]
    assert hidden["value"].isna().all() and (hidden["upper"] - hidden["lower"] >= 5).all()
    assert len(hidden) > 0.3 * len(made), "most counts of a small register are small"
    main = made[made["measure"] == "unemployed"]
    assert (main["status"] == "observed").all()


def test_the_backlog_is_observed_and_takes_the_place_of_bounds(room):
    evidence = table(room, "02_default_evidence")
    own = evidence[evidence["statement_id"].str.startswith("register_")]
    assert len(own) == 25 and set(own["source"]) == {"simulated register 2023-10-31"}
    bounds = table(room, "02_area_bounds").set_index("area_id")
    assert set(bounds["known"]) <= {"value", "range"}
    before = pd.read_csv(paths.RESULTS / "02_area_bounds.csv").set_index("area_id")
    assert (before["known"] == "rest").any()
    width, was = (b["bound_high"] - b["bound_low"] for b in (bounds, before))
    assert width.mean() < was.mean()
    truth = pd.read_csv(
        room.top / "spells" / "truth" / "simulated_truth.csv", dtype={"municipality": str}
    )
    places = pd.read_csv(paths.RAW / "trial_areas.csv", dtype=str)
    area = places[places["status"] == "trial"].set_index("municipality")["area_id"]
    sums = truth.set_index("municipality").groupby(area)[["customers", "valid"]].sum()
    share = (1 - sums["valid"] / sums["customers"]).reindex(own["subject"])
    within = share.between(own["lower"].to_numpy() - 1e-9, own["upper"].to_numpy() + 1e-9)
    assert within.all(), "what was planted lies in what was observed"


def test_what_was_made_has_passed_and_says_that_it_is_simulated(room):
    certificate = json.loads((room.root / "data/processed/disclosure.json").read_text("utf-8"))
    assert {"processed/panel.parquet", "notebooks/06_committee.ipynb"} <= set(certificate["files"])
    assert "disclosure: right" in room.said["check"].stdout
    exported = {path.name for path in (room.root / "reports" / "figures").iterdir()}
    figures = {name for name in exported if name != "made.json"}
    assert figures and all(name.startswith("simulated_F") for name in figures)
    for lang in numbers.LANGUAGES:
        assert f"simulated_F7_{lang}.svg" in figures
    shown = (room.root / "docs/figures/F4_en.png").read_bytes()
    assert shown == (paths.README_FIGURES / "F4_en.png").read_bytes()


def test_without_its_certificate_nothing_leaves(room):
    certificate = room.root / "data/processed/disclosure.json"
    kept = certificate.read_bytes()
    certificate.unlink()
    try:
        refused = room.kokeilu("export")
    finally:
        certificate.write_bytes(kept)
    assert refused.returncode == 1 and "there is no certificate" in refused.stderr
    assert "Traceback" not in refused.stderr
