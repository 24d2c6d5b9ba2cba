"""Registers: person-level spells → the cells of the panel, and the backlog as it was observed.

Counts from a register take the place of the same counts of the open table; labour force, vacancies
and the published rate stay StatFin's, and the column ``vintage`` says which is which. What only a
register tells (plans, flows, durations, the target group) comes as further measures.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import panel, register_counts, register_rules, register_spells
from kokeilu_analysis.sources.statfin import DIVISION
from kokeilu_analysis.sources.survey_evidence import EVIDENCE

VINTAGE = "register"  # cells from registers: this word and the last day that the data cover
MEASURES = {  # only registers tell; `registers.md` says how each is counted
    "target_group": "Jobseekers of the trial's target group",
    "target_unemployed": "Unemployed of the target group",
    "plan_valid": "Jobseekers whose plan is valid",
    "plan_out_of_date": "Jobseekers whose plan is out of date",
    "plan_never_made": "Jobseekers without a plan",
    "first_plans": "First plans made in the period",
    "first_plan_days": "Days from the start of the job search to those plans, added up",
    "target_plan_valid": "Target group: plan valid",
    "target_plan_out_of_date": "Target group: plan out of date",
    "target_plan_never_made": "Target group: no plan",
    "target_first_plans": "Target group: first plans made in the period",
    "target_first_plan_days": "Target group: days to those plans, added up",
    "unemployed_days": "Days that the unemployed have been unemployed, added up",
    "unemployed_inflow": "New unemployed in the period, movers into the municipality included",
    "unemployed_outflow": "No longer unemployed there in the period, movers included",
    "unemployed_outflow_work": "Of them gone to work",
    "unemployed_outflow_days": "Days that those had been unemployed, added up",
    "interviews": "Spells whose latest interview was in the period",
    "target_interviews": "Target group: spells whose latest interview was in the period",
}
GROUPS = {"all": ("", "jobseekers"), "target": ("target_", "target_group")}


def read(source, municipalities, changes, months, last_day, plan_days):
    """Open and check a delivery and count it.

    Parameters
    ----------
    source : str or Path
        See `register_spells.opened`.
    municipalities, changes : DataFrame
        Facts of the same names; spells of municipalities merged by 2021 count where they merged
        into.
    months : DatetimeIndex
        First days of the panel's months.
    last_day : Timestamp
        Last day that the delivery covers.
    plan_days : int
        Days after which a plan that was not updated is out of date.

    Returns
    -------
    DataFrame
        `panel.COLUMNS`, one row per municipality of 2021 × month × measure. Months whose count
        day lies after `last_day` are not published yet.

    Raises
    ------
    DataError
        See `register_spells.opened` and `register_rules.check`; or the delivery covers no month.
    """
    codes, merged = sorted(municipalities["municipality"]), _merged(changes)
    days = register_counts.count_days(months.insert(0, months[0] - pd.DateOffset(months=1)))
    covered = int((days <= last_day).sum()) - 1
    if covered < 1:
        expected = f"{days[1]:%Y-%m-%d}, the panel's first count day, or later"
        raise DataError("study.toml", f"{last_day:%Y-%m-%d}", expected, "[registers]", "last_day")
    with register_spells.opened(source) as delivery:
        register_rules.check(delivery, {*codes, *merged}, last_day)
        with register_spells.said_safely(delivery.name):  # a check does not look into every page
            table = register_counts.counts(delivery.spells, days[: covered + 1], plan_days)
        vintage = f"{VINTAGE} {last_day:%Y-%m-%d}"
        vintage = f"simulated {vintage}" if delivery.simulated else vintage
    return cells(table, codes, merged, months, vintage)


def check(source, municipalities, changes, last_day):
    """Open and check a delivery; return its number of spells. See `read`."""
    with register_spells.opened(source) as delivery:
        codes = {*municipalities["municipality"], *_merged(changes)}
        return register_rules.check(delivery, codes, last_day)


def cells(table, codes, merged, months, vintage):
    """Return counts as cells of the panel.

    Parameters
    ----------
    table : DataFrame
        From `register_counts.counts`.
    codes : list of str
        Municipalities of the panel; those without a spell have zeros.
    merged : dict
        Older code → code.
    months : DatetimeIndex
        Months of the panel, from the one of period 0 on.
    vintage : str
    """
    places = table.index.get_level_values("municipality")
    table = table.groupby([places.map(lambda c: merged.get(c, c)), "period"]).sum()
    grid = pd.MultiIndex.from_product([codes, range(len(months))], names=register_counts.KEYS)
    known = grid.get_level_values("period") <= table.index.get_level_values("period").max()
    table = table.reindex(grid, fill_value=0)
    parts = []
    for measure in sorted(table.columns):
        value = np.where(known, table[measure].to_numpy(dtype=float), np.nan)
        status = np.where(known, panel.OBSERVED, panel.NOT_YET)
        parts.append(
            pd.DataFrame(
                {
                    "municipality": grid.get_level_values("municipality"),
                    "month": months[grid.get_level_values("period")],
                    "measure": measure,
                    "value": value,
                    "lower": value,
                    "upper": value,
                    "status": status,
                    "vintage": np.where(known, vintage, ""),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[panel.COLUMNS]


def _merged(changes):
    early = changes[(changes["change"] == "merger") & (changes["valid_from"] <= DIVISION)]
    return dict(zip(early["from_code"], early["to_code"], strict=True))


def replace(base, registered):
    """Put cells from registers in the place of the same measures of a panel.

    Parameters
    ----------
    base : DataFrame
        A panel; what an earlier delivery left in it goes.
    registered : DataFrame
        From `read`.

    Raises
    ------
    KokeiluError
        An earlier delivery had a measure of the open table that this one lacks, so that nothing
        is left to fall back on.
    """
    gone = base["vintage"].str.contains(VINTAGE)
    lost = sorted({*base.loc[gone, "measure"]} - {*registered["measure"], *MEASURES})
    if lost:
        raise KokeiluError(
            f"The panel has {lost[0]} from an earlier delivery, and this one lacks it. Restore "
            "data/processed from the repository, then build again."
        )
    kept = ~gone & ~base["measure"].isin(registered["measure"].unique())
    kept &= ~base["measure"].isin(MEASURES)  # months that an earlier delivery did not cover
    whole = pd.concat([base[kept], registered])
    whole = whole.astype({c: base[c].dtype for c in panel.COLUMNS})
    return whole.sort_values(["measure", "municipality", "month"], ignore_index=True)


def backlog(cells, units, group="target"):
    """Return the backlog: the share whose plan is out of date or missing, by unit and month.

    Parameters
    ----------
    cells : DataFrame
        Panel rows of the plan measures of `group`.
    units : Series
        Unit of each municipality (index `municipality`), such as the `area_id`.
    group : {"target", "all"}
        The trial's target group, or all jobseekers.

    Returns
    -------
    DataFrame
        ``unit, month, lower, upper`` (shares 0–1), ``customers_lower, customers_upper``
        (persons); the ends are equal unless cells of members are hidden. A unit without customers
        has no row.

    Examples
    --------
    20 valid plans, 70 out of date and 10 never made are a backlog of 0.8.
    """
    prefix, _ = GROUPS[group]
    owed = [f"{prefix}plan_out_of_date", f"{prefix}plan_never_made"]
    rows = cells[cells["measure"].isin([f"{prefix}plan_valid", *owed])]
    sums = panel.aggregate(rows, units)
    sums["measure"] = np.where(sums["measure"].isin(owed), "owed", "valid")
    ends = sums.groupby(["unit", "month", "measure"])[["lower", "upper"]].sum().unstack("measure")
    low, high = ends["lower"], ends["upper"]
    share = pd.DataFrame(
        {
            "lower": low["owed"] / (low["owed"] + high["valid"]),
            "upper": high["owed"] / (high["owed"] + low["valid"]),
            "customers_lower": low.sum(axis=1),
            "customers_upper": high.sum(axis=1),
        }
    )
    return share[share["customers_upper"] > 0].reset_index()


def built():
    """Tell whether the study's panel was built from registers."""
    return bool(store.origin(paths.PANEL))


