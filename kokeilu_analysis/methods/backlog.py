"""Sharp bounds on the starting backlogs: exactly what the reported statements imply, no more.

The unknown is the vector ``B`` of shares (0–1) of transferred customers whose plan is out of date
or missing, one number an area. Every statement restricts it; the vectors that satisfy all of them
are the feasible set, and the least and greatest value of a quantity over that set are its bounds:
partial identification in the sense of Horowitz and Manski (1995, Econometrica 63, 281–302) and
Manski (2003, Partial Identification of Probability Distributions). Statements about averages,
ranges and orders are linear; "few below" and an unknown set of repliers need 0/1 columns.
"""

from collections import namedtuple
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import order
from kokeilu_analysis.methods import statements as st
from kokeilu_analysis.methods.conflicts import minimal_conflicts
from kokeilu_analysis.methods.constraints import assembled
from kokeilu_analysis.methods.statements import readings

__all__ = ["Compatibility", "EmptySetError", "FeasibleSet", "compatible", "readings"]

Compatibility = namedtuple("Compatibility", "compatible low high witness conflict")


# which kinds of statement give way first, from what is said of many to what is said of one
GENERAL = ["few_below", "mean", "smallest", "largest", "order", "range", "later", "value"]


class EmptySetError(KokeiluError):
    """The statements cannot all hold; `conflict` lists the ids of some that clash."""

    def __init__(self, message, conflict):
        self.conflict = conflict
        super().__init__(message)


