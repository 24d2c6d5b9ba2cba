"""Every combination of defensible choices as one specification each, for the curve."""

import itertools

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import multiple


def grid(curve):
    """All combinations of a curve's choices.

    Parameters
    ----------
    curve : design.Curve

    Returns
    -------
    DataFrame
        One row a specification: ``baseline``, ``post`` (text of the window), ``weights``,
        ``trend``, ``controls``, ``treated``; the first of each choice comes first, so row 0 holds
        the first choice of everything.
    """
    choices = {
        "baseline": [w.text for w in curve.baselines],
        "post": [w.text for w in curve.posts],
        "weights": list(curve.weights),
        "trend": list(curve.trends),
        "controls": list(curve.controls),
        "treated": list(curve.treated),
    }
    return pd.DataFrame(itertools.product(*choices.values()), columns=list(choices))


def estimate(matrix, places, curve, trend_window):
    """Estimate every specification and set their median against reassigned areas.

    Parameters
    ----------
    matrix : DataFrame
        Units × months, the outcome; every month that a window or the trend needs.
    places : DataFrame
        One row per unit, same index: ``is_trial``, ``area_id`` (the clusters reassigned), the
        columns of weights and whatever the conditions of the curve name.
    curve : design.Curve
        Its conditions on controls leave treated units in, those on the treated leave controls in.
    trend_window : design.Window
        Months from which a unit's own straight line is fitted for the trend "linear"; it is
        carried on to the later windows and taken away.

    Returns
    -------
    (DataFrame, dict)
        `grid` with ``estimate``, ``rank`` and ``p``; and what `multiple.specification_curve` says
        of the median.

    Raises
    ------
    KokeiluError
        A month, weight or condition is missing, or a specification loses a whole group.

    References
    ----------
    Simonsohn, Simmons & Nelson 2020, Nature Human Behaviour 4.
    """
    specs = grid(curve)
    if not matrix.index.equals(places.index):
        raise KokeiluError("The matrix and the places must hold the same units in the same order.")
    arm = places["is_trial"].to_numpy() == 1
    means = {w.text: _mean(matrix, w) for w in {*curve.baselines, *curve.posts}}
    slope, clock = _slopes(matrix, trend_window), _clock(matrix.columns)
    middle = {text: clock[_inside(matrix, text)].mean() for text in means}
    change = {}
    for before, after in itertools.product(specs["baseline"].unique(), specs["post"].unique()):
        plain = means[after] - means[before]
        change[before, after, "none"] = plain
        change[before, after, "linear"] = plain - slope * (middle[after] - middle[before])
    sample = {
        (c, t): (arm | _meets(places, curve.controls[c]))
        & (~arm | _meets(places, curve.treated[t]))
        for c, t in itertools.product(curve.controls, curve.treated)
    }
    weight = {
        w: np.ones(len(places)) if w == "none" else _weights(places, w) for w in curve.weights
    }
    changes = np.column_stack([change[s.baseline, s.post, s.trend] for s in specs.itertuples()])
    weights = np.column_stack(
        [weight[s.weights] * sample[s.controls, s.treated] for s in specs.itertuples()]
    )
    sums = multiple.specification_sums(changes, weights, arm.astype(int), places["area_id"])
    found = multiple.specification_curve(*sums, draws=curve.draws, seed=curve.seed)
    return pd.concat([specs, found.pop("table")], axis=1), found


def _inside(matrix, text):
    first, last = (pd.to_datetime(end, format="%YM%m") for end in text.split("–"))
    return (matrix.columns >= first) & (matrix.columns <= last)


def _mean(matrix, window):
    absent = window.months.difference(matrix.columns)
    if len(absent):
        raise KokeiluError(
            f"{absent[0]:%YM%m} has no column; the curve needs all of {window.text}."
        )
    values = matrix[window.months].mean(axis=1, skipna=False)
    if values.isna().any():
        raise KokeiluError(f"Unit {values.index[values.isna()][0]} has a gap in {window.text}.")
    return values.to_numpy()


def _clock(months):
    return np.asarray(months.year * 12 + months.month, dtype=float)


def _slopes(matrix, window):
    """Least-squares slope per month of each unit over the window."""
    _mean(matrix, window)
    t = _clock(window.months)
    t = t - t.mean()
    return matrix[window.months].to_numpy() @ t / (t @ t)


def _meets(places, condition):
    if not condition:
        return np.ones(len(places), dtype=bool)
    try:
        return places.eval(condition).to_numpy(dtype=bool)
    except (NameError, SyntaxError, TypeError, ValueError) as error:
        raise KokeiluError(f"cannot read the condition {condition!r}: {error}.") from error


def _weights(places, column):
    if column not in places:
        raise KokeiluError(f"The places have no column {column!r} of weights.")
    return places[column].to_numpy(dtype=float)
