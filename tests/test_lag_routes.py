"""The adjusted effect by other routes, its sampling error, and what its input must be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from panels import filled
from scipy.special import stdtr

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import lag, lag_line, lag_replies, lag_sampling
from kokeilu_analysis.methods.backlog import FeasibleSet
from kokeilu_analysis.methods.intervals import critical_value
from kokeilu_analysis.methods.lag_input import evidence_region, pair, shares
from kokeilu_analysis.methods.program import Program

AREAS, NAN = list("ABCDEFG"), np.nan
D = pd.Series([0.30, 0.55, 0.10, 0.42, 0.20, 0.61, 0.35], AREAS)
LOW = pd.Series([0.25, 0.4, 0.6, 0.35, 0.5, 0.1, 0.3], AREAS)
HIGH = pd.Series([0.25, 0.6, 0.8, 0.35, 0.9, 0.1, 0.45], AREAS)
MIDDLE = (LOW + HIGH) / 2
W = pd.Series([1.0, 2, 3, 1, 2, 1, 2], AREAS)


def kept_of(*out):
    return [area for area in AREAS if area not in out]


# Routes.


@pytest.mark.parametrize("weights", [None, W])
def test_an_area_left_out_has_no_weight_in_the_bounds_and_no_part_in_the_middles(weights):
    found = lag.leave_out(
        D, LOW, HIGH, {"all": [], "two": ["B", "F"]}, weights, at=0.2, shared=0.03
    ).set_index("left_out")
    w = pd.Series(1.0, AREAS) if weights is None else weights
    for name, out in (("all", []), ("two", ["B", "F"])):
        kept = kept_of(*out)
        bounds = lag.intercept_bounds(D, LOW, HIGH, w.where(w.index.isin(kept), 0.0), at=0.2)
        fit = lag.midpoint(D[kept], LOW[kept], HIGH[kept], w[kept], at=0.2, shared=0.03).iloc[0]
        row = found.loc[name]
        assert (row["bound_low"], row["bound_high"]) == pytest.approx(bounds.intercept)
        for column in ("estimate", "ci_low", "ci_high"):
            assert row[column] == pytest.approx(fit[column])
        assert (row["n_areas"], row["note"]) == (len(kept), "")


def test_what_is_said_of_all_areas_still_holds_when_one_is_left_out():
    mean = (np.array([[1 / 7] * 7, [-1 / 7] * 7]), np.array([0.45, -0.44]), None, None)
    bound = lag.leave_out(D, LOW, HIGH, {"G": ["G"]}, constraints=mean).iloc[0]
    free = lag.leave_out(D, LOW, HIGH, {"G": ["G"]}).iloc[0]
    weights = pd.Series(1.0, AREAS).where(D.index != "G", 0.0)
    direct = lag.intercept_bounds(D, LOW, HIGH, weights, constraints=mean)
    assert (bound["bound_low"], bound["bound_high"]) == pytest.approx(direct.intercept)
    assert bound["bound_high"] - bound["bound_low"] < free["bound_high"] - free["bound_low"]


def test_a_route_that_leaves_too_few_areas_says_so_and_keeps_its_bounds():
    row = lag.leave_out(D, LOW, HIGH, {"most": ["A", "B", "C"]}).iloc[0]
    assert "4 areas are too few" in row["note"] and np.isnan(row["estimate"])
    assert row["n_areas"] == 4 and row["bound_low"] < row["bound_high"]
    with pytest.raises(KokeiluError, match="Route 'odd' leaves out Z"):
        lag.leave_out(D, LOW, HIGH, {"odd": ["Z"]})


@pytest.mark.parametrize("weights", [None, W])
def test_the_mean_of_a_class_has_the_jackknife_error_over_its_areas(weights):
    classes = pd.Series(dict(zip(reversed(AREAS), "xyxyxyz", strict=True)))
    table = lag.by_class(D, classes, weights).set_index("class")
    w = pd.Series(1.0, AREAS) if weights is None else weights
    for label, own in (("x", ["G", "E", "C"]), ("y", ["F", "D", "B"])):
        mean = np.average(D[own], weights=w[own])
        rest = [[a for a in own if a != left] for left in own]
        moved = [np.average(D[r], weights=w[r]) - mean for r in rest]
        reach = 4.302653 * np.sqrt(2 / 3 * np.square(moved).sum())  # t with 2 degrees of freedom
        found = table.loc[label, ["n_areas", "estimate", "ci_low", "ci_high"]].tolist()
        assert found == pytest.approx([3, mean, mean - reach, mean + reach], rel=1e-6)
    alone = table.loc["z"]
    assert alone["estimate"] == D["A"] and np.isnan([alone["ci_low"], alone["ci_high"]]).all()


def test_a_class_of_two_has_an_interval():
    row = lag.by_class(pd.Series([1.0, 3.0]), pd.Series(["a", "a"])).iloc[0]
    # one area left out moves the mean by one; the 97.5 % point of t with 1 degree of freedom
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([2 - 12.706205, 2 + 12.706205])


def test_one_area_is_no_class_to_itself_and_two_are_no_route():
    with pytest.raises(KokeiluError, match="1 areas are too few for a line; at least 2"):
        lag.by_class(D[:1], pd.Series("x", AREAS))
    with pytest.raises(KokeiluError, match="2 areas are too few for a line; at least 5"):
        lag.leave_out(D[:2], LOW[:2], HIGH[:2], {"none": []})


# Sampling.


@pytest.mark.parametrize(("weights", "at"), [(None, 0.0), (W, 0.3)])
def test_for_exact_backlogs_the_ends_have_the_error_of_the_line(weights, at):
    found = lag.intercept_bounds(D, MIDDLE, MIDDLE, weights, at=at)
    row = lag.ends_interval(found, D, weights).iloc[0]
    fit = lag.midpoint(D, MIDDLE, MIDDLE, weights, at=at).iloc[0]
    assert row["se"] == pytest.approx(fit["se"])
    ends = [fit["estimate"] + sign * 1.959964 * fit["se"] for sign in (-1, 1)]
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx(ends, abs=1e-6)
    assert row["estimand"] == f"effect at backlog {at:g}" and row["n_units"] == 7


def test_each_end_is_moved_by_the_error_of_its_own_line():
    found = lag.intercept_bounds(D, LOW, HIGH)
    row = lag.ends_interval(found, D, shared=0.05, level=0.9).iloc[0]
    se = []
    for end in ("intercept_low", "intercept_high"):
        b = found.witness[end]
        alone = lag.midpoint(D, b, b).iloc[0]["se"]
        se.append(np.hypot(alone, 0.05))
    low, high = found.intercept
    moved = (low - row["ci_low"]) / se[0], (row["ci_high"] - high) / se[1]
    assert moved[0] == pytest.approx(moved[1]) and 1.281 < moved[0] < 1.645
    assert moved[0] == pytest.approx(critical_value(high - low, max(se), 0.9))
    assert row["se"] == pytest.approx(max(se))
    plain = lag.ends_interval(found, D, level=0.9).iloc[0]
    assert plain["se"] < row["se"]
    assert "HC3 and control mean" in row["inference"]
    assert "control mean" not in plain["inference"]


def test_the_whole_row_of_an_interval_around_the_ends():
    found = lag.intercept_bounds(D, MIDDLE, MIDDLE, W, at=0.25)
    fit = lag.midpoint(D, MIDDLE, MIDDLE, W, at=0.25)
    assert fit["estimand"].tolist() == ["effect at backlog 0.25", "slope"]
    assert set(fit["estimator"]) == {"least squares on the middles of the ranges"}
    assert set(fit["inference"]) == {"HC3, t(A-2)"} and set(fit["n_units"]) == {7}
    assert set(fit["weights"]) == {"given"}
    assert set(lag.midpoint(D, MIDDLE, MIDDLE)["weights"]) == {"equal"}
    shared = lag.midpoint(D, MIDDLE, MIDDLE, shared=0.1)["inference"].tolist()
    assert shared == ["HC3 and control mean, t(A-2)", "HC3, t(A-2)"]
    value, se = fit.loc[0, "estimate"], fit.loc[0, "se"]
    assert filled(lag.ends_interval(found, D, W).loc[0]) == {
        "estimand": "effect at backlog 0.25",
        "estimator": "sharp bounds of the line",
        "weights": "given",
        "se": pytest.approx(se),
        "ci_low": pytest.approx(value - 1.959964 * se, abs=1e-6),
        "ci_high": pytest.approx(value + 1.959964 * se, abs=1e-6),
        "inference": "Imbens-Manski, c = 1.9600; HC3 at each bound",
        "bound_low": pytest.approx(value),
        "bound_high": pytest.approx(value),
        "n_units": 7,
        "is_main": False,
    }
    row = lag.set_interval(D, LOW, HIGH, draws=20, seed=1).loc[0]
    assert row["weights"] == "equal" and row["inference"].endswith("area bootstraps")
    assert row["estimand"] == "effect at backlog 0" and row["n_units"] == 7


def test_the_whole_frontier_of_a_line_through_two_areas():
    """The line 0.7 - b: 0.4 on average at a mean backlog of 0.3 (weights 3 and 1)."""
    table = lag.frontier([0.5, 0.1], [0.2, 0.6], [0, 0.5, 1], [0.1, 0.4], [3, 1])
    assert table.columns.tolist() == [
        "rho", "control_backlog", "adjusted", "att_common", "breakdown",
    ]  # fmt: skip
    assert table.to_numpy() == pytest.approx(
        np.array(
            [
                [0.0, 0.1, 0.7, 0.4, 0.7],
                [0.0, 0.4, 0.7, 0.4, 0.7],
                [0.5, 0.1, 0.65, 0.5, 0.7],
                [0.5, 0.4, 0.5, 0.35, 0.7],
                [1.0, 0.1, 0.6, 0.6, 0.7],
                [1.0, 0.4, 0.3, 0.3, 0.7],
            ]
        )
    )
    flat = lag.frontier([0.3, 0.3], [0.2, 0.6], 1, 0.5)
    assert np.isnan(flat.loc[0, "breakdown"]) and flat.loc[0, "adjusted"] == pytest.approx(0.3)
    shallow = lag.frontier([0.5, 0.4], [0.2, 0.6], 1, 0.5)  # the line 0.55 - b / 4
    assert shallow.loc[0, "breakdown"] == pytest.approx(2.2)
    for effects in ([3e6, 0.0, 3e6], [0.0, 0.0, 0.0]):  # the slope of the first is a rounding
        flat = lag.frontier(effects, [0.1, 0.2, 0.3], 1, 0.5)
        assert np.isnan(flat.loc[0, "breakdown"])


def test_bounds_without_end_have_no_interval():
    open_ends = lag.intercept_bounds(D, np.full(7, 0.2), np.full(7, 0.7))
    known = lag.intercept_bounds(D, LOW, HIGH)
    one_end = (replace(known, intercept=ends) for ends in ((0.1, np.inf), (-np.inf, 0.1)))
    with pytest.raises(KokeiluError, match="same backlog"):
        lag.frontier_bounds(D, np.full(7, 0.2), np.full(7, 0.7), [0.0], [0.0])
    for found in (open_ends, *one_end):
        with pytest.raises(KokeiluError, match="same backlog"):
            lag.ends_interval(found, D)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_set_with_one_end_only_has_no_interval(sign):
    """An order that goes with the effects settles the sign of the slope, but not its size."""
    effects, equal = sign * np.array([0.0, 0.1, 0.3, 0.5, 0.6]), (np.full(5, 0.2), np.full(5, 0.7))
    order = np.eye(5)[:4] - np.eye(5)[1:], np.zeros(4)
    ends = lag.intercept_bounds(effects, *equal, constraints=order).intercept
    assert np.isinf(ends).sum() == 1
    with pytest.raises(KokeiluError, match="same backlog"):
        lag.set_interval(effects, *equal, constraints=order)


def test_two_areas_alone_set_the_slope():
    two = lag.intercept_bounds([0.5, 0.1], [0.2, 0.6], [0.2, 0.6], minimum_areas=2)
    with pytest.raises(KokeiluError, match="alone sets the slope"):
        lag.ends_interval(two, [0.5, 0.1])


def test_one_area_that_alone_sets_the_slope_has_no_error():
    b = [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.8]
    with pytest.raises(KokeiluError, match="Area G alone sets the slope"):
        lag.midpoint(D, b, b)
    with pytest.raises(KokeiluError, match="All backlogs are equal"):
        lag.midpoint(D, [0.2] * 7, [0.2] * 7)


def test_hc3_error_is_that_of_leaving_each_area_out():
    table = lag.midpoint(D, LOW, HIGH, at=0.1)
    whole = np.polyfit(MIDDLE - 0.1, D, 1)[::-1]
    moved = [np.polyfit(MIDDLE[kept_of(a)] - 0.1, D[kept_of(a)], 1)[::-1] - whole for a in AREAS]
    assert table["estimate"].tolist() == pytest.approx(whole.tolist())
    assert table["se"].tolist() == pytest.approx(np.sqrt(np.square(moved).sum(axis=0)).tolist())
    # the 97.5 % point of t with 5 degrees of freedom
    reach = (table["ci_high"] - table["estimate"]) / table["se"]
    assert reach.tolist() == pytest.approx([2.570582] * 2, rel=1e-6)
    t = table["estimate"] / table["se"]
    assert table["p"].tolist() == pytest.approx((2 * stdtr(5, -t.abs())).tolist())
    shared = lag.midpoint(D, LOW, HIGH, at=0.1, shared=0.2)["se"]
    assert shared[0] == pytest.approx(np.hypot(table["se"][0], 0.2))
    assert shared[1] == pytest.approx(table["se"][1])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_set_interval_comes_from_the_bounds_of_redrawn_areas(sign):
    effects = sign * D
    high = HIGH.where(D.index.isin(["B", "C"]), LOW)
    found = lag.set_interval(effects, LOW, high, W, at=0.1, draws=24, seed=5, level=0.9).iloc[0]
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(7, np.full(7, 1 / 7), size=24)
    ends = np.array(
        [
            lag.intercept_bounds(effects, LOW, high, W * n, at=0.1, names=lag.ENDS[:2]).intercept
            for n in drawn
        ]
    )
    used = ends[np.isfinite(ends).all(axis=1)]
    se, bounds = (
        used.std(axis=0, ddof=1),
        lag.intercept_bounds(effects, LOW, high, W, at=0.1).intercept,
    )
    assert (found["bound_low"], found["bound_high"]) == pytest.approx(bounds)
    assert found["se"] == pytest.approx(se.max(), rel=1e-4)
    moved = bounds[0] - found["ci_low"], found["ci_high"] - bounds[1]
    assert moved[0] / se[0] == pytest.approx(moved[1] / se[1], rel=1e-4)
    assert 1.281 < moved[0] / se[0] < 1.645
    critical = critical_value(bounds[1] - bounds[0], se.max(), 0.9)
    assert moved[0] / se[0] == pytest.approx(critical, rel=1e-4)
    bias = used.mean(axis=0) - bounds
    outer = (
        bounds - np.array([max(bias[0], 0), min(bias[1], 0)]) + np.array([-1, 1]) * 1.644854 * se
    )
    said = found["note"].partition(": ")[2].partition(";")[0].split(" to ")
    assert [float(x) for x in said] == pytest.approx(outer.tolist(), rel=2e-3)
    assert ("left out" in found["note"]) == (len(used) < 24)


def test_too_few_identified_draws_are_no_bootstrap():
    b = [0.2] * 6 + [0.8]
    with pytest.raises(KokeiluError, match="of 20 draws identify the line"):
        lag.set_interval(D, b, b, draws=20)
    for options, said in (({"level": 0.5}, "0.5"), ({"level": 1.0}, "1.0"), ({"draws": 19}, "19")):
        with pytest.raises(KokeiluError, match=said):
            lag.set_interval(D, LOW, HIGH, **options)


def test_draws_without_an_area_of_any_weight_are_left_out():
    w = np.where(D.index < "E", 1.0, 0.0)
    rng = np.random.default_rng(44)
    drawn = rng.multinomial(7, np.full(7, 1 / 7), size=20)
    assert (drawn @ w == 0).sum() == 1
    row = lag.set_interval(D, MIDDLE, MIDDLE, w, draws=20, seed=44).loc[0]
    assert row["note"].endswith("; 1 of 20 draws without bounds left out")
    assert row["inference"].endswith("; 19 area bootstraps")
    lines = [lag.line(D, MIDDLE, w * n)[0] for n in drawn if w @ n > 0]
    assert row["se"] == pytest.approx(np.std(lines, ddof=1))


def test_nine_draws_of_ten_are_enough():
    b = [0.2] * 5 + [0.8] * 2
    row = lag.set_interval(D, b, b, draws=20, seed=4).loc[0]
    assert row["note"].endswith("; 2 of 20 draws without bounds left out")


B14 = np.sort(np.random.default_rng(2).uniform(0.2, 0.8, 14))
LONG = dict(  # a search with several vertices to look at
    effects=1 - B14 + 0.02 * np.cos(np.arange(14)),
    lower=B14 - 0.06,
    upper=B14 + 0.06,
    mean=(B14.mean() - 0.005, B14.mean() + 0.005),
)


@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_what_a_short_search_leaves_unproven_widens_the_ends_and_is_said(unit, monkeypatch):
    long = LONG | {"effects": unit * LONG["effects"]}
    whole = lag.intercept_bounds(**long, names=lag.ENDS[:2])
    assert whole.note == "" and whole.gap < 1e-9 * unit
    monkeypatch.setattr(lag_replies, "MOST_NODES", 1)
    first = lag.replies_until_sign(truth=B14, most=0, **long).loc[0]
    d, w = pd.Series(long["effects"]), np.full(14, 1 / 14)
    region = evidence_region(d, long["lower"], long["upper"], w, long["mean"], None)
    region = replace(region, most_nodes=1)
    ended, _, gap = lag.solved(d, w, region, 0.0, lag.ENDS[:2])
    assert gap > 1e-3 * unit
    wider = ended["intercept_low"] - gap, ended["intercept_high"] + gap
    assert (first["bound_low"], first["bound_high"]) == pytest.approx(wider, rel=1e-12)
    assert lag_sampling._ends(d, w, region, 0.0) == pytest.approx(wider, rel=1e-12)
    monkeypatch.setattr(lag_line, "evidence_region", lambda *_: region)
    found = lag.intercept_bounds(**long, names=lag.ENDS[:2])
    assert found.note == f"The search ended early: an end may lie up to {gap:.2g} further out."


# Replies.

SIGN = pd.Series([-0.1, 0.15, -0.3, 0.02, -0.2, 0.21, -0.05], AREAS)


def test_replies_in_a_given_order_are_taken_in_it_and_no_more_than_asked():
    options = dict(lower=LOW, upper=HIGH, at=0.4)
    first = lag.replies_until_sign(SIGN, MIDDLE, order=["E", "B"], most=1, **options)
    assert first["area_id"].tolist()[1:] in ([], ["E"])
    whole = lag.replies_until_sign(SIGN, MIDDLE, order=["E", "B"], **options)
    assert whole["area_id"].tolist()[1:] == ["E", "B"][: len(whole) - 1]
    for k, row in whole.iterrows():
        known = ["E", "B"][:k]
        low, high = LOW.copy(), HIGH.copy()
        low[known] = high[known] = MIDDLE[known]
        bounds = lag.intercept_bounds(SIGN, low, high, at=0.4).intercept
        assert (row["bound_low"], row["bound_high"]) == pytest.approx(bounds)
        assert row["settled"] == (bounds[0] > 0 or bounds[1] < 0)
    with pytest.raises(KokeiluError, match="names area Z"):
        lag.replies_until_sign(SIGN, MIDDLE, order=["Z"], **options)
    with pytest.raises(KokeiluError, match="contradicts the evidence"):
        lag.replies_until_sign(SIGN, MIDDLE + 0.2, **options)


def settling(sign, **options):
    """Areas asked until the sign is settled, where the effect at no backlog is positive."""
    low, high = LOW.where(D.index != "E", 0.0), HIGH.where(D.index != "E", 1.0)
    return lag.replies_until_sign(sign * (D - 0.45), MIDDLE, low, high, **options)


def test_the_area_asked_first_is_the_one_that_leaves_least():
    table = settling(1)
    widths = {}
    for area in AREAS:
        low, high = LOW.where(D.index != "E", 0.0), HIGH.where(D.index != "E", 1.0)
        low[area] = high[area] = MIDDLE[area]
        widths[area] = np.ptp(lag.intercept_bounds(D - 0.45, low, high).intercept)
    assert not table.loc[0, "settled"] and len(table) > 1
    assert table.loc[1, "area_id"] == min(widths, key=widths.get) == "E"
    assert np.ptp(table.loc[1, ["bound_low", "bound_high"]]) == pytest.approx(widths["E"])


def test_a_given_order_is_kept_though_another_area_would_tell_more():
    table = settling(1, order=["G", "E"], most=1)
    assert table["area_id"].tolist()[1:] == ["G"] and table["replies"].tolist() == [0, 1]
    assert not table["settled"].any()


def test_turning_the_effects_round_turns_the_replies_round():
    one = settling(1)
    other = settling(-1, order=one["area_id"].tolist()[1:])
    assert one["settled"].iloc[-1] and one["bound_low"].iloc[-1] > 0
    assert other[["replies", "area_id", "settled"]].equals(one[["replies", "area_id", "settled"]])
    assert other["bound_low"].tolist() == pytest.approx((-one["bound_high"]).tolist())
    ranked, turned = (
        lag.rank_replies_effect(sign * SIGN, LOW, HIGH, W, at=0.4, grid=2) for sign in (1, -1)
    )
    pd.testing.assert_frame_equal(ranked, turned, atol=1e-7)
    assert (
        ranked.columns.tolist()
        == (
            "rank area_id bound_low bound_high width_now width_worst width_best width_mean "
            "gain_worst gain_best gain_mean share_signed"
        ).split()
    )


def test_an_area_that_is_known_or_has_no_weight_is_not_asked():
    low, high = np.full(6, 0.2), np.full(6, 0.7)
    low[1] = high[1] = 0.3
    table = lag.replies_until_sign(
        D[:6].to_numpy(), np.full(6, 0.3), low, high, [0, 1, 1, 1, 1, 1], most=1
    )
    assert table["area_id"].tolist()[1:] == [2]  # all tell as much, nothing; the first counts


def test_an_area_without_weight_is_asked_where_a_statement_links_it_to_others():
    low, high = [0.2, 0.3, 0.1, 0.4, 0.0], [0.4, 0.5, 0.9, 0.5, 1.0]
    same = (None, None, [[0, 0, 1, 0, -1]], [0])  # the last one has the backlog of the third
    linked = {"weights": [1, 1, 1, 1, 0], "constraints": same}
    table = lag.rank_replies_effect([0.3, 0.5, 0.1, 0.42, 0.2], low, high, grid=3, **linked)
    rows = table.set_index("area_id").drop(columns="rank")
    assert rows.loc[4].tolist() == rows.loc[2].tolist() and rows.loc[4, "gain_mean"] > 0


def test_equal_backlogs_identify_no_line_and_settle_no_sign():
    half = np.full(len(D), 0.5)
    table = lag.replies_until_sign(D.to_numpy(), half, half - 0.3, half + 0.3)
    assert len(table) == len(D) + 1 and not table["settled"].any()
    assert table[["bound_low", "bound_high"]].iloc[-1].tolist() == [-np.inf, np.inf]


def test_where_nothing_is_bounded_the_replies_that_leave_least_come_first():
    """All backlogs could be equal; the first four areas' answers, at an end, exclude that."""
    low, high = [0.0, 0.1, 0.3, 0.3, 0.35, 0.3], [1.0, 0.9, 0.5, 0.5, 0.5, 0.45]
    table = lag.rank_replies_effect([0.1, 0.3, 0.5, 0.2, 0.4, 0.6], low, high, grid=2)
    assert table["area_id"].tolist() == [0, 1, 3, 2, 4, 5]  # by the mean width
    assert np.isinf(table["width_now"]).all()
    assert table["gain_mean"].tolist() == [np.inf] * 4 + [0.0] * 2
    assert table["gain_worst"].tolist() == [np.inf] * 4 + [0.0] * 2
    assert np.isfinite(table["width_worst"]).tolist() == [True] * 4 + [False] * 2
    with pytest.raises(KokeiluError, match="at least 2"):
        lag.rank_replies_effect(D, LOW, HIGH, grid=1)


