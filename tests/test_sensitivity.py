import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import inference, sensitivity
from kokeilu_analysis.methods.sensitivity import (
    honest,
    honest_breakdown,
    honest_table,
    identified_set,
)


def symmetric(*upper):
    size = len(upper)
    matrix = np.zeros((size, size))
    for i, row in enumerate(upper):
        matrix[i, i:] = matrix[i:, i] = row
    return matrix


# Event study of French restaurants by Benzarti & Carloni (2019), as shipped with HonestDiD:
# four years before and four after.
RESTAURANTS = (
    [0.006696352, 0.029345034, -0.006472972, 0.073014989]
    + [0.195961118, 0.312063903, 0.239541546, 0.126042500],
    symmetric(
        [8.428358e-04, 4.768687e-04, 2.618051e-04, 2.354220e-04]
        + [1.676371e-04, 1.128708e-04, 1.992816e-05, -1.368265e-04],
        [6.425420e-04, 3.987425e-04, 2.435515e-04]
        + [2.201960e-04, 1.804591e-04, 3.843765e-05, -2.960422e-05],
        [5.229950e-04, 2.117686e-04, 1.840722e-04, 1.458528e-04, 7.005197e-05, 5.952995e-05],
        [3.089595e-04, 1.197866e-04, 1.334081e-04, 1.016335e-04, 1.079052e-04],
        [3.599704e-04, 2.478819e-04, 1.749579e-04, 1.654257e-04],
        [4.263950e-04, 2.171438e-04, 2.892748e-04],
        [4.886698e-04, 3.805322e-04],
        [7.617394e-04],
    ),
    4,
    4,
)
# Minimum wage and teenage employment (Callaway & Sant'Anna 2021): counties that raised in 2007
# against those that never did, changes from 2006.
WAGES = (
    [0.0033064, 0.033813, 0.0310871, -0.0260544],
    symmetric(
        [5.978941e-04, 4.091641e-04, 2.677651e-04, 8.828e-05],
        [4.46442e-04, 2.486121e-04, 9.9055e-05],
        [3.196054e-04, 9.42791e-05],
        [2.774035e-04],
    ),
    3,
    1,
)


def drawn(seed, n_pre, n_post, rho):
    rng = np.random.default_rng(seed)
    k = n_pre + n_post
    sd = 0.1 + 0.1 * rng.random(k)
    order = np.arange(k)
    cov = (np.outer(sd, sd) * rho ** np.abs(np.subtract.outer(order, order))).round(6)
    effect = np.r_[np.zeros(n_pre), np.full(n_post, 0.6)]
    return (rng.normal(size=k) * 0.12 + effect).round(4), cov, n_pre, n_post


SHORT, LONG = drawn(1, 3, 2, 0.5), drawn(2, 5, 2, 0.7)


# Numbers of statspai 1.40.2 (honest_did_from_moments, fine grid, two seeds of its simulated
# first stage, which is why the third decimal of relative magnitudes is left open).
@pytest.mark.parametrize(
    ("study", "m", "expected", "off"),
    [
        (RESTAURANTS, 0.0, (0.1598, 0.2322), 2e-3),
        (RESTAURANTS, 0.5, (0.1182, 0.2714), 1e-3),
        (RESTAURANTS, 1.0, (0.0670, 0.3192), 1e-3),
        (RESTAURANTS, 2.0, (-0.0420, 0.4244), 1e-3),
        (WAGES, 0.0, (-0.0594, 0.0072), 2e-4),
        (WAGES, 0.5, (-0.0725, 0.0256), 2e-4),
        (WAGES, 1.0, (-0.0937, 0.0524), 2e-4),
        (WAGES, 2.0, (-0.1463, 0.1105), 2e-4),
        (SHORT, 1.0, (0.049, 1.221), 5e-3),
        (LONG, 1.0, (-0.013, 1.095), 4e-3),
    ],
)
def test_relative_magnitudes_equal_an_independent_implementation(study, m, expected, off):
    assert honest(*study, "relative", m) == pytest.approx(expected, abs=off)


