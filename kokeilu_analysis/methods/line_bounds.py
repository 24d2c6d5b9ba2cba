r"""Extremes of a fitted line whose regressor is known only to lie in a polytope: exact, certified.

Let b be any point of a polytope, D the centred effects, w weights that sum to one. With the
moments m(b) = sum w b, c(b) = sum w D b and V(b) = sum w (b - m)^2 the least-squares slope is c/V
and the fitted value at the reference backlog r is dbar + (r - m) c/V. Two facts make both global:

* The fitted value does not change when b - r is stretched, so y = (b - r)/|m - r| turns it into
  -+c(y)/V(y), again a linear function over the variance, and the polytope stays a polytope
  in (y, z) with z = 1/|m - r| (the Charnes-Cooper transformation).
* The largest value T of linear/variance is positive or not. If positive, c - T V is concave and
  one convex quadratic programme per Dinkelbach step finds T, in general *inside* the box. If not,
  c - T V is convex and T is attained at a vertex, which branch and bound finds.

Both answers carry a proof: weak duality bounds how far any point can exceed the value returned.
Sources: Charnes and Cooper 1962; Dinkelbach 1967; Mehrotra 1992 (interior point).
"""

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np

from kokeilu_analysis.methods.line_choices import TARGET, over_choices
from kokeilu_analysis.methods.line_losses import least_loss
from kokeilu_analysis.methods.line_region import (
    NEGLIGIBLE,
    Cone,
    excess,
    least_variance,
    linear,
    quadratic,
)

FEW = 10  # ranges up to which all corners are tried
TANGENTS = 9  # to the squared mean over a node


@dataclass(frozen=True)
class Extreme:
    """An attained extreme: value, the b that attains it, and how much any other b could add."""

    value: float
    point: np.ndarray
    gap: float


def slope_extreme(region, weights, centred):
    """Return the largest slope over a region.

    Parameters
    ----------
    region : kokeilu_analysis.methods.line_region.Region
        Feasible; n columns.
    weights : array of n
        Sum to one; zero for auxiliary columns.
    centred : array of n
        Effects less their weighted mean, divided by the largest of them in size.

    Returns
    -------
    Extreme
        Infinite, with gap 0, when all b can coincide and the slope can be positive.

    Examples
    --------
    >>> from kokeilu_analysis.methods.line_region import Region
    >>> region = Region(np.array([0, 0.4, 1.0]), np.array([0, 0.6, 1.0]))
    >>> round(float(slope_extreme(region, np.full(3, 1 / 3), np.array([-0.5, 0.0, 0.5])).value), 6)
    1.0
    """
    common = region.common_values(weights > 0)
    return over_choices(
        region, weights, lambda part, beat: _slope(part, weights, centred, common, beat)
    )


def fitted_extreme(region, weights, centred, at, tolerance=0.0):
    """Return the largest fitted value at backlog `at`, less the mean effect; see `slope_extreme`.

    With a `tolerance` above 0, in units of `centred`, a loss over 0/1 columns is found to within
    that only (`line_losses`).

    Examples
    --------
    >>> from kokeilu_analysis.methods.line_region import Region
    >>> region = Region(np.array([0, 0.4, 1.0]), np.array([0, 0.6, 1.0]))
    >>> found = fitted_extreme(region, np.full(3, 1 / 3), np.array([-0.5, 0.0, 0.5]), 0.0)
    >>> round(float(found.value), 6)
    -0.460526
    """
    loss = least_loss(region.settled(), weights, centred, at, tolerance)
    if loss is not None:
        return Extreme(*loss)
    common = region.common_values(weights > 0)
    return over_choices(
        region, weights, lambda part, beat: _fitted(part, weights, centred, at, common, beat)
    )


def _slope(region, weights, centred, common, beat):
    best = region.extreme(weights * centred)
    if best is None or (best[0] <= NEGLIGIBLE and beat > 0):
        return None
    if best[0] > NEGLIGIBLE and common and region.common_values(weights > 0):
        return Extreme(np.inf, best[1], 0.0)
    if -NEGLIGIBLE <= best[0] <= NEGLIGIBLE:
        return Extreme(0.0, best[1], 0.0)
    cone = Cone(region, weights, centred, 0.0)
    if not len(cone.free):
        return _single(cone, weights @ (centred * region.lower))
    unit = np.eye(1, len(cone.mean), len(cone.free))[0]
    start = cone.lift(best[1], 1.0)
    if best[0] > 0:
        return _largest_inside(cone, cone.slope, unit, start, None, beat)
    means = -region.extreme(-weights)[0], region.extreme(weights)[0]
    return _largest_at_vertex(cone, cone.slope, unit, start, (1.0, 1.0), means, beat)