def test_answers_after_which_the_sign_is_known_are_counted():
    table = lag.rank_replies_effect(SIGN, LOW, HIGH, W, at=0.4, grid=4).set_index("area_id")
    now = lag.intercept_bounds(SIGN, LOW, HIGH, W, at=0.4).intercept
    for area in ("E", "C", "A"):
        answers = np.linspace(LOW[area], HIGH[area], 4) if LOW[area] < HIGH[area] else [LOW[area]]
        ends = []
        for x in answers:
            low, high = LOW.copy(), HIGH.copy()
            low[area] = high[area] = x
            ends.append(lag.intercept_bounds(SIGN, low, high, W, at=0.4).intercept)
        widths = [high - low for low, high in ends]
        row = table.loc[area]
        assert row["width_now"] == pytest.approx(now[1] - now[0], abs=1e-7)
        expected = [max(widths), min(widths), np.mean(widths)]
        assert row[["width_worst", "width_best", "width_mean"]].tolist() == pytest.approx(
            expected, abs=1e-7
        )
        assert row["gain_mean"] == pytest.approx(now[1] - now[0] - np.mean(widths), abs=1e-7)
        assert row["share_signed"] == np.mean([low > 0 or high < 0 for low, high in ends])
    assert table["gain_mean"].is_monotonic_decreasing
    assert table["rank"].tolist() == list(range(1, 8))
    assert set(table["share_signed"]) == {0.0, 0.5}


