"""What an attacker can work out: the least and greatest value of cells in linked tables.

Published tables are linked: areas add up to the country, men and women to all unemployed, and the
long-term unemployed are a part of the unemployed. Each link is a row ``low <= A x <= high`` over
all cells; a published cell has one value, a hidden one an interval. The exact range of a hidden
cell is the answer of two linear programmes (Fischetti and Salazar 2001, Management Science 47,
1008-1027, call this the attacker's problem).

Almost every link is idle or hangs in a tree. There the ends of the intervals, sent along the links
until nothing moves, are already exact; only what hangs in a cycle needs the programmes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.program import Program

TOLERANCE = 1e-7
SWEEPS = 200  # along trees the ends stop moving long before; cycles are solved exactly anyway
TOGETHER = 5_000  # cells of independent parts in one programme
FEW = 5  # open cells that are quicker asked one by one


@dataclass(frozen=True)
class Links:
    """Rows ``low <= matrix @ cells <= high``; `matrix` is a SciPy CSR array with entries ±1."""

    matrix: object
    low: np.ndarray
    high: np.ndarray

    def where(self, keep):
        """Return the links for which `keep` holds."""
        return Links(self.matrix[keep], self.low[keep], self.high[keep])


def build(cells, sums, within, flows=(), along=("measure", "month")):
    """Return the links between the cells of a tidy table.

    Parameters
    ----------
    cells : DataFrame
        One row a cell; its columns are the keys that tell cells apart.
    sums : dict
        Column → list of ``(total, parts)``: the cell whose column reads `total` is the sum of
        those that read one of `parts` and agree in all other columns. Where a part is not in the
        table the total is only at least the sum of the others.
    within : dict
        Column → list of ``(part, whole)``: the part is at most the whole.
    flows : list of (stock, inflow, outflow)
        A stock is that of the month before, plus the inflow, less the outflow of the month.
    along : (str, str)
        The columns that name what is counted in `flows` and the month.

    Returns
    -------
    Links

    Raises
    ------
    KokeiluError
        A column is not a key, or a cell stands in the table twice.

    Examples
    --------
    >>> cells = pd.DataFrame({"unit": ["091", "049", "KK"]})
    >>> build(cells, {"unit": [("KK", ["091", "049"])]}, {}).matrix.toarray()
    array([[-1., -1.,  1.]])
    """
    from scipy.sparse import csr_array

    keys = list(cells.columns)
    unknown = [c for c in (*sums, *within, *(along if flows else ())) if c not in keys]
    if unknown:
        raise KokeiluError(f"Links go along {unknown[0]!r}, but the keys of a cell are {keys}.")
    again = cells.duplicated().to_numpy()
    if again.any():
        twice = ", ".join(map(str, cells[again].iloc[0]))
        raise KokeiluError(f"The cell {twice} stands in the table twice; each cell stands once.")
    if cells.isna().any(axis=None):
        raise KokeiluError(f"A cell has an empty key among {keys}; every cell needs all of them.")
    cells = cells.reset_index(drop=True)
    entries, whole = [], []
    for column in dict.fromkeys([*sums, *within]):
        members, expected = _members(sums.get(column, ()), within.get(column, ()))
        if members.empty:
            continue
        found = (
            cells.rename_axis("cell")
            .reset_index()
            .merge(members, left_on=column, right_on="member")
        )
        found = found[found.groupby(["link", *_others(keys, column)])["sign"].transform("max") > 0]
        row = found.groupby(["link", *_others(keys, column)], sort=False).ngroup().to_numpy()
        entries.append((row + sum(map(len, whole)), found["cell"], found["sign"]))
        size = np.bincount(row)
        first = found["link"].to_numpy()[np.unique(row, return_index=True)[1]]
        whole.append(size == expected[first])
    for flow in flows:
        rows = _flow(cells, flow, *along)
        entries.append((rows["row"] + sum(map(len, whole)), rows["cell"], rows["sign"]))
        whole.append(np.ones(len(rows) // 4, dtype=bool))
    row, cell, sign = (
        np.concatenate([np.asarray(e[i]) for e in entries] or [[]]) for i in range(3)
    )
    complete = np.concatenate(whole) if whole else np.empty(0, dtype=bool)
    shape = (len(complete), len(cells))
    matrix = csr_array((sign.astype(float), (row.astype(int), cell.astype(int))), shape=shape)
    links = Links(matrix, np.zeros(len(complete)), np.where(complete, 0.0, np.inf))
    return links.where(np.diff(matrix.indptr) > 1)


def _others(keys, column):
    return [key for key in keys if key != column]


def _members(sums, within):
    """Return who stands in which link with which sign, and how many make a sum complete."""
    rows, expected = [], []
    for total, parts in sums:
        rows += [(len(expected), total, 1), *((len(expected), part, -1) for part in parts)]
        expected.append(len(parts) + 1)
    for part, whole in within:
        rows += [(len(expected), whole, 1), (len(expected), part, -1)]
        expected.append(-1)  # never a sum: the rest is nobody's cell
    return pd.DataFrame(rows, columns=["link", "member", "sign"]), np.array(expected)


def _flow(cells, flow, what, month):
    """Return the links of one stock with its flows, where all four cells are in the table."""
    stock, inflow, outflow = flow
    months = cells[month].drop_duplicates().sort_values().reset_index(drop=True)
    if pd.api.types.is_datetime64_any_dtype(months):
        number = months.dt.year * 12 + months.dt.month  # a month that is not there is a gap
    else:
        number = months.rank(method="dense")
    number = dict(zip(months, number.astype(int), strict=True))
    at = cells.rename_axis("cell").reset_index().assign(**{month: cells[month].map(number)})
    others = _others(list(cells.columns), what)
    found = at.loc[at[what] == stock, [*others, "cell"]]
    found = found.assign(**{month: found[month] + 1})
    for name, sign in ((stock, 1), (inflow, -1), (outflow, 1)):
        part = at.loc[at[what] == name, [*others, "cell"]]
        found = found.merge(part.rename(columns={"cell": (name, sign)}), on=others)
    signs = [-1, 1, -1, 1]  # stock before, stock, inflow, outflow
    members = found.drop(columns=others).to_numpy()
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(members)), 4),
            "cell": members.ravel(),
            "sign": np.tile(signs, len(members)),
        }
    )


def broken(links, lower, upper):
    """Tell which links no values between `lower` and `upper` can keep."""
    least, most = _reach(links.matrix, lower, upper)
    return (least > links.high + TOLERANCE) | (most < links.low - TOLERANCE)


def inwards(low, high):
    """Counts are whole: return the least and greatest whole numbers of ranges."""
    tolerance = 10 * TOLERANCE
    return np.ceil(low - tolerance), np.floor(high + tolerance)


def ranges(links, lower, upper, enough=None, seen=None):
    """Return the least and greatest value of every cell, given all links.

    Parameters
    ----------
    links : Links
    lower, upper : array
        What is published of each cell; equal where the cell itself is. Finite.
    enough : array, optional
        Width of a range, in whole numbers that lie in it, from which on its ends no longer
        matter; cells with such a range may come back with an inner one. By default every end is
        exact.
    seen : (array, array), optional
        Least and greatest value of each cell among points already known to keep all links. They
        spare programmes, and what is found here is added to them in place.

    Returns
    -------
    (ndarray, ndarray)
        Real numbers: for counts round them inwards.

    Raises
    ------
    KokeiluError
        The published cells contradict each other.

    Examples
    --------
    Two hidden cells of 1-10 in a total of 6 are 1-5 each.

    >>> cells = pd.DataFrame({"unit": ["091", "049", "KK"]})
    >>> links = build(cells, {"unit": [("KK", ["091", "049"])]}, {})
    >>> low, high = ranges(links, np.array([1.0, 1, 6]), np.array([10.0, 10, 6]))
    >>> low.tolist(), high.tolist()
    ([1.0, 1.0, 6.0], [5.0, 5.0, 6.0])
    """
    lower, upper = np.array(lower, dtype=float), np.array(upper, dtype=float)
    free = upper - lower > TOLERANCE
    touching = holding(links, free)
    if broken(links.where(~touching), lower, upper).any():
        raise KokeiluError("The published cells contradict each other: a total is not its parts.")
    part = among(links.where(touching), free, lower)
    low, high = tightened(part, lower[free], upper[free])
    if (low > high + TOLERANCE).any():
        raise KokeiluError("The published cells contradict each other: no values fit all links.")
    high = np.maximum(low, high)
    least, most = (np.full(free.sum(), end) for end in (np.inf, -np.inf))
    if seen is not None:
        least, most = seen[0][free], seen[1][free]
    wanted = np.full(free.sum(), np.inf) if enough is None else np.asarray(enough, float)[free]
    search = _Search(part, low, high, wanted, least, most)
    search.close()
    if seen is not None:
        seen[0][free], seen[1][free] = search.least, search.most
    lower[free], upper[free] = low, high
    return lower, upper


def _reach(matrix, lower, upper):
    """Return the least and greatest value of each row over the box."""
    plus, minus = matrix.maximum(0), matrix.minimum(0)
    return plus @ lower + minus @ upper, plus @ upper + minus @ lower


def holding(links, some):
    """Tell which links hold one of some cells (array of bool)."""
    return np.asarray(np.abs(links.matrix) @ some.astype(float)).ravel() > 0


def among(links, free, value):
    """Return the links between the free cells alone: the others are fixed on their values."""
    fixed = links.matrix @ np.where(free, 0.0, value)
    return Links(links.matrix[:, free].tocsr(), links.low - fixed, links.high - fixed)


def tightened(links, lower, upper, sweeps=SWEEPS):
    """Send the ends of the intervals along the links until nothing moves, or so many times.

    Each link takes from every cell what the intervals of its other cells rule out. The cell's
    exact range lies within the result, and is the result where the links form no cycle.

    Examples
    --------
    >>> cells = pd.DataFrame({"unit": ["091", "049", "KK"]})
    >>> links = build(cells, {"unit": [("KK", ["091", "049"])]}, {})
    >>> low, high = tightened(links, np.array([1.0, 1, 6]), np.array([10.0, 10, 6]))
    >>> low.tolist(), high.tolist()
    ([1.0, 1.0, 6.0], [5.0, 5.0, 6.0])
    """
    sent = Sent(links)
    if not len(sent.row):
        return lower, upper
    lower, upper = lower.copy(), upper.copy()
    for _ in range(sweeps):
        low, high = (
            end.reduceat(ends, sent.starts)
            for end, ends in zip((np.maximum, np.minimum), sent.ends(lower, upper), strict=True)
        )
        at = sent.cells
        moved = (high < upper[at] - TOLERANCE) | (low > lower[at] + TOLERANCE)
        upper[at], lower[at] = np.minimum(upper[at], high), np.maximum(lower[at], low)
        if not moved.any() or (lower > upper + TOLERANCE).any():
            break
    return lower, upper


class Sent:
    """What each link says of each of its cells when the intervals of the others are given.

    Attributes
    ----------
    row, cell, sign : array
        The entries of the links' matrix, one cell's after the other's.
    cells, starts : array
        The cells that stand in links, and where the entries of each begin.
    """

    def __init__(self, links):
        matrix = links.matrix.tocsc()
        self.links, self.row, self.sign = links, matrix.indices, matrix.data
        lengths = np.diff(matrix.indptr)
        self.cells = np.flatnonzero(lengths)
        self.cell, self.starts = (
            np.repeat(self.cells, lengths[self.cells]),
            matrix.indptr[self.cells],
        )

    def ends(self, lower, upper):
        """Return the least and greatest value that each entry's link leaves its cell."""
        row, plus, rows = self.row, self.sign == 1, len(self.links.low)
        low, high = lower[self.cell], upper[self.cell]
        down, up = np.where(plus, low, -high), np.where(plus, high, -low)  # of the term sign · x
        least, most = (np.bincount(row, weights=w, minlength=rows) for w in (down, up))
        top = self.links.high[row] - (least[row] - down)
        bottom = self.links.low[row] - (most[row] - up)
        return np.where(plus, bottom, -top), np.where(plus, top, -bottom)


