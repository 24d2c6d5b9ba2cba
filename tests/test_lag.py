from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import signed_zeros

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import lag, line_bounds
from kokeilu_analysis.methods.backlog import FeasibleSet
from kokeilu_analysis.methods.lag import ENDS, intercept_bounds
from kokeilu_analysis.methods.lag_input import evidence_region

D = np.array([0.30, 0.55, 0.10, 0.42, 0.20, 0.61])
LOW = np.array([0.25, 0.4, 0.6, 0.35, 0, 0.1])
HIGH = np.array([0.25, 0.6, 0.8, 0.35, 1, 0.1])


def ends(found):
    return np.array([*found.intercept, *found.slope])


def lines(d, b, w=None, at=0.0):
    """Fitted value at `at` and slope for each row of b, straight from the normal equations."""
    b = np.atleast_2d(b)
    w = np.ones(len(d)) if w is None else w
    n, s1, s2 = w.sum(), b @ w, b**2 @ w
    sd, sbd = w @ d, b @ (w * d)
    slope = (n * sbd - sd * s1) / (n * s2 - s1**2)
    return (sd - slope * s1) / n + slope * at, slope


def climbed(d, low, high, w, at, which, sign, rng):
    """Best value found by exact moves along one coordinate at a time, from many starts."""
    n = len(d)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(n, -1).T
    b = np.vstack([corners, rng.uniform(low, high, (40, n))])
    best = np.full(len(b), -np.inf)
    w = w / w.sum()
    centred = d - w @ d
    for _ in range(400):
        for j in range(n):
            o = np.arange(n) != j
            m0, c0 = b[:, o] @ w[o], b[:, o] @ (w * centred)[o]
            q0, m1, c1 = b[:, o] ** 2 @ w[o], w[j], w[j] * centred[j]
            v0, v1, v2 = q0 - m0**2, -2 * m0 * m1, w[j] - m1**2
            if which == 0:
                n0, n1, n2 = (at - m0) * c0, (at - m0) * c1 - m1 * c0, -m1 * c1
            else:
                n0, n1, n2 = c0, c1, 0.0
            qa, qb, qc = n2 * v1 - n1 * v2, 2 * (n2 * v0 - n0 * v2), n1 * v0 - n0 * v1
            root = np.sqrt(np.maximum(qb**2 - 4 * qa * qc, 0))
            with np.errstate(divide="ignore", invalid="ignore"):
                x = np.stack([(-qb + root) / (2 * qa), (-qb - root) / (2 * qa), -qc / qb])
            x = np.vstack([np.clip(np.nan_to_num(x), low[j], high[j]), b[None, :, j]])
            x = np.vstack([x, np.full((1, len(b)), low[j]), np.full((1, len(b)), high[j])])
            value = sign * (n0 + n1 * x + n2 * x**2) / (v0 + v1 * x + v2 * x**2)
            chosen = np.argmax(value, axis=0)
            b[:, j] = x[chosen, np.arange(len(b))]
        before, best = best, value.max(axis=0)
        if (best - before < 1e-13).all():
            break
    return best.max() * sign + (w @ d if which == 0 else 0.0)


def instance(seed, areas=None):
    """A random problem: points and ranges, three kinds of slope, weights, a reference backlog."""
    rng = np.random.default_rng(seed)
    while True:
        n = areas or int(rng.integers(3, 7))
        low = rng.choice([0, 0.1, 0.2, 0.4, 0.5, 0.7, 0.9], n)
        high = np.minimum(1, low + rng.choice([0, 0.05, 0.1, 0.3, 0.6], n))
        if low.max() > high.min() + 0.05:
            break
    d = rng.normal(0, 1, n) + rng.choice([0, 3, -5]) * (low + high) / 2
    w = rng.uniform(0.1, 5, n) if rng.integers(2) else np.ones(n)
    return d, low, high, w, rng.choice([0, 0, 0.3, 0.6, 1]), rng