def _fitted(region, weights, centred, at, common, beat):
    furthest = region.extreme(weights)
    if furthest is None:
        return None
    low, high = -region.extreme(-weights)[0] - at, furthest[0] - at
    cone = Cone(region, weights, centred, at)
    if not len(cone.free):
        return _single(cone, -(low + high) / 2 * (weights @ (centred * region.lower)))
    answers = []
    if (
        low <= NEGLIGIBLE and high >= -NEGLIGIBLE and beat < 0
    ):  # b can average `at`: there the fit is the mean
        level = region.with_rows(
            np.vstack([weights, -weights]), [at + NEGLIGIBLE, NEGLIGIBLE - at]
        ).extreme(0 * weights)
        answers.append(Extreme(0.0, furthest[1] if level is None else level[1], 0.0))
    for side, reach in ((1.0, high), (-1.0, -low)):
        if reach <= NEGLIGIBLE:
            continue
        gain = -side * weights * centred
        best = region.with_rows(-side * weights[None], [-side * at]).extreme(gain)
        if best[0] > NEGLIGIBLE:
            shared = region.common_values(weights > 0) if common else None
            if shared and max(side * (c - at) for c in shared) > NEGLIGIBLE:
                return Extreme(np.inf, best[1], 0.0)
            answers.append(_fitted_inside(cone, side, best[1], reach, beat))
        elif best[0] >= -NEGLIGIBLE:
            answers.append(Extreme(0.0, best[1], 0.0))
        elif low > NEGLIGIBLE or high < -NEGLIGIBLE:  # else b can average `at`: nothing is lost
            nearest = low if side > 0 else -high
            start = cone.lift(best[1], side * (weights @ best[1] - at))
            gain, norm, span = -side * cone.slope, side * cone.mean, (1 / reach, 1 / nearest)
            answers.append(_largest_at_vertex(cone, gain, norm, start, span, (side,), beat))
    answers = [answer for answer in answers if answer is not None]
    return max(answers, key=lambda answer: answer.value, default=None)


def _single(cone, gain):
    """Return the extreme over one point, where b is known."""
    b = cone.region.lower
    variance = cone.weights @ (b - cone.weights @ b) ** 2
    value = gain / variance if variance > NEGLIGIBLE else np.copysign(np.inf, gain)
    return Extreme(float(value), b, 0.0)


def _fitted_inside(cone, side, b, reach, beat):
    """Solve one side of `at` where the fit can exceed the mean effect."""
    weights, at = cone.weights, cone.at
    distance = side * (weights @ b - at)
    if distance <= NEGLIGIBLE:  # move towards a point on the right side; the gain stays positive
        other = cone.region.extreme(side * weights)[1]
        gain = -side * weights * cone.centred
        share = 0.5
        while gain @ (b + share * (other - b)) <= 0:
            share /= 2
        b = b + share * (other - b)
        distance = side * (weights @ b - at)
    start = cone.lift(b, distance)
    return _largest_inside(cone, -side * cone.slope, side * cone.mean, start, reach, beat)


