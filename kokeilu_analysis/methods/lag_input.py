"""What the lag estimators are given, checked: effects, weights, limits and statements as arrays."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.line_region import Region


def pair(value, name):
    """Return a number or a (low, high) pair as two floats."""
    pair = np.atleast_1d(np.asarray(value, dtype=float))
    if pair.shape not in ((1,), (2,)) or not np.isfinite(pair).all() or pair[0] > pair[-1]:
        raise KokeiluError(f"`{name}` is {value}; give a number or a (low, high) pair.")
    return float(pair[0]), float(pair[-1])


def shares(values, name):
    """Return numbers as an array, refusing what is not a share between 0 and 1."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    wrong = values[~((values >= 0) & (values <= 1))]
    if len(wrong):
        hint = " Was it given in per cent?" if wrong[0] > 1.5 else ""
        raise KokeiluError(f"`{name}` holds {wrong[0]:g}; expected a share between 0 and 1.{hint}")
    return values


def checked_effects(effects, minimum_areas):
    """Return effects as a Series with unique index and finite values."""
    d = pd.Series(effects, dtype=float)
    if d.index.has_duplicates:
        raise KokeiluError(f"Area {d.index[d.index.duplicated()][0]} has two effects; give one.")
    wrong = d.index[~np.isfinite(d)]
    if len(wrong):
        raise KokeiluError(
            f"Effect of area {wrong[0]} is {d[wrong[0]]}; expected a number. Leave the area out of "
            "effects and limits, or mend it."
        )
    if len(d) < minimum_areas:
        raise KokeiluError(f"{len(d)} areas are too few for a line; at least {minimum_areas}.")
    return d


def matched(values, d, name):
    """Return values as an array in the order of the effects; a Series is matched by area."""
    if isinstance(values, pd.Series) and not values.index.equals(d.index):
        missing, unknown = d.index.difference(values.index), values.index.difference(d.index)
        if len(missing) or len(unknown) or values.index.has_duplicates:
            what = f"lacks area {missing[0]}" if len(missing) else "repeats an area"
            what = f"has area {unknown[0]}, which has no effect" if len(unknown) else what
            raise KokeiluError(f"`{name}` {what}; effects and limits need the same areas.")
        values = values.reindex(d.index)
    values = np.asarray(values, dtype=float)
    if values.shape != (len(d),):
        raise KokeiluError(f"`{name}` has shape {values.shape}; expected one for {len(d)} areas.")
    return values


def checked_weights(weights, d):
    """Return weights that sum to one."""
    w = np.ones(len(d)) if weights is None else matched(weights, d, "weights")
    wrong = ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        area = d.index[int(np.argmax(wrong))]
        raise KokeiluError(f"Weight of area {area} is {w[wrong][0]}; expected zero or more.")
    if not w.sum() > 0:
        raise KokeiluError("All weights are zero; at least two areas need some weight.")
    return w / w.sum()


def box(d, lower, upper):
    """Return limits of the backlogs as two arrays in the order of the effects."""
    limits = []
    for values, name in ((lower, "lower"), (upper, "upper")):
        values = matched(values, d, name)
        wrong = ~((values >= 0) & (values <= 1))
        if wrong.any():
            area, found = d.index[int(np.argmax(wrong))], values[wrong][0]
            hint = " Was it given in per cent?" if found > 1.5 else ""
            raise KokeiluError(
                f"Backlog of area {area}, {name} limit: found {found:g}, expected a share between "
                f"0 and 1.{hint}"
            )
        limits.append(values)
    if (limits[0] > limits[1]).any():
        i = int(np.argmax(limits[0] > limits[1]))
        raise KokeiluError(
            f"Backlog of area {d.index[i]}: lower limit {limits[0][i]:g} is above upper limit "
            f"{limits[1][i]:g}."
        )
    return limits


def evidence_region(d, lower, upper, w, mean, constraints):
    """Return the feasible backlogs as a Region whose first columns are the areas of `d`.

    Arguments as in `lag.intercept_bounds`; `d` and `w` as checked.
    """
    size = len(d)
    if hasattr(constraints, "matrices"):
        region = _region_of_set(d, constraints)
    elif lower is None or upper is None:
        raise KokeiluError("Give `lower` and `upper`, or a feasible set as `constraints`.")
    else:
        region = Region(np.zeros(size), np.ones(size), *_stated(constraints, size))
    if lower is not None or upper is not None:
        default = region.lower[:size], region.upper[:size]
        low, high = box(
            d, default[0] if lower is None else lower, default[1] if upper is None else upper
        )
        low = np.append(np.maximum(low, default[0]), region.lower[size:])
        high = np.append(np.minimum(high, default[1]), region.upper[size:])
        region = replace(region, lower=low, upper=high)
    if mean is not None:
        low, high = pair(mean, "mean")
        shares([low, high], "mean")
        row = np.zeros(len(region.lower))
        row[:size] = w
        if low == high:
            rows, limits = np.vstack([region.equal_rows, row]), np.append(region.equal_limits, low)
            region = replace(region, equal_rows=rows, equal_limits=limits)
        else:
            region = region.with_rows(np.vstack([row, -row]), [high, -low])
    if region.extreme(np.zeros(len(region.lower))) is None:
        raise KokeiluError(
            "No backlogs satisfy the limits and statements together; "
            "`FeasibleSet.conflicts` names the statements that clash."
        )
    return region


def _stated(constraints, size):
    """Return (A_ub, b_ub, A_eq, b_eq) as arrays over `size` areas, None where absent."""
    if constraints is None:
        return ()
    parts = []
    given = *constraints, None, None, None, None
    for rows, limits, name in ((*given[:2], "A_ub"), (*given[2:4], "A_eq")):
        if rows is None or limits is None:
            if rows is not limits:
                raise KokeiluError(f"Constraint {name} lacks its rows or its limits; give both.")
            parts += [None, None]
            continue
        rows, limits = np.atleast_2d(np.asarray(rows, float)), np.atleast_1d(limits).astype(float)
        if rows.shape != (len(limits), size) or not np.isfinite(rows).all():
            raise KokeiluError(
                f"Constraint {name} has shape {rows.shape} for {len(limits)} limits; expected one "
                f"finite number for each of {size} areas."
            )
        if not np.isfinite(limits).all():
            raise KokeiluError(f"Constraint {name} has a limit that is not a number; drop its row.")
        parts += [rows, limits]
    return parts


def _region_of_set(d, feasible):
    """Return a `backlog.FeasibleSet` as a Region with the areas of `d` first."""
    missing = [area for area in d.index if area not in set(feasible.areas)]
    if missing:
        raise KokeiluError(f"Area {missing[0]} has an effect but is not in the feasible set.")
    m = feasible.matrices()
    first = [feasible.areas.index(area) for area in d.index]
    whole = m.integrality == 1
    if whole.any() and (m.lower[whole].min() < 0 or m.upper[whole].max() > 1):
        raise KokeiluError("The feasible set has whole columns other than 0/1; only those work.")
    order = np.array(first + [i for i in range(len(m.lower)) if i not in set(first)])
    return Region(
        m.lower[order],
        m.upper[order],
        m.A_ub.toarray()[:, order],
        np.asarray(m.b_ub, dtype=float),
        m.A_eq.toarray()[:, order],
        np.asarray(m.b_eq, dtype=float),
        np.flatnonzero(m.integrality[order]),
    )