def test_known_answer_is_met_to_a_millionth():
    found = intercept_bounds(D, LOW, HIGH)
    assert ends(found) == pytest.approx([0.380851, 0.679069, -0.871418, -0.055319], abs=1e-6)
    assert found.gap < 1e-9 and found.note == ""
    assert lag.LineBounds(found.intercept, found.slope, {}, 0.0).at == found.at == 0.0
    assert intercept_bounds(D, LOW, HIGH, tolerance=0.1).note == ""


def test_trying_the_corners_of_the_box_understates_the_set():
    corners = np.array(np.meshgrid(*zip(LOW, HIGH, strict=True))).reshape(6, -1).T
    intercept, slope = lines(D, corners)
    assert intercept.max() == pytest.approx(0.583820, abs=1e-6)
    assert slope.min() == pytest.approx(-0.456, abs=1e-3)
    found = intercept_bounds(D, LOW, HIGH)
    assert found.intercept[1] > intercept.max() + 0.09
    assert found.slope[0] < slope.min() - 0.4
    inside = found.witness["intercept_high"][4]
    assert 0.01 < inside < 0.99


@pytest.mark.parametrize("seed", range(64))
def test_bounds_equal_a_search_along_coordinates_from_many_starts(seed):
    d, low, high, w, at, rng = instance(seed)
    found = intercept_bounds(d, low, high, w, at=at, minimum_areas=3)
    assert found.gap < 1e-8
    for name, value in zip(ENDS, ends(found), strict=True):
        which, sign = int(name.startswith("slope")), 1 if name.endswith("high") else -1
        rival = climbed(d, low, high, w, at, which, sign, rng)
        assert value == pytest.approx(rival, abs=1e-7, rel=1e-7), name
        attained = lines(d, found.witness[name], w, at)[which][0]
        assert attained == pytest.approx(value, abs=1e-8, rel=1e-8), name