def _cycles(links, lower, upper):
    """Yield (rows, columns) of each part of the links in which the ends may not be exact yet."""
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    free = upper - lower > TOLERANCE
    least, most = _reach(links.matrix, lower, upper)
    bites = (least < links.low - TOLERANCE) | (most > links.high + TOLERANCE)
    # a link with one open cell left has said all in that cell's interval
    bites &= np.asarray(np.abs(links.matrix) @ free.astype(float)).ravel() > 1
    rows, cols = np.flatnonzero(bites), np.flatnonzero(free)
    if not len(rows):
        return
    inner = links.matrix[rows][:, cols]
    _, label = connected_components(block_array([[None, inner], [inner.T, None]]), directed=False)
    of_row, of_col = label[: len(rows)], label[len(rows) :]
    count = label.max() + 1
    nodes = np.bincount(label, minlength=count)
    edges = np.bincount(of_row, weights=np.diff(inner.indptr), minlength=count)
    order = [np.argsort(of, kind="stable") for of in (of_row, of_col)]
    ends = [np.cumsum(np.bincount(of, minlength=count)) for of in (of_row, of_col)]
    first = [np.r_[0, end[:-1]] for end in ends]
    for part in np.flatnonzero(edges > nodes - 1):  # a tree has one edge fewer than nodes
        of_rows, of_cols = (
            where[start[part] : end[part]]
            for where, start, end in zip(order, first, ends, strict=True)
        )
        yield rows[of_rows], cols[of_cols]


