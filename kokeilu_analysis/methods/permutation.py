"""Randomization inference: reassign whole clusters and see how unusual the real difference is.

Cluster sums suffice, so all reassignments of a block are one matrix product.
"""

import itertools
import math

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.clusters import arms, cluster_sums


def randomization(
    effects_by_unit,
    treated,
    clusters=None,
    draws=9999,
    seed=0,
    weights=None,
    strata=None,
    statistic="difference",
):
    """Randomization inference: reassign whole clusters, keep how many are treated.

    Under the sharp null of no effect every assignment of the same number of clusters was as likely
    as the real one; areas chose themselves, so p says how unusual the difference is among such
    assignments, not that assignment was random.

    Parameters
    ----------
    effects_by_unit : array, shape (units,)
        Change of each unit.
    treated : array of 0/1, shape (units,)
        Constant within a cluster.
    clusters : array, optional
        Labels; each unit is its own cluster if left out.
    draws : int or "all"
        Assignments drawn, without the real one; "all" takes each possible one once (at most a
        million, no strata), the real one among them, and p is exact.
    seed : int
    weights : array, optional
    strata : array, shape (units,), optional
        Labels, constant within a cluster; the number treated is kept within each.
    statistic : "difference" or "t"
        Difference of (weighted) means, or that over its CR1 error, which also holds when treated
        clusters vary more (MacKinnon & Webb 2020, J. Econometrics 218(2)).

    Returns
    -------
    dict
        ``estimate``, ``p`` = (1 + #{|s*| >= |s|}) / (draws + 1) or the share of all, ``statistic``
        (the real one), ``placebo`` (draws,), ``n_clusters``, ``n_treated``.

    Raises
    ------
    KokeiluError
        A cluster is partly treated or lies in two strata, an input is missing, or there are too
        many assignments to take all.

    Examples
    --------
    >>> r = randomization([5.0, 6, 0, 1, 0, 1], [1, 1, 0, 0, 0, 0], draws="all")
    >>> float(r["estimate"]), round(float(r["p"]), 4)    # 1 of 15
    (5.0, 0.0667)
    """
    if statistic not in ("difference", "t"):
        raise KokeiluError(f"Statistic is {statistic!r}; expected difference or t.")
    change = np.asarray(effects_by_unit, dtype=float)
    arm = arms(treated)
    w = np.ones(len(change)) if weights is None else np.asarray(weights, dtype=float)
    clusters = np.arange(len(change)) if clusters is None else clusters
    s, n, total, size = cluster_sums(change[:, None], arm, w, clusters)
    if (n > 0).all(axis=0).any():
        raise KokeiluError("A cluster is partly treated; whole clusters are reassigned.")
    sums, sizes, is_treated = s.sum(axis=0)[:, 0], n.sum(axis=0), n[1] > 0
    layers = None if strata is None else _layers(strata, clusters)
    known = reassigned(is_treated[None, :], sums, sizes, statistic)[0]
    blocks = [
        reassigned(assigned, sums, sizes, statistic)
        for assigned in assignments(is_treated, draws, seed, layers)
    ]
    placebo = np.concatenate(blocks)
    # equal statistics must count as equal whatever the order of summation was
    large = (np.abs(placebo) >= abs(known) * (1 - (1e-12 if statistic != "t" else 1e-9))).sum()
    return {
        "estimate": total[1, 0] / size[1] - total[0, 0] / size[0],
        "p": large / len(placebo) if draws == "all" else (1 + large) / (draws + 1),
        "statistic": known,
        "placebo": placebo,
        "n_clusters": len(sums),
        "n_treated": int(is_treated.sum()),
    }


