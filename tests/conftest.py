"""Shared fixtures: the committed panel, real snapshots where they are, and a synthetic study."""

import json
import shutil

import pandas as pd
import pytest
from snapshot_cases import NAMES, move_study, study_in, write_synthetic_snapshots

from kokeilu_analysis import paths, run, store
from kokeilu_analysis.sources import datapackage, panel

REAL = paths.ROOT.parent / "shared" / "data" / "real"


@pytest.fixture(autouse=True)
def own_turn(tmp_path_factory, monkeypatch):
    """Let tests that run side by side not wait for each other's commands."""
    monkeypatch.setattr(paths, "TURN", tmp_path_factory.getbasetemp() / ".turn")


@pytest.fixture(scope="session")
def committed():
    """The committed panel; to be read, not changed."""
    return panel.load()


@pytest.fixture(scope="session")
def real():
    """Folder of the real snapshots."""
    if not REAL.is_dir():
        pytest.skip("the StatFin snapshots are not beside the repository (../shared/data/real)")
    return REAL


@pytest.fixture(scope="session")
def rebuilt(real, tmp_path_factory):
    """Folder `processed` of a study that has imported the real snapshots; once a session."""
    study = study_in(tmp_path_factory.mktemp("rebuilt"))
    shutil.copytree(paths.RAW, study.raw, ignore=shutil.ignore_patterns("statfin"))
    study.processed.mkdir()
    shutil.copy(paths.PROCESSED / datapackage.DESCRIPTOR, study.processed)
    with pytest.MonkeyPatch.context() as patch:
        move_study(patch, study)
        run.import_snapshots(real)
    return study.processed


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A synthetic study: `delivered` snapshots, described in `raw`, and an earlier panel."""
    study = study_in(tmp_path_factory.mktemp("template"))
    shutil.copytree(paths.RAW, study.raw, ignore=shutil.ignore_patterns("statfin"))
    write_synthetic_snapshots(study.delivered)
    package = datapackage.load(study.raw)
    for entry in package["resources"]:
        path = study.delivered / entry["path"].removeprefix("statfin/")
        if path.exists():
            entry["hash"] = f"sha256:{store.sha256(path)}"
            entry["bytes"] = path.stat().st_size
    (study.raw / datapackage.DESCRIPTOR).write_text(json.dumps(package), encoding="utf-8")
    study.processed.mkdir()
    shutil.copy(paths.PROCESSED / datapackage.DESCRIPTOR, study.processed)
    earlier = pd.read_parquet(
        paths.PROCESSED / paths.PANEL.name, filters=[("municipality", "==", "091")]
    )
    panel.write(earlier, study.processed)
    return study


@pytest.fixture
def study(template, tmp_path, monkeypatch):
    """A copy of the synthetic study that a test may break; the package works in it."""
    copy = study_in(tmp_path / "study")
    shutil.copytree(template.root, copy.root)
    move_study(monkeypatch, copy)
    return copy


@pytest.fixture
def earlier(study):
    """The study with an earlier imported snapshot, whose loss would be seen."""
    study.snapshots.mkdir()
    (study.snapshots / NAMES["counts"]).write_bytes(b"an earlier import\n")
    return study
