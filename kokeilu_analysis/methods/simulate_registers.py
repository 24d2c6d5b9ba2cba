"""Simulated person-level spells, register-like and of any size, with a known starting backlog.

Nobody in them is real: places, dates and statuses are drawn. They serve to try the reading of
registers, to time it, and to check that a planted backlog comes back exactly.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError

STATUS = {  # code: share of spells
    **{"02": 0.50, "03": 0.08, "00": 0.08, "07": 0.11, "01": 0.08},
    **{"04": 0.02, "05": 0.07, "06": 0.01, "08": 0.05},
}
SERVICE = {  # of status 07; a spell of status 00 is subsidised work
    **{"work_practice": 0.15, "tryout": 0.2, "labour_training": 0.25},
    **{"coaching": 0.25, "other_services": 0.15},
}
UNEMPLOYED = ("02", "03")
AFTER = {  # status of the next spell: why the one before ended
    **dict.fromkeys(("01", "04"), "work"),
    **dict.fromkeys(("00", "07"), "service"),
    **dict.fromkeys(("05", "06"), "outside"),
    "08": "education",
}
ORIGIN = np.datetime64("1970-01-01", "D")
NEVER = np.iinfo(np.int32).max // 2  # a day that no register reaches
SPELLS_A_PERSON = 4.0


def spells(rows, seed, places, first, last, start, plan_days=92, block=500_000):
    """Yield blocks of simulated spells and what is true of each at the start of the trial.

    Parameters
    ----------
    rows : int
        At least so many spells in all; the last person is kept whole.
    seed : int
        The same arguments give the same blocks.
    places : DataFrame
        `municipality`, `weight` (any measure of size), `backlog` (share 0–1 planted among the
        jobseekers of the target group on the day `start`; rounded to whole persons within each
        block and municipality).
    first, last : date-like
        First and last day that the register covers; spells that began up to three years earlier
        are in it if they last into it.
    start : date-like
        Day on which the planted backlog holds, such as the last count day before the trial.
    plan_days : int
        Days after which a plan that was not updated is out of date.
    block : int
        About so many spells a block.

    Yields
    ------
    (DataFrame, DataFrame)
        Spells, columns as in ``docs/registers.md`` (those of every option but sex, disability
        and fund membership), and by `municipality` the `customers` on the day `start`, and how
        many of them have a plan that is valid, out of date or was never made.

    Examples
    --------
    >>> place = pd.DataFrame({"municipality": ["091"], "weight": [1.0], "backlog": [0.8]})
    >>> days = pd.to_datetime(["2015-01-01", "2024-12-31", "2021-02-26"])
    >>> frame, truth = next(spells(1000, 1, place, *days))
    >>> int(truth.loc[0, "out_of_date"] + truth.loc[0, "never_made"]) == round(
    ...     0.8 * int(truth.loc[0, "customers"]))
    True
    """
    wrong = ~places["backlog"].between(0, 1) | ~(places["weight"] > 0)
    if wrong.any():
        row = places[wrong].iloc[0]
        raise KokeiluError(
            f"{row['municipality']}: found weight {row['weight']} and backlog {row['backlog']}; "
            "expected a weight above 0 and a share from 0 to 1."
        )
    span = [_day(moment) for moment in (first, last, start)]
    done = number = people = 0
    while done < rows:
        rng = np.random.default_rng([seed, number])
        wanted = min(block, rows - done)
        persons = max(int(wanted / SPELLS_A_PERSON), 20)
        frame, truth = _block(rng, persons, people, places, *span, plan_days)
        done, number, people = done + len(frame), number + 1, people + persons
        yield frame, truth


def _day(moment):
    return int((pd.Timestamp(moment) - pd.Timestamp(0)).days)


def _block(rng, persons, offset, places, first, last, start, plan_days):
    """Draw whole persons; days are whole numbers from 1.1.1970 until the frame is made."""
    chain = _chains(rng, persons, first, last)
    place = _places(rng, chain, places)
    status = rng.choice(list(STATUS), len(chain), p=list(STATUS.values()))
    follows = chain["follows"].to_numpy()
    unemployed = np.isin(status, UNEMPLOYED)
    goes_on = follows & unemployed & np.append(False, unemployed[:-1])
    begin = chain["start"].to_numpy()
    frame = pd.DataFrame({"person": chain["person"], "start": begin, "end": chain["end"]})
    frame["unemployed_since"] = np.where(unemployed, begin[_latest(~goes_on)], NEVER)
    frame["jobseeker_since"] = begin[_latest(~follows)]
    service = rng.choice(list(SERVICE), len(chain), p=list(SERVICE.values()))
    service = np.where(status == "00", "subsidised_work", service)
    frame["service"] = np.where(np.isin(status, ["00", "07"]), service, None)
    frame["status"], frame["place"] = status, place
    frame["end_reason"] = _reasons(rng, frame, follows, unemployed, last)
    _persons(rng, frame, persons)
    _plans(rng, frame, np.cumsum(~follows) - 1, last)
    truth = _plant(rng, frame, np.cumsum(~follows) - 1, places, start, plan_days)
    frame["interview"] = _within(rng, frame, last, 0.5)
    return _finished(frame, offset, places, last), truth


def _chains(rng, persons, first, last):
    """Draw when spells begin and end; `follows`: from the day after the person's spell before."""
    many = 1 + rng.poisson(SPELLS_A_PERSON, persons)
    person = np.repeat(np.arange(persons), many)
    length = 1 + np.minimum(rng.lognormal(4.3, 1.0, len(person)), 2500).astype(int)
    fresh = np.append(True, person[1:] != person[:-1])
    gap = np.where(rng.random(len(person)) < 0.6, 0, 1 + rng.exponential(150, len(person)))
    step = length + np.where(fresh, 0, gap.astype(int))
    entry = rng.integers(first - 1095, last, persons)
    before = np.cumsum(step) - step
    end = entry[person] + np.cumsum(step) - before[fresh][person] - 1
    chain = pd.DataFrame({"person": person, "start": end - length + 1, "end": end})
    chain = chain[(chain["end"] >= first) & (chain["start"] <= last)].reset_index(drop=True)
    same = chain["person"].eq(chain["person"].shift())
    chain["follows"] = same & chain["start"].eq(chain["end"].shift() + 1)
    return chain


