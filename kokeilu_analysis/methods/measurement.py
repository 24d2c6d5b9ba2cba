"""Errors in the reported backlogs, and what they can do to the line of effects on backlogs.

Two kinds differ. Classical error (report = truth + noise) pulls the slope towards zero by the
reliability r = Var(true)/Var(reported). Berkson error (truth = report + noise, as with middles of
ranges when values are spread evenly) leaves the slope of a line alone. Heaping is an interval,
differential reporting a tilt; all keep the mean effect where it is, so only the slope moves.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.lag_input import box, checked_effects, checked_weights, pair, shares
from kokeilu_analysis.methods.lag_line import line


def reliability(backlog, error_sd, weights=None):
    """Return r = (Var B - error variance) / Var B of reported backlogs.

    Parameters
    ----------
    backlog : Series or array of A
        Reported shares 0-1.
    error_sd : float or array
        Standard deviation of the reporting error, in shares.
    weights : optional

    Examples
    --------
    >>> round(reliability([0.2, 0.4, 0.6, 0.8], 0.1), 4)
    0.8
    """
    b = pd.Series(backlog, dtype=float)
    w = checked_weights(weights, b)
    b, _ = box(b, b, b)
    variance, error = w @ (b - w @ b) ** 2, np.asarray(error_sd, dtype=float) ** 2
    if not (error < variance).all():
        raise KokeiluError(
            f"An error of sd {np.sqrt(np.max(error)):g} is as large as the spread of the reports "
            f"({np.sqrt(variance):g}): nothing would be left of the true differences."
        )
    found = (variance - error) / variance
    return float(found) if found.ndim == 0 else found


def corrected_line(effects, backlog, r, weights=None, at=0.0):
    """Correct the line for classical error: theta1 / r, through the point of means.

    Parameters
    ----------
    effects, backlog, weights
        As in `lag.line`.
    r : float or array
        Reliability, above 0 and at most 1.
    at : float
        Reference backlog of the effect, share 0-1.

    Returns
    -------
    DataFrame
        `r`, `effect` (at the reference), `slope`, and in every row `r_sign_change`: the
        reliability at which the effect is zero, NaN if no reliability between 0 and 1 does it.

    References
    ----------
    Fuller 1987, Measurement Error Models.

    Examples
    --------
    >>> table = corrected_line([0.5, 0.4, 0.2, 0.1], [0.2, 0.4, 0.6, 0.8], [1.0, 0.8])
    >>> table.round(4).values.tolist()
    [[1.0, 0.65, -0.7, nan], [0.8, 0.7375, -0.875, nan]]
    """
    d = checked_effects(effects, 2)
    w, (b, _) = checked_weights(weights, d), box(d, backlog, backlog)
    r = shares(r, "r")
    if (r == 0).any():
        raise KokeiluError("Reliability 0: reports that say nothing of the truth have no line.")
    shares(at, "at")
    theta1 = line(d, b, weights)[1]
    mean, way = float(w @ d.to_numpy()), float(w @ b) - at
    turn = theta1 * way / mean if mean else np.nan
    return pd.DataFrame(
        {
            "r": r,
            "effect": mean - theta1 / r * way,
            "slope": theta1 / r,
            "r_sign_change": turn if 0 < turn < 1 else np.nan,
        }
    )


def attenuation_bounds(effects, backlog, weights=None, r=None, at=0.0):
    """Bound the line when reports carry classical error of unknown size.

    Parameters
    ----------
    effects, backlog, weights, at
        As in `corrected_line`.
    r : (float, float), optional
        Least and greatest reliability. If left out, everything that the spread of the effects
        permits: the slope lies between the line of effects on reports and the inverse of the line
        of reports on effects (then r is at least the squared correlation).

    Returns
    -------
    DataFrame
        One row: `effect_low`, `effect_high`, `slope_low`, `slope_high`, `r_low`, `r_high`.

    References
    ----------
    Frisch 1934, Statistical Confluence Analysis by Means of Complete Regression Systems.

    Examples
    --------
    >>> attenuation_bounds([0.5, 0.4, 0.2, 0.1], [0.2, 0.4, 0.6, 0.8]).round(4).values.tolist()
    [[0.65, 0.6571, -0.7143, -0.7, 0.98, 1.0]]
    """
    d = checked_effects(effects, 2)
    w, (b, _) = checked_weights(weights, d), box(d, backlog, backlog)
    if r is None:
        y, x = d.to_numpy() - w @ d.to_numpy(), b - w @ b
        spread = (w @ x**2) * (w @ y**2)
        # of effects on one line it would be above 1 by a rounding
        r = (min(float((w @ (x * y)) ** 2 / spread), 1.0) if spread > 0 else 1.0, 1.0)
        if r[0] < 1e-12:
            raise KokeiluError(
                "Effects and reports are uncorrelated: without a least reliability any slope of "
                "either sign fits. Give `r`."
            )
    r = pair(r, "r")
    ends = corrected_line(d, b, np.minimum(r, 1.0), w, at)
    return pd.DataFrame(
        {
            "effect_low": [ends["effect"].min()],
            "effect_high": [ends["effect"].max()],
            "slope_low": [ends["slope"].min()],
            "slope_high": [ends["slope"].max()],
            "r_low": [r[0]],
            "r_high": [r[1]],
        }
    )


def extrapolate(zeta, estimates, extrapolant="rational"):
    """Carry estimates made with added error back to no error at all (zeta = -1).

    Parameters
    ----------
    zeta : array of K
        Added error variance as a multiple of the error already there; 0 is the estimate itself.
    estimates : array of K
    extrapolant : {"rational", "quadratic"}
        a + b/(c + zeta) is exact for the slope of a line and needs 3 points; the quadratic is the
        usual habit and falls short.

    Returns
    -------
    float

    References
    ----------
    Cook and Stefanski 1994, Journal of the American Statistical Association 89; Stefanski and
    Cook 1995, same journal 90.

    Examples
    --------
    >>> zeta = np.array([0, 0.5, 1, 1.5, 2])
    >>> naive = 2 / (1 + 0.5 * (1 + zeta))
    >>> round(naive[0], 4), round(extrapolate(zeta, naive, "quadratic"), 5)
    (np.float64(1.3333), 1.79619)
    >>> round(extrapolate(zeta, naive), 9)
    2.0
    """
    zeta, y = np.asarray(zeta, dtype=float), np.asarray(estimates, dtype=float)
    if zeta.shape != y.shape or len(np.unique(zeta)) < 3 or (zeta < 0).any():
        raise KokeiluError("`zeta` needs at least 3 different values from 0, an estimate for each.")
    if not np.isfinite(y).all():
        raise KokeiluError("An estimate is missing or infinite.")
    if extrapolant == "quadratic":
        return float(np.polyval(np.polyfit(zeta, y, 2), -1.0))
    if extrapolant != "rational":
        raise KokeiluError(f"There is no extrapolant {extrapolant!r}; known: rational, quadratic.")
    if np.ptp(y) <= 1e-13 * np.abs(y).max(initial=0.0):
        return float(y.mean())
    # y (c + zeta) = a c + b + a zeta is linear in c, a and the constant.
    columns = np.column_stack([-y, zeta, np.ones(len(y))])
    c, a, constant = np.linalg.lstsq(columns, y * zeta, rcond=None)[0]
    if c <= 1:
        raise KokeiluError(
            f"The rational extrapolant has its pole at zeta = {-c:.3g}, at or inside the way to "
            "-1: the assumed error is too large for these estimates, or their noise is."
        )
    return float(a + (constant - a * c) / (c - 1))


def simex_line(
    effects, backlog, error_sd, weights=None, zeta=(0, 0.5, 1, 1.5, 2), draws=400, seed=0, at=0.0
):
    """Correct the line by simulation: add error, watch the line flatten, extrapolate back.

    For a line `corrected_line` is the same without noise; this is its check, and the way to go
    for curves.

    Parameters
    ----------
    effects, backlog, weights, at
        As in `corrected_line`.
    error_sd : float
        Standard deviation of the error that the reports already carry, in shares.
    zeta : sequence
        As in `extrapolate`; must hold 0.
    draws, seed : int
        Each draw is used with both signs, which halves the noise.

    Returns
    -------
    DataFrame
        One row for each extrapolant: `extrapolant`, `effect`, `slope`, `naive_slope`.

    Examples
    --------
    >>> b = np.linspace(0.1, 0.9, 25)
    >>> table = simex_line(1 - b, b, 0.1, draws=50)
    >>> bool((table["slope"] < table["naive_slope"]).all())
    True
    """
    d = checked_effects(effects, 3)
    w, (b, _) = checked_weights(weights, d), box(d, backlog, backlog)
    naive = line(d, b, weights)[1]
    reliability(b, error_sd, w)  # refuses an error larger than the spread
    y = d.to_numpy() - w @ d.to_numpy()
    noise = np.random.default_rng(seed).normal(0, error_sd, (draws, len(b)))
    noise = np.vstack([noise, -noise])
    slopes = []
    for z in zeta:
        x = b + np.sqrt(z) * noise
        x = x - (x @ w)[:, None]
        slopes.append((((x * y) @ w) / (x**2 @ w)).mean())
    mean, way = float(w @ d.to_numpy()), float(w @ b) - at
    rows = []
    for extrapolant in ("rational", "quadratic"):
        slope = extrapolate(zeta, slopes, extrapolant)
        rows.append((extrapolant, mean - slope * way, slope, naive))
    return pd.DataFrame(rows, columns=["extrapolant", "effect", "slope", "naive_slope"])


def heaped(backlog, step=0.1):
    """Widen reports that are round numbers to the range they may have been rounded from.

    Parameters
    ----------
    backlog : Series or array of A
        Reported shares 0-1.
    step : float
        Rounding in use, as a share: 0.1 for tens of per cent. Other reports stay as they are.

    Returns
    -------
    DataFrame
        `lower`, `upper`, indexed like the reports: limits for `lag.intercept_bounds`.

    Examples
    --------
    >>> heaped([0.6, 0.125, 1.0]).round(3).values.tolist()
    [[0.55, 0.65], [0.125, 0.125], [0.95, 1.0]]
    """
    if not 0 < step < 1:
        raise KokeiluError(f"`step` is {step}; give a share between 0 and 1, such as 0.1.")
    b = pd.Series(backlog, dtype=float)
    shares(b, "backlog")
    is_round = np.abs(b / step - (b / step).round()) < 1e-9
    half = np.where(is_round, step / 2, 0.0)
    return pd.DataFrame({"lower": (b - half).clip(lower=0), "upper": (b + half).clip(upper=1)})


def tilted_line(effects, backlog, tilt, weights=None, at=0.0):
    """Redraw the line when areas reported too much the worse (or the better) they fared.

    True backlog = report - tilt x (effect - mean effect): with a negative outcome effect counted
    as success, a positive tilt means that areas with a large effect number over-reported.

    Parameters
    ----------
    effects, backlog, weights, at
        As in `corrected_line`.
    tilt : float or array
        Shares of backlog per unit of effect.

    Returns
    -------
    DataFrame
        `tilt`, `effect`, `slope`, `possible`: whether all backlogs stay within 0-1. NaN where the
        tilt explains every difference between the reports.

    Examples
    --------
    >>> tilted_line([0.5, 0.4, 0.2, 0.1], [0.2, 0.4, 0.6, 0.8], [0, 0.2])["slope"].round(3).tolist()
    [-0.7, -0.615]
    """
    d = checked_effects(effects, 2)
    w, (b, _) = checked_weights(weights, d), box(d, backlog, backlog)
    tilts = np.atleast_1d(np.asarray(tilt, dtype=float))
    if not np.isfinite(tilts).all():
        raise KokeiluError("`tilt` must be finite numbers.")
    mean = float(w @ d.to_numpy())
    y = d.to_numpy() - mean
    rows = []
    for t in tilts:
        true = b - t * y
        x = true - w @ true
        variance = w @ x**2
        slope = (w @ (x * y)) / variance if variance > 1e-14 else np.nan
        possible = bool((true >= -1e-12).all() and (true <= 1 + 1e-12).all())
        rows.append((t, mean - slope * (float(w @ b) - at), slope, possible))
    return pd.DataFrame(rows, columns=["tilt", "effect", "slope", "possible"])
