"""Time and memory of registers: run `.venv/bin/python bench/registers.py [ROWS ...]` from the root.

Simulated spells; by default a million of them, with `--large` also a hundred million, which needs
some 2.5 GB of disk in the folder of temporary files and some minutes. Each round is a process of
its own: a delivery read, checked and counted, as `build` does it; the counts alone; and the same
counts in SQL written by hand. `--core` leaves out service, year of birth and nationality, which
only measures of the open table need; interview dates stay, since `interviews` and
`target_interviews` are outcomes. A hundred million spells are timed both ways.
"""

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd
import timing

from kokeilu_analysis.methods import simulate_registers
from kokeilu_analysis.sources import facts, register_counts, register_rules, register_spells

BLOCK = 2_000_000  # spells that are drawn; more are copies of them, of other persons
FIRST, LAST, START = pd.to_datetime(["2015-01-01", "2025-01-31", "2021-02-26"])
PLAN_DAYS = 92
WIDE = ["service", "birth_year", "foreign_national"]
MONTHS = pd.date_range(FIRST - pd.DateOffset(months=1), LAST, freq="MS")


def write(folder, rows, core):
    """Write about so many spells into a folder."""
    import duckdb

    places = facts.treatment()
    places = places.assign(weight=places["population_2020"], backlog=0.5)
    size = min(rows, BLOCK)
    blocks = simulate_registers.spells(size, 1, places, FIRST, LAST, START, PLAN_DAYS, block=size)
    frame = pd.concat(block for block, _ in blocks)
    frame = frame.drop(columns=WIDE if core else [])
    dates = frame.select_dtypes("datetime").columns
    drawn = folder / "simulated_0000.parquet"
    frame.astype(dict.fromkeys(dates, "date32[pyarrow]")).to_parquet(drawn, index=False)
    people = int(frame["person_id"].max())
    copies = round(rows / len(frame)) if rows > BLOCK else 1
    for number in range(1, copies):
        copy = folder / f"simulated_{number:04d}.parquet"
        duckdb.execute(
            f"copy (select * replace (person_id + {number * people} as person_id) "
            f"from '{drawn}') to '{copy}' (format parquet)"
        )


def panel(folder):
    """Read, check and count."""
    codes = set(facts.municipalities()["municipality"])
    with register_spells.opened(folder) as delivery:
        register_rules.check(delivery, codes, LAST)
        return _counted(delivery)


def counts(folder):
    """Count alone."""
    with register_spells.opened(folder) as delivery:
        return _counted(delivery)


def _counted(delivery):
    days = register_counts.count_days(MONTHS)
    table = register_counts.counts(delivery.spells, days, PLAN_DAYS)
    return {measure: int(table[measure].sum()) for measure in table}


def sql(folder):
    """Count with SQL written by hand: one query an event, then the same running sums in pandas."""
    import duckdb

    from kokeilu_analysis.sources import register_engines as engines

    days = register_counts.count_days(MONTHS)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as room:
        room.execute(f"set memory_limit='{engines.MEMORY}'; set threads={engines.THREADS}")
        room.execute(f"set temp_directory='{scratch}'; set preserve_insertion_order=false")
        spells = f"read_parquet('{folder}/*.parquet')"
        given = set(room.execute(f"describe from {spells}").df()["column_name"])
        calendar = pd.DataFrame({"day": pd.date_range(days[0], days[-1])})
        calendar["period"] = days.searchsorted(calendar["day"]) - 1
        room.execute(
            "create table calendar as "
            "select day::date as day, period::smallint as period from calendar"
        )
        tables = {}
        for name, (day, where, metrics) in _queries(given).items():
            counts = ", ".join(f"{what} as {measure}" for measure, what in metrics.items())
            tables[name] = room.execute(
                f"""select municipality, period, target_group, {counts} from (
                    select *, greatest({day}, date '{days[0]:%Y-%m-%d}')::date as day from (
                        select *, coalesce("end", date '{days[-1]:%Y-%m-%d}') as last,
                               status = '02' or status = '03' as unemployed,
                               coalesce(unemployed_since, date '2250-01-01') as since,
                               coalesce(plan_updated - plan_made > {PLAN_DAYS}, true) as late
                        from {spells})
                    where {where}) join calendar using (day)
                group by municipality, period, target_group"""
            ).df()
    return _running(tables, days)


