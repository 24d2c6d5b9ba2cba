"""Shared fixtures: the committed panel, the real snapshots where they are, and a synthetic study.

The synthetic study is made up: seeded random counts for the real municipalities, written in the
forms that table 12r5 comes in. Tests break copies of it, so that no test needs the real snapshots.
"""

import functools
import gzip
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths, run, store
from kokeilu_analysis.sources import datapackage, facts, panel

REAL = paths.ROOT.parent / "shared" / "data" / "real"
NAMES = {  # short names of the described snapshots
    "all": "tyonv_12r5_all_measures_areas_2006M01_2022M02.csv.gz",
    "counts": "tyonv_12r5_areas_2006M01_2023M10.csv",
    "rate": "tyonv_12r5_rate_municipalities_2007M01_2025M01.csv",
    "answer": "tyonv_12r5_v1json_all_areas_all_measures_2026M06.json",
}
UNEMPLOYED, FORCE, RATE = "TYOTTOMATLOPUSSA", "TYOVOIMATK", "TYOTOSUUS"
VACANCIES, LAID_OFF = "AVPAIKATLOPUSSA", "LOMAUTETTU"
FACTS = {  # read once a session: how they are read has tests of its own
    name: functools.cache(getattr(facts, name))
    for name in ("measures", "municipalities", "boundary_changes")
}


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
    _write_synthetic_snapshots(study.delivered)
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


def study_in(root):
    return SimpleNamespace(
        root=root,
        raw=root / "raw",
        processed=root / "processed",
        delivered=root / "delivered",
        snapshots=root / "raw" / "statfin",
        path=lambda short: root / "delivered" / NAMES[short],
        outputs=lambda: {
            p.relative_to(root).as_posix(): p.read_bytes()
            for folder in ("processed", "raw/statfin")
            for p in sorted((root / folder).rglob("*"))
        },
    )


def move_study(patch, study):
    patch.setattr(paths, "RAW", study.raw)
    patch.setattr(paths, "SNAPSHOTS", study.snapshots)
    patch.setattr(paths, "PROCESSED", study.processed)
    patch.setattr(paths, "PANEL", study.processed / paths.PANEL.name)
    for name, read in FACTS.items():
        patch.setattr(facts, name, lambda folder=None, read=read: read().copy())


def _write_synthetic_snapshots(folder, seed=2021):
    """Write four snapshots whose true counts agree; what the table hides is left out of them.

    The oldest ends in 2022M02 with a provisional labour force for 2022, the counts run to 2022M04,
    the rate of the 2025 division to 2022M06, and one interface answer holds 2022M07.
    """
    random = np.random.default_rng(seed)
    months = pd.period_range("2021-11", "2022-07", freq="M").strftime("%YM%m").tolist()
    towns = facts.municipalities().set_index("municipality")
    force = (0.45 * towns["population_2020"]).round().astype(int)
    revised = force + random.integers(-5, 6, len(force))
    rows = pd.MultiIndex.from_product([towns.index, months], names=["town", "month"])
    town = rows.get_level_values("town")
    table = pd.DataFrame(index=rows)
    in_2022 = rows.get_level_values("month") >= "2022M01"
    table[FORCE] = np.where(in_2022, revised[town], force[town])
    table[UNEMPLOYED] = (table[FORCE] * random.uniform(0.01, 0.16, len(table))).astype(int)
    table[LAID_OFF] = random.binomial(table[UNEMPLOYED], 0.03)
    table[VACANCIES] = random.binomial(table[FORCE], 0.01)
    sub_region = "SK" + towns["sub_region_code"]
    true = _with_sums(table, sub_region)
    provisional = _with_sums(table.assign(**{FORCE: force[town].to_numpy()}), sub_region)
    folder.mkdir()
    every = [UNEMPLOYED, FORCE, RATE, LAID_OFF, VACANCIES]
    with gzip.GzipFile(folder / NAMES["all"], "wb", mtime=0) as file:
        file.write(_csv(provisional, every, months[:4]).encode())
    (folder / NAMES["counts"]).write_text(
        _csv(true, [UNEMPLOYED, FORCE, VACANCIES], months[:6]), encoding="utf-8"
    )
    merged = _with_sums(table.rename(index={"588": "507"}, level="town"), None)
    (folder / NAMES["rate"]).write_text(_csv(merged, [RATE], months[:8]), encoding="utf-8")
    cells = _printed(merged)[every].xs(months[8], level="month", drop_level=False)
    answer = {
        "columns": [
            {"code": "Alue", "text": "Alue", "type": "d"},
            {"code": "timeperiod_m", "text": "Kuukausi", "type": "t"},
            *({"code": code, "text": code, "type": "c"} for code in every),
        ],
        "data": [
            {"key": list(key), "values": [v or "..." for v in values]}
            for key, values in zip(cells.index, cells.to_numpy().tolist(), strict=True)
        ],
        "metadata": [{"updated": "2026-07-21T05.00.00Z", "label": "synthetic"}],
    }
    text = json.dumps(answer).replace('{"key"', '\n{"key"')
    (folder / NAMES["answer"]).write_text(text, encoding="utf-8")


def _with_sums(table, sub_region):
    """Index by area and month: municipalities and, where given, the exact sums of sub-regions."""
    towns = table.groupby(["town", "month"]).sum().rename(index=lambda t: "KU" + t, level="town")
    parts = [towns]
    if sub_region is not None:
        regions = table.index.get_level_values("town").map(sub_region)
        parts.append(table.groupby([regions, "month"]).sum())
    return pd.concat([p.rename_axis(["area", "month"]) for p in parts]).sort_index()


def _printed(true):
    """Return cells as the table prints them: the rate to one decimal, counts of 1-4 empty."""
    secret = true.isin([1, 2, 3, 4]).assign(**{FORCE: False})
    rate = (100 * true[UNEMPLOYED] / true[FORCE]).map("{:.1f}".format)
    return true.astype(str).mask(secret, "").assign(**{RATE: rate.mask(secret[UNEMPLOYED], "")})


def _csv(true, codes, months):
    cells = _printed(true)[codes]
    cells = cells[cells.index.get_level_values("month").isin(months)]
    return cells.rename_axis(["alue", "kuukausi"]).reset_index().to_csv(index=False)
