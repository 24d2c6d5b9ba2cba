"""One choice of the main specification changed at a time: robustness checks and threats."""

import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import adjusted, compare, donors
from kokeilu_analysis.methods.frames import needs, windowed


def run(frame, outcome, unit, time, treated, checks, cluster):
    """Estimate the main comparison once for each check.

    Parameters
    ----------
    frame, outcome, unit, time, treated, cluster
        As in `compare.did`; the frame holds every column that a check's condition, weights,
        covariates or own treatment name, and every month of its windows.
    checks : iterable of design.Variant
        `estimator` "did" is the two-by-two, "matched" `donors.matched`, "doubly_robust"
        `adjusted.doubly_robust`, which has no weights.

    Returns
    -------
    DataFrame
        The estimate schema, one row a check, ``spec`` = its name, ``note`` = its condition.

    Raises
    ------
    KokeiluError
        As in the estimators; also when a condition cannot be read or keeps nothing. The message
        begins with the check's name.

    Examples
    --------
    >>> from kokeilu_analysis.methods.design import Variant, Window
    >>> month = pd.to_datetime(["2020-01-01", "2021-01-01"])
    >>> f = pd.DataFrame({"i": [*"aabbccdd"], "t": [*month] * 4, "d": [1] * 4 + [0] * 4,
    ...                   "y": [4.0, 7, 2, 3, 1, 2, 1, 1], "size": [1] * 6 + [9] * 2})
    >>> base, post = Window("base", month[0], month[0]), Window("post", month[1], month[1])
    >>> small = Variant("small", "size < 9", "none", base, post)
    >>> float(run(f, "y", "i", "t", "d", [small], None).loc[0, "estimate"])   # mean(3, 1) - 1
    1.0
    """
    tables = []
    for check in checks:
        try:
            tables.append(_one(frame, outcome, unit, time, treated, check, cluster))
        except KokeiluError as error:
            raise KokeiluError(f"Check {check.spec}: {error}") from error
    return pd.concat(tables, ignore_index=True)


def _one(frame, outcome, unit, time, treated, check, cluster):
    try:
        kept = frame.query(check.keep) if check.keep else frame
    except (NameError, SyntaxError, TypeError, ValueError) as error:
        raise KokeiluError(f"cannot read {check.keep!r}: {error}.") from error
    if kept.empty:
        raise KokeiluError(f"no row meets {check.keep!r}.")
    arm = check.treated or treated
    needs(kept, arm)
    kept = kept.assign(**{arm: kept[arm].astype(int)})
    inside = windowed(kept, time, check.baseline, check.post)
    names = (outcome, unit, time, arm, check.post.first)
    if check.estimator == "did":
        row = compare.did(inside, *names, check.weights, cluster)
    elif check.estimator == "matched":
        path = None
        if check.matched_on is not None:
            path = kept[kept[time].between(check.matched_on.first, check.matched_on.last)]
        row = donors.matched(
            inside, *names, weights=check.weights, cluster=cluster, path=path, **check.options
        )
    else:
        row = adjusted.doubly_robust(inside, *names, **check.options, cluster=cluster)
    said = [check.keep, f"{arm} as treated" if check.treated else "", row.loc[0, "note"]]
    return row.assign(spec=check.spec, note="; ".join(filter(None, said)))
