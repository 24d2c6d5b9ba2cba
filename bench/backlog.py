"""Times of the backlog bounds: run `.venv/bin/python bench/backlog.py` from the project's root.

Whole tasks as notebook 02 runs them, and the same for 309 units. Processor seconds of one core,
which depend on the machine; the last column is the ratio to the first row of the same run.
"""

import time

import numpy as np
import pandas as pd

from kokeilu_analysis.methods import backlog, replies, statements
from kokeilu_analysis.sources import facts, panel


def every_reading(evidence, areas, customers, groups):
    """Return the number of bounds found: all areas, three means, a median and a count."""
    found = 0
    for reading in statements.readings(evidence):
        replied = "unknown" if reading == "mean_of_replied" else "all"
        feasible = backlog.FeasibleSet.from_evidence(
            evidence, areas, customers, reading, groups, replied=replied
        )
        found += len(feasible.bounds_area())
        for kind in ("areas", "customers"):
            feasible.bounds(feasible.weights(kind))
        feasible.bounds_count_below(0.5)
        feasible.bounds_quantile(0.5)
        found += 4
    return found


def main():
    """Print a table of tasks and times."""
    evidence, groups = facts.evidence(), facts.area_groups()
    trial = facts.treatment().query("is_trial == 1").set_index("municipality")
    cells = panel.load(["unemployed"])
    before = cells[cells["month"] == "2021-02-01"]
    customers = panel.aggregate(before, trial["area_id"]).set_index("unit")["value"]
    areas = sorted(customers.index)
    rng = np.random.default_rng(20210301)
    many = areas + [f"M{k:03d}" for k in range(309 - len(areas))]
    sizes = pd.Series(rng.lognormal(7, 1, len(many)), index=many)
    default = backlog.FeasibleSet.from_evidence(evidence, areas, customers, groups=groups)
    tasks = {
        "25 areas, every reading": lambda: every_reading(evidence, areas, customers, groups),
        "309 units, every reading": lambda: every_reading(evidence, many, sizes, groups),
        "ranking of replies, 25 areas": lambda: replies.rank_replies(
            default, default.weights("customers")
        ),
    }
    default.bounds(default.weights("areas"))  # imports the solver, which is not part of any task
    rows = []
    for name, task in tasks.items():
        began = time.process_time()
        task()
        rows.append((name, time.process_time() - began))
    table = pd.DataFrame(rows, columns=["task", "cpu_seconds"])
    print(
        table.assign(ratio=table["cpu_seconds"] / table["cpu_seconds"].iloc[0]).round(2).to_string()
    )


if __name__ == "__main__":
    main()
