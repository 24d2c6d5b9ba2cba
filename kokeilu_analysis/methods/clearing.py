"""How fast the backlog was cleared, what work that is, and how much of it COVID can explain.

Shares are 0–1 of an area's transferred customers; times are months; every result is an interval
whose ends are attained by some combination of the inputs.
"""

from itertools import product

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.program import Program

MODELS = {
    "constant_plans": "share of customers a month",
    "constant_proportion": "of the remaining backlog a month (hazard)",
    "constant_net": "share of customers a month, new arrivals included",
}
DAYS_A_MONTH = 365.25 / 12


def months_between(start, later):
    """Return (low, high) months between two dates that are each known as an interval.

    Parameters
    ----------
    start, later : pair of dates
        Earliest and latest possible day.

    Examples
    --------
    >>> low, high = months_between(("2021-03-01", "2021-03-01"), ("2021-04-01", "2021-04-30"))
    >>> round(low, 3), round(high, 3)
    (1.018, 1.971)
    """
    first, last = (pd.to_datetime(list(pair)) for pair in (start, later))
    low, high = (last[0] - first[1]).days, (last[1] - first[0]).days
    if low < 0:
        raise KokeiluError(f"The later date may be {-low} days before the start; check the dates.")
    return low / DAYS_A_MONTH, high / DAYS_A_MONTH


def rate_bounds(start, later, months, model, arrivals=(0.0, 0.0)):
    """Return the least and greatest clearing rate that two reported intervals allow.

    Parameters
    ----------
    start, later : pair of float
        Backlog (0–1), lowest and highest, at the start and after `months`.
    months : pair of float
        Shortest and longest time between the two, above 0.
    model : str
        ``constant_plans``: the share falls by the same number of points every month;
        ``constant_proportion``: by the same proportion of what remains, the rate being the
        hazard ``ln(B₀/B₁)/months``; ``constant_net``: as the first, but `arrivals` fall due
        anew every month and are cleared as well, so that the rate is what is done.
    arrivals : pair of float
        Share of customers whose plan falls due anew each month; used by ``constant_net`` only.

    Returns
    -------
    (float, float)
        In the unit `MODELS` names; a rate of zero or less means that nothing need have been
        cleared.

    Examples
    --------
    >>> low, high = rate_bounds((0.8, 0.8), (0.6, 0.7), (1, 2), "constant_plans")
    >>> round(low, 9), round(high, 9)
    (0.05, 0.2)
    """
    _refuse_bad(start, later, months, model)
    if model == "constant_proportion":
        with np.errstate(divide="ignore"):
            least = _log_ratio(start[0], later[1])
            most = _log_ratio(start[1], later[0])
    else:
        least, most = start[0] - later[1], start[1] - later[0]
    low, high = min(least / m for m in months), max(most / m for m in months)
    if model == "constant_net":
        return low + arrivals[0], high + arrivals[1]
    return low, high


def months_until(target, start, later, months, model):
    """Return the least and greatest number of months from the start until a target is reached.

    The time rises or falls in each input while the others stay, so that its extremes lie at the
    ends of the intervals; where the later backlog may be as high as the start it has no limit.

    Parameters
    ----------
    target : float or "half"
        A share (0–1), or half of the area's own start.
    start, later, months, model
        As in `rate_bounds`; arrivals do not matter, because the net course is what is seen.

    Returns
    -------
    (float, float)
        ``inf`` where the target is never reached at a rate that the evidence allows.

    Examples
    --------
    >>> low, high = months_until(0.125, (0.8, 0.8), (0.6, 0.7), (1, 2), "constant_plans")
    >>> round(low, 3), round(high, 3)
    (3.375, 13.5)
    """
    _refuse_bad(start, later, months, model)
    goal = 0.0 if target == "half" else float(target)
    times = [
        m * _fraction(b0, b1, b0 / 2 if target == "half" else goal, model)
        for b0, b1, m in product(start, later, months)
    ]
    standstill = start[0] <= later[1] and start[1] > goal and later[1] > goal
    return min(times), np.inf if standstill else max(times)


