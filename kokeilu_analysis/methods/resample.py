"""Real residual paths drawn anew: for each place that of a place of similar size."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Pool:
    """Real paths to draw from: `paths` (N, T); of place i those in ``donors[i, :count[i]]``.

    `size` (N,) and `power` rescale a path from the size of its donor: sd goes as size ** power.
    """

    paths: np.ndarray
    donors: np.ndarray
    count: np.ndarray
    size: np.ndarray
    power: float


def pool(paths, size, usable, donors):
    """Return the paths, for each place the donors nearest in size, and the power of size.

    Parameters
    ----------
    paths : array, shape (N, T)
    size : array, shape (N,)
        Positive.
    usable : array of bool, shape (N,)
        Whose paths vary and may be drawn.
    donors : int
        For each place; more where sizes tie.

    Returns
    -------
    Pool

    Examples
    --------
    >>> found = pool(np.eye(3), np.array([1.0, 2.0, 9.0]), np.ones(3, bool), 2)
    >>> found.donors.tolist()
    [[0, 1], [1, 0], [2, 1]]
    """
    if not usable.any():  # every area is a single unit: nothing varies within
        return Pool(paths, np.zeros((len(size), 1), int), np.ones(len(size), int), size, 0.0)
    log = np.log(size)
    power = 0.0
    if np.ptp(log[usable]) > 1e-9:
        power = float(np.polyfit(log[usable], np.log(paths[usable].std(axis=1)), 1)[0])
    off = np.where(usable, np.abs(log[:, None] - log), np.inf)
    order = np.argsort(off, axis=1, kind="stable")
    sorted_off = np.take_along_axis(off, order, axis=1)
    last = sorted_off[:, [min(donors, usable.sum()) - 1]]
    count = (sorted_off <= last + 1e-12).sum(axis=1)
    return Pool(paths, order[:, : count.max()], count, size, power)


def paths(pool, length, rng):
    """Draw one path for every place: a donor's, from a random start, either way, either sign.

    Parameters
    ----------
    pool : Pool
    length : int
        No more than the pool's times.
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (N, length)
    """
    places = len(pool.donors)
    pick = pool.donors[np.arange(places), (rng.random(places) * pool.count).astype(int)]
    first = rng.integers(0, pool.paths.shape[1] - length + 1, places)
    back, sign = rng.integers(0, 2, (2, places))
    steps = np.arange(length)
    at = first[:, None] + np.where(back[:, None] == 1, length - 1 - steps, steps)
    scale = (2 * sign - 1) * (pool.size / pool.size[pick]) ** pool.power
    return scale[:, None] * pool.paths[pick[:, None], at]


def moments(values, facts, classes=3):
    """Describe how a panel varies around unit means and its groups' mean path.

    Parameters
    ----------
    values : array, shape (units, times)
    facts : DataFrame
        ``treated``, ``weight``, ``cluster`` by unit.
    classes : int
        Equal classes of units by weight.

    Returns
    -------
    Series
        ``autocorrelation_1``, ``_12``, ``_24`` (mean over units; lags that fit), ``within_area``
        (mean correlation between two units of an area), ``unit_sd_1`` … (median standard deviation
        by class, smallest units first), ``area_sd_1`` … (the same for area means).
    """
    of_unit = pd.factorize(facts["cluster"], sort=True)[0]
    size, arm = facts["weight"].to_numpy(dtype=float), facts["treated"].to_numpy()
    area = pd.DataFrame(values * size[:, None]).groupby(of_unit).sum().to_numpy()
    of_area = np.bincount(of_unit, size)
    area = area / of_area[:, None]
    group = pd.Series(arm).groupby(of_unit).first().to_numpy()
    path = np.array([area[group == g].mean(axis=0) for g in (0, 1)])
    r = values - path[arm]
    r = r - r.mean(axis=1, keepdims=True)
    a = area - path[group]
    a = a - a.mean(axis=1, keepdims=True)
    z = r / r.std(axis=1, keepdims=True)
    found = {}
    for lag in (1, 12, 24):
        if lag < values.shape[1]:
            found[f"autocorrelation_{lag}"] = (z[:, lag:] * z[:, :-lag]).mean()
    total = pd.DataFrame(z).groupby(of_unit).sum().to_numpy()
    count = np.bincount(of_unit)
    pairs = (total**2).mean(axis=1) - count
    found["within_area"] = pairs.sum() / max((count * (count - 1)).sum(), 1)
    for name, path, weight in (("unit", r, size), ("area", a, of_area)):
        rank = weight.argsort(kind="stable").argsort() * classes // len(weight)
        for k in range(classes):
            found[f"{name}_sd_{k + 1}"] = np.median(path[rank == k].std(axis=1))
    return pd.Series(found)
