"""What makes delivered spells wrong, and how it is said.

A message names file, column, number of spells and one row. It never shows what stands in a cell:
in columns that were mixed up it could be somebody's identity.
"""

# ruff: noqa: PD003, PD004  expressions of Ibis, not of pandas

from dataclasses import dataclass
from functools import reduce
from operator import or_

import pandas as pd

from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import register_engines
from kokeilu_analysis.sources.register_counts import NEVER, SERVICES, UNEMPLOYED
from kokeilu_analysis.sources.register_spells import (
    CELLS,
    KINDS,
    REASONS,
    STATUS,
    read,
    said_safely,
    text_of,
)

OLDEST = 1900  # year of birth
LONGEST_DAYS = 18_263  # fifty years: nobody is unemployed or a jobseeker for longer without a break
PLACE = ("file", "row")
FILLED = (  # columns without an empty cell
    *("person_id", "municipality", "start", "status", "target_group", "jobseeker_since"),
    *("birth_year", "foreign_national", "sex", "disabled", "fund_member"),
)


@dataclass(frozen=True)
class Rule:
    """What makes a row wrong: `broken`, a condition."""

    column: str
    broken: object
    found: str
    expected: str
    advice: str = None


def check(delivery, municipalities, last_day):
    """Refuse a delivery with a wrong row.

    Parameters
    ----------
    delivery : Delivery
    municipalities : iterable of str
        Known codes.
    last_day : Timestamp
        Last day that the delivery covers.

    Returns
    -------
    int
        Number of spells.

    Raises
    ------
    DataError
        File, column, number of such rows in the delivery, and the first of them: the row of a
        Parquet file counted from 1, the line of a CSV (the header is line 1). A table has no
        order of rows.
    """
    _refuse_unlisted(delivery, _lists(delivery.spells.columns, municipalities))
    _refuse(delivery, _rules(delivery.spells.columns, last_day), _as_delivered)
    _refuse(delivery, [_person_rule()], _by_person)
    with said_safely(delivery.name):
        rows = int(delivery.spells.count().to_pandas())
    if not rows:
        raise DataError(delivery.name, "no spells", "at least one")
    return rows


def _lists(columns, municipalities):
    """Return the values that columns of text can have."""
    lists = {"municipality": sorted(municipalities), "status": STATUS, "sex": ("man", "woman")}
    lists |= {"service": SERVICES, "end_reason": REASONS}
    return {name: values for name, values in lists.items() if name in columns}


def _refuse_unlisted(delivery, lists):
    """Refuse columns with a value that is not in their list; few values are cheaper to compare."""
    import ibis
    from ibis import _

    # cut after the longest listed one: a longer text must not leave the engine
    ends = {name: max(map(len, values)) + 1 for name, values in lists.items()}
    with said_safely(delivery.name):
        few = {name: delivery.spells.select(value=name).distinct() for name in lists}
        cut = [
            few[name].select(value=_.value.left(end), column=ibis.literal(name)).distinct()
            for name, end in ends.items()
        ]
        found = ibis.union(*cut).to_pandas().dropna().groupby("column")["value"].agg(set)
    for name, values in lists.items():
        if found.get(name, set()) <= {*values}:
            continue
        expected, advice = f"one of {', '.join(values)}", None
        if name == "municipality":
            expected = "a code of the municipal division of 2021"
            advice = "Leave out people whose municipality is not known, and say how many they are."
        rule = Rule(name, ~_[name].isin(values), "with another value", expected, advice)
        _refuse(delivery, [rule], _as_delivered)