def clearing(observations, target=0.125, arrivals=(0.0, 0.0)):
    """Return clearing rates and times for each observed area under each model.

    Parameters
    ----------
    observations : DataFrame
        area_id, start_low, start_high, later_low, later_high (shares), months_low, months_high.
    target : float
        Share at which the backlog counts as cleared; 12.5 % is the smallest reported.
    arrivals : pair of float
        See `rate_bounds`.

    Returns
    -------
    DataFrame
        area_id, model, unit, rate_low, rate_high, to_target_low, to_target_high, to_half_low,
        to_half_high (months), note.
    """
    rows = []
    for seen in observations.to_dict("records"):
        start, later, months = (
            (seen[f"{what}_low"], seen[f"{what}_high"]) for what in ("start", "later", "months")
        )
        for model, unit in MODELS.items():
            rate = rate_bounds(start, later, months, model, arrivals)
            to_target = months_until(target, start, later, months, model)
            to_half = months_until("half", start, later, months, model)
            note = ""
            if np.isinf([to_target[1], to_half[1]]).any():
                note = "the evidence allows that nothing was cleared, so the time has no limit"
            rows.append((seen["area_id"], model, unit, *rate, *to_target, *to_half, note))
    columns = (
        "area_id model unit rate_low rate_high to_target_low to_target_high "
        "to_half_low to_half_high note"
    )
    return pd.DataFrame(rows, columns=columns.split())


def months_at_rate(bounds, rate, model, target=0.125):
    """Return how long each area needs if it clears at a given rate, for example Helsinki's.

    Parameters
    ----------
    bounds : DataFrame
        area_id, bound_low, bound_high: starting backlogs (0–1).
    rate : pair of float
        Net rate, lowest and highest, in the unit of `model`.
    model : {"constant_plans", "constant_proportion"}
    target : float or "half"
        A share (0–1), or half of the area's own start.

    Returns
    -------
    DataFrame
        area_id, months_low, months_high; ``inf`` where the rate may be zero or less.
    """
    if model not in ("constant_plans", "constant_proportion"):
        raise KokeiluError(f"A net rate has model constant_plans or constant_proportion: {model}.")
    months = {}
    for side, pace in (("low", rate[1]), ("high", rate[0])):
        start = bounds[f"bound_{side}"].to_numpy(float)
        goal = start / 2 if target == "half" else np.full(len(start), float(target))
        if model == "constant_plans":
            way = np.maximum(start - goal, 0.0)
        else:
            ratios = [_log_ratio(b, g) for b, g in zip(start, goal, strict=True)]
            way = np.maximum(ratios, 0.0)
        months[f"months_{side}"] = np.where(way > 0, way / pace if pace > 0 else np.inf, 0.0)
    return pd.DataFrame({"area_id": bounds["area_id"].to_numpy(), **months})


def work(
    bounds,
    customers,
    minutes_per_plan,
    hours_per_month,
    target=0.0,
    customers_per_officer=None,
    arrivals=(0.0, 0.0),
    months=(0.0, 0.0),
):
    """Return the work in the backlog of each area: plans and officer-months, as intervals.

    Parameters
    ----------
    bounds : DataFrame
        area_id, bound_low, bound_high: starting backlogs (0–1).
    customers : DataFrame
        area_id, customers_low, customers_high (persons), as from `split_customers`.
    minutes_per_plan : pair of float
        Working time for one plan. An assumption: the reports give none.
    hours_per_month : float
        One officer's working hours a month that are there for plans.
    target : float
        Backlog (0–1) at which the work is done.
    customers_per_officer : pair of float, optional
        If given, also the months for which the area's whole staff would be busy with it.
    arrivals, months : pair of float
        Share of customers whose plan falls due anew each month, and for how many months these
        are cleared as well; the defaults count the stock alone.

    Returns
    -------
    DataFrame
        area_id, plans_low, plans_high, officer_months_low, officer_months_high and, where asked,
        team_months_low, team_months_high.

    Examples
    --------
    >>> work(pd.DataFrame({"area_id": ["A"], "bound_low": [0.5], "bound_high": [0.5]}),
    ...      pd.DataFrame({"area_id": ["A"], "customers_low": [1000], "customers_high": [1000]}),
    ...      minutes_per_plan=(60, 60), hours_per_month=100)["officer_months_low"].item()
    5.0
    """
    table = bounds.merge(customers, on="area_id", how="left", validate="one_to_one")
    if table[["customers_low", "customers_high"]].isna().any(axis=None):
        area = table.loc[table["customers_low"].isna(), "area_id"].iloc[0]
        raise KokeiluError(f"There is no number of customers for area {area}.")
    frame = pd.DataFrame({"area_id": table["area_id"]})
    for number, side in enumerate(("low", "high")):
        share = (table[f"bound_{side}"] - target).clip(lower=0) + arrivals[number] * months[number]
        frame[f"plans_{side}"] = share * table[f"customers_{side}"]
        each = minutes_per_plan[number] / 60 / hours_per_month
        frame[f"officer_months_{side}"] = frame[f"plans_{side}"] * each
        if customers_per_officer is not None:
            frame[f"team_months_{side}"] = share * each * customers_per_officer[number]
    order = [c for c in ("plans", "officer_months", "team_months") if f"{c}_low" in frame]
    return frame[["area_id", *(f"{c}_{side}" for c in order for side in ("low", "high"))]]