@pytest.mark.parametrize("seed", [0, 3, 4, 6])
def test_branch_and_bound_finds_what_trying_every_corner_finds(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, 8)
    high, w = low + rng.choice([0, 0.1, 0.2], 8), rng.uniform(0.5, 3, 8)
    d = 1 - 4 * low + rng.normal(0, 0.1, 8)
    tried = intercept_bounds(d, low, high, w)
    monkeypatch.setattr(line_bounds, "FEW", 0)
    searched = intercept_bounds(d, low, high, w)
    assert tried.slope[1] < 0 < tried.intercept[0] - w @ d / w.sum()
    assert 0 < searched.gap < 1e-9
    assert ends(searched) == pytest.approx(ends(tried), abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_hundred_thousand_feasible_backlogs_never_leave_the_bounds(seed):
    d, low, high, w, at, rng = instance(seed + 100, areas=8)
    found = intercept_bounds(d, low, high, w, at=at)
    b = rng.uniform(low, high, (100_000, 8))
    b[::2] = np.where(rng.random((50_000, 8)) < 0.5, low, high)
    for values, bounds in zip(lines(d, b, w, at), (found.intercept, found.slope), strict=True):
        assert values.min() >= bounds[0] - 1e-9
        assert values.max() <= bounds[1] + 1e-9


def test_a_reference_inside_the_range_of_means_is_solved_to_the_proof():
    d, low, high = np.array([-1.52208652, -0.51591601, 0.37324925]), [0, 0, 0.4], [0.6, 0.1, 0.7]
    found = intercept_bounds(d, low, high, at=0.3, minimum_areas=3)
    assert found.gap < 1e-10
    grid = np.stack(np.meshgrid(*[np.linspace(*x, 121) for x in zip(low, high, strict=True)]), -1)
    values = lines(d, grid.reshape(-1, 3), at=0.3)[0]
    assert found.intercept == pytest.approx((values.min(), values.max()), abs=2e-4)
    assert found.intercept[0] <= values.min() and values.max() <= found.intercept[1]


def test_a_mean_known_exactly_is_kept():
    d = 1 - 3 * LOW
    found = intercept_bounds(d, LOW, np.minimum(LOW + 0.1, 1), mean=(0.3, 0.3))
    assert found.gap < 1e-9 and found.intercept[0] > d.mean()
    for b in found.witness.values():
        assert b.mean() == pytest.approx(0.3, abs=1e-9)


def test_witnesses_lie_in_the_evidence_and_attain_the_ends():
    effects = pd.Series(D, index=list("ABCDEF"))
    found = intercept_bounds(effects, LOW, HIGH, mean=(0.3, 0.4))
    for name, value in zip(ENDS, ends(found), strict=True):
        b = found.witness[name]
        assert list(b.index) == list("ABCDEF")
        assert (b >= LOW - 1e-12).all() and (b <= HIGH + 1e-12).all()
        assert 0.3 - 1e-9 <= b.mean() <= 0.4 + 1e-9
        assert lines(D, b.to_numpy())[int("slope" in name)][0] == pytest.approx(value, abs=1e-8)


def test_single_points_give_ordinary_least_squares():
    rng = np.random.default_rng(4)
    b, d, w = rng.random(9), rng.normal(size=9), rng.uniform(1, 3, 9)
    design = np.column_stack([np.ones(9), b]) * np.sqrt(w)[:, None]
    theta0, theta1 = np.linalg.lstsq(design, d * np.sqrt(w), rcond=None)[0]
    found = intercept_bounds(d, b, b, w, at=0.4)
    assert ends(found) == pytest.approx([theta0 + 0.4 * theta1] * 2 + [theta1] * 2, abs=1e-12)
    assert lag.line(d, b, w) == pytest.approx((theta0, theta1), abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_shrinking_a_box_never_widens_a_bound(seed):
    d, low, high, w, at, rng = instance(seed + 200, areas=6)
    wide = ends(intercept_bounds(d, low, high, w, at=at))
    cut = rng.uniform(0, 0.4, (2, 6)) * (high - low)
    narrow = ends(intercept_bounds(d, low + cut[0], high - cut[1], w, at=at))
    assert (narrow[[0, 2]] >= wide[[0, 2]] - 1e-9).all()
    assert (narrow[[1, 3]] <= wide[[1, 3]] + 1e-9).all()


def test_adding_a_statement_never_widens_a_bound():
    mean = {"mean": (0.35, 0.45)}
    order = {"constraints": ([[0, 0, 0, 0, -1, 1]], [0])}
    wide = intercept_bounds(D, LOW, HIGH)
    for more in (mean, order, mean | order):
        found = intercept_bounds(D, LOW, HIGH, **more)
        assert wide.intercept[0] - 1e-9 <= found.intercept[0]
        assert found.intercept[1] <= wide.intercept[1] + 1e-9
        assert wide.slope[0] - 1e-9 <= found.slope[0]
        assert found.slope[1] <= wide.slope[1] + 1e-9
        wide = wide if more is not order else found


@pytest.mark.parametrize("seed", range(6))
def test_bounds_under_linear_statements_equal_a_constrained_search(seed):
    from scipy.optimize import minimize

    d, low, high, w, at, rng = instance(seed + 300, areas=5)
    middle = (low + high) / 2
    mean = float(w @ middle / w.sum())
    row, limit = rng.normal(size=5), None
    limit = row @ middle + 0.02
    found = intercept_bounds(
        d, low, high, w, mean=(mean - 0.02, mean + 0.02), constraints=([row], [limit]), at=at
    )
    assert found.gap < 1e-8
    stated = [
        {"type": "ineq", "fun": lambda b: limit - row @ b},
        {"type": "ineq", "fun": lambda b: w @ b / w.sum() - mean + 0.02},
        {"type": "ineq", "fun": lambda b: mean + 0.02 - w @ b / w.sum()},
    ]
    for name, value in zip(ENDS, ends(found), strict=True):
        which, sign = int(name.startswith("slope")), 1 if name.endswith("high") else -1
        best = -np.inf
        for _ in range(12):
            start = rng.uniform(low, high)
            answer = minimize(
                lambda b: -sign * lines(d, b, w, at)[which][0],  # noqa: B023
                start,
                bounds=list(zip(low, high, strict=True)),
                constraints=stated,
                options={"ftol": 1e-13, "maxiter": 300},
            )
            if all(s["fun"](answer.x) > -1e-9 for s in stated):
                best = max(best, -answer.fun)
        assert sign * value == pytest.approx(best, abs=2e-6), name
        assert sign * value >= best - 1e-7, name
        b = found.witness[name]
        assert row @ b <= limit + 1e-8 and abs(w @ b / w.sum() - mean) <= 0.02 + 1e-8


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 100), st.floats(-10, 10), st.permutations(range(6)))
def test_bounds_follow_units_shifts_and_order_of_the_effects(scale, shift, order):
    found = ends(intercept_bounds(D, LOW, HIGH))
    other = ends(intercept_bounds((scale * D + shift)[order], LOW[order], HIGH[order]))
    moved = scale * found + np.array([shift, shift, 0, 0])
    assert other == pytest.approx(moved, rel=1e-8, abs=1e-8)


