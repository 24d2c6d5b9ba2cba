"""The starting lag: what the area effects say once each area's starting backlog is counted.

Area effects d_a are regressed on starting backlogs B_a (shares, 0-1): d_a = theta0 + theta1 B_a.
theta0 is the effect at no backlog; theta0 + theta1 Bbar is the average effect as it was. Where B is
known only as a set, so are theta0 and theta1. Where the controls had a backlog too, two numbers
that no data show decide how much of theta1 to take out (`frontier`).

This module is the door: the line itself is in `lag_line`, the value of replies in `lag_replies`,
sampling uncertainty in `lag_sampling`, time in `exposure`.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.exposure import capacity
from kokeilu_analysis.methods.lag_input import (
    box,
    checked_effects,
    checked_weights,
    evidence_region,
    shares,
)
from kokeilu_analysis.methods.lag_line import (
    ENDS,
    LineBounds,
    intercept_bounds,
    line,
    midpoint,
    solved,
)
from kokeilu_analysis.methods.lag_replies import rank_replies_effect, replies_until_sign
from kokeilu_analysis.methods.lag_routes import by_class, leave_out
from kokeilu_analysis.methods.lag_sampling import ends_interval, set_interval
from kokeilu_analysis.methods.line_region import NEGLIGIBLE

__all__ = [
    "ENDS",
    "LineBounds",
    "by_class",
    "capacity",
    "ends_interval",
    "frontier",
    "frontier_bounds",
    "intercept_bounds",
    "leave_out",
    "line",
    "midpoint",
    "rank_replies_effect",
    "replies_until_sign",
    "set_interval",
]

SEARCHED = 0.1  # share of a tolerance that one search may leave; the chords may use up the rest


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
    w, (b, _) = checked_weights(weights, d), box(d, backlog, backlog)
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
        `rho`, `control_backlog`, `bound_low`, `bound_high`, and `unproven`: by how much more than
        `tolerance` a bound may lie outside the sharp one, 0 where no search ended early.

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
    near = SEARCHED * tolerance
    proven, gaps = 1e-9 * np.abs(d).max() + near, [0.0]
    for name, column in (("intercept_low", "bound_low"), ("intercept_high", "bound_high")):

        def exact(r, name=name):
            ends, witness, gap = solved(d, w, region, r, [name], near)
            if np.isinf(ends[name]):
                raise KokeiluError("The evidence allows all areas the same backlog: no bounds.")
            outer = ends[name] + (gap if name.endswith("high") else -gap)
            gaps.append(gap if gap > proven else 0.0)
            return outer, line(d.to_numpy(), witness[name], w)[1]

        places, values = _chords(
            exact, float(product.min()), float(product.max()), tolerance - near
        )
        table[column] = np.interp(product, places, values)
    return table.assign(unproven=max(gaps))


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
