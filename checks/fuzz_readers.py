"""The readers that `fuzz` tries: for each the valid files to spoil, how it reads, what must hold.

`READERS` names them. A reader returns what tells the end of one input from the ends of others, and
whether the input was accepted; what is accepted must make sense, or an assertion fails.
"""

import gzip
import io
import json
import math
import re
import shutil
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import spoil

from kokeilu_analysis import paths
from kokeilu_analysis.methods import design
from kokeilu_analysis.sources import datapackage, facts, jsonstat, panel, statfin, survey
from kokeilu_analysis.sources import survey_form as form

PLACES = [
    ("091", "Helsinki", "Helsingfors", "KK01", 1),
    ("092", "Vantaa", "Vanda", "KK03", 1),
    ("245", "Kerava", "Kervo", "KK03", 1),
    ("286", "Kouvola", "Kouvola", "SK081", 0),
]
NAMES = ["municipality", "municipality_name_fi", "municipality_name_sv", "area_id", "is_trial"]
TOWNS = pd.DataFrame(PLACES, columns=NAMES)
ANSWERS = [
    "091;Helsinki;KK01;2021-03-31;50;10;30;10;Kaupunki;1;kyllä;ei;;;;;;;;Toimii, 5 % enemmän",
    '092;Vantaa;KK03;31.3.2021;100;40;35;25;Työllisyyspalvelut;2;ja;nej;;;;;;;;"=1+1; -5"',
    "286;Kouvola;;2021-03-31;;;;;;;yes;;;;;;;;;",
]


class Reader(NamedTuple):
    """A reader under test: the file it is given, how that may be spoiled, and how it is read.

    `read` returns what tells an input's end from others' ends, and whether it was accepted.
    """

    form: str
    seeds: list
    target: Path
    read: callable


def _snapshot_cells():
    """Return the cells of a made-up table state of four municipalities, and its towns."""
    towns = {"091": "SK011", "092": "SK011", "507": "SK105", "588": "SK105"}
    months = ["2021M11", "2021M12", "2022M01"]
    rows = {}
    for at, (town, region) in enumerate(towns.items()):
        for late, month in enumerate(months):
            unemployed, force = 40 + 7 * at + late, 1000 + 10 * at
            rows["KU" + town, month] = [unemployed, force, 2 + late if at == 1 else 9 * at]
            above = rows.get((region, month), [0, 0, 0])
            rows[region, month] = [
                a + b for a, b in zip(above, rows["KU" + town, month], strict=True)
            ]
    codes = ["TYOTTOMATLOPUSSA", "TYOVOIMATK", "AVPAIKATLOPUSSA"]
    table = pd.DataFrame.from_dict(rows, "index", columns=codes)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["alue", "kuukausi"])
    shown = table.astype(str)
    shown["AVPAIKATLOPUSSA"] = shown["AVPAIKATLOPUSSA"].where(
        ~table["AVPAIKATLOPUSSA"].between(1, 4), ""
    )
    rate = (100 * table["TYOTTOMATLOPUSSA"] / table["TYOVOIMATK"]).map("{:.1f}".format)
    shown.insert(2, "TYOTOSUUS", rate)
    return shown.sort_index(), towns


def _snapshots(folder, name, kind):
    """A table state in one of its forms, read as `read_folder` does."""
    cells, towns = _snapshot_cells()
    municipalities = pd.DataFrame(
        {"municipality": list(towns), "sub_region_code": [r[2:] for r in towns.values()]}
    )
    measures, changes = facts.measures(), facts.boundary_changes()
    content = cells.reset_index().to_csv(index=False, lineterminator="\n").encode()
    if kind == "json":
        listed = [{"code": "Alue", "type": "d"}, {"code": "Kuukausi", "type": "t"}]
        listed += [{"code": code, "type": "c"} for code in cells]
        data = [
            {"key": list(key), "values": [v or "..." for v in values]}
            for key, values in zip(cells.index, cells.to_numpy().tolist(), strict=True)
        ]
        content = json.dumps({"columns": listed, "data": data}).encode()
    if kind == statfin.FETCHED:
        content = jsonstat.write(_cube(cells), "made up")
    if name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    entry = {"path": name, "title": name, "vintage": "2026-06-01", "form": kind, "hash": "sha256:"}
    entry |= {"bytes": 0}

    def read(path):
        (found,) = statfin.read_folder(folder, [entry], measures, municipalities, changes, True)
        values = found.cells.to_numpy()
        assert not np.isinf(values).any() and not (values < 0).any(), "not a count"
        return ("cells", found.cells.shape), True

    spoil = "csv.gz" if name.endswith(".gz") else "json" if "json" in kind else "csv"
    return Reader(spoil, [content], folder / name, read)


