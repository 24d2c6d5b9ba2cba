"""Small panels for the tests of the estimators, and ways to spoil them."""

import numpy as np
import pandas as pd

from kokeilu_analysis.methods import compare

NAMES = ("y", "unit", "t", "treated")
MAR = pd.date_range("2019-03-01", "2022-02-01", freq="MS")


def simulated(seed, units=24, times=8, start=5, effect=0.0, clusters=12):
    """A long frame of independent normals; the first five twelfths of the clusters are treated."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(units) * clusters // units
    treated = (cluster < clusters * 5 / 12).astype(int)
    shape = (units, times)
    y = rng.normal(size=shape) + rng.normal(size=(units, 1)) + rng.normal(size=(1, times))
    y += effect * treated[:, None] * (np.arange(times) >= start)
    weight = rng.integers(1, 6, units).astype(float)
    by_unit = {"unit": np.arange(units), "treated": treated, "cluster": cluster, "w": weight}
    frame = pd.DataFrame({name: np.repeat(v, times) for name, v in by_unit.items()})
    return frame.assign(t=np.tile(np.arange(times), units), y=y.ravel())


def monthly(seed, units=6, first="2018-03-01", months=48):
    """A long frame by month; the first half of the units is treated."""
    rng = np.random.default_rng(seed)
    t = pd.date_range(first, periods=months, freq="MS")
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), months), "t": np.tile(t, units)})
    frame["treated"] = (frame["unit"] < units // 2).astype(int)
    return frame.assign(y=rng.normal(size=len(frame)), w=1.0 + frame["unit"] % 3)


def estimate(frame, start=5, **options):
    return compare.did(frame, *NAMES, start, **options).loc[0, "estimate"]


def at(frame, unit, t):
    return frame.index[(frame["unit"] == unit) & (frame["t"] == t)][0]


def changed(frame, unit, t, **cells):
    out = frame.astype(dict.fromkeys(cells, object))
    for column, value in cells.items():
        out.loc[at(frame, unit, t), column] = value
    return out.infer_objects()


def whole_unit(frame, unit, column, value):
    return frame.assign(**{column: frame[column].where(frame["unit"] != unit, value)})


def by_hand():
    """Six units, four times, two of the units treated from time 2 on, worked out by hand.

    Mean changes 6 and 4 of the treated, 1.5, 0.5, 3.5 and 0.5 of the controls; with the weights the
    group means are 14/3 and 1.9.
    """
    y = [1, 3, 7, 9, 2, 2, 5, 7, 0, 1, 2, 2, 4, 4, 5, 4, 1, 2, 4, 6, 3, 0, 1, 3]
    facts = {
        "unit": list("abcdef"),
        "treated": [1, 1, 0, 0, 0, 0],
        "w": [1.0, 2, 1, 1, 2, 1],
        "cluster": list("xyzzuv"),
        "size": [1.0, 2, 0, 1, 2, 3],
    }
    frame = pd.DataFrame({name: np.repeat(v, 4) for name, v in facts.items()})
    return frame.assign(t=[0, 1, 2, 3] * 6, y=np.array(y, dtype=float))


# the two-by-two of `by_hand` without each of the clusters x, y, z, u, v
WITHOUT = [4 - 1.9, 6 - 1.9, 14 / 3 - 7.5 / 3, 14 / 3 - 2.5 / 3, 14 / 3 - 9 / 4]


def filled(row):
    """What a row of the estimate schema holds, empty cells left out."""
    return {k: v for k, v in row.items() if not pd.isna(v) and v != ""}


def signed_zeros(table):
    """How many zeros of a table would be printed as -0.0."""
    numbers = table.select_dtypes(float).to_numpy()
    return int((np.signbit(numbers) & (numbers == 0)).sum())


ROW = {  # what every estimate from `by_hand` says, weighted by `w`
    "outcome": "y",
    "estimand": "ATT",
    "weights": "w",
    "pre": "0–1",
    "post": "2–3",
    "n_units": 6,
    "is_main": False,
}
