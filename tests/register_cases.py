"""Spells for tests: small deliveries, what counting day by day makes of them, and ways to break."""

import numpy as np
import pandas as pd

from kokeilu_analysis.methods import simulate_registers
from kokeilu_analysis.sources.register_counts import AGES, SERVICES, UNEMPLOYED

PLAN_DAYS = 92
LAST_DAY = pd.Timestamp("2021-06-30")
DATES = "start end plan_made plan_updated unemployed_since jobseeker_since interview".split()
SECRET = 987654321  # a person in every broken delivery; must never be shown


PLACES = ("049", "091", "092", "235", "638", "710", "853")


def simulated(rows=4000, seed=3, places=PLACES, last=LAST_DAY):
    """Return simulated spells in few places and their truth at the end of February 2021."""
    share = np.linspace(0.2, 0.9, len(places))
    table = pd.DataFrame({"municipality": places, "weight": 1.0, "backlog": share})
    days = pd.to_datetime(["2018-01-01", last, "2021-02-26"])
    blocks = list(simulate_registers.spells(rows, seed, table, *days, PLAN_DAYS, block=rows))
    spells = pd.concat([block for block, _ in blocks], ignore_index=True)
    truth = pd.concat([t for _, t in blocks]).groupby("municipality").sum()
    return spells, truth


def wild(seed, rows=300):
    """Return spells whose dates crowd around count days, year ends and limits of plans."""
    rng = np.random.default_rng(seed)
    edges = pd.to_datetime(
        ["2020-01-31", "2020-02-28", "2020-02-29", "2020-12-31", "2021-01-01", "2021-01-29"]
        + ["2021-02-26", "2021-02-28", "2021-03-31", "2021-05-31", "2021-06-30"]
    )

    def days(spread=3):
        shift = rng.integers(-spread, spread + 1, rows)
        return pd.Series(rng.choice(edges, rows) + pd.to_timedelta(shift, "D"))

    two = pd.concat([days(), days()], axis=1)
    start, end = two.min(axis=1), two.max(axis=1).clip(upper=LAST_DAY)
    start = start.clip(upper=LAST_DAY)
    shown = end.copy()
    end = end.mask(rng.random(rows) < 0.2)
    shown = shown.where(end.notna(), LAST_DAY)
    back = pd.to_timedelta(rng.choice([0, 1, 91, 92, 93, 400], rows), "D")
    made = pd.Series(np.where(rng.random(rows) < 0.5, start - back, days(90)))
    made = made.mask((made > shown) | (rng.random(rows) < 0.1))
    after = pd.to_timedelta(rng.choice([0, 1, 91, 92, 93, 200], rows), "D")
    updated = (made + after).mask((made + after > shown) | (rng.random(rows) < 0.3))
    status = pd.Series(rng.choice(["00", "01", "02", "02", "03", "04", "07"], rows))
    unemployed = status.isin(UNEMPLOYED)
    year_back = pd.to_timedelta(rng.choice([0, 364, 365, 366, 367, 700], rows), "D")
    interview = days(60)
    return pd.DataFrame(
        {
            "person_id": np.arange(rows) + SECRET,
            "municipality": rng.choice(["091", "049"], rows),
            "start": start,
            "end": end,
            "status": status,
            "target_group": rng.random(rows) < 0.5,
            "plan_made": made,
            "plan_updated": updated,
            "unemployed_since": (start - year_back).where(unemployed),
            "jobseeker_since": start - year_back,
            "end_reason": pd.Series(rng.choice(["work", "other"], rows)).where(end.notna(), None),
            "service": pd.Series(rng.choice(SERVICES, rows)).where(status.isin(["00", "07"]), None),
            "interview": interview.mask(interview > shown),
            "birth_year": 2020 - rng.choice([18, 19, 20, 21, 24, 25, 26, 49, 50, 51], rows),
            "foreign_national": rng.random(rows) < 0.3,
            "sex": rng.choice(["man", "woman"], rows),
            "disabled": rng.random(rows) < 0.2,
            "fund_member": rng.random(rows) < 0.5,
        }
    )