def _latest(new):
    """For each row the position of the latest row where `new` holds."""
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


def _places(rng, chain, places):
    """Draw homes; some move when a spell begins."""
    new = ~chain["person"].eq(chain["person"].shift()).to_numpy()
    moves = new | (rng.random(len(chain)) < 0.02)
    weights = places["weight"].to_numpy(dtype=float)
    drawn = rng.choice(len(places), int(moves.sum()), p=weights / weights.sum())
    return drawn[np.cumsum(moves) - 1] if len(chain) else drawn


def _reasons(rng, frame, follows, unemployed, last):
    """Say why a spell ended, by what follows it."""
    followed = np.append(follows[1:], False)
    after, place = np.roll(frame["status"], -1), np.roll(frame["place"], -1)
    reason = rng.choice(["work", "outside", "other"], len(frame), p=[0.6, 0.2, 0.2])
    reason = np.where(followed, pd.Series(after).map(AFTER).fillna("other"), reason)
    both = followed & unemployed & np.roll(unemployed, -1)
    here = frame["place"].to_numpy() == place
    reason = np.where(both, np.where(here, "continues", "moved"), reason)
    return np.where(frame["end"] <= last, reason, None)


def _persons(rng, frame, persons):
    """Draw what stays the same for a person."""
    person = frame["person"].to_numpy()
    entry = np.full(persons, np.iinfo(np.int64).max)
    np.minimum.at(entry, person, frame["start"].to_numpy())
    year = (ORIGIN + entry.clip(max=NEVER)).astype("datetime64[Y]").astype(int) + 1970
    born = year - rng.integers(17, 64, persons)
    foreign = rng.random(persons) < 0.12
    target = foreign | (year - born < 30) | (rng.random(persons) < 0.35)
    frame["birth_year"], frame["foreign_national"] = born[person], foreign[person]
    frame["target_group"] = target[person]


