"""Cell suppression: hide small counts, and as much else as keeps them hidden.

Primary: a count of 1 to ``minimum - 1``, a cell that few contributors dominate, and a count that
two published ones give away by their difference. Complementary: the cheapest further cells, until
no hidden cell can be worked out to within the threshold from everything that is published. The
audit is exact (`linked_cells.ranges`), the choice of cells a heuristic: what it gives is safe, not
always the least. See Hundepool et al. (2012), Statistical Disclosure Control, chapters 4-5.

A hidden cell is published as an interval on a fixed grid, twice the threshold wide, so that the
interval says nothing of where in it the count lies. Zeros are shown: that nobody is there is no
person's secret, and an interval never begins below 1 but where zeros may be hidden too.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import complementary, linked_cells

OBSERVED, HIDDEN = "observed", "hidden"
LOG = ["table", "row", "column", "rule", "action"]


@dataclass(frozen=True)
class Spec:
    """How a table is linked and what must stay hidden in it.

    Attributes
    ----------
    keys : tuple of str
        Columns that tell cells apart.
    sums, within : dict
        The links, as in `linked_cells.build`; give every total that is published anywhere.
    flows : tuple of (stock, inflow, outflow)
        Counts linked from month to month, as in `linked_cells.build`.
    value : str
        Column of counts (or, with `dominance`, of magnitudes).
    minimum : int
        Counts from 1 to ``minimum - 1`` are hidden; no hidden cell may be known to within it.
    rounding : int
        Published cells are rounded to multiples of it; 0 or 1 = not at all.
    dominance : tuple
        ``(n, k)``: a cell is hidden when its `n` largest contributors make up more than the share
        `k` (0-1) of it; needs `largest`.
    largest : str
        Column with the sum of the `n` largest contributions.
    fixed : str
        0/1 column of cells that others publish: never hidden to protect another cell.
    kept : str
        0/1 column of cells that readers need most: hidden to protect another cell only where
        nothing else protects it.
    zeros : str
        0/1 column of cells in which a zero may be hidden as well, such as flows, where it tells
        what two stocks differ by; their intervals begin at 0 instead of 1.
    """

    keys: tuple
    sums: dict = field(default_factory=dict)
    within: dict = field(default_factory=dict)
    flows: tuple = ()
    value: str = "value"
    minimum: int = 5
    rounding: int = 0
    dominance: tuple = ()
    largest: str = ""
    fixed: str = ""
    kept: str = ""
    zeros: str = ""

    def __post_init__(self):
        if not isinstance(self.minimum, int) or self.minimum < 2:
            raise KokeiluError(f"minimum is {self.minimum!r}; a whole number of 2 or more.")
        if not isinstance(self.rounding, int) or self.rounding < 0:
            raise KokeiluError(f"rounding is {self.rounding!r}; a whole number, 0 for none.")
        dominance_rule(self.dominance)
        if self.dominance and not self.largest:
            raise KokeiluError(
                f"dominance is {self.dominance}; it needs `largest` naming the column with the n "
                "largest contributions."
            )


def dominance_rule(given):
    """Return ``(n, k)``, or an empty tuple where no dominance is asked for.

    Raises
    ------
    KokeiluError
        `given` is anything else: a limit that is not understood must not pass for none.

    Examples
    --------
    >>> dominance_rule([1, 0.8]), dominance_rule([])
    ((1, 0.8), ())
    """
    rule = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not rule:
        return ()
    known = len(rule) == 2 and not any(isinstance(part, bool) for part in rule)
    known = known and isinstance(rule[0], int) and isinstance(rule[1], int | float)
    if not known or rule[0] < 1 or not 0 < rule[1] < 1:
        raise KokeiluError(
            f"dominance is {given!r}; [n, k] with a whole n of 1 or more and k between 0 and 1, "
            "such as [1, 0.8], or [] for none."
        )
    return rule


def may_dominate(total, persons, longest, rule):
    """Tell where the n largest contributions might make up more than the share k of a total.

    Who contributes how much is not known; what is known is that nobody contributes more than
    `longest`. So the n largest are at most ``n * longest``, and cannot be more than the share k of
    a total that is at least ``n * longest / k``. Everything below may be dominated.

    Parameters
    ----------
    total : array
        Sums of contributions, such as days.
    persons : array
        How many contribute; a total of nobody is nobody's.
    longest : float
        Most that one person can contribute, in the unit of `total`.
    rule : (n, k) or ()
        Empty: nothing is dominated.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    With at most 100 days a person and (1, 0.8) a total of 125 days or more is safe.

    >>> may_dominate([124.0, 125.0, 0.0], [9, 9, 0], 100, (1, 0.8)).tolist()
    [True, False, False]
    """
    total, persons = np.asarray(total, dtype=float), np.asarray(persons, dtype=float)
    if not dominance_rule(rule):
        return np.zeros(len(total), dtype=bool)
    n, k = rule
    # a number that is not known is no zero: what cannot be shown to be safe is not
    return ~(k * total >= n * longest) & ~(persons == 0)


def protect(table, spec, name="table"):
    """Return a table that may be published, and what was done to it.

    Parameters
    ----------
    table : DataFrame
        One row a cell: the keys and the value, a count of persons (0 or more, whole).
    spec : Spec
    name : str
        What the log calls the table.

    Returns
    -------
    (DataFrame, DataFrame)
        The table with `value` empty where hidden, and `lower`, `upper`, ``status`` as in the
        panel; and the log: ``table, row`` (the keys), ``column, rule, action``. The log tells
        primary from complementary cells, so it is for the owner of the data only.

    Raises
    ------
    KokeiluError
        A value is missing, negative or not whole, a total is not the sum of its parts, or the
        cells that may not be hidden give the others away.

    Examples
    --------
    >>> table = pd.DataFrame({"unit": ["a", "b", "c", "all"], "value": [3, 8, 40, 51]})
    >>> spec = Spec(("unit",), sums={"unit": [("all", ["a", "b", "c"])]})
    >>> protect(table, spec)[0][["unit", "value", "lower", "upper", "status"]]
      unit  value  lower  upper    status
    0    a    NaN    1.0   10.0    hidden
    1    b    NaN    1.0   10.0    hidden
    2    c   40.0   40.0   40.0  observed
    3  all   51.0   51.0   51.0  observed
    """
    value = _values(table, spec, name)
    cells = table[list(spec.keys)]
    links = linked_cells.build(cells, spec.sums, spec.within, spec.flows)
    wrong = linked_cells.broken(links, value, value)
    if wrong.any():
        place = _row(cells, int(links.matrix[[int(wrong.argmax())]].indices[-1]))
        raise KokeiluError(f"{name}, {place}: the parts do not fit the total; mend the table.")
    rule, need = _primary(table, value, spec)
    links, rest, rest_need = _with_rests(links, value, spec.minimum)
    count = len(value)
    marked = complementary.Marks(
        *(
            table[column].to_numpy(bool) if column else np.zeros(count, dtype=bool)
            for column in (spec.fixed, spec.kept, spec.zeros)
        )
    )
    hidden = np.r_[rule != "", np.zeros(len(rest), dtype=bool)]
    state = complementary.Hiding(
        links, np.r_[value, rest], np.r_[need, rest_need], hidden, marked, spec.rounding
    )
    state.close()
    rule[state.hidden[:count] & (rule == "")] = "complementary"
    return _published(table, state, spec), _log(cells, rule, state, spec, name)


def attack(table, spec, known=None, exact=True):
    """Work out every hidden cell of published tables as well as anyone can.

    Parameters
    ----------
    table : DataFrame
        `Spec.keys`, `Spec.value`, ``lower, upper, status``; cells neither observed nor hidden are
        left out.
    spec : Spec
        Links and rounding; links that the published cells break (revisions, unknown places) are
        left out, because an attacker cannot use them either.
    known : DataFrame, optional
        More published cells of the same columns, such as totals printed elsewhere.
    exact : bool
        If not, only `determined` is exact, in a fraction of the time; the ends of safe cells may
        be inner ones, and `narrowed` is then true of too many.

    Returns
    -------
    DataFrame
        The keys of each hidden cell, its ``lower, upper`` as published, ``attack_low,
        attack_high`` as worked out, and ``determined``: known to within `Spec.minimum`, though
        the published interval alone does not say that much; ``narrowed``: known better than the
        interval says. ``attrs["links_left_out"]`` counts the broken links.
    """
    rows = table if known is None else pd.concat([table, known], ignore_index=True)
    rows = rows[rows["status"].isin([OBSERVED, HIDDEN])].reset_index(drop=True)
    hidden = (rows["status"] == HIDDEN).to_numpy()
    lower, upper = (rows[c].to_numpy(float).copy() for c in ("lower", "upper"))
    lower, upper = complementary.unrounded(lower, upper, ~hidden, spec.rounding)
    links = linked_cells.build(rows[list(spec.keys)], spec.sums, spec.within, spec.flows)
    wrong = linked_cells.broken(links, lower, upper)
    enough = None if exact else np.minimum(spec.minimum, upper - lower)
    low, high = linked_cells.ranges(links.where(~wrong), lower, upper, enough)
    low, high = linked_cells.inwards(low, high)
    found = rows.loc[hidden, list(spec.keys)].assign(
        lower=lower[hidden], upper=upper[hidden], attack_low=low[hidden], attack_high=high[hidden]
    )
    width = found["attack_high"] - found["attack_low"]
    narrowed = width < found["upper"] - found["lower"]
    determined = width < np.minimum(spec.minimum, found["upper"] - found["lower"])
    found = found.assign(narrowed=narrowed, determined=determined).reset_index(drop=True)
    found.attrs["links_left_out"] = int(wrong.sum())
    return found


def cover(table, hidden, value="value"):
    """Hide values that few persons stand behind, such as their days, altogether.

    Parameters
    ----------
    table : DataFrame
        One row a value: `value`, ``lower, upper, status``.
    hidden : array of bool
        Which ones. The others stay as they are.
    value : str

    Returns
    -------
    DataFrame
        All hidden values lie behind one interval, from nothing to a power of two that none of the
        table's values reaches.

    Examples
    --------
    >>> table = pd.DataFrame({"value": [37.0, 900.0], "lower": 0.0, "upper": 0.0, "status": ""})
    >>> made = cover(table, np.array([True, False]))
    >>> made["value"].tolist(), made["upper"].tolist(), made["status"].tolist()
    ([nan, 900.0], [1024.0, 0.0], ['hidden', ''])
    """
    top = 2.0 ** np.ceil(np.log2(table[value].max() + 1)) if len(table) else 0.0
    return table.assign(
        **{value: table[value].mask(hidden)},
        lower=table["lower"].mask(hidden, 0.0),
        upper=table["upper"].mask(hidden, top),
        status=table["status"].mask(hidden, HIDDEN),
    )


def add_totals(table, column, groups, value="value"):
    """Return the rows of totals of a table, one a group and combination of the other keys.

    Parameters
    ----------
    table : DataFrame
        Keys and `value`; the other columns are taken for keys.
    column : str
        The key that is summed over.
    groups : Series
        Group of each value of `column` (the index); what has no group is left out.

    Returns
    -------
    (DataFrame, list of (str, list))
        The totals, in the columns of `table`, and the links for `Spec.sums`.

    Examples
    --------
    >>> table = pd.DataFrame({"unit": ["a", "b"], "value": [3, 8]})
    >>> totals, links = add_totals(table, "unit", pd.Series({"a": "KK", "b": "KK"}))
    >>> totals.to_dict("records"), links
    ([{'unit': 'KK', 'value': 11}], [('KK', ['a', 'b'])])
    """
    keys = [c for c in table.columns if c != value]
    grouped = table.assign(**{column: table[column].map(groups)}).dropna(subset=[column])
    totals = grouped.groupby(keys, as_index=False, observed=True)[value].sum()[list(table.columns)]
    links = [(total, list(rows.index)) for total, rows in groups.groupby(groups)]
    return totals, links


def _values(table, spec, name):
    missing = [c for c in (*spec.keys, spec.value) if c not in table]
    marks = spec.fixed, spec.kept, spec.zeros
    missing += [c for c in (spec.largest, *marks) if c and c not in table]
    if missing:
        raise KokeiluError(f"{name}: no column {missing[0]!r}; it has {list(table.columns)}.")
    value = pd.to_numeric(table[spec.value]).to_numpy(float)
    bad = ~np.isfinite(value) | (value < 0)
    if not spec.dominance:
        bad |= value % 1 != 0
    if bad.any():
        at = int(bad.argmax())
        what = "a number of 0 or more" if spec.dominance else "a whole number of 0 or more"
        place = _row(table[list(spec.keys)], at)
        raise KokeiluError(f"{name}, {place}, {spec.value}: found {value[at]}, expected {what}.")
    return value


def _primary(table, value, spec):
    """Return the rule that hides each cell (empty: none) and the width it needs when hidden."""
    rule = np.full(len(value), "", dtype=object)
    need = np.full(len(value), float(spec.minimum))
    if spec.dominance:
        (n, k), largest = spec.dominance, pd.to_numeric(table[spec.largest]).to_numpy(float)
        dominated = (value > 0) & (largest > k * value)
        rule[dominated] = f"dominance ({n}, {k:g})"
        # the upper protection level of the rule: how far off the total must be guessed
        need[dominated] = np.maximum(need, np.ceil(largest / k - value))[dominated]
    rule[(value > 0) & (value < spec.minimum)] = f"minimum {spec.minimum}"
    return rule, need


def _with_rests(links, value, minimum):
    """Make the small differences cells of their own: the link becomes a sum with one more part."""
    from scipy.sparse import csr_array, hstack

    rest = links.matrix @ value
    small = np.flatnonzero((links.high > 0) & (rest > 0) & (rest < minimum))
    extra = csr_array(
        (-np.ones(len(small)), (small, np.arange(len(small)))),
        shape=(len(links.low), len(small)),
    )
    high = links.high.copy()
    high[small] = 0.0
    matrix = hstack([links.matrix, extra], format="csr")
    wider = linked_cells.Links(matrix, links.low, high)
    return wider, rest[small], np.full(len(small), float(minimum))


def _published(table, state, spec):
    hidden = state.hidden[: state.count]
    lower, upper = (end[: state.count] for end in state.printed())
    made = table.drop(columns=[spec.largest] if spec.largest else [])
    return made.assign(
        **{spec.value: np.where(hidden, np.nan, lower)},
        lower=lower,
        upper=upper,
        status=np.where(hidden, HIDDEN, OBSERVED),
    )


def _log(cells, rule, state, spec, name):
    lower, upper = state.printed()
    hidden = np.flatnonzero(state.hidden[: state.count])
    rows = [
        (name, place, spec.value, rule[at], f"hidden as {lower[at]:g}-{upper[at]:g}")
        for at, place in zip(hidden, _rows(cells.iloc[hidden]), strict=True)
    ]
    if spec.rounding > 1:
        rows.append((name, "every other", spec.value, "rounding", f"to {spec.rounding}"))
    return pd.DataFrame(rows, columns=LOG)


def _rows(cells):
    """Name cells by their keys."""
    texts = [
        column.dt.strftime("%Y-%m") if pd.api.types.is_datetime64_any_dtype(column) else column
        for _, column in cells.items()
    ]
    return [", ".join(map(str, row)) for row in zip(*texts, strict=True)]


def _row(cells, at):
    return _rows(cells.iloc[[at]])[0]