def write(spells, folder, kind="parquet", files=1, name="spells"):
    """Write a delivery; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    dates = [d for d in DATES if d in spells and pd.api.types.is_datetime64_any_dtype(spells[d])]
    bounds = np.linspace(0, len(spells), files + 1).astype(int)
    for number, (begin, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        part = spells.iloc[begin:end]
        path = folder / f"{name}_{number:03d}.{kind}"
        if kind == "parquet":
            part.astype(dict.fromkeys(dates, "date32[pyarrow]")).to_parquet(path, index=False)
        else:
            booleans = part.select_dtypes(bool).columns
            text = part.assign(**{b: part[b].map({True: "true", False: "false"}) for b in booleans})
            text.to_csv(path, index=False, date_format="%Y-%m-%d")
    return folder


def by_day(spells, days, plan_days=PLAN_DAYS):
    """Count by the definitions, one day after the other; slow, and nothing is cumulative."""
    rows = []
    ends = spells["end"].fillna(pd.Timestamp("2100-01-01"))
    unemployed = spells["status"].isin(UNEMPLOYED)
    target = spells["target_group"]
    went_on = spells["end_reason"].eq("continues")
    goes_on_from = set(
        zip(
            spells["person_id"][unemployed & went_on],
            spells["municipality"][unemployed & went_on],
            spells["end"][unemployed & went_on],
            strict=True,
        )
    )
    day_before = spells["start"] - pd.Timedelta(days=1)
    came = zip(spells["person_id"], spells["municipality"], day_before, strict=True)
    same = [key in goes_on_from for key in came]
    for period, (before, day) in enumerate(zip(days[:-1], days[1:], strict=True)):
        here = (spells["start"] <= day) & (ends >= day)
        jobless = here & unemployed
        planned = here & (spells["plan_made"] <= day)
        valid = here & False
        for column in ("plan_made", "plan_updated"):
            age = (day - spells[column]).dt.days
            valid |= here & (age >= 0) & (age < plan_days)
        fallen = {c: (spells[c] > before) & (spells[c] <= day) for c in DATES}
        left = spells["end"] + pd.Timedelta(days=1)
        left = unemployed & (left > before) & (left <= day) & ~went_on
        first = fallen["plan_made"] & (spells["plan_made"] >= spells["start"])
        first &= spells["plan_made"] <= ends
        waited = (spells["plan_made"] - spells["jobseeker_since"]).dt.days.fillna(0)
        held = fallen["interview"] & (spells["interview"] >= spells["start"])
        held &= spells["interview"] <= ends
        elapsed = (day - spells["unemployed_since"]).dt.days.fillna(0)
        lasted = (spells["end"] - spells["unemployed_since"]).dt.days.fillna(-1) + 1
        year = spells["unemployed_since"] + pd.DateOffset(months=12)
        found = {
            "jobseekers": here,
            "unemployed": jobless,
            "laid_off": here & spells["status"].eq("03"),
            "shortened_week": here & spells["status"].eq("04"),
            "target_group": here & target,
            "target_unemployed": jobless & target,
            "long_term_unemployed": jobless & (year <= day),
            "unemployed_foreign": jobless & spells["foreign_national"],
            "plan_valid": valid,
            "plan_out_of_date": planned & ~valid,
            "plan_never_made": here & ~planned,
            "unemployed_days": elapsed.where(jobless, 0),
            "unemployed_inflow": unemployed & fallen["start"] & ~pd.Series(same),
            "unemployed_outflow": left,
            "unemployed_outflow_work": left & spells["end_reason"].eq("work"),
            "unemployed_outflow_days": lasted.where(left, 0),
            "first_plans": first,
            "first_plan_days": waited.where(first, 0),
            "interviews": held,
        }
        for name in ("plan_valid", "plan_out_of_date", "plan_never_made", "first_plans"):
            found[f"target_{name}"] = found[name] & target
        found["target_first_plan_days"] = waited.where(first & target, 0)
        found["target_interviews"] = held & target
        found |= {service: here & spells["service"].eq(service) for service in SERVICES}
        for name, (limit, sign) in AGES.items():
            age = day.year - spells["birth_year"]
            found[name] = jobless & ((age < limit) if sign < 0 else (age >= limit))
        if "sex" in spells:
            found["unemployed_men"] = jobless & spells["sex"].eq("man")
            found["unemployed_women"] = jobless & spells["sex"].eq("woman")
            found["unemployed_disabled"] = jobless & spells["disabled"]
            found["fund_members"] = jobless & spells["fund_member"]
        table = pd.DataFrame(found).astype("int64").groupby(spells["municipality"]).sum()
        rows.append(table.assign(period=period).set_index("period", append=True))
    return pd.concat(rows).sort_index()