def test_turning_the_sign_of_the_effects_turns_the_bounds_round():
    found, turned = intercept_bounds(D, LOW, HIGH), intercept_bounds(-D, LOW, HIGH)
    assert turned.intercept == pytest.approx((-found.intercept[1], -found.intercept[0]), abs=1e-9)
    assert turned.slope == pytest.approx((-found.slope[1], -found.slope[0]), abs=1e-9)


def test_a_whole_weight_is_so_many_copies_of_an_area_known_exactly():
    weights = np.array([3, 1, 1, 2, 1, 2])
    repeated = np.repeat(np.arange(6), weights)
    weighted = ends(intercept_bounds(D, LOW, HIGH, weights))
    copies = ends(intercept_bounds(D[repeated], LOW[repeated], HIGH[repeated]))
    assert copies == pytest.approx(weighted, abs=1e-8)


def test_areas_of_no_weight_do_not_matter():
    weights = np.array([1, 1, 1, 1, 1, 1, 0.0])
    with_idle = intercept_bounds(np.append(D, 9), np.append(LOW, 0), np.append(HIGH, 1), weights)
    assert ends(with_idle) == pytest.approx(ends(intercept_bounds(D, LOW, HIGH)), abs=1e-9)


@pytest.mark.parametrize("own", [0.1, 0.8])
def test_an_area_of_no_weight_does_not_identify_the_slope_by_its_backlog(own):
    b = [0.3, 0.3, 0.3, 0.3, 0.3, own]
    found = intercept_bounds(D, b, b, [1, 1, 1, 1, 1, 0])
    assert ends(found).tolist() == [-np.inf, np.inf, -np.inf, np.inf]


def test_a_statement_can_identify_the_slope_where_the_limits_do_not():
    """Nothing is known of any area but that the first lies half below the last."""
    apart = [[1, 0, 0, 0, 0, -1]], [-0.5]
    found = intercept_bounds(D - D[0], np.zeros(6), np.ones(6), constraints=apart)
    assert np.isfinite(ends(found)).all() and found.note == ""
    rng = np.random.default_rng(6)
    b = rng.random((20_000, 6))
    b[:, 0], b[:, 5] = b[:, 0] / 2, b[:, 0] / 2 + 0.5
    for values, bounds in zip(lines(D - D[0], b), (found.intercept, found.slope), strict=True):
        assert bounds[0] <= values.min() and values.max() <= bounds[1]


def test_an_area_with_just_the_average_effect_is_one_like_others():
    d, b = np.array([0, 0.25, 0.5, 0.75, 1.0]), np.array([0.9, 0.6, 0.5, 0.35, 0.1])
    theta0, theta1 = lag.line(d, b)
    assert ends(intercept_bounds(d, b, b)) == pytest.approx([theta0] * 2 + [theta1] * 2)


def test_series_are_matched_by_area_whatever_their_order():
    names = list("ABCDEF")
    d, low, high = (pd.Series(x, index=names) for x in (D, LOW, HIGH))
    found = intercept_bounds(d, low[::-1], high.sample(frac=1, random_state=1))
    assert ends(found) == pytest.approx(ends(intercept_bounds(D, LOW, HIGH)), abs=1e-12)


