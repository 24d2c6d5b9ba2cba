"""Control groups built by weighting: synthetic difference-in-differences and synthetic control.

Units should be areas when treatment was given to areas: single municipalities as placebos leave
out the shocks that an area's municipalities share, and the interval comes out too short.
"""

import warnings

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates
from kokeilu_analysis.methods.frames import arms, periods, span, unit_table

VARIANCES = ("placebo", "jackknife")


def synthetic_did(
    frame,
    outcome,
    unit,
    time,
    treated,
    start,
    variance="placebo",
    draws=200,
    seed=0,
    level=0.95,
    weights=False,
):
    """Synthetic difference-in-differences: control units and times weighted to fit the past.

    The estimate is the two-by-two with weights on the controls (so that their path before the
    start runs parallel to the treated mean) and on the times before the start (so that they
    predict the controls' level after it). Estimated by diff-diff.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start
        As in `compare.did`; the panel is balanced.
    variance : "placebo" or "jackknife"
        Placebo: as many controls as there are treated units are drawn and called treated; needs
        more controls than treated units and assumes that they vary alike. Jackknife: one unit
        left out at a time, weights kept; needs two treated units.
    draws : int
        Placebo draws.
    seed : int
        Of the placebo draws.
    level : float
        Level of the interval (normal).
    weights : bool
        Also return the weights.

    Returns
    -------
    DataFrame, or (DataFrame, DataFrame, DataFrame)
        One row of the estimate schema; with `weights` also the weights of control units
        (`unit`, ``weight``) and of times before the start (`time`, ``weight``), each summing to 1.

    Raises
    ------
    KokeiluError
        See `unit_table`; also when the times do not surround the start, a group is empty, or the
        variance cannot be had from this many units.

    References
    ----------
    Arkhangelsky, Athey, Hirshberg, Imbens & Wager 2021, AER 111(12), algorithms 1, 3 and 4.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcd"), 4), "t": [0, 1, 2, 3] * 4,
    ...                   "d": [1] * 4 + [0] * 12, "y": [5.0, 6, 7, 11] + [1, 2, 3, 4] * 3})
    >>> float(round(synthetic_did(f, "y", "i", "t", "d", 3).loc[0, "estimate"], 6))    # 11 - 8
    3.0
    """
    from diff_diff import SyntheticDiD

    if variance not in VARIANCES:
        raise KokeiluError(f"Variance {variance!r} is unknown; expected {' or '.join(VARIANCES)}.")
    matrix, facts = unit_table(frame, outcome, unit, time, treated)
    before, after = periods(matrix, start)
    is_treated = arms(facts)
    count = np.bincount(is_treated)  # controls, treated
    if variance == "placebo" and count[0] <= count[1]:
        raise KokeiluError(
            f"Placebo variance needs more control than treated units; found {count[0]} and "
            f"{count[1]}. Use variance='jackknife'."
        )
    if variance == "jackknife" and count[1] < 2:
        raise KokeiluError("Jackknife needs two treated units; use variance='placebo'.")
    model = SyntheticDiD(alpha=1 - level, variance_method=variance, n_bootstrap=draws, seed=seed)
    columns = frame[[unit, time, outcome, treated]]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        fit = model.fit(
            columns.astype({treated: int}),
            outcome=outcome,
            treatment=treated,
            unit=unit,
            time=time,
            post_periods=after,
        )
    method = f"placebo variance, {draws} draws, seed {seed}; p by rank"
    row = {
        "outcome": outcome,
        "estimand": "ATT",
        "estimator": "synthetic difference-in-differences",
        "weights": "none",
        "controls": f"{sum(w > 1e-6 for w in fit.unit_weights.values())} weighted of {count[0]}",
        "pre": span(before),
        "post": span(after),
        "estimate": fit.att,
        "se": fit.se,
        "ci_low": fit.conf_int[0],
        "ci_high": fit.conf_int[1],
        "p": fit.p_value,
        "inference": method if variance == "placebo" else "jackknife of units, weights kept",
        "n_units": len(facts),
        "n_clusters": len(facts),
        "note": "; ".join(dict.fromkeys(str(w.message) for w in heard)),
    }
    table = estimates.table([row])
    if not weights:
        return table
    units = pd.Series(fit.unit_weights).reindex(facts.index[~is_treated])
    times = pd.Series(fit.time_weights).reindex(before)
    return table, *(
        weight.rename_axis(name).rename("weight").reset_index()
        for weight, name in ((units, unit), (times, time))
    )


