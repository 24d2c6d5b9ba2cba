"""Suppression attacked and timed: run `.venv/bin/python bench/disclosure.py` from the root.

500 random linked tables (two-way, with totals, nested and crossing divisions) are protected, and
an attacker who shares no code with the study works out every hidden cell from what is published,
by two linear programmes each. None may be known to within the threshold. Then a panel of the
study's size is protected: the published counts, with a made-up count in the place of each that is
hidden.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from linked_tables import draw, small_differences, widths  # noqa: E402

from kokeilu_analysis import release  # noqa: E402
from kokeilu_analysis.methods import suppression  # noqa: E402
from kokeilu_analysis.report import disclosure  # noqa: E402
from kokeilu_analysis.sources import panel  # noqa: E402


def attacked(tables):
    """Protect and attack random tables; return what was counted."""
    found = dict.fromkeys(("cells", "small", "hidden", "known", "protecting", "attacking"), 0)
    for seed in range(tables):
        table, sums, within = draw(seed)
        rounding = 3 if seed % 5 == 4 else 0
        began = time.perf_counter()
        spec = suppression.Spec(("unit", "measure"), sums, within, rounding=rounding)
        made, _ = suppression.protect(table, spec)
        found["protecting"] += time.perf_counter() - began
        began = time.perf_counter()
        asked = small_differences(table, within, spec.minimum)
        cells, rests = widths(made, sums, within, rounding, asked)
        found["attacking"] += time.perf_counter() - began
        found["cells"] += len(table)
        found["small"] += int(table["value"].between(1, spec.minimum - 1).sum())
        found["hidden"] += len(cells)
        found["known"] += int((cells < spec.minimum).sum()) + sum(r < spec.minimum for r in rests)
    return found


def simulated_panel(seed=20210301):
    """The panel's linked counts with made-up counts of 1-4 where they are hidden."""
    cells = panel.load(sorted(release.counts()))
    cells = cells[cells["status"].isin(["observed", "hidden"])]
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
    return wide.reset_index().melt(keys, var_name="measure")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--months", type=int, default=86, help="of the panel; 0 leaves it out")
    options = parser.parse_args()
    found = attacked(options.tables)
    print(
        f"{options.tables} tables, {found['cells']:,} cells, {found['small']:,} small, "
        f"{found['hidden']:,} hidden; known to within the threshold: {found['known']}; "
        f"protected in {found['protecting']:.1f} s, attacked in {found['attacking']:.1f} s"
    )
    if options.months:
        cells = simulated_panel()
        months = np.sort(cells["month"].unique())[: options.months]
        cells = cells[cells["month"].isin(months)].reset_index(drop=True)
        spec = release.spec(disclosure.DEFAULTS)
        began = time.perf_counter()
        made, log = suppression.protect(cells, spec, "panel")
        took = time.perf_counter() - began
        began = time.perf_counter()
        known = suppression.attack(made, spec)["determined"].sum()
        print(
            f"panel of {len(cells):,} cells: {log['rule'].value_counts().to_dict()}, protected in "
            f"{took:.1f} s, audited in {time.perf_counter() - began:.1f} s, known: {known}"
        )
    print(release.published(panel.load()).query("narrowed > 0").to_string(index=False))


if __name__ == "__main__":
    main()
