"""The starting lag: what the area effects say once each area's starting backlog is counted.

Area effects d_a are regressed on starting backlogs B_a (shares, 0-1): d_a = theta0 + theta1 B_a.
theta0 is the effect at no backlog; theta0 + theta1 Bbar is the average effect as it was. Where B is
known only as a set, so are theta0 and theta1. Where the controls had a backlog too, two numbers
that no data show decide how much of theta1 to take out (`frontier`).
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
    pair,
    shares,
)
from kokeilu_analysis.methods.line_bounds import fitted_extreme, slope_extreme
from kokeilu_analysis.methods.line_region import NEGLIGIBLE

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
        of the effects' size unless a search over either-or statements grew too long and stopped.
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
    ends, witness, gap = _solved(d, w, region, at, ENDS)
    known = region.lower[: len(d)][w > 0], region.upper[: len(d)][w > 0]
    if known[0].min() == known[1].max():
        ends = {name: np.inf if name.endswith("high") else -np.inf for name in ENDS}
    note = ""
    for name in ENDS:
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


def _solved(d, w, region, at, names):
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
            start, found = average, fitted_extreme(region, share, sign * centred, at)
        ends[name] = start + sign * float(scale * found.value) if scale else start
        witness[name] = found.point[:size]
        gap = max(gap, float(scale * found.gap))
    return ends, witness, gap


def midpoint(effects, lower, upper, weights=None, level=0.95, minimum_areas=5, at=0.0):
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
    design = np.column_stack([np.ones(len(b)), b - at])
    inverse = np.linalg.inv(design.T @ (w[:, None] * design))
    leverage = w * np.einsum("ij,jk,ik->i", design, inverse, design)
    if (leverage > 1 - 1e-9).any():
        area = d.index[int(np.argmax(leverage))]
        raise KokeiluError(f"Area {area} alone sets the slope; HC3 errors need a second such area.")
    coefficients = inverse @ (design.T @ (w * d.to_numpy()))
    residual = (d.to_numpy() - design @ coefficients) / (1 - leverage)
    meat = design.T @ ((w * residual)[:, None] ** 2 * design)
    se = np.sqrt(np.diag(inverse @ meat @ inverse))
    reach = special.stdtrit(len(d) - 2, 0.5 + level / 2) * se
    return estimates.table(
        {
            "estimand": [f"effect at backlog {at:g}", "slope"],
            "estimator": "least squares on the middles of the ranges",
            "weights": "equal" if weights is None else "given",
            "estimate": coefficients,
            "se": se,
            "ci_low": coefficients - reach,
            "ci_high": coefficients + reach,
            "p": 2 * special.stdtr(len(d) - 2, -np.abs(coefficients / se)),
            "inference": "HC3, t(A-2)",
            "n_units": len(d),
        }
    )


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
    b = box(d, backlog, backlog)[0]
    deviation = b - w @ b
    variance = w @ deviation**2
    if variance <= 1e-14:
        raise KokeiluError("All backlogs are equal: the slope is not identified.")
    theta1 = (w * deviation) @ d.to_numpy() / variance
    return float(w @ d.to_numpy() - theta1 * (w @ b)), float(theta1)


def frontier(effects, backlog, rho, control_backlog, weights=None):
    """Adjust for a backlog the controls had too, over the two numbers no data show.

    A share `rho` of the slope would have appeared without the trial (backlog moves the outcome
    itself); the rest is the trial working less well. Then, exactly,
    tau(0) = theta0 + rho theta1 B_C and ATT = dbar - rho theta1 (Bbar - B_C).

    Parameters
    ----------
    effects, backlog : Series or array of A
        Effects and known backlogs (shares).
    rho, control_backlog : float or array
        Shares 0-1; the table has every pair.
    weights : Series or array of A, optional

    Returns
    -------
    DataFrame
        `rho`, `control_backlog`, `adjusted` (effect at no backlog), `att_common` (average effect
        less confounding) in the effects' unit, and `breakdown`: the product rho x B_C at which
        `adjusted` is zero, the same in every row. It can lie outside 0-1: then no pair reaches
        zero. NaN where the line is flat.

    Examples
    --------
    >>> table = frontier([0.5, 0.4, 0.2, 0.1], [0.2, 0.4, 0.6, 0.8], [0, 1], 0.35)
    >>> table[["adjusted", "att_common"]].round(3).values.tolist()
    [[0.65, 0.3], [0.405, 0.405]]
    >>> table["breakdown"].round(4).tolist()
    [0.9286, 0.9286]
    """
    rho, control = shares(rho, "rho"), shares(control_backlog, "control_backlog")
    theta0, theta1 = line(effects, backlog, weights)
    d = checked_effects(effects, 2)
    w, b = checked_weights(weights, d), box(d, backlog, backlog)[0]
    rho, control = (part.ravel() for part in np.meshgrid(rho, control, indexing="ij"))
    scale = np.abs(d).max()
    return pd.DataFrame(
        {
            "rho": rho,
            "control_backlog": control,
            "adjusted": theta0 + rho * theta1 * control,
            "att_common": w @ d.to_numpy() - rho * theta1 * (w @ b - control),
            "breakdown": -theta0 / theta1 if abs(theta1) > 1e-12 * scale else np.nan,
        }
    )


def frontier_bounds(
    effects,
    lower,
    upper,
    rho,
    control_backlog,
    weights=None,
    mean=None,
    constraints=None,
    tolerance=1e-5,
    minimum_areas=5,
):
    """Bound `frontier`'s adjusted effect at every pair when the backlogs are known as a set.

    The adjusted effect is the line's value at backlog r = rho B_C, so one number decides. Its
    upper bound is convex in r, its lower bound concave: between exact values the chord is a valid
    bound, and values are added until no chord is further than `tolerance` from an attained line.

    Parameters
    ----------
    effects, lower, upper, weights, mean, constraints, minimum_areas
        As in `intercept_bounds`.
    rho, control_backlog
        As in `frontier`.
    tolerance : float
        In the effects' unit.

    Returns
    -------
    DataFrame
        `rho`, `control_backlog`, `bound_low`, `bound_high`.

    Examples
    --------
    >>> table = frontier_bounds([0.5, 0.4, 0.3, 0.2, 0.1], [0, 0.2, 0.4, 0.6, 0.8],
    ...     [0.1, 0.2, 0.4, 0.6, 0.8], [0, 1], [0.4])
    >>> table[["bound_low", "bound_high"]].round(4).values.tolist()
    [[0.5, 0.5305], [0.3, 0.311]]
    """
    rho, control = shares(rho, "rho"), shares(control_backlog, "control_backlog")
    rho, control = (part.ravel() for part in np.meshgrid(rho, control, indexing="ij"))
    product = rho * control
    d = checked_effects(effects, minimum_areas)
    w = checked_weights(weights, d)
    region = evidence_region(d, lower, upper, w, mean, constraints)
    table = pd.DataFrame({"rho": rho, "control_backlog": control})
    for name, column in (("intercept_low", "bound_low"), ("intercept_high", "bound_high")):

        def exact(r, name=name):
            ends, witness, gap = _solved(d, w, region, r, [name])
            if np.isinf(ends[name]):
                raise KokeiluError("The evidence allows all areas the same backlog: no bounds.")
            outer = ends[name] + (gap if name.endswith("high") else -gap)
            return outer, line(d.to_numpy(), witness[name], w)[1]

        places, values = _chords(exact, float(product.min()), float(product.max()), tolerance)
        table[column] = np.interp(product, places, values)
    return table


def _chords(exact, first, last, tolerance):
    """Return places and values of a convex (or concave) function whose chords are near enough.

    `exact` gives the value and the slope of a tangent; where two neighbouring tangents cross, the
    chord can be furthest off, and there the next value is taken.
    """
    known = {r: exact(r) for r in {first, last}}
    pending = [(first, last)] if last > first else []
    while pending:
        left, right = pending.pop()
        (v1, s1), (v2, s2) = known[left], known[right]
        if abs(s1 - s2) < NEGLIGIBLE:
            continue
        r = (v2 - v1 + s1 * left - s2 * right) / (s1 - s2)
        off = abs((v2 - v1) / (right - left) - s1) * (r - left)
        if off > tolerance and left < r < right:
            known[r] = exact(r)
            pending += [(left, r), (r, right)]
    places = sorted(known)
    return places, [known[r][0] for r in places]


def capacity(att, share, months, total):
    """Return the effect at full capacity, att / (1 - share x months / total), as exact bounds.

    If a share of capacity went to the old debt for some months and the effect is proportional to
    free capacity, this is what full capacity would have done. Each argument is a number or a
    (low, high) pair; the formula is monotone in each, so the bounds are its values at ends.

    Parameters
    ----------
    att : float or pair
        Average effect over all months, any unit.
    share : float or pair
        Share of capacity that the debt took, 0-1.
    months, total : float or pair
        Months it took, and months of the trial.

    Returns
    -------
    (float, float)

    Examples
    --------
    >>> [round(x, 6) for x in capacity(0.704, 0.6, 9, 45)]
    [0.8, 0.8]
    >>> [round(x, 4) for x in capacity(-0.2, (0, 0.5), (6, 12), 48)]
    [-0.2286, -0.2]
    """
    att, share, months, total = (
        pair(value, name)
        for value, name in (
            (att, "att"),
            (share, "share"),
            (months, "months"),
            (total, "total"),
        )
    )
    shares(share, "share")
    if months[0] < 0 or total[0] <= 0 or months[1] > total[0]:
        raise KokeiluError(
            f"Months {months} of a total of {total}: give 0 <= months <= total, total above 0."
        )
    if share[1] * months[1] >= total[0]:
        raise KokeiluError("The debt took all capacity in every month: nothing was left to act.")
    lost = share[0] * months[0] / total[1], share[1] * months[1] / total[0]
    values = [effect / (1 - part) for effect in att for part in lost]
    return float(min(values)), float(max(values))
