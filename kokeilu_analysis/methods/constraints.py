"""Statements as rows of a programme: what each says about the vector of backlogs, exactly."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.program import Program

FIGURES = ("value", "range", "smallest", "largest")  # kinds that report an area's own figure


def assembled(statements, areas, customers=None, replied="all"):
    """Return the programme whose feasible points are the backlogs the statements allow.

    Parameters
    ----------
    statements : list of kokeilu_analysis.methods.statements.Statement
    areas : list of str
    customers : Series by area, optional
    replied : "all", "unknown" or list of str
        Which areas had replied; for ``"unknown"`` every area gets a 0/1 column that says it.

    Returns
    -------
    Program
        Columns 0 … n-1 are the areas' backlogs in the order of `areas`; further columns are
        0/1 choices. Products of a choice and a backlog are written with McCormick's
        inequalities (1976, Mathematical Programming 10, 147–175), exact for 0/1 choices.
    """
    return _Assembly(statements, areas, customers, replied).program


class _Assembly:
    def __init__(self, statements, areas, customers, replied):
        self.number = {area: i for i, area in enumerate(areas)}
        self.customers, self.replied = customers, replied
        self.program = Program()
        self.program.columns(np.zeros(len(areas)), np.ones(len(areas)))
        self.has_replied = None
        if replied == "unknown" and any(s.of_replied for s in statements):
            sure = _reported(statements)
            self.has_replied = self.program.columns(
                [float(area in sure) for area in areas], np.ones(len(areas)), whole=True
            )
        for s in statements:  # limits first: they make the rows of the other statements tight
            self._limits(s)
        for s in statements:
            self._rows(s)

    def _scope(self, s):
        """Return the areas (numbers) a statement holds for and their has-replied columns."""
        of_replied = s.of_replied
        members = self.number if s.kind in ("smallest", "largest") else s.areas
        if of_replied and isinstance(self.replied, list):
            members = [area for area in members if area in self.replied]
            outside = [a for a in s.areas if a not in self.replied and s.kind in FIGURES[2:]]
            if outside or not members:
                who = ", ".join(outside) or "nobody"
                raise KokeiluError(
                    f"Statement {s.id} speaks of those that had replied, but the list `replied` "
                    f"leaves {who} for it; add the areas whose figures were reported."
                )
        members = np.array([self.number[area] for area in members])
        unsure = of_replied and self.has_replied is not None
        return members, self.has_replied[members] if unsure else None

    def _limits(self, s):
        p = self.program
        members, unsure = self._scope(s)
        if s.kind in ("smallest", "largest"):
            own = self.number[s.areas[0]]
            p.lower[own], p.upper[own] = max(p.lower[own], s.lower), min(p.upper[own], s.upper)
        if unsure is not None:
            return
        if s.kind in ("value", "range", "smallest"):
            p.lower[members] = np.maximum(p.lower[members], s.lower)
        if s.kind in ("value", "range", "largest"):
            p.upper[members] = np.minimum(p.upper[members], s.upper)

    def _rows(self, s):
        p = self.program
        members, unsure = self._scope(s)
        if s.kind in ("value", "range") and unsure is not None:
            for i, r in zip(members, unsure, strict=True):
                p.row([i, r], [1.0, -s.lower], low=0.0)
                p.row([i, r], [1.0, 1.0 - s.upper], high=1.0)
        elif s.kind in ("smallest", "largest"):
            own, sign = self.number[s.areas[0]], 1.0 if s.kind == "smallest" else -1.0
            for k, i in enumerate(members):  # sign (B_own - Bᵢ) <= 1 - repliedᵢ
                if i != own:
                    r, one = ([], 0.0) if unsure is None else ([unsure[k]], 1.0)
                    p.row([own, i, *r], [sign, -sign, *[one] * len(r)], high=one)
        elif s.kind == "order":
            for i, j in zip(members[:-1], members[1:], strict=True):
                p.row([i, j], [1.0, -1.0], high=0.0)
        elif s.kind == "mean":
            self._mean(s, members, unsure)
        elif s.kind == "few_below":
            self._few_below(s, members, unsure)

    def _mean(self, s, members, unsure):
        p = self.program
        w = np.ones(len(members))
        if s.weight == "customers":
            w = self.customers.iloc[members].to_numpy(float)
        if w.sum() == 0:
            raise KokeiluError(f"Statement {s.id} is a mean over areas without customers.")
        w = w / w.sum()
        if unsure is None:
            p.row(members, w, s.lower, s.upper)
            return
        product = p.columns(np.zeros(len(members)), np.ones(len(members)))
        for i, r, pr in zip(members, unsure, product, strict=True):
            p.row([pr, r], [1.0, -1.0], high=0.0)
            p.row([pr, i], [1.0, -1.0], high=0.0)
            p.row([pr, i, r], [1.0, -1.0, -1.0], low=-1.0)
        columns = np.concatenate([product, unsure])
        p.row(columns, np.concatenate([w, -s.lower * w]), low=0.0)
        p.row(columns, np.concatenate([w, -s.upper * w]), high=0.0)
        p.row(unsure, np.ones(len(members)), low=1.0)  # a mean of nobody is not a mean

    def _few_below(self, s, members, unsure):
        """Count with one 0/1 column an area: 0 forces ``B >= x``, 1 permits less.

        Where at least some must lie below, 1 also forces ``B <= x``: the limit of "strictly
        below", without which the set would not contain its own boundary.
        """
        p, x, n = self.program, s.upper, len(members)
        below = p.columns(np.zeros(n), np.ones(n), whole=True)
        for k, (i, z) in enumerate(zip(members, below, strict=True)):
            if unsure is None:
                p.row([i, z], [1.0, slack(x - p.lower[i])], low=x)
            else:
                p.row([i, unsure[k], z], [1.0, -x, x], low=0.0)
                p.row([z, unsure[k]], [1.0, -1.0], high=0.0)
            if s.count_low:
                p.row([i, z], [1.0, 1.0 - x], high=1.0)
        fewest = max(s.count_low, 0.0)
        if not np.isnan(s.count_high):
            p.row(below, np.ones(n), fewest, s.count_high)
        elif unsure is None:
            p.row(below, np.ones(n), fewest, (n - 1) // 2)
        else:  # fewer than half of those that had replied
            p.row(below, np.ones(n), low=fewest)
            p.row(
                np.concatenate([below, unsure]),
                np.concatenate([np.full(n, 2.0), np.full(n, -1.0)]),
                high=-1.0,
            )


def slack(distance):
    """Return the coefficient that frees a backlog from a threshold when its 0/1 column is 1.

    The distance from the area's own limit to the threshold is enough and makes the relaxation
    tight; much below 0.01 the coefficient would vanish among the solver's tolerances.
    """
    return max(distance, 0.01)


def _reported(statements):
    """Return the areas that must have replied when the repliers were spoken of.

    A figure of an area's own shows that it had replied, unless it was told only later.
    """
    said = [s.said_on for s in statements if s.of_replied and not pd.isna(s.said_on)]
    last = max(said, default=pd.NaT)
    return {
        area
        for s in statements
        if s.kind in FIGURES and not s.unchanged and s.subject not in ("all", "replied")
        if pd.isna(s.said_on) or pd.isna(last) or s.said_on <= last
        for area in s.areas
    }