def split_customers(total, unemployed, factor, known=None):
    """Split a published total of transferred customers between areas, uncertainty included.

    The only assumption is that customers per unemployed jobseeker differ between areas by no
    more than `factor`; published figures of single areas narrow the rest. The ends are sharp.

    Parameters
    ----------
    total : pair of float
        Lowest and highest total of persons transferred.
    unemployed : Series by area_id
        Unemployed jobseekers of the area at the start.
    factor : float
        At least 1; 1 splits in exact proportion.
    known : DataFrame, optional
        area_id, lower, upper: published numbers of some areas.

    Returns
    -------
    DataFrame
        area_id, customers_low, customers_high.

    Examples
    --------
    >>> split = split_customers((300, 300), pd.Series({"A": 100, "B": 200}), factor=1)
    >>> split["customers_low"].round(6).tolist()
    [100.0, 200.0]
    """
    u = unemployed.astype(float)
    if not (np.isfinite(u) & (u >= 0)).all() or u.sum() == 0:
        raise KokeiluError("`unemployed` must be finite numbers of 0 or more, not all zero.")
    if not factor >= 1 or not 0 < total[0] <= total[1]:
        raise KokeiluError("`factor` must be at least 1, and `total` two numbers in order above 0.")
    size, n = float(total[1]), len(u)
    u = u / u.sum()
    limits = pd.DataFrame({"lower": 0.0, "upper": size}, index=u.index)
    for row in [] if known is None else known.to_dict("records"):
        if row["area_id"] not in limits.index or not 0 <= row["lower"] <= row["upper"]:
            raise KokeiluError(f"Known customers of {row['area_id']}: unknown area or bad limits.")
        limits.loc[row["area_id"]] = row["lower"], row["upper"]
    p = Program()  # in units of the total, so that tolerances are relative
    areas = p.columns(limits["lower"] / size, limits["upper"] / size)
    ratio = p.columns([0.0], [np.inf])[0]
    p.row(areas, np.ones(n), total[0] / size, 1.0)
    for i, share in zip(areas, u, strict=True):
        p.row([i, ratio], [1.0, -share], low=0.0)
        p.row([i, ratio], [1.0, -factor * share], high=0.0)
    if p.minimise([], []) is None:
        raise KokeiluError(
            f"The known figures and the total cannot both hold if customers per unemployed "
            f"differ by a factor of {factor:g} at most; raise `factor` or check the figures."
        )
    low, high = ([size * s * p.minimise([i], [s])[0] for i in areas] for s in (1.0, -1.0))
    return pd.DataFrame({"area_id": u.index, "customers_low": low, "customers_high": high})


