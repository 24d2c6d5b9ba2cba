"""Panels with a known truth: real areas, weights and residuals, planted effects.

A simulated panel gives each area of a blueprint the path of a real area of similar size, and each
unit, around its area, that of a real unit of similar size: from a random start, in a random
direction of time, with a random sign, rescaled by size. So serial correlation, the bond within
areas and the larger swings of small places are those of the data and no distribution is assumed.
Areas are drawn independently: whatever neighbouring areas share beyond their group's common
movement is not kept.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.blueprints import Blueprint, blueprint, plain
from kokeilu_analysis.methods.design import Design
from kokeilu_analysis.methods.lag_input import shares
from kokeilu_analysis.methods.resample import paths

__all__ = ["Blueprint", "Draw", "Noise", "blueprint", "draw", "panel", "plain", "residuals"]
REPORTING = ("exact", "classical", "berkson", "heaped")
TRUTH = ("tau_a", "backlog", "backlog_reported", "backlog_lower", "backlog_upper")


@dataclass(frozen=True)
class Noise:
    """What happens without any effect: `values` (units, times), `shock` (areas)."""

    values: np.ndarray
    shock: np.ndarray


@dataclass(frozen=True)
class Draw:
    """One simulated panel as arrays: `values` (units, times), `truth` by area (see `TRUTH`)."""

    values: np.ndarray
    truth: pd.DataFrame


def panel(design, effect=0.0, lag_effect=0.0, seed=0, **truth):
    """Simulate one panel whose truth is known.

    Parameters
    ----------
    design : Blueprint or design.Design
        From `blueprint`. A `design.Design` names windows and choices but holds no data; its panels
        come from `plain`.
    effect : float
        Effect on every treated unit from the start on, in the unit of the outcome; where
        `lag_effect` is not zero, the effect at no backlog.
    lag_effect : float
        Change of the effect from backlog 0 to backlog 1: area a's effect is
        ``effect + lag_effect * B_a``.
    seed : int or sequence of int
        The same seed gives the same panel.
    **truth
        See `draw`: confounding, capacity, reporting, place within ranges, size of the noise.

    Returns
    -------
    DataFrame
        Long, the names of the frame that the blueprint was made from, and by area `tau_a` (true
        effect at full capacity; 0 for controls), `backlog` (true), `backlog_reported`,
        `backlog_lower` and `backlog_upper`; shares 0-1, NaN where controls have none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> f = pd.DataFrame({"i": np.repeat(range(8), 6), "t": [*range(6)] * 8,
    ...                   "d": np.repeat([1, 0], 24), "y": rng.normal(size=48)})
    >>> plan = blueprint(f, "y", "i", "t", "d", 4)
    >>> from kokeilu_analysis.methods import compare
    >>> found = compare.did(panel(plan, -0.5, noise=0.0), "y", "i", "t", "d", 4)
    >>> round(float(found.loc[0, "estimate"]), 9)
    -0.5
    """
    if isinstance(design, Design):
        design = plain(design)
    if not isinstance(design, Blueprint):
        raise KokeiluError(
            f"A panel is simulated from a blueprint; found {type(design).__name__}. Make one from "
            "a long frame with simulate.blueprint(frame, outcome, unit, time, treated, start, …)."
        )
    found = draw(design, effect, lag_effect, seed, **truth)
    units, names, length = design.units, design.names, len(design.times)
    columns = {
        names["unit"]: np.repeat(units.index.to_numpy(), length),
        names["time"]: np.tile(design.times.to_numpy(), len(units)),
        names["outcome"]: found.values.ravel(),
        names["treated"]: np.repeat(units["treated"].to_numpy(), length),
    }
    for column, role in (("weight", "weights"), ("cluster", "cluster")):
        if names[role] is not None:
            columns[names[role]] = np.repeat(units[column].to_numpy(), length)
    taken = set(columns) & set(TRUTH)
    if taken:
        raise KokeiluError(f"Column {sorted(taken)[0]!r} holds the truth; rename the frame's own.")
    by_unit = found.truth.iloc[design.of_unit]
    truth = {name: np.repeat(by_unit[name].to_numpy(), length) for name in TRUTH}
    return pd.DataFrame(columns | truth)


def residuals(design, seed):
    """Draw the residuals of one panel.

    Parameters
    ----------
    design : Blueprint
    seed : int or sequence of int

    Returns
    -------
    Noise
        `values` in the unit of the outcome; `shock` is each area's mean from the start on less its
        mean before.
    """
    rng = np.random.default_rng(seed)
    length = len(design.times)
    between = paths(design.between, length, rng)
    within = paths(design.within, length, rng)
    within -= (design.share @ within)[design.of_unit]
    after = np.asarray(design.times >= design.start)
    shock = between[:, after].mean(axis=1) - between[:, ~after].mean(axis=1)
    return Noise(between[design.of_unit] + within, shock)


def draw(
    design,
    effect=0.0,
    lag_effect=0.0,
    seed=0,
    rho=0.0,
    control_backlog=None,
    capacity=(0.0, 0.0),
    reporting="exact",
    error=0.0,
    position=(0.0, 1.0),
    mean=None,
    with_shocks=False,
    noise=1.0,
    drawn=None,
):
    """Simulate one panel as arrays; `panel` is the same as a long frame.

    Parameters
    ----------
    design, effect, lag_effect, seed
        As in `panel`.
    rho : float
        Share of `lag_effect` that is confounding: backlog moves the outcome from the start on with
        or without treatment, in control areas too. The rest is the treatment working less well.
    control_backlog : float, optional
        Mean backlog of control areas, share 0-1; needed when `rho` is not zero. Areas spread
        evenly around it by up to 0.2.
    capacity : (float, float)
        Share of capacity that goes to the backlog until it is cleared, and the months that a
        backlog of 1 takes; area a takes B_a of them. The effect is proportional to what is left.
    reporting : {"exact", "classical", "berkson", "heaped"}
        Reported backlog: the true one; the true one plus an error; a value around which the true
        one errs; the true one rounded to the next multiple of `error`.
    error : float
        Standard deviation of the reporting error, which is even on +-sqrt(3) `error`; the step of
        heaping.
    position : (float, float)
        Where in its range a true backlog lies, drawn evenly: (0, 1) anywhere, (0, 0.2) in the
        lowest fifth. Beyond 0-1 the evidence is wrong.
    mean : (float, float), optional
        True backlogs are drawn until their unweighted mean lies within.
    with_shocks : bool
        The worse an area's own shock, the higher in its range the backlog lies: ranks agree.
    noise : float
        Factor of all residuals; 0 leaves the truth alone, -1 is the mirror image.
    drawn : Noise, optional
        ``residuals(design, seed)``, where it is at hand already.

    Returns
    -------
    Draw

    Raises
    ------
    KokeiluError
        An option is unknown or out of range, or no backlogs meet `mean`.
    """
    drawn = residuals(design, seed) if drawn is None else drawn
    rng = np.random.default_rng(seed).spawn(1)[0]  # the truth does not depend on the residuals
    after = np.asarray(design.times >= design.start)
    treated = design.areas["treated"].to_numpy() == 1
    low, high = (design.areas[c].to_numpy()[treated] for c in ("lower", "upper"))
    backlog = np.full(len(treated), np.nan)
    shock = np.copysign(drawn.shock, noise * drawn.shock)[treated] if with_shocks else None
    backlog[treated] = _backlogs(low, high, position, mean, shock, rng)
    reported = backlog.copy()
    reported[treated] = backlog[treated] = np.clip(backlog[treated], 0.0, 1.0)
    if reporting not in REPORTING:
        raise KokeiluError(f"Reporting {reporting!r} is unknown; known: {', '.join(REPORTING)}.")
    wrong = rng.uniform(-1, 1, treated.sum()) * np.sqrt(3) * error
    if reporting == "classical":
        reported[treated] = np.clip(backlog[treated] + wrong, 0.0, 1.0)
    elif reporting == "berkson":
        backlog[treated] = np.clip(reported[treated] + wrong, 0.0, 1.0)
    elif reporting == "heaped":
        if not 0 < error < 1:
            raise KokeiluError(f"The step of heaping is {error}; give a share such as 0.1.")
        reported[treated] = np.clip(np.round(backlog[treated] / error) * error, 0.0, 1.0)

    shares(rho, "rho")
    if control_backlog is not None:
        middle = shares(control_backlog, "control_backlog")[0]
        spread = min(0.2, middle, 1 - middle)
        backlog[~treated] = middle + spread * rng.uniform(-1, 1, (~treated).sum())
    elif rho:
        raise KokeiluError("Confounding needs the controls' backlog: give `control_backlog`.")
    tau = np.where(treated, effect + (1 - rho) * lag_effect * np.nan_to_num(backlog), 0.0)
    phi, months = capacity
    shares(phi, "capacity")
    left = np.nan_to_num(backlog)[:, None] * months - np.arange(after.sum())
    free = 1 - phi * np.clip(left, 0.0, 1.0)
    moved = tau[:, None] * free + rho * lag_effect * np.nan_to_num(backlog)[:, None]

    values = design.units["level"].to_numpy()[:, None] + design.common + noise * drawn.values
    values[:, after] += moved[design.of_unit]
    truth = pd.DataFrame(
        {
            "tau_a": tau,
            "backlog": backlog,
            "backlog_reported": reported,
            "backlog_lower": design.areas["lower"].to_numpy(),
            "backlog_upper": design.areas["upper"].to_numpy(),
        },
        index=design.areas.index,
    )
    return Draw(values, truth)


def _backlogs(low, high, position, mean, shock, rng):
    """Draw true backlogs within their ranges."""
    for _ in range(1000):
        place = rng.uniform(*position, len(low))
        if shock is not None:
            place = np.sort(place)[shock.argsort().argsort()]
        backlog = low + place * (high - low)
        if mean is None or mean[0] <= backlog.mean() <= mean[1]:
            return backlog
    raise KokeiluError(f"1,000 draws of backlogs had no mean within {mean}; widen it.")