def test_a_backlog_that_is_no_share_is_refused_as_reference_of_replies():
    for call in (
        lambda: lag.rank_replies_effect(D, LOW, HIGH, at=1.5),
        lambda: lag.replies_until_sign(D, MIDDLE, LOW, HIGH, at=-0.5),
        lambda: lag.set_interval(D, LOW, HIGH, at=1.5),
    ):
        with pytest.raises(KokeiluError, match="`at` holds"):
            call()


def test_replies_about_either_or_statements_are_answered_where_they_can_be():
    """One of the two areas lies at 0.6 or above; a reply of one below says which."""
    rows = [("A", "range", 0.1, 0.15), ("B", "range", 0.2, 0.25), ("C", "range", 0.3, 0.9)]
    rows += [("D", "range", 0.5, 0.9), ("E", "range", 0.8, 0.85), ("C;D", "few_below", NAN, 0.6)]
    evidence = pd.DataFrame(rows, columns=["subject", "kind", "lower", "upper"])
    evidence = evidence.assign(count_high=np.where(evidence["kind"] == "few_below", 1.0, NAN))
    feasible = FeasibleSet.from_evidence(evidence, AREAS[:5])
    effects = pd.Series([0.5, 0.45, 0.3, 0.25, 0.1], AREAS[:5])
    truth = pd.Series([0.12, 0.22, 0.4, 0.7, 0.82], AREAS[:5])
    table = lag.replies_until_sign(
        effects - 0.4, truth, constraints=feasible, at=0.5, order=["C"], most=1
    )
    low, high = ([0.1, 0.2, 0.4, end, 0.8] for end in (0.6, 0.9))
    high = [0.15, 0.25, 0.4, 0.9, 0.85]
    told = lag.intercept_bounds(effects - 0.4, low, high, at=0.5).intercept
    assert table["area_id"].tolist()[1:] in ([], ["C"])
    if len(table) > 1:
        row = table.iloc[1]
        assert (row["bound_low"], row["bound_high"]) == pytest.approx(told, abs=1e-7)
    both_below = truth.where(truth != 0.7, 0.5)
    with pytest.raises(KokeiluError, match="contradicts the evidence"):
        lag.replies_until_sign(effects, both_below, constraints=feasible)


