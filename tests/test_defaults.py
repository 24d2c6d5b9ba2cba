"""What the methods take for granted unless told otherwise, and that saying so changes nothing."""

import inspect

import numpy as np
import pandas as pd
import pytest
from backlog_cases import frame
from panels import NAMES, by_hand

from kokeilu_analysis.methods import (
    adjusted,
    backlog,
    bootstrap,
    clearing,
    compare,
    donors,
    exposure,
    fixed_effects,
    frames,
    inference,
    intervals,
    lag,
    lag_line,
    measurement,
    multiple,
    permutation,
    replies,
    restrictions,
    sensitivity,
    synthetic,
)
from kokeilu_analysis.methods.line_region import Region

D = pd.Series([0.30, 0.55, 0.10, 0.42, 0.20, 0.61])
B = np.array([0.25, 0.5, 0.7, 0.35, 0.9, 0.1])
LINE = (D, B - 0.05, B + 0.05)
UNITS = ([5.0, 6, 7, 0, 1, 0, 1, 2], [1, 1, 1, 0, 0, 0, 0, 0])
COUNTS = (*UNITS, np.ones(8), np.arange(8))
STUDY = ([0.1, 0.2, 0.9], 0.01 * np.eye(3), 2, 1)
PANEL = (by_hand(), *NAMES, 2)
TWO = backlog.FeasibleSet.from_evidence(
    frame(("a", "A", "range", 0.1, 0.6), ("b", "B", "value", 0.5, 0.5)), ["A", "B"]
)
BOUNDS = TWO.bounds_area()
SEEN = pd.DataFrame(
    [("A", 0.8, 0.8, 0.6, 0.7, 1, 2)],
    columns="area_id start_low start_high later_low later_high months_low months_high".split(),
)
PATH = pd.DataFrame(
    {"area_id": list("AABB"), "event_month": [0, 1] * 2, "estimate": [1.0, 2, 3, 4]}
)
CLOCK = PATH.assign(exposure=[0.5, 1.0, 0.6, 1.2])
SUMS = multiple.specification_sums(
    np.array(UNITS[0])[:, None], *np.ones((1, 8)), UNITS[1], range(8)
)
FORMULA = (
    pd.DataFrame({"y": UNITS[0], "d": UNITS[1], "g": range(8)}), "y ~ d", "d", "g",
)  # fmt: skip
NO_TIME = {"weights": None, "mean": None, "constraints": None}
AREAS = NO_TIME | {"at": 0.0, "minimum_areas": 5}

