"""Synthetic snapshots of table 12r5, and how tests damage, import and read them.

The numbers are made up: seeded random counts for the real municipalities, in the forms that the
table comes in, so that no test of faulty input needs the real snapshots.
"""

import functools
import gzip
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd

from kokeilu_analysis import cli, paths
from kokeilu_analysis.sources import datapackage, facts, statfin

NAMES = {  # short names of the described snapshots
    "all": "tyonv_12r5_all_measures_areas_2006M01_2022M02.csv.gz",
    "counts": "tyonv_12r5_areas_2006M01_2023M10.csv",
    "rate": "tyonv_12r5_rate_municipalities_2007M01_2025M01.csv",
    "answer": "tyonv_12r5_v1json_all_areas_all_measures_2026M06.json",
}
UNEMPLOYED, FORCE, RATE = "TYOTTOMATLOPUSSA", "TYOVOIMATK", "TYOTOSUUS"
VACANCIES, LAID_OFF = "AVPAIKATLOPUSSA", "LOMAUTETTU"
MESSAGE = re.compile(
    r"kokeilu: (?P<file>[^,]+)(, row (?P<row>.+?))?(, column (?P<column>.+?))?: "
    r"found (?P<found>.+?), expected (?P<expected>.+?)\.( (?P<advice>.+))?\n"
)
FACTS = {  # read once a session: how they are read has tests of its own
    name: functools.cache(getattr(facts, name))
    for name in ("measures", "municipalities", "boundary_changes")
}


def study_in(root):
    """Folders of a study that does not lie where the project does, and all that it has put out."""
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


def without_progress(err):
    """Return stderr without the lines that say which step runs."""
    return re.sub(r"^(?!kokeilu:).*( …|: stopped|: [\d.]+ s)\n", "", err, flags=re.MULTILINE)


def move_study(patch, study):
    """Let the package work in another study."""
    patch.setattr(paths, "RAW", study.raw)
    patch.setattr(paths, "SNAPSHOTS", study.snapshots)
    patch.setattr(paths, "PROCESSED", study.processed)
    patch.setattr(paths, "PANEL", study.processed / paths.PANEL.name)
    for name, read in FACTS.items():
        patch.setattr(facts, name, lambda folder=None, read=read: read().copy())


def write_synthetic_snapshots(folder, seed=2021):
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
    counts = _csv(true, [UNEMPLOYED, FORCE, VACANCIES], months[:6])
    (folder / NAMES["counts"]).write_bytes(counts.encode())
    merged = _with_sums(table.rename(index={"588": "507"}, level="town"), None)
    (folder / NAMES["rate"]).write_bytes(_csv(merged, [RATE], months[:8]).encode())
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
    (folder / NAMES["answer"]).write_bytes(text.encode())


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
    return (
        cells.rename_axis(["alue", "kuukausi"])
        .reset_index()
        .to_csv(index=False, lineterminator="\n")
    )


class Lines:
    """The lines of one delivered CSV, to be damaged; row 1 is the header, as in messages."""

    def __init__(self, path):
        self.path = path
        content = path.read_bytes()
        self.packed = path.suffix == ".gz"
        text = (gzip.decompress(content) if self.packed else content).decode("utf-8")
        self.lines = text.splitlines()
        self.columns = self.lines[0].split(",")

    def row(self, area, month):
        """Line number of an area and month."""
        return next(
            n for n, x in enumerate(self.lines, start=1) if x.startswith(f"{area},{month},")
        )

    def cell(self, area, month, column):
        return self.lines[self.row(area, month) - 1].split(",")[self.columns.index(column)]

    def put(self, area, month, column, text):
        """Replace one cell and return its row."""
        row = self.row(area, month)
        fields = self.lines[row - 1].split(",")
        assert fields[self.columns.index(column)] != text, "the test would change nothing"
        fields[self.columns.index(column)] = text
        self.lines[row - 1] = ",".join(fields)
        return row

    def add(self, area, month, column, step):
        return self.put(area, month, column, str(int(self.cell(area, month, column)) + step))

    def save(self):
        content = "".join(f"{line}\n" for line in self.lines).encode("utf-8")
        self.path.write_bytes(gzip.compress(content, mtime=0) if self.packed else content)


def refusal(study, capsys, *options):
    """Import the delivered folder; return the refusal's parts and assert that nothing changed."""
    before = study.outputs()
    assert cli.main(["import", str(study.delivered), *options]) == 1
    assert study.outputs() == before, "a refused import changed earlier outputs"
    said = capsys.readouterr()
    assert said.out == ""
    return parts(said.err)


def parts(err):
    """Return file, row, column, found, expected and advice of the one sentence on stderr."""
    match = MESSAGE.fullmatch(without_progress(err))
    assert match, f"not one sentence with file, found and expected: {err!r}"
    return match.groupdict()


def read(study, **options):
    """Read the delivered snapshots of a study."""
    entries = [e for e in datapackage.load(study.raw)["resources"] if "form" in e]
    return statfin.read_folder(
        study.delivered,
        entries,
        facts.measures(),
        facts.municipalities(),
        facts.boundary_changes(),
        **options,
    )


def cells(frame, **where):
    """Return the rows where each named column holds its value."""
    for column, wanted in where.items():
        frame = frame[frame[column] == wanted]
    return frame