def _largest_inside(cone, gain, norm, p, reach, beat):
    """Maximise gain @ p / p'Vp > 0 on norm @ p = 1 by Dinkelbach steps from the feasible `p`.

    Returns None when no point does better than `beat`.
    """
    variance = cone.variance
    start = gain @ p / (p @ variance @ p)
    value = max(start, beat)
    for _ in range(60):
        p, multipliers = quadratic(2 * value, -gain, cone, norm)
        better = gain @ p / (p @ variance @ p)
        if better <= value * (1 + 1e-14):
            break
        value = better
    if value == beat:
        return None
    gradient = gain - 2 * value * (variance @ p)
    over = gain @ p - value * (p @ variance @ p)
    flat = np.eye(1, len(norm), len(norm) - 1)[0]
    floor = least_variance(cone, flat)
    nearest = 1.0  # |m - at|; the slope's cone is cut at z = 1
    if reach is not None:
        # Points whose fit beats `value` have |m - at| sd(D)/sd(b) above it; none is beyond `reach`.
        sd_effects = np.sqrt(cone.weights @ cone.centred**2)
        nearest = min(max(value * np.sqrt(max(floor, 0.0)) / sd_effects, 1e-6), reach)
        floor /= reach**2
    over += excess(gradient, p, multipliers, cone, norm, 1 / nearest)
    gap = max(float(over), 0.0) / max(floor, NEGLIGIBLE)
    return Extreme(float(value), cone.point(p), gap)


def _largest_at_vertex(cone, gain, norm, p, span, means, beat):
    """Maximise gain @ p / p'Vp < 0 on norm @ p = 1 by branch and bound over vertices.

    `span` is the interval of z, `means` that of norm-scaled m; one of the two is a single number,
    the other is the pivot that is bisected beside the coordinates x = X/z. Returns None when no
    point does better than `beat`.
    """
    size, pivot_is_z = len(p) - 1, len(means) == 1
    box_only = cone.region.is_box()
    if box_only and size <= FEW:
        return _best_corner(cone, gain, norm)
    p, value = _climb(cone, gain, norm, p)
    floor = least_variance(cone, norm)
    if floor <= NEGLIGIBLE:  # at a corner where all b coincide, which is no rival
        floor = p @ cone.variance @ p
    if beat > value:
        p, value = None, beat
    order, nodes = count(), 0
    root = np.zeros(size), np.ones(size), *(span if pivot_is_z else means)
    heap = [(-np.inf, next(order), root, None)]
    while heap and (not nodes or -heap[0][0] > TARGET * floor) and nodes < cone.region.most_nodes:
        _, _, node, split = heapq.heappop(heap)
        for child in [node] if split is None else _children(node, split, box_only):
            nodes += 1
            solved = _relaxation(cone, gain, norm, value, child, pivot_is_z, means)
            if solved is None:
                continue
            bound, candidate, next_split = solved
            if gain @ candidate / (candidate @ cone.variance @ candidate) > value:
                p, value = _climb(cone, gain, norm, candidate)
            if bound > TARGET * floor:
                heapq.heappush(heap, (-bound, next(order), child, next_split))
    if p is None:
        return None
    over = max(-heap[0][0], TARGET * floor) if heap else TARGET * floor
    return Extreme(float(value), cone.point(p), float(over / floor))


def _best_corner(cone, gain, norm):
    """Try every corner of the box, which is quickest when few areas are ranges."""
    size = len(norm) - 1
    corners = np.ones((2**size, size + 1))
    corners[:, :-1] = np.arange(2**size)[:, None] >> np.arange(size) & 1
    corners /= (corners @ norm)[:, None]
    variance = np.einsum("ij,jk,ik->i", corners, cone.variance, corners)
    values = np.full(len(corners), -np.inf)
    np.divide(corners @ gain, variance, out=values, where=variance > NEGLIGIBLE)
    best = int(np.argmax(values))
    return Extreme(float(values[best]), cone.point(corners[best]), 0.0)


def _children(node, split, ends_suffice):
    """Split a node at a coordinate (index, x) or at the middle of the pivot (None).

    Where `ends_suffice`, as they do in a box, no value between its ends needs a look.
    """
    low, high, first, last = node
    index, x = split
    if index is None:
        middle = (first + last) / 2
        return [(low, high, first, middle), (low, high, middle, last)]
    below, above = high.copy(), low.copy()
    below[index], above[index] = (low[index], high[index]) if ends_suffice else (x, x)
    return [(low, below, first, last), (above, high, first, last)]


