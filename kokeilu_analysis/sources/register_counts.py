"""Spells to counts by municipality and month: group-bys and a running sum, no range join.

The stock on a count day is the number of spells that have begun less the number that have ended.
So a spell is met where it begins, where it has ended, and where something changes in between: a
plan is made or expires, a year of unemployment is full, a year of birth passes a limit. Each such
event is counted in the period it falls in, and the running sum over periods is the stock. Events
of blocks of spells can be counted apart and added, which is the form that scales.

The engine counts spells by class, such as unemployed, target group and state of the plan together:
one count a class is much cheaper than one a measure. Measures are sums of classes, made here. Only
whole numbers leave the engine and what follows is exact, so every engine gives the same bytes.
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
NONE, OLD, VALID = 0, 1, 2  # states of a plan


class Event(NamedTuple):
    """What is counted when: spells, and the day on which something happens to them.

    `rows` is a condition (None: all spells). The day is a function `when` of the values of a
    `column`, worked out here for every value it can have, so that engines look days up and do no
    calendar arithmetic. Spells are counted by `classes`, and `sums` are added up, of a pair
    (what, where); what None stands for one a spell.
    """

    rows: object
    column: str
    when: object
    classes: dict
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
        tables["birthdays"] = _birthdays(spells)
    places = np.unique(tables["begun"]["municipality"])
    index = pd.MultiIndex.from_product([places, range(-1, len(days) - 1)], names=KEYS)
    return _assembled(tables, index, days)


def _events(given, plan_days):
    """Return the events that can be counted with the given columns, by name."""
    from ibis import _

    target = {"target": _.target_group}
    late = (_.plan_updated.delta(_.plan_made, unit="day") > plan_days).fill_null(False)
    in_time = _.plan_updated.notnull() & ~late
    made = (_.start <= _.plan_made) & (_.plan_made <= _.last)
    first = {"later": (None, _.plan_made > _.start)}  # one made on the first day is no change
    if "jobseeker_since" in given:
        first["waited"] = (_.plan_made.delta(_.jobseeker_since, unit="day"), None)

    def expires(days):
        return days + plan_days * DAY

    events = {
        **_edge("begun", None, "start", _same, given, plan_days),
        **_edge("ended", _.end.notnull(), "end", _next, given, plan_days),
        "made": Event(made, "plan_made", _same, target, first),
        "expired": Event(
            _inside("plan_made", plan_days) & ~in_time, "plan_made", expires, target, {}
        ),
        "renewed": Event(_inside("plan_updated", 0) & late, "plan_updated", _same, target, {}),
        "lapsed": Event(_inside("plan_updated", plan_days), "plan_updated", expires, target, {}),
    }
    if "unemployed_since" in given:
        rows = _.status.isin(UNEMPLOYED) & ~_year_full("start") & _year_full("last")
        events["year_full"] = Event(rows, "unemployed_since", _year_later, {}, {})
    if "interview" in given:
        held = (_.start <= _.interview) & (_.interview <= _.last)
        events["interviews"] = Event(held, "interview", _same, target, {})
    return events


def _edge(name, rows, at, when, given, plan_days):
    """Return what is counted of spells where they begin, or where they have ended."""
    import ibis
    from ibis import _

    def of(condition):
        return condition if rows is None else rows & condition

    unemployed = _.status.isin(UNEMPLOYED)
    made, updated = (_[at].delta(_[c], unit="day") for c in ("plan_made", "plan_updated"))
    valid = made.between(0, plan_days - 1) | updated.between(0, plan_days - 1)
    plan = ibis.cases((valid, VALID), (made >= 0, OLD), else_=NONE)
    classes = {"unemployed": unemployed, "target": _.target_group, "plan": plan}
    events = {name: Event(rows, at, when, classes, {})}
    beside = _.status.isin((LAID_OFF, SHORTENED_WEEK))
    classes = {"status": _.status}
    if "service" in given:
        beside, classes = beside | _.service.notnull(), classes | {"service": _.service}
    events[f"{name}_beside"] = Event(of(beside), at, when, classes, {})
    classes = {}
    sums = {
        measure: (None, _[column] if value is True else _[column] == value)
        for measure, (column, value) in MARKED.items()
        if column in given
    }
    if "birth_year" in given:
        age = _[at].year() - _.birth_year
        limits = [(age >= limit, n) for n, (limit, _sign) in enumerate(AGES.values(), 1)]
        classes["age"] = ibis.cases(*reversed(limits), else_=0)  # how many have been reached
    if "unemployed_since" in given:
        classes["long"] = _year_full(at)
        sums["since"] = (_.unemployed_since.delta(_date(EPOCH), unit="day"), None)
    if at == "end" and "end_reason" in given:
        stays = _.end_reason == CONTINUES
        sums |= {"continued": (None, stays), "to_work": (None, _.end_reason == TO_WORK)}
        if "unemployed_since" in given:
            sums["lasted"] = (_.end.delta(_.unemployed_since, unit="day") + 1, ~stays)
    events[f"{name}_unemployed"] = Event(of(unemployed), at, when, classes, sums)
    return events


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

    lasted = _[at].delta(_.unemployed_since, unit="day")
    year = ibis.interval(months=LONG_TERM_MONTHS)
    return (lasted >= 366) | ((lasted == 365) & ((_.unemployed_since + year).cast("date") <= _[at]))


def _grouped(spells, days, event):
    """Count an event by municipality, period and class.

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
    sums = {name: _sum(*pair) for name, pair in event.sums.items()}
    table = table.group_by(*KEYS, **event.classes).aggregate(n=_.count(), **sums)
    return table.to_pandas()