def _cube(cells):
    areas, months = (list(cells.index.unique(level)) for level in (0, 1))
    shape = len(areas), len(months), cells.shape[1]
    values = pd.to_numeric(cells.to_numpy().ravel(), errors="coerce").reshape(shape)
    marks = np.where(np.isnan(values), "...", "").astype(object)
    codes = dict(zip(statfin.CUBE, (areas, months, list(cells)), strict=True))
    return jsonstat.Cube(codes, values, marks, updated="2026-06-01T05:00:00Z", source="made up")


def _jsonstat(folder):
    """Any JSON-stat answer, not only one of table 12r5."""
    whole = jsonstat.write(_cube(_snapshot_cells()[0]), "made up", {"time": ["timeperiod_m"]})
    sparse = (
        b'{"class": "dataset", "id": ["x", "y"], "size": [2, 1], "value": {"0": 7}, "note": ["n"], '
        b'"dimension": {"x": {"category": {"index": {"b": 1, "a": 0}}}, "y": {"category": '
        b'{"label": {"c": "C"}}}}, "status": {"1": "..."}, "updated": "2026", "source": "s"}'
    )

    def read(path):
        cube = jsonstat.read(path.read_bytes(), path.name)
        assert cube.values.shape == tuple(map(len, cube.codes.values())) == cube.marks.shape
        again = jsonstat.read(jsonstat.write(cube, "made up"), "again")
        assert np.array_equal(again.values, cube.values, equal_nan=True), "changed by writing"
        assert again.codes == cube.codes and (again.marks == cube.marks).all(), "changed by writing"
        jsonstat.frame(cube)
        return ("cube", cube.values.ndim, cube.values.size > 50), True

    return Reader("json", [whole, sparse], folder / "answer.json", read)


def _evidence(folder):
    """What was said about the backlog; the tables that it refers to are as committed."""
    shutil.copytree(paths.RAW, folder, ignore=shutil.ignore_patterns("statfin"), dirs_exist_ok=True)
    target = folder / "backlog_evidence.csv"
    package = datapackage.load(folder)
    wanted = {"backlog_evidence", "trial_areas", "municipalities", "area_groups"}
    package["resources"] = [e for e in package["resources"] if e["name"] in wanted]
    for entry in package["resources"]:  # an edited file must fail by its content, not checksum
        if entry["name"] == "backlog_evidence":
            entry.pop("hash")
    (folder / datapackage.DESCRIPTOR).write_text(json.dumps(package), encoding="utf-8")
    whole, others = datapackage.read, {}

    def read_once(place, name, check_hash=True):  # tables that are not spoiled are read once
        if name != "backlog_evidence" and (str(place), name) not in others:
            others[str(place), name] = whole(place, name, check_hash)
        found = others.get((str(place), name))
        return whole(place, name, check_hash) if found is None else found.copy()

    def read(path):
        datapackage.read = read_once
        try:
            found = facts.evidence(folder=folder)
        finally:
            datapackage.read = whole
        shares = found[["lower", "upper"]].to_numpy(dtype=float)
        assert not (shares < 0).any() and not (shares > 1).any(), "not a share"
        return ("evidence", len(found) > 5, tuple(sorted(set(found["kind"])))), True

    return Reader("csv", [target.read_bytes()], target, read)


def _returns(folder, name):
    """Returned forms; a fault in a row is a problem said, not an error raised."""
    empty = form.write_template(folder / "empty.csv", TOWNS, "csv").read_text("utf-8-sig")
    head = "\n".join(empty.splitlines()[: form.LABEL_ROWS])
    filled = ("\n".join([head, *ANSWERS]) + "\n").encode()
    (folder / "filled.csv").write_bytes(filled)
    kept = folder / "kept"
    seeds = [filled, empty.encode()]
    if name.endswith(".xlsx"):
        given = survey.read_returns(folder / "filled.csv", TOWNS)
        assert given.problems.empty, given.problems
        seeds = [
            form.write_template(folder / "made", TOWNS, "xlsx", answers).read_bytes()
            for answers in (given.accepted, None)
        ]
        seeds.append(spoil.with_shared_strings(seeds[0]))

    def read(path):
        found = survey.read_returns(path, TOWNS)
        shutil.rmtree(kept, ignore_errors=True)
        if len(found.accepted):
            survey.save_returns(found, kept)
            again = survey.kept(kept)
            pd.testing.assert_frame_equal(again, found.accepted)
            cells = pd.read_csv(kept / survey.KEPT, dtype=str, keep_default_na=False)
            starts = cells.map(lambda cell: cell.lstrip().startswith(("=", "+", "-", "@")))
            assert not starts.to_numpy().any(), "a formula in the export"
        said = found.problems
        named = said["file"].str.contains(path.name, regex=False)
        assert named.all() and said["found"].str.len().max() != 0, "a problem without file"
        secret = "".join(said["found"]) + "".join(found.accepted["free_text"])
        assert "PATH=" not in secret, "an external entity was read"
        return ("returns", *sorted(set(said["expected"]))[:3]), said.empty

    return Reader(name.rpartition(".")[2], seeds, folder / name, read)