def _relaxation(cone, gain, norm, value, node, pivot_is_z, means):
    """Bound gain @ p - value p'Vp over a node by a linear programme; value < 0.

    y^2 is replaced by its concave envelope over {l z <= y <= u z, z1 <= z <= z2}, two planes, and
    m^2 by tangents. Returns (bound, feasible p, where to split), or None if the node is empty.
    """
    from scipy.sparse import csc_array

    low, high, first, last = node
    size, weights = len(low), cone.weights
    z1, z2 = (first, last) if pivot_is_z else (1.0, 1.0)
    base = cone.frame[:, -1].copy()
    span, floor = cone.frame[cone.free, np.arange(size)], base[cone.free]
    left, right = floor + span * low, floor + span * high
    far = np.where(np.abs(right) >= np.abs(left), right, left)
    base[cone.free] = 0.0
    fixed = weights @ base**2

    # Columns: X, z, then s <= y^2's envelope for the free areas, then q >= m^2.
    x, z, s, q = np.arange(size), np.full(size, size), np.arange(size + 1, 2 * size + 1), -1
    one = np.ones(size)
    entries, limits = [], []
    for edge, at in ((far, z1), (left + right - far, z2)):
        steep = (left + right) * at
        tilt = steep * (edge - floor) - edge**2 * (z1 + z2)
        entries += [(x, -steep * span), (z, tilt), (s, one)]
        limits.append(-(edge**2) * z1 * z2)
    entries += [(x, -one), (z, low), (x, one), (z, -high)]
    limits.append(np.zeros(2 * size))
    columns, data = (np.concatenate(part) for part in zip(*entries, strict=True))
    lines = np.concatenate([x + size * block for block in (0, 0, 0, 1, 1, 1, 2, 2, 3, 3)])

    own = cone.rows[2 * size + 1 :]
    touch = np.array(means if pivot_is_z else np.linspace(first, last, TANGENTS))
    few = np.zeros((len(touch) + 2 + len(own), 2 * size + 2))
    few[: len(touch), : size + 1] = 2 * touch[:, None] * cone.mean
    few[: len(touch), q] = -1.0
    few[len(touch), : size + 1], few[len(touch) + 1, : size + 1] = cone.mean, -cone.mean
    few[len(touch) + 2 :, : size + 1] = own
    limits += [touch**2, [touch.max(), -touch.min()], np.zeros(len(own))]
    some_lines, some_columns = np.nonzero(few)
    rows = csc_array(
        (
            np.concatenate([data, few[some_lines, some_columns]]),
            (
                np.concatenate([lines, some_lines + 4 * size]),
                np.concatenate([columns, some_columns]),
            ),
        ),
        shape=(4 * size + len(few), 2 * size + 2),
    )
    equal, equal_limits = cone.equalities(norm)
    equal = np.pad(equal, ((0, 0), (0, size + 1)))
    bounds = np.zeros((2 * size + 2, 2))
    bounds[x] = np.column_stack([low * z1, high * z2])
    bounds[size] = z1, z2
    bounds[s, 1] = far**2 * z2**2
    bounds[q, 1] = max(np.square(means))
    profit = np.concatenate([gain, -value * weights[cone.free], [value]])
    profit[size] -= value * fixed * (z1 + z2)
    solved = linear(-profit, rows, np.concatenate(limits), equal, equal_limits, bounds)
    if solved is None:
        return None
    p, bound = solved[0][: size + 1], value * fixed * z1 * z2 - solved[1]
    exact = gain @ p - value * (p @ cone.variance @ p)
    if np.all(low == high):
        return exact, p, None
    y = floor * p[-1] + span * p[:-1]
    errors = -value * weights[cone.free] * np.maximum(right * p[-1] - y, 0) * (y - left * p[-1])
    widest = int(np.argmax(errors))
    from_pivot = errors[widest] < bound - exact - errors.sum()
    return bound, p, (None, None) if from_pivot else (widest, p[widest] / p[-1])


def _climb(cone, gain, norm, p):
    """Move from p to better and better vertices, each the best for the gradient at the last."""
    equal, limits = cone.equalities(norm)
    rows, bounds = cone.rows, np.array([(0, None)] * len(p))
    value = gain @ p / (p @ cone.variance @ p)
    while True:
        gradient = gain - 2 * value * (cone.variance @ p)
        solved = linear(-gradient, rows, np.zeros(len(rows)), equal, limits, bounds)
        if solved is None:
            return p, value
        candidate = solved[0]
        better = gain @ candidate / (candidate @ cone.variance @ candidate)
        if not better > value + 1e-15 * abs(value):
            return p, value
        p, value = candidate, better
