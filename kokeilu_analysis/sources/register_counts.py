"""Spells to counts by municipality and month: group-bys and a running sum, no range join.

The stock on a count day is the number of spells that have begun less the number that have ended.
So a spell is met where it begins, where it has ended, on its first day with a plan, and where
something changes in between: a plan expires, a year of unemployment is full, a year of birth passes
a limit. Each such event is counted in the period it falls in, and the running sum over periods is
the stock. Events of blocks of spells can be counted apart and added, which is the form that scales.

Only whole numbers leave the engine; what follows is exact, so every engine gives the same bytes.
"""

# ruff: noqa: PD003, PD004  expressions of Ibis, not of pandas

from typing import NamedTuple

import numpy as np
import pandas as pd

UNEMPLOYED = ("02", "03")  # fully laid off jobseekers count as unemployed
LAID_OFF, SHORTENED_WEEK = "03", "04"
SERVICES = (
    *("subsidised_work", "work_practice", "tryout"),
    *("labour_training", "coaching", "other_services"),
)
CONTINUES, TO_WORK = "continues", "work"  # reasons why a spell ended
LONG_TERM_MONTHS = 12
AGES = {  # measure: age, and what reaching it does to the count
    "unemployed_under_20": (20, -1),
    "unemployed_under_25": (25, -1),
    "unemployed_over_50": (50, 1),
}
MARKED = {  # measure of unemployed: optional column and the value it must have
    "unemployed_foreign": ("foreign_national", True),
    "unemployed_men": ("sex", "man"),
    "unemployed_women": ("sex", "woman"),
    "unemployed_disabled": ("disabled", True),
    "fund_members": ("fund_member", True),
}
KEYS = ["municipality", "period"]
PREFIXES = "", "target_"  # all jobseekers, the target group
TARGET = {  # measures that are made of the target group as well
    *("jobseekers", "unemployed", "plan_valid", "plan_out_of_date", "plan_never_made"),
    *("first_plans", "first_plan_days", "interviews"),
}
DAY, EPOCH = pd.Timedelta(days=1), "1970-01-01"
NEVER = "2250-01-01"  # a day that no register reaches


class Event(NamedTuple):
    """What is counted when: spells, and the day on which something happens to them.

    `rows` is a condition (None: all spells). The event's day is a function `when` of the `day`
    in a spell, worked out here for every value it can have, so that engines look days up and do
    no calendar arithmetic. `sums` are pairs (what is added up, where): what None stands for one a
    spell, where None for every spell.
    """

    rows: object
    day: object
    when: object
    sums: dict


def count_days(months):
    """Return the last working day of each month, the day on which jobseekers are counted.

    Saturdays, Sundays and the Finnish holidays that can be the last weekdays of a month (Good
    Friday, Easter Monday, Ascension Day) are no working days.

    Parameters
    ----------
    months : DatetimeIndex
        Any day of each month.

    Returns
    -------
    DatetimeIndex

    Examples
    --------
    >>> count_days(pd.to_datetime(["2021-02-01", "2024-03-01"])).strftime("%d.%m.%Y").tolist()
    ['26.02.2021', '28.03.2024']
    """
    from dateutil.easter import easter

    days = []
    for month in months:
        holidays = {pd.Timestamp(easter(month.year)) + n * DAY for n in (-2, 1, 39)}
        day = month + pd.offsets.MonthEnd(0)
        while day.day_of_week > 4 or day in holidays:
            day -= DAY
        days.append(day)
    return pd.DatetimeIndex(days)


def counts(spells, days, plan_days):
    """Count stocks on count days and flows between them.

    Parameters
    ----------
    spells : ibis.Table
        Checked spells, columns as in `register_spells.COLUMNS`. Without an optional column the
        measures that need it are left out.
    days : DatetimeIndex
        The count day before the first period, then the count day of each period, in order. A
        period runs from the day after one count day to the next.
    plan_days : int
        A plan is valid for so many days, the one it was made or last updated on included.

    Returns
    -------
    DataFrame
        Index (`municipality`, `period` 0 … n-1), one ``int64`` column a measure: persons, for
        ``…_days`` days. Stock = stock of the period before + inflow - outflow, exactly.
    """
    given = set(spells.columns)
    spells = spells.mutate(**_derived(given, days[-1]))
    tables = {n: _grouped(spells, days, e) for n, e in _events(given, plan_days).items()}
    if "birth_year" in given:
        tables |= _birthdays(spells, days)
    places = tables["begun"].index.unique("municipality").sort_values()
    index = pd.MultiIndex.from_product([places, range(-1, len(days) - 1)], names=KEYS)
    tables = {n: t.reindex(index, fill_value=0).astype("int64") for n, t in tables.items()}
    return _assembled(tables, days)


def _derived(given, last_day):
    """Return columns that many sums need: {name: value}."""
    import ibis
    from ibis import _

    out, laid_off = UNEMPLOYED
    unemployed = (_.status == out) | (_.status == laid_off)  # half of what `isin` costs in DuckDB
    columns = {"unemployed": unemployed, "last": ibis.coalesce(_.end, _date(last_day))}
    if "unemployed_since" in given:
        # only the unemployed have one, and an engine is far slower at what can be empty
        columns["since"] = ibis.coalesce(_.unemployed_since, _date(NEVER))
    return columns