# Input.


@pytest.mark.parametrize("value", [[2, 1], [1, 2, 3], np.nan, [0, np.inf], [[1, 2]], []])
def test_a_pair_is_a_number_or_two_in_order(value):
    with pytest.raises(KokeiluError, match=r"`x` is .*; give a number or a \(low, high\) pair"):
        pair(value, "x")
    assert pair(0.5, "x") == (0.5, 0.5) and pair((0.5, 0.5), "x") == (0.5, 0.5)


def test_shares_lie_between_zero_and_one_and_percentages_are_suspected():
    assert shares([0, 1, 0.5], "x").tolist() == [0, 1, 0.5]
    for value, hinted in ((-0.01, False), (1.01, False), (1.5, False), (1.51, True), (80, True)):
        with pytest.raises(KokeiluError, match="expected a share") as caught:
            shares([0.5, value], "x")
        assert ("per cent" in str(caught.value)) == hinted
    with pytest.raises(KokeiluError, match="expected a share"):
        shares(np.nan, "x")
    with pytest.raises(KokeiluError, match="`x` holds 80; .* per cent"):  # the first of two
        shares([0.5, 80, -1], "x")


@pytest.mark.parametrize(
    ("value", "hinted"), [(-0.01, False), (1.01, False), (1.5, False), (1.51, True)]
)
def test_a_backlog_that_may_be_in_per_cent_is_suspected_with_its_area(value, hinted):
    with pytest.raises(KokeiluError, match=f"area B, upper limit: found {value}, ") as caught:
        lag.intercept_bounds(D, LOW, HIGH.where(HIGH != 0.6, value))
    assert ("per cent" in str(caught.value)) == hinted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effects": D.rename({"B": "A"})}, "Area A has two effects"),
        ({"lower": LOW.rename({"B": "A"})}, "lacks area B"),
        ({"lower": pd.concat([LOW, LOW[:1]])}, "repeats an area"),
        ({"upper": HIGH.where(HIGH != 0.6, np.nan)}, "area B, upper limit: found nan"),
        ({"weights": W.where(W < 3, np.inf)}, "Weight of area C is inf"),
        ({"weights": W.where(W < 3, np.nan)}, "Weight of area C is nan"),
        ({"at": -0.1}, "between 0 and 1"),
        ({"at": 1.1}, "between 0 and 1"),
        ({"mean": (0.5, 0.4)}, "`mean`"),
        ({"constraints": (np.eye(7), None)}, "A_ub lacks its rows or its limits"),
        ({"constraints": (None, None, None, [1.0])}, "A_eq lacks its rows or its limits"),
        ({"constraints": (np.eye(7), np.full(7, np.nan))}, "limit that is not a number"),
        ({"constraints": (np.full((1, 7), np.inf), [1.0])}, "finite number for each of 7"),
        ({"constraints": (np.eye(7)[:2], [1.0])}, r"shape \(2, 7\) for 1 limits"),
        ({"constraints": ([[1, 0, 0, NAN, 0, 0, 0]], [1.0])}, "finite number for each of 7"),
        ({"constraints": (np.eye(7)[:2], [1.0, NAN])}, "limit that is not a number"),
        ({"constraints": (None, None, np.eye(7)[:1], [0.9])}, "No backlogs satisfy"),
    ],
)
def test_input_that_cannot_be_meant_is_refused_with_its_place(change, said):
    with pytest.raises(KokeiluError, match=said):
        lag.intercept_bounds(**{"effects": D, "lower": LOW, "upper": HIGH} | change)


