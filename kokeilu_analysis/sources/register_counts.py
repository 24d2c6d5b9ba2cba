"""Spells to counts by municipality and month: group-bys and a running sum, no range join.

The stock on a count day is the number of spells that have begun less the number that have ended.
So a spell is met where it begins, where it has ended, and where something changes in between: a
plan is made or expires, a year of unemployment is full, a year of birth passes a limit. Each such
event is counted in the period it falls in, and the running sum over periods is the stock. Events
of blocks of spells can be counted apart and added, which is the form that scales.

Only whole numbers leave the engine; what follows is exact, so every engine gives the same bytes.
"""

# ruff: noqa: PD003, PD004  expressions of Ibis, not of pandas

from functools import partial

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
    if "unemployed_since" in given:
        year = ibis.interval(months=LONG_TERM_MONTHS)
        full = (_.unemployed_since + year).cast("date")
        spells = spells.mutate(year_full=full, long_term_from=ibis.greatest(_.start, full))
    tables = {
        name: _grouped(spells, days, *event) for name, event in _events(given, plan_days).items()
    }
    places = tables["begun"].index.unique("municipality").sort_values()
    index = pd.MultiIndex.from_product([places, range(-1, len(days) - 1)], names=KEYS)
    return _assembled({n: t.reindex(index, fill_value=0) for n, t in tables.items()}, days)


def _events(given, plan_days):
    """Return what is counted when: {event: (rows, column, its day, metrics)}.

    The day is a function of the column; it is worked out here for every value the column can
    have, so that engines look days up and do no calendar arithmetic. A metric is (what is added
    up, where); None stands for one a row, and for every row.
    """
    from ibis import _

    unemployed = _.status.isin(UNEMPLOYED)
    alone, both = {"n": (None, None)}, {"n": (None, None), "target": (None, _.target_group)}
    later = _.plan_made > _.start  # a plan made on the first day belongs to the first state
    made = {"n": (None, later), "target": (None, later & _.target_group)}
    made |= {"first": (None, None), "target_first": (None, _.target_group)}
    if "jobseeker_since" in given:
        waited = _.plan_made.delta(_.jobseeker_since, unit="day")
        made |= {"first_days": (waited, None), "target_first_days": (waited, _.target_group)}
    late = (_.plan_updated.delta(_.plan_made, unit="day") > plan_days).fill_null(False)
    in_time = _.plan_updated.notnull() & ~late

    def expires(column):
        return column + plan_days * DAY

    events = {
        "begun": (None, "start", _same, _states("start", given, plan_days)),
        "ended": (
            _.end.notnull(),
            "end",
            _next,
            _states("end", given, plan_days) | _left(given),
        ),
        "made": ((_.start <= _.plan_made) & (_.plan_made <= _.last), "plan_made", _same, made),
        "expired": (_inside("plan_made", plan_days) & ~in_time, "plan_made", expires, both),
        "renewed": (_inside("plan_updated", 0) & late, "plan_updated", _same, both),
        "lapsed": (_inside("plan_updated", plan_days), "plan_updated", expires, both),
    }
    if "unemployed_since" in given:
        # no year is shorter than 365 days; the first condition spares the others most rows
        a_year = _.last.delta(_.unemployed_since, unit="day") >= 365
        rows = unemployed & a_year & (_.year_full <= _.last)
        events["long_term_begun"] = (rows, "long_term_from", _same, alone)
        events["long_term_ended"] = (rows & _.end.notnull(), "end", _next, alone)
    if "birth_year" in given:
        for name, (age, _sign) in AGES.items():
            first, last = (_[column].year() - age for column in ("start", "last"))
            rows = unemployed & (first < _.birth_year) & (_.birth_year <= last)
            events[name] = (rows, "birth_year", partial(_birthday, age=age), alone)
    if "interview" in given:
        held = (_.start <= _.interview) & (_.interview <= _.last)
        events["interview"] = (held, "interview", _same, both)
    return events


def _same(days):
    return days


def _next(days):
    return days + DAY


def _birthday(years, age):
    """Day from which those born in a year count as `age` old: a register may have no more."""
    return pd.DatetimeIndex([f"{year + age}-01-01" for year in years])


def _inside(column, after):
    """Whether the day `after` days later falls into the spell, but not on its first day."""
    from ibis import _

    begins, ends = (_[edge].delta(_[column], unit="day") for edge in ("start", "last"))
    return (begins < after) & (after <= ends)