def test_an_unidentified_slope_is_infinite_and_said():
    found = intercept_bounds(D, np.full(6, 0.2), np.full(6, 0.7))
    assert ends(found).tolist() == [-np.inf, np.inf, -np.inf, np.inf]
    assert "not identified" in found.note and found.witness["slope_low"] is None
    known = intercept_bounds(D, np.full(6, 0.3), np.full(6, 0.3))
    assert ends(known).tolist() == [-np.inf, np.inf, -np.inf, np.inf]
    with pytest.raises(KokeiluError, match="equal"):
        lag.line(D, np.full(6, 0.3))


def test_equal_effects_leave_nothing_open():
    found = intercept_bounds(np.full(6, 0.7), LOW, HIGH)
    assert ends(found) == pytest.approx([0.7, 0.7, 0, 0], abs=1e-12)
    for effects in (np.zeros(6), np.full(6, 0.7)):  # whatever the backlogs, the same for all too
        found = intercept_bounds(effects, np.full(6, 0.2), np.full(6, 0.7))
        assert ends(found) == pytest.approx([effects[0]] * 2 + [0, 0], abs=1e-12)


EVIDENCE = pd.DataFrame(
    [
        ("E1", "A", "value", 0.25, 0.25),
        ("E2", "B", "range", 0.4, 0.6),
        ("E3", "C", "range", 0.6, 0.8),
        ("E4", "D", "value", 0.35, 0.35),
        ("E5", "F", "value", 0.1, 0.1),
        ("E6", "all", "few_below", np.nan, 0.5),
    ],
    columns=["statement_id", "subject", "kind", "lower", "upper"],
).assign(weight="areas", count_low=np.nan, count_high=3)


def test_either_or_statements_are_searched_exactly():
    effects = pd.Series(D, index=list("ABCDEF"))
    feasible = FeasibleSet.from_evidence(EVIDENCE, list("ABCDEF"))
    found = intercept_bounds(effects, constraints=feasible)
    # At most three of six below 0.5, and A, D and F are: B, C and E are at 0.5 or above.
    low, high = LOW.copy(), HIGH.copy()
    low[1], low[4] = 0.5, 0.5
    assert ends(found) == pytest.approx(ends(intercept_bounds(D, low, high)), abs=1e-8)
    wide = dict(lower=np.zeros(6), upper=np.ones(6))  # the closer of two limits counts, either way
    assert (ends(intercept_bounds(effects, **wide, constraints=feasible)) == ends(found)).all()
    loose = EVIDENCE.assign(count_high=4)  # then either B or E may lie below
    found = intercept_bounds(effects, constraints=FeasibleSet.from_evidence(loose, list("ABCDEF")))
    one, two = low.copy(), low.copy()
    one[1], two[4] = 0.4, 0.0
    both = np.array([ends(intercept_bounds(D, part, high)) for part in (one, two)])
    union = [both[:, 0].min(), both[:, 1].max(), both[:, 2].min(), both[:, 3].max()]
    assert ends(found) == pytest.approx(union, abs=1e-8)


def test_middles_of_points_give_least_squares_and_hc3_errors():
    import statsmodels.api as sm

    rng = np.random.default_rng(8)
    low, d, w = rng.uniform(0, 0.7, 12), rng.normal(size=12), rng.uniform(1, 3, 12)
    high = low + 0.2
    table = lag.midpoint(d, low, high, w)
    fitted = sm.WLS(d, sm.add_constant(low + 0.1), weights=w).fit(cov_type="HC3", use_t=True)
    assert table["estimate"].to_numpy() == pytest.approx(fitted.params, abs=1e-10)
    assert table["se"].to_numpy() == pytest.approx(fitted.bse, abs=1e-10)
    assert table[["ci_low", "ci_high"]].to_numpy() == pytest.approx(fitted.conf_int(), abs=1e-9)


def test_line_at_the_mean_backlog_is_the_average_effect():
    rng = np.random.default_rng(5)
    d, b, w = rng.normal(size=7), rng.random(7), rng.uniform(1, 9, 7)
    theta0, theta1 = lag.line(d, b, w)
    assert theta0 + theta1 * np.average(b, weights=w) == pytest.approx(np.average(d, weights=w))