# Numbers of statspai 1.40.2; moderndid 0.4.1 gives those of the drawn studies to six digits.
@pytest.mark.parametrize(
    ("study", "m", "expected"),
    [
        (RESTAURANTS, 0.0, (0.13145961558, 0.21611968799)),
        (RESTAURANTS, 0.1, (0.11939794029, 0.41855427372)),
        (RESTAURANTS, 0.3, (-0.08060205972, 0.61855427371)),
        (WAGES, 0.0, (-0.07737343372, -0.00258856404)),
        (WAGES, 0.005, (-0.07182883768, 0.01475897281)),
        (WAGES, 0.02, (-0.06734470254, 0.06268754358)),
        (SHORT, 0.05, (0.19851, 1.08545)),
        (LONG, 0.2, (0.03636, 1.28980)),
    ],
)
def test_smoothness_equals_an_independent_implementation(study, m, expected):
    assert honest(*study, "smoothness", m) == pytest.approx(expected, abs=1e-5)


def test_mean_of_the_post_periods_equals_an_independent_implementation():
    half = [0.5, 0.5]
    smooth = [honest(*LONG, "smoothness", m, weights=half) for m in (0, 0.05)]
    assert smooth[0] == pytest.approx((0.40648, 0.84468), abs=1e-5)
    assert smooth[1] == pytest.approx((0.32556, 1.11039), abs=1e-5)
    relative = honest(*LONG, "relative", 0.5, weights=half)
    assert relative == pytest.approx((0.099, 0.943), abs=3e-3)


def rejects(theta, study, m, level):
    """The conditional test of one post-period by hand: whether every part of the union rejects.

    With one period after the start nothing is left to profile out: in each part the statistic is
    the larger of two studentised moments, its first stage the least favourable two-sided one.
    """
    from scipy.optimize import brentq
    from scipy.stats import multivariate_normal, norm

    beta, cov, n_pre, _ = study
    steps = np.diff(np.insert(np.eye(n_pre + 1), n_pre, 0.0, axis=0), axis=0)
    alpha = 1 - level
    for v in np.vstack([steps[:n_pre], -steps[:n_pre]]):
        rows = np.array([steps[-1] - m * v, -steps[-1] - m * v])
        y = rows @ beta - np.array([theta, -theta])
        sigma = rows @ cov @ rows.T
        sd = np.sqrt(np.diag(sigma))
        z, rho = y / sd, sigma[0, 1] / sd.prod()
        both = multivariate_normal(cov=[[1, rho], [rho, 1]], allow_singular=True)
        first = brentq(lambda c, both=both: 1 - both.cdf([c, c]) - alpha / 10, 0.5, 6)
        top, other = z.max(), z.min()
        tail = norm.sf(top) / norm.sf((other - rho * top) / (1 - rho))
        if not (top > first or (top > 0 and tail < (alpha * 0.9) / (1 - alpha / 10))):
            return False
    return True


@pytest.mark.parametrize(("m", "level"), [(0.3, 0.95), (1.0, 0.9), (2.0, 0.95)])
def test_ends_with_one_period_after_are_where_the_test_by_hand_turns(m, level):
    for end, inwards in zip(honest(*WAGES, "relative", m, level), (1, -1), strict=True):
        step = 2e-6 * inwards
        assert not rejects(end + step, WAGES, m, level) and rejects(end - step, WAGES, m, level)


ANGLES = 20_000


