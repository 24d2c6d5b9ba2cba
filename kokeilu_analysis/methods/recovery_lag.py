"""Whether the starting-lag routes find a planted effect at no backlog, and what breaks them.

Panels of `simulate` on the real design with true backlogs drawn within the real evidence ranges.
The truth asked for is always the effect at no backlog. Bias is the mean over draws and their mirror
images, as in `recovery`, and stands beside the bias that theory says.

Two errors of a fitted value sum l_a d_a with loads l_a are compared, both with V, the jackknife
variance of the control mean that all area effects share: HC3 of the line, as `lag.midpoint` gives
it, and s^2 sum l_a^2 with s the standard deviation of the control areas' changes. At an end of a
set the line is the one that attains it; there HC3 divides by almost nothing when one area carries
the slope, the spread of the control areas does not.
"""

from functools import partial

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import exposure, inference, lag, measurement, simulate
from kokeilu_analysis.methods import recovery_scenarios as cases
from kokeilu_analysis.methods.intervals import critical_value
from kokeilu_analysis.methods.recovery import LEVEL, coverage_error, over_draws

COLUMNS = (
    "scenario method draws truth mean_estimate bias bias_mc_error theory_bias coverage "
    "coverage_mc_error median_width oracle_width note"
).split()
ENDS = ("intercept_low", "intercept_high")
SOLVED = ("set", "point")  # what only some draws hold
EVERY = 20  # draws between two for which the set of known backlogs is solved


def table(
    design,
    baseline,
    post,
    draws=2000,
    seed=0,
    effect=-0.5,
    lag_effect=1.0,
    scenarios=cases.SCENARIOS,
    workers=None,
):
    """Plant an effect that fades with the backlog and count how the adjustments fare.

    Parameters
    ----------
    design : simulate.Blueprint
        With weights, clusters and ranges of the backlogs.
    baseline, post : sequence of times
        Windows of the area effects; where capacity is at stake all times from the start are
        "post", since that is what the arithmetic is about.
    draws, seed, workers
        As in `recovery.table`.
    effect : float
        Effect at no backlog, in the unit of the outcome: the truth.
    lag_effect : float
        Change of the effect from backlog 0 to 1.
    scenarios : sequence of recovery_scenarios.Scenario

    Returns
    -------
    DataFrame
        One row for each scenario and method: `truth`, `mean_estimate`, `bias` with its Monte Carlo
        error and `theory_bias` (NaN where theory gives no number, or the answer is a set),
        `coverage` of the truth by the 95 % interval or set with its Monte Carlo error,
        `median_width`, and `oracle_width`, the median width of the interval with true backlogs and
        the spread of the control areas, the error that `cases.WIDENED` adds to the set.

    Raises
    ------
    KokeiluError
        A window reaches outside the simulated times.
    """
    place = design.times.get_indexer(pd.Index(baseline)), design.times.get_indexer(pd.Index(post))
    if min(map(min, place)) < 0:
        raise KokeiluError(
            f"A window reaches outside the simulated {design.times[0]} to {design.times[-1]}."
        )
    work = partial(one, design, place, scenarios, effect, lag_effect, seed)
    found = over_draws(work, draws, workers)
    out = []
    for number, scenario in enumerate(scenarios):
        answers = _Answers(design, scenario, [f[number] for f in found], effect, lag_effect)
        out += answers.rows(len(_windows(design, scenario, place)[1]))
    return pd.DataFrame(out, columns=COLUMNS).round(6)


def area_effects(design, values, place):
    """Return area effects of one simulated panel: changes less the control mean.

    Parameters
    ----------
    design : simulate.Blueprint
    values : array, shape (units, times)
    place : (array of int, array of int)
        Places of the two windows among the times.

    Returns
    -------
    (array of A, array of C)
        Effects of the treated areas, and the changes of the control areas.
    """
    base, post = place
    change = design.share @ (values[:, post].mean(axis=1) - values[:, base].mean(axis=1))
    own = design.areas["treated"].to_numpy() == 1
    control = change[~own]
    return change[own] - np.average(control, weights=design.between.size[~own]), control


