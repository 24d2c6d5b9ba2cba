"""Where most counts are small: what protects them is hidden for all of them at once.

To search for the cheapest cells around each hidden one takes minutes when hundreds of thousands
are small. Here every hidden cell that a link narrows too much asks for the cheapest published cell
of that link; where there is none its hidden cells get coarser intervals. A round is a few passes
over all links. It may hide a cell more than the search would, and never leaves more to be seen: the
search still follows, for what only cycles of links give away, and the audit.
"""

import numpy as np

from kokeilu_analysis.methods import linked_cells

MANY = 1_000  # cells known too well, from which on they are not searched one by one
SWEEPS = 6  # along the links in a round; what is further away is seen in the next
ROUNDS = 40


def hide(state, coarse):
    """Hide what links give away at once, in place, when that is many cells.

    Parameters
    ----------
    state : complementary.Hiding
    coarse : float
        Times its need, up to which an interval grows before what is kept is hidden.

    Returns
    -------
    int
        Rounds that were needed; 0 where few cells are known too well.
    """
    for number in range(ROUNDS):
        short, row, cell, taken = _given_away(state)
        if not short.any() or not number and short.sum() < MANY:
            return number
        if not _hide_more(state, row, cell, taken, coarse):
            return number
    return ROUNDS


def _given_away(state):
    """Return which cells are known too well, and the links that tell: row, cell, how much."""
    lower, upper = state.known()
    free = upper - lower > linked_cells.TOLERANCE
    touching, own = linked_cells.holding(state.links, free), np.flatnonzero(free)
    part = linked_cells.among(state.links.where(touching), free, lower)
    low, high = linked_cells.tightened(part, lower[free], upper[free], SWEEPS)
    first, last = linked_cells.inwards(low, high)
    secret = (state.hidden | state.difference)[free]
    short = secret & (last - first < state.need[free])
    sent = linked_cells.Sent(part)
    least, most = sent.ends(low, high)
    at = sent.cell
    taken = np.maximum(least - lower[free][at], 0) + np.maximum(upper[free][at] - most, 0)
    tells = short[at] & (taken > linked_cells.TOLERANCE)
    rows = np.flatnonzero(touching)[sent.row[tells]]
    return short, rows, own[at[tells]], taken[tells]


def _hide_more(state, row, cell, taken, coarse):
    """Hide the cheapest cell of a link of each cell that asks; tell whether anything was done.

    What is kept is hidden only when no other cell is left and no interval may grow.
    """
    *sparing, last = state.costs
    for cost in sparing or [last]:
        helped = _cheapest(state, row, cell, taken, cost)
        rest = ~np.isin(cell, helped)
        # a cell beside one that is helped is asked again when that one has its room
        rest &= ~np.isin(row, row[~rest])
        grown = _coarser(state, row[rest], coarse)
    if len(helped) or grown:
        return True
    return bool(sparing) and len(_cheapest(state, row, cell, taken, last)) > 0


def _cheapest(state, row, cell, taken, cost):
    """Hide for each cell the cheapest one of the link that tells most; return who was helped."""
    rows = np.unique(row)
    matrix = state.links.matrix[rows]
    inside = matrix.indices
    price = np.where(state.hidden[inside], np.inf, cost[inside])
    line = np.repeat(np.arange(len(rows)), np.diff(matrix.indptr))
    order = np.lexsort((inside, price, line))
    first = order[matrix.indptr[:-1]]  # the lines of the matrix stay in their order
    best, price = inside[first], price[first]
    at = np.searchsorted(rows, row)
    may = np.flatnonzero(np.isfinite(price[at]))
    may = may[np.lexsort((price[at[may]], -taken[may], cell[may]))]
    helped, once = np.unique(cell[may], return_index=True)
    state.hidden[best[at[may[once]]]] = True
    return helped


def _coarser(state, row, coarse):
    """Double the intervals of the hidden cells in these links; tell whether any may still grow."""
    inside = np.unique(state.links.matrix[np.unique(row)].indices)
    inside = inside[state.hidden[inside] & (state.step[inside] < coarse * state.need[inside])]
    state.step[inside] *= 2
    return len(inside) > 0
