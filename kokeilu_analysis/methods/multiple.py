"""Many estimates at once: joint bands, several outcomes, every defensible specification."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.clusters import arms, cluster_sums
from kokeilu_analysis.methods.permutation import assignments, reassigned

TIE = 1 - 1e-9  # equal statistics must count as equal whatever the order of summation was


def uniform_band(betas, cov, level=0.95, draws=100_000, seed=0):
    """Band that holds all coefficients at once with the given probability (sup-t).

    Parameters
    ----------
    betas : array, shape (k,)
        Coefficients, for instance of an event study.
    cov : array, shape (k, k)
        Their covariance; a base period with variance 0 gets a band of width 0.
    level : float
    draws : int
        Normal draws from which the critical value is read.
    seed : int

    Returns
    -------
    dict
        ``low``, ``high`` (k,), ``critical`` (1.96 when there is one coefficient).

    Raises
    ------
    KokeiluError
        Shapes do not fit, a number is missing, or a variance is negative.

    References
    ----------
    Montiel Olea & Plagborg-Møller 2019, J. Applied Econometrics 34(1).

    Examples
    --------
    >>> two = uniform_band([0.0, 0.0], np.eye(2))
    >>> round(two["critical"], 1)    # independent: Phi(c) = (1 + sqrt(0.95)) / 2, c = 2.236
    2.2
    """
    beta, sigma = np.asarray(betas, dtype=float), np.asarray(cov, dtype=float)
    if beta.ndim != 1 or sigma.shape != (len(beta), len(beta)):
        raise KokeiluError(
            f"k coefficients and a k x k covariance expected; found {beta.shape}, {sigma.shape}."
        )
    if not (np.isfinite(beta).all() and np.isfinite(sigma).all()):
        raise KokeiluError("A coefficient or covariance is missing or infinite.")
    if not 0 < level < 1 or draws < 1:
        raise KokeiluError(f"Level {level} must lie between 0 and 1 and draws {draws} be positive.")
    variance = np.diag(sigma)
    if (variance < 0).any():
        raise KokeiluError(f"The variance of coefficient {variance.argmin()} (from 0) is negative.")
    se = np.sqrt(variance)
    moving = se > 0
    if not moving.any():
        return {"low": beta.copy(), "high": beta.copy(), "critical": np.nan}
    correlation = sigma[np.ix_(moving, moving)] / np.outer(se[moving], se[moving])
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    if values.min() < -1e-8 * len(values):
        raise KokeiluError("The covariance has a negative eigenvalue.")
    root = (vectors * np.sqrt(np.clip(values, 0, None))).T
    rng = np.random.default_rng(seed)
    largest = [
        np.abs(rng.standard_normal((min(8192, draws - begin), len(root))) @ root).max(axis=1)
        for begin in range(0, draws, 8192)
    ]
    critical = float(np.quantile(np.concatenate(largest), level))
    return {"low": beta - critical * se, "high": beta + critical * se, "critical": critical}


def stepdown(statistics, placebo):
    """Adjusted p-values that keep the chance of any false finding at the level (max-|t| step-down).

    Parameters
    ----------
    statistics : array, shape (k,)
        One test statistic a hypothesis, larger in size = stronger.
    placebo : array, shape (draws, k)
        The same statistics under the null, each row drawn jointly.

    Returns
    -------
    array, shape (k,)
        (1 + #{largest remaining |t*| >= |t|}) / (draws + 1), never smaller than for a stronger
        statistic.

    Raises
    ------
    KokeiluError
        Shapes do not fit or a statistic is missing.

    References
    ----------
    Westfall & Young 1993; Romano & Wolf 2005, Econometrica 73(4); 2016, Stat. Prob. Letters 113.

    Examples
    --------
    >>> stepdown([3.0, 1.0], [[1.0, 2.0], [0.5, 0.2], [2.0, 0.3]]).tolist()
    [0.25, 0.5]
    """
    size, null = np.abs(np.asarray(statistics, dtype=float)), np.abs(np.asarray(placebo, float))
    if size.ndim != 1 or null.ndim != 2 or null.shape[1] != len(size) or len(null) == 0:
        raise KokeiluError(f"Shapes {size.shape} and {null.shape} do not fit: (k,), (draws, k).")
    if np.isnan(size).any() or np.isnan(null).any():
        raise KokeiluError("A statistic is missing; leave the hypothesis out first.")
    order = np.argsort(-size, kind="stable")
    remaining = np.maximum.accumulate(null[:, order[::-1]], axis=1)[:, ::-1]
    p = (1 + (remaining >= size[order] * TIE).sum(axis=0)) / (len(null) + 1)
    adjusted = np.empty(len(size))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def romano_wolf(changes, treated, clusters=None, draws=9999, seed=0, weights=None):
    """Joint test of several outcomes: whole clusters are reassigned for all outcomes together.

    Parameters
    ----------
    changes : DataFrame or array, shape (units, k)
        Change of each unit in each outcome.
    treated, clusters, draws, seed, weights
        As in `inference.randomization`; the statistic is t.

    Returns
    -------
    DataFrame
        One row an outcome: ``outcome``, ``estimate``, ``t``, ``p`` (alone), ``p_adjusted``.

    Raises
    ------
    KokeiluError
        As in `inference.randomization`.

    Examples
    --------
    >>> changes = pd.DataFrame({"a": [5.0, 6, 7, 0, 1, 0, 1, 2], "b": [1.0, 0, 2, 1, 0, 1, 2, 0]})
    >>> found = romano_wolf(changes, [1, 1, 1, 0, 0, 0, 0, 0], draws=999)
    >>> found["outcome"].tolist(), bool((found["p_adjusted"] >= found["p"]).all())
    (['a', 'b'], True)
    """
    table = pd.DataFrame(changes)
    d = table.to_numpy(dtype=float)
    w = np.ones(len(d)) if weights is None else np.asarray(weights, dtype=float)
    clusters = np.arange(len(d)) if clusters is None else clusters
    sums, sizes, is_treated = _whole(d, treated, w, clusters)

    def statistics(assigned):
        each = [reassigned(assigned, column, sizes, "t") for column in sums.T]
        return np.column_stack(each)

    known = statistics(is_treated[None, :])[0]
    placebo = np.concatenate([statistics(a) for a in assignments(is_treated, draws, seed)])
    alone = (1 + (np.abs(placebo) >= np.abs(known) * TIE).sum(axis=0)) / (len(placebo) + 1)
    estimate = sums[is_treated].sum(axis=0) / sizes[is_treated].sum()
    estimate -= sums[~is_treated].sum(axis=0) / sizes[~is_treated].sum()
    columns = {"outcome": table.columns, "estimate": estimate, "t": known, "p": alone}
    return pd.DataFrame(columns | {"p_adjusted": stepdown(known, placebo)})


def specification_sums(changes, weights, treated, clusters):
    """Cluster sums of many specifications, all that `specification_curve` needs.

    Parameters
    ----------
    changes : array, shape (units, specs)
        Change of each unit under each specification's outcome and windows.
    weights : array, shape (units, specs) or (units,)
        0 = the specification leaves the unit out, whose change is then not read.
    treated : array of 0/1, shape (units,)
        Constant within a cluster.
    clusters : array, shape (units,)

    Returns
    -------
    (sums, sizes, is_treated)
        Shapes (clusters, specs) twice and (clusters,).

    Raises
    ------
    KokeiluError
        Shapes do not fit, a weight is negative, a used change is missing, a cluster is partly
        treated, or a specification has no treated or no control unit.

    Examples
    --------
    >>> s, n, d = specification_sums([[1.0], [2], [4]], [[1.0], [1], [0]], [1, 0, 0], list("abc"))
    >>> s.ravel().tolist(), n.ravel().tolist(), d.tolist()
    ([1.0, 2.0, 0.0], [1.0, 1.0, 0.0], [True, False, False])
    """
    d = np.asarray(changes, dtype=float)
    w = np.asarray(weights, dtype=float)
    if d.ndim == 2 and w.ndim == 1:
        w = np.broadcast_to(w[:, None], (len(w), d.shape[1]))
    if d.ndim != 2 or w.shape != d.shape:
        raise KokeiluError("Changes and weights must both have shape (units, specs).")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise KokeiluError("Weights must be 0 or more.")
    missing = (w > 0) & ~np.isfinite(d)
    if missing.any():
        unit, spec = np.argwhere(missing)[0]
        raise KokeiluError(
            f"Specification {spec} uses unit {unit} (from 0), whose change is {d[unit, spec]}."
        )
    weighted = np.where(w > 0, d, 0.0)
    weighted *= w
    same = np.ones(len(d))
    sums, _, is_treated = _whole(weighted, treated, same, clusters)
    sizes, _, _ = _whole(w, treated, same, clusters)
    for side, name in ((is_treated, "treated"), (~is_treated, "control")):
        empty = sizes[side].sum(axis=0) == 0
        if empty.any():
            raise KokeiluError(f"Specification {empty.argmax()} (from 0) has no {name} unit.")
    return sums, sizes, is_treated


def specification_curve(sums, sizes, is_treated, draws=9999, seed=0):
    """Every specification's difference, and how unusual their median is among reassignments.

    Parameters
    ----------
    sums, sizes, is_treated
        From `specification_sums`. The same reassignment of whole clusters serves all
        specifications, so their dependence on each other is kept.
    draws : int
    seed : int

    Returns
    -------
    dict
        ``table``: one row a specification in the order given, ``estimate``, ``rank`` (1 =
        smallest) and ``p``; ``median``, ``p_median``, ``placebo_median`` (draws,),
        ``share_negative``. A reassignment that leaves a specification without one group counts
        as large for it and is left out of that draw's median.

    Raises
    ------
    KokeiluError
        Shapes do not fit.

    References
    ----------
    Simonsohn, Simmons & Nelson 2020, Nature Human Behaviour 4.

    Examples
    --------
    >>> s, n, d = specification_sums(np.array([[5.0, 4], [6, 6], [0, 1], [1, 0], [0, 2], [1, 1]]),
    ...                              np.ones(6), [1, 1, 0, 0, 0, 0], list("abcdef"))
    >>> r = specification_curve(s, n, d, draws=999)
    >>> r["table"]["estimate"].tolist(), float(r["median"]), round(float(r["p_median"]), 1)
    ([5.0, 4.0], 4.5, 0.1)
    """
    s, n = np.asarray(sums, dtype=float), np.asarray(sizes, dtype=float)
    is_treated = np.asarray(is_treated, dtype=bool)
    if s.ndim != 2 or s.shape != n.shape or len(is_treated) != len(s):
        raise KokeiluError(
            f"Sums {s.shape}, sizes {n.shape}, treatment {is_treated.shape}: no fit."
        )
    total, size = s.sum(axis=0), n.sum(axis=0)

    def differences(assigned):
        chosen = assigned.astype(float)
        treated_sum, treated_size = chosen @ s, chosen @ n
        left = size - treated_size
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = treated_sum / treated_size - (total - treated_sum) / left
        empty = (treated_size <= 1e-12 * size) | (left <= 1e-12 * size)
        if empty.any():
            gap[empty] = np.nan
        return gap

    estimate = differences(is_treated[None, :])[0]
    large, medians = np.zeros(s.shape[1]), []
    threshold = np.abs(estimate) * TIE
    rows = max(1, min(1024, 4_000_000 // s.shape[1]))
    for assigned in assignments(is_treated, draws, seed, rows=rows):
        gap = differences(assigned)
        large += len(gap) - (np.abs(gap) < threshold).sum(axis=0)
        # the slower median only where a reassignment left a group empty
        medians.append(np.nanmedian(gap, axis=1) if np.isnan(gap).any() else np.median(gap, axis=1))
    placebo = np.concatenate(medians)
    median = np.median(estimate)
    p = (1 + large) / (len(placebo) + 1)
    rank = pd.Series(estimate).rank(method="first").astype(int)
    return {
        "table": pd.DataFrame({"estimate": estimate, "rank": rank, "p": p}),
        "median": median,
        "p_median": (1 + (~(np.abs(placebo) < abs(median) * TIE)).sum()) / (len(placebo) + 1),
        "placebo_median": placebo,
        "share_negative": float((estimate < 0).mean()),
    }


def _whole(d, treated, w, clusters):
    """Return sums, sizes and treatment of whole clusters."""
    s, n, *_ = cluster_sums(d, arms(treated), w, clusters)
    if (n > 0).all(axis=0).any():
        raise KokeiluError("A cluster is partly treated; whole clusters are reassigned.")
    return s.sum(axis=0), n.sum(axis=0), n[1] > 0