def mean_variance(values, weights):
    """Jackknife variances of many weighted means: `inference.mean_error` squared, row by row.

    Parameters
    ----------
    values : array, shape (draws, C)
    weights : array of C

    Returns
    -------
    array, shape (draws,)

    Examples
    --------
    >>> mean_variance(np.array([[0.0, 1, 2]]), np.ones(3)).round(6).tolist()
    [0.333333]
    """
    total, size, count = values @ weights, weights.sum(), len(weights)
    left = (total[:, None] - values * weights) / (size - weights)
    return (count - 1) / count * ((left - total[:, None] / size) ** 2).sum(axis=1)


def lines(effects, backlog, weights, at=0.0):
    """Fit many lines at once: the fitted effect at a backlog.

    Row by row what `lag.midpoint` gives for points; a simulation has too many rows for it.

    Parameters
    ----------
    effects, backlog : array, shape (draws, A)
    weights : array of A
        Sum to one.
    at : float

    Returns
    -------
    (array, array, array), shape (draws,)
        Fitted effect, its HC3 standard error, and the sum of squared loads.

    Examples
    --------
    >>> d, b = np.array([[1.0, 0.7, 0.4]]), np.array([[0, 0.5, 1]])
    >>> fit, _, load = lines(d, b, np.full(3, 1 / 3))
    >>> fit.round(9).tolist(), load.round(4).tolist()    # 5/6, 1/3, -1/6
    ([1.0], [0.8333])
    """
    middle = backlog @ weights
    x = backlog - middle[:, None]
    spread = x**2 @ weights
    slope = (x * effects) @ weights / spread
    mean = effects @ weights
    load = weights * (1 + ((at - middle) / spread)[:, None] * x)
    leverage = weights * (1 + x**2 / spread[:, None])
    rest = effects - mean[:, None] - slope[:, None] * x
    rest = rest / np.maximum(1 - leverage, 1e-9)
    hc3 = np.sqrt(((load * rest) ** 2).sum(axis=1))
    return mean + slope * (at - middle), hc3, (load**2).sum(axis=1)


def one(design, place, scenarios, effect, lag_effect, seed, k):
    """Return for each scenario what draw k holds: area effects, backlogs, sets where asked.

    Residuals are the same in all scenarios.
    """
    drawn = simulate.residuals(design, [seed, k])
    return [
        _held(design, _windows(design, s, place), s, effect, s.slope * lag_effect, seed, k, drawn)
        for s in scenarios
    ]


def _held(design, place, scenario, effect, slope, seed, k, drawn):
    own = design.areas["treated"].to_numpy() == 1
    low, high = (design.areas[c].to_numpy()[own] for c in ("lower", "upper"))
    rng = np.random.default_rng([seed, k, 1])
    found = {"random": low + rng.random(len(low)) * (high - low)}
    for name, sign in (("_mirrored", -1), ("", 1)):
        draw = simulate.draw(
            design, effect, slope, [seed, k], noise=sign, drawn=drawn, **scenario.truth
        )
        d, control = area_effects(design, draw.values, place)
        truth = draw.truth[own]
        found["effects" + name] = d
        found["true" + name] = truth["backlog"].to_numpy()
        found["reported" + name] = truth["backlog_reported"].to_numpy()
    found["controls"] = control
    if cases.UNADJUSTED in scenario.methods:
        base, post = place
        change = draw.values[:, post].mean(axis=1) - draw.values[:, base].mean(axis=1)
        facts = design.units
        found["se"] = inference.difference(
            change, facts["treated"], facts["weight"], facts["cluster"]
        )["se"]
    if scenario.sets and k % scenario.sets == 0:
        if scenario.truth.get("reporting") == "heaped":
            ranges = measurement.heaped(found["reported"], scenario.truth["error"])
            low, high = ranges["lower"].to_numpy(), ranges["upper"].to_numpy()
        found["set"] = _solved(design, found["effects"], low, high, scenario)
    if cases.POINT_SET in scenario.methods and k % EVERY == 0:
        found["point"] = _solved(design, found["effects"], found["true"], found["true"], scenario)
    return found


