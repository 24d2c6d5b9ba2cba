"""Sums by cluster and group: all that inference on a difference of weighted means needs."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError


def arms(treated):
    """Return 0/1 as booleans; a missing value or a dose must not pass as treated.

    Raises
    ------
    KokeiluError
        A value is neither 0 nor 1.

    Examples
    --------
    >>> arms([1, 0.0]).tolist()
    [True, False]
    """
    treated = np.asarray(treated)
    wrong = ~np.isin(treated, (0, 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise KokeiluError(f"Treatment of unit {at} (from 0) is {treated[at]}; expected 0 or 1.")
    return treated.astype(bool)


def cluster_sums(d, arm, w, clusters):
    """Return weighted sums s (2, G, k), weights n (2, G), totals (2, k) and sizes (2,) by arm.

    Parameters
    ----------
    d : array, shape (units, k)
        Changes.
    arm : array of bool, shape (units,)
        Treated or not; a cluster may be both.
    w : array, shape (units,)
        Positive weights.
    clusters : array, shape (units,)
        Labels; the sums are in the order of the labels as text.

    Returns
    -------
    tuple of arrays

    Raises
    ------
    KokeiluError
        An input is missing or of the wrong kind, a group is empty, or there are under 3 clusters.

    Examples
    --------
    >>> d = np.array([[1.0], [2], [3]])
    >>> s, n, total, size = cluster_sums(d, arms([1, 1, 0]), np.ones(3), list("abc"))
    >>> total.ravel().tolist(), size.tolist()    # controls, treated
    ([3.0, 3.0], [1.0, 2.0])
    """
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


def effective_clusters(sizes):
    """Return how many equal clusters would weigh the same: 1 / sum of squared shares.

    Parameters
    ----------
    sizes : array, shape (clusters,)
        Sums of weights, 0 or more.

    Returns
    -------
    float

    Raises
    ------
    KokeiluError
        A size is negative or missing, or all are 0.

    Examples
    --------
    >>> effective_clusters([6.0, 1, 1, 1, 1])
    2.5
    """
    sizes = np.asarray(sizes, dtype=float)
    if not (np.isfinite(sizes).all() and (sizes >= 0).all() and sizes.sum() > 0):
        raise KokeiluError("Cluster sizes must be 0 or more, and not all 0.")
    return float(sizes.sum() ** 2 / (sizes**2).sum())