def _queries(given):
    """Return day, rows and counts of each event."""

    def n(where):
        return f"count(*) filter (where {where})"

    def edge(at):
        counts = {"jobseekers": "count(*)", "unemployed": n("unemployed")}
        counts |= {"laid_off": n("status = '03'"), "shortened_week": n("status = '04'")}
        if "service" in given:
            counts |= {s: n(f"service = '{s}'") for s in register_counts.SERVICES}
            counts["unemployed_foreign"] = n("unemployed and foreign_national")
            for name, (age, sign) in register_counts.AGES.items():
                reached = f"year({at}) - birth_year {'>=' if sign > 0 else '<'} {age}"
                counts[name] = n(f"unemployed and {reached}")
        year = f"(since + interval 12 month)::date <= {at}"
        counts["long_term_unemployed"] = n(f"unemployed and {year}")
        days = "sum(since - date '1970-01-01') filter (where unemployed)"
        return counts | {"since": f"coalesce({days}, 0)"}

    newest = "last - coalesce(plan_updated, plan_made, date '2250-01-01')"
    left = {"planned": n("plan_made is not null")}
    left["plan_valid"] = n(f"{newest} between 0 and {PLAN_DAYS - 1}")
    left["continued"] = n("unemployed and end_reason = 'continues'")
    left["to_work"] = n("unemployed and end_reason = 'work'")
    left["lasted"] = """coalesce(sum(last - since + 1)
        filter (where unemployed and end_reason <> 'continues'), 0)"""
    young = f"start - plan_made < {PLAN_DAYS}"
    young += f" or start - plan_updated between 0 and {PLAN_DAYS - 1}"
    first = "plan_made >= start"
    made = {"planned": "count(*)", "plan_valid": n(young), "first": n(first)}
    made["days"] = f"coalesce(sum(plan_made - jobseeker_since) filter (where {first}), 0)"
    every = {"n": "count(*)"}
    gone, renewed = (f"{c} + {PLAN_DAYS}" for c in ("plan_made", "plan_updated"))
    full = "(unemployed_since + interval 12 month)::date"
    events = {
        "begun": ("start", "true", edge("start")),
        "ended": ("last + 1", '"end" is not null', edge("last") | left),
        "made": ("greatest(start, plan_made)", "plan_made is not null", made),
        "expired": (gone, f"start < {gone} and {gone} <= last and late", every),
        "updated": (
            "plan_updated",
            "start < plan_updated and plan_updated <= last and late",
            every,
        ),
        "lapsed": (renewed, f"start < {renewed} and {renewed} <= last", every),
        "year_full": (full, f"unemployed and start < {full} and {full} <= last", every),
    }
    if "interview" in given:
        events["interviews"] = ("interview", "start <= interview and interview <= last", every)
    if "birth_year" in given:
        for name, (age, _sign) in register_counts.AGES.items():
            birthday = f"make_date(birth_year + {age}, 1, 1)"
            where = f"unemployed and start < {birthday} and {birthday} <= last"
            events[name] = (birthday, where, every)
    return events


def _running(tables, days):
    keys = ["municipality", "period"]
    places = sorted(tables["begun"]["municipality"].unique())
    index = pd.MultiIndex.from_product([places, range(-1, len(days) - 1)], names=keys)
    for name, table in tables.items():
        target = table[table.pop("target_group")].set_index(keys).add_prefix("target_")
        every = table.groupby(keys).sum().reindex(index, fill_value=0)
        tables[name] = every.join(target.reindex(index, fill_value=0)).astype("int64")
    begun, ended, made = tables["begun"], tables["ended"], tables["made"]
    change = begun.join(made.filter(regex="planned|plan_valid"))
    change -= ended[change.columns]
    for prefix in ("", "target_"):
        change[f"{prefix}plan_valid"] += tables["updated"][f"{prefix}n"]
        for event in ("expired", "lapsed"):
            change[f"{prefix}plan_valid"] -= tables[event][f"{prefix}n"]
    change["long_term_unemployed"] += tables["year_full"]["n"]
    for name, (_age, sign) in register_counts.AGES.items():
        if name in tables:
            change[name] += sign * tables[name]["n"]
    stock = change.groupby("municipality").cumsum()
    stock["first_plans"], stock["first_plan_days"] = made["first"], made["days"]
    stock = stock[stock.index.get_level_values("period") >= 0]
    return {measure: int(stock[measure].sum()) for measure in stock}


TASKS = {"panel": panel, "counts": counts, "sql": sql}


def alone(task, folder):
    """Run a task in a process of its own; return seconds, peak MB and what it says."""
    command = [sys.executable, "-W", "ignore", __file__, "--task", task, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


AIMS = {1_000_000: (3, None), 100_000_000: (60, 1.3)}  # by spells: seconds, times the peer
CASES = (1_000_000, False), (100_000_000, True), (100_000_000, False)  # spells, without columns


def rows(asked, cases=()):
    """Yield the rows of each case: the whole, its peak of memory, and counting beside the peer."""
    before = None
    for number, core in cases or CASES:
        title = f"registers, {number:,} spells" + (" without three columns" if core else "")
        aim, aim_ratio = AIMS.get(number, (None, None))
        if number > 1_000_000 and not (cases or asked.large):
            said = f"{title}: read, checked, counted"
            yield timing.Row(said, aim=aim, note="only with --large")
            continue
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), asked.of(number, 3_000), core)
            peaks, said = [], {}

            def seconds(task, folder=folder, peaks=peaks, said=said):
                took, peak, said[task] = alone(task, folder)
                if task == "panel":
                    peaks.append(peak)
                return took

            common = {"rounds": asked.rounds, "measure": seconds}
            row = timing.race(f"{title}: read, checked, counted", "panel", aim=aim, **common)
            row = timing.noted(row, f"{len(said['panel'])} measures")
            yield row if core else timing.grown(row, number, before)
            before = before if core else (number, row)
            yield timing.Row(f"{title}: memory", timing.Spread.of(peaks), "MiB", aim=1024)
            peers = {"DuckDB, SQL by hand": "sql"}
            row = timing.race(f"{title}: counting", "counts", peers, aim_ratio=aim_ratio, **common)
            same = all(said["counts"].get(k, v) == v for k, v in said["sql"].items())
            yield timing.noted(row, f"same counts: {same}")


def main():
    """Print the rows, or do one task in this process."""
    parser = timing.parser(__doc__)
    parser.add_argument("numbers", nargs="*", type=int, metavar="SPELLS")
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--task", nargs=2)
    options = parser.parse_args()
    if options.task:
        task, folder = options.task
        began = time.perf_counter()
        said = TASKS[task](Path(folder))
        seconds = time.perf_counter() - began
        print(json.dumps([seconds, timing.peak(), said]))
        return
    warnings.simplefilter("ignore")
    cases = [(number, options.core) for number in options.numbers]
    for line in timing.table(rows(timing.asked(options), cases)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
