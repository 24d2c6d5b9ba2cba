"""Uncertainty that fits few, self-selected clusters: jackknife, randomization, intervals for sets.

Cluster sums suffice for a difference of weighted means: with s_g the weighted sum of the unit
changes d and n_g the sum of weights of cluster g, m_1 and m_0 the weighted means,

    tau   = m_1 - m_0
    IF_g  = (s_1g - n_1g m_1) / N_1 - (s_0g - n_0g m_0) / N_0
    CR1   = G/(G-1) sum IF_g^2
    CR3   = (G-1)/G sum (tau_(-g) - tau)^2          (cluster jackknife, MacKinnon, Nielsen & Webb
                                                     2023, J. Applied Econometrics 38)
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError


def difference(change, treated, weights, clusters, level=0.95):
    """Difference of weighted means between treated and control units, with cluster inference.

    Parameters
    ----------
    change : array, shape (units,) or (units, k)
        Change of each unit; several columns are estimated at once.
    treated : array of 0/1, shape (units,)
    weights : array, shape (units,)
        Positive.
    clusters : array, shape (units,)
        Cluster labels.
    level : float
        Level of the interval, t distribution with G - 1 degrees of freedom.

    Returns
    -------
    dict of arrays, shape (k,) or scalars
        ``estimate``, ``se`` (CR3), ``se_cr1``, ``ci_low``, ``ci_high``, ``p``, ``n_clusters``.
        When a whole group is one cluster nothing is left to estimate from without it: no
        jackknife exists, and ``se``, interval and ``p`` are NaN.

    Raises
    ------
    KokeiluError
        An input is missing or of the wrong kind, a group is empty, or there are under 3 clusters.

    Examples
    --------
    >>> r = difference([1.0, 3, 0, 2], [1, 1, 0, 0], [1, 1, 1, 1], ["a", "b", "c", "d"])
    >>> r["estimate"], round(r["se_cr1"], 4)
    (np.float64(1.0), np.float64(1.1547))
    """
    from scipy import special  # scipy.stats would take seconds to import

    change = np.asarray(change, dtype=float)
    single = change.ndim == 1
    d = change[:, None] if single else change
    w = np.asarray(weights, dtype=float)
    arm = _arms(treated)
    s, n, total, size = cluster_sums(d, arm, w, clusters)
    groups = n.shape[1]
    mean = total / size[:, None]
    estimate = mean[1] - mean[0]
    influence = (s[1] - n[1][:, None] * mean[1]) / size[1]
    influence -= (s[0] - n[0][:, None] * mean[0]) / size[0]
    cr1 = groups / (groups - 1) * (influence**2).sum(axis=0)
    left = size[:, None] - n
    if (left <= 0).any():
        cr3 = np.full_like(cr1, np.nan)  # one group is a single cluster: no jackknife exists
    else:
        out = (total[:, None, :] - s) / left[:, :, None]
        cr3 = (groups - 1) / groups * (((out[1] - out[0]) - estimate) ** 2).sum(axis=0)
    se = np.sqrt(cr3)
    reach = special.stdtrit(groups - 1, 0.5 + level / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(groups - 1, -np.abs(estimate / se))
    result = {
        "estimate": estimate,
        "se": se,
        "se_cr1": np.sqrt(cr1),
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "p": p,
    }
    if single:
        result = {key: value[0] for key, value in result.items()}
    return result | {"n_clusters": groups}


def _arms(treated):
    """Return 0/1 as booleans; a missing value or a dose must not pass as treated."""
    treated = np.asarray(treated)
    wrong = ~np.isin(treated, (0, 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise KokeiluError(f"Treatment of unit {at} (from 0) is {treated[at]}; expected 0 or 1.")
    return treated.astype(bool)


def cluster_sums(d, arm, w, clusters):
    """Return weighted sums s (2, G, k), weights n (2, G), totals (2, k) and sizes (2,) by arm."""
    if len(d) != len(arm) or len(d) != len(w) or len(d) != len(clusters):
        raise KokeiluError("Changes, treatment, weights and clusters must have one entry a unit.")
    if not np.isfinite(d).all():
        raise KokeiluError("A change is missing or infinite; drop or bound the unit first.")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise KokeiluError("Weights must be positive numbers.")
    unnamed = pd.isna(np.asarray(clusters, dtype=object))
    if unnamed.any():
        raise KokeiluError(f"Unit {int(np.argmax(unnamed))} (from 0) has no cluster.")
    labels, code = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
    if arm.all() or not arm.any():
        raise KokeiluError("A comparison needs treated and control units; one group is empty.")
    if len(labels) < 3:
        raise KokeiluError(f"Cluster inference needs at least 3 clusters; found {len(labels)}.")
    s = np.zeros((2, len(labels), d.shape[1]))
    n = np.zeros((2, len(labels)))
    np.add.at(s, (arm.astype(int), code), w[:, None] * d)
    np.add.at(n, (arm.astype(int), code), w)
    return s, n, s.sum(axis=1), n.sum(axis=1)


def randomization(effects_by_unit, treated, clusters=None, draws=9999, seed=0, weights=None):
    """Randomization inference: reassign whole clusters, keep how many are treated.

    The statistic is the difference of (weighted) means of the unit changes. Under the sharp null
    of no effect every assignment of the same number of clusters was as likely as the real one;
    areas chose themselves, so p says how unusual the difference is among such assignments, not
    that assignment was random.

    Parameters
    ----------
    effects_by_unit : array, shape (units,)
        Change of each unit.
    treated : array of 0/1, shape (units,)
        Constant within a cluster.
    clusters : array, optional
        Labels; each unit is its own cluster if left out.
    draws : int
        Assignments drawn, without the real one.
    seed : int
    weights : array, optional

    Returns
    -------
    dict
        ``estimate``, ``p`` = (1 + #{|t*| >= |t|}) / (draws + 1), ``placebo`` (draws,),
        ``n_clusters``, ``n_treated``.

    Raises
    ------
    KokeiluError
        A cluster is partly treated, or an input is missing.

    Examples
    --------
    >>> r = randomization([5.0, 6, 0, 1, 0, 1], [1, 1, 0, 0, 0, 0], draws=999)
    >>> float(r["estimate"]), round(float(r["p"]), 1)    # exactly 1/15 over all assignments
    (5.0, 0.1)
    """
    change = np.asarray(effects_by_unit, dtype=float)
    arm = _arms(treated)
    w = np.ones(len(change)) if weights is None else np.asarray(weights, dtype=float)
    clusters = np.arange(len(change)) if clusters is None else clusters
    s, n, total, size = cluster_sums(change[:, None], arm, w, clusters)
    if (n > 0).all(axis=0).any():
        raise KokeiluError("A cluster is partly treated; whole clusters are reassigned.")
    sums, sizes, is_treated = s.sum(axis=0)[:, 0], n.sum(axis=0), n[1] > 0
    estimate = total[1, 0] / size[1] - total[0, 0] / size[0]
    rng = np.random.default_rng(seed)
    assigned = rng.permuted(np.tile(is_treated, (draws, 1)), axis=1)
    treated_sum, treated_size = assigned @ sums, assigned @ sizes
    placebo = treated_sum / treated_size
    placebo -= (sums.sum() - treated_sum) / (sizes.sum() - treated_size)
    # equal statistics must count as equal whatever the order of summation was
    as_large = np.abs(placebo) >= abs(estimate) * (1 - 1e-12)
    return {
        "estimate": estimate,
        "p": (1 + as_large.sum()) / (draws + 1),
        "placebo": placebo,
        "n_clusters": len(sums),
        "n_treated": int(is_treated.sum()),
    }


def minimum_detectable(se, df, power=0.8, level=0.95):
    """Return the smallest true effect that a two-sided test finds with the given power.

    Parameters
    ----------
    se : float
        Standard error of the estimate, in its unit.
    df : int
        Degrees of freedom of the t distribution (clusters - 1).
    power, level : float
        0.8 and 0.95: found in four cases of five at the 5 per cent level.

    Returns
    -------
    float
        (t_{(1+level)/2} + t_power) se, in the unit of `se` (Bloom 1995, Evaluation Review 19(5)).

    Examples
    --------
    >>> round(float(minimum_detectable(0.5, 76)), 3)
    1.419
    """
    from scipy import special

    return (special.stdtrit(df, 0.5 + level / 2) + special.stdtrit(df, power)) * se