ASSUMED = [
    (bootstrap.wild_cluster, FORMULA, {"draws": 9999, "seed": 0, "weights": None, "level": 0.95,
                                       "null": 0.0}),
    (inference.difference, COUNTS, {"level": 0.95}),
    (inference.difference_covariance, COUNTS, {"kind": "CR3"}),
    (inference.minimum_detectable, (1.0, 9), {"power": 0.8, "level": 0.95}),
    (intervals.imbens_manski, (0.0, 1.0, 1.0, 1.0, 25), {"level": 0.95}),
    (intervals.stoye, (0.0, 1.0, 1.0, 1.0, 25), {"level": 0.95, "correlation": None}),
    (intervals.critical_value, (0.5, 1.0), {"level": 0.95}),
    (multiple.uniform_band, ([1.0], [[1.0]]), {"level": 0.95, "draws": 100_000, "seed": 0}),
    (multiple.romano_wolf, (np.array(UNITS[0])[:, None], UNITS[1]),
     {"clusters": None, "draws": 9999, "seed": 0, "weights": None}),
    (multiple.specification_curve, SUMS, {"draws": 9999, "seed": 0}),
    (permutation.randomization, UNITS, {"clusters": None, "draws": 9999, "seed": 0,
                                        "weights": None, "strata": None,
                                        "statistic": "difference"}),
    (sensitivity.honest, STUDY, {"method": "relative", "m": 1.0, "level": 0.95, "weights": None}),
    (sensitivity.identified_set, (STUDY[0], 2, 1),
     {"method": "relative", "m": 1.0, "weights": None}),
    (sensitivity.honest_table, (*STUDY, "relative", [0.5]), {"level": 0.95, "weights": None}),
    (sensitivity.honest_breakdown, STUDY,
     {"method": "relative", "level": 0.95, "weights": None, "largest": None}),
    (backlog.FeasibleSet.bounds, (TWO, {"A": 1.0}), {"witness": False}),
    (backlog.FeasibleSet.bounds_count_below, (TWO, 0.55), {"margin": 1e-5}),
    (backlog.FeasibleSet.bounds_count_above, (TWO, 0.55), {"margin": 1e-5}),
    (backlog.FeasibleSet.conflicts, (TWO,), {"limit": 20}),
    (backlog.FeasibleSet.contains, (TWO, {"A": 0.3, "B": 0.5}), {"tolerance": 1e-6}),
    (backlog.FeasibleSet.sample, (TWO, 5), {"seed": 0, "corners": 40}),
    (backlog.FeasibleSet.weights, (TWO,), {"kind": "areas", "among": None}),
    (backlog.FeasibleSet.bounds_quantile, (TWO, 0.5), {"weights": None}),
    (clearing.rate_bounds, ((0.8, 0.8), (0.6, 0.7), (1, 2), "constant_net"),
     {"arrivals": (0.0, 0.0)}),
    (clearing.clearing, (SEEN,), {"target": 0.125, "arrivals": (0.0, 0.0)}),
    (clearing.months_at_rate, (BOUNDS, (0.1, 0.2), "constant_plans"), {"target": 0.125}),
    (clearing.work, (BOUNDS, BOUNDS.set_axis(["area_id", "customers_low", "customers_high"],
                                             axis=1), (45, 60), 100.0),
     {"target": 0.0, "customers_per_officer": None, "arrivals": (0.0, 0.0), "months": (0.0, 0.0)}),
    (clearing.covid_share, (TWO,),
     {"weights": None, "factors": (1.25, 1.5, 2.0, 3.0, 5.0), "due": None}),
    (replies.rank_replies, (TWO, {"A": 1.0}), {"grid": 9}),
    (exposure.backlog_path, (0.5, 0.2, "constant_plans", 4), {"floor": 0.0}),
    (exposure.effective_exposure, (BOUNDS, 0.2, "constant_plans", 0.5, 4), {"floor": 0.0}),
    (exposure.per_exposure, (PATH, CLOCK, [0, 2]), {"weights": None, "shared": 0.0}),
    (exposure.detectable, (np.eye(2), [0.0, 2.0]), {"level": 0.95}),
    (lag.frontier_bounds, (*LINE, [0.5], [0.4]),
     NO_TIME | {"tolerance": 1e-5, "minimum_areas": 5}),
    (lag.intercept_bounds, (D,), {"lower": None, "upper": None} | AREAS | {
        "names": ("intercept_low", "intercept_high", "slope_low", "slope_high"),
        "tolerance": 0.0}),
    (lag.solved, (D, np.full(6, 1 / 6), Region(*LINE[1:]), 0.0, lag.ENDS), {"tolerance": 0.0}),
    (lag_line.fitted, (D, B, np.full(6, 1 / 6)), {"at": 0.0}),
    (lag.midpoint, LINE,
     {"weights": None, "level": 0.95, "minimum_areas": 5, "at": 0.0, "shared": 0.0}),
    (lag.rank_replies_effect, (D,), {"lower": None, "upper": None} | AREAS | {"grid": 3}),
    (lag.replies_until_sign, (D, B), {"lower": None, "upper": None} | AREAS | {
        "order": None, "most": None}),
    (lag.leave_out, (*LINE, {"one": [1]}),
     {"weights": None, "constraints": None, "at": 0.0, "shared": 0.0}),
    (lag.set_interval, (D,), {"lower": None, "upper": None} | AREAS | {
        "level": 0.95, "draws": 99, "seed": 0}),
    (lag.ends_interval, (lag.intercept_bounds(*LINE), D),
     {"weights": None, "shared": 0.0, "level": 0.95}),
    (measurement.corrected_line, (D, B, 0.8), {"weights": None, "at": 0.0}),
    (measurement.attenuation_bounds, (D, B), {"weights": None, "r": None, "at": 0.0}),
    (measurement.extrapolate, ([0, 1, 2], [1.0, 0.8, 0.7]), {"extrapolant": "rational"}),
    (measurement.simex_line, (D, B, 0.05),
     {"weights": None, "zeta": (0, 0.5, 1, 1.5, 2), "draws": 400, "seed": 0, "at": 0.0}),
    (measurement.heaped, (B,), {"step": 0.1}),
    (measurement.tilted_line, (D, B, 0.1), {"weights": None, "at": 0.0}),
    (restrictions.manski_tamer, LINE, {"weights": None, "slope_sign": None, "tolerance": None,
                                       "at": 0.0, "level": 0.95, "draws": 200, "seed": 0,
                                       "minimum_areas": 5}),
    (restrictions.monotone_bounds, (*LINE, 0.5),
     {"slope_sign": -1, "tolerance": 0.0, "minimum_areas": 1}),
    (restrictions.lipschitz_bounds, (*LINE, 1.0, 0.5), {"tolerance": 0.0, "minimum_areas": 1}),
    (restrictions.restricted_bounds, (D,), {"lower": None, "upper": None} | AREAS | {
        "slope_sign": None, "steepest": None, "effect": None}),
    (adjusted.doubly_robust, (*PANEL, ["size"]), {"weights": None, "cluster": None, "level": 0.95}),
    (adjusted.trend_adjusted, PANEL, {"weights": None, "cluster": None, "level": 0.95}),
    (adjusted.poisson, PANEL, {"weights": None, "cluster": None, "level": 0.95}),
    (compare.did, PANEL, {"weights": None, "cluster": None, "level": 0.95}),
    (compare.event_study, PANEL,
     {"weights": None, "cluster": None, "base": "last", "level": 0.95}),
    (compare.area_effects, (*PANEL, "cluster"), {"weights": None, "level": 0.95}),
    (donors.matched, PANEL, {"neighbours": 3, "weights": None, "cluster": None, "exact": None,
                             "allowed": None, "level_matters": False, "level": 0.95,
                             "pairs": False, "path": None}),
    (fixed_effects.two_by_two, (frames.panel(*PANEL[:5]), np.array([0, 0, 1, 1])),
     {"level": 0.95}),
    (fixed_effects.by_time, (frames.panel(*PANEL[:5]),), {"base": None, "level": 0.95}),
    (synthetic.synthetic_did, PANEL,
     {"variance": "placebo", "draws": 200, "seed": 0, "level": 0.95, "weights": False}),
    (synthetic.control, PANEL, {"weights": False}),
]  # fmt: skip
BOX = {"lower": LINE[1], "upper": LINE[2]}
SAID = {  # what some need to be told, and fewer draws for those that take long over them
    lag.intercept_bounds: BOX,
    lag.rank_replies_effect: BOX | {"grid": 2},
    lag.replies_until_sign: BOX,
    lag.set_interval: BOX | {"draws": 20},
    restrictions.manski_tamer: {"draws": 5},
    restrictions.restricted_bounds: BOX,
    synthetic.synthetic_did: {"draws": 20},
}


def same(one, other):
    """Whether two answers are equal, whatever they are made of."""
    if isinstance(one, pd.DataFrame | pd.Series):
        return one.equals(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, lag.LineBounds):
        return same(vars(one), vars(other))
    return np.array_equal(one, other, equal_nan=isinstance(one, float | np.ndarray))


@pytest.mark.parametrize(
    ("method", "given", "assumed"), ASSUMED, ids=[method.__qualname__ for method, *_ in ASSUMED]
)
def test_unless_told_otherwise_a_method_assumes_this(method, given, assumed):
    parameters = inspect.signature(method).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == assumed
    said = SAID.get(method, {})
    assert same(method(*given, **said), method(*given, **assumed | said))