def _windows(design, scenario, place):
    """The two windows; where capacity is at stake everything from the start is the second."""
    if "capacity" in scenario.truth:
        return place[0], np.flatnonzero(design.times >= design.start)
    return place


def _solved(design, effects, low, high, scenario):
    """Ends of the sharp set and the backlogs that attain them."""
    constraints = None
    if "mean" in scenario.truth:
        every = np.full((1, len(effects)), 1 / len(effects))
        least, most = scenario.truth["mean"]
        constraints = np.vstack([every, -every]), np.array([most, -least]), None, None
    size = design.between.size[design.areas["treated"].to_numpy() == 1]
    bounds = lag.intercept_bounds(
        effects, low, high, size, None, constraints, scenario.reference, 2, ENDS
    )
    return [*bounds.intercept, *(bounds.witness[end] for end in ENDS)]


class _Answers:
    """All draws of one scenario, and the rows that the methods make of them."""

    def __init__(self, design, scenario, found, effect, lag_effect):
        from scipy import special

        own = design.areas["treated"].to_numpy() == 1
        self.scenario, self.found, self.truth = scenario, found, effect
        self.slope = scenario.slope * lag_effect
        self.low, self.high = (design.areas[c].to_numpy()[own] for c in ("lower", "upper"))
        self.w = design.between.size[own] / design.between.size[own].sum()
        self.data = {k: np.array([f[k] for f in found]) for k in found[0] if k not in SOLVED}
        controls = self.data["controls"]
        self.data["s"] = controls.std(axis=1, ddof=1)
        self.data["variance"] = mean_variance(controls, design.between.size[~own])
        half = 0.5 + LEVEL / 2
        self.t_hc3 = special.stdtrit(own.sum() - 2, half)
        self.t_areas = special.stdtrit(len(own) - 1, half)
        self.t_spread = special.stdtrit((~own).sum() - 1, half)
        self.oracle = np.nan

    def rows(self, months):
        scenario = self.scenario
        self.theory = cases.theory(
            scenario, self.low, self.high, self.w, self.truth, self.slope, months
        )
        if "capacity" not in scenario.truth:
            reach = self._line(cases.ORACLE)[2]
            self.oracle = np.median(reach[1] - reach[0])
        rows = []
        for method in scenario.methods:
            if method == cases.UNADJUSTED:
                rows.append(self._row(method, *self._average()))
            elif method in (cases.CAPACITY, cases.RANGED):
                rows.append(self._row(method, *self._full_capacity(method, months)))
            elif method == cases.CORRECTED:
                rows.append(self._row(method, *self._corrected(), None))
            elif method == cases.POINT_SET:
                rows.append(self._known_set())
            else:
                rows.append(self._row(method, *self._line(method)))
        return rows + (self._set() if scenario.sets else [])

    def _row(self, method, fit, mirrored, reach, note=""):
        bias = bias_error = covers = width = np.nan
        draws = len(self.found)
        if fit is not None:
            bias = float((fit + mirrored).mean() / 2 - self.truth)
            bias_error = float(((fit + mirrored) / 2).std() / np.sqrt(draws))
        if reach is not None:
            draws = len(reach[0])
            covers = float(((reach[0] <= self.truth) & (self.truth <= reach[1])).mean())
            width = float(np.median(reach[1] - reach[0]))
        said = (cases.NOTES.get(method, ""), self.scenario.note, note)
        return {
            "scenario": self.scenario.name,
            "method": method,
            "draws": draws,
            "truth": self.truth,
            "mean_estimate": self.truth + bias,
            "bias": bias,
            "bias_mc_error": bias_error,
            "theory_bias": self.theory.get(method, np.nan),
            "coverage": covers,
            "coverage_mc_error": coverage_error(covers, draws),
            "median_width": width,
            "oracle_width": self.oracle,
            "note": "; ".join(filter(None, said)),
        }

    def _average(self):
        fit, mirrored = (self.data[k] @ self.w for k in ("effects", "effects_mirrored"))
        reach = self.t_areas * self.data["se"]
        return fit, mirrored, (fit - reach, fit + reach)

    def _line(self, method):
        data = self.data
        middle = np.broadcast_to((self.low + self.high) / 2, data["true"].shape)
        x, mirrored = {
            cases.MIDDLE: (middle, middle),
            cases.MIDDLE_HC3: (middle, middle),
            cases.MIDDLE_SPREAD: (middle, middle),
            cases.RANDOM: (data["random"], data["random"]),
            cases.REPORTED: (data["reported"], data["reported_mirrored"]),
        }.get(method, (data["true"], data["true_mirrored"]))
        at = self.scenario.reference if method in (cases.FRONTIER, cases.ORACLE) else 0.0
        fit, hc3, load = lines(data["effects"], x, self.w, at)
        image = lines(data["effects_mirrored"], mirrored, self.w, at)[0]
        if method in (cases.MIDDLE_HC3, cases.KNOWN_HC3):
            reach = self.t_hc3 * hc3
        elif method in (cases.MIDDLE_SPREAD, cases.KNOWN_SPREAD, cases.ORACLE):
            reach = self.t_spread * np.sqrt(data["s"] ** 2 * load + data["variance"])
        else:
            reach = self.t_hc3 * np.sqrt(hc3**2 + data["variance"])
        return fit, image, (fit - reach, fit + reach)

    def _corrected(self):
        """Lines with the slope divided by each draw's reliability."""
        sd, w, pair = self.scenario.truth["error"], self.w, []
        for end in ("", "_mirrored"):
            fits = []
            for d, b in zip(self.data["effects" + end], self.data["reported" + end], strict=True):
                r = measurement.reliability(b, sd, w)
                fits.append(measurement.corrected_line(d, b, r, w)["effect"].iloc[0])
            pair.append(np.array(fits))
        return pair

    def _full_capacity(self, method, months):
        """The average divided by the capacity that was free, known or between two limits."""
        phi, clearing = self.scenario.truth["capacity"]
        fit, mirrored, reach = self._average()

        def factor(backlog):
            return exposure.capacity_by_area(1.0, phi, clearing * backlog, float(months), self.w)

        if method == cases.CAPACITY:
            free = np.array([factor(b)[0] for b in self.data["true"]])
            return fit * free, mirrored * free, (reach[0] * free, reach[1] * free)
        limits = factor(np.column_stack([self.low, self.high]))
        ends = [end * limit for end in reach for limit in limits]
        return None, None, (np.min(ends, axis=0), np.max(ends, axis=0))

    def _known_set(self):
        points = np.array([f["point"][:2] for f in self.found if "point" in f])
        exact = lines(self.data["effects"], self.data["true"], self.w)[0][::EVERY]
        furthest = np.abs(points - exact[:, None]).max()
        said = "equal to" if furthest < 1e-9 else "not equal to"
        row = self._row(cases.POINT_SET, None, None, points.T, f"{said} the line to 1e-9")
        return row | {"coverage": np.nan, "coverage_mc_error": np.nan}  # a point covers nothing

    def _set(self):
        kept = np.arange(0, len(self.found), self.scenario.sets)
        solved = [self.found[k]["set"] for k in kept]
        ends = np.array([s[:2] for s in solved]).T
        d, s, v = (self.data[k][kept] for k in ("effects", "s", "variance"))
        rows = [self._row(cases.SET, None, None, ends)]
        at = self.scenario.reference
        both = [lines(d, np.array([found[end] for found in solved]), self.w, at) for end in (2, 3)]
        for method, own in (
            (cases.WIDENED, [s**2 * load for _, _, load in both]),
            (cases.WIDENED_HC3, [hc3**2 for _, hc3, _ in both]),
        ):
            ses = np.sqrt(np.array(own) + v)
            c = np.array(
                [
                    critical_value(width, se, LEVEL)
                    for width, se in zip(ends[1] - ends[0], ses.max(axis=0), strict=True)
                ]
            )
            widened = ends[0] - c * ses[0], ends[1] + c * ses[1]
            rows.append(self._row(method, None, None, widened))
        return rows