def test_frontier_without_confounding_is_the_intercept_and_meets_zero_at_the_breakdown():
    b = (LOW + HIGH) / 2
    theta0, theta1 = lag.line(D, b)
    table = lag.frontier(D, b, [0, 0.5, 1], [0.1, 0.35])
    assert table.loc[table["rho"] == 0, "adjusted"].to_numpy() == pytest.approx([theta0] * 2)
    assert table.loc[table["rho"] == 0, "att_common"].to_numpy() == pytest.approx([D.mean()] * 2)
    breakdown = table["breakdown"].iloc[0]
    assert theta0 + theta1 * breakdown == pytest.approx(0, abs=1e-12)
    same = lag.frontier(D, b, 1, b.mean())  # controls like the trial areas: nothing to remove
    assert same["att_common"].iloc[0] == pytest.approx(D.mean())
    assert same["adjusted"].iloc[0] == pytest.approx(D.mean())


def test_two_areas_are_a_line_and_one_is_none():
    found = lag.frontier([0.5, 0.1], [0.2, 0.6], 0.5, 0.5).iloc[0]
    assert (found["adjusted"], found["att_common"]) == pytest.approx((0.45, 0.25))
    assert found["breakdown"] == pytest.approx(0.7)
    with pytest.raises(KokeiluError, match="1 areas are too few"):
        lag.line([0.5], [0.2])


def test_a_search_that_ends_early_says_what_it_left_unproven_and_still_holds_the_set(monkeypatch):
    rng = np.random.default_rng(2)
    b = np.sort(rng.uniform(0.2, 0.8, 14))
    d = 1 - b + rng.normal(0, 0.02, 14)
    given = d, b - 0.06, b + 0.06, [1.0], [0.0], None, (b.mean() - 0.005, b.mean() + 0.005)
    whole = lag.frontier_bounds(*given).iloc[0]
    evidence = lag.evidence_region
    monkeypatch.setattr(lag, "evidence_region", lambda *x: replace(evidence(*x), most_nodes=1))
    ended = lag.frontier_bounds(*given).iloc[0]
    assert whole["unproven"] == 0 < ended["unproven"]
    assert ended["bound_high"] == pytest.approx(whole["bound_high"])
    assert whole["bound_low"] - ended["unproven"] - 1e-9 <= ended["bound_low"] < whole["bound_low"]


def test_what_four_ends_leave_unproven_is_the_most_that_one_of_them_does():
    rng = np.random.default_rng(2)
    b = np.sort(rng.uniform(0.2, 0.8, 14))
    d, w = pd.Series(1 - b + rng.normal(0, 0.02, 14)), np.full(14, 1 / 14)
    mean = b.mean() - 0.005, b.mean() + 0.005
    region = evidence_region(d, b - 0.06, b + 0.06, w, mean, None)
    region = replace(region, most_nodes=1)
    alone = [lag.solved(d, w, region, 0.0, [name])[2] for name in ENDS]
    assert lag.solved(d, w, region, 0.0, ENDS)[2] == pytest.approx(max(alone)) and max(alone) > 1e-6


def test_frontier_bounds_equal_the_bounds_at_each_product():
    rho, control = [0, 1], [0.2, 0.5, 0.9]
    table = lag.frontier_bounds(D, LOW, HIGH, rho, control, tolerance=1e-4)
    for _, row in table.iterrows():
        exact = intercept_bounds(D, LOW, HIGH, at=row["rho"] * row["control_backlog"]).intercept
        assert row["bound_low"] <= exact[0] + 1e-9 and row["bound_high"] >= exact[1] - 1e-9
        assert (row["bound_low"], row["bound_high"]) == pytest.approx(exact, abs=1.1e-4)