def covid_share(feasible, weights=None, factors=(1.25, 1.5, 2.0, 3.0, 5.0), due=None):
    """Return how much of the average backlog the COVID exception can explain, and what is left.

    In each area a part ``Cᵢ`` of the backlog, ``0 <= Cᵢ <= Bᵢ``, is due to the exception of
    1.5.2020–31.1.2021; what is assumed about the parts goes from nothing to much. Sharp over all
    backlogs that the statements allow.

    Parameters
    ----------
    feasible : kokeilu_analysis.methods.backlog.FeasibleSet
    weights : Series by area, optional
        Weights of the average, summing to one; the mean over areas if not given.
    factors : sequence of float
        The exception's effect differs between areas by at most this factor.
    due : DataFrame, optional
        area_id, lower, upper: share of customers whose plan fell due inside the exception's
        window. If given, one more assumption: the part is proportional to it, and no larger.

    Returns
    -------
    DataFrame
        assumption (``none``, ``factor``, ``same``, ``due``), k, bound_low, bound_high: the part
        explained, rest_low, rest_high: the part that is something else; all as shares of
        customers (0.125 = 12.5 points of the average). From the weakest assumption on.
    """
    n = len(feasible.areas)
    w = feasible.weights() if weights is None else pd.Series(weights, dtype=float)
    feasible.bounds(w)  # refuses wrong weights and says which statements clash, if they do
    w = w.reindex(feasible.areas, fill_value=0.0).to_numpy()
    one = np.ones(n)
    ladder = [("none", np.inf, None)]
    ladder += [("factor", k, (one, k * one)) for k in sorted(factors, reverse=True)]
    ladder += [("same", 1.0, (one, one))]
    if due is not None:
        given = due.set_index("area_id").reindex(feasible.areas)[["lower", "upper"]]
        if given.isna().any(axis=None) or not ((given >= 0) & (given <= 1)).all(axis=None):
            raise KokeiluError("`due` needs lower and upper between 0 and 1 for every area.")
        ladder.append(("due", np.nan, (given["lower"].to_numpy(), given["upper"].to_numpy())))
    rows = []
    for assumption, k, shape in ladder:
        p = feasible.program()
        areas, part = np.arange(n), p.columns(np.zeros(n), one)
        common = p.columns([0.0], [1.0])[0]
        for i in areas:
            p.row([part[i], i], [1.0, -1.0], high=0.0)
            if shape is not None:
                p.row([part[i], common], [1.0, -shape[0][i]], low=0.0)
                p.row([part[i], common], [1.0, -shape[1][i]], high=0.0)
        both, rest = np.concatenate([areas, part]), np.concatenate([w, -w])
        explained = [s * p.minimise(part, s * w)[0] for s in (1.0, -1.0)]
        left = [s * p.minimise(both, s * rest)[0] for s in (1.0, -1.0)]
        # rounded, so that a zero is printed as zero and not as the last digit of a sum
        rows.append((assumption, k, *np.round(explained + left, 12) + 0.0))
    columns = ["assumption", "k", "bound_low", "bound_high", "rest_low", "rest_high"]
    return pd.DataFrame(rows, columns=columns)


def _log_ratio(high, low):
    """Return ln(high/low), with the limits at zero."""
    if high == low:
        return 0.0
    return -np.inf if high == 0 else np.inf if low == 0 else float(np.log(high / low))


def _fraction(b0, b1, goal, model):
    """Return the time to `goal` as a multiple of the time from b0 to b1."""
    if b0 <= goal:
        return 0.0
    if b0 <= b1:
        return np.inf
    if model == "constant_proportion":
        way, done = _log_ratio(b0, goal), _log_ratio(b0, b1)
        return 1.0 if way == done else 0.0 if np.isinf(done) else way / done
    return (b0 - goal) / (b0 - b1)


def _refuse_bad(start, later, months, model):
    if model not in MODELS:
        raise KokeiluError(f"There is no clearing model {model!r}; known: {', '.join(MODELS)}.")
    for what, (low, high), top in (("start", start, 1), ("later", later, 1)):
        if not 0 <= low <= high <= top:
            raise KokeiluError(
                f"{what}: found {low} to {high}, expected shares from 0 to 1 in order."
            )
    if not 0 < months[0] <= months[1] < np.inf:
        raise KokeiluError(f"months: found {months[0]} to {months[1]}, expected above 0, in order.")
