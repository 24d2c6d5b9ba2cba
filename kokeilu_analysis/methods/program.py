"""A small linear or mixed-integer programme that is built row by row and solved exactly."""

from dataclasses import dataclass

import numpy as np

from kokeilu_analysis.errors import KokeiluError


@dataclass(frozen=True)
class Matrices:
    """A programme as arrays: ``A_ub x <= b_ub``, ``A_eq x = b_eq``, ``lower <= x <= upper``.

    The matrices are SciPy CSR arrays; `integrality` holds 1 where a column must be whole.
    """

    A_ub: object
    b_ub: np.ndarray
    A_eq: object
    b_eq: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integrality: np.ndarray


class Program:
    """Columns with limits, rows with limits, and an exact minimum of any linear function.

    The arrays `lower` and `upper` may be tightened at any time, but not widened: rows that the
    limits already imply are left out when the programme is first solved.

    The solver is HiGHS through SciPy (Huangfu and Hall 2018, Mathematical Programming
    Computation 10, 119–142).

    Examples
    --------
    >>> p = Program()
    >>> x = p.columns([0, 0], [1, 1])
    >>> p.row(x, [1, 1], 1.5, 1.5)
    >>> value, point = p.minimise(x, [1, 0])
    >>> value
    0.5
    """

    def __init__(self):
        self.lower, self.upper = np.empty(0), np.empty(0)
        self.integrality = np.empty(0, dtype=int)
        self._rows = []  # (columns, coefficients, low, high)
        self._matrix = None

    def copy(self):
        """Return an independent copy to which columns and rows can be added."""
        twin = Program()
        twin.lower, twin.upper = self.lower.copy(), self.upper.copy()
        twin.integrality, twin._rows = self.integrality.copy(), list(self._rows)
        twin._matrix = self._matrix
        return twin

    def columns(self, lower, upper, whole=False):
        """Add columns with the given limits (arrays of one length); return their numbers."""
        lower, upper = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        first = len(self.lower)
        self.lower = np.append(self.lower, lower)
        self.upper = np.append(self.upper, upper)
        self.integrality = np.append(self.integrality, np.full(lower.size, int(whole)))
        self._matrix = None
        return np.arange(first, len(self.lower))

    def row(self, columns, coefficients, low=-np.inf, high=np.inf):
        """Add ``low <= coefficients · x[columns] <= high``."""
        self._rows.append((np.asarray(columns), np.asarray(coefficients, float), low, high))
        self._matrix = None

    def include(self, other):
        """Add all columns and rows of another programme; return the number of its first column."""
        first = len(self.lower)
        self.columns(other.lower, other.upper)
        self.integrality[first:] = other.integrality
        self._rows += [(columns + first, c, low, high) for columns, c, low, high in other._rows]
        return first

    def minimise(self, columns, coefficients):
        """Return the least value of ``coefficients · x[columns]`` and the point attaining it.

        Returns
        -------
        (float, ndarray) or None
            None when no point satisfies the rows and limits.
        """
        cost = np.zeros(len(self.lower))
        np.add.at(cost, np.asarray(columns, dtype=int), np.asarray(coefficients, float))
        if (self.lower > self.upper + 1e-12).any():
            return None
        point = self._solve(cost, self.lower, self.upper)
        if point is not None and not self._is_whole(point):
            rounded = self._rounded(point, cost)
            point = self._searched(cost) if rounded is None else rounded
        return None if point is None else (float(cost @ point), point)

    def matrices(self):
        """Return the programme as `Matrices`, for solvers that want arrays."""
        from scipy.sparse import vstack

        matrix, low, high = self._assembled()
        equal = low == high
        above, below = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
        return Matrices(
            A_ub=vstack([matrix[above], -matrix[below]], format="csr"),
            b_ub=np.concatenate([high[above], -low[below]]),
            A_eq=matrix[equal],
            b_eq=low[equal],
            lower=self.lower.copy(),
            upper=self.upper.copy(),
            integrality=self.integrality.copy(),
        )

    def _assembled(self):
        if self._matrix is None:
            from scipy.sparse import csr_array

            lengths = [len(columns) for columns, *_ in self._rows]
            numbers = np.concatenate([r[0] for r in self._rows]) if lengths else np.empty(0, int)
            values = np.concatenate([r[1] for r in self._rows]) if lengths else np.empty(0)
            rows = np.repeat(np.arange(len(lengths)), lengths)
            matrix = csr_array(
                (values, (rows, numbers)), shape=(len(lengths), len(self.lower)), dtype=float
            )
            matrix.eliminate_zeros()  # a zero beside a column without limit would be no number
            low = np.array([r[2] for r in self._rows], dtype=float)
            high = np.array([r[3] for r in self._rows], dtype=float)
            bites = _bites(matrix, low, high, self.lower, self.upper)
            self._matrix = matrix[bites], low[bites], high[bites]
        return self._matrix

    def _is_whole(self, point):
        part = point[self.integrality == 1]
        return np.abs(part - np.round(part)).max(initial=0.0) < 1e-11

    def _rounded(self, point, cost):
        """Make a solution without whole columns whole, if that costs nothing.

        Whole columns start at their lower limit and go to the upper one where a broken row
        touches them. The result is optimal when its cost is that of the solution it came from,
        or, for a count, when less than one lies between.
        """
        matrix, low, high = self._assembled()
        whole = self.integrality == 1
        candidate = point.copy()
        candidate[whole] = self.lower[whole]
        value = matrix @ candidate
        broken = (value < low - 1e-9) | (value > high + 1e-9)
        touched = whole & (np.abs(matrix).T @ broken.astype(float) > 0)
        candidate[touched] = self.upper[touched]
        value = matrix @ candidate
        counts = not cost[~whole].any() and not (cost % 1).any()
        room = 1 - 1e-6 if counts else 1e-12 * max(1.0, np.abs(cost).max())
        holds = (value >= low - 1e-9).all() and (value <= high + 1e-9).all()
        return candidate if holds and cost @ candidate <= cost @ point + room else None

    def _searched(self, cost):
        """Return the optimum by branching, with the whole columns on exact integers.

        They come back within the solver's 1e-6; fixing them on their integers leaves a linear
        programme, whose vertex is exact to rounding.
        """
        point = self._solve(cost, self.lower, self.upper, self.integrality)
        if point is None or self._is_whole(point):
            return point
        whole = self.integrality == 1
        low, high = self.lower.copy(), self.upper.copy()
        low[whole] = high[whole] = np.round(point[whole])
        exact = self._solve(cost, low, high)
        return point if exact is None else exact

    def _solve(self, cost, lower, upper, integrality=None):
        from scipy.optimize import Bounds, LinearConstraint, milp

        matrix, low, high = self._assembled()
        scale = np.abs(cost).max(initial=0.0) or 1.0  # tolerances are absolute, so units must not
        problem = {
            "integrality": integrality,
            "bounds": Bounds(lower, np.maximum(lower, upper)),
            "constraints": LinearConstraint(matrix, low, high) if len(low) else None,
        }
        answer = milp(cost / scale, options={"mip_rel_gap": 0.0}, **problem)
        if answer.status == 4:  # trouble in the presolve of HiGHS; the plain search is slower
            answer = milp(cost / scale, options={"mip_rel_gap": 0.0, "presolve": False}, **problem)
        if answer.status == 2:
            return None
        if answer.x is None or answer.status != 0:
            raise KokeiluError(f"The solver gave no answer: {answer.message}")
        return np.clip(answer.x, lower, np.maximum(lower, upper))


def _bites(matrix, low, high, lower, upper):
    """Tell which rows the limits of the columns do not imply already."""
    up, down = matrix.maximum(0), matrix.minimum(0)
    least, most = up @ lower + down @ upper, up @ upper + down @ lower
    return (least < low) | (most > high)