def _kept(folder):
    """Returns kept before."""
    made = _returns(folder / "forms", "filled.csv")
    made.target.write_bytes(made.seeds[0])
    survey.save_returns(survey.read_returns(made.target, TOWNS), folder)
    target = folder / survey.KEPT

    def read(path):
        found = survey.kept(folder)
        parts = found[form.PLANS].sum(axis=1)
        given = found["plans_valid"].notna()
        assert (parts[given] == found.loc[given, "customers_transferred"]).all(), "parts"
        return ("kept", len(found), tuple(found.notna().sum().tolist())), True

    return Reader("csv", [target.read_bytes()], target, read)


def _study(folder):
    """The study's design, less the entries that show no key which one before does not."""
    kept, seen = [], set()
    for part in re.split(r"\n(?=\[)", paths.STUDY.read_text(encoding="utf-8")):
        keys = {(part.split("\n")[0], key) for key in re.findall(r"(?m)^\w+(?= =)", part)}
        kept += [] if keys and keys <= seen else [part]
        seen |= keys
    seed = ("\n".join(kept) + "\n").encode()

    def read(path):
        plan = design.load(path)
        assert math.isfinite(plan.steepest), "not a number"
        return ("design", len(plan.robustness), len(plan.windows)), True

    return Reader("toml", [seed], folder / "study.toml", read)


def _descriptor(folder):
    """The description of a folder."""
    made = _evidence(folder)
    seed = json.dumps(datapackage.load(folder)).encode()

    def read(path):
        found = datapackage.read(folder, "backlog_evidence")
        datapackage.dictionary(folder, "backlog_evidence")
        return ("described", found.shape), True

    return Reader("json", [seed], made.target.with_name(datapackage.DESCRIPTOR), read)


def _registers(folder, kind):
    """A delivery of spells: `registers.check`, then for one in ten what is counted of it."""
    from kokeilu_analysis.methods import simulate_registers
    from kokeilu_analysis.sources import registers

    share = pd.DataFrame({"municipality": ["091", "092"], "weight": 1.0, "backlog": [0.2, 0.8]})
    days = pd.to_datetime(["2020-12-01", "2021-03-31", "2021-02-26"])
    blocks = list(simulate_registers.spells(60, 3, share, *days, 92, block=60))
    spells = pd.concat([block for block, _ in blocks], ignore_index=True)
    dates = dict.fromkeys(spells.select_dtypes("datetime").columns, "date32[pyarrow]")
    spells, made = spells.astype(dates), io.BytesIO()
    spells.to_parquet(made, index=False)
    said = {c: spells[c].map({True: "true", False: "false"}) for c in spells.select_dtypes(bool)}
    text = spells.assign(**said).to_csv(index=False).encode()
    content = made.getvalue() if kind == "parquet" else text
    known = facts.municipalities(), facts.boundary_changes()
    months = pd.date_range("2021-01-01", "2021-03-01", freq="MS")
    source = folder / "delivery"
    source.mkdir(parents=True, exist_ok=True)

    def read(path):
        registers.check(source, *known, days[1])
        given = path.read_bytes()
        if given == content or zlib.crc32(given) % 10 == 0:
            cells = registers.read(source, *known, months, days[1], 92)
            assert set(cells["status"]) <= {panel.OBSERVED, panel.NOT_YET}
            assert not (cells["value"] < 0).any(), "a negative count"
        return ("register",), True

    return Reader(kind, [content], source / f"spells.{kind}", read)


READERS = {
    "snapshot CSV": (_snapshots, "state.csv", "csv"),
    "snapshot CSV.gz": (_snapshots, "state.csv.gz", "csv"),
    "snapshot json": (_snapshots, "state.json", "json"),
    "snapshot json-stat2": (_snapshots, "fetched.json", statfin.FETCHED),
    "JSON-stat": (_jsonstat,),
    "evidence": (_evidence,),
    "returns XLSX": (_returns, "return.xlsx"),
    "returns CSV": (_returns, "return.csv"),
    "kept returns": (_kept,),
    "study.toml": (_study,),
    "datapackage.json": (_descriptor,),
    "register Parquet": (_registers, "parquet"),
    "register CSV": (_registers, "csv"),
}
