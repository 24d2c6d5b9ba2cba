"""The steps for person-level registers: check a delivery, count it into the panel, simulate one."""

from pathlib import Path

from kokeilu_analysis import paths, release, store
from kokeilu_analysis.errors import DataError


def put_in(built):
    """Put counts from registers into a panel, if study.toml names a source of them.

    Parameters
    ----------
    built : DataFrame
        A panel.

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
    counted = registers.read(source, *known, plan.panel.months, *choices)
    return release.protect_panel(registers.replace(built, counted))


def simulate(progress, folder, rows, seed):
    """Write simulated spells, a Parquet file a block, and their truth; return the spells' number.

    The backlogs planted in the trial areas run evenly from 10 to 90 per cent, those of other
    municipalities are 50. The truth stands in the folder ``truth``, which is no part of the
    delivery.
    """
    import pandas as pd

    from kokeilu_analysis.methods import design, simulate_registers
    from kokeilu_analysis.sources import facts, register_counts

    plan, places, folder = design.load(), facts.treatment(), Path(folder)
    if any(folder.glob("*")):
        raise DataError(paths.shown(folder), "files", "an empty folder, or none")
    trial = places["is_trial"] == 1
    share = 0.1 + 0.8 * (places["area_id"].where(trial).rank(method="dense") - 1) / 24
    places = places.assign(weight=places["population_2020"], backlog=share.fillna(0.5))
    months = pd.DatetimeIndex([plan.start - pd.DateOffset(months=1)])
    days = plan.panel.first, plan.registers["last_day"], register_counts.count_days(months)[0]
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


def check(source):
    """Check a delivery of spells without counting it; return its number of spells."""
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import facts, registers

    known = facts.municipalities(paths.RAW), facts.boundary_changes(paths.RAW)
    return registers.check(source, *known, design.load().registers["last_day"])