def test_limits_of_the_mean_are_two_statements_about_all_areas():
    w = (W / W.sum()).to_numpy()
    rows = np.array([w, -w]), np.array([0.46, -0.44]), None, None
    told = lag.intercept_bounds(D, LOW, HIGH, W, mean=(0.44, 0.46))
    stated = lag.intercept_bounds(D, LOW, HIGH, W, constraints=rows)
    assert told.intercept == pytest.approx(stated.intercept)
    assert told.slope == pytest.approx(stated.slope)
    free = lag.intercept_bounds(D, LOW, HIGH, W)
    assert np.ptp(told.intercept) < np.ptp(free.intercept)
    exact = lag.intercept_bounds(D, LOW, HIGH, W, mean=0.45)
    assert np.ptp(exact.intercept) < np.ptp(told.intercept)


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (0.0, 2.0)])
def test_a_whole_number_that_is_no_choice_is_refused(limits):
    class Counted:
        areas = AREAS

        def matrices(self):
            p = Program()
            p.columns(LOW, HIGH)
            p.columns([0.0], [1.0], whole=True)  # a choice; it does not excuse the other
            p.columns([limits[0]], [limits[1]], whole=True)
            return p.matrices()

    with pytest.raises(KokeiluError, match="other than 0/1"):
        lag.intercept_bounds(D, constraints=Counted())
    with pytest.raises(KokeiluError, match="Area Z has an effect but is not in the feasible set"):
        lag.intercept_bounds(D.rename({"A": "Z"}), constraints=Counted())


