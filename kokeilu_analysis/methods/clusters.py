"""Sums by cluster and group: all that inference on a difference of weighted means needs."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError

BLOCK = 2_000_000  # numbers held at a time


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
    if treated.dtype.kind in "biuf":
        wrong = (treated != 0) & (treated != 1)
    else:
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
    named = np.asarray(clusters)
    if named.dtype.kind in "biu":  # never missing
        labels, code = np.unique(named, return_inverse=True)
    else:
        unnamed = pd.isna(np.asarray(clusters, dtype=object))
        if unnamed.any():
            raise KokeiluError(f"Unit {int(np.argmax(unnamed))} (from 0) has no cluster.")
        code, labels = pd.factorize(named)
    labels, place = np.unique(labels.astype(str), return_inverse=True)
    if arm.all() or not arm.any():
        raise KokeiluError("A comparison needs treated and control units; one group is empty.")
    if len(labels) < 3:
        raise KokeiluError(f"Cluster inference needs at least 3 clusters; found {len(labels)}.")
    cell, cells = arm * len(labels) + place[code], 2 * len(labels)
    n = np.bincount(cell, w, cells).reshape(2, -1)
    s = np.empty((cells, d.shape[1]))
    width = max(1, BLOCK // len(d))
    for begin in range(0, d.shape[1], width):
        part = w[:, None] * d[:, begin : begin + width]
        at = (cell[:, None] * part.shape[1] + np.arange(part.shape[1])).ravel()
        found = np.bincount(at, part.ravel(), cells * part.shape[1])
        s[:, begin : begin + width] = found.reshape(cells, -1)
    s = s.reshape(2, len(labels), -1)
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