def _within(rng, frame, last, share):
    """Draw a day inside a share of the spells, NEVER for the others."""
    length = np.minimum(frame["end"], last) - frame["start"] + 1
    inside = frame["start"] + (rng.random(len(frame)) * length).astype(int)
    return np.where(rng.random(len(frame)) < share, inside, NEVER)


def _plans(rng, frame, search, last):
    """Draw first plans by job search, and updates."""
    searches = int(search[-1]) + 1 if len(search) else 0
    wait = np.where(rng.random(searches) < 0.25, NEVER, rng.exponential(45, searches))
    frame["plan_made"] = np.minimum(frame["jobseeker_since"] + wait[search].astype(int), NEVER)
    frame["plan_updated"] = _within(rng, frame, last, 0.35)


def _plant(rng, frame, search, places, start, plan_days):
    """Set the plans of the target group's jobseekers on the day `start`; return what is true."""
    there = (frame["start"] <= start) & (frame["end"] >= start) & frame["target_group"]
    at = np.flatnonzero(there)
    at = at[np.lexsort((rng.random(len(at)), frame["place"].to_numpy()[at]))]
    place = frame["place"].to_numpy()[at]
    customers = np.bincount(place, minlength=len(places))
    owed = np.rint(customers * places["backlog"].to_numpy()).astype(int)
    never = owed // 2
    rank = np.arange(len(at)) - (np.cumsum(customers) - customers)[place]
    none, old = rank < never[place], (rank >= never[place]) & (rank < owed[place])
    long_ago = start - plan_days - rng.integers(0, 400, len(at))
    lately = start - rng.integers(0, plan_days, len(at))
    later = frame["end"].to_numpy()[at] + 1 + rng.integers(0, 90, len(at))
    made = frame["plan_made"].to_numpy().copy()
    searches = int(search[-1]) + 1
    planted, position = np.full(searches, -1), np.full(searches, -1)
    planted[search[at]] = np.where(none, later, np.where(old, long_ago, lately))
    position[search[at]] = at  # a person has one spell on a day, so a search has at most one
    planted, position = planted[search], position[search]
    made = np.where(position >= 0, planted, made)
    frame["plan_made"] = made
    up_to_it = np.arange(len(frame)) <= position
    updated = frame["plan_updated"].where(~up_to_it & (frame["plan_updated"] >= made), NEVER)
    newest = updated.where(updated < NEVER, -1).groupby(search).cummax()
    frame["plan_updated"] = newest.where(newest >= 0, NEVER)  # known in later spells as well
    return pd.DataFrame(
        {
            "municipality": places["municipality"].to_numpy(),
            "customers": customers,
            "valid": customers - owed,
            "out_of_date": owed - never,
            "never_made": never,
        }
    )


def _finished(frame, offset, places, last):
    """Leave out what the register does not know yet, and turn days into dates."""
    shown = np.minimum(frame["end"], last)
    made = frame["plan_made"].where(frame["plan_made"] <= shown, NEVER)
    updated = frame["plan_updated"].where(made < NEVER, NEVER)
    dates = {
        "start": frame["start"],
        "end": frame["end"].where(frame["end"] <= last, NEVER),
        "plan_made": made,
        "plan_updated": updated,
        "interview": frame["interview"],
        "unemployed_since": frame["unemployed_since"],
        "jobseeker_since": frame["jobseeker_since"],
    }
    columns = {"person_id": frame["person"].to_numpy(dtype=np.int64) + offset + 1}
    columns["municipality"] = places["municipality"].to_numpy()[frame["place"]]
    for name, days in dates.items():
        moments = (ORIGIN + days.to_numpy(dtype=np.int64)).astype("datetime64[s]")
        columns[name] = pd.Series(moments).mask(days.to_numpy() == NEVER)
    for name in ("status", "target_group", "birth_year", "foreign_national", "service"):
        columns[name] = frame[name].to_numpy()
    columns["end_reason"] = frame["end_reason"].to_numpy()
    return pd.DataFrame(columns)
