"""Who may stand in as a control: same class, outside a ring of kilometres, nearest on a path."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates, inference
from kokeilu_analysis.methods.frames import arms, needs, periods, unit_table

EARTH_RADIUS_KM = 6371.0088  # mean radius of the IUGG; the sphere is within 0.6 % of the ellipsoid


def distances(places, unit, longitude, latitude):
    """Great-circle distances between units.

    Parameters
    ----------
    places : DataFrame
        One row per unit; `longitude` and `latitude` in degrees (WGS 84).

    Returns
    -------
    DataFrame
        Units × units, kilometres.

    Raises
    ------
    KokeiluError
        A column or coordinate is missing, out of range, or a unit is there twice.

    Examples
    --------
    >>> p = pd.DataFrame({"i": ["a", "b"], "lon": [25.0, 25.0], "lat": [60.0, 61.0]})
    >>> float(distances(p, "i", "lon", "lat").loc["a", "b"].round(2))    # one degree of latitude
    111.2
    """
    needs(places, unit, longitude, latitude)
    if places[unit].duplicated().any():
        twice = places.loc[places[unit].duplicated(), unit].iloc[0]
        raise KokeiluError(f"{unit} {twice} is there twice; expected one place per unit.")
    for column, limit in ((longitude, 180), (latitude, 90)):
        right = places[column].between(-limit, limit)
        if not right.all():
            wrong = places[~right].iloc[0]
            raise KokeiluError(
                f"{column} of {unit} {wrong[unit]} is {wrong[column]}; expected degrees from "
                f"-{limit} to {limit}."
            )
    lon, lat = (np.radians(places[c].to_numpy(dtype=float)) for c in (longitude, latitude))
    half = np.sin((lat[:, None] - lat) / 2) ** 2
    half += np.cos(lat[:, None]) * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
    names = pd.Index(places[unit])
    km = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return pd.DataFrame(km, index=names, columns=names)


def traits(places, km, unit, treated, region, near):
    """What a choice of controls may ask of a unit: how near the treated are, and its region.

    Parameters
    ----------
    places : DataFrame
        One row per unit with `treated` (0/1) and `region`.
    km : DataFrame
        Distances, units × units, from `distances`.
    near : float
        Kilometres within which a control counts as near.

    Returns
    -------
    DataFrame
        The places with ``nearest_trial_km`` (0 for the treated), ``near_trial``,
        ``mixed_region`` (the region has treated units and controls) and ``controls_in_region``.

    Raises
    ------
    KokeiluError
        A column is missing, or a unit has no distances.

    Examples
    --------
    >>> km = pd.DataFrame([[0.0, 5], [5, 0]], index=["a", "b"], columns=["a", "b"])
    >>> p = pd.DataFrame({"i": ["a", "b"], "d": [1, 0], "r": ["x", "x"]})
    >>> found = traits(p, km, "i", "d", "r", near=10).loc[1]
    >>> float(found["nearest_trial_km"]), bool(found["near_trial"])
    (5.0, True)
    """
    needs(places, unit, treated, region)
    absent = places.loc[~places[unit].isin(km.index), unit]
    if len(absent):
        raise KokeiluError(f"{absent.iloc[0]} has no distances; it is not among the places.")
    arm = places[treated] == 1
    nearest_km = km.loc[places[unit], places.loc[arm, unit]].min(axis=1).to_numpy()
    controls = (~arm).groupby(places[region]).sum()
    return places.assign(
        nearest_trial_km=nearest_km,
        near_trial=nearest_km < near,
        mixed_region=places[region].map(places.groupby(region)[treated].nunique()) == 2,
        controls_in_region=places[region].map(controls),
    )


def ring(km, treated, near=0.0, far=np.inf):
    """Whether each control lies in a ring around each treated unit, and near no other one.

    Parameters
    ----------
    km : DataFrame
        Distances, units × units.
    treated : Series of 0/1
        By unit.
    near, far : float
        Kilometres. A control closer than `near` to *any* treated unit may have felt the treatment
        and is out for all; one further than `far` from a treated unit is out for that one.

    Returns
    -------
    DataFrame of bool
        Treated units × controls.

    Raises
    ------
    KokeiluError
        A unit has no distance, or the ring is empty (`near` not below `far`).

    Examples
    --------
    >>> km = pd.DataFrame([[0.0, 5, 50], [5, 0, 45], [50, 45, 0]], index=list("abc"),
    ...                   columns=list("abc"))
    >>> ring(km, pd.Series({"a": 1, "b": 0, "c": 0}), near=30).loc["a"].tolist()
    [False, True]
    """
    if not near < far:
        raise KokeiluError(f"A ring from {near} to {far} km is empty.")
    absent = treated.index.difference(km.index)
    if len(absent):
        raise KokeiluError(f"{absent[0]} has no distances; it is not among the places.")
    arm = treated.to_numpy() == 1
    between = km.loc[treated.index[arm], treated.index[~arm]]
    return (between <= far) & (between.min(axis=0) >= near)


def alike(frame, unit, columns, rows, controls):
    """Whether treated units and controls share the same value of every column.

    Parameters
    ----------
    frame : DataFrame
        Long; the columns are constant by unit.
    rows, controls : Index
        Treated units and controls.

    Returns
    -------
    DataFrame of bool
        Treated units × controls.

    Raises
    ------
    KokeiluError
        A column is missing, changes within a unit or has no value.
    """
    needs(frame, unit, *columns)
    first = frame.groupby(unit)[list(columns)]
    changing = first.nunique(dropna=False).gt(1)
    if changing.to_numpy().any():
        at, column = np.argwhere(changing.to_numpy())[0]
        raise KokeiluError(
            f"{columns[column]} of {unit} {changing.index[at]} changes over time; expected one."
        )
    value = first.first()
    if value.isna().to_numpy().any():
        at, column = np.argwhere(value.isna().to_numpy())[0]
        raise KokeiluError(f"{columns[column]} of {unit} {value.index[at]} is missing.")
    code = value.groupby(list(columns)).ngroup()
    same = code.reindex(rows).to_numpy()[:, None] == code.reindex(controls).to_numpy()
    return pd.DataFrame(same, index=rows, columns=controls)


def nearest(treated_path, control_path, can, neighbours):
    """The nearest controls of each treated unit.

    Parameters
    ----------
    treated_path, control_path : array, shape (treated, times) and (controls, times)
    can : DataFrame of bool
        Treated units × controls: who may be chosen.
    neighbours : int
        Controls per treated unit; equal distances go to the first in order.

    Returns
    -------
    DataFrame
        ``unit``, ``control``, ``distance`` (root mean squared difference of the paths).

    Raises
    ------
    KokeiluError
        A treated unit has fewer controls to choose from than asked.

    Examples
    --------
    >>> can = pd.DataFrame(True, index=["a"], columns=["b", "c"])
    >>> nearest(np.array([[0.0, 0]]), np.array([[3.0, 4], [1, 1]]), can, 1)["control"].tolist()
    ['c']
    """
    if neighbours < 1:
        raise KokeiluError(f"Matching needs at least one neighbour; asked for {neighbours}.")
    enough = can.sum(axis=1) >= neighbours
    if not enough.all():
        short = enough.idxmin()
        raise KokeiluError(
            f"{short} has {can.loc[short].sum()} controls to choose from; expected at least "
            f"{neighbours}. Ask for fewer, or widen the ring."
        )
    rows = []
    for at, name in enumerate(can.index):
        apart = np.sqrt(((control_path - treated_path[at]) ** 2).mean(axis=1))
        apart = np.where(can.iloc[at], apart, np.inf)
        chosen = np.argsort(apart, kind="stable")[:neighbours]
        rows.append(
            pd.DataFrame({"unit": name, "control": can.columns[chosen], "distance": apart[chosen]})
        )
    return pd.concat(rows, ignore_index=True)


def matched(
    frame,
    outcome,
    unit,
    time,
    treated,
    start,
    neighbours=3,
    weights=None,
    cluster=None,
    exact=None,
    allowed=None,
    level_matters=False,
    level=0.95,
    pairs=False,
    path=None,
):
    """Two-by-two against the controls whose path before the start was closest.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start, weights, cluster
        As in `compare.did`; the panel is balanced.
    neighbours : int
        Controls for each treated unit, drawn with replacement, equally weighted.
    exact : list of str, optional
        Columns, constant by unit, that a control must share with the treated unit (region).
    allowed : DataFrame of bool, optional
        Treated units × controls; False takes a control out of reach of one treated unit (see
        `ring`).
    level_matters : bool
        Match the path itself; else what is left of it when each unit's mean is taken away.
    level : float
        Level of the interval.
    pairs : bool
        Also return the pairs.
    path : DataFrame, optional
        Long, the same columns: what is matched on, when that is not the times before `start`.

    Returns
    -------
    DataFrame, or (DataFrame, DataFrame)
        One row of the estimate schema. The interval (cluster jackknife) takes the matches as
        given. With `pairs` also `unit`, ``control``, ``distance`` (root mean squared).

    Raises
    ------
    KokeiluError
        See `unit_table`; also when a treated unit has fewer controls to choose from than asked.

    References
    ----------
    Heckman, Ichimura & Todd 1997, REStud 64(4): matching on the past, differences after.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcd"), 3), "t": [0, 1, 2] * 4,
    ...                   "d": [1] * 3 + [0] * 9, "y": [0.0, 2, 6, 5, 7, 8, 0, 0, 0, 9, 1, 0]})
    >>> float(matched(f, "y", "i", "t", "d", 2, neighbours=2).loc[0, "estimate"])    # 5 - (2 + 0)/2
    4.0
    """
    matrix, facts = unit_table(frame, outcome, unit, time, treated, weights, cluster)
    before, after = periods(matrix, start)
    past = matrix[before].to_numpy()
    if path is not None:
        other, _ = unit_table(path, outcome, unit, time, treated)
        if not other.index.equals(matrix.index):
            raise KokeiluError("The path to match on must hold the units of the frame, no others.")
        past = other.to_numpy()
    if not level_matters:
        past = past - past.mean(axis=1, keepdims=True)
    arm = arms(facts)
    can = pd.DataFrame(True, index=matrix.index[arm], columns=matrix.index[~arm])
    if exact:
        can &= alike(frame, unit, exact, can.index, can.columns)
    if allowed is not None:
        can &= allowed.reindex(index=can.index, columns=can.columns, fill_value=False).astype(bool)
    found = nearest(past[arm], past[~arm], can, neighbours)
    share = pd.Series(facts.loc[arm, "weight"] / neighbours).reindex(found["unit"]).to_numpy()
    drawn = pd.Series(share).groupby(found["control"].to_numpy()).sum()
    w = facts["weight"].where(arm, drawn.reindex(matrix.index)).to_numpy(dtype=float)
    used = np.isfinite(w)
    change = (matrix[after].mean(axis=1) - matrix[before].mean(axis=1)).to_numpy()
    result = inference.difference(
        change[used], arm[used].astype(int), w[used], facts.loc[used, "cluster"], level
    )
    result.pop("se_cr1")
    row = result | {
        "controls": f"{neighbours} nearest of {', '.join(exact) if exact else 'all'}",
        "inference": "cluster jackknife (CR3), t(G-1), matches as given",
        "note": f"{len(drawn)} of {(~arm).sum()} controls used",
    }
    table = estimates.att(
        row, outcome, "matched on the past", weights, before, after, int(used.sum())
    )
    return (table, found.rename(columns={"unit": unit})) if pairs else table