def observed(municipalities, start):
    """Return `evidence` of the study's own panel."""
    plans = [name for name in MEASURES if name.startswith("target_plan")]
    cells = pd.read_parquet(paths.PANEL, filters=[("measure", "in", plans)])
    return evidence(cells, municipalities, start)


def evidence(cells, municipalities, start):
    """Turn the observed starting backlogs into statements, the form in which the methods take them.

    They hold on the last count day before the start, for the target group: the customers who were
    moved, with the plans they came with.

    Parameters
    ----------
    cells : DataFrame
        Panel rows; without the plan measures of a register there is nothing to state.
    municipalities : DataFrame
        `municipality`, `area_id`, `is_trial`.
    start : Timestamp
        Any day of the first month in the trial.

    Returns
    -------
    DataFrame
        Schema of the evidence register; `kind` is ``value``, or ``range`` where cells are hidden.
    """
    before = pd.Timestamp(start).to_period("M").to_timestamp() - pd.DateOffset(months=1)
    trial = municipalities[municipalities["is_trial"] == 1].set_index("municipality")["area_id"]
    rows = cells[(cells["month"] == before) & cells["measure"].isin(MEASURES)]
    rows = rows[rows["status"] != panel.NOT_YET]
    frame = pd.DataFrame(columns=EVIDENCE)
    if rows["measure"].eq("target_plan_valid").any():
        day = register_counts.count_days(pd.DatetimeIndex([before]))[0]
        found = backlog(rows, trial).rename(columns={"unit": "subject"})
        exact = found["lower"] == found["upper"]
        people = found["customers_lower"].map("{:.0f}".format)
        frame = found.assign(
            statement_id="register_" + found["subject"],
            source=rows["vintage"].iloc[0],
            refers_to_from=day,
            refers_to_to=day,
            kind=np.where(exact, "value", "range"),
            note="Target group on the last count day before the start, at least " + people,
        ).reindex(columns=EVIDENCE)
    frame[["weight", "reading", "replaces"]] = ["", "default", ""]
    dates = dict.fromkeys(["said_on", "refers_to_from", "refers_to_to"], "datetime64[us]")
    counts = {"count_low": "Int64", "count_high": "Int64", "lower": float, "upper": float}
    return frame.astype({**dates, **counts})
