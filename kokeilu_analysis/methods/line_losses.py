r"""The best fitted value where every line loses, with either-or statements decided in the search.

With m, c and V as in `line_bounds` let every permitted m lie on one side of the reference r and
every c have the sign that makes (m - r) c positive: the fit falls short of the mean effect by the
loss (m - r) c / V. A loss below a limit t > 0 needs

    t (sum w b^2 - m^2) - (m - r) c > 0.

Each term is replaced by something linear that is nowhere smaller: b^2 by its secant over the range
of b, one secant for each answer of a 0/1 column that limits b; m^2 by tangents; the product by
McCormick's planes. That leaves a mixed-integer linear programme, for HiGHS a tenth of a second. If
its optimum is positive, the range of m or of one b is split, whichever is furthest off.
Sources: Falk and Soland 1969 (secants and splitting), McCormick 1976 (product), Dinkelbach 1967.
"""

import heapq
from dataclasses import replace
from itertools import count

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.line_region import NEGLIGIBLE

FINEST = 5e-5  # tolerance below which the solver's own, 1e-6 in a backlog, would blur the proof
MARGIN = 1e-6  # by which an optimum must be below zero to count as such
TANGENTS = 9  # to the squared mean


def least_loss(region, weights, centred, at, tolerance):
    """Return the largest fitted value at backlog `at`, less the mean effect, if it is a loss.

    Parameters
    ----------
    region : kokeilu_analysis.methods.line_region.Region
        n columns, some of them 0/1.
    weights, centred : array of n
        As in `line_bounds.slope_extreme`.
    at : float
    tolerance : float
        The search ends when nothing better by more than this is left. In units of `centred`.

    Returns
    -------
    (float, array of n, float) or None
        An attained value, the b that attains it, and how much any other b could add. None where
        some permitted line might gain, where no choice is open or the tolerance is below `FINEST`.

    Examples
    --------
    >>> from kokeilu_analysis.methods.line_region import Region
    >>> region = Region(  # the second backlog is below 0.6 only if the choice is made
    ...     np.array([0.2, 0.3, 0.9, 0]), np.array([0.4, 0.7, 1, 1]), np.array([[0, -1, 0, -0.3]]),
    ...     np.array([-0.6]), whole=np.array([3]))
    >>> weights, centred = np.array([1, 1, 1, 0]) / 3, np.array([-0.9, -0.1, 1, 0])
    >>> value, b, gap = least_loss(region, weights, centred, 0.0, 1e-3)  # -0.5 x 0.2633 / 0.1267
    >>> round(float(value), 4), b.round(6).tolist()
    (-1.0395, [0.2, 0.3, 1.0, 1.0])
    """
    choices = region.upper[region.whole] > region.lower[region.whole]
    if tolerance < FINEST or not choices.any():
        return None
    nearest = [_programme(sign * weights, region, region.rows, region.limits) for sign in (1, -1)]
    if None in nearest:
        return None
    first, last = nearest[0].mip_dual_bound, -nearest[1].mip_dual_bound
    side, distance = (1.0, first - at) if first > at else (-1.0, at - last)
    cost = side * weights * centred
    cheapest = _programme(cost, region, region.rows, region.limits)
    if min(distance, cheapest.mip_dual_bound) < MARGIN:
        return None

    def value(b):
        return -(cost @ b) * side * (weights @ b - at) / (weights @ (b - weights @ b) ** 2)

    def climbed(b):
        """Keep the choices that b has made; return a vertex, improved while that is easy."""
        best, b = -np.inf, b.copy()
        b[region.whole] = np.round(b[region.whole])
        lower, upper = region.lower.copy(), region.upper.copy()
        lower[region.whole] = upper[region.whole] = b[region.whole]
        part = replace(region, lower=lower, upper=upper)
        while True:
            mean = weights @ b
            gradient = -2 * value(b) * weights * (b - mean)
            gradient -= side * (mean - at) * cost + side * (cost @ b) * weights
            found = part.extreme(gradient)
            if found is None or not value(found[1]) > best + NEGLIGIBLE:
                return best, b
            b = found[1]
            best = value(b)

    best, point = climbed(cheapest.x)
    if np.isinf(best):
        return None
    order, nodes = count(), 0
    heap = [(-np.inf, next(order), (region.lower, region.upper, first, last))]
    while heap and best + tolerance < 0 and nodes < region.most_nodes:
        node = heapq.heappop(heap)[-1]
        nodes += 1
        solved = _relaxed(region, node, weights, cost, (side, at), best + tolerance)
        if solved is None:
            continue
        bound, b, off, off_mean = solved
        better, vertex = climbed(b)
        if better > best:
            best, point = better, vertex
        if bound > -MARGIN:
            for child in _halves(node, b, off, off_mean):
                heapq.heappush(heap, (-bound, next(order), child))
    ended = heap and best + tolerance < 0
    return best, point, -best if ended else min(tolerance, -best)


