"""Either-or statements: 0/1 columns of a region, decided only as far as an extreme needs it."""

import heapq
from dataclasses import replace
from itertools import count

import numpy as np

from kokeilu_analysis.errors import KokeiluError

TARGET = 1e-10  # gap at which branch and bound stops
MOST_CUTS = 30  # a node; fewer sides leave a looser, still valid bound
MOST_CHOICES = 1_000  # parts looked at; then the search ends, and the gap says what is left open
WHOLE = 1e-7  # how far from 0 or 1 a choice may be


def over_choices(region, weights, solve):
    """Solve with the 0/1 columns projected out; where no choice fits the answer, branch on them.

    The first is a small problem and mostly enough: where some choice goes with the backlogs it
    finds, nothing was lost. `solve` takes a part of the region and a value to beat, and answers
    None where the part is empty or cannot beat it.
    """
    region = region.settled()
    if not len(region.whole):
        return solve(region, -np.inf)
    order, heap, best = count(), [], None

    def consider(part, cuts, above=None):
        nonlocal best
        beat = -np.inf if best is None else best.value
        found = _kept(part, above) if above is not None and np.isfinite(above.value) else None
        tried = found is not None  # to complete: for the part above
        if not tried:
            found, cuts = _projected(part, cuts, lambda loose: solve(loose, beat))
        if found is not None:
            attained = not _open(part).size
            if not attained and np.isfinite(found.value):
                attained = fits(part, weights, found.point)
            if attained and found.value > beat:
                best = found
            entry = -found.value - found.gap, next(order), part, cuts, found, attained, tried
            heapq.heappush(heap, entry)

    consider(region, (np.zeros((0, len(region.lower))), np.zeros(0)))
    while heap and (best is None or -heap[0][0] > best.value + max(TARGET, best.gap)):
        if best is not None and next(order) > MOST_CHOICES:
            break
        _, _, part, cuts, found, attained, tried = heapq.heappop(heap)
        if attained:
            continue
        if not tried:
            chosen = completed(part, found.point)
            if chosen is None:
                continue
            inside = solve(chosen, -np.inf if best is None else best.value)
            if inside is not None and (best is None or inside.value > best.value):
                best = inside
        choices = _open(part)
        column = choices[np.argmin(np.abs(found.point[choices] - 0.5))]
        below, above = part.upper.copy(), part.lower.copy()
        below[column], above[column] = 0, 1
        consider(replace(part, upper=below), cuts, found)
        consider(replace(part, lower=above), cuts, found)
    if best is None:
        raise KokeiluError(
            "No backlogs satisfy the limits and either-or statements together; "
            "`FeasibleSet.conflicts` names the statements that clash."
        )
    if not heap or np.isinf(best.value):
        return best
    return replace(best, gap=max(best.gap, -heap[0][0] - best.value))


def _open(region):
    """Return the 0/1 columns that are not yet fixed."""
    return region.whole[region.upper[region.whole] > region.lower[region.whole]]


def _stated(part):
    """Return the open choices and the rows and limits of a part that name them."""
    choices = _open(part)
    touched = part.rows[:, choices].any(axis=1)
    equal = part.equal_rows[:, choices].any(axis=1)
    rows = np.vstack([part.rows[touched], part.equal_rows[equal], -part.equal_rows[equal]])
    limits = [part.limits[touched], part.equal_limits[equal], -part.equal_limits[equal]]
    return choices, rows, np.concatenate(limits)


def _kept(part, found):
    """Return the answer of the larger part where this part still has it, else None.

    All statements are looked at with the choices taken as fractions, those now fixed included.
    """
    choices, rows, limits = _stated(part)
    rest = np.clip(found.point, part.lower, part.upper)
    rest[choices] = 0.0
    point = rest.copy()
    if len(limits):
        _, point[choices], _ = _least_excess(rows[:, choices], limits - rows @ rest)
    off = np.abs(part.equal_rows @ point - part.equal_limits)
    over = np.append(part.rows @ point - part.limits, off)
    return replace(found, point=point) if over.max(initial=0.0) <= WHOLE else None


