"""Lines that violate interval inequalities as little as possible, and those almost as good.

A line of value v at the reference and steepness t >= 0 (its slope is sign * t) shall satisfy
v + t below <= y <= v + t above for every area; Q is the weighted sum of squared violations. Along
v and along t it is a convex piecewise quadratic, which is minimised exactly at its breakpoints.
`low` and `high` are the ranges of the backlogs less the reference.
"""

import numpy as np

ROUNDING = 1e-9  # of the effects' size


def _turns(low, high, sign):
    """Return the coefficients of the steepness t >= 0 in the lower and the upper inequality."""
    return (low, high) if sign > 0 else (-high, -low)


def _least(start, step, w, floor=-np.inf):
    """Minimise sum w (start + step x)_+^2 over x >= floor exactly; return (minimum, x)."""
    moving = step != 0
    turns = np.unique(-start[moving] / step[moving])
    turns = turns[turns > floor]
    if np.isfinite(floor):
        turns = np.append(floor, turns)
    if not len(turns):
        return float(w @ np.maximum(start, 0) ** 2), 0.0
    ends = np.concatenate([[turns[0] - 1], turns, [turns[-1] + 1]])
    slope = (w * step) @ np.maximum(start[:, None] + step[:, None] * ends, 0)
    if np.isfinite(floor) and slope[1] >= 0:
        x = floor
    else:
        k = int(np.argmax(slope >= 0)) if (slope >= 0).any() else len(ends) - 1
        k = max(k, 1)
        rise = slope[k] - slope[k - 1]
        flat = rise <= 0
        x = ends[k] if flat else ends[k] - slope[k] * (ends[k] - ends[k - 1]) / rise
    return float(w @ np.maximum(start + step * x, 0) ** 2), float(x)


def _at_value(v, y, low, high, w, sign):
    """Return (min Q over the steepness, the steepness) for lines through the value `v`."""
    below, above = _turns(low, high, sign)
    return _least(np.append(v - y, y - v), np.append(below, -above), np.append(w, w), 0.0)


def _at_steepness(t, y, low, high, w, sign):
    below, above = _turns(low, high, sign)
    one = np.ones(len(y))
    return _least(np.append(below * t - y, y - above * t), np.append(one, -one), np.append(w, w))


def closest(y, low, high, w, sign):
    """Return (min Q, value at the reference, steepness) over lines of one sign."""
    from scipy.optimize import minimize_scalar

    reach = 4 * np.ptp(y) / max(np.ptp(np.append(low, high)), 1e-3) + ROUNDING
    found = minimize_scalar(
        lambda t: _at_steepness(t, y, low, high, w, sign)[0],
        bounds=(0.0, reach),
        method="bounded",
        options={"xatol": 1e-12 * reach},
    )
    flat = _at_steepness(0.0, y, low, high, w, sign)
    least, t = min((found.fun, found.x), (flat[0], 0.0))
    value = _at_steepness(t, y, low, high, w, sign)[1]
    for _ in range(200):  # from here each of the two exact minimisations can only improve
        better, t = _at_value(value, y, low, high, w, sign)
        if not better < least * (1 - 1e-12):
            break
        least, value = _at_steepness(t, y, low, high, w, sign)
    return float(least), float(value), float(t)


def bootstrapped(y, low, high, w, signs, best, level, draws, seed):
    """Return the `level` quantile of Q*(nearest line) - min Q* over draws of areas."""
    rng = np.random.default_rng(seed)
    nearest = min(signs, key=lambda sign: best[sign][0])
    _, value, t = best[nearest]
    below, above = _turns(low, high, nearest)
    misfit = np.maximum(value + below * t - y, 0) ** 2
    misfit += np.maximum(y - value - above * t, 0) ** 2
    excesses = []
    for counts in rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=draws):
        drawn = w * counts
        drawn = drawn / drawn.sum()
        least = min(closest(y, low, high, drawn, sign)[0] for sign in signs)
        excesses.append(drawn @ misfit - least)
    return float(np.quantile(excesses, level))


def level_set(y, low, high, w, sign, limit, value, t):
    """Return least and greatest value and slope over lines with Q <= limit."""
    scale = np.abs(y).max() or 1.0
    if limit <= (ROUNDING * scale) ** 2:
        return _exact(y, low, high, sign, scale)
    ends = []
    for start, profile, floor in (
        (value, lambda v: _at_value(v, y, low, high, w, sign)[0], -np.inf),
        (t, lambda s: _at_steepness(s, y, low, high, w, sign)[0], 0.0),
    ):
        for direction in (-1, 1):
            ends.append(_furthest(profile, start, direction, limit, scale, floor))
    return (*ends[:2], *(ends[2:] if sign > 0 else (-ends[3], -ends[2])))


def _exact(y, low, high, sign, scale):
    """Return the ends by linear programmes, for effects without noise."""
    from scipy.optimize import linprog

    below, above = _turns(low, high, sign)
    one, ends = np.ones(len(y)), []
    rows = np.vstack([np.column_stack([one, below]), -np.column_stack([one, above])])
    limits = np.append(y, -y) + ROUNDING * scale
    for cost in ([1, 0], [-1, 0], [0, sign], [0, -sign]):
        found = linprog(cost, rows, limits, bounds=[(None, None), (0, None)])
        if found.status == 3:
            ends.append(-np.inf)
        else:
            ends.append(found.fun)
    return ends[0], -ends[1], ends[2], -ends[3]


def _furthest(profile, start, direction, limit, scale, floor):
    """Return where a convex profile last stays within the limit on one side of the start."""
    from scipy.optimize import brentq

    near, step = start, 0.01 * scale
    while True:
        far = max(start + direction * step, floor)
        if profile(far) > limit:
            break
        if far == floor:
            return floor
        if step > 1e6 * scale:
            return direction * np.inf
        near, step = far, 2 * step
    if profile(near) >= limit:
        return float(near)
    return float(brentq(lambda x: profile(x) - limit, near, far, xtol=1e-13 * scale))
