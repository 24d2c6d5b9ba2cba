"""The two-by-two when the groups differ beforehand: covariates, trends of their own, size.

Each estimator changes one thing against `compare.did`: doubly robust compares areas alike in
covariates, trend-adjusted carries each unit's own trend on, Poisson measures change in per cent.
"""

import warnings

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import estimates, inference
from kokeilu_analysis.methods.frames import arms, needs, panel, periods, unit_table


def doubly_robust(
    frame,
    outcome,
    unit,
    time,
    treated,
    start,
    covariates,
    weights=None,
    cluster=None,
    level=0.95,
):
    """Two-by-two adjusted for covariates; right if either of its two models is right.

    Control units are weighted so that their covariate means equal those of the treated
    (propensity score by inverse probability tilting), and their changes are regressed on the
    covariates with those weights; the effect is the treated's mean change less what the
    regression predicts for them.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start, weights, cluster
        As in `compare.did`; the panel is balanced.
    covariates : list of str
        Numeric columns; of one that varies over time the mean before the start is used. With
        none the result is the two-by-two.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        One row of the estimate schema. The error comes from the influence function summed by
        cluster, with G/(G-1) and t(G-1); ``note`` gives how many equally weighted controls the
        weighted ones are worth.

    Raises
    ------
    KokeiluError
        See `unit_table`; also when a covariate is missing, is not a number or repeats the others,
        or no weights on the controls reach the treated's covariate means (no common support).

    References
    ----------
    Sant'Anna & Zhao 2020, J. Econometrics 219(1), section 3.1, the improved estimator for panels;
    Graham, Pinto & Egel 2012, REStud 79(3), for the tilting.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcdef"), 2), "t": [0, 1] * 6,
    ...                   "d": [1] * 4 + [0] * 8, "x": np.repeat([1, 2, 0, 1, 2, 3], 2),
    ...                   "y": [0.0, 4, 0, 5, 0, 0, 0, 1, 0, 2, 0, 3]})    # controls change by x
    >>> float(doubly_robust(f, "y", "i", "t", "d", 1, ["x"]).loc[0, "estimate"].round(9))
    3.0
    """
    matrix, facts = unit_table(frame, outcome, unit, time, treated, weights, cluster)
    before, after = periods(matrix, start)
    change = (matrix[after].mean(axis=1) - matrix[before].mean(axis=1)).to_numpy()
    x = _covariates(frame, unit, time, start, covariates, matrix.index)
    arm, w = arms(facts), facts["weight"].to_numpy(dtype=float)
    w = w / w.mean()
    odds = np.zeros(len(arm))
    odds[~arm] = _tilting(x, arm, w, covariates)
    scale = np.sqrt(w * odds)[~arm]
    fitted, _, rank, _ = np.linalg.lstsq(scale[:, None] * x[~arm], scale * change[~arm])
    if rank < x.shape[1]:
        raise KokeiluError(f"Covariates {covariates} repeat one another among the controls.")
    rest = change - x @ fitted
    size = (w * arm).sum()
    estimate = (w * arm * rest).sum() / size
    # with an intercept the weighted controls' residuals sum to zero: no term for their mean
    influence = (w * arm * (rest - estimate) - w * odds * rest) / size
    by_cluster = pd.Series(influence).groupby(facts["cluster"].to_numpy()).sum()
    share = (w * odds)[~arm]
    row = {
        "estimate": estimate,
        **_interval(estimate, by_cluster.to_numpy(), level),
        "controls": ", ".join(covariates),
        "note": f"weighted controls worth {share.sum() ** 2 / (share**2).sum():.1f} equal ones",
    }
    return estimates.att(row, outcome, "doubly robust", weights, before, after, len(facts))