def control(frame, outcome, unit, time, treated, start, weights=False):
    """Synthetic control of each treated unit, with placebo p by the ratio of fits.

    For each treated unit the weighted control units that come closest to it at every time before
    the start; the effect is the mean gap after it. Every control is then treated in turn, with
    the other controls to draw from: p is the share of units (the treated one among them) whose
    gap after the start, relative to the gap before, is at least as large.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start
        As in `compare.did`; the panel is balanced and has at least three control units.
    weights : bool
        Also return the weights.

    Returns
    -------
    DataFrame, or (DataFrame, DataFrame)
        The estimate schema, a row per treated unit (``area_id`` = the unit); ``note`` gives the
        root mean squared gap before the start, without which the effect cannot be judged. A unit
        far from every mixture of controls has no synthetic control worth the name. With `weights`
        also a frame of `unit`, ``control``, ``weight``, the zero weights left out.

    Raises
    ------
    KokeiluError
        See `unit_table`; also when there are under three controls or no treated unit.

    References
    ----------
    Abadie, Diamond & Hainmueller 2010, JASA 105(490); every outcome before the start is a
    predictor of the same weight.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcd"), 3), "t": [0, 1, 2] * 4,
    ...                   "d": [1] * 3 + [0] * 9, "y": [2.0, 3, 9, 1, 2, 3, 3, 4, 5, 9, 0, 9]})
    >>> float(round(control(f, "y", "i", "t", "d", 2).loc[0, "estimate"], 9))    # 9 - (3 + 5)/2
    5.0
    """
    matrix, facts = unit_table(frame, outcome, unit, time, treated)
    before, after = periods(matrix, start)
    is_treated = arms(facts)
    count = (~is_treated).sum()
    if count < 3:
        raise KokeiluError(f"Synthetic control needs three control units; found {count}.")
    past, later = matrix[before].to_numpy(), matrix[after].to_numpy()
    donors = np.flatnonzero(~is_treated)

    def gaps(at, pool):
        share = simplex_weights(past[pool].T, past[at])
        return later[at] - share @ later[pool], past[at] - share @ past[pool], share

    def ratio(gap_after, gap_before):
        after, before = _root_mean_square(gap_after), _root_mean_square(gap_before)
        return after / before if before else np.inf if after else 0.0  # a perfect fit before

    placebo = np.array([ratio(*gaps(j, donors[donors != j])[:2]) for j in donors])
    rows, shares = [], []
    for at in np.flatnonzero(is_treated):
        gap_after, gap_before, share = gaps(at, donors)
        as_large = placebo >= ratio(gap_after, gap_before) * (1 - 1e-12)
        used = share > 1e-9
        rows.append(
            {
                "area_id": matrix.index[at],
                "estimate": gap_after.mean(),
                "p": (1 + as_large.sum()) / (1 + len(donors)),
                "controls": f"{used.sum()} weighted of {len(donors)}",
                "note": f"RMSPE before the start {_root_mean_square(gap_before):.4g}",
            }
        )
        shares.append(
            pd.DataFrame(
                {
                    unit: matrix.index[at],
                    "control": matrix.index[donors[used]],
                    "weight": share[used],
                }
            )
        )
    common = {
        "outcome": outcome,
        "estimand": "effect on the area",
        "estimator": "synthetic control",
        "weights": "none",
        "pre": span(before),
        "post": span(after),
        "inference": f"placebo in space, ratio of RMSPE, {len(donors)} controls",
        "n_units": 1 + len(donors),
    }
    table = estimates.table(pd.DataFrame(rows).assign(**common))
    return (table, pd.concat(shares, ignore_index=True)) if weights else table


def simplex_weights(donors, target):
    """Weights, none negative and summing to 1, that bring donors closest to a target.

    With A = donors - target, the least of |A w| over the simplex lies on the ray of the
    non-negative u that minimises |A u|^2 + (sum u - 1)^2: along a ray of direction w the best
    length leaves q/(1 + q) with q = |A w|^2, increasing in q. So one non-negative least squares
    is exact, without a penalty to choose.

    Parameters
    ----------
    donors : array, shape (rows, donors)
    target : array, shape (rows,)

    Returns
    -------
    array, shape (donors,)

    Examples
    --------
    >>> simplex_weights(np.array([[0.0, 4.0], [0.0, 4.0]]), np.array([1.0, 1.0])).round(9).tolist()
    [0.75, 0.25]
    """
    from scipy.optimize import nnls

    off = donors - target[:, None]
    off = off / max(np.abs(off).max(initial=0.0), 1e-300)
    goal = np.append(np.zeros(len(off)), 1.0)
    ray, _ = nnls(np.vstack([off, np.ones(off.shape[1])]), goal)
    return ray / ray.sum()


def _root_mean_square(gap):
    return float(np.sqrt(np.mean(gap**2)))
