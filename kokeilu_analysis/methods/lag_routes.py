"""The adjusted effect by other routes: without some areas, and inside classes of backlog."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.lag_input import box, checked_effects, checked_weights
from kokeilu_analysis.methods.lag_line import ENDS, intercept_bounds, midpoint


def leave_out(effects, lower, upper, groups, weights=None, constraints=None, at=0.0, shared=0.0):
    """Bound and estimate the fitted effect at a backlog without some areas.

    What is known of the backlogs stays as it was, the average of all areas included; the areas
    left out only lose their weight in the line.

    Parameters
    ----------
    effects, lower, upper, weights, constraints, at
        As in `lag.intercept_bounds`.
    groups : dict of name → list of areas
        Areas left out; an empty list leaves none out.
    shared : float
        As in `lag.midpoint`.

    Returns
    -------
    DataFrame
        ``left_out``, ``n_areas``, ``bound_low``, ``bound_high``, and of the mid-points
        ``estimate``, ``ci_low``, ``ci_high`` with ``note`` why they are missing if they are.

    Raises
    ------
    KokeiluError
        A group names an unknown area, or leaves too few.

    Examples
    --------
    >>> d, b = pd.Series([0.5, 0.4, 0.2, 0.1, 0.0, 0.9]), [0.2, 0.4, 0.6, 0.8, 1.0, 0.5]
    >>> found = leave_out(d, b, b, {"none": [], "last": [5]})
    >>> found["estimate"].round(3).tolist()
    [0.8, 0.63]
    """
    d = checked_effects(effects, 2)
    w = pd.Series(checked_weights(weights, d), index=d.index)
    low, high = (pd.Series(end, index=d.index) for end in box(d, lower, upper))
    rows = []
    for name, out in groups.items():
        unknown = [area for area in out if area not in d.index]
        if unknown:
            raise KokeiluError(f"Route {name!r} leaves out {unknown[0]}, which has no effect.")
        kept = d.index.difference(out, sort=False)
        part = w.where(w.index.isin(kept), 0.0)
        bounds = intercept_bounds(d, low, high, part, None, constraints, at, names=ENDS[:2])
        row = {"left_out": name, "n_areas": len(kept)}
        row |= dict(zip(("bound_low", "bound_high"), bounds.intercept, strict=True)) | {"note": ""}
        try:
            fit = midpoint(d[kept], low[kept], high[kept], w[kept], at=at, shared=shared).iloc[0]
            row |= fit[["estimate", "ci_low", "ci_high"]].to_dict()
        except KokeiluError as error:
            row["note"] = str(error)
        rows.append(row)
    columns = ["left_out", "n_areas", "bound_low", "bound_high", "estimate", "ci_low", "ci_high"]
    return pd.DataFrame(rows).reindex(columns=[*columns, "note"])


def by_class(effects, classes, weights=None):
    """Average effect of the areas in each class of reported backlog; no line is drawn.

    Parameters
    ----------
    effects : Series of A
    classes : Series of A
        Label of each area, for instance what kind of figure it reported.
    weights : Series of A, optional

    Returns
    -------
    DataFrame
        ``class``, ``n_areas``, ``estimate``, ``ci_low``, ``ci_high`` (jackknife over the areas of
        the class, t(A-1); NaN for a single area).

    Examples
    --------
    >>> by_class(pd.Series([1.0, 3, 0]), pd.Series(["a", "a", "b"]))["estimate"].tolist()
    [2.0, 0.0]
    """
    from scipy import special

    d = checked_effects(effects, 2)
    w = pd.Series(checked_weights(weights, d), index=d.index)
    rows = []
    for label, part in d.groupby(classes.reindex(d.index)):
        size = w[part.index]
        mean, ends = np.average(part, weights=size), (np.nan, np.nan)
        if len(part) > 1:
            left = (part @ size - part * size) / (size.sum() - size)
            se = np.sqrt((len(part) - 1) / len(part) * ((left - mean) ** 2).sum())
            reach = special.stdtrit(len(part) - 1, 0.975) * se
            ends = mean - reach, mean + reach
        rows.append((label, len(part), mean, *ends))
    return pd.DataFrame(rows, columns=["class", "n_areas", "estimate", "ci_low", "ci_high"])