def test_the_edges_of_the_reference_and_one_limit_alone_are_accepted():
    for at in (0.0, 1.0):
        assert np.isfinite(lag.intercept_bounds(D, LOW, HIGH, at=at).intercept).all()
    low, high = LOW.copy(), HIGH.copy()
    low["B"] = high["B"] = 0.5
    told = (None, None, [[0, 1, 0, 0, 0, 0, 0]], [0.5])
    known = lag.intercept_bounds(D, LOW, HIGH, constraints=told)
    assert known.intercept == pytest.approx(lag.intercept_bounds(D, low, high).intercept)


def test_evidence_becomes_this_region():
    d, w = pd.Series([1.0, 2, 4], list("ABC")), np.array([0.5, 0.25, 0.25])
    low, high = pd.Series([0.2, 0.1, 0.0], list("CBA")), [0.9, 0.8, 0.7]
    stated = ([[1, 0, -1]], [0.1], [[0, 1, 1]], [0.9])
    region = evidence_region(d, low, high, w, (0.4, 0.5), stated)
    assert region.lower.tolist() == [0.0, 0.1, 0.2] and region.upper.tolist() == [0.9, 0.8, 0.7]
    assert region.rows.tolist() == [[1, 0, -1], [0.5, 0.25, 0.25], [-0.5, -0.25, -0.25]]
    assert region.limits.tolist() == [0.1, 0.5, -0.4]
    assert region.equal_rows.tolist() == [[0, 1, 1]] and region.equal_limits.tolist() == [0.9]
    assert region.whole.tolist() == [] and not region.is_box()
    exact = evidence_region(d, low, high, w, 0.45, stated[:2])
    assert exact.rows.tolist() == [[1, 0, -1]] and exact.equal_limits.tolist() == [0.45]
    assert exact.equal_rows.tolist() == [[0.5, 0.25, 0.25]]
    assert evidence_region(d, low, high, w, None, None).is_box()
    for short in (stated[:1], (None, None, None), (*stated[:3],)):
        if len(short) != 3 or short[0] is not None:
            with pytest.raises(KokeiluError, match="lacks its rows or its limits"):
                evidence_region(d, low, high, w, None, short)
        else:
            assert evidence_region(d, low, high, w, None, short).is_box()
    for one in ((None, high), (low, None)):
        with pytest.raises(KokeiluError, match="Give `lower` and `upper`"):
            evidence_region(d, *one, w, None, None)