def _sum(what, where):
    from ibis import _

    if what is None:
        return _.count(where=where)
    return what.sum(where=where).fill_null(0).cast("int64")


def _birthdays(spells):
    """Count unemployed spells in which a year begins that makes the person so old.

    By municipality and year of birth; the year of the event follows from it.
    """
    from ibis import _

    first, last = _.start.year(), _.last.year()
    counts = {
        name: _.count(where=(first < _.birth_year + age) & (_.birth_year + age <= last))
        for name, (age, _sign) in AGES.items()
    }
    rows = _.status.isin(UNEMPLOYED) & (first < last)
    table = spells.filter(rows).group_by("municipality", "birth_year").aggregate(**counts)
    return table.to_pandas()


def _assembled(tables, index, days):
    """Add up classes, turn events into stocks on the count days and flows of the periods."""

    def added(name, where=None, column="n"):
        table = tables[name] if where is None else tables[name].query(where)
        return table.groupby(KEYS)[column].sum().reindex(index, fill_value=0).astype("int64")

    change = pd.DataFrame(
        {
            measure: added(f"begun{part}", where, column) - added(f"ended{part}", where, column)
            for measure, (part, where, column) in _sums_of_classes(tables).items()
        }
    )
    for prefix, where in (("", None), ("target_", "target")):
        made = added("made", where, "later")
        change[f"{prefix}planned"] += made
        for event, sign in (("expired", -1), ("renewed", 1), ("lapsed", -1)):
            made = made + sign * added(event, where)
        change[f"{prefix}plan_valid"] += made
    if "year_full" in tables:
        change["long_term_unemployed"] += added("year_full")
    if "birthdays" in tables:
        for measure, (age, sign) in AGES.items():
            turned = tables["birthdays"].assign(n=tables["birthdays"][measure])
            new_year = pd.to_datetime((turned["birth_year"] + age).astype(str) + "-01-01")
            turned["period"] = np.searchsorted(days, new_year).clip(0) - 1
            sizes = turned.groupby(KEYS)["n"].sum().reindex(index, fill_value=0)
            change[measure] += sign * sizes.astype("int64")
    table = change.groupby("municipality").cumsum()
    for prefix, everyone, where in (
        ("", "jobseekers", None),
        ("target_", "target_group", "target"),
    ):
        planned = table.pop(f"{prefix}planned")
        table[f"{prefix}plan_out_of_date"] = planned - table[f"{prefix}plan_valid"]
        table[f"{prefix}plan_never_made"] = table[everyone] - planned
        table[f"{prefix}first_plans"] = added("made", where)
        if "waited" in tables["made"]:
            table[f"{prefix}first_plan_days"] = added("made", where, "waited")
        if "interviews" in tables:
            table[f"{prefix}interviews"] = added("interviews", where)
    if "since" in table:
        elapsed = (days - pd.Timestamp(EPOCH)).days.to_numpy()
        on = elapsed[table.index.get_level_values("period") + 1]
        table["unemployed_days"] = on * table["unemployed"] - table.pop("since")
    left = "ended_unemployed"
    if "continued" in tables[left]:
        stayed = added(left, None, "continued")
        table["unemployed_inflow"] = added("begun_unemployed") - stayed
        table["unemployed_outflow"] = added(left) - stayed
        table["unemployed_outflow_work"] = added(left, None, "to_work")
    if "lasted" in tables[left]:
        table["unemployed_outflow_days"] = added(left, None, "lasted")
    return table[table.index.get_level_values("period") >= 0]


def _sums_of_classes(tables):
    """Return how stocks are added up from classes: {measure: (event, classes, column)}."""
    sums = {
        "jobseekers": ("", None, "n"),
        "unemployed": ("", "unemployed", "n"),
        "target_group": ("", "target", "n"),
        "target_unemployed": ("", "target and unemployed", "n"),
        "planned": ("", f"plan != {NONE}", "n"),
        "plan_valid": ("", f"plan == {VALID}", "n"),
        "target_planned": ("", f"target and plan != {NONE}", "n"),
        "target_plan_valid": ("", f"target and plan == {VALID}", "n"),
        "laid_off": ("_beside", f"status == '{LAID_OFF}'", "n"),
        "shortened_week": ("_beside", f"status == '{SHORTENED_WEEK}'", "n"),
    }
    if "service" in tables["begun_beside"]:
        sums |= {name: ("_beside", f"service == '{name}'", "n") for name in SERVICES}
    given = tables["begun_unemployed"].columns
    sums |= {name: ("_unemployed", None, name) for name in (*MARKED, "since") if name in given}
    if "long" in given:
        sums["long_term_unemployed"] = ("_unemployed", "long", "n")
    if "age" in given:
        for number, (name, (_age, sign)) in enumerate(AGES.items()):
            passed = f"age > {number}"
            sums[name] = ("_unemployed", passed if sign > 0 else f"not {passed}", "n")
    return sums


def _date(day):
    import ibis

    return ibis.date(f"{pd.Timestamp(day):%Y-%m-%d}")