def _batches(parts, size):
    """Yield lists of parts with about so many cells together."""
    some, cells = [], 0
    for part in parts:
        some.append(part)
        cells += len(part[1])
        if cells >= size:
            yield some
            some, cells = [], 0
    if some:
        yield some


class _Search:
    """The exact ends of cells in cycles, in place in `low` and `high`.

    Every optimum is a point that keeps the links, so what it shows of all cells spares their own
    programmes where it reaches the ends of their intervals, or is wide enough. Optima of many
    parts together in random directions show the most for the least work, and come first.
    """

    def __init__(self, links, low, high, enough, least, most):
        self.links, self.low, self.high, self.enough = links, low, high, enough
        self.least, self.most = least, most

    def close(self):
        """Work out every end that matters."""
        parts = every = list(_cycles(self.links, self.low, self.high))
        before, random = np.inf, np.random.default_rng(0)
        while parts:
            parts = [part for part in parts if self._open(part[1]).any()]
            left = sum(self._open(members).sum() for _, members in parts)
            if left <= FEW or left > 0.7 * before:
                break
            before = left
            for some in _batches(parts, TOGETHER):
                self._both_ways(*(np.concatenate(of) for of in zip(*some, strict=True)), random)
        for rows, members in parts:
            self._one_by_one(rows, members)
        if every:
            members = np.concatenate([members for _, members in every])
            known = members[np.isfinite(self.least[members])]
            self.low[known], self.high[known] = self.least[known], self.most[known]

    def _open(self, members):
        """Tell of which cells either end still matters."""
        least, most = self.least[members], self.most[members]
        ends = (least > self.low[members] + TOLERANCE) | (most < self.high[members] - TOLERANCE)
        seen = np.isfinite(least)
        width = np.full(len(members), -np.inf)
        first, last = inwards(least[seen], most[seen])
        width[seen] = last - first
        return ends & (width < self.enough[members])

    def _both_ways(self, rows, members, random):
        """Look from both sides in a random direction of all cells that are open."""
        program, column = self._program(rows, members)
        left = np.flatnonzero(self._open(members))
        direction = random.choice([-1.0, 1.0], len(left))
        for sign in (1.0, -1.0):
            self._ask(program, column[left], sign * direction, members)

    def _one_by_one(self, rows, members):
        """Solve for each end that still matters."""
        left = self._open(members)
        program = None
        for j in np.flatnonzero(left):
            for sign in (1.0, -1.0):
                if not self._open(members[[j]])[0]:
                    break
                at, end = (self.least, self.low) if sign > 0 else (self.most, self.high)
                if sign * at[members[j]] <= sign * end[members[j]] + TOLERANCE:
                    continue
                if program is None:
                    program, column = self._program(rows, members)
                at[members[j]] = sign * self._ask(program, [column[j]], [sign], members)

    def _program(self, rows, members):
        program, links = Program(), self.links.where(rows)
        column = program.columns(self.low[members], self.high[members])
        inner = links.matrix[:, members]
        # the other cells of these links are fixed by now, whichever end is taken
        others = links.matrix @ self.low - inner @ self.low[members]
        for i in range(len(links.low)):
            at = slice(inner.indptr[i], inner.indptr[i + 1])
            ends = links.low[i] - others[i], links.high[i] - others[i]
            program.row(inner.indices[at], inner.data[at], *ends)
        return program, column

    def _ask(self, program, columns, direction, members):
        """Return the optimum in a direction, and widen what is seen of all members."""
        found = program.minimise(columns, direction)
        if found is None:
            raise KokeiluError("The published cells contradict each other: nothing fits.")
        self.least[members] = np.minimum(self.least[members], found[1])
        self.most[members] = np.maximum(self.most[members], found[1])
        return found[0]
