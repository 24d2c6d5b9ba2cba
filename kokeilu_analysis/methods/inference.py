"""Uncertainty that fits few, self-selected clusters: the one place to call for inference.

Jackknife, joint covariance and power are here; randomization, the wild bootstrap, intervals for
sets and the sensitivity of parallel trends have modules of their own and are offered here too.

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
from kokeilu_analysis.methods.bootstrap import wild_cluster
from kokeilu_analysis.methods.clusters import arms, cluster_sums, effective_clusters
from kokeilu_analysis.methods.intervals import imbens_manski, stoye
from kokeilu_analysis.methods.permutation import assignments, randomization, reassigned
from kokeilu_analysis.methods.sensitivity import honest, honest_breakdown, identified_set

__all__ = [
    "assignments",
    "cluster_sums",
    "difference",
    "difference_covariance",
    "effective_clusters",
    "honest",
    "honest_breakdown",
    "identified_set",
    "imbens_manski",
    "mean_error",
    "minimum_detectable",
    "randomization",
    "reassigned",
    "stoye",
    "wild_cluster",
]


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
    arm = arms(treated)
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


def difference_covariance(change, treated, weights, clusters, kind="CR3"):
    """Covariance between the differences of several columns, as joint inference needs it.

    Parameters
    ----------
    change : array, shape (units, k)
        For instance the change to each time from a base.
    treated, weights, clusters
        As in `difference`.
    kind : "CR3" or "CR1"
        Cluster jackknife or sandwich; the diagonal is the square of the errors of `difference`.

    Returns
    -------
    array, shape (k, k)

    Raises
    ------
    KokeiluError
        As in `difference`; also when a group is a single cluster and CR3 is asked for.

    Examples
    --------
    >>> d = np.array([[1.0, 2], [3, 6], [0, 0], [2, 4]])
    >>> difference_covariance(d, [1, 1, 0, 0], np.ones(4), list("abcd"), "CR1").round(4).tolist()
    [[1.3333, 2.6667], [2.6667, 5.3333]]
    """
    if kind not in ("CR3", "CR1"):
        raise KokeiluError(f"Kind is {kind!r}; expected CR3 or CR1.")
    d = np.asarray(change, dtype=float)
    d = d[:, None] if d.ndim == 1 else d
    w = np.asarray(weights, dtype=float)
    s, n, total, size = cluster_sums(d, arms(treated), w, clusters)
    groups = n.shape[1]
    mean = total / size[:, None]
    if kind == "CR1":
        influence = (s[1] - n[1][:, None] * mean[1]) / size[1]
        influence -= (s[0] - n[0][:, None] * mean[0]) / size[0]
        return groups / (groups - 1) * influence.T @ influence
    left = size[:, None] - n
    if (left <= 0).any():
        raise KokeiluError("A whole group is one cluster; there is no jackknife. Use CR1.")
    out = (total[:, None, :] - s) / left[:, :, None]
    moved = (out[1] - out[0]) - (mean[1] - mean[0])
    return (groups - 1) / groups * moved.T @ moved


def mean_error(change, weights, clusters):
    """Jackknife standard error over clusters of a weighted mean.

    What all area effects share when they are measured against one control mean.

    Parameters
    ----------
    change, weights, clusters : array, shape (units,)

    Returns
    -------
    float

    Raises
    ------
    KokeiluError
        A change or weight is no usable number, or there are under 3 clusters.

    Examples
    --------
    >>> round(mean_error([0.0, 1, 2], [1, 1, 1], ["a", "b", "c"]), 6)    # sd / sqrt(3)
    0.57735
    """
    d, w = np.asarray(change, dtype=float), np.asarray(weights, dtype=float)
    if not (np.isfinite(d).all() and np.isfinite(w).all() and (w > 0).all()):
        raise KokeiluError("Changes must be finite numbers and weights positive ones.")
    sums = pd.DataFrame({"s": w * d, "n": w}).groupby(np.asarray(clusters)).sum()
    groups = len(sums)
    if groups < 3:
        raise KokeiluError(f"Cluster inference needs at least 3 clusters; found {groups}.")
    total, size = sums["s"].sum(), sums["n"].sum()
    moved = (total - sums["s"]) / (size - sums["n"]) - total / size
    return float(np.sqrt((groups - 1) / groups * (moved**2).sum()))


def minimum_detectable(se, df, power=0.8, level=0.95):
    """Smallest true effect that a two-sided test finds with a given probability.

    Parameters
    ----------
    se : float or array
        Standard error, in the unit of the outcome.
    df : float
        Degrees of freedom of the test, clusters - 1.
    power, level : float

    Returns
    -------
    float or array
        (t_(1+level)/2 + t_power) se, in the unit of the outcome.

    Raises
    ------
    KokeiluError
        An error is negative, there is under 1 degree of freedom, or a share is not one.

    References
    ----------
    Bloom 1995, Evaluation Review 19(5).

    Examples
    --------
    >>> round(float(minimum_detectable(1.0, 76)), 3)
    2.838
    """
    from scipy.special import stdtrit

    if not (np.asarray(se, dtype=float) >= 0).all() or not df >= 1:
        raise KokeiluError(f"Error {se} and {df} degrees of freedom; expected >= 0 and >= 1.")
    if not (0 < power < 1 and 0 < level < 1):
        raise KokeiluError(f"Power {power} and level {level} must lie between 0 and 1.")
    return (stdtrit(df, 0.5 + level / 2) + stdtrit(df, power)) * np.asarray(se, dtype=float)