def _rules(columns, last_day):
    """Return the rules on single rows, the most basic first."""
    import ibis
    from ibis import _

    rules = []
    for name in columns:
        if KINDS.get(name) in CELLS and text_of(name) in columns:
            form, wanted, _type = CELLS[KINDS[name]]
            text = _[text_of(name)]
            broken = text.notnull() & (~text.re_search(form) | _[name].isnull())
            rules.append(Rule(name, broken, "with another form", wanted))
    unemployed = _.status.isin(UNEMPLOYED)
    for name in FILLED:
        rules.append(Rule(name, _[name].isnull(), "with an empty cell", "a value"))
    for name, where in (("unemployed_since", True), ("end_reason", _.end.notnull())):
        broken = unemployed & _[name].isnull() & where
        expected = "a value for everybody unemployed" + ("" if where is True else " that has ended")
        rules.append(Rule(name, broken, "with an empty cell", expected))
    broken = unemployed & _.service.notnull()
    expected = "a service only for those who do not count as unemployed"
    rules.append(Rule("service", broken, "with status 02 or 03 and a service", expected))
    broken = _.end.isnull() & _.end_reason.notnull()
    rules.append(Rule("end_reason", broken, "with a reason but no end", "both or neither"))
    broken = ~_.birth_year.between(OLDEST, last_day.year)
    expected = f"a year from {OLDEST} to {last_day.year}"
    rules.append(Rule("birth_year", broken, "with another year of birth", expected))
    broken = _.end < _.start
    rules.append(Rule("end", broken, "that end before they begin", "an end not before the start"))
    data_end = ibis.date(f"{last_day:%Y-%m-%d}")
    until, advice = f"a day up to {last_day:%Y-%m-%d}", "See last_day of [registers] in study.toml."
    for name in ("end", "start"):
        rules.append(Rule(name, _[name] > data_end, "after the data end", until, advice))
    for name in ("unemployed_since", "jobseeker_since"):
        rules.append(Rule(name, _[name] > _.start, "later than the start", "a day up to the start"))
    first = last_day - pd.Timedelta(days=LONGEST_DAYS - 1)
    known, advice = ibis.date(f"{first:%Y-%m-%d}"), "A day that stands for “not known” is none."
    for name in ("unemployed_since", "jobseeker_since"):
        expected = f"a day from {first:%Y-%m-%d}"
        found = "more than fifty years before the data end"
        rules.append(Rule(name, _[name] < known, found, expected, advice))
    for name in ("plan_made", "plan_updated", "interview"):
        broken = _[name] > ibis.coalesce(_.end, data_end)
        found = "after the spell's end, or after the data end where it is open"
        rules.append(Rule(name, broken, found, until))
    broken = (_.plan_updated < _.plan_made) | (_.plan_updated.notnull() & _.plan_made.isnull())
    found = "with an update before a plan or without one"
    rules.append(Rule("plan_updated", broken, found, "a day not before plan_made"))
    return [rule for rule in rules if rule.column in columns]


def _person_rule():
    """Return the rule on two spells of one person; it holds for the later one."""
    from ibis import _

    return Rule(
        "start",
        _.start <= _.end_before,
        "that begin before the person's earlier spell has ended",
        "spells one after the other",
        "A day of a person belongs to one spell: end each before the next, and give none twice.",
    )


def _as_delivered(spells):
    return spells


def _by_person(spells):
    """Add the end of the same person's spell before; one that lasts never ends."""
    import ibis
    from ibis import _

    place = [name for name in PLACE if name in spells.columns]
    window = ibis.window(group_by="person_id", order_by=["start", "end", *place])
    never = ibis.date(NEVER)  # an engine sorts and compares faster what cannot be empty
    table = spells.select("person_id", "start", *place, end=ibis.coalesce(_.end, never))
    return table.mutate(end_before=_.end.lag().over(window))


def _refuse(delivery, rules, shape):
    """Raise for the first rule that some row breaks."""
    from ibis import _

    with said_safely(delivery.name):
        table = shape(delivery.spells)
        # one condition for all rules is far cheaper than a count for each of them
        wrong = table.filter(reduce(or_, (rule.broken for rule in rules)))
        if not wrong.count().to_pandas():
            return
        counts = {f"n{i}": _.count(where=rule.broken) for i, rule in enumerate(rules)}
        found = wrong.aggregate(**counts).to_pandas().fillna(0).iloc[0]
        number = next(i for i in range(len(rules)) if found[f"n{i}"])
        rule, count = rules[number], int(found[f"n{number}"])
        file, row = _first(delivery, rule, shape)
    said = f"{count:,} {'spell' if count == 1 else 'spells'} {rule.found}"
    raise DataError(file, said, rule.expected, row, rule.column, rule.advice)


def _first(delivery, rule, shape):
    """Return file and row of the first spell that breaks a rule."""
    import ibis

    if not delivery.files:
        return delivery.name, None
    with register_engines.connected() as engine:
        engine.raw_sql("SET preserve_insertion_order = true")  # rows are numbered as they come
        parts = []
        for number, file in enumerate(delivery.files):
            part = read(engine, [file]).mutate(file=ibis.literal(number, "int32"))
            parts.append(part.mutate(row=ibis.row_number().cast("int64")))
        rows = shape(ibis.union(*parts) if len(parts) > 1 else parts[0])
        rows = rows.filter(rule.broken).order_by(list(PLACE)).limit(1)
        number, row = rows.select(*PLACE).to_pandas().iloc[0]
    file = delivery.files[number]
    return file.name, int(row) + (2 if file.suffix == ".csv" else 1)
