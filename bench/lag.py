"""The starting-lag sets, timed: run `.venv/bin/python bench/lag.py` from the project's root.

Real evidence and area effects, but for the row of 309 units. No other package computes such sets.
The peer is a global solver, SCIP, which is given ranges and mean and asked for one end: on the four
of them it does not come to a proof within a minute each.
"""

import sys
from pathlib import Path

import numpy as np
import timing

from kokeilu_analysis import results
from kokeilu_analysis.methods import backlog, design, lag, restrictions
from kokeilu_analysis.sources import facts, panel

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))


def scip_row(effects, low, high, asked):
    """Four ends from ranges and mean; of which the peer finds one, in the time it has."""
    from test_lag_solver import solved

    mean, ones = (0.475, 0.525), np.ones(len(effects))
    slack = {"mean": mean, "constraints": ([np.zeros(len(effects))], [1.0])}
    box = effects.to_numpy(), low.to_numpy(), high.to_numpy(), ones

    def ours():
        return lag.intercept_bounds(effects, low, high, mean=mean)

    def scip():
        return solved(*box, 0.0, slack, False, -1)[0]

    title = "four ends, 25 areas, ranges and mean"
    timing.same(title, ours().intercept[0], scip(), 1e-4)
    peers = {"SCIP, for the lowest intercept alone": scip}
    return timing.race(title, ours, peers, rounds=asked.rounds, aim=1)


def rows(asked):
    """Yield the rows."""
    plan = design.load()
    effects = results.read("04_area_effects").set_index("area_id")["estimate"]
    trial = facts.treatment().query("is_trial == 1").set_index("municipality")
    force = panel.labour_force(panel.load(["labour_force"]), plan.labour_force_year)
    people = force.groupby(trial["area_id"]).sum().reindex(effects.index)
    evidence, groups = facts.evidence(), facts.area_groups()
    sets = {
        replied: backlog.FeasibleSet.from_evidence(
            evidence, list(effects.index), groups=groups, replied=replied
        )
        for replied in ("all", "unknown")
    }
    known = {"weights": people, "constraints": sets["all"]}
    ends = sets["all"].bounds_area().set_index("area_id").loc[effects.index]
    low, high = ends["bound_low"], ends["bound_high"]
    axis, near = np.linspace(0, 1, asked.of(200, 2)), asked.of(1e-3, 10.0)
    tasks = {  # seconds at most, task
        "four ends, 25 areas, labour force weights": (
            1,
            lambda: lag.intercept_bounds(effects, **known),
        ),
        "four ends, 25 areas, equal weights": (
            1,
            lambda: lag.intercept_bounds(effects, constraints=sets["all"]),
        ),
        "four ends, 25 areas, repliers unknown": (
            None,
            lambda: lag.intercept_bounds(effects, weights=people, constraints=sets["unknown"]),
        ),
        "four ends, 309 simulated units": (
            20,
            lambda: lag.intercept_bounds(*_units(asked.of(309, 12)), mean=(0.45, 0.55)),
        ),
        "frontier on 200 × 200, 0.001 points": (
            20,
            lambda: lag.frontier_bounds(effects, None, None, axis, axis, tolerance=near, **known),
        ),
        "restrictions, all switches": (
            None,
            lambda: restrictions.restricted_bounds(
                effects, slope_sign=1, steepest=0.2, effect=(-2, 2), **known
            ),
        ),
        "Manski-Tamer, 200 bootstraps": (
            None,
            lambda: restrictions.manski_tamer(effects, low, high, people),
        ),
        "interval for the set, 20 draws": (
            None,
            lambda: lag.set_interval(effects, draws=asked.of(20, 2), **known),
        ),
        "ranking of replies by effect, ranges and mean": (
            60,
            lambda: lag.rank_replies_effect(
                effects, low, high, people, constraints=_mean(len(effects))
            ),
        ),
        "ranking of replies by effect, all statements": (
            60,
            lambda: lag.rank_replies_effect(effects, **known),
        ),
    }
    for task, (aim, run) in list(tasks.items())[: asked.of(None, 5)]:
        yield timing.race(task, run, rounds=asked.rounds, aim=aim)
    yield scip_row(effects, low, high, asked)


def _units(size):
    """Simulated effects and narrow ranges, whose steepest lines need the search over vertices."""
    rng = np.random.default_rng(0)
    backlog = rng.uniform(0.1, 0.9, size)
    below, above = rng.uniform(0, 0.08, (2, size))
    effects = 0.3 - 0.5 * backlog + rng.normal(0, 0.3, size)
    return effects, np.clip(backlog - below, 0, 1), np.clip(backlog + above, 0, 1)


def _mean(areas):
    every = np.full((1, areas), 1 / areas)
    return np.vstack([every, -every]), np.array([0.525, -0.475]), None, None


if __name__ == "__main__":
    timing.main(rows, __doc__)