def assignments(is_treated, draws, seed=0, layers=None, rows=1024):
    """Yield blocks of reassigned treatment, as many clusters treated as in `is_treated`.

    Parameters
    ----------
    is_treated : array of bool, shape (clusters,)
    draws : int or "all"
        See `randomization`.
    seed : int
    layers : array of int, shape (clusters,), optional
        Stratum of each cluster; the number treated is kept within each.
    rows : int
        Largest block; without layers the draws do not depend on it.

    Yields
    ------
    array of bool, shape (up to rows, clusters)

    Raises
    ------
    KokeiluError
        There is no draw, or more than a million for "all".

    Examples
    --------
    >>> [int(block.sum()) for block in assignments(np.array([True, False, False]), "all")]
    [3]
    """
    is_treated = np.asarray(is_treated, dtype=bool)
    groups, count = len(is_treated), int(is_treated.sum())
    if isinstance(draws, str) and draws == "all":
        if layers is not None or math.comb(groups, count) > 1_000_000:
            raise KokeiluError("Too many assignments, or strata, to take all; give a number.")
        chosen = itertools.combinations(range(groups), count)
        while picked := list(itertools.islice(chosen, rows)):
            block = np.zeros((len(picked), groups), dtype=bool)
            np.put_along_axis(block, np.array(picked, dtype=int), True, axis=1)
            yield block
        return
    if isinstance(draws, str) or draws < 1:
        raise KokeiluError(f"Draws is {draws!r}; expected 1 or more, or 'all'.")
    rng = np.random.default_rng(seed)
    wide = is_treated.astype(float)  # NumPy shuffles words of eight bytes faster than single bytes
    for begin in range(0, draws, rows):
        block = np.tile(wide, (min(rows, draws - begin), 1))
        if layers is None:
            yield rng.permuted(block, axis=1, out=block).astype(bool)
            continue
        for layer in np.unique(layers):
            at = np.flatnonzero(layers == layer)
            block[:, at] = rng.permuted(block[:, at], axis=1)
        yield block.astype(bool)


def _layers(strata, clusters):
    """Return the stratum of each cluster, in the order of the cluster sums, as integers."""
    strata = np.asarray(strata)
    if len(strata) != len(clusters) or pd.isna(strata.astype(object)).any():
        raise KokeiluError("Strata must have one entry a unit, none missing.")
    of_unit = pd.Series(pd.factorize(strata)[0])
    by_cluster = of_unit.groupby(np.asarray(clusters).astype(str))
    split = by_cluster.nunique() > 1
    if split.any():
        raise KokeiluError(f"Cluster {split.idxmax()} lies in more than one stratum.")
    return by_cluster.first().to_numpy()


def reassigned(assigned, sums, sizes, statistic):
    """Return the difference between groups, or its t, under each assignment: one matrix product.

    Parameters
    ----------
    assigned : array of bool, shape (draws, clusters)
    sums, sizes : array, shape (clusters,)
        Weighted sums of changes and sums of weights.
    statistic : "difference" or "t"
        See `randomization`.

    Returns
    -------
    array, shape (draws,)

    Examples
    --------
    >>> one = np.array([[True, False, False], [False, True, False]])
    >>> reassigned(one, np.array([3.0, 0, 0]), np.ones(3), "difference").tolist()
    [3.0, -1.5]
    """
    total, size = sums.sum(), sizes.sum()
    if statistic == "difference":
        found = assigned @ np.column_stack([sums, sizes])
        value = found[:, 0] / found[:, 1]
        return value - (total - found[:, 0]) / (size - found[:, 1])
    centred = sums - sizes * (total / size)  # moves no difference and loses no digits
    parts = np.column_stack([centred, sizes, centred**2, centred * sizes, sizes**2])
    found = parts.T @ assigned.T
    gap, variance = 0.0, 0.0
    for sign, side in ((1, found), (-1, parts.sum(axis=0)[:, None] - found)):
        s, n, ss, sn, nn = side
        mean = s / n
        gap = gap + sign * mean
        variance = variance + (ss - 2 * mean * sn + mean**2 * nn) / n**2
    groups = len(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return gap / np.sqrt(np.maximum(variance, 0) * (groups / (groups - 1)))