def _projected(part, cuts, solve):
    """Solve over the backlogs for which the choices, taken as fractions, can be made.

    That set is a polytope of very many sides; those that the solution breaks are added one after
    the other (Benders 1962). Returns (solution with fractional choices, or None; the sides).
    """
    choices, rows, limits = _stated(part)
    loose = part.without_choices()
    own = rows[:, choices]
    rest = rows.copy()
    rest[:, choices] = 0.0
    for _ in range(MOST_CUTS):
        found = solve(loose.with_rows(*cuts))
        if found is None or not len(limits):
            return found, cuts
        room = limits - rest @ found.point
        excess, point, prices = _least_excess(own, room)
        if excess <= WHOLE:
            break
        least = np.minimum(prices @ own, 0.0).sum()
        cuts = (
            np.vstack([cuts[0], prices @ rest]),
            np.append(cuts[1], prices @ limits - least),
        )
    whole = found.point.copy()
    whole[choices] = point
    return replace(found, point=whole), cuts


def _least_excess(rows, room):
    """Return the least t with rows @ z <= room + t for z in 0-1, the z, and the rows' prices."""
    from scipy.optimize import linprog

    cost = np.eye(1, rows.shape[1] + 1, rows.shape[1])[0]
    columns = np.column_stack([rows, -np.ones(len(rows))])
    bounds = [(0, 1)] * rows.shape[1] + [(0, None)]
    solved = linprog(cost, columns, room, bounds=bounds, method="highs-ds")
    return solved.fun, solved.x[:-1], np.maximum(-solved.ineqlin.marginals, 0.0)


def fits(region, weights, point):
    """Tell whether some choice of the whole columns goes with the backlogs of `point`."""
    known = weights > 0
    near = np.where(known, 1e-9, 0.0)
    fixed = replace(
        region,
        lower=np.where(known, point - near, region.lower),
        upper=np.where(known, point + near, region.upper),
    )
    chosen = completed(fixed, point)
    return chosen is not None and chosen.extreme(np.zeros(len(point))) is not None


def completed(region, point):
    """Return the region with its 0/1 columns fixed so that the backlogs of `point` move least.

    Where that leaves a choice open, it is the one nearest to `point`. None if no choice fits.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    whole, size = region.whole, len(point)
    plain = np.setdiff1d(np.flatnonzero(region.upper > region.lower), whole)
    moved = np.eye(size)[plain]  # |b - point| of the plain columns: further columns, in the cost
    rows = np.vstack([region.rows, region.equal_rows])
    rows = np.vstack(
        [
            np.pad(rows, ((0, 0), (0, len(plain)))),
            np.column_stack([moved, -np.eye(len(plain))]),
            np.column_stack([-moved, -np.eye(len(plain))]),
        ]
    )
    least = np.concatenate(
        [
            np.full(len(region.limits), -np.inf),
            region.equal_limits,
            np.full(2 * len(plain), -np.inf),
        ]
    )
    most = np.concatenate([region.limits, region.equal_limits, point[plain], -point[plain]])
    cost = np.repeat([0.0, 1.0], [size, len(plain)])
    cost[whole] = 1e-3 * (1 - 2 * point[whole])
    integrality = np.zeros(len(cost))
    integrality[whole] = 1
    answer = milp(
        cost,
        integrality=integrality,
        bounds=Bounds(
            np.append(region.lower, np.zeros(len(plain))),
            np.append(region.upper, np.full(len(plain), np.inf)),
        ),
        constraints=LinearConstraint(rows, least, most),
    )
    if answer.x is None:
        return None
    lower, upper = region.lower.copy(), region.upper.copy()
    lower[whole] = upper[whole] = np.round(answer.x[whole])
    return replace(region, lower=lower, upper=upper)