def test_capacity_gives_the_known_answer_and_exact_ends():
    assert lag.capacity(0.704, 0.6, 9, 45) == pytest.approx((0.8, 0.8))
    low, high = lag.capacity((-0.1, 0.2), (0.2, 0.6), (3, 9), (40, 45))
    grid = [
        a / (1 - s * m / t)
        for a in (-0.1, 0.2)
        for s in np.linspace(0.2, 0.6, 5)
        for m in np.linspace(3, 9, 5)
        for t in (40, 42.5, 45)
    ]
    assert (low, high) == pytest.approx((min(grid), max(grid)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effects": [*D[:5], np.nan]}, "Effect of area 5 is nan"),
        ({"effects": [*D[:5], np.inf]}, "Effect of area 5 is inf"),
        ({"effects": D[:4], "lower": LOW[:4], "upper": HIGH[:4]}, "4 areas are too few"),
        ({"lower": 100 * LOW, "upper": 100 * HIGH}, "area 0.*25.*per cent"),
        ({"lower": LOW - 0.2}, "area 4.*-0.2"),
        ({"lower": HIGH + [0, 0, 0, 0, 0, 0.2]}, "area 5.*above"),
        ({"lower": LOW[:5]}, "shape"),
        ({"lower": None}, "Give `lower`"),
        ({"weights": [1, 1, -1, 1, 1, 1]}, "Weight of area 2 is -1"),
        ({"weights": np.zeros(6)}, "All weights are zero"),
        ({"mean": (0.9, 0.95)}, "No backlogs satisfy"),
        ({"mean": (30, 40)}, "per cent"),
        ({"at": 12.5}, "between 0 and 1"),
        ({"constraints": ([[1, 1]], [1])}, "A_ub has shape"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(change, message):
    with pytest.raises(KokeiluError, match=message):
        intercept_bounds(**{"effects": D, "lower": LOW, "upper": HIGH} | change)


def test_areas_without_evidence_or_effect_are_named():
    d, b = pd.Series(D, index=list("ABCDEF")), pd.Series(LOW, index=list("ABCDEF"))
    with pytest.raises(KokeiluError, match="lacks area C"):
        intercept_bounds(d, b.drop("C"), b)
    with pytest.raises(KokeiluError, match="area F, which has no effect"):
        intercept_bounds(d.drop("F"), b, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.7, 60, 9, 45), "per cent"),
        ((0.7, 0.6, 50, 45), "months <= total"),
        ((0.7, 1, 45, 45), "all capacity"),
        ((0.7, (0.6, 0.2), 9, 45), "low, high"),
    ],
)
def test_capacity_refuses_what_cannot_be(arguments, message):
    with pytest.raises(KokeiluError, match=message):
        lag.capacity(*arguments)


def test_only_the_ends_asked_for_are_solved_and_equal_those_of_all_four():
    every = intercept_bounds(D, LOW, HIGH)
    some = intercept_bounds(D, LOW, HIGH, names=["intercept_high"])
    assert some.intercept[1] == every.intercept[1]
    assert np.isnan([some.intercept[0], *some.slope]).all()
    assert set(some.witness) == {"intercept_high"}
    with pytest.raises(KokeiluError, match="no end 'intercept'"):
        intercept_bounds(D, LOW, HIGH, names=["intercept"])


def few_below(areas, most):
    """Areas of which at most so many lie below one half."""
    row = ("E1", "all", "few_below", np.nan, 0.5, "areas", np.nan, most)
    columns = "statement_id subject kind lower upper weight count_low count_high".split()
    rows = [row, ("E2", "all", "mean", 0.45, 0.55, "areas", np.nan, np.nan)]
    rows += [
        (f"E{k + 3}", area, "range", low, low + 0.5, "areas", np.nan, np.nan)
        for k, (area, low) in enumerate(areas.items())
    ]
    return FeasibleSet.from_evidence(pd.DataFrame(rows, columns=columns), list(areas.index))


@pytest.mark.parametrize("seed", range(3))
def test_a_limit_on_the_number_below_one_half_equals_trying_every_area(seed):
    rng = np.random.default_rng(seed + 400)
    low = pd.Series(rng.uniform(0, 0.5, 6).round(2), index=list("ABCDEF"))
    d = pd.Series(rng.normal(size=6), index=low.index)
    found = intercept_bounds(d, constraints=few_below(low, 1))
    assert found.gap < 1e-7
    best = []
    for below in range(6):
        floor = np.maximum(low.to_numpy(), 0.5)
        floor[below] = low.iloc[below]
        try:
            part = intercept_bounds(d, floor, low + 0.5, mean=(0.45, 0.55))
        except KokeiluError:
            continue
        best.append(ends(part))
    best = np.array(best)
    union = [best[:, 0].min(), best[:, 1].max(), best[:, 2].min(), best[:, 3].max()]
    assert ends(found) == pytest.approx(union, abs=1e-7)


