"""Times of the starting-lag sets: run `.venv/bin/python bench/lag.py` from the project's root.

Real evidence and area effects, but for the row that says simulated; seconds of processor time,
which depend on the machine. The last column is the ratio to the first row of the same run.
"""

import time

import numpy as np
import pandas as pd

from kokeilu_analysis import results
from kokeilu_analysis.methods import backlog, design, lag, restrictions
from kokeilu_analysis.sources import facts, panel


def main():
    """Print a table of tasks and times."""
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
    tasks = {
        "four ends, labour force weights": lambda: lag.intercept_bounds(effects, **known),
        "four ends, equal weights": lambda: lag.intercept_bounds(effects, constraints=sets["all"]),
        "four ends, repliers unknown": lambda: lag.intercept_bounds(
            effects, weights=people, constraints=sets["unknown"]
        ),
        "four ends, 309 simulated units": lambda: lag.intercept_bounds(
            *_units(309), mean=(0.45, 0.55)
        ),
        "frontier on 200 x 200": lambda: lag.frontier_bounds(
            effects,
            None,
            None,
            np.linspace(0, 1, 200),
            np.linspace(0, 1, 200),
            tolerance=1e-3,
            **known,
        ),
        "restrictions, all switches": lambda: restrictions.restricted_bounds(
            effects, slope_sign=1, steepest=0.2, effect=(-2, 2), **known
        ),
        "Manski-Tamer, 200 bootstraps": lambda: restrictions.manski_tamer(
            effects, low, high, people
        ),
        "interval for the set, 20 draws": lambda: lag.set_interval(effects, draws=20, **known),
        "ranking of replies, ranges and mean": lambda: lag.rank_replies_effect(
            effects, low, high, people, constraints=_mean(len(effects))
        ),
        "ranking of replies, all statements": lambda: lag.rank_replies_effect(effects, **known),
    }
    rows = []
    for name, task in tasks.items():
        began = time.process_time()
        task()
        rows.append((name, time.process_time() - began))
    table = pd.DataFrame(rows, columns=["task", "seconds"])
    print(table.assign(ratio=table["seconds"] / table["seconds"].iloc[0]).round(2).to_string())


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
    main()