def trend_adjusted(
    frame, outcome, unit, time, treated, start, weights=None, cluster=None, level=0.95
):
    """Two-by-two after each unit's own linear trend before the start is carried on and removed.

    Unlike a regression with unit trends over all times, the trend is fitted to the times before
    the start only, so that the effect cannot bend it. A trend carried far is carried with its
    error: the interval widens with the distance. Windows should hold whole years, or the season
    tilts the trend.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start, weights, cluster
        As in `compare.did`. Cells may be missing; weights are constant by unit.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        One row of the estimate schema, error by cluster jackknife (CR3).

    Raises
    ------
    KokeiluError
        See `frames.panel`; also when a unit has fewer than two outcomes before the start or none
        after it, or its weight varies.

    References
    ----------
    Lee & Wooldridge 2023, "A simple transformation approach to difference-in-differences
    estimation for panel data", procedure with unit-specific trends.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcd"), 3), "t": [0, 1, 2] * 4,
    ...                   "d": [1] * 6 + [0] * 6, "y": [0.0, 1, 5, 2, 4, 9, 0, 0, 1, 3, 2, 2]})
    >>> float(trend_adjusted(f, "y", "i", "t", "d", 2).loc[0, "estimate"])    # (3+3)/2 - (1+1)/2
    2.0
    """
    table = panel(frame, outcome, unit, time, treated, weights, cluster)
    matrix, facts = table.matrix, table.facts
    before, after = periods(matrix, start)
    if not table.steady:
        raise KokeiluError(f"{weights} changes over time; expected one weight per unit.")
    y, clock = matrix.to_numpy(), _clock(matrix.columns)
    early = matrix.columns < start
    seen = np.isfinite(y)
    short = (seen[:, early].sum(axis=1) < 2) | (seen[:, ~early].sum(axis=1) < 1)
    if short.any():
        raise KokeiluError(
            f"{unit} {matrix.index[short.argmax()]} has fewer than two outcomes before the start "
            "or none after it; a trend needs both. Drop the unit."
        )
    use = seen & early
    count = use.sum(axis=1, keepdims=True)
    known = np.where(use, y, 0.0)
    middle = (use * clock).sum(axis=1, keepdims=True) / count
    from_middle = clock - middle
    slope = (known * from_middle).sum(axis=1, keepdims=True)
    slope = slope / (use * from_middle**2).sum(axis=1, keepdims=True)
    rest = y - known.sum(axis=1, keepdims=True) / count - slope * from_middle
    change = np.nanmean(rest[:, ~early], axis=1)
    found = inference.difference(change, facts["treated"], facts["weight"], facts["cluster"], level)
    found.pop("se_cr1")
    gaps = f"{table.missing} of {y.size} cells missing" if table.missing else ""
    row = found | {"inference": "cluster jackknife (CR3), t(G-1)", "note": gaps}
    return estimates.att(row, outcome, "unit trends", weights, before, after, len(facts))