def _events(given, plan_days):
    """Return the events that can be counted with the given columns, by name."""
    import ibis
    from ibis import _

    every = {"n": (None, None)}
    late = (_.plan_updated.delta(_.plan_made, unit="day") > plan_days).fill_null(True)  # or never
    planned = ibis.greatest(_.start, _.plan_made)  # first day with a plan

    def expires(days):
        return days + plan_days * DAY

    ended = _states("last", given) | _planned(plan_days) | _left(given)
    events = {
        "begun": Event(None, _.start, _same, _states("start", given)),
        "ended": Event(_.end.notnull(), _.last, _next, ended),
        "made": Event(_.plan_made.notnull(), planned, _same, _made(given, plan_days)),
        "expired": Event(_inside("plan_made", plan_days) & late, _.plan_made, expires, every),
        "renewed": Event(_inside("plan_updated", 0) & late, _.plan_updated, _same, every),
        "lapsed": Event(_inside("plan_updated", plan_days), _.plan_updated, expires, every),
    }
    if "unemployed_since" in given:
        long = _.last.delta(_.unemployed_since, unit="day") >= 365  # spares most rows the rest
        rows = _.unemployed & long & ~_year_full("start") & _year_full("last")
        events["year_full"] = Event(rows, _.unemployed_since, _year_later, every)
    if "interview" in given:
        held = _.interview.between(_.start, _.last)
        events["interviews"] = Event(held, _.interview, _same, every)
    return events


def _states(at, given):
    """Return what is counted of spells on their first or last day: {measure: sum}."""
    from ibis import _

    unemployed = _.unemployed
    where = {
        "jobseekers": None,
        "unemployed": unemployed,
        "laid_off": _.status == LAID_OFF,
        "shortened_week": _.status == SHORTENED_WEEK,
    }
    if "service" in given:
        where |= {name: _.service == name for name in SERVICES}
    for name, (column, value) in MARKED.items():
        if column in given:
            where[name] = unemployed & (_[column] if value is True else _[column] == value)
    if "birth_year" in given:
        age = _[at].year() - _.birth_year
        for name, (limit, sign) in AGES.items():
            where[name] = unemployed & (age < limit if sign < 0 else age >= limit)
    if "unemployed_since" in given:
        where["long_term_unemployed"] = unemployed & _year_full(at)
    sums = {name: (None, condition) for name, condition in where.items()}
    if "unemployed_since" in given:
        sums["since"] = (_.since.delta(_date(EPOCH), unit="day"), unemployed)
    return sums


def _made(given, plan_days):
    """Return what is counted on the first day with a plan in a spell: {measure: sum}."""
    from ibis import _

    made, updated = (_.start.delta(_[c], unit="day") for c in ("plan_made", "plan_updated"))
    valid = (made < plan_days) | updated.between(0, plan_days - 1)
    first = made <= 0
    sums = {"planned": (None, None), "plan_valid": (None, valid), "first_plans": (None, first)}
    if "jobseeker_since" in given:
        sums["first_plan_days"] = (_.plan_made.delta(_.jobseeker_since, unit="day"), first)
    return sums


def _planned(plan_days):
    """Return what is counted of plans on the last day of a spell: {measure: sum}.

    No plan that a spell knows is later than its end, so the newest date decides.
    """
    import ibis
    from ibis import _

    newest = ibis.coalesce(_.plan_updated, _.plan_made, _date(NEVER))
    valid = _.last.delta(newest, unit="day").between(0, plan_days - 1)
    return {"planned": (None, _.plan_made.notnull()), "plan_valid": (None, valid)}


def _left(given):
    """Return what is counted of ended spells of unemployment beside their last state."""
    from ibis import _

    if "end_reason" not in given:
        return {}
    stays = _.end_reason == CONTINUES
    left = {"continued": (None, _.unemployed & stays)}
    left["to_work"] = (None, _.unemployed & (_.end_reason == TO_WORK))
    if "unemployed_since" in given:
        lasted = _.last.delta(_.since, unit="day") + 1
        left["lasted"] = (lasted, _.unemployed & ~stays)
    return left


def _same(days):
    return days


def _next(days):
    return days + DAY


def _year_later(days):
    return days + pd.DateOffset(months=LONG_TERM_MONTHS)


def _inside(column, after):
    """Whether the day `after` days later falls into the spell, but not on its first day."""
    from ibis import _

    begins, ends = (_[edge].delta(_[column], unit="day") for edge in ("start", "last"))
    return (begins < after) & (after <= ends)