def test_a_feasible_set_becomes_a_region_with_the_areas_of_the_effects_first():
    class Known:
        areas = ["Z", "A", "B"]

        def matrices(self):
            p = Program()
            p.columns([0.1, 0.2, 0.3], [0.7, 0.8, 0.9])
            z = p.columns([0.0], [1.0], whole=True)
            p.row([0, 1, z[0]], [1.0, 2.0, 3.0], high=2.5)
            p.row([2, z[0]], [1.0, 1.0], 0.8, 0.8)
            return p.matrices()

    d = pd.Series([1.0, 2.0], ["B", "A"])
    region = evidence_region(d, None, None, np.array([0.5, 0.5]), None, Known())
    assert region.lower.tolist() == [0.3, 0.2, 0.1, 0] and region.upper.tolist() == [
        0.9,
        0.8,
        0.7,
        1,
    ]
    assert region.rows.tolist() == [[0, 2, 1, 3]] and region.limits.tolist() == [2.5]
    assert region.equal_rows.tolist() == [[1, 0, 0, 1]] and region.equal_limits.tolist() == [0.8]
    assert region.whole.tolist() == [3]
    narrow = evidence_region(d, [0.5, 0.1], [1.0, 0.6], np.array([0.5, 0.5]), 0.55, Known())
    assert narrow.lower.tolist() == [0.5, 0.2, 0.1, 0] and narrow.upper.tolist() == [
        0.9,
        0.6,
        0.7,
        1,
    ]
    assert narrow.equal_rows.tolist() == [[1, 0, 0, 1], [0.5, 0.5, 0, 0]]
    one_side = evidence_region(d, None, [0.6, 0.6], np.array([0.5, 0.5]), None, Known())
    assert one_side.lower.tolist() == [0.3, 0.2, 0.1, 0]
    assert one_side.upper.tolist() == [0.6, 0.6, 0.7, 1]


