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
