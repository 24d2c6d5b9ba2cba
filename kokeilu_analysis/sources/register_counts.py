"""Spells to counts by municipality and month: group-bys and a running sum, no range join.

The stock on a count day is the number of spells that have begun less the number that have ended.
So a spell is met where it begins, where it has ended, and where something changes in between: a
plan is made or expires, a year of unemployment is full, a year of birth passes a limit. Each such
event is counted in the period it falls in, and the running sum over periods is the stock. Events
of blocks of spells can be counted apart and added, which is the form that scales.

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
DAY, EPOCH = pd.Timedelta(days=1), "1970-01-01"


class Event(NamedTuple):
    """What is counted when: spells, and the day on which something happens to them.

    `rows` is a condition (None: all spells). The day is a function `when` of the values of a
    `column`, worked out here for every value it can have, so that engines look days up and do no
    calendar arithmetic. `sums` are pairs (what is added up, where): what None stands for one a
    spell, where None for every spell.
    """

    rows: object
    column: str
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
    import ibis
    from ibis import _

    given = set(spells.columns)
    spells = spells.mutate(last=ibis.coalesce(_.end, _date(days[-1])))
    tables = {n: _grouped(spells, days, e) for n, e in _events(given, plan_days).items()}
    if "birth_year" in given:
        tables |= _birthdays(spells, days)
    places = tables["begun"].index.unique("municipality").sort_values()
    index = pd.MultiIndex.from_product([places, range(-1, len(days) - 1)], names=KEYS)
    tables = {n: t.reindex(index, fill_value=0).astype("int64") for n, t in tables.items()}
    return _assembled(tables, days)


def _events(given, plan_days):
    """Return the events that can be counted with the given columns, by name."""
    from ibis import _

    every, target = (None, None), (None, _.target_group)
    both = {"n": every, "target": target}
    later = _.plan_made > _.start  # a plan made on the first day belongs to the first state
    made = {"n": (None, later), "target": (None, later & _.target_group)}
    made |= {"first": every, "target_first": target}
    if "jobseeker_since" in given:
        waited = _.plan_made.delta(_.jobseeker_since, unit="day")
        made |= {"waited": (waited, None), "target_waited": (waited, _.target_group)}
    late = (_.plan_updated.delta(_.plan_made, unit="day") > plan_days).fill_null(False)
    in_time = _.plan_updated.notnull() & ~late

    def expires(days):
        return days + plan_days * DAY

    ended = _states("end", given, plan_days) | _left(given)
    events = {
        "begun": Event(None, "start", _same, _states("start", given, plan_days)),
        "ended": Event(_.end.notnull(), "end", _next, ended),
        "made": Event(_held("plan_made"), "plan_made", _same, made),
        "expired": Event(_inside("plan_made", plan_days) & ~in_time, "plan_made", expires, both),
        "renewed": Event(_inside("plan_updated", 0) & late, "plan_updated", _same, both),
        "lapsed": Event(_inside("plan_updated", plan_days), "plan_updated", expires, both),
    }
    if "unemployed_since" in given:
        long = _.last.delta(_.unemployed_since, unit="day") >= 365  # spares most rows the rest
        rows = _.status.isin(UNEMPLOYED) & long & ~_year_full("start") & _year_full("last")
        events["year_full"] = Event(rows, "unemployed_since", _year_later, {"n": every})
    if "interview" in given:
        events["interviews"] = Event(_held("interview"), "interview", _same, both)
    return events


def _states(at, given, plan_days):
    """Return what is counted of spells on their first or last day: {measure: sum}."""
    import ibis
    from ibis import _

    unemployed, target = _.status.isin(UNEMPLOYED), _.target_group
    made, updated = (_[at].delta(_[c], unit="day") for c in ("plan_made", "plan_updated"))
    planned = _.plan_made <= _[at]
    young = (made < plan_days) | updated.between(0, plan_days - 1)
    valid = ibis.cases((planned, young), else_=False)
    where = {
        "jobseekers": None,
        "unemployed": unemployed,
        "laid_off": _.status == LAID_OFF,
        "shortened_week": _.status == SHORTENED_WEEK,
        "target_group": target,
        "target_unemployed": target & unemployed,
        "planned": planned,
        "plan_valid": valid,
        "target_planned": target & planned,
        "target_plan_valid": target & valid,
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
        sums["since"] = (_.unemployed_since.delta(_date(EPOCH), unit="day"), unemployed)
    return sums


def _left(given):
    """Return what is counted of ended spells of unemployment beside their last state."""
    from ibis import _

    if "end_reason" not in given:
        return {}
    unemployed = _.status.isin(UNEMPLOYED)
    stays = unemployed & (_.end_reason == CONTINUES)
    left = {"continued": (None, stays)}
    left["to_work"] = (None, unemployed & (_.end_reason == TO_WORK))
    if "unemployed_since" in given:
        lasted = _.end.delta(_.unemployed_since, unit="day") + 1
        left["lasted"] = (lasted, unemployed & (_.end_reason != CONTINUES))
    return left


def _same(days):
    return days


def _next(days):
    return days + DAY


def _year_later(days):
    return days + pd.DateOffset(months=LONG_TERM_MONTHS)


def _held(column):
    """Whether a day falls into the spell."""
    from ibis import _

    return (_.start <= _[column]) & (_[column] <= _.last)


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

    lasted = _[at].delta(_.unemployed_since, unit="day")
    year = ibis.interval(months=LONG_TERM_MONTHS)
    exact = (_.unemployed_since + year).cast("date") <= _[at]
    # an engine works out the branches of a case only where it needs them
    return ibis.cases((lasted >= 366, True), (lasted == 365, exact), else_=False)


def _grouped(spells, days, event):
    """Add up an event by municipality and period.

    Events before the first period count in period -1, events after the last one nowhere.
    """
    import ibis
    import pyarrow as pa
    from ibis import _

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
    day = ibis.greatest(_[event.column], _date(values[first]))
    table = spells.mutate(event_day=day).join(ibis.memtable(pa.table(columns)), "event_day")
    table = table.group_by(KEYS).aggregate(**{n: _sum(*pair) for n, pair in event.sums.items()})
    return table.to_pandas().set_index(KEYS)


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
    rows = _.status.isin(UNEMPLOYED) & (first < last)
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
    change = begun - ended[begun.columns]
    for prefix, column in (("", "n"), ("target_", "target")):
        change[f"{prefix}planned"] += made[column]
        for event, sign in (("made", 1), ("expired", -1), ("renewed", 1), ("lapsed", -1)):
            change[f"{prefix}plan_valid"] += sign * tables[event][column]
    for measure, (_age, sign) in AGES.items():
        if measure in tables:
            change[measure] += sign * tables[measure]["n"]
    if "year_full" in tables:
        change["long_term_unemployed"] += tables["year_full"]["n"]
    table = change.groupby("municipality").cumsum()
    for prefix, everyone in (("", "jobseekers"), ("target_", "target_group")):
        planned = table.pop(f"{prefix}planned")
        table[f"{prefix}plan_out_of_date"] = planned - table[f"{prefix}plan_valid"]
        table[f"{prefix}plan_never_made"] = table[everyone] - planned
        table[f"{prefix}first_plans"] = made[f"{prefix}first"]
        if "waited" in made:
            table[f"{prefix}first_plan_days"] = made[f"{prefix}waited"]
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
        table["interviews"] = tables["interviews"]["n"]
        table["target_interviews"] = tables["interviews"]["target"]
    return table[table.index.get_level_values("period") >= 0]


def _date(day):
    import ibis

    return ibis.date(f"{pd.Timestamp(day):%Y-%m-%d}")