def _halves(node, b, off, off_mean):
    """Split a node at the mean or at the column whose relaxation is furthest off."""
    lower, upper, first, last = node
    widest = int(np.argmax(off))
    if off_mean > off[widest]:
        middle = (first + last) / 2
        return [(lower, upper, first, middle), (lower, upper, middle, last)]
    below, above = upper.copy(), lower.copy()
    below[widest] = above[widest] = b[widest]
    return [(lower, below, first, last), (above, upper, first, last)]


def _relaxed(region, node, weights, cost, line, limit):
    """Bound -limit V - (m - r) c over a node by a mixed-integer linear programme; limit <= 0.

    Returns (bound, b, by how much the secant of each column and the terms of the mean are off),
    or None if the node is empty.
    """
    lower, upper, first, last = node
    side, at = line
    part = replace(region, lower=lower, upper=upper).with_rows(
        np.vstack([weights, -weights]), [last, -first]
    )
    most = part.extreme(cost)
    if most is None:
        return None
    costs = -part.extreme(-cost)[0], most[0]
    distances = (first - at, last - at) if side > 0 else (at - last, at - first)

    # Columns: b, then s <= b^2 for each, then q >= m^2 and u >= (m - r) c.
    size = len(lower)
    n = 2 * size + 2
    one = np.eye(size)
    secants = np.column_stack([-np.diag(lower + upper), one])
    tangents = np.linspace(first, last, TANGENTS)
    blocks = [(part.rows, part.limits), (secants, -lower * upper), _answered(part, weights)]
    blocks.append((2 * tangents[:, None] * weights, tangents**2))
    product = [d * cost + c * side * weights for c, d in zip(costs, distances, strict=True)]
    known = [c * (d + side * at) for c, d in zip(costs, distances, strict=True)]
    blocks.append((np.array(product), known))
    rows = np.vstack([np.pad(r, ((0, 0), (0, n - r.shape[1]))) for r, _ in blocks])
    rows[-2 - TANGENTS : -2, -2] = rows[-2:, -1] = -1
    limits = np.concatenate([limit for _, limit in blocks])
    wanted = np.concatenate([np.zeros(size), limit * weights, [-limit, 1.0]])
    solved = _programme(wanted, part, rows, limits)
    if solved is None:
        return None
    b, squares, (square, paid) = solved.x[:size], solved.x[size:-2], solved.x[-2:]
    mean = weights @ b
    off = -limit * weights * (squares - b**2)
    return (
        -solved.mip_dual_bound,
        b,
        off,
        -limit * (mean**2 - square) + side * (mean - at) * (cost @ b) - paid,
    )


def _programme(cost, part, rows, limits):
    """Minimise cost @ x by HiGHS over columns of a part and free ones after them; None if empty."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    more = len(cost) - len(part.lower)
    free, whole = np.full(more, np.inf), np.zeros(len(cost))
    whole[part.whole] = 1
    equal = np.pad(part.equal_rows, ((0, 0), (0, more)))
    solved = milp(
        cost,
        integrality=whole,
        bounds=Bounds(np.append(part.lower, -free), np.append(part.upper, free)),
        constraints=[
            LinearConstraint(rows, -np.inf, limits),
            LinearConstraint(equal, part.equal_limits, part.equal_limits),
        ],
    )
    if solved.status == 2:
        return None
    if solved.x is None:
        raise KokeiluError(f"The mixed-integer programme for the bounds failed: {solved.message}")
    return solved


def _answered(part, weights):
    """Return rows and limits over (b, s): one secant for each answer that limits a column."""
    open_ = np.zeros(len(weights), dtype=bool)
    open_[part.whole] = part.upper[part.whole] > part.lower[part.whole]
    stated = [(part.rows, part.limits)]
    stated += [(sign * part.equal_rows, sign * part.equal_limits) for sign in (1, -1)]
    rows, limits = [], []
    for row, limit in ((r, x) for block in stated for r, x in zip(*block, strict=True)):
        columns = np.flatnonzero(row)
        if len(columns) != 2 or open_[columns].sum() != 1:
            continue
        choice, column = sorted(columns, key=lambda k: not open_[k])
        ends = np.array([[part.lower[column], part.upper[column]]] * 2)
        edges = (limit - row[choice] * np.arange(2)) / row[column]
        moved, towards = (0, np.maximum) if row[column] < 0 else (1, np.minimum)
        ends[:, moved] = towards(ends[:, moved], edges)
        for answer, (low, high) in enumerate(ends):
            other = ends[1 - answer]
            over = max(((other - low) * (other - high)).max(), 0.0)
            cut = np.zeros(2 * len(weights))
            cut[column], cut[len(weights) + column] = -(low + high), 1.0
            cut[choice] = -over if answer == 0 else over
            rows.append(cut)
            limits.append(-low * high + (over if answer else 0.0))
    return np.array(rows).reshape(-1, 2 * len(weights)), np.array(limits)
