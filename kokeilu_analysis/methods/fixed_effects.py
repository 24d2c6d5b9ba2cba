"""Unit and time effects where cells are missing or weights vary: exact, with a cluster jackknife.

A saturated panel regression needs no matrix of indicators. For unit i with cell weights w (T,)
and s = sum w, removing its own effect leaves C_i = diag(w) - w w'/s (T × T) and r_i = C_i y_i.
Summed over a cluster these are all that the regression knows of it, so leaving the cluster out
is a subtraction and one small system, not another regression:

    event study:  K_d lambda_d = r_d by arm d;  beta_t = (lambda_1 - lambda_0)_t, less its base
    two-by-two:   the time effects of both arms pooled, one more column D × post

On a balanced panel with constant weights both give the closed forms of `compare`.
"""

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.frames import arms


def two_by_two(panel, after, level=0.95):
    """Coefficient of treated × post in a regression with unit and time effects.

    Parameters
    ----------
    panel : frames.Panel
    after : array of bool, shape (times,)
        Treated times.
    level : float
        Level of the interval, t distribution with G - 1 degrees of freedom.

    Returns
    -------
    dict
        As `inference.difference`: ``estimate``, ``se`` (CR3), ``ci_low``, ``ci_high``, ``p``,
        ``n_clusters``.

    Raises
    ------
    KokeiluError
        The cells do not identify the effect, or there are under 3 clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> from kokeilu_analysis.methods import frames
    >>> f = pd.DataFrame({"i": list("aabbcc"), "t": [0, 1] * 3, "d": [1, 1, 0, 0, 0, 0],
    ...                   "y": [4.0, 7, 2, 3, 1, np.nan]})
    >>> p = frames.panel(f, "y", "i", "t", "d")
    >>> float(two_by_two(p, np.array([False, True]))["estimate"].round(12))    # (7-4) - (3-2)
    2.0
    """
    post = np.asarray(after, dtype=float)

    def solve(k, r):
        times, right = k.sum(axis=0), r.sum(axis=0)
        slopes = _solve(times, np.column_stack([right, k[1] @ post]))
        if slopes is None:
            return np.full(1, np.nan)
        slopes = np.nan_to_num(slopes)  # a time without cells has no part in what follows
        rest = post @ k[1] @ (post - slopes[:, 1])
        if not rest > 1e-10 * np.trace(k[1]):
            return np.full(1, np.nan)
        return np.atleast_1d((post @ r[1] - post @ k[1] @ slopes[:, 0]) / rest)

    found = _jackknife(panel, solve, level, unit_effects=True)
    if np.isnan(found["estimate"][0]):
        raise KokeiluError(
            "The cells do not identify an effect: no treated unit, or no control unit, connects "
            "times before the start with times after it."
        )
    return {k: v if k == "n_clusters" else v[0] for k, v in found.items()}


def by_time(panel, base=None, level=0.95):
    """Difference between the arms at each time, relative to base times.

    Parameters
    ----------
    panel : frames.Panel
    base : list of int, optional
        Positions of the base times; the mean of their coefficients is zero. Without a base the
        outcome is already a change and no unit effects are removed.
    level : float
        Level of the intervals, t distribution with G - 1 degrees of freedom.

    Returns
    -------
    dict of arrays, shape (times,)
        As `two_by_two`. A time that its arm's cells do not connect with the base is NaN.

    Raises
    ------
    KokeiluError
        There are under 3 clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> from kokeilu_analysis.methods import frames
    >>> f = pd.DataFrame({"i": list("aabbcc"), "t": [0, 1] * 3, "d": [1, 1, 0, 0, 0, 0],
    ...                   "y": [4.0, 7, 2, 3, 1, np.nan]})
    >>> by_time(frames.panel(f, "y", "i", "t", "d"), [0])["estimate"].round(12).tolist()
    [0.0, 2.0]
    """

    def arm(k, r):
        if base is None:
            size = np.diag(k)
            return np.divide(r, size, where=_seen(k), out=np.full(len(r), np.nan))
        found = _solve(k, r)
        return np.full(len(r), np.nan) if found is None else found - found[base].mean()

    return _jackknife(
        panel, lambda k, r: arm(k[1], r[1]) - arm(k[0], r[0]), level, unit_effects=base is not None
    )


def _jackknife(panel, solve, level, unit_effects):
    """Estimate with every cluster and without each, from sums by arm and cluster."""
    from scipy import special

    w = panel.cells
    y = np.where(w > 0, panel.matrix.to_numpy(), 0.0)
    arm = arms(panel.facts)
    labels, code = np.unique(panel.facts["cluster"].astype(str), return_inverse=True)
    if len(labels) < 3:
        raise KokeiluError(f"Cluster inference needs at least 3 clusters; found {len(labels)}.")

    def sums(rows):
        """K (2, T, T) and r (2, T) of some units."""
        k, r = np.zeros((2, w.shape[1], w.shape[1])), np.zeros((2, w.shape[1]))
        for d in (0, 1):
            own = rows[arm[rows] == d]
            wi, wy = w[own], w[own] * y[own]
            k[d], r[d] = np.diag(wi.sum(axis=0)), wy.sum(axis=0)
            if unit_effects and len(own):
                share = wi / wi.sum(axis=1, keepdims=True)
                k[d] -= wi.T @ share
                r[d] -= share.T @ wy.sum(axis=1)
        return k, r

    everyone = np.flatnonzero(w.sum(axis=1) > 0)  # a unit without any cell says nothing
    k, r = sums(everyone)
    estimate = solve(k, r)
    order = everyone[np.argsort(code[everyone], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    without = np.empty((len(groups), len(estimate)))
    for g, rows in enumerate(groups):
        kg, rg = sums(rows)
        without[g] = solve(k - kg, r - rg)
    count = len(groups)
    se = np.sqrt((count - 1) / count * ((without - estimate) ** 2).sum(axis=0))
    reach = special.stdtrit(count - 1, 0.5 + level / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(count - 1, -np.abs(estimate / se))
    return {
        "estimate": estimate,
        "se": se,
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "p": p,
        "n_clusters": count,
    }


def _seen(k):
    """Times with cells; after a subtraction the others hold rounding, not zero."""
    return np.diag(k) > 1e-12 * np.diag(k).max(initial=0.0)


def _solve(k, right):
    """Solve K x = right, K singular only in the constant; None when the cells fall apart.

    Times without cells are NaN.
    """
    seen = _seen(k)
    if not seen.any():
        return None
    inner, out = k[np.ix_(seen, seen)], np.full(right.shape, np.nan)
    size = np.diag(inner).max()
    try:
        lower = np.linalg.cholesky(inner + size / len(inner))
    except np.linalg.LinAlgError:
        return None
    if np.diag(lower).min() ** 2 < 1e-10 * size:
        return None
    out[seen] = np.linalg.solve(lower.T, np.linalg.solve(lower, right[seen]))
    return out
