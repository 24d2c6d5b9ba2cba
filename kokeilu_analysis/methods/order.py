"""How many areas lie beyond a threshold, and where a quantile can lie, over a feasible set.

Both are questions about the order of the backlogs. `side` is 1 for "below" and -1 for "above":
an area is beyond ``x`` when ``side (x - B) > 0``. The programmes are those of a feasible set,
with the areas in their first `n` columns, and must have a feasible point.
"""

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.constraints import slack

MARGIN = 1e-5  # of a share: closer than this to a threshold does not count as beyond it


def count(program, n, x, side, margin=MARGIN):
    """Return the least and greatest number of areas strictly beyond `x`.

    Examples
    --------
    >>> from kokeilu_analysis.methods.program import Program
    >>> p = Program()
    >>> areas = p.columns([0.1, 0.3, 0.5], [0.2, 0.6, 0.9])
    >>> count(p, 3, 0.5, side=1)
    (1, 2)
    """
    least, _, _ = _least_beyond(program, n, x, side, np.ones(n))
    p = program.copy()
    beyond = p.columns(np.zeros(n), np.ones(n), whole=True)
    for i in range(n):  # beyondᵢ = 1 only if Bᵢ is beyond x by the margin
        limit = p.upper[i] if side > 0 else p.lower[i]
        free = slack(side * (limit - x) + margin)
        p.row([i, beyond[i]], [side, free], high=free + side * x - margin)
    most, _ = p.minimise(beyond, -np.ones(n))
    return round(least), round(-most)


def quantile(program, n, q, weights=None):
    """Return the least and greatest `q`-quantile, an order statistic; both are attained.

    Parameters
    ----------
    q : float
        Above 0 and at most 1.
    weights : ndarray, optional
        Shape (n,), non-negative, not all zero; equal when not given.

    Examples
    --------
    >>> from kokeilu_analysis.methods.program import Program
    >>> p = Program()
    >>> areas = p.columns([0.1, 0.3, 0.5], [0.2, 0.6, 0.9])
    >>> quantile(p, 3, 0.5)
    (0.3, 0.6)
    """
    if not 0 < q <= 1:
        raise KokeiluError(f"A quantile needs q above 0 and at most 1, not {q}.")
    if weights is None:
        w, rank = np.ones(n), int(np.ceil(q * n - 1e-9))
        above, below = n - rank, rank - 1  # how many may lie beyond the quantile
    else:
        w = weights / weights.sum()
        above, below = 1 - q + 1e-9, q - MARGIN  # the second is "less than q"
    return _reach(program, n, -1.0, w, above), _reach(program, n, 1.0, w, below)


def _least_beyond(program, n, x, side, weights):
    """Return the least weight of the areas beyond `x`, which they are, and the point."""
    p = program.copy()
    beyond = p.columns(np.zeros(n), np.ones(n), whole=True)
    for i in range(n):  # beyondᵢ = 0 only if Bᵢ is not beyond x
        limit = p.lower[i] if side > 0 else p.upper[i]
        p.row([i, beyond[i]], [side, slack(side * (x - limit))], low=side * x)
    value, point = p.minimise(beyond, weights)
    return value, point[beyond] > 0.5, point[: len(program.lower)]


def _reach(program, n, side, weights, allowed):
    """Return the furthest x beyond which no more than `allowed` of the weight has to lie.

    The least weight beyond x grows as x moves on. Every possible x gives a set of areas beyond
    it, and with the choices fixed the furthest x comes from a linear programme, so the result
    is attained; no other choice reaches further by more than `MARGIN`.
    """
    limits = (program.upper if side > 0 else program.lower)[:n]
    wall = _own_reach(limits, side, weights, allowed)  # as far as the areas' own limits let it
    _, point = program.minimise([], [])
    reached = _own_reach(point[:n], side, weights, allowed)
    x, near = wall, False
    while side * (wall - reached) > MARGIN:
        weight, beyond, point = _least_beyond(program, n, x, side, weights)
        further = reached
        if weight <= allowed + 1e-9:
            further = _furthest(program, side, beyond, point, reached)
        if side * further > side * reached:
            reached = further
        else:
            wall = x
        near = not near  # mostly the present choice is the best one: look there, then halve
        x = reached + side * MARGIN / 2 if near else (reached + wall) / 2
    return reached


def _own_reach(values, side, weights, allowed):
    """Return the furthest of the values beyond which no more than `allowed` of the weight lies."""
    possible = [v for v in values if weights[side * (v - values) > 0].sum() <= allowed + 1e-9]
    return float(side * max(side * v for v in possible))


def _furthest(program, side, beyond, point, reached):
    """Return the furthest x beyond which only the marked areas lie, or `reached` if that is more.

    All 0/1 choices stay as at `point`, which leaves a linear programme.
    """
    p = program.copy()
    whole = p.integrality == 1
    p.lower[whole] = p.upper[whole] = np.round(point[whole])
    x = p.columns([0.0], [1.0])[0]
    for i in np.flatnonzero(~beyond):
        p.row([i, x], [side, -side], low=0.0)
    answer = p.minimise([x], [-side])
    return side * max(side * reached, -answer[0]) if answer else reached