def _year_full(at):
    """Whether twelve months of unemployment are full on a day.

    They have 365 or 366 days, so only after exactly 365 must the engine do calendar arithmetic.
    """
    import ibis
    from ibis import _

    lasted = _[at].delta(_.since, unit="day")
    year = ibis.interval(months=LONG_TERM_MONTHS)
    exact = (_.since + year).cast("date") <= _[at]
    # an engine works out the branches of a case only where it needs them
    return ibis.cases((lasted >= 366, True), (lasted == 365, exact), else_=False)


def _grouped(spells, days, event):
    """Add up an event by municipality and period, of all spells and of the target group.

    Events before the first period count in period -1, events after the last one nowhere. The
    target group is a key: that costs no more than a second sum of each measure, and says it once.
    """
    import ibis
    import pyarrow as pa

    values = pd.date_range(days[0] - 1000 * DAY, days[-1])
    period = np.searchsorted(days, event.when(values)) - 1
    first = int(np.searchsorted(period, 0)) - 1  # the last day that counts as before
    kept = slice(first, int(np.searchsorted(period, len(days) - 1)))
    columns = {
        "event_day": pa.array(values[kept].date, pa.date32()),
        "period": pa.array(period[kept], pa.int16()),
    }
    if event.rows is not None:
        spells = spells.filter(event.rows)
    day = ibis.greatest(event.day, _date(values[first]))
    table = spells.mutate(event_day=day).join(ibis.memtable(pa.table(columns)), "event_day")
    sums = {name: _sum(*pair) for name, pair in event.sums.items()}
    table = table.group_by(*KEYS, "target_group").aggregate(**sums).to_pandas()
    target = table[table.pop("target_group")].set_index(KEYS).add_prefix("target_")
    every = table.groupby(KEYS).sum()
    return every.join(target.reindex(every.index, fill_value=0))


def _sum(what, where):
    from ibis import _

    if what is None and where is None:
        return _.count()
    added = _.count(where=where) if what is None else what.sum(where=where)
    return added.fill_null(0).cast("int64")  # Spark's count of conditions that are null is null


def _birthdays(spells, days):
    """Count unemployed spells in which a year begins that makes the person so old.

    Grouped by year of birth in the engine; the period of the event follows from it.
    """
    from ibis import _

    first, last = _.start.year(), _.last.year()
    counts = {
        name: _.count(where=(first < _.birth_year + age) & (_.birth_year + age <= last))
        for name, (age, _sign) in AGES.items()
    }
    rows = _.unemployed & (first < last)
    table = spells.filter(rows).group_by("municipality", "birth_year").aggregate(**counts)
    table, found = table.to_pandas(), {}
    for name, (age, _sign) in AGES.items():
        new_year = pd.to_datetime((table["birth_year"] + age).astype(str) + "-01-01")
        periods = table.assign(n=table[name], period=np.searchsorted(days, new_year).clip(0) - 1)
        found[name] = periods.groupby(KEYS)[["n"]].sum()
    return found


def _assembled(tables, days):
    """Turn events into stocks on the count days and flows of the periods."""
    begun, ended, made = tables["begun"], tables["ended"], tables["made"]
    change = begun.join(made.filter(regex="planned|plan_valid"))
    change -= ended[change.columns]
    for event, sign in (("expired", -1), ("renewed", 1), ("lapsed", -1)):
        for prefix in PREFIXES:
            change[f"{prefix}plan_valid"] += sign * tables[event][f"{prefix}n"]
    for measure, (_age, sign) in AGES.items():
        if measure in tables:
            change[measure] += sign * tables[measure]["n"]
    if "year_full" in tables:
        change["long_term_unemployed"] += tables["year_full"]["n"]
    table = change.groupby("municipality").cumsum()
    for prefix in PREFIXES:
        planned = table.pop(f"{prefix}planned")
        table[f"{prefix}plan_out_of_date"] = planned - table[f"{prefix}plan_valid"]
        table[f"{prefix}plan_never_made"] = table[f"{prefix}jobseekers"] - planned
        for flow in ("first_plans", "first_plan_days"):
            if flow in made:
                table[f"{prefix}{flow}"] = made[f"{prefix}{flow}"]
    if "since" in table:
        elapsed = (days - pd.Timestamp(EPOCH)).days.to_numpy()
        on = elapsed[table.index.get_level_values("period") + 1]
        table["unemployed_days"] = on * table["unemployed"] - table.pop("since")
    if "continued" in ended:
        table["unemployed_inflow"] = begun["unemployed"] - ended["continued"]
        table["unemployed_outflow"] = ended["unemployed"] - ended["continued"]
        table["unemployed_outflow_work"] = ended["to_work"]
    if "lasted" in ended:
        table["unemployed_outflow_days"] = ended["lasted"]
    if "interviews" in tables:
        for prefix in PREFIXES:
            table[f"{prefix}interviews"] = tables["interviews"][f"{prefix}n"]
    kept = [n for n in table if not n.startswith("target_") or n.removeprefix("target_") in TARGET]
    table = table[kept].rename(columns={"target_jobseekers": "target_group"})
    return table[table.index.get_level_values("period") >= 0]


def _date(day):
    import ibis

    return ibis.date(f"{pd.Timestamp(day):%Y-%m-%d}")
