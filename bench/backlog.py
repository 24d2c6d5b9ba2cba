"""Backlog bounds, timed: run `.venv/bin/python bench/backlog.py` from the project's root.

Whole tasks as notebook 02 runs them, and the same for 309 units with made-up sizes. The peer gets
the set as ready arrays and solves one programme an end with SciPy's `milp`; its ends are compared.
"""

import numpy as np
import pandas as pd
import timing

from kokeilu_analysis.methods import backlog, replies, statements
from kokeilu_analysis.sources import facts, panel


def every_reading(readings, evidence, areas, customers, groups):
    """Bounds of all areas, two means, a median and a count, under every reading."""
    for reading in readings:
        replied = "unknown" if reading == "mean_of_replied" else "all"
        feasible = backlog.FeasibleSet.from_evidence(
            evidence, areas, customers, reading, groups, replied=replied
        )
        feasible.bounds_area()
        for kind in ("areas", "customers"):
            feasible.bounds(feasible.weights(kind))
        feasible.bounds_count_below(0.5)
        feasible.bounds_quantile(0.5)


def solved(given, units):
    """Ends of every unit's backlog by one programme each, from `FeasibleSet.matrices`."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    rules = []
    if given.A_ub.shape[0]:
        rules.append(LinearConstraint(given.A_ub, -np.inf, given.b_ub))
    if given.A_eq.shape[0]:
        rules.append(LinearConstraint(given.A_eq, given.b_eq, given.b_eq))
    box = {"bounds": Bounds(given.lower, given.upper), "integrality": given.integrality}
    ends = np.empty((units, 2))
    for unit in range(units):
        cost = np.zeros(len(given.lower))
        for end, sign in enumerate((1, -1)):
            cost[unit] = sign
            ends[unit, end] = sign * milp(cost, constraints=rules, **box).fun
    return ends


def rows(asked):
    """Yield the rows."""
    evidence, groups = facts.evidence(), facts.area_groups()
    trial = facts.treatment().query("is_trial == 1").set_index("municipality")
    cells = panel.load(["unemployed"])
    before = cells[cells["month"] == "2021-02-01"]
    customers = panel.aggregate(before, trial["area_id"]).set_index("unit")["value"]
    areas = sorted(customers.index)
    readings = list(statements.readings(evidence))[: asked.of(None, 1)]
    rng = np.random.default_rng(20210301)
    many = areas + [f"M{k:03d}" for k in range(asked.of(309, 27) - len(areas))]
    sizes = pd.Series(rng.lognormal(7, 1, len(many)), index=many)
    for title, units, size in (("25 areas", areas, customers), ("309 units", many, sizes)):
        given = {"customers": size, "groups": groups}

        def ends(units=units, given=given):
            feasible = backlog.FeasibleSet.from_evidence(evidence, units, **given)
            return feasible.bounds_area()

        ready = backlog.FeasibleSet.from_evidence(evidence, units, **given).matrices()

        def theirs(units=units, ready=ready):
            return solved(ready, len(units))

        found = ends()[["bound_low", "bound_high"]]
        timing.same(f"ends of {title}", found, theirs(), 1e-6)
        yield timing.race(
            f"ends of every backlog, {title}",
            ends,
            {"SciPy milp": theirs},
            rounds=asked.rounds,
        )
        yield timing.race(
            f"every reading, {title}",
            lambda units=units, size=size: every_reading(readings, evidence, units, size, groups),
            rounds=asked.rounds,
            note=f"{len(readings)} readings: ends, two means, a median and a count",
        )
    default = backlog.FeasibleSet.from_evidence(evidence, areas, customers, groups=groups)
    weights, grid = default.weights("customers"), asked.of(9, 2)
    yield timing.race(
        "ranking of replies, 25 areas",
        lambda: replies.rank_replies(default, weights, grid),
        rounds=asked.rounds,
        aim=60,
    )


if __name__ == "__main__":
    timing.main(rows, __doc__)
