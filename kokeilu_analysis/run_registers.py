"""The steps for person-level registers: check a delivery, count it into the panel, simulate one."""

from pathlib import Path

from kokeilu_analysis import paths, release, store
from kokeilu_analysis.errors import DataError


def put_in(built, progress):
    """Put counts from registers into a panel, if study.toml names a source of them.

    Parameters
    ----------
    built : DataFrame
        A panel.
    progress : kokeilu_analysis.run.Progress

    Returns
    -------
    DataFrame
        The same panel without a source; else the protected one: what must be hidden is hidden
        before anything is made from it.
    """
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import facts, registers

    plan = design.load()
    source = plan.registers["source"]
    if not source:
        return built
    source = source if "://" in source else paths.ROOT / source
    known = facts.municipalities(paths.RAW), facts.boundary_changes(paths.RAW)
    choices = plan.registers["last_day"], plan.registers["plan_days"]
    with progress.step("count the spells of the registers"):
        counted = registers.read(source, *known, plan.panel.months, *choices)
    with progress.step("hide small cells, and what would give them away (up to a minute)"):
        # notebooks 03 and 04 need the main outcome of every municipality and month
        return release.protect_panel(registers.replace(built, counted), kept=[plan.outcome])


def simulate(progress, folder, rows, seed, even=False):
    """Write simulated spells, a Parquet file a block, and their truth; return the spells' number.

    Municipalities are as large as their numbers of unemployed before the start, and the backlogs
    planted in the trial areas agree with what was said of them. If `even`, all municipalities are
    of one size, so that few spells fill each. The truth stands in the folder ``truth``, which is no
    part of the delivery.
    """
    import pandas as pd

    from kokeilu_analysis.methods import design, simulate_registers
    from kokeilu_analysis.sources import facts, panel, register_counts

    plan, folder = design.load(), Path(folder)
    if any(folder.glob("*")):
        raise DataError(paths.shown(folder), "files", "an empty folder, or none")
    before = plan.start - pd.DateOffset(months=1)
    cells = panel.load([plan.outcome], paths.PROCESSED)
    sizes = cells[cells["month"] == before].set_index("municipality")["upper"]
    places = facts.treatment(paths.RAW)
    planted = _planted(places, facts.area_groups(paths.RAW))
    weight = 1.0 if even else places["municipality"].map(sizes).clip(lower=1)
    places = places.assign(weight=weight, backlog=planted)
    moment = register_counts.count_days(pd.DatetimeIndex([before]))[0]
    days = plan.panel.first, plan.registers["last_day"], moment
    blocks = simulate_registers.spells(rows, seed, places, *days, plan.registers["plan_days"])
    truths, count = [], 0
    with progress.step(f"simulated spells to {paths.shown(folder)}"):
        for number, (spells, truth) in enumerate(blocks):
            dates = spells.select_dtypes("datetime").columns
            spells = spells.astype(dict.fromkeys(dates, "date32[pyarrow]"))
            store.write_parquet(folder / f"simulated_spells_{number:05d}.parquet", spells)
            truths.append(truth)
            count += len(spells)
    truth = pd.concat(truths).groupby("municipality", as_index=False).sum()
    store.write_csv(folder / "truth" / "simulated_truth.csv", truth)
    return count


def _planted(places, groups):
    """Return a backlog for each municipality such that the areas agree with the letter.

    80 per cent in Helsinki, 70 in the other large cities, 12.5 in the area with the smallest
    figure, evenly from 20 to 70 in the other areas, which gives a mean of half; 50 elsewhere.
    """
    import numpy as np

    told = dict.fromkeys(groups["area_id"], 0.7) | {"KK01": 0.8, "KK17": 0.125}
    others = sorted({*places.loc[places["is_trial"] == 1, "area_id"]} - {*told})
    told |= dict(zip(others, np.linspace(0.2, 0.7, len(others)), strict=True))
    return places["area_id"].map(told).fillna(0.5)


def check(source):
    """Check a delivery of spells without counting it; return its number of spells."""
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import facts, registers

    known = facts.municipalities(paths.RAW), facts.boundary_changes(paths.RAW)
    return registers.check(source, *known, design.load().registers["last_day"])
