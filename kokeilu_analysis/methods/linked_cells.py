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
        size = np.bincount(row, minlength=row.max(initial=-1) + 1)
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


def ranges(links, lower, upper, enough=None):
    """Return the least and greatest value of every cell, given all links.

    Parameters
    ----------
    links : Links
    lower, upper : array
        What is published of each cell; equal where the cell itself is. Finite.
    enough : array, optional
        Width of a range beyond which its ends no longer matter; cells with a greater range may
        come back with an inner one. By default every end is exact.

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
    touching = np.asarray(np.abs(links.matrix) @ free.astype(float)).ravel() > 0
    if broken(links.where(~touching), lower, upper).any():
        raise KokeiluError("The published cells contradict each other: a total is not its parts.")
    links = links.where(touching)
    fixed = links.matrix @ np.where(free, 0.0, lower)
    part = Links(links.matrix[:, free].tocsr(), links.low - fixed, links.high - fixed)
    low, high = _tightened(part, lower[free], upper[free])
    if (low > high + TOLERANCE).any():
        raise KokeiluError("The published cells contradict each other: no values fit all links.")
    high = np.maximum(low, high)
    for rows, members in _cycles(part, low, high):
        width = None if enough is None else np.asarray(enough)[free][members]
        _solve(part.where(rows), members, low, high, width)
    lower[free], upper[free] = low, high
    return lower, upper


def _reach(matrix, lower, upper):
    """Return the least and greatest value of each row over the box."""
    plus, minus = matrix.maximum(0), matrix.minimum(0)
    return plus @ lower + minus @ upper, plus @ upper + minus @ lower


def _tightened(links, lower, upper):
    """Send the ends of the intervals along the links until nothing moves."""
    entries = links.matrix.tocoo()
    order = np.argsort(entries.col, kind="stable")
    row, col, sign = entries.row[order], entries.col[order], entries.data[order]
    if not len(row):
        return lower, upper
    starts = np.flatnonzero(np.r_[True, np.diff(col) > 0])
    touched, rows = col[starts], len(links.low)
    lower, upper = lower.copy(), upper.copy()
    for _ in range(SWEEPS):
        down = np.where(sign > 0, lower[col], -upper[col])  # the term sign · x, its least value
        up = np.where(sign > 0, upper[col], -lower[col])
        least, most = (np.bincount(row, weights=w, minlength=rows) for w in (down, up))
        top = links.high[row] - (least[row] - down)
        bottom = links.low[row] - (most[row] - up)
        high = np.minimum.reduceat(np.where(sign > 0, top, -bottom), starts)
        low = np.maximum.reduceat(np.where(sign > 0, bottom, -top), starts)
        moved = (high < upper[touched] - TOLERANCE) | (low > lower[touched] + TOLERANCE)
        upper[touched] = np.minimum(upper[touched], high)
        lower[touched] = np.maximum(lower[touched], low)
        if not moved.any() or (lower > upper + TOLERANCE).any():
            break
    return lower, upper


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
    for part in np.flatnonzero(edges > nodes - 1):  # a tree has one edge fewer than nodes
        yield rows[of_row == part], cols[of_col == part]


def _solve(links, members, low, high, enough):
    """Put the exact ends of `members` into `low` and `high`, in place.

    Every optimum is a point that fits, so what it shows of the other cells spares their own
    programmes where it reaches the ends of their intervals, or is wide enough.
    """
    program = Program()
    column = program.columns(low[members], high[members])
    inner = links.matrix[:, members]
    others = links.matrix @ low - inner @ low[members]  # fixed by now, whichever end is taken
    for i in range(len(links.low)):
        at = slice(inner.indptr[i], inner.indptr[i + 1])
        ends = links.low[i] - others[i], links.high[i] - others[i]
        program.row(inner.indices[at], inner.data[at], *ends)
    least, most = np.full(len(members), np.inf), np.full(len(members), -np.inf)
    bottom, top = low[members].copy(), high[members].copy()
    for j in range(len(members)):
        for sign, end, seen in ((1.0, bottom, least), (-1.0, top, most)):
            if enough is not None and most[j] - least[j] >= enough[j] + TOLERANCE:
                continue
            if sign * seen[j] <= sign * end[j] + TOLERANCE:
                continue
            found = program.minimise([column[j]], [sign])
            if found is None:
                raise KokeiluError("The published cells contradict each other: nothing fits.")
            np.minimum(least, found[1], out=least)
            np.maximum(most, found[1], out=most)
            seen[j] = sign * found[0]
    met = np.isfinite(least)  # nothing was asked of a part in which no width matters
    low[members[met]], high[members[met]] = least[met], most[met]