def rejects_several(theta, study, m, level, weights):
    """The same with several periods after: every vertex of the dual, the angles taken finely."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    beta, cov, n_pre, n_post = study
    steps = np.diff(np.insert(np.eye(n_pre + n_post), n_pre, 0.0, axis=0), axis=0)
    c, alpha = np.array([sum(weights[t:]) for t in range(n_post)]), 1 - level
    first = alpha / 10
    for v in np.vstack([steps[:n_pre], -steps[:n_pre]]):
        moments = {1: steps[n_pre:] - m * v, -1: -steps[n_pre:] - m * v}
        sd = {s: np.sqrt(np.einsum("ij,jk,ik->i", rows, cov, rows)) for s, rows in moments.items()}
        rows, size = [], []
        for side in (1, -1):
            used = [(abs(c_t), side if c_t > 0 else -side, t) for t, c_t in enumerate(c)]
            rows.append(sum(by * moments[s][t] for by, s, t in used))
            size.append(sum(by * sd[s][t] for by, s, t in used))
        for t in range(n_post):
            rows.append(moments[1][t] + moments[-1][t])
            size.append(sd[1][t] + sd[-1][t])
        rows, size = np.array(rows), np.array(size)
        z = (rows @ beta + theta * np.r_[-1, 1, np.zeros(n_post)]) / size
        sigma = rows @ cov @ rows.T / np.outer(size, size)
        values, vectors = np.linalg.eigh(sigma)
        angle = np.arange(ANGLES) * 2 * np.pi / ANGLES
        two = vectors[:, -2:] * np.sqrt(values[-2:])
        reach = (two @ [np.cos(angle), np.sin(angle)]).max(axis=0)
        reach = reach[reach > 1e-9]
        critical = brentq(
            lambda x, r=reach: np.exp(-((x / r) ** 2) / 2).sum() / ANGLES - first, 0.1, 9
        )
        top = z.argmax()
        cuts = {1: [-np.inf], -1: [np.inf, critical] if n_post > 1 else [np.inf]}
        for k in range(len(z)):
            rho = sigma[k, top] / sigma[top, top]
            if abs(rho - 1) > 1e-9:
                cuts[1 if rho < 1 else -1].append((z[k] - rho * z[top]) / (1 - rho))
        at, low, high = np.array([z[top], max(cuts[1]), min(cuts[-1])]) / np.sqrt(sigma[top, top])
        tail = (norm.sf(at) - norm.sf(high)) / (norm.sf(low) - norm.sf(high))
        size_left = (alpha - first) / (1 - first)
        if not (z[top] > critical or (z[top] > 0 and tail < size_left)):
            return False
    return True


@pytest.mark.parametrize(
    ("study", "m", "level", "weights"),
    [
        (SHORT, 0.5, 0.95, [1.0, 0.0]),
        (SHORT, 1.0, 0.9, [0.3, -0.7]),
        (LONG, 0.7, 0.95, [0.5, 0.5]),
        (RESTAURANTS, 1.0, 0.95, [0.25] * 4),
    ],
)
def test_ends_with_several_periods_after_are_where_the_test_by_hand_turns(study, m, level, weights):
    for end, inwards in zip(honest(*study, "relative", m, level, weights), (1, -1), strict=True):
        step = 5e-6 * inwards
        assert not rejects_several(end + step, study, m, level, weights)
        assert rejects_several(end - step, study, m, level, weights)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("m", [0.0, 0.05, 0.4])
def test_smoothness_with_one_period_before_is_a_folded_normal(m, level):
    from scipy.stats import ncx2, norm

    beta, cov = np.array([0.1, 0.9]), np.array([[0.02, 0.005], [0.005, 0.03]])
    sd = np.sqrt(cov.sum())  # of the effect less the trend on: 0.9 + 0.1
    reach = sd * (np.sqrt(ncx2.ppf(level, 1, (m / sd) ** 2)) if m else norm.ppf(0.5 + level / 2))
    found = honest(beta, cov, 1, 1, "smoothness", m, level)
    assert found == pytest.approx((1 - reach, 1 + reach), abs=1e-9)
    assert honest(beta, cov, 1, 1, "smoothness", m) == honest(
        beta, cov, 1, 1, "smoothness", m, 0.95
    )


@pytest.mark.parametrize(
    ("m", "level", "weights"),
    [(0.02, 0.95, [1.0, 0.0]), (0.1, 0.9, [0.5, 0.5]), (0.3, 0.95, [0.3, -0.7])],
)
def test_the_shortest_fixed_length_interval_is_that_of_a_search_over_linear_estimators(
    m, level, weights
):
    """Two periods before: one weight is free, the other keeps out linear trends."""
    from scipy.optimize import linprog, minimize_scalar
    from scipy.stats import ncx2

    beta, cov = np.array([0.1, 0.25, 0.9, 0.7]), drawn(3, 2, 2, 0.4)[1]
    bends = np.diff(np.insert(np.eye(4), 2, 0.0, axis=0), 2, axis=0)
    slope = np.array([1, 2]) @ weights

    def interval(free):
        q = np.array([free, slope - 2 * free, *weights])
        # the bias is largest at a violation that bends by m each time, up or down
        worst = linprog(
            -q, np.vstack([bends, -bends]), np.full(6, m), bounds=[(0, 0), *[(None, None)] * 3]
        )
        sd = np.sqrt(q @ cov @ q)
        return q @ beta, sd * np.sqrt(ncx2.ppf(level, 1, (worst.fun / sd) ** 2))

    best = minimize_scalar(
        lambda free: interval(free)[1], bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}
    )
    centre, reach = interval(best.x)
    low, high = honest(beta, cov, 2, 2, "smoothness", m, level, weights)
    assert high - low == pytest.approx(2 * reach, abs=1e-8)
    assert (low, high) == pytest.approx((centre - reach, centre + reach), abs=2e-5)


def test_breakdown_of_smoothness_with_one_period_before_by_hand():
    from scipy.optimize import brentq
    from scipy.stats import ncx2

    beta, cov = [0.1, 0.9], np.diag([0.01, 0.01])
    sd = np.sqrt(0.02)  # where the reach is all of 0.9 + 0.1
    for level in (0.9, 0.95):
        by_hand = brentq(lambda m, q=level: sd * np.sqrt(ncx2.ppf(q, 1, (m / sd) ** 2)) - 1, 0.1, 2)
        found = honest_breakdown(beta, cov, 1, 1, "smoothness", level)
        assert found == pytest.approx(by_hand, rel=2e-6)
        turned = honest_breakdown([-0.1, -0.9], cov, 1, 1, "smoothness", level)
        assert turned == pytest.approx(by_hand, rel=2e-6)
    assert honest_breakdown(beta, cov, 1, 1, "smoothness") == found
    assert np.isinf(honest_breakdown(beta, cov, 1, 1, "smoothness", largest=0.7))
    assert np.isfinite(honest_breakdown(beta, cov, 1, 1, "smoothness", largest=0.8))


def test_breakdown_looks_as_far_as_a_hundred_steps_or_errors():
    cov = np.diag([1e-6, 1e-6])
    assert honest_breakdown([0.01, 0.9], cov, 1, 1) == pytest.approx(70, abs=20)
    assert np.isinf(honest_breakdown([0.001, 0.9], 1e-4 * cov, 1, 1))
    near = honest_breakdown([0.0, 0.09], cov, 1, 1, "smoothness")  # 90 errors
    assert near == pytest.approx(0.09, abs=0.003)
    assert np.isinf(honest_breakdown([0.0, 0.11], cov, 1, 1, "smoothness"))


@pytest.mark.parametrize(
    ("covariance", "size", "c"),
    [
        (np.eye(1), 0.005, 2.575829),  # one normal, one side
        (4 * np.eye(1), 0.005, 2 * 2.575829),
        (np.array([[1.0, -1], [-1, 1]]), 0.005, 2.807034),  # one normal, two sides
        (np.eye(2), 0.005, 2.806630),  # of two independent ones: Phi(c) = sqrt(0.995)
        (np.ones((3, 3)), 0.01, 2.326348),
    ],
)
def test_the_first_stage_is_the_quantile_of_the_largest_normal(covariance, size, c):
    assert sensitivity._least_favourable(covariance, size) == pytest.approx(c, abs=2e-6)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 4.0, 40.0])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_the_folded_quantile_and_its_slope_are_those_of_a_shifted_normal(t, alpha):
    from scipy.stats import ncx2, norm

    c, slope = sensitivity._folded_quantile(t, alpha)
    inside = norm.cdf(c - t) - norm.cdf(-c - t)
    assert inside == pytest.approx(1 - alpha, abs=1e-9)
    assert ncx2.cdf(c**2, 1, max(t, 1e-9) ** 2) == pytest.approx(1 - alpha, abs=1e-6)
    step = 1e-5
    ahead, behind = (sensitivity._folded_quantile(abs(t + s), alpha)[0] for s in (step, -step))
    assert slope == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)


def test_identified_set_is_the_estimate_plus_and_minus_m_times_the_largest_step():
    beta = np.array(RESTAURANTS[0])
    step = np.abs(np.diff(np.r_[beta[:4], 0])).max()
    low, high = identified_set(*RESTAURANTS[:1], 4, 4, "relative", 1.5)
    assert (low, high) == pytest.approx((beta[4] - 1.5 * step, beta[4] + 1.5 * step), abs=1e-12)
    weights = np.array([0.25, 0.25, 0.25, 0.25])
    reach = 1.5 * step * (np.arange(1, 5) * weights).sum()
    found = identified_set(*RESTAURANTS[:1], 4, 4, "relative", 1.5, weights)
    assert found == pytest.approx((weights @ beta[4:] - reach, weights @ beta[4:] + reach))


def test_violations_as_large_as_the_largest_before_are_assumed_unless_told_otherwise():
    assert identified_set(RESTAURANTS[0], 4, 4) == identified_set(RESTAURANTS[0], 4, 4, m=1.0)
    assert honest(*WAGES) == honest(*WAGES, "relative", 1.0, 0.95)


def test_identified_sets_by_hand_with_weights_of_either_sign():
    # steps before: 0.2, -0.3; the steps after weigh 2 - 1 and -1
    found = identified_set([0.1, 0.3, 1.0, 1.5], 2, 2, "relative", 2.0, [2.0, -1.0])
    assert found == pytest.approx((0.5 - 0.6 * 2, 0.5 + 0.6 * 2))
    # straight trend of 0.1 a period: 2 x 0.1 - 1 x 0.2 is nothing; bends weigh |2 - 2| and |-1|
    found = identified_set([-0.2, -0.1, 1.0, 1.5], 2, 2, "smoothness", 0.3, [2.0, -1.0])
    assert found == pytest.approx((0.5 - 0.3, 0.5 + 0.3))
    found = identified_set([-0.2, -0.1, 1.0, 1.5], 2, 2, "smoothness", 0.3, [0.0, 1.0])
    assert found == pytest.approx((1.5 - 0.2 - 0.9, 1.5 - 0.2 + 0.9))


def test_the_table_has_interval_and_set_of_each_bound():
    values, weights = [0.0, 0.5, 2.0], [0.2, 0.8]
    table = honest_table(*LONG, "smoothness", values, 0.9, weights)
    assert table.columns.tolist() == ["m", "ci_low_set", "ci_high_set", "bound_low", "bound_high"]
    assert table["m"].tolist() == values
    for row, m in zip(table.to_numpy()[:, 1:], values, strict=True):
        interval = honest(*LONG, "smoothness", m, 0.9, weights)
        known = identified_set(LONG[0], 5, 2, "smoothness", m, weights)
        assert row.tolist() == pytest.approx([*interval, *known], nan_ok=True)
    assert honest_table(*LONG, "smoothness", [0.5]).equals(
        honest_table(*LONG, "smoothness", [0.5], 0.95, [1.0, 0.0])
    )


def test_bent_trends_before_the_start_refute_a_straight_one():
    assert np.isnan(identified_set([0.0, 1.0, 0.0, 2.0], 3, 1, "smoothness", 0.1)).all()
    assert np.isnan(identified_set([-0.15, 0.0, 0.0], 2, 1, "smoothness", 0.1)).all()
    # trend of slope 1: the effect is 2 - 1; one bend of at most 0.25 can come at the base
    found = identified_set([-2.0, -1.0, 2.0], 2, 1, "smoothness", 0.25)
    assert found == pytest.approx((0.75, 1.25))


def extremes(beta, n_pre, weights, m, method):
    """Ends of the identified set by linear programming over the violations after the start."""
    from scipy.optimize import linprog

    n_post = len(weights)
    before = np.r_[beta[:n_pre], 0.0]
    whole = np.eye(n_pre + 1 + n_post)
    order = 1 if method == "relative" else 2
    rows = np.diff(whole, order, axis=0)[n_pre + 1 - order :]
    limit = m * np.abs(np.diff(before)).max() if method == "relative" else m
    known, free = rows[:, : n_pre + 1] @ before, rows[:, n_pre + 1 :]
    ends = []
    for sign in (1, -1):
        best = linprog(
            sign * weights,
            A_ub=np.vstack([free, -free]),
            b_ub=np.r_[limit - known, limit + known],
            bounds=[(None, None)] * n_post,
        )
        ends.append(weights @ beta[n_pre:] - sign * best.fun)
    return min(ends), max(ends)


@given(st.integers(0, 10_000), st.sampled_from(["relative", "smoothness"]))
@settings(max_examples=25, deadline=None)
def test_identified_set_equals_a_linear_programme_for_any_weights(seed, method):
    rng = np.random.default_rng(seed)
    n_pre, n_post = rng.integers(1, 5, 2)
    beta, weights = rng.normal(size=n_pre + n_post), rng.normal(size=n_post)
    m = 5 + rng.random()  # large enough that the pre-periods allow it
    found = identified_set(beta, n_pre, n_post, method, m, weights)
    if not np.isnan(found).any():
        assert found == pytest.approx(extremes(beta, n_pre, weights, m, method), abs=1e-8)


@pytest.mark.parametrize("method", ["relative", "smoothness"])
def test_interval_shrinks_to_the_identified_set_when_nothing_is_left_to_estimate(method):
    beta = [0.0, 0.1, 0.25, 0.9]  # bends of 0.05 and of 0.4 at the base
    low, high = honest(beta, 1e-14 * np.eye(4), 3, 1, method, 1.2)
    assert (low, high) == pytest.approx(identified_set(beta, 3, 1, method, 1.2), abs=1e-5)


def test_where_nothing_is_uncertain_and_nothing_allowed_the_interval_is_the_effect():
    for betas, m in (([0.0, 0.0, 0.5], 1.0), ([0.1, 0.3, 0.5], 0.0)):
        assert honest(betas, np.zeros((3, 3)), 2, 1, "relative", m) == (0.5, 0.5)
    known = honest([0.1, 0.3, 0.5], np.zeros((3, 3)), 2, 1, "relative", 2.0)
    assert known == pytest.approx((-0.1, 1.1), abs=1e-6)  # twice the step of 0.3 either way


@pytest.mark.parametrize("study", [RESTAURANTS, WAGES, SHORT, LONG])
@pytest.mark.parametrize("method", ["relative", "smoothness"])
def test_allowing_larger_violations_never_shortens_the_interval(study, method):
    lengths = np.diff([honest(*study, method, m) for m in (0, 0.02, 0.1, 0.5, 1, 2)])
    assert (np.diff(lengths[:, 0]) > 0).all()


@pytest.mark.parametrize("study", [RESTAURANTS, SHORT])
def test_relative_interval_holds_the_identified_set(study):
    table = honest_table(*study, "relative", [0.0, 0.5, 1.0, 2.0])
    assert (table["ci_low_set"] < table["bound_low"]).all()
    assert (table["ci_high_set"] > table["bound_high"]).all()


@pytest.mark.parametrize("method", ["relative", "smoothness"])
def test_interval_moves_with_the_unit_and_the_sign(method):
    beta, cov, n_pre, n_post = LONG
    m, factor = (1.0, 1.0) if method == "relative" else (0.05, 1000.0)
    low, high = honest(*LONG, method, m)
    scaled = honest(beta * 1000, cov * 1e6, n_pre, n_post, method, m * factor)
    assert scaled == pytest.approx((1000 * low, 1000 * high), rel=1e-5)
    turned = honest(-beta, cov, n_pre, n_post, method, m)
    assert turned == pytest.approx((-high, -low), abs=1e-7)


@pytest.mark.parametrize(("method", "m"), [("relative", 0.7), ("smoothness", 0.05)])
@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.3, -0.7]])
def test_turning_the_target_turns_the_interval(method, m, weights):
    low, high = honest(*LONG, method, m, weights=weights)
    turned = honest(*LONG, method, m, weights=-np.array(weights))
    assert turned == pytest.approx((-high, -low), abs=1e-7)


def test_adding_a_linear_trend_leaves_the_smoothness_interval_where_it_was():
    beta, cov, n_pre, n_post = LONG
    periods = np.r_[np.arange(-n_pre, 0), np.arange(1, n_post + 1)]
    moved = honest(beta + 0.3 * periods, cov, n_pre, n_post, "smoothness", 0.05)
    assert moved == pytest.approx(honest(*LONG, "smoothness", 0.05), abs=1e-7)


def test_higher_level_gives_a_wider_interval():
    for method, m in (("relative", 1.0), ("smoothness", 0.05)):
        narrow, wide = (honest(*LONG, method, m, level) for level in (0.9, 0.99))
        assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("study", "method"),
    [(RESTAURANTS, "relative"), (RESTAURANTS, "smoothness"), (SHORT, "relative")],
)
def test_breakdown_is_where_the_interval_first_touches_zero(study, method):
    at = honest_breakdown(*study, method)
    below, above = (honest(*study, method, at * factor)[0] for factor in (0.999, 1.001))
    assert above <= 0 < below


def test_there_is_no_breakdown_when_zero_is_inside_at_once_or_never():
    cov = 0.01 * np.eye(2)
    assert np.isnan(honest_breakdown([0.0, 0.1], cov, 1, 1))
    assert np.isinf(honest_breakdown([0.1, 9.0], cov, 1, 1, "smoothness", largest=1.0))


def test_a_breakdown_far_below_the_largest_bound_looked_at_is_found_all_the_same():
    near = honest_breakdown([0.1, 0.9], 0.01 * np.eye(2), 1, 1, "smoothness", largest=1.0)
    far = honest_breakdown([0.1, 0.9], 0.01 * np.eye(2), 1, 1, "smoothness", largest=1e4)
    assert far == pytest.approx(near, rel=1e-4) and far < 1e4 / 2**7


def test_interval_covers_as_often_as_it_says_when_violations_are_as_large_as_allowed():
    """After the start the violation steps as far as the largest step before: the worst case."""
    rng = np.random.default_rng(5)
    cov = 0.04 * (0.5 * np.eye(4) + 0.5)
    truth = np.array([-0.9, -0.6, -0.6, 0.6])  # steps 0.3, 0, 0.6; after the start 0.6
    draws = rng.multivariate_normal(truth, cov, size=200)
    inside = [low <= 0 <= high for low, high in (honest(b, cov, 3, 1) for b in draws)]
    assert np.mean(inside) >= 0.91


def test_honest_is_offered_among_the_methods_of_inference():
    assert inference.honest is honest and inference.honest_breakdown is honest_breakdown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "other"}, "'other'; expected one of relative, smoothness"),
        ({"m": -1}, "Bound m is -1"),
        ({"m": np.nan}, "Bound m is nan"),
        ({"level": 1.0}, "Level is 1.0"),
        ({"level": 0.5}, "Level is 0.5"),
        ({"m": np.inf}, "Bound m is inf"),
        ({"n_post": 0}, "at least 1"),
        ({"weights": [1.0, np.nan]}, "must be 2 numbers"),
        ({"weights": [1.0]}, "must be 2 numbers"),
        ({"weights": [0.0, 0.0]}, "not all 0"),
        ({"n_pre": 4}, r"4 \+ 2 coefficients"),
        ({"n_pre": 0}, "at least 1"),
        ({"betas": [np.nan] * 5}, "missing or infinite"),
        ({"cov": -np.eye(5)}, "negative eigenvalue"),
        ({"cov": np.triu(np.ones((5, 5)))}, "not symmetric"),
        ({"cov": 1e-12 * np.triu(np.ones((5, 5)))}, "not symmetric"),
    ],
)
def test_input_that_is_no_event_study_is_refused(options, said):
    given_input = dict(zip(("betas", "cov", "n_pre", "n_post"), SHORT, strict=True))
    with pytest.raises(KokeiluError, match=said):
        honest(**given_input | options)
