"""What a simulated panel is made from: who is treated, how large, and how places moved before.

A blueprint keeps what a real panel looked like before anything happened: who is treated, how large
units are, which area they lie in, and the path of every area and unit around the common movement.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.frames import arms, time_text, unit_table
from kokeilu_analysis.methods.lag_input import box
from kokeilu_analysis.methods.resample import Pool, pool

DONORS = 8  # real paths of similar size that a simulated path is drawn from


@dataclass(frozen=True)
class Blueprint:
    """What `panel` needs of a real panel; made by `blueprint`.

    Attributes
    ----------
    units : DataFrame
        One row a unit: ``treated`` (0/1), ``weight``, ``cluster``, ``level`` (mean outcome).
    areas : DataFrame
        One row a cluster: ``treated``, ``lower`` and ``upper`` (range of the backlog, shares 0-1,
        NaN for controls).
    share : array, shape (areas, units)
        Weight of each unit within its area; rows sum to one.
    of_unit : array of int, shape (units,)
        Row in `areas` of each unit.
    common : array, shape (times,)
        Mean path of all areas.
    between, within : Pool
        Paths of areas, and of units around their area; in the unit of the outcome.
    times : Index
        Times of a simulated panel.
    start : value of `times`
        First treated time.
    names : dict
        Column names of a simulated panel: outcome, unit, time, treated, weights, cluster.
    """

    units: pd.DataFrame
    areas: pd.DataFrame
    share: np.ndarray
    of_unit: np.ndarray
    common: np.ndarray
    between: Pool
    within: Pool
    times: pd.Index
    start: object
    names: dict


def blueprint(
    frame,
    outcome,
    unit,
    time,
    treated,
    start,
    weights=None,
    cluster=None,
    backlog=None,
    until=None,
    times=None,
    donors=DONORS,
):
    """Keep of a real panel what a simulated one needs.

    Parameters
    ----------
    frame, outcome, unit, time, treated, weights, cluster
        As in `compare.did`; balanced in the times used.
    start : value of `time`
        First treated time of simulated panels.
    backlog : DataFrame, optional
        Index: the treated clusters; ``lower``, ``upper``: range of each backlog, shares 0-1. If
        left out nothing is known of any: 0 to 1.
    until : value of `time`, optional
        Last time whose residuals are used; the last before `start` if left out.
    times : sequence of times, optional
        Times of simulated panels, no more than there are residuals. If left out, the last times of
        the frame, as many as there are residuals.
    donors : int
        How many real paths of nearest size a simulated path is drawn from; more where sizes tie.

    Returns
    -------
    Blueprint

    Raises
    ------
    KokeiluError
        See `frames.unit_table`; also when a cluster is partly treated, a group has fewer than two
        clusters, there are too few times, or the backlogs are not shares of the treated clusters.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> f = pd.DataFrame({"i": np.repeat(range(8), 6), "t": [*range(6)] * 8,
    ...                   "d": np.repeat([1, 0], 24), "y": rng.normal(size=48)})
    >>> plan = blueprint(f, "y", "i", "t", "d", 4)
    >>> plan.between.paths.shape, list(plan.times)    # residuals of times 0-3
    ((8, 4), [2, 3, 4, 5])
    """
    known = pd.Index(np.sort(frame[time].unique()), name=time)
    calm = known[known < start] if until is None else known[known <= until]
    if len(calm) < 3:
        raise KokeiluError(f"{len(calm)} times before the start; residuals need at least 3.")
    inside = frame[frame[time].isin(calm)]
    matrix, facts = unit_table(inside, outcome, unit, time, treated, weights, cluster)
    arms(facts)
    times = known[-len(calm) :] if times is None else pd.Index(times, name=time)
    if len(times) > len(calm):
        raise KokeiluError(
            f"A path of {len(times)} times cannot come from {len(calm)} times of residuals; ask "
            "for fewer `times`."
        )
    if start not in times or start == times[0]:
        raise KokeiluError(f"No time of the simulated panel lies before {time_text(start)}.")
    if facts.groupby("cluster")["treated"].nunique().max() > 1:
        raise KokeiluError("A cluster is partly treated; an area has one treatment.")
    of_unit, labels = pd.factorize(facts["cluster"], sort=True)
    arm = facts["treated"].groupby(of_unit).first().to_numpy()
    if min(np.bincount(arm)) < 2:
        raise KokeiluError("A group is a single cluster: it has no residuals. Give two or more.")
    size = facts["weight"].to_numpy(dtype=float)
    share = np.zeros((len(labels), len(size)))
    share[of_unit, np.arange(len(size))] = size
    of_area = share.sum(axis=1)
    share /= of_area[:, None]

    y = matrix.to_numpy()
    centred = y - y.mean(axis=1, keepdims=True)
    between = share @ centred
    within = centred - between[of_unit]
    common = between.mean(axis=0)
    for group in (0, 1):
        own = between[arm == group]
        # taking a mean of G out of each leaves (G-1)/G of the variance
        between[arm == group] = (own - own.mean(axis=0)) * np.sqrt(len(own) / (len(own) - 1))
    varies = within.std(axis=1) > 1e-9 * y.std()  # not so a unit that is its whole area
    facts = facts.assign(level=y.mean(axis=1))
    areas = pd.DataFrame({"treated": arm}, index=pd.Index(labels))
    areas[["lower", "upper"]] = _ranges(areas, backlog)
    return Blueprint(
        facts,
        areas,
        share,
        of_unit,
        common[-len(times) :],
        pool(between, of_area, between.std(axis=1) > 0, donors),
        pool(within, size, varies, donors),
        times,
        start,
        {
            "outcome": outcome,
            "unit": unit,
            "time": time,
            "treated": treated,
            "weights": None if weights == "none" else weights,
            "cluster": cluster,
        },
    )


def plain(design, areas=(25, 45), members=4, seed=0):
    """Make a blueprint from the study's choices alone, for panels that need no real data.

    Parameters
    ----------
    design : design.Design
        Gives baseline, start, main window and names of columns.
    areas : (int, int)
        How many trial and control areas; equal ones, of `members` municipalities each.
    seed : int or sequence of int
        Of the residuals that panels draw from: independent standard normals, so areas are alike
        and months forget each other, which real ones do not.

    Returns
    -------
    Blueprint
        Nothing is known of any backlog: 0 to 1.
    """
    post = design.windows[design.post]
    times = pd.date_range(design.windows["baseline"].first, post.last, freq="MS")
    known = pd.date_range(end=post.last, periods=2 * len(times), freq="MS")
    treated = np.repeat([1, 0], areas)
    names = [f"area {number:02d}" for number in range(1, len(treated) + 1)]
    units = [f"{name}, {member}" for name in names for member in range(1, members + 1)]
    long = len(known) * members
    frame = pd.DataFrame(
        {
            "municipality": np.repeat(units, len(known)),
            "month": np.tile(known, len(units)),
            "is_trial": np.repeat(treated, long),
            design.cluster: np.repeat(names, long),
            design.outcome: np.random.default_rng(seed).normal(size=len(units) * len(known)),
        }
    )
    roles = (design.outcome, "municipality", "month", "is_trial", design.start)
    return blueprint(frame, *roles, cluster=design.cluster, times=times)


def _ranges(areas, backlog):
    """Ranges of the treated areas' backlogs, NaN for controls."""
    ranges = pd.DataFrame(np.nan, index=areas.index, columns=["lower", "upper"])
    own = areas.index[areas["treated"] == 1]
    if backlog is None:
        ranges.loc[own] = [0.0, 1.0]
        return ranges
    absent = [c for c in ranges if c not in backlog.columns]
    if absent:
        raise KokeiluError(f"`backlog` has no column {absent[0]!r}; it needs lower and upper.")
    limits = box(pd.Series(0.0, index=own), backlog["lower"], backlog["upper"])
    ranges.loc[own] = np.column_stack(limits)
    return ranges
