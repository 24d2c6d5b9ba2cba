"""The fitted value when the line may be no steeper than a limit.

Write m for the mean backlog, r for the reference and g for the slope's size towards it; the fit
gains (m - r) g on the mean effect. Its superlevel sets are convex in stretched coordinates, so on
the way from the best line to any line that is flat enough the gain never falls below that of the
latter: if the best line is too steep, the best permitted one has g = S, and gains S (m - r).
The furthest m with g >= S is a convex programme, whose Lagrangian bounds it from outside; a line
with g = S on a segment between two known points bounds it from inside.
"""

import numpy as np

from kokeilu_analysis.methods.line_bounds import fitted_extreme, slope_extreme
from kokeilu_analysis.methods.line_choices import fits
from kokeilu_analysis.methods.line_region import Cone, excess, quadratic

STEPS = 40  # of the search over the multiplier


def fitted_within(d, w, region, at, steepest):
    """Return (low, high, gap) of the fitted value at `at` over lines with |slope| <= `steepest`.

    Parameters
    ----------
    d : Series of A
        Effects, checked.
    w : array of A
        Weights that sum to one.
    region : kokeilu_analysis.methods.line_region.Region
    at : float
    steepest : float
        Effect per unit of backlog, above 0.

    Returns
    -------
    (float, float, float)
        No permitted line goes further; one comes within the gap. NaN when no line is permitted.
    """
    average = float(w @ d.to_numpy())
    share, centred = np.zeros(len(region.lower)), np.zeros(len(region.lower))
    share[: len(d)], centred[: len(d)] = w, d.to_numpy() - average
    centred[share == 0] = 0.0
    scale = np.abs(centred).max()
    if scale <= 1e-14 * np.abs(d).max():
        return average, average, 0.0
    found = []
    for sign in (-1, 1):
        sides = [
            _side(part, share, sign * centred / scale, at, side, steepest / scale)
            for side in (1.0, -1.0)
            if (part := _half(region, share, at, side)) is not None
        ]
        known = [answer for answer in sides if answer is not None]
        if not known:
            return np.nan, np.nan, 0.0
        outer, inner = max(a[0] for a in known), max(a[1] for a in known)
        found.append((average + sign * scale * outer, scale * (outer - inner)))
    return found[0][0], found[1][0], max(gap for _, gap in found)


def _half(region, share, at, side):
    """Return the part where the mean backlog lies on one side of the reference, or None."""
    low, high = -region.extreme(-share)[0], region.extreme(share)[0]
    if (high if side > 0 else -low) <= side * at:
        return None
    if (low if side > 0 else -high) >= side * at:
        return region
    return region.with_rows(-side * share[None], [-side * at])


def _side(region, share, centred, at, side, steepest):
    """Return (no line gains more, a line gains this much), or None where none is permitted."""

    def line(b):
        mean = share @ b
        return side * (mean - at), -side * (share @ (centred * b)) / (share @ (b - mean) ** 2)

    flattest = slope_extreme(region, share, side * centred)
    if flattest.value < -steepest - flattest.gap:
        return None  # every line falls off more steeply than permitted
    best = fitted_extreme(region, share, centred, at)
    steep = line(best.point)[1] if np.isfinite(best.value) else np.inf
    if abs(steep) <= steepest * (1 + 1e-9):
        return best.value + best.gap, best.value
    start = flattest.point
    if np.isinf(flattest.value) or line(start)[1] > steepest:
        if np.isfinite(flattest.value):
            return None
    if steep < 0:  # permitted lines lie towards the flattest, which itself is only a loss
        distance, slope = line(start)
        inner = distance * slope if abs(slope) <= steepest else -np.inf
        return best.value + best.gap, inner
    furthest, ends = _furthest(region, share, centred, at, side, steepest)
    outer = min(best.value + best.gap, steepest * furthest)
    inner = -np.inf
    for end in [best.point, *ends]:
        b = _crossing(line, start, end, steepest)
        if b is not None and (not len(region.whole) or fits(region, share, b)):
            inner = max(inner, steepest * line(b)[0])
    return outer, inner


def _furthest(region, share, centred, at, side, steepest):
    """Bound the distance of the mean from the reference over lines at least this steep."""
    part = region.settled().without_choices()
    top = part.extreme(side * share)
    bound, ends = side * (share @ top[1] - at), [top[1]]
    cone = Cone(part, share, centred, at)
    if not len(cone.free):
        return bound, ends
    unit = np.eye(1, len(cone.mean), len(cone.free))[0]
    low, high = 0.0, None
    multiplier = 1.0
    for _ in range(STEPS):
        curvature = 2 * multiplier * steepest
        vector = side * (multiplier * cone.slope - cone.mean)
        p, prices = quadratic(curvature, vector, cone, unit)
        variance = p @ cone.variance @ p
        room = -side * (cone.slope @ p) - steepest * variance
        value = side * (cone.mean @ p) + multiplier * room
        gradient = -vector - curvature * (cone.variance @ p)
        bound = min(bound, value + max(excess(gradient, p, prices, cone, unit, 1.0), 0.0))
        ends.append(cone.point(p))
        if room < 0:
            low = multiplier
        else:
            high = multiplier
        multiplier = 4 * multiplier if high is None else (low + high) / 2
        if high is not None and high - low < 1e-10 * high:
            break
    return bound, ends


def _crossing(line, flat, steep, steepest):
    """Return the point between a flat and a steep line where the slope is the limit."""
    if line(steep)[1] < steepest:
        return None
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if line(flat + middle * (steep - flat))[1] > steepest:
            high = middle
        else:
            low = middle
    return flat + low * (steep - flat)
