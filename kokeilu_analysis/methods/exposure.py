"""Time: capacity that went to the old debt, and the clock that starts when it is cleared.

The effect is taken as proportional to the capacity that is free of the debt: an assumption, which
the functions turn into intervals over what nobody measured (months, shares, clearing model).
Backlogs are shares 0-1, times are months, month 0 is the first one counted.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.lag_input import pair, shares

MODELS = ("constant_plans", "constant_proportion")


def capacity(att, share, months, total):
    """Return the effect at full capacity, att / (1 - share x months / total), as exact bounds.

    If a share of capacity went to the old debt for some months and the effect is proportional to
    free capacity, this is what full capacity would have done. Each argument is a number or a
    (low, high) pair; the formula is monotone in each, so the bounds are its values at ends.

    Parameters
    ----------
    att : float or pair
        Average effect over all months, any unit.
    share : float or pair
        Share of capacity that the debt took, 0-1.
    months, total : float or pair
        Months it took, and months of the trial.

    Returns
    -------
    (float, float)

    Examples
    --------
    >>> [round(x, 6) for x in capacity(0.704, 0.6, 9, 45)]
    [0.8, 0.8]
    >>> [round(x, 4) for x in capacity(-0.2, (0, 0.5), (6, 12), 48)]
    [-0.2286, -0.2]
    """
    att, share, months, total = (
        pair(value, name)
        for value, name in (
            (att, "att"),
            (share, "share"),
            (months, "months"),
            (total, "total"),
        )
    )
    shares(share, "share")
    if months[0] < 0 or total[0] <= 0 or months[1] > total[0]:
        raise KokeiluError(
            f"Months {months} of a total of {total}: give 0 <= months <= total, total above 0."
        )
    if share[1] * months[1] >= total[0]:
        raise KokeiluError("The debt took all capacity in every month: nothing was left to act.")
    lost = share[0] * months[0] / total[1], share[1] * months[1] / total[0]
    values = [effect / (1 - part) for effect in att for part in lost]
    return float(min(values)), float(max(values))


def capacity_by_area(att, share, months, total, weights=None):
    """Return the effect at full capacity when each area cleared its debt in its own time.

    ATT = sum w_a tau (1 - phi R_a / K), so tau = ATT / (1 - phi R / K) with R = sum w_a R_a, the
    months of area a counted to K at most. Monotone in every R_a: the bounds are attained.

    Parameters
    ----------
    att : float or pair
        Weighted average effect over all months, any unit.
    share : float or pair
        Share phi of capacity that the debt took until it was cleared, 0-1, the same everywhere.
    months : DataFrame or array of shape (A,) or (A, 2)
        R_a, or its least and greatest value; of a DataFrame the columns `months_low` and
        `months_high`. Infinite: never cleared.
    total : float
        Months K of the trial.
    weights : array of A, optional
        Zero or more; equal if left out.

    Returns
    -------
    (float, float)

    Examples
    --------
    >>> low, high = capacity_by_area(0.704, 0.6, [9, 9, 9], 45)
    >>> round(low, 9), round(high, 9)
    (0.8, 0.8)
    """
    if isinstance(months, pd.DataFrame):
        months = months[["months_low", "months_high"]]
    r = np.asarray(months, dtype=float)
    r = np.column_stack([r, r]) if r.ndim == 1 else r
    wrong = (r < 0) | np.isnan(r)
    if r.ndim != 2 or r.shape[1] != 2 or wrong.any() or (r[:, 0] > r[:, 1]).any():
        raise KokeiluError("`months` needs, for each area, a least and a greatest number from 0.")
    w = np.ones(len(r)) if weights is None else np.asarray(weights, dtype=float)
    if w.shape != (len(r),) or not (np.isfinite(w) & (w >= 0)).all() or not w.sum() > 0:
        raise KokeiluError(f"`weights` needs {len(r)} numbers from 0, not all zero.")
    low, high = w @ np.minimum(r, total) / w.sum()
    return capacity(att, share, (low, high), total)


def backlog_path(start, rate, model, months, floor=0.0):
    """Return the backlog left after 0, 1, ... months of clearing.

    Parameters
    ----------
    start : float
        Starting backlog, share 0-1.
    rate : float
        Zero or more. ``constant_plans``: share of customers a month; ``constant_proportion``: of
        the remaining backlog a month (hazard). A backlog at or below the floor stays.
    months : int
        Number of values.
    floor : float
        Backlog that is left for good, share 0-1.

    Returns
    -------
    array of `months`

    Examples
    --------
    >>> backlog_path(0.8, 0.3, "constant_plans", 4).round(3).tolist()
    [0.8, 0.5, 0.2, 0.0]
    """
    shares([start, floor], "start, floor")
    if model not in MODELS:
        raise KokeiluError(f"There is no clearing model {model!r}; known: {', '.join(MODELS)}.")
    if not rate >= 0 or months < 1:
        raise KokeiluError(f"`rate` is {rate}, `months` {months}; give 0 or more and 1 or more.")
    k = np.arange(months)
    if model == "constant_plans":
        left = start - np.where(k > 0, rate * np.maximum(k, 1), 0.0)
    else:
        left = start * np.exp(-np.where(k > 0, rate * np.maximum(k, 1), 0.0))
    return np.maximum(left, min(start, floor))


def effective_exposure(backlog, rate, model, omega, months, floor=0.0):
    """Return cumulative effective capacity E_a(t) = sum over s <= t of (1 - omega B_a(s)).

    Parameters
    ----------
    backlog : DataFrame
        area_id, bound_low, bound_high: starting backlogs (shares).
    rate : float or pair
        As in `backlog_path`, one for all areas: clearing before the trial's own course is known.
    omega : float or pair
        Share of capacity lost at a backlog of one, 0-1.
    months : int

    Returns
    -------
    DataFrame
        area_id, event_month, exposure_low, exposure_high (months of full capacity); sharp, because
        exposure falls in the backlog and in omega and rises in the rate.

    Examples
    --------
    >>> one = pd.DataFrame({"area_id": ["A"], "bound_low": [0.5], "bound_high": [0.8]})
    >>> effective_exposure(one, 0.3, "constant_plans", 0.5, 3)["exposure_low"].round(3).tolist()
    [0.6, 1.35, 2.25]
    """
    rate, omega = pair(rate, "rate"), pair(omega, "omega")
    shares(omega, "omega")
    frames = []
    for area in backlog.to_dict("records"):
        if not area["bound_low"] <= area["bound_high"]:
            raise KokeiluError(
                f"Backlog of area {area['area_id']}: found {area['bound_low']} to "
                f"{area['bound_high']}; expected two shares in order."
            )
        least = backlog_path(area["bound_low"], rate[1], model, months, floor)
        most = backlog_path(area["bound_high"], rate[0], model, months, floor)
        frames.append(
            pd.DataFrame(
                {
                    "area_id": area["area_id"],
                    "event_month": np.arange(months),
                    "exposure_low": np.cumsum(1 - omega[1] * most),
                    "exposure_high": np.cumsum(1 - omega[0] * least),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def per_exposure(path, exposure, edges, weights=None, shared=0.0):
    """Redraw an event study on effective exposure instead of calendar months.

    Parameters
    ----------
    path : DataFrame
        area_id, event_month, estimate: effects by area and month.
    exposure : DataFrame
        area_id, event_month, exposure: one number each, for example an end of
        `effective_exposure`. Months of `path` without exposure, such as those before the start,
        are left out and counted.
    edges : increasing sequence of float
        Limits of the classes of exposure, in months of full capacity; left end excluded.
    weights : Series by area_id, optional
    shared : float
        Standard error of what all areas' effects have in common, such as the control mean.

    Returns
    -------
    DataFrame
        exposure_from, exposure_to, exposure (mean), estimate (mean), per_unit (estimate over
        exposure), ci_low, ci_high (of the estimate: 95 %, areas left out one at a time, t(A-1);
        NaN for a single area), n_areas, n_cells, n_outside (area-months in no class, the same in
        every row). Classes without area-months are NaN.

    Examples
    --------
    >>> path = pd.DataFrame({"area_id": "A", "event_month": [0, 1], "estimate": [0.3, 0.6]})
    >>> clock = pd.DataFrame({"area_id": "A", "event_month": [0, 1], "exposure": [0.6, 1.2]})
    >>> per_exposure(path, clock, [0, 1, 2])["per_unit"].round(6).tolist()
    [0.5, 0.5]
    """
    edges = np.asarray(edges, dtype=float)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise KokeiluError("`edges` needs at least two increasing numbers.")
    columns = ["area_id", "event_month"]
    joined = path.merge(exposure[[*columns, "exposure"]], on=columns, how="left", validate="1:1")
    if joined["estimate"].isna().any():
        row = joined[joined["estimate"].isna()].iloc[0]
        raise KokeiluError(f"Area {row['area_id']}, month {row['event_month']}: no estimate.")
    w = _area_weights(joined["area_id"], weights)
    number = np.searchsorted(edges, joined["exposure"].to_numpy(float), side="left") - 1
    inside = joined["exposure"].notna().to_numpy() & (number >= 0) & (number < len(edges) - 1)
    rows = []
    for k in range(len(edges) - 1):
        chosen = inside & (number == k)
        part, size = joined[chosen], w[chosen]
        if size.sum() > 0:
            mean = size @ part["exposure"] / size.sum(), size @ part["estimate"] / size.sum()
            unit = mean[1] / mean[0] if mean[0] > 0 else np.nan
        else:
            mean, unit = (np.nan, np.nan), np.nan
        ends = _area_jackknife(part["area_id"], size, part["estimate"], mean[1], shared)
        count = part["area_id"].nunique(), len(part)
        rows.append((edges[k], edges[k + 1], *mean, unit, *ends, *count))
    names = "exposure_from exposure_to exposure estimate per_unit ci_low ci_high n_areas n_cells"
    return pd.DataFrame(rows, columns=names.split()).assign(n_outside=int((~inside).sum()))


def _area_jackknife(areas, size, values, mean, shared):
    """95 % interval of a weighted mean over cells, whole areas left out."""
    from scipy import special

    sums = pd.DataFrame({"n": size, "s": size * values}).groupby(areas.to_numpy()).sum()
    groups = len(sums)
    if groups < 2:
        return np.nan, np.nan
    moved = (sums["s"].sum() - sums["s"]) / (sums["n"].sum() - sums["n"]) - mean
    se = np.sqrt((groups - 1) / groups * (moved**2).sum() + shared**2)
    reach = special.stdtrit(groups - 1, 0.975) * se
    return mean - reach, mean + reach


def restart_clock(path, months, weights=None):
    """Count months from when each area had cleared its debt, and average the effects by them.

    If area a's effect in month k is h(max(0, k - R_a)) the result is h. Where R_a is an interval,
    each area's effect e months after clearing is one of those at e + R_a, and the bounds take the
    least and the greatest, which is sharp for each e by itself.

    Parameters
    ----------
    path : DataFrame
        area_id, event_month (whole, 0 or more are used), estimate.
    months : DataFrame
        area_id, months_low, months_high: R_a; parts of a month count as a whole one. Areas with
        an infinite `months_high` may never start and are left out.
    weights : Series by area_id, optional

    Returns
    -------
    DataFrame
        `months_cleared` e (0: in the month of clearing), `bound_low`, `bound_high`, `estimate`
        (their common value, NaN where they differ), `spread` (greatest less least effect between
        areas, of the middles), `n_areas`, `n_left_out` (areas with R that never ends or begins
        after the last month). An area counts for e only if all its possible months are in
        `path`. The set of areas changes with e: compare neighbours with `n_areas` beside them.

    Examples
    --------
    >>> path = pd.DataFrame({"area_id": ["A"] * 3 + ["B"] * 3, "event_month": [0, 1, 2] * 2,
    ...                      "estimate": [0.0, 0.1, 0.4, 0.0, 0.0, 0.1]})
    >>> cleared = pd.DataFrame({"area_id": ["A", "B"], "months_low": [0, 1], "months_high": [0, 1]})
    >>> restart_clock(path, cleared)[["estimate", "n_areas"]].values.tolist()
    [[0.0, 2.0], [0.1, 2.0], [0.4, 1.0]]
    """
    given = months.set_index("area_id")
    areas = list(dict.fromkeys(path["area_id"]))
    missing = [area for area in areas if area not in given.index]
    if missing:
        raise KokeiluError(f"Area {missing[0]} has effects but no months until cleared.")
    limits = given.loc[areas, ["months_low", "months_high"]].astype(float)
    if not ((limits >= 0).all(axis=None) and (limits.iloc[:, 0] <= limits.iloc[:, 1]).all()):
        raise KokeiluError("`months` needs 0 <= months_low <= months_high in every row.")
    wide = path.pivot(index="area_id", columns="event_month", values="estimate").loc[areas]
    last = int(max(wide.columns))
    wide = wide.reindex(columns=range(last + 1)).to_numpy(float)
    w = _area_weights(pd.Series(areas), weights)
    low, high = (np.full(wide.shape, np.nan) for _ in range(2))
    out = 0
    for i, (first, final) in enumerate(np.ceil(limits.to_numpy() - 1e-9)):
        if final > last:
            out += 1
            continue
        for e in range(last - int(final) + 1):
            possible = wide[i, e + int(first) : e + int(final) + 1]
            low[i, e], high[i, e] = possible.min(), possible.max()  # NaN where one is missing
    rows = []
    for e in range(last + 1):
        known = np.isfinite(low[:, e]) & (w > 0)
        if not known.any():
            continue
        part = w[known] / w[known].sum()
        ends = part @ low[known, e], part @ high[known, e]
        middle = (low[known, e] + high[known, e]) / 2
        same = np.isclose(*ends, rtol=0, atol=1e-12 * max(1.0, np.abs(middle).max()))
        rows.append((e, *ends, ends[0] if same else np.nan, np.ptp(middle), int(known.sum())))
    names = "months_cleared bound_low bound_high estimate spread n_areas"
    return pd.DataFrame(rows, columns=names.split()).assign(n_left_out=out)


def detectable(covariance, slow_start, level=0.95):
    """Return the power with which an event-study path tells a slow start from no effect.

    The likelihood ratio test of two given paths is the most powerful there is: it weighs the
    months by the inverse covariance. If its power is low, no test can tell the two apart.

    Parameters
    ----------
    covariance : array (K, K)
        Of the monthly estimates.
    slow_start : array of K
        Path under the alternative, for example zero until cleared and a constant afterwards.
    level : float

    Returns
    -------
    dict
        `power` of the one-sided test of no effect, and `size_for_80`: the factor by which the
        path must be multiplied to be found with probability 0.8.

    References
    ----------
    Neyman and Pearson 1933, Philosophical Transactions A 231; Roth 2022, AER: Insights 4.

    Examples
    --------
    >>> found = detectable(np.eye(4), [0, 0, 1.0, 1.0])
    >>> round(found["power"], 4), round(found["size_for_80"], 4)
    (0.4088, 1.7582)
    """
    from scipy import special

    covariance, path = np.asarray(covariance, dtype=float), np.asarray(slow_start, dtype=float)
    if covariance.shape != (len(path), len(path)) or not np.isfinite(covariance).all():
        raise KokeiluError(f"`covariance` has shape {covariance.shape} for {len(path)} months.")
    distance = path @ np.linalg.pinv(covariance, hermitian=True) @ path
    if not distance > 0:
        raise KokeiluError("The path is zero everywhere: there is nothing to find.")
    needed = special.ndtri(level)
    return {
        "power": float(special.ndtr(np.sqrt(distance) - needed)),
        "size_for_80": float((needed + special.ndtri(0.8)) / np.sqrt(distance)),
    }


def _area_weights(areas, weights):
    if weights is None:
        return np.ones(len(areas))
    found = areas.map(pd.Series(weights, dtype=float)).to_numpy(float)
    if not (np.isfinite(found) & (found >= 0)).all():
        area = areas[~(np.isfinite(found) & (found >= 0))].iloc[0]
        raise KokeiluError(f"Weight of area {area} is missing or negative.")
    return found