def poisson(frame, outcome, unit, time, treated, start, weights=None, cluster=None, level=0.95):
    """Effect on a count as a ratio: Poisson regression with unit and time effects.

    Parallel trends are assumed in per cent, not in persons. A fixed denominator by unit is
    absorbed by the unit effects. On a balanced panel without weights the estimate is the log of
    the double ratio of totals. Estimated by pyfixest.

    Parameters
    ----------
    frame, outcome, unit, time, treated, start, weights, cluster
        As in `compare.did`; outcomes are counts, 0 or more. Cells may be missing.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        One row of the estimate schema; ``estimate`` in log points, 0.1 = 10.5 per cent more.
        Units whose counts are all zero say nothing about a ratio; ``note`` says how many cells
        the regression left out for that.

    Raises
    ------
    KokeiluError
        See `frames.panel`; also when an outcome is negative or the effect is not identified.

    References
    ----------
    Wooldridge 1999, J. Econometrics 90(1): only the mean must be right, not the distribution.

    Examples
    --------
    >>> f = pd.DataFrame({"i": np.repeat(list("abcd"), 2), "t": [0, 1] * 4,
    ...                   "d": [1] * 4 + [0] * 4, "y": [4, 8, 6, 12, 5, 5, 7, 7]})
    >>> float(np.exp(poisson(f, "y", "i", "t", "d", 1).loc[0, "estimate"]).round(6))    # doubled
    2.0
    """
    import pyfixest

    table = panel(frame, outcome, unit, time, treated, weights, cluster)
    facts = table.facts
    before, after = periods(table.matrix, start)
    at, when = np.nonzero(np.isfinite(table.matrix.to_numpy()))
    cells = pd.DataFrame(
        {
            "y": table.matrix.to_numpy()[at, when],
            "unit": at,
            "time": when,
            "effect": arms(facts)[at] * (when >= len(before)),
            "weight": table.cells[at, when],
            "cluster": pd.factorize(facts["cluster"])[0][at],
        }
    )
    if (cells["y"] < 0).any():
        worst = cells.loc[cells["y"].idxmin()]
        raise KokeiluError(
            f"{outcome} of {unit} {table.matrix.index[int(worst['unit'])]} is {worst['y']:g}; "
            "expected a count of 0 or more."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of, cells left out, is counted below
        try:
            fit = pyfixest.fepois(
                "y ~ effect | unit + time",
                cells,
                vcov={"CRV1": "cluster"},
                ssc=pyfixest.ssc(k_adj=False),
                weights=None if weights in (None, "none") else "weight",
                fixef_tol=1e-10,
                iwls_tol=1e-12,
                iwls_maxiter=200,
            )
            estimate, se = float(fit.coef()["effect"]), float(fit.se()["effect"])
        except (KeyError, ValueError, np.linalg.LinAlgError) as error:
            raise KokeiluError(f"The cells do not identify a ratio: {error}.") from error
    groups = cells["cluster"].nunique()
    said = []
    if table.missing:
        said.append(f"{table.missing} of {table.matrix.size} cells missing")
    if fit._N < len(cells):
        said.append(f"{len(cells) - fit._N} cells of units or times with zeros only left out")
    row = {
        "estimate": estimate,
        **_reach(estimate, se, groups, level),
        "inference": "cluster sandwich (CR1) with G/(G-1), t(G-1)",
        "note": "; ".join(said),
    }
    return estimates.att(row, outcome, "Poisson, log points", weights, before, after, len(facts))


def _covariates(frame, unit, time, start, covariates, units):
    """Intercept and standardised covariates, one row per unit."""
    needs(frame, *covariates)
    early = frame[frame[time] < start]
    place = units.get_indexer(early[unit])
    x = np.ones((len(units), 1 + len(covariates)))
    for k, column in enumerate(covariates, start=1):
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise KokeiluError(
                f"Covariate {column} holds {frame[column].dtype}; expected numbers. Make "
                "indicators of the classes first."
            )
        cells = early[column].to_numpy(dtype=float, na_value=np.nan)
        values = pd.Series(cells).groupby(place).mean(skipna=False).to_numpy()
        wrong = ~np.isfinite(values)
        if wrong.any():
            raise KokeiluError(
                f"Covariate {column} of {unit} {units[wrong.argmax()]} is missing or infinite "
                "before the start; expected a number. Fill or drop the unit."
            )
        spread = values.std()
        if spread <= 1e-12 * max(np.abs(values).max(), 1e-300):
            raise KokeiluError(f"Covariate {column} is the same in every unit; leave it out.")
        x[:, k] = (values - values.mean()) / spread
    return x


def _tilting(x, arm, w, names, tolerance=1e-12):
    """Odds exp(x'g) of the controls that give them the treated's covariate means.

    g maximises sum w [D x'g - (1 - D) exp(x'g)], concave, by Newton's method.
    """
    goal = (w[arm, None] * x[arm]).sum(axis=0)
    own, weight = x[~arm], w[~arm]
    g = np.zeros(x.shape[1])
    g[0] = np.log(w[arm].sum() / weight.sum())

    def value(g):
        with np.errstate(over="ignore"):
            return goal @ g - weight @ np.exp(own @ g)

    for _ in range(200):
        odds = np.exp(own @ g)
        score = goal - own.T @ (weight * odds)
        if np.abs(score).max() <= tolerance * np.abs(goal[0]):
            return odds
        try:
            step = np.linalg.solve(own.T @ ((weight * odds)[:, None] * own), score)
        except np.linalg.LinAlgError:
            break
        size, now = 1.0, value(g)
        while size > 1e-10 and not value(g + size * step) >= now - 1e-12 * abs(now):
            size /= 2
        g = g + size * step
        if np.abs(g).max() > 500:
            break
    mean = goal / goal[0]
    beyond = (mean < own.min(axis=0)) | (mean > own.max(axis=0))
    which = ", ".join(np.array(["", *names])[beyond]) or "the covariates together"
    raise KokeiluError(
        f"No weights on the controls reach the covariate means of the treated ({which}): there is "
        "no common support, or the covariates repeat one another. Use fewer covariates, other "
        "weights, or trim the units."
    )


def _clock(times):
    """Times as numbers: months of dates, the numbers themselves, or places in the order."""
    if isinstance(times, pd.DatetimeIndex):
        part = (times.day - 1) / times.days_in_month
        return np.asarray(times.year * 12 + times.month + part, dtype=float)
    if pd.api.types.is_numeric_dtype(times):
        return times.to_numpy(dtype=float)
    return np.arange(len(times), dtype=float)


def _interval(estimate, influence, level):
    """Error and interval from influence summed by cluster, mean zero."""
    groups = len(influence)
    if groups < 3:
        raise KokeiluError(f"Cluster inference needs at least 3 clusters; found {groups}.")
    se = float(np.sqrt(groups / (groups - 1) * (influence**2).sum()))
    return _reach(estimate, se, groups, level) | {
        "inference": "influence function by cluster, G/(G-1), t(G-1)"
    }


def _reach(estimate, se, groups, level):
    from scipy import special

    reach = special.stdtrit(groups - 1, 0.5 + level / 2) * se
    p = 2 * special.stdtr(groups - 1, -abs(estimate) / se) if se > 0 else np.nan
    ends = {"ci_low": estimate - reach, "ci_high": estimate + reach}
    return {"se": se, **ends, "p": p, "n_clusters": groups}