class FeasibleSet:
    """All vectors of backlogs that satisfy a list of statements.

    Make one with `from_evidence`. The set is never changed: `with_statement` returns a new one.

    Parameters
    ----------
    statements : list of kokeilu_analysis.methods.statements.Statement
    areas : list of str
    customers : Series, optional
        Transferred customers by area, for means weighted by customers.
    groups : dict of lists, optional
    replied : "all", "unknown", None or list of str
        Which areas had replied when it was said: see `from_evidence`.
    """

    def __init__(self, statements, areas, customers=None, groups=None, replied="all"):
        self.statements = list(statements)
        self.areas = list(areas)
        self.customers = customers
        self.groups = groups or {}
        self.replied = replied

    @classmethod
    def from_evidence(
        cls,
        evidence,
        areas,
        customers=None,
        reading="default",
        groups=None,
        replied="all",
        include_later=False,
    ):
        """Turn register rows into the set of backlogs they allow.

        Parameters
        ----------
        evidence : DataFrame
            One statement a row; columns as in ``data/raw/backlog_evidence.csv``, of which
            subject and kind are always needed. Shares are 0–1.
        areas : sequence of area ids, or DataFrame with column area_id
        customers : Series by area_id, optional
            Persons; needed when a mean is weighted by customers.
        reading : str or sequence of str
            See `statements.read`.
        groups : dict of lists, or DataFrame with group_id and area_id, optional
        replied : {"all", "unknown"}, None or sequence of area ids
            Who had replied when "so far" was said. The letter does not tell. The default takes
            every area as having replied, so that the mean is the mean of all and nobody lies
            below the smallest or above the largest. ``"unknown"`` (or None) assumes nothing but
            that areas whose figure is reported had replied: the bounds then hold for every
            possible set of repliers. A list fixes the set.
        include_later : bool
            Use figures of later dates as well, as if no backlog had changed in between.

        Returns
        -------
        FeasibleSet

        Examples
        --------
        >>> evidence = pd.DataFrame({
        ...     "statement_id": ["E1", "E2"], "subject": ["A", "all"], "kind": ["value", "mean"],
        ...     "lower": [0.8, 0.5], "upper": [0.8, 0.5], "weight": ["", "areas"]})
        >>> feasible = FeasibleSet.from_evidence(evidence, ["A", "B", "C"])
        >>> low, high = feasible.bounds({"B": 1.0})
        >>> round(low, 9), round(high, 9)
        (0.0, 0.7)
        """
        if isinstance(areas, pd.DataFrame):
            areas = areas["area_id"].unique()
        areas = list(areas)
        if not areas or len(set(areas)) < len(areas):
            raise KokeiluError("`areas` must name at least one area, and each of them once.")
        found = st.read(evidence, areas, groups, reading, include_later)
        if any(s.kind == "mean" and s.weight == "customers" for s in found):
            customers = _checked_customers(customers, areas)
        if replied is None:
            replied = "unknown"
        elif not isinstance(replied, str):
            replied = list(replied)
            _refuse_unknown(replied, areas, "`replied`")
        elif replied not in ("all", "unknown"):
            raise KokeiluError("`replied` must be 'all', 'unknown' or a list of areas.")
        return cls(found, areas, customers, st.grouped(groups, areas), replied)

    def with_statement(self, rows):
        """Return the smaller set in which one more statement, or several, hold as well.

        Parameters
        ----------
        rows : dict, Series, list of dicts or DataFrame
            Register rows; their `reading` is not looked at. A ``later`` row is used as if
            nothing had changed.
        """
        if isinstance(rows, (dict, pd.Series)):
            rows = [dict(rows)]
        frame = pd.DataFrame(rows).drop(columns=["reading", "replaces"], errors="ignore")
        added = st.read(frame, self.areas, self.groups, include_later=True)
        twice = {s.id for s in self.statements} & {s.id for s in added}
        if twice:
            raise KokeiluError(f"Statement {min(twice)} is in the set already; give a new id.")
        customers = self.customers
        if any(s.kind == "mean" and s.weight == "customers" for s in added):
            customers = _checked_customers(customers, self.areas)
        return FeasibleSet(
            self.statements + added, self.areas, customers, self.groups, self.replied
        )

    def weights(self, kind="areas", among=None):
        """Return weights that sum to one: of the mean over areas or over customers.

        Parameters
        ----------
        kind : {"areas", "customers"}
        among : sequence of area ids or name of a group, optional
            Only these areas; the others get weight zero.
        """
        if isinstance(among, str):
            if among not in self.groups:
                known = ", ".join(self.groups) or "none"
                raise KokeiluError(f"There is no group {among!r}; known groups: {known}.")
            among = self.groups[among]
        among = self.areas if among is None else list(among)
        _refuse_unknown(among, self.areas, "`among`")
        base = pd.Series(1.0, self.areas)
        if kind == "customers":
            base = _checked_customers(self.customers, self.areas)
        base = base.where(base.index.isin(among), 0.0)
        return base / base.sum()

    # --- bounds -----------------------------------------------------------------------------

    def bounds(self, weights, witness=False):
        """Return the least and greatest value of ``Σ wᵢ Bᵢ`` over the set; both are attained.

        Parameters
        ----------
        weights : Series or dict by area
            Any signs and units; areas not named have weight zero. For a mean the weights must
            sum to one; for a difference of means pass the difference of their weights.
        witness : bool
            Also return the two attaining vectors, as Series by area.

        Returns
        -------
        (float, float) or (float, float, Series, Series)

        Raises
        ------
        EmptySetError
            When the statements cannot all hold; the message names a minimal conflict.
        """
        w = self._vector(weights)
        (low, at_low), (high, at_high) = self._extreme(w), self._extreme(-w)
        if witness:
            return low, -high, pd.Series(at_low, self.areas), pd.Series(at_high, self.areas)
        return low, -high

    def bounds_area(self):
        """Return the bounds of every area: a frame with area_id, bound_low, bound_high.

        Areas of which the same has been said have the same bounds, so one of them is solved;
        and an area whose own limit is reached by a vector found already needs no solving.
        """
        alike, found, points = self.alike(), {}, []
        for number, kind in enumerate(alike):
            if kind not in found:
                found[kind] = tuple(self._end(number, sign, points) for sign in (1.0, -1.0))
        low, high = zip(*(found[kind] for kind in alike), strict=True)
        return pd.DataFrame({"area_id": self.areas, "bound_low": low, "bound_high": high})

    def alike(self):
        """Return a number for each area (Series): equal where exactly the same has been said."""
        of_list = self.replied if isinstance(self.replied, list) else ()
        roles = [
            (*(s.role(area, self.customers) for s in self.statements), area in of_list)
            for area in self.areas
        ]
        numbers = {role: number for number, role in enumerate(dict.fromkeys(roles))}
        return pd.Series([numbers[role] for role in roles], self.areas)

    def bounds_count_below(self, x, margin=order.MARGIN):
        """Return the least and greatest number of areas whose backlog lies strictly below `x`.

        The least number is exact. For the greatest, an area counts as below only when it is
        below by `margin` or more, because "strictly below" has no greatest attained value.

        Returns
        -------
        (int, int)
        """
        return self._counted(x, 1.0, margin)

    def bounds_count_above(self, x, margin=order.MARGIN):
        """Return the least and greatest number of areas strictly above `x`; as `…_below`."""
        return self._counted(x, -1.0, margin)

    def bounds_quantile(self, q, weights=None):
        """Return bounds of a quantile of the areas' backlogs; both are attained.

        The quantile is an order statistic: the smallest backlog such that areas with at least a
        share `q` of the weight lie at or below it. With 25 areas the median is the 13th smallest.

        Parameters
        ----------
        q : float
            Above 0 and at most 1.
        weights : Series or dict by area, optional
            Non-negative; equal for all areas if not given.
        """
        w = None if weights is None else self._vector(weights)
        if w is not None and ((w < 0).any() or w.sum() == 0):
            raise KokeiluError("Weights of a quantile must not be negative or all zero.")
        self._checked()
        return order.quantile(self._program, len(self.areas), q, w)

    # --- consistency ------------------------------------------------------------------------

    def conflicts(self, limit=20):
        """Return minimal lists of statement ids that cannot all hold; empty when all can.

        Leaving any one statement out of a list makes the rest of that list possible. All such
        lists are found when there are fewer than `limit`.
        """
        found = minimal_conflicts(len(self.statements), self._holds, limit)
        return [[self.statements[i].id for i in conflict] for conflict in found]

    def giving_way(self, kept):
        """Drop statements that clash with those to keep, the most general first.

        For returns of municipalities: an exact answer outweighs what an earlier letter said in
        general, for example of the smallest figure so far.

        Parameters
        ----------
        kept : collection of str
            Statement ids that must stay.

        Returns
        -------
        (FeasibleSet, list of (str, str))
            The set, and each dropped id with the conflict in words.

        Raises
        ------
        EmptySetError
            When the statements to keep clash among themselves.
        """
        kept, feasible, dropped = set(kept), self, []
        while conflict := next(iter(feasible.conflicts(limit=1)), None):
            said = feasible.explain(conflict)
            movable = [s for s in feasible.statements if s.id in conflict and s.id not in kept]
            if not movable:
                raise EmptySetError(said, conflict)
            gone = min(movable, key=lambda s: GENERAL.index(s.kind))
            dropped.append((gone.id, said))
            rest = [s for s in feasible.statements if s is not gone]
            if gone.kind in ("smallest", "largest"):  # its own figure stands, only the rank falls
                rest.append(replace(gone, id=f"{gone.id}_figure", kind="range"))
            feasible = FeasibleSet(rest, self.areas, self.customers, self.groups, self.replied)
        return feasible, dropped

    def explain(self, conflict, names=None):
        """Say a conflict in words; `names` may give the areas' and groups' names."""
        said = [f"{s.words(names)} [{s.id}]" for s in self.statements if s.id in set(conflict)]
        if len(said) == 1:
            return f"This statement is impossible: {said[0]}."
        return (
            f"These {len(said)} statements cannot all hold: {'; '.join(said)}. "
            "Without any one of them the others can."
        )

    def constraints(self, names=None):
        """Return the statements in words: statement_id, kind, says, reading, source."""
        rows = [(s.id, s.kind, s.words(names), s.reading, s.source) for s in self.statements]
        return pd.DataFrame(rows, columns=["statement_id", "kind", "says", "reading", "source"])

    def contains(self, vector, tolerance=1e-6):
        """Tell whether a vector of backlogs (Series or dict, every area) satisfies everything."""
        vector = pd.Series(vector, dtype=float).reindex(self.areas)
        if vector.isna().any():
            raise KokeiluError(f"The vector has no value for area {vector.isna().idxmax()}.")
        p, n = self._program.copy(), len(self.areas)
        p.lower[:n] = np.maximum(p.lower[:n], vector.to_numpy() - tolerance)
        p.upper[:n] = np.minimum(p.upper[:n], vector.to_numpy() + tolerance)
        return p.minimise([], []) is not None

    def sample(self, n, seed=0, corners=40):
        """Return `n` random vectors of the set: a frame, one row a vector, one column an area.

        They are random mixtures of corners of the set (for sets with 0/1 columns: of corners
        that share those columns). They reach every part of the set, not evenly: for checks and
        illustrations, not as a distribution of belief.
        """
        rng = np.random.default_rng(seed)
        whole = self._program.integrality == 1
        parts = []
        for _ in range(6 if whole.any() else 1):
            p = self._program.copy()
            columns = np.arange(len(p.lower))
            _, point = self._solved(p, columns, rng.normal(size=len(columns)))
            p.lower[whole] = p.upper[whole] = np.round(point[whole])
            p.integrality[:] = 0
            costs = rng.normal(size=(corners, len(self.areas)))
            areas = np.arange(len(self.areas))
            solved = [p.minimise(areas, cost) for cost in costs]
            parts.append(np.array([s[1][: len(self.areas)] for s in solved if s is not None]))
        spread = rng.choice([0.05, 0.3, 1.0], size=n)
        shares = rng.gamma(np.repeat(spread[:, None], corners, axis=1)) + 1e-300
        which = rng.integers(len(parts), size=n)
        points = np.empty((n, len(self.areas)))
        for number, part in enumerate(parts):
            rows = which == number
            mixed = shares[rows][:, : len(part)]
            points[rows] = mixed / mixed.sum(axis=1, keepdims=True) @ part
        return pd.DataFrame(points, columns=self.areas)

    def program(self):
        """Return a copy of the set as a `Program`; its first columns are the areas in order."""
        return self._program.copy()

    def matrices(self):
        """Return the set as arrays (`program.Matrices`); the first columns are the areas."""
        return self._program.matrices()

    # --- inside -----------------------------------------------------------------------------

    @cached_property
    def _program(self):
        return assembled(self.statements, self.areas, self.customers, self.replied)

    def _vector(self, weights):
        weights = pd.Series(weights, dtype=float)
        _refuse_unknown(weights.index, self.areas, "The weights")
        if weights.index.has_duplicates or not np.isfinite(weights).all():
            raise KokeiluError("Weights must be finite numbers, one for an area.")
        return weights.reindex(self.areas, fill_value=0.0).to_numpy()

    def _extreme(self, w):
        value, point = self._solved(self._program, np.arange(len(w)), w)
        return value, point[: len(w)]

    def _solved(self, program, columns, coefficients):
        answer = program.minimise(columns, coefficients)
        if answer is None:
            self._checked()
            raise KokeiluError("The solver found no vector, though the statements can all hold.")
        return answer

    @cached_property
    def _conflict(self):
        return (self.conflicts(limit=1) or [None])[0]

    def _checked(self):
        if self._conflict is not None:
            raise EmptySetError(self.explain(self._conflict), self._conflict)

    def _end(self, number, sign, points):
        """Return one end of an area's bounds; `points` collects vectors found so far."""
        limit = (self._program.lower if sign > 0 else self._program.upper)[number]
        if any(point[number] == limit for point in points):
            return float(limit)
        value, point = self._extreme(sign * np.eye(len(self.areas))[number])
        points.append(point)
        return sign * value

    def _counted(self, x, side, margin):
        self._checked()
        return order.count(self._program, len(self.areas), x, side, margin)

    def _holds(self, numbers):
        kept = [self.statements[i] for i in numbers]
        program = assembled(kept, self.areas, self.customers, self.replied)
        return program.minimise([], []) is not None