def test_choices_that_cannot_be_made_are_refused():
    low = pd.Series(0.0, index=list("ABCDEFG"))
    rows = few_below(low, 7)
    d = pd.Series(np.arange(7.0), index=low.index)
    everyone = (np.eye(7), np.full(7, 0.45), None, None)
    with pytest.raises(KokeiluError, match="No backlogs satisfy"):
        intercept_bounds(d, constraints=rows, mean=(0.56, 0.6))
    assert intercept_bounds(d, low, low + 0.5, constraints=everyone).gap < 1e-8


def test_the_most_telling_reply_is_found_by_asking_each_area_and_measuring():
    ranked = lag.rank_replies_effect(D, LOW, HIGH, grid=3)
    assert ranked["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    for row in ranked.itertuples():
        widths = []
        for answer in np.linspace(row.bound_low, row.bound_high, 3):
            low, high = LOW.copy(), HIGH.copy()
            low[row.area_id] = high[row.area_id] = answer
            widths.append(np.diff(intercept_bounds(D, low, high).intercept)[0])
        assert row.width_mean == pytest.approx(np.mean(widths), abs=1e-6)
        assert row.width_worst == pytest.approx(np.max(widths), abs=1e-6)
    assert ranked["gain_mean"].is_monotonic_decreasing
    known = ranked.set_index("area_id").loc[[0, 3, 5], "gain_mean"]
    assert (known == 0).all() and signed_zeros(ranked) == 0


def test_replies_narrow_step_by_step_until_the_sign_is_settled():
    d = D - 0.4
    truth = np.array([0.25, 0.45, 0.7, 0.35, 0.9, 0.1])
    table = lag.replies_until_sign(d, truth, LOW, HIGH)
    width = table["bound_high"] - table["bound_low"]
    assert (width.diff().dropna() <= 1e-9).all()
    assert not table["settled"].iloc[:-1].any() and table["settled"].iloc[-1]
    exact = lag.line(d, truth)[0]
    assert ((table["bound_low"] <= exact + 1e-9) & (exact - 1e-9 <= table["bound_high"])).all()
    slow = lag.replies_until_sign(d, truth, LOW, HIGH, order=[0, 3, 5, 1, 2, 4])
    assert len(slow) >= len(table) and slow["area_id"].iloc[1] == 0
    with pytest.raises(KokeiluError, match="contradicts"):
        lag.replies_until_sign(d, np.full(6, 0.9), LOW, HIGH)
    with pytest.raises(KokeiluError, match="no effect"):
        lag.replies_until_sign(d, truth, LOW, HIGH, order=["X"])


def test_interval_for_the_set_widens_it_and_shrinks_to_a_bootstrap_interval_for_points():
    rng = np.random.default_rng(12)
    b = rng.uniform(0.1, 0.9, 10)
    d = 0.5 - 0.6 * b + rng.normal(0, 0.1, 10)
    row = lag.set_interval(d, b - 0.04, b + 0.04, draws=30).iloc[0]
    assert row["ci_low"] < row["bound_low"] < row["bound_high"] < row["ci_high"]
    assert lag.set_interval(d, b - 0.04, b + 0.04, draws=30).iloc[0].equals(row)
    point = lag.set_interval(d, b, b, draws=200, seed=1).iloc[0]
    theta0 = lag.line(d, b)[0]
    assert (point["bound_low"], point["bound_high"]) == pytest.approx((theta0, theta0))
    hc3 = lag.midpoint(d, b, b).iloc[0]["se"]
    assert point["se"] == pytest.approx(hc3, rel=0.35)
    assert point["ci_high"] - theta0 == pytest.approx(1.96 * point["se"], rel=1e-3)


def test_interval_refuses_what_has_no_bounds():
    with pytest.raises(KokeiluError, match="same backlog"):
        lag.set_interval(D, np.full(6, 0.2), np.full(6, 0.7))
    with pytest.raises(KokeiluError, match="too few"):
        lag.set_interval(D, LOW, HIGH, draws=5)
