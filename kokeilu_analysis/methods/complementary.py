"""Complementary suppression: the further cells to hide, until what is hidden cannot be worked out.

A cell is safe when it may differ from its value by enough while every link between the cells holds.
For one that may not, a linear programme finds the cheapest published cells to hide so that it may;
the exact ranges of `linked_cells` decide when nothing is left to do.
"""

from typing import NamedTuple

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import crowded, linked_cells

DEPTHS = (3, 6, 10**6)  # how far from a cell, in links, others are looked for to hide with it
ROUNDS = 60
COARSE = 8  # times its need, up to which an interval grows before what is kept is hidden
ALONG = 1e-4  # per unit that other hidden cells move too, of the cost of a cell of 1


class Marks(NamedTuple):
    """Marks of cells, arrays of bool: how they may be hidden to protect others.

    ``fixed`` never; ``kept`` where nothing else helps; ``zeros`` a zero may be hidden too.
    """

    fixed: np.ndarray
    kept: np.ndarray
    zeros: np.ndarray


class Hiding:
    """Which cells are hidden, and behind which intervals, while cells are added.

    Parameters
    ----------
    links : linked_cells.Links
        Over all cells, and after them the differences that nobody prints.
    value, need : array
        True value of each, and the width that its range must keep once it is secret.
    hidden : array of bool
        Hidden from the start.
    marked : Marks
        Of the cells, without the differences.
    rounding : int
        Base to which what is not hidden is rounded; below 2 it is not.
    """

    def __init__(self, links, value, need, hidden, marked, rounding):
        self.links, self.value, self.need, self.hidden = links, value, need, hidden
        self.rounding = rounding
        self.columns = links.matrix.tocsc()
        self.held = links.matrix @ value
        self.count = len(marked.fixed)  # cells; what comes after are differences, never published
        self.step = 2.0 * need
        # fewer cells rather than smaller ones, but of two the smaller; most zeros tell nothing
        cost = 1 + np.log10(np.maximum(value, 1))
        cost[self.count :] = np.inf
        cost[: self.count][marked.fixed | (value[: self.count] == 0) & ~marked.zeros] = np.inf
        self.costs = [cost]
        if marked.kept.any():
            self.costs.insert(0, cost.copy())
            self.costs[0][: self.count][marked.kept] = np.inf
        self.least = np.where(value >= 1, 1.0, 0.0)  # of what a reader may take a cell for
        self.least[: self.count][marked.zeros] = 0.0
        self.difference = np.arange(len(value)) >= self.count
        self.everything = value.max(initial=0) + self.step.max(initial=0)
        # values that a reader cannot rule out: the truth, and what programmes find beside it
        self.seen = tuple(value.astype(float) for _ in range(2))
        # so little that it only decides between solutions that cost the same
        self.along = ALONG * np.random.default_rng(0).choice([-1.0, 1.0], len(value))

    def printed(self, cells=slice(None)):
        """Least and greatest of these cells as the table prints them."""
        shown = _rounded(self.value[cells], self.rounding)
        lower, upper = self._would(cells)
        hidden = self.hidden[cells]
        return np.where(hidden, lower, shown), np.where(hidden, upper, shown)

    def _would(self, cells):
        """Least and greatest of cells that are, or would be, hidden."""
        step = self.step[cells]
        floor = np.floor(self.value[cells] / step) * step
        return np.maximum(floor, self.least[cells]), floor + step

    def known(self, cells=slice(None)):
        """Least and greatest of these cells as a reader knows them before any link."""
        lower, upper = unrounded(*self.printed(cells), ~self.hidden[cells], self.rounding)
        # nobody prints a difference: it lies between nothing and everything
        difference = self.difference[cells]
        return np.where(difference, 0, lower), np.where(difference, self.everything, upper)

    def close(self):
        """Add cells until no hidden cell and no small difference is known too well."""
        crowded.hide(self, COARSE)
        pending = everyone = self.hidden | self.difference
        for _ in range(ROUNDS):
            before = self.hidden.copy()
            if self.rounding > 1:  # what hides a rounded cell may reach less far than rounding
                self.seen = tuple(self.value.astype(float) for _ in range(2))
            enough = np.where(pending, self.need, -np.inf)
            found = linked_cells.ranges(self.links, *self.known(), enough, self.seen)
            low, high = linked_cells.inwards(*found)
            short = np.flatnonzero(pending & (high - low < self.need))
            if not len(short):
                if self.rounding < 2 or pending is everyone:
                    return
                pending = everyone = self.hidden | self.difference
                continue
            for cell in short[np.argsort(self.value[short], kind="stable")]:
                low, high = linked_cells.inwards(*(end[cell] for end in self.seen))
                if high - low < self.need[cell]:  # not safe by what was hidden for others
                    self._hide_around(cell)
            # what is hidden more can only widen a range, so who has passed has passed for good,
            # unless the interval of a rounded cell reached beyond the one that hides it
            pending = self.hidden & ~before
            pending[short] = True
        raise KokeiluError("No suppression protects this table; publish fewer totals.")

    def _hide_around(self, cell):
        """Hide the cheapest cells through which `cell` can move by as much as it needs to.

        What is kept is not touched while coarser intervals of its neighbours help instead.
        """
        *sparing, cost = self.costs
        if sparing and self._hidden_with_coarser(cell, *sparing):
            return
        if not self._hidden_near(cell, cost, DEPTHS):
            _, near = self._near(cell, DEPTHS[0])
            self.step[near] *= 2  # hiding more does not help: coarser intervals are what is left

    def _hidden_with_coarser(self, cell, cost):
        """Hide cells near by, if need be after making intervals around coarser."""
        for reach in (0, 1, 2, 2):
            _, near = self._near(cell, reach)
            fine = near[self.step[near] < COARSE * self.need[near]] if reach else near[:0]
            self.step[fine] *= 2
            if (len(fine) or not reach) and self._hidden_near(cell, cost, DEPTHS[:1]):
                return True
        return False

    def _hidden_near(self, cell, cost, depths):
        """Hide cells as near as possible; tell whether any were found that protect `cell`."""
        looked = 0
        for depth in depths:
            rows, cells = self._near(cell, depth)
            if len(cells) == looked:
                break  # there is no more to look at
            looked = len(cells)
            for way in (1, -1):
                moved = self._moved(cell, way, rows, cells, cost[cells])
                if moved is not None:
                    hide, points = moved
                    self.hidden[hide] = True
                    self.seen[0][cells] = np.minimum(self.seen[0][cells], points.min(axis=0))
                    self.seen[1][cells] = np.maximum(self.seen[1][cells], points.max(axis=0))
                    return True
        return False

    def _near(self, cell, depth):
        """Return the cells within so many links of a cell, and all links that hold them."""
        cells, rows = np.array([cell]), np.empty(0, dtype=int)
        for _ in range(depth + 1):
            more = np.unique(self.columns.indices[_entries(self.columns, cells)])
            if len(more) == len(rows):
                break
            rows, inside = more, cells
            matrix = self.links.matrix
            cells = np.unique(np.r_[cells, matrix.indices[_entries(matrix, rows)]])
        else:
            cells = inside  # the outermost ones hang in links that are not looked at
        return rows, cells

    def _moved(self, cell, way, rows, cells, cost):
        """Return the cells to hide so that `cell` has room first in one way, then in the other.

        With them, values of the cells near by that are possible then, a row each. None where they
        leave no room at all.
        """
        lower, upper = (float(end[0]) for end in self.known([cell]))
        room = upper - self.value[cell] if way > 0 else self.value[cell] - lower
        first = min(np.floor(room + linked_cells.TOLERANCE), self.need[cell])
        hide, points = [], [self.value[cells]]
        for sign, size in ((way, first), (-way, self.need[cell] - first)):
            if size > 0:
                found = self._path(cell, sign * size, rows, cells, cost, hide)
                if found is None:
                    return None
                hide += found[0]
                points.append(found[1])
        return hide, np.array(points)

    def _path(self, cell, size, rows, cells, cost, taken):
        """Return the cheapest cells to hide so that `cell` may differ by `size`, and all values.

        One linear programme: every cell moves within what is or would be known of it, the links
        hold, and a published cell pays for each unit it moves (Kelly, Golden and Assad 1992,
        Networks 22, 397-417, on two-way tables). Hidden cells that can move with it do, which
        shows that they are safe and spares their own programmes.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp

        now, got = self.value[cells], np.isin(cells, taken)
        may = ~self.hidden[cells] & np.isfinite(cost) & ~got
        would = tuple(end - now for end in self._would(cells))
        lower, upper = (
            np.where(got, w, end - now) for w, end in zip(would, self.known(cells), strict=True)
        )
        at = cells == cell
        lower[at] = upper[at] = size
        held = self.held[rows]
        along = np.where(self.hidden[cells], self.along[cells], 0.0)
        answer = milp(
            np.r_[-np.sign(size) * along, np.tile(cost[may], 2)],
            bounds=Bounds(
                np.r_[lower, np.zeros(2 * may.sum())], np.r_[upper, would[1][may], -would[0][may]]
            ),
            constraints=LinearConstraint(
                self._matrix(rows, cells, may),
                self.links.low[rows] - held,
                self.links.high[rows] - held,
            ),
        )
        if answer.x is None:
            return None
        more, less = answer.x[len(cells) :].reshape(2, -1)
        point = now + answer.x[: len(cells)]
        point[may] += more - less
        hide = np.maximum(more, less) > linked_cells.TOLERANCE
        return cells[may][hide].tolist(), point

    def _matrix(self, rows, cells, paid):
        """Return these links of these cells, and again of the `paid` ones, once with each sign.

        As ``matrix[rows][:, cells]`` and `hstack` would, without their milliseconds.
        """
        from scipy.sparse import csc_array

        matrix, size = self.links.matrix, len(cells)
        at = _entries(matrix, rows)
        row = np.repeat(np.arange(len(rows)), matrix.indptr[rows + 1] - matrix.indptr[rows])
        column = np.searchsorted(cells, matrix.indices[at]).clip(max=size - 1)
        inside = cells[column] == matrix.indices[at]
        row, column, data = row[inside], column[inside], matrix.data[at][inside]
        again, number = paid[column], np.cumsum(paid) - 1 + size
        row = np.r_[row, np.tile(row[again], 2)]
        more = number[column[again]]
        column = np.r_[column, more, more + paid.sum()]
        data = np.r_[data, data[again], -data[again]]
        return csc_array((data, (row, column)), shape=(len(rows), size + 2 * int(paid.sum())))


def _entries(matrix, lines):
    """Return where the entries of these lines of a compressed matrix stand in its arrays."""
    first = matrix.indptr[lines]
    lengths = matrix.indptr[lines + 1] - first
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(first - before, lengths)


def _rounded(value, rounding):
    return rounding * np.rint(value / rounding) if rounding > 1 else value


def unrounded(lower, upper, shown, rounding):
    """A rounded cell stands for what rounds to it."""
    if rounding > 1:
        lower = np.where(shown, np.maximum(lower - rounding / 2, 0), lower)
        upper = np.where(shown, upper + rounding / 2, upper)
    return lower, upper
