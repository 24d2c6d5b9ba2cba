"""Suppression attacked and timed: run `.venv/bin/python bench/disclosure.py` from the root.

500 random linked tables (two-way, with totals, nested and crossing divisions) are protected, and
an attacker who shares no code with the study works out every hidden cell from what is published,
by two linear programmes each. None may be known to within the threshold. Then a panel of the
study's size is protected and audited: the published counts, with a made-up count in the place of
each that is hidden. Run alone it also prints which hidden counts follow from what is printed.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import timing

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import linked_tables

from kokeilu_analysis import release
from kokeilu_analysis.methods import suppression
from kokeilu_analysis.report import disclosure
from kokeilu_analysis.sources import panel


def drawn(seed):
    """A random table, and how it is protected."""
    table, sums, within = linked_tables.draw(seed)
    rounding = 3 if seed % 5 == 4 else 0
    return table, suppression.Spec(("unit", "measure"), sums, within, rounding=rounding)


def attacked(tables, published):
    """Count what there was, what was hidden, and what the attacker knows to the threshold."""
    found = Counter()
    for (table, spec), made in zip(tables, published, strict=True):
        asked = linked_tables.small_differences(table, spec.within, spec.minimum)
        cells, rests = linked_tables.widths(made, spec.sums, spec.within, spec.rounding, asked)
        found["cells"] += len(table)
        found["small"] += int(table["value"].between(1, spec.minimum - 1).sum())
        found["hidden"] += len(cells)
        found["known"] += int((cells < spec.minimum).sum()) + sum(r < spec.minimum for r in rests)
    return found


def simulated_panel(months, seed=20210301):
    """The panel's linked counts of some months with made-up counts of 1-4 where they are hidden."""
    cells = panel.load(sorted(release.counts()))
    cells = cells[cells["status"].isin(["observed", "hidden"])]
    cells = cells[cells["month"].isin(np.sort(cells["month"].unique())[:months])]
    made_up = np.random.default_rng(seed).integers(1, 5, len(cells))
    value = cells["value"].where(cells["status"] == "observed", made_up)
    keys = ["municipality", "month"]
    wide = cells.assign(value=value).pivot(index=keys, columns="measure", values="value").dropna()
    wide["unemployed"] = wide["unemployed_men"] + wide["unemployed_women"]
    wide["jobseekers"] = wide[["jobseekers", "unemployed"]].max(axis=1)
    links = [p for p in release.links()["within"]["measure"] if set(p) <= set(wide)]
    for part, whole in sorted(links, key=lambda pair: pair[1] != "jobseekers"):
        wide[part] = wide[[part, whole]].min(axis=1)
    wide["unemployed_under_20"] = wide[["unemployed_under_20", "unemployed_under_25"]].min(axis=1)
    cells = wide.reset_index().melt(keys, var_name="measure")
    flows = {measure for _, *parts in release.links()["flows"] for measure in parts}
    return cells.assign(kept=False, flow=cells["measure"].isin(flows))


def rows(asked):
    """Yield the rows."""
    tables = [drawn(seed) for seed in range(asked.of(500, 2))]
    published = []

    def protect():
        published[:] = [suppression.protect(*pair)[0] for pair in tables]

    yield timing.race("protecting 500 random tables", protect, rounds=asked.rounds)
    found = Counter()
    attack = timing.race(
        "attacking them by linear programmes",
        lambda: found.update(attacked(tables, published)),
        rounds=1,
    )
    yield timing.noted(
        attack,
        f"{found['cells']:,} cells, {found['small']:,} small, {found['hidden']:,} hidden; "
        f"known to within the threshold: {found['known']}",
    )
    cells, spec = simulated_panel(asked.of(86, 1)), release.spec(disclosure.DEFAULTS)
    made = []

    def panel_protected():
        made[:] = suppression.protect(cells, spec, "panel")

    row = timing.race("protecting a panel of 86 months", panel_protected, rounds=asked.rounds)
    rules = ", ".join(f"{n:,} {rule}" for rule, n in made[1]["rule"].value_counts().items())
    yield timing.noted(row, f"{len(cells):,} cells: {rules}")
    known = []

    def audited():
        known[:] = [int(suppression.attack(made[0], spec)["determined"].sum())]

    row = timing.race("auditing it", audited, rounds=asked.rounds)
    yield timing.noted(row, f"known: {known[0]}")


if __name__ == "__main__":
    timing.main(rows, __doc__)
    print(release.published(panel.load()).query("narrowed > 0").to_string(index=False))
