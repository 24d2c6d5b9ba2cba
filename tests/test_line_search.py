"""The parts of the search for sharp bounds of a line, each against its definition."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import line_choices, line_inequalities, restrictions
from kokeilu_analysis.methods.line_bounds import fitted_extreme, slope_extreme
from kokeilu_analysis.methods.line_region import (
    Cone,
    Region,
    excess,
    least_variance,
    linear,
    quadratic,
)


def drawn(seed, areas=5, choices=3):
    """A region with 0/1 columns in some rows, weights of the areas, and centred effects."""
    rng = np.random.default_rng(seed)
    n = areas + choices
    low = np.append(rng.uniform(0, 0.4, areas), np.zeros(choices))
    high = np.append(low[:areas] + rng.uniform(0.1, 0.5, areas), np.ones(choices))
    low[0], high[0], low[1], high[1] = 0.05, 0.1, 0.8, 0.85  # so that no line is without slope
    rows, limits = np.zeros((choices + 1, n)), np.zeros(choices + 1)
    for k in range(choices):  # a choice frees its area from a limit
        area = 2 + k % (areas - 2)
        middle = (low[area] + high[area]) / 2
        rows[k, area], rows[k, areas + k], limits[k] = -1, middle - high[area], -middle
    rows[-1, areas:], limits[-1] = 1, choices - 1  # and not all may be made
    equal, known = np.zeros((1, n)), np.zeros(1)
    equal[0, 2], equal[0, n - 1], known[0] = 1, 0.05, (low[2] + high[2]) / 2
    w = np.append(rng.uniform(0.5, 2, areas), np.zeros(choices))
    d = np.append(rng.normal(size=areas), np.zeros(choices))
    d[:areas] -= w[:areas] @ d[:areas] / w.sum()
    whole = np.arange(areas, n)
    region = Region(low, high, rows, limits, equal, known, whole)
    return region, w / w.sum(), d / np.abs(d).max(), rng


def made(region, chosen):
    """The region with its choices made."""
    lower, upper = region.lower.copy(), region.upper.copy()
    lower[region.whole] = upper[region.whole] = chosen
    return replace(region, lower=lower, upper=upper, whole=np.empty(0, int))


def every_choice(region):
    for chosen in itertools.product([0.0, 1.0], repeat=len(region.whole)):
        part = made(region, chosen)
        if part.extreme(np.zeros(len(part.lower))) is not None:
            yield part


# Choices.


SOLVERS = {
    "slope": slope_extreme,
    "at no backlog": lambda *problem: fitted_extreme(*problem, 0.0),
    "at 0.4": lambda *problem: fitted_extreme(*problem, 0.4),
}
# those of the first seeds that are solved in a fraction of a second
QUICK = [(2, seed, sign, "at 0.4") for seed in range(3) for sign in (1, -1)]
QUICK += [(2, 0, 1, "slope"), (2, 1, 1, "slope"), (2, 2, -1, "slope"), (3, 0, 1, "slope")]
QUICK += [(2, 0, -1, "at no backlog"), (2, 1, -1, "at no backlog"), (2, 2, 1, "at no backlog")]
VERTEX = [(2, 0, -1, "slope", 3), (2, 2, 1, "at no backlog", 3), (2, 1, 1, "slope", 3)]
QUICK += [(3, 0, -1, "at 0.4"), (3, 2, 1, "at no backlog"), (3, 1, -1, "at 0.4")]


@pytest.mark.parametrize(
    ("choices", "seed", "sign", "name", "areas"), [*((*case, 4) for case in QUICK), *VERTEX]
)
def test_extremes_over_choices_are_those_of_trying_each(choices, seed, sign, name, areas):
    region, w, d, _ = drawn(seed, areas, choices)
    found = SOLVERS[name](region, w, sign * d)
    each = [SOLVERS[name](part, w, sign * d).value for part in every_choice(region)]
    assert found.value == pytest.approx(max(each), abs=1e-8)
    assert found.gap < 1e-6
    assert line_choices.fits(region, w, found.point)


@pytest.mark.parametrize("seed", range(6))
def test_a_region_that_settles_or_leaves_choices_open_loses_no_backlogs(seed):
    region, _, _, rng = drawn(seed)
    parts = list(every_choice(region))
    for _ in range(6):
        direction = np.append(rng.normal(size=5), np.zeros(3))
        sharp = max(part.extreme(direction)[0] for part in parts)
        settled = max(part.extreme(direction)[0] for part in every_choice(region.settled()))
        assert settled == pytest.approx(sharp, abs=1e-8)
        assert region.without_choices().extreme(direction)[0] >= sharp - 1e-8


def test_a_choice_that_every_row_wants_is_made_and_one_in_dispute_is_not():
    rows = np.array([[1.0, -1, 0, 1], [1.0, -1, 1, -1], [0.0, 0, 0, 0]])
    region = Region(np.zeros(4), np.ones(4), rows, np.array([0.5, 0.6, 0.0]), whole=np.arange(1, 4))
    settled = region.settled()
    assert settled.lower.tolist() == [0, 1, 0, 0]  # made: both rows are eased by it
    assert settled.upper.tolist() == [1, 1, 0, 1]  # left: it only hurts; the last one is open
    assert len(settled.limits) == 2  # the row that always holds is dropped
    sparse = replace(region, rows=rows * [[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]]).settled()
    assert sparse.lower.tolist() == [0, 1, 0, 1]  # one row asks for it, the others do not care
    tied = replace(region, equal_rows=np.array([[1.0, 1, 0, 0]]), equal_limits=np.ones(1)).settled()
    assert tied.lower.tolist() == [0, 0, 0, 0] and tied.upper.tolist() == [1, 1, 0, 1]


def test_an_open_choice_is_as_lenient_as_each_row_wants():
    rows = np.array([[1.0, -0.3], [-1.0, 0.2]])
    region = Region(np.zeros(2), np.ones(2), rows, np.array([0.5, -0.1]), whole=np.array([1]))
    loose = region.without_choices()
    assert loose.rows.tolist() == [[1.0, 0.0], [-1.0, 0.0]]
    assert loose.limits.tolist() == pytest.approx([0.8, -0.1])
    assert not len(loose.whole) and loose.upper.tolist() == [1, 0]
    assert loose.extreme(np.array([1.0, 0]))[0] == pytest.approx(0.8)


def test_choices_are_completed_near_where_they_stand_or_not_at_all():
    region = Region(
        np.zeros(3), np.ones(3), np.array([[0.0, -1, -1], [0.0, 1, 1]]), np.array([-1.0, 1.0]),
        whole=np.array([1, 2]),
    )  # fmt: skip
    for stand, chosen in (([0.5, 0.9, 0.2], [1, 0]), ([0.5, 0.3, 0.6], [0, 1])):
        found = line_choices.completed(region, np.array(stand))
        assert found.lower[1:].tolist() == found.upper[1:].tolist() == chosen
        assert (found.lower[0], found.upper[0]) == (0, 1)
    none = replace(region, limits=np.array([-1.5, 1.6]))
    assert line_choices.completed(none, np.array([0.5, 0.5, 0.5])) is None
    tied = replace(region, equal_rows=np.array([[1.0, 0.5, 0]]), equal_limits=np.array([0.6]))
    w = np.array([1.0, 0, 0])
    assert line_choices.fits(tied, w, np.array([0.1, 0.5, 0.5]))
    assert line_choices.fits(tied, w, np.array([0.6, 0.5, 0.5]))
    assert not line_choices.fits(tied, w, np.array([0.3, 0.5, 0.5]))


def test_no_choice_at_all_is_an_error():
    region, w, d, _ = drawn(0)
    none = region.with_rows(np.eye(8)[5:].sum(axis=0, keepdims=True), [-1.0])
    with pytest.raises(KokeiluError, match="either-or statements together"):
        line_choices.over_choices(none, w, lambda part, beat: None)


# Regions.


def test_common_values_are_those_all_areas_can_share():
    region = Region(np.array([0.1, 0.3, 0.0]), np.array([0.6, 0.9, 1.0]))
    assert region.common_values(np.array([True, True, False])) == pytest.approx((0.3, 0.6))
    bound = region.with_rows([[1.0, 1.0, 0.0]], [0.8])
    assert bound.common_values(np.array([True, True, False])) == pytest.approx((0.3, 0.4))
    tied = replace(region, equal_rows=np.array([[1.0, 0, 1]]), equal_limits=np.array([0.5]))
    assert tied.common_values(np.array([True, True, False])) == pytest.approx((0.3, 0.5))
    apart = replace(region, lower=np.array([0.1, 0.7, 0.0]))
    assert apart.common_values(np.array([True, True, False])) is None
    assert apart.common_values(np.array([True, False, True])) == pytest.approx((0.1, 0.6))


def test_the_furthest_point_of_a_region_is_found_or_there_is_none():
    box = Region(np.array([0.1, 0.2]), np.array([0.6, 0.9]))
    value, point = box.extreme(np.array([1.0, -2.0]))
    assert value == pytest.approx(0.2) and point.tolist() == [0.6, 0.2]
    assert replace(box, upper=np.array([0.0, 0.9])).extreme(np.ones(2)) is None
    cut = box.with_rows([[1.0, 1.0]], [1.0])
    assert cut.extreme(np.array([1.0, 2.0]))[0] == pytest.approx(1.9)
    assert cut.with_rows([[-1.0, -1.0]], [-1.2]).extreme(np.ones(2)) is None
    tied = replace(box, equal_rows=np.array([[1.0, -1.0]]), equal_limits=np.array([0.1]))
    assert not tied.is_box() and not cut.is_box() and box.is_box()
    assert tied.extreme(np.ones(2))[0] == pytest.approx(1.1)


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_that_the_duals_prove_is_the_optimum(seed):
    rng = np.random.default_rng(seed)
    rows, equal = rng.normal(size=(4, 5)), rng.normal(size=(seed % 2, 5))
    low, high = (0.0, 1.0) if seed < 5 else (0.2, 2.5)
    inside = low + (high - low) * rng.random(5)
    limits = rows @ inside + rng.random(4) * (rng.random(4) < 0.7)
    bounds, cost = np.tile([low, high], (5, 1)), rng.normal(size=5)
    x, proven = linear(cost, rows, limits, equal, equal @ inside, bounds)
    assert proven == pytest.approx(cost @ x, abs=1e-9) and proven <= cost @ inside + 1e-9
    assert (rows @ x <= limits + 1e-9).all() and np.allclose(equal @ x, equal @ inside)
    empty = linear(cost, np.vstack([rows, -np.ones(5)]), np.append(limits, -5 * high - 1), equal,
                   equal @ inside, bounds)  # fmt: skip
    assert empty is None
    with pytest.raises(KokeiluError, match="linear programme for the bounds failed"):
        linear(np.array([-1.0]), np.zeros((0, 1)), np.zeros(0), np.zeros((0, 1)), np.zeros(0),
               np.array([[0.0, np.inf]]))  # fmt: skip


def cone_of(seed, stated=True, at=0.3):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.5, 5)
    high = low + rng.uniform(0.1, 0.5, 5)
    high[3] = low[3]  # known exactly
    region = Region(low, high)
    if stated:
        inside = rng.uniform(low, high)
        row, equal = rng.normal(size=(1, 5)), rng.normal(size=(1, 5))
        region = Region(low, high, row, row @ inside + 0.02, equal, equal @ inside)
    w = rng.uniform(0.5, 2, 5)
    w /= w.sum()
    d = rng.normal(size=5)
    return Cone(region, w, d - w @ d, at), rng


@pytest.mark.parametrize("seed", range(5))
def test_stretched_backlogs_keep_their_mean_covariance_variance_and_statements(seed):
    cone, rng = cone_of(seed)
    region, w = cone.region, cone.weights
    for b in rng.uniform(region.lower, region.upper, (20, 5)):
        p = cone.lift(b, 0.7)
        assert p[-1] == pytest.approx(1 / 0.7)
        assert cone.point(p) == pytest.approx(b)
        assert cone.mean @ p == pytest.approx((w @ b - cone.at) / 0.7)
        assert cone.slope @ p == pytest.approx(w @ (cone.centred * (b - cone.at)) / 0.7)
        assert p @ cone.variance @ p == pytest.approx(w @ (b - w @ b) ** 2 / 0.49)
        assert (cone.rows[:9] @ p <= 1e-12).all()
        assert (cone.rows[9] @ p <= 0) == (region.rows[0] @ b <= region.limits[0])
        out = b + np.array([0, 0, 1.0, 0, 0])
        assert (cone.rows[:9] @ cone.lift(out, 0.7) > 0).any()


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_interior_point_method_finds_the_least_of_a_convex_quadratic(seed, stated):
    cone, rng = cone_of(seed, stated)
    size = len(cone.mean)
    norm, vector = np.eye(1, size, size - 1)[0], rng.normal(size=size)
    p, multipliers = quadratic(3.0, vector, cone, norm)

    def value(p):
        return 1.5 * p @ cone.variance @ p + vector @ p

    equal = np.vstack([cone.equal_rows, norm])
    right = np.append(np.zeros(len(cone.equal_rows)), 1.0)
    rival = minimize(
        value, p + 0.01, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        constraints=[
            {"type": "ineq", "fun": lambda p: -cone.rows @ p},
            {"type": "eq", "fun": lambda p: equal @ p - right},
        ],
    )  # fmt: skip
    assert value(p) == pytest.approx(rival.fun, abs=1e-7)
    assert (cone.rows @ p <= 1e-9).all() and np.allclose(equal @ p, right, atol=1e-9)
    # no feasible point lies further down the gradient than weak duality says
    gradient = -(3.0 * cone.variance @ p + vector)
    over = excess(gradient, p, multipliers, cone, norm, 1.0)
    assert -1e-12 <= over < 1e-7
    assert gradient @ (rival.x - p) <= over + 1e-6
    wider = excess(gradient, p, multipliers, cone, norm, 3.0)
    assert over - 1e-12 <= wider < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_the_least_variance_is_proven_from_below_and_nearly_attained(seed):
    cone, rng = cone_of(seed, stated=False)
    region, w = cone.region, cone.weights
    size = len(cone.mean)
    proven = least_variance(cone, np.eye(1, size, size - 1)[0])
    least = min(
        minimize(
            lambda b: w @ (b - w @ b) ** 2, start, bounds=np.c_[region.lower, region.upper],
            options={"ftol": 1e-15, "gtol": 1e-12},
        ).fun
        for start in rng.uniform(region.lower, region.upper, (5, 5))
    )  # fmt: skip
    assert least - 1e-7 <= proven <= least + 1e-12


# Inequalities.


@pytest.mark.parametrize("seed", range(30))
def test_a_sum_of_squared_hinges_is_least_where_it_is_said_to_be(seed):
    rng = np.random.default_rng(seed)
    start, step = rng.normal(size=6), rng.choice([-1, -0.5, 0, 0.3, 2], 6)
    w, floor = rng.random(6), rng.choice([-np.inf, 0.0, 1.0, -0.5])
    least, x = line_inequalities._least(start, step, w, floor)

    def q(x):
        return w @ np.maximum(start + step * np.asarray(x)[..., None], 0).T ** 2

    assert least == pytest.approx(float(q(x)), abs=1e-12) and x >= floor
    grid = np.linspace(max(floor, -30), 30, 60_001)
    assert least <= q(grid).min() + 1e-12 and least >= q(grid).min() - 1e-5


def q_of(line, y, low, high, w):
    value, slope = line
    ends = value + slope * low, value + slope * high
    return w @ (
        np.maximum(np.minimum(*ends) - y, 0) ** 2 + np.maximum(y - np.maximum(*ends), 0) ** 2
    )


def noisy(seed, areas=8):
    rng = np.random.default_rng(seed)
    b = rng.uniform(0.1, 0.9, areas)
    low, high = b - rng.uniform(0, 0.1, areas), b + rng.uniform(0, 0.1, areas)
    w = rng.uniform(0.5, 2, areas)
    return 0.4 - 0.5 * b + rng.normal(0, 0.4, areas), low, high, w / w.sum()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(4))
def test_the_closest_line_and_the_lines_nearly_as_close_are_those_of_a_plain_search(seed, sign):
    y, low, high, w = noisy(seed)
    least, value, steep = line_inequalities.closest(y, low, high, w, sign)
    assert least == pytest.approx(q_of((value, sign * steep), y, low, high, w), abs=1e-12)
    starts = [(v, t) for v in (-1, 0, 1) for t in (0, 0.5, 2)]
    found = [
        minimize(lambda x: q_of((x[0], sign * abs(x[1])), y, low, high, w), s, method="Nelder-Mead",
                 options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000}).fun
        for s in starts
    ]  # fmt: skip
    assert least <= min(found) + 1e-12 and least == pytest.approx(min(found), abs=1e-9)
    limit = least + 0.01
    ends = line_inequalities.level_set(y, low, high, w, sign, limit, value, steep)
    values, slopes = np.linspace(-3, 3, 1201), sign * np.linspace(0, 6, 1201)
    q = np.array([[q_of((v, s), y, low, high, w) for v in values[::8]] for s in slopes[::8]])
    kept = q <= limit
    inside_v, inside_s = values[::8][kept.any(axis=0)], slopes[::8][kept.any(axis=1)]
    assert ends[0] <= inside_v.min() <= ends[0] + 0.05
    assert ends[1] - 0.05 <= inside_v.max() <= ends[1]
    assert ends[2] - 1e-12 <= inside_s.min() <= ends[2] + 0.05
    assert ends[3] - 0.05 <= inside_s.max() <= ends[3] + 1e-12


def test_the_tolerance_is_a_quantile_over_redrawn_areas():
    y, low, high, w = noisy(5)
    best = {sign: line_inequalities.closest(y, low, high, w, sign) for sign in (1, -1)}
    found = line_inequalities.bootstrapped(y, low, high, w, (1, -1), best, 0.8, 25, seed=3)
    sign = min(best, key=lambda s: best[s][0])
    line = best[sign][1], sign * best[sign][2]
    rng, excesses = np.random.default_rng(3), []
    for counts in rng.multinomial(8, np.full(8, 1 / 8), size=25):
        part = w * counts / (w @ counts)
        nearest = min(line_inequalities.closest(y, low, high, part, s)[0] for s in (1, -1))
        excesses.append(q_of(line, y, low, high, part) - nearest)
    assert found == pytest.approx(np.quantile(excesses, 0.8), abs=1e-10)


def test_lines_without_noise_may_be_limited_on_one_side_only():
    y, low, high = np.array([0.5, 0.4, 0.3]), np.zeros(3), np.array([0.2, 0.5, 0.6])
    table = restrictions.manski_tamer(y, low, high, tolerance=0, minimum_areas=3)
    falling = table.set_index("slope_sign").loc[-1]
    # the value at no backlog is at least every effect; how steep the line falls is open
    assert falling["bound_low"] == pytest.approx(0.5, abs=1e-6)
    assert np.isinf(falling["bound_high"]) and falling["slope_low"] == -np.inf


# Lines that are flat enough.


@pytest.mark.parametrize("at", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_over_lines_flat_enough_are_those_of_a_fine_grid(seed, at):
    rng = np.random.default_rng(seed)
    low = np.array([0.1, 0.3, 0.5]) + rng.uniform(0, 0.1, 3)
    high, d, w = low + rng.uniform(0.1, 0.3, 3), rng.normal(0, 0.3, 3), rng.uniform(0.5, 2, 3)
    grid = np.stack(np.meshgrid(*[np.linspace(*x, 61) for x in zip(low, high, strict=True)]), -1)
    b, w = grid.reshape(-1, 3), w / w.sum()
    mean = b @ w
    slope = (b - mean[:, None]) @ (w * (d - w @ d)) / (((b - mean[:, None]) ** 2) @ w)
    value = w @ d + slope * (at - mean)
    for share in (0.2, 0.5, 0.9):
        steepest = np.quantile(np.abs(slope), share)
        row = restrictions.restricted_bounds(
            d, low, high, w, at=at, steepest=steepest / 10, minimum_areas=3
        ).iloc[1]
        kept = value[np.abs(slope) <= steepest]
        spread = np.ptp(value)
        assert row["bound_low"] <= kept.min() + 1e-9 and kept.max() - 1e-9 <= row["bound_high"]
        assert row["bound_low"] + row["gap"] >= kept.min() - 0.03 * spread
        assert row["bound_high"] - row["gap"] <= kept.max() + 0.03 * spread