def _states(at, given, plan_days):
    """Return what is counted of spells on their first or last day: {measure: metric}."""
    from ibis import _

    day, unemployed = _[at], _.status.isin(UNEMPLOYED)
    ages = [day.delta(_[column], unit="day") for column in ("plan_made", "plan_updated")]
    planned = ages[0] >= 0
    valid = ages[0].between(0, plan_days - 1) | ages[1].between(0, plan_days - 1)
    where = {
        "jobseekers": None,
        "unemployed": unemployed,
        "laid_off": _.status == LAID_OFF,
        "shortened_week": _.status == SHORTENED_WEEK,
        "target_group": _.target_group,
        "target_unemployed": _.target_group & unemployed,
        "planned": planned,
        "plan_valid": valid,
        "target_planned": _.target_group & planned,
        "target_plan_valid": _.target_group & valid,
    }
    if "service" in given:
        where |= {name: _.service == name for name in SERVICES}
    for name, (column, value) in MARKED.items():
        if column in given:
            where[name] = unemployed & (_[column] if value is True else _[column] == value)
    if "birth_year" in given:
        age = day.year() - _.birth_year
        for name, (limit, sign) in AGES.items():
            where[name] = unemployed & (age < limit if sign < 0 else age >= limit)
    states = {name: (None, condition) for name, condition in where.items()}
    if "unemployed_since" in given:
        states["since"] = (_.unemployed_since.delta(_date(EPOCH), unit="day"), unemployed)
    return states


def _left(given):
    """Return what is counted of ended spells of unemployment beside their last state."""
    from ibis import _

    if "end_reason" not in given:
        return {}
    unemployed = _.status.isin(UNEMPLOYED)
    left = {
        "continued": (None, unemployed & (_.end_reason == CONTINUES)),
        "to_work": (None, unemployed & (_.end_reason == TO_WORK)),
    }
    if "unemployed_since" in given:
        lasted = _.end.delta(_.unemployed_since, unit="day") + 1
        left["lasted"] = (lasted, unemployed & (_.end_reason != CONTINUES))
    return left


def _grouped(spells, days, rows, column, day, metrics):
    """Add up metrics of some rows by municipality and by the period that the event falls in.

    Events before the first period count in period -1, events after the last one nowhere.
    """
    import ibis
    import pyarrow as pa
    from ibis import _

    if column == "birth_year":
        keys = np.arange(1850, days[-1].year + 1)
        values = pa.array(keys, spells[column].type().to_pyarrow())
    else:
        keys = pd.date_range(days[0] - 1000 * DAY, days[-1])
        values = pa.array(keys.date, pa.date32())
    period = np.searchsorted(days, day(keys)) - 1
    first = int(np.searchsorted(period, 0)) - 1  # the last value that counts as before
    kept = slice(first, int(np.searchsorted(period, len(days) - 1)))
    columns = {"event": values[kept], "period": pa.array(period[kept], pa.int16())}
    calendar = ibis.memtable(pa.table(columns))
    if rows is not None:
        spells = spells.filter(rows)
    since = ibis.literal(values[first].as_py())
    table = spells.mutate(event=ibis.greatest(_[column], since)).join(calendar, "event")
    table = table.group_by(KEYS).agg(**{name: _metric(*m) for name, m in metrics.items()})
    return table.to_pandas().set_index(KEYS).astype("int64")


def _metric(what, where):
    from ibis import _

    if what is None:
        return _.count() if where is None else _.count(where=where)
    return what.sum(where=where).fill_null(0).cast("int64")


def _assembled(tables, days):
    """Turn events into stocks on the count days and flows of the periods."""
    begun, ended, made = tables["begun"], tables["ended"], tables["made"]
    change = begun - ended[begun.columns]
    for measure, event, sign in (
        ("planned", "made", 1),
        ("plan_valid", "made", 1),
        ("plan_valid", "expired", -1),
        ("plan_valid", "renewed", 1),
        ("plan_valid", "lapsed", -1),
    ):
        change[measure] += sign * tables[event]["n"]
        change[f"target_{measure}"] += sign * tables[event]["target"]
    for measure, (_age, sign) in AGES.items():
        if measure in tables:
            change[measure] += sign * tables[measure]["n"]
    if "long_term_begun" in tables:
        begins, ends = (tables[f"long_term_{event}"]["n"] for event in ("begun", "ended"))
        change["long_term_unemployed"] = begins - ends
    table = change.groupby("municipality").cumsum()
    for prefix, everyone in (("", "jobseekers"), ("target_", "target_group")):
        planned = table.pop(f"{prefix}planned")
        table[f"{prefix}plan_out_of_date"] = planned - table[f"{prefix}plan_valid"]
        table[f"{prefix}plan_never_made"] = table[everyone] - planned
        table[f"{prefix}first_plans"] = made[f"{prefix}first"]
        if f"{prefix}first_days" in made:
            table[f"{prefix}first_plan_days"] = made[f"{prefix}first_days"]
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
    if "interview" in tables:
        table["interviews"] = tables["interview"]["n"]
        table["target_interviews"] = tables["interview"]["target"]
    return table[table.index.get_level_values("period") >= 0]


def _date(day):
    import ibis

    return ibis.date(f"{pd.Timestamp(day):%Y-%m-%d}")