def compatible(feasible, observation):
    """Test whether a figure of another date can hold with no change in any area in between.

    Parameters
    ----------
    feasible : FeasibleSet
        The set at the start; it needs customers when the observation is weighted by them.
    observation : dict or Series
        A register row with subject, lower, upper and weight, for example the 66 % of customers
        of September 2021.

    Returns
    -------
    Compatibility
        ``compatible`` (bool); ``low, high``, the bounds over the start's set of the observed
        mean; ``witness``, a vector of backlogs that satisfies the start's statements and the
        observation (Series, or None); ``conflict``, statement ids that exclude it (or None).

    Examples
    --------
    >>> evidence = pd.DataFrame({"subject": ["all"], "kind": ["range"], "lower": [0.6],
    ...                          "upper": [0.8]})
    >>> feasible = FeasibleSet.from_evidence(evidence, ["A", "B"])
    >>> compatible(feasible, {"subject": "all", "lower": 0.5, "upper": 0.5}).compatible
    False
    """
    row = {"statement_id": "observed", "weight": "areas", **dict(observation), "kind": "later"}
    wider = feasible.with_statement(row)
    seen = wider.statements[-1]
    low, high = feasible.bounds(feasible.weights(seen.weight, seen.areas))
    conflict = (wider.conflicts(limit=1) or [None])[0]
    witness = None
    if conflict is None:
        witness = wider.bounds(feasible.weights(seen.weight, seen.areas), witness=True)[2]
    return Compatibility(conflict is None, low, high, witness, conflict)


def _checked_customers(customers, areas):
    if customers is None:
        raise KokeiluError("A mean weighted by customers needs `customers`, a Series by area_id.")
    if not isinstance(customers, pd.Series):
        raise KokeiluError("`customers` must be a Series by area_id, one number of persons each.")
    customers = customers.astype(float).reindex(areas)
    wrong = ~(np.isfinite(customers) & (customers >= 0))
    if wrong.any():
        area = wrong.idxmax()
        raise KokeiluError(
            f"Area {area} has {customers[area]} customers; expected a number of 0 or more."
        )
    if customers.sum() == 0:
        raise KokeiluError("`customers` are all zero.")
    return customers


def _refuse_unknown(named, areas, what):
    unknown = [str(area) for area in named if area not in set(areas)]
    if unknown:
        raise KokeiluError(f"{what} name {', '.join(unknown)}, not an area of this set.")
