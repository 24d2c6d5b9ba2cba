"""The least-squares line of area effects on starting backlogs, known exactly or as a set.

Effects d_a are regressed on backlogs B_a (shares, 0-1): d_a = theta0 + theta1 B_a.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates
from kokeilu_analysis.methods.lag_input import (
    box,
    checked_effects,
    checked_weights,
    evidence_region,
)
from kokeilu_analysis.methods.line_bounds import fitted_extreme, slope_extreme

ENDS = ("intercept_low", "intercept_high", "slope_low", "slope_high")


@dataclass(frozen=True)
class LineBounds:
    """Sharp bounds of a line whose regressor is known only as a set.

    Attributes
    ----------
    intercept : (float, float)
        Least and largest fitted effect at backlog `at` (0: the intercept), in the effects' unit.
    slope : (float, float)
        Change of the effect from backlog 0 to backlog 1.
    witness : dict
        For each of "intercept_low", "intercept_high", "slope_low", "slope_high" the backlogs that
        attain the end, in the shape of the effects; None where an end is infinite.
    gap : float
        Proof of optimality: no feasible backlogs go beyond an end by more than this. Below 1e-9
        of the effects' size unless a tolerance was given or a search grew too long and stopped.
    at : float
        The reference backlog.
    note : str
        Empty, or why an end is infinite.
    """

    intercept: tuple
    slope: tuple
    witness: dict
    gap: float
    at: float = 0.0
    note: str = ""


def intercept_bounds(
    effects,
    lower=None,
    upper=None,
    weights=None,
    mean=None,
    constraints=None,
    at=0.0,
    minimum_areas=5,
    names=ENDS,
    tolerance=0.0,
):
    """Bound the least-squares line of effects on backlogs over all backlogs the evidence allows.

    Global and certified, see `line_bounds`: the outer ends lie in general inside the box, so that
    trying its corners understates the set. With single points the result is least squares.

    Parameters
    ----------
    effects : Series or array of A
        One effect an area, any unit.
    lower, upper : Series or array of A
        Limits of each backlog, shares 0-1. May be left out when `constraints` has them.
    weights : Series or array of A, optional
        Weights of the regression, zero or more; equal if left out.
    mean : (float, float), optional
        Limits of the mean backlog with the same weights.
    constraints : optional
        More that holds: a tuple (A_ub, b_ub, A_eq, b_eq) over the areas in the order of `effects`
        with None for what is absent; or a `backlog.FeasibleSet`, whose 0/1 choices are searched
        exactly and whose areas are matched by name.
    at : float
        Reference backlog of the fitted effect, share 0-1.
    minimum_areas : int
        Fewer areas are refused.
    names : sequence of str
        Which of `ENDS` to solve; the others are NaN. One end costs a quarter of four.
    tolerance : float
        In the effects' unit. Where 0/1 choices make an end of the fitted effect hard, it need only
        be this near to the sharp one (`line_losses`): seconds instead of hours.

    Returns
    -------
    LineBounds

    Raises
    ------
    KokeiluError
        Unusable input, or evidence that no backlogs satisfy.

    References
    ----------
    Interval-measured regressors: Manski and Tamer 2002, Econometrica 70. Here it is the
    least-squares line itself that is bounded, with no assumption on where in its range a backlog
    lies.

    Examples
    --------
    >>> found = intercept_bounds(
    ...     [0.30, 0.55, 0.10, 0.42, 0.20, 0.61],
    ...     [0.25, 0.4, 0.6, 0.35, 0, 0.1], [0.25, 0.6, 0.8, 0.35, 1, 0.1])
    >>> [round(x, 6) for x in found.intercept + found.slope]
    [0.380851, 0.679069, -0.871418, -0.055319]
    """
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    if not 0 <= at <= 1:
        raise KokeiluError(f"The reference backlog is {at}; give a share between 0 and 1.")
    region = evidence_region(d, lower, upper, w, mean, constraints)
    unknown = [name for name in names if name not in ENDS]
    if unknown:
        raise KokeiluError(f"There is no end {unknown[0]!r}; known: {', '.join(ENDS)}.")
    found, witness, gap = solved(d, w, region, at, names, tolerance)
    ends = dict.fromkeys(ENDS, np.nan) | found
    note = ""
    if gap > 1e-6 * np.abs(d).max() + tolerance:
        note = f"The search ended early: an end may lie up to {gap:.2g} further out."
    for name in names:
        if np.isinf(ends[name]):
            witness[name] = None
            note = "The slope is not identified: the evidence allows all areas the same backlog."
        elif isinstance(effects, pd.Series):
            witness[name] = pd.Series(witness[name], index=effects.index)
    return LineBounds(
        (ends["intercept_low"], ends["intercept_high"]),
        (ends["slope_low"], ends["slope_high"]),
        witness,
        gap,
        at,
        note,
    )


def solved(d, w, region, at, names, tolerance=0.0):
    """Return ends, witnesses (arrays) and the largest gap for some of `ENDS`."""
    size = len(d)
    share, centred = np.zeros(len(region.lower)), np.zeros(len(region.lower))
    average = float(w @ d.to_numpy())
    share[:size], centred[:size] = w, d.to_numpy() - average
    scale = np.abs(centred[share > 0]).max()
    centred[share == 0] = 0.0
    if scale > 1e-14 * np.abs(d).max():
        centred /= scale
    else:
        centred, scale = np.zeros(len(centred)), 0.0  # equal effects: any backlogs fit
    ends, witness, gap = {}, {}, 0.0
    for name in names:
        sign = 1 if name.endswith("high") else -1
        if name.startswith("slope"):
            start, found = 0.0, slope_extreme(region, share, sign * centred)
        else:
            near = tolerance / scale if scale else 0.0
            start, found = average, fitted_extreme(region, share, sign * centred, at, near)
        ends[name] = start + sign * float(scale * found.value) if scale else start
        witness[name] = found.point[:size]
        gap = max(gap, float(scale * found.gap))
    known = region.lower[:size][w > 0], region.upper[:size][w > 0]
    if known[0].min() == known[1].max():  # one backlog for all areas: no line is ruled out
        ends = {name: np.inf if name.endswith("high") else -np.inf for name in names}
    return ends, witness, gap


def midpoint(effects, lower, upper, weights=None, level=0.95, minimum_areas=5, at=0.0, shared=0.0):
    """Fit the line to the middles of the ranges, with HC3 standard errors and t(A - 2).

    Unbiased for the slope if backlogs are spread evenly within the ranges whatever the effect
    (Berkson error); otherwise not, and `intercept_bounds` shows how far off it can be.

    Parameters
    ----------
    effects, lower, upper, weights
        As in `intercept_bounds`.
    level : float
        Of the confidence interval.
    at : float
        Reference backlog of the fitted effect, share 0-1.
    shared : float
        Standard error of what all effects have in common, such as the control mean that was taken
        from each (`inference.mean_error`); it adds to the effect's error, not to the slope's.

    Returns
    -------
    DataFrame
        Estimate schema, two rows: estimand "effect at backlog `at`" and "slope".

    References
    ----------
    MacKinnon and White 1985, Journal of Econometrics 29 (HC3).

    Examples
    --------
    >>> table = midpoint([1.0, 0.9, 0.6, 0.6, 0.4], [0, 0.2, 0.4, 0.6, 0.8], [0, 0.2, 0.4, 0.6, 1])
    >>> table["estimate"].round(4).tolist()
    [0.984, -0.6762]
    """
    from scipy import special

    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    low, high = box(d, lower, upper)
    b = (low + high) / 2
    line(d, b, w)  # refuses equal backlogs
    coefficients, se = fitted(d, b, w, at)
    se = np.sqrt(se**2 + np.array([shared, 0.0]) ** 2)
    reach = special.stdtrit(len(d) - 2, 0.5 + level / 2) * se
    return estimates.table(
        pd.DataFrame(
            {
                "estimand": [f"effect at backlog {at:g}", "slope"],
                "estimator": "least squares on the middles of the ranges",
                "weights": "equal" if weights is None else "given",
                "estimate": coefficients,
                "se": se,
                "ci_low": coefficients - reach,
                "ci_high": coefficients + reach,
                "p": 2 * special.stdtr(len(d) - 2, -np.abs(coefficients / se)),
                "inference": [
                    "HC3 and control mean, t(A-2)" if shared else "HC3, t(A-2)",
                    "HC3, t(A-2)",
                ],
                "n_units": len(d),
            }
        )
    )


def fitted(effects, backlog, weights, at=0.0):
    """Return the fitted effect at a backlog and the slope, and their HC3 standard errors.

    Parameters
    ----------
    effects : Series of A
    backlog : array of A
    weights : array of A
        Checked by the caller; an area of weight zero has no part in the line.

    Returns
    -------
    (array of 2, array of 2)

    Raises
    ------
    KokeiluError
        One area alone sets the slope.
    """
    d, w = effects.to_numpy(), weights
    design = np.column_stack([np.ones(len(d)), backlog - at])
    inverse = np.linalg.inv(design.T @ (w[:, None] * design))
    leverage = w * np.einsum("ij,jk,ik->i", design, inverse, design)
    if (leverage > 1 - 1e-9).any():
        area = effects.index[int(np.argmax(leverage))]
        raise KokeiluError(f"Area {area} alone sets the slope; HC3 errors need a second such area.")
    coefficients = inverse @ (design.T @ (w * d))
    residual = (d - design @ coefficients) / (1 - leverage)
    meat = design.T @ ((w * residual)[:, None] ** 2 * design)
    return coefficients, np.sqrt(np.diag(inverse @ meat @ inverse))


def line(effects, backlog, weights=None):
    """Return (theta0, theta1), the weighted least-squares line of effects on known backlogs.

    Examples
    --------
    >>> theta0, theta1 = line([1.0, 0.7, 0.4], [0.0, 0.5, 1.0])
    >>> round(theta0, 9), round(theta1, 9)
    (1.0, -0.6)
    """
    d = checked_effects(effects, 2)
    w = checked_weights(weights, d)
    b, _ = box(d, backlog, backlog)
    deviation = b - w @ b
    variance = w @ deviation**2
    if variance <= 1e-14:
        raise KokeiluError("All backlogs are equal: the slope is not identified.")
    theta1 = (w * deviation) @ d.to_numpy() / variance
    return float(w @ d.to_numpy() - theta1 * (w @ b)), float(theta1)
