"""Complementary suppression: the further cells to hide, until what is hidden cannot be worked out.

A cell is safe when it may differ from its value by enough while every link between the cells holds.
For one that may not, a linear programme finds the cheapest published cells to hide so that it may;
the exact ranges of `linked_cells` decide when nothing is left to do.
"""

import numpy as np

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import linked_cells

DEPTHS = (3, 6, 10**6)  # how far from a cell, in links, others are looked for to hide with it
ROUNDS = 60


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
    fixed : array of bool
        Cells, without the differences, that are not hidden to protect others.
    rounding : int
        Base to which what is not hidden is rounded; below 2 it is not.
    """

    def __init__(self, links, value, need, hidden, fixed, rounding):
        self.links, self.value, self.need, self.hidden = links, value, need, hidden
        self.rounding = rounding
        self.columns = links.matrix.tocsc()
        self.count = len(fixed)  # cells; what comes after are differences, never published
        self.step = 2.0 * need
        # fewer cells rather than smaller ones, but of two the smaller; a zero tells nothing
        self.cost = np.where(value == 0, np.inf, 1 + np.log10(np.maximum(value, 1)))
        self.cost[: self.count][fixed] = np.inf
        self.cost[self.count :] = np.inf
        self.difference = np.arange(len(value)) >= self.count
        self.everything = value.max(initial=0) + self.step.max(initial=0)

    def printed(self, cells=slice(None)):
        """Least and greatest of these cells as the table prints them."""
        shown = _rounded(self.value[cells], self.rounding)
        lower, upper = self._would(cells)
        hidden = self.hidden[cells]
        return np.where(hidden, lower, shown), np.where(hidden, upper, shown)

    def _would(self, cells):
        """Least and greatest of cells that are, or would be, hidden."""
        value, step = self.value[cells], self.step[cells]
        floor = np.floor(value / step) * step
        return np.maximum(floor, value >= 1), floor + step

    def known(self, cells=slice(None)):
        """Least and greatest of these cells as a reader knows them before any link."""
        lower, upper = unrounded(*self.printed(cells), ~self.hidden[cells], self.rounding)
        # nobody prints a difference: it lies between nothing and everything
        difference = self.difference[cells]
        return np.where(difference, 0, lower), np.where(difference, self.everything, upper)

    def close(self):
        """Add cells until no hidden cell and no small difference is known too well."""
        pending = everyone = self.hidden | self.difference
        for _ in range(ROUNDS):
            before = self.hidden.copy()
            enough = np.where(pending, self.need + 2, -np.inf)  # whole numbers lie inwards
            low, high = inwards(*linked_cells.ranges(self.links, *self.known(), enough))
            short = np.flatnonzero(pending & (high - low < self.need))
            if not len(short):
                if self.rounding < 2 or pending is everyone:
                    return
                pending = everyone = self.hidden | self.difference
                continue
            for cell in short[np.argsort(self.value[short], kind="stable")]:
                self._hide_around(cell)
            # what is hidden more can only widen a range, so who has passed has passed for good,
            # unless the interval of a rounded cell reached beyond the one that hides it
            pending = self.hidden & ~before
            pending[short] = True
        raise KokeiluError("No suppression protects this table; publish fewer totals.")

    def _hide_around(self, cell):
        """Hide the cheapest cells through which `cell` can move by as much as it needs to."""
        looked = 0
        for depth in DEPTHS:
            rows, cells = self._near(cell, depth)
            if len(cells) == looked:
                break  # there is no more to look at
            looked = len(cells)
            for way in (1, -1):
                moved = self._moved(cell, way, rows, cells)
                if moved is not None:
                    self.hidden[moved] = True
                    return
        _, near = self._near(cell, DEPTHS[0])
        self.step[near] *= 2  # hiding more does not help: coarser intervals are what is left

    def _near(self, cell, depth):
        """Return the cells within so many links of a cell, and all links that hold them."""
        cells, rows = np.array([cell]), np.empty(0, dtype=int)
        for _ in range(depth + 1):
            more = np.unique(self.columns[:, cells].indices)
            if len(more) == len(rows):
                break
            rows, inside = more, cells
            cells = np.unique(np.r_[cells, self.links.matrix[rows].indices])
        else:
            cells = inside  # the outermost ones hang in links that are not looked at
        return rows, cells

    def _moved(self, cell, way, rows, cells):
        """Return the cells to hide so that `cell` has room first in one way, then in the other.

        None where the cells near by leave no room at all.
        """
        lower, upper = (float(end[0]) for end in self.known([cell]))
        room = upper - self.value[cell] if way > 0 else self.value[cell] - lower
        first = min(np.floor(room + linked_cells.TOLERANCE), self.need[cell])
        found = []
        for sign, size in ((way, first), (-way, self.need[cell] - first)):
            if size > 0:
                more = self._path(cell, sign * size, rows, cells, found)
                if more is None:
                    return None
                found += more
        return found

    def _path(self, cell, size, rows, cells, taken):
        """Return the cheapest published cells to hide so that `cell` may differ by `size`.

        One linear programme: every cell moves within what is or would be known of it, the links
        hold, and a published cell pays for each unit it moves (Kelly, Golden and Assad 1992,
        Networks 22, 397-417, on two-way tables).
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import hstack

        now, got = self.value[cells], np.isin(cells, taken)
        may = ~self.hidden[cells] & np.isfinite(self.cost[cells]) & ~got
        would = tuple(end - now for end in self._would(cells))
        lower, upper = (
            np.where(got, w, end - now) for w, end in zip(would, self.known(cells), strict=True)
        )
        at = cells == cell
        lower[at] = upper[at] = size
        matrix = self.links.matrix[rows]
        held = matrix @ self.value
        inner = matrix[:, cells]
        paid = inner[:, may]
        answer = milp(
            np.r_[np.zeros(len(cells)), np.tile(self.cost[cells][may], 2)],
            bounds=Bounds(
                np.r_[lower, np.zeros(2 * may.sum())], np.r_[upper, would[1][may], -would[0][may]]
            ),
            constraints=LinearConstraint(
                hstack([inner, paid, -paid], format="csr"),
                self.links.low[rows] - held,
                self.links.high[rows] - held,
            ),
        )
        if answer.x is None:
            return None
        paid_for = answer.x[len(cells) :].reshape(2, -1).max(axis=0) > linked_cells.TOLERANCE
        return cells[may][paid_for].tolist()


def _rounded(value, rounding):
    return rounding * np.rint(value / rounding) if rounding > 1 else value


def unrounded(lower, upper, shown, rounding):
    """A rounded cell stands for what rounds to it."""
    if rounding > 1:
        lower = np.where(shown, np.maximum(lower - rounding / 2, 0), lower)
        upper = np.where(shown, upper + rounding / 2, upper)
    return lower, upper


def inwards(low, high):
    """Counts are whole: the least and greatest whole numbers of a range."""
    tolerance = 10 * linked_cells.TOLERANCE
    return np.ceil(low - tolerance), np.floor(high + tolerance)