def test_chords_are_added_until_none_is_further_off_than_asked():
    asked = []

    def square(r):
        asked.append(r)
        return (r - 0.3) ** 2, 2 * (r - 0.3)

    for tolerance, most in ((1e-2, 17), (1e-4, 129)):
        asked.clear()
        places, values = lag._chords(square, 0.0, 1.0, tolerance)
        assert places == sorted(places) and (places[0], places[-1]) == (0.0, 1.0)
        assert values == [(r - 0.3) ** 2 for r in places] and sorted(asked) == places
        grid = np.linspace(0, 1, 5001)
        off = np.interp(grid, places, values) - (grid - 0.3) ** 2
        assert -1e-12 <= off.min() and off.max() <= tolerance and len(places) <= most
    asked.clear()
    assert lag._chords(square, 0.4, 0.4, 1e-3) == ([0.4], [square(0.4)[0]])
    bend = lag._chords(lambda r: (abs(r - 0.25), np.sign(r - 0.25)), 0.0, 1.0, 1e-6)
    assert bend == ([0.0, 0.25, 1.0], [0.25, 0.0, 0.75])  # two straight pieces: one more place
    even = lag._chords(lambda r: (abs(r - 0.5), np.sign(r - 0.5)), 0.0, 1.0, 1e-6)
    assert even == ([0.0, 0.5, 1.0], [0.5, 0.0, 0.5])  # slopes that are opposite
    line = lag._chords(lambda r: (2 * r, 2.0), 0.0, 1.0, 1e-9)
    assert line == ([0.0, 1.0], [0.0, 2.0])
