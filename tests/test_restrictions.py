import numpy as np
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import lag, restrictions

D = np.array([0.30, 0.55, 0.10, 0.42, 0.20, 0.61])
LOW = np.array([0.25, 0.4, 0.6, 0.35, 0, 0.1])
HIGH = np.array([0.25, 0.6, 0.8, 0.35, 1, 0.1])


def violation(theta0, theta1, d, low, high, w):
    """Mean squared distance of the effects from the band, straight from its definition."""
    ends = theta0 + theta1 * low, theta0 + theta1 * high
    below, above = np.minimum(*ends), np.maximum(*ends)
    return w @ (np.maximum(below - d, 0) ** 2 + np.maximum(d - above, 0) ** 2)


def case(seed, noise=0.1, areas=12):
    rng = np.random.default_rng(seed)
    b = rng.uniform(0.1, 0.9, areas)
    low = np.maximum(b - rng.choice([0, 0.1, 0.3], areas), 0)
    high = np.minimum(b + rng.choice([0, 0.05, 0.3], areas), 1)
    return 0.5 - 0.6 * b + rng.normal(0, noise, areas), low, high, rng


@pytest.mark.parametrize("seed", range(10))
def test_without_noise_every_line_through_the_ranges_is_kept_and_the_truth_among_them(seed):
    d, low, high, rng = case(seed, noise=0)
    row = restrictions.manski_tamer(d, low, high, slope_sign=-1, tolerance=0).iloc[0]
    assert row["bound_low"] <= 0.5 + 1e-7 and row["bound_high"] >= 0.5 - 1e-7
    assert row["slope_low"] <= -0.6 + 1e-7 and row["slope_high"] >= -0.6 - 1e-7
    theta0, theta1 = rng.uniform(-0.5, 1.5, 40_000), rng.uniform(-2, 0, 40_000)
    fits = (theta0[:, None] + theta1[:, None] * high <= d).all(axis=1)
    fits &= (d <= theta0[:, None] + theta1[:, None] * low).all(axis=1)
    if fits.any():
        assert row["bound_low"] <= theta0[fits].min() + 1e-7
        assert theta0[fits].max() <= row["bound_high"] + 1e-7


@pytest.mark.parametrize("seed", range(10))
def test_with_noise_the_level_set_is_neither_left_nor_missed_by_a_fine_grid(seed):
    d, low, high, rng = case(seed, noise=0.3)
    w = rng.uniform(0.5, 2, len(d))
    tolerance = 0.003
    table = restrictions.manski_tamer(d, low, high, w, tolerance=tolerance)
    w = w / w.sum()
    grid = np.linspace(-2, 3, 401)
    steep = np.linspace(-4, 4, 401)
    q = np.array([[violation(t0, t1, d, low, high, w) for t1 in steep] for t0 in grid[::4]])
    least = table["least"].min()
    assert least <= q.min() + 1e-12
    step = 4 * (grid[1] - grid[0])
    for _, row in table.iterrows():
        side = steep * row["slope_sign"] >= 0
        kept = (q[:, side] <= least + tolerance).any(axis=1)
        if not kept.any():
            continue
        values = grid[::4][kept]
        assert row["bound_low"] <= values.min() + 1e-9 and values.max() <= row["bound_high"] + 1e-9
        if abs(row["slope_low"]) < 4 and abs(row["slope_high"]) < 4:
            assert row["bound_low"] >= values.min() - 2.5 * step
            assert row["bound_high"] <= values.max() + 2.5 * step


def test_backlogs_known_as_points_give_least_squares_as_the_minimiser():
    d, low, _, _ = case(3)
    table = restrictions.manski_tamer(d, low, low, tolerance=1e-12, slope_sign=-1)
    theta0, theta1 = lag.line(d, low)
    assert table["bound_low"].iloc[0] == pytest.approx(theta0, abs=1e-4)
    assert table["slope_high"].iloc[0] == pytest.approx(theta1, abs=1e-4)
    residual = d - theta0 - theta1 * low
    assert table["least"].iloc[0] == pytest.approx((residual**2).mean(), rel=1e-9)


def test_a_larger_tolerance_never_narrows_and_the_bootstrapped_one_is_not_the_bare_minimiser():
    d, low, high, _ = case(4, noise=0.3)
    widths = [
        np.diff(restrictions.manski_tamer(d, low, high, slope_sign=-1, tolerance=c).iloc[0, 1:3])
        for c in (1e-6, 1e-4, 1e-3)
    ]
    assert widths[0] < widths[1] < widths[2]
    table = restrictions.manski_tamer(d, low, high, slope_sign=-1, draws=40)
    assert table["tolerance"].iloc[0] > 0
    again = restrictions.manski_tamer(d, low, high, slope_sign=-1, draws=40)
    assert table.equals(again)


def test_ranges_that_say_nothing_leave_the_line_open():
    d = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    row = restrictions.manski_tamer(d, np.zeros(5), np.ones(5), slope_sign=-1, tolerance=0).iloc[0]
    assert row["bound_low"] == pytest.approx(0.5) and row["bound_high"] == np.inf
    assert row["slope_low"] == -np.inf


def test_the_wrong_sign_is_empty_when_the_right_one_fits_far_better():
    b = np.linspace(0.1, 0.9, 9)
    table = restrictions.manski_tamer(1 - b, b, b, tolerance=1e-4).set_index("slope_sign")
    assert np.isnan(table.loc[1, "bound_low"])
    assert table.loc[-1, "bound_low"] == pytest.approx(1, abs=0.05)


def test_monotone_bounds_are_those_of_every_falling_curve_through_the_areas():
    d, low, high, _ = case(5, noise=0)
    at = np.linspace(0, 1, 21)
    table = restrictions.monotone_bounds(d, low, high, at)
    truth = 0.5 - 0.6 * at
    assert (table["bound_low"] <= truth + 1e-12).all() and (table["bound_high"] >= truth).all()
    assert (table["slack"] == 0).all()
    assert table["bound_low"].iloc[0] == pytest.approx(
        max(d[low >= 0].max(), d.max())
    )  # at zero the effect is at least every area's
    assert np.isinf(table["bound_high"].iloc[0])


def test_monotone_bounds_by_hand():
    """Falling: A at 0.1-0.2 has 6, B at 0.2-0.4 has 5, C at 0.7 has 2."""
    given_areas = [6.0, 5.0, 2.0], [0.1, 0.2, 0.7], [0.2, 0.4, 0.7]
    found = restrictions.monotone_bounds(*given_areas, [0, 0.15, 0.2, 0.3, 0.4, 0.7, 0.8])
    assert found.columns.tolist() == ["at", "bound_low", "bound_high", "slack"]
    inf = np.inf
    assert found.to_numpy().tolist() == [
        [0.0, 6, inf, 0],  # at least what every later one has
        [0.15, 5, inf, 0],  # A may lie before it
        [0.2, 5, 6, 0],
        [0.3, 2, 6, 0],
        [0.4, 2, 5, 0],
        [0.7, 2, 2, 0],
        [0.8, -inf, 2, 0],
    ]
    roomy = restrictions.monotone_bounds(*given_areas, [0.2, 0.7], tolerance=0.5)
    assert roomy.to_numpy().tolist() == [[0.2, 4.5, 6.5, 0], [0.7, 1.5, 2.5, 0]]
    # rising they contradict each other by 4 at most: 2 of room each way
    rising = restrictions.monotone_bounds(*given_areas, [0.2, 0.8], slope_sign=1, tolerance=0.5)
    assert rising.to_numpy().tolist() == [[0.2, 3.5, 4.5, 2], [0.8, 3.5, inf, 2]]


def test_lipschitz_bounds_by_hand():
    """A at 0.2 has 5, B at 0.6-0.8 has 2: with 10 per unit they cannot differ by more than 6."""
    given_areas = [5.0, 2.0], [0.2, 0.6], [0.2, 0.8]
    found = restrictions.lipschitz_bounds(*given_areas, [10, 20], [0.0, 0.5, 1.0])
    assert found.columns.tolist() == ["k", "at", "bound_low", "bound_high", "slack"]
    assert found.to_numpy() == pytest.approx(
        np.array(
            [
                [10, 0.0, 3, 7, 0],
                [10, 0.5, 2, 5, 0],  # B at 0.8 is 0.3 away: -1 to 5; A is as far: 2 to 8
                [10, 1.0, -2, 6, 0],  # B at 0.6 is 0.4 away; A 0.8
                [20, 0.0, 1, 9, 0],
                [20, 0.5, -1, 8, 0],
                [20, 1.0, -6, 10, 0],
            ]
        )
    )
    steep = restrictions.lipschitz_bounds(*given_areas, 2.0, 0.5, tolerance=0.1).iloc[0]
    # 3 apart, 2 x 0.6 of it allowed: 0.9 of room each way, and 0.1 more
    assert steep.tolist() == pytest.approx([2, 0.5, 5 - 0.6 - 1, 2 + 0.6 + 1, 0.9])


def test_lines_through_ranges_by_hand_at_any_reference():
    b = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    for at, ends in ((0.0, (0.9, 3.5 / 3)), (0.5, (0.4, 0.6)), (1.0, (-0.5 / 3, 0.1))):
        row = restrictions.manski_tamer(1 - b, b - 0.1, b + 0.1, None, -1, 0, at).iloc[0]
        assert (row["bound_low"], row["bound_high"]) == pytest.approx(ends, abs=1e-6)
        assert (row["slope_low"], row["slope_high"]) == pytest.approx((-4 / 3, -0.8), abs=1e-6)
        assert (row["least"], row["tolerance"]) == pytest.approx((0, 0), abs=1e-12)
        up = restrictions.manski_tamer(b, b - 0.1, b + 0.1, None, 1, 0, at).iloc[0]
        assert (up["bound_low"], up["bound_high"]) == pytest.approx(
            (1 - ends[1], 1 - ends[0]), abs=1e-6
        )
        assert (up["slope_low"], up["slope_high"]) == pytest.approx((0.8, 4 / 3), abs=1e-6)


def test_turning_effects_round_turns_the_monotone_bounds_round():
    d, low, high, _ = case(6)
    at = [0.1, 0.5, 0.9]
    falling = restrictions.monotone_bounds(d, low, high, at, slope_sign=-1)
    rising = restrictions.monotone_bounds(-d, low, high, at, slope_sign=1)
    assert falling["bound_low"].to_numpy() == pytest.approx(-rising["bound_high"].to_numpy())
    assert falling["slack"].equals(rising["slack"])


def test_contradicting_areas_get_the_least_room_that_makes_the_bounds_meet():
    table = restrictions.monotone_bounds([0.2, 0.6], [0.1, 0.5], [0.1, 0.5], [0.3], slope_sign=-1)
    assert table.iloc[0].tolist() == pytest.approx([0.3, 0.4, 0.4, 0.2])


def test_lipschitz_bounds_hold_every_curve_no_steeper_and_meet_the_formula():
    rng = np.random.default_rng(9)
    b = rng.uniform(0.1, 0.9, 10)
    low, high = b - 0.05, b + 0.08
    for curve, k in ((lambda x: 0.4 * np.sin(2 * x), 0.8), (lambda x: np.abs(x - 0.5), 1.0)):
        d = curve(b)
        for at in (0.0, 0.3, 1.0):
            row = restrictions.lipschitz_bounds(d, low, high, k, at).iloc[0]
            assert row["bound_low"] <= curve(at) <= row["bound_high"] and row["slack"] == 0
    points = restrictions.lipschitz_bounds(d, b, b, 1.0, 0.0).iloc[0]
    assert points["bound_low"] == pytest.approx((d - b).max())
    assert points["bound_high"] == pytest.approx((d + b).min())


def test_an_effect_that_cannot_change_is_between_what_the_areas_have():
    row = restrictions.lipschitz_bounds([5.0, 2.0], [0.2, 0.6], [0.2, 0.8], 0, 0.5).iloc[0]
    assert row.tolist() == [0, 0.5, 3.5, 3.5, 1.5]


def test_a_line_that_rises_is_no_falling_one_however_little_it_rises():
    b = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    table = restrictions.manski_tamer(1 + 1e-5 * b, b, b, tolerance=0).set_index("slope_sign")
    assert 1e-12 < table.loc[-1, "least"] < 1e-11 and np.isnan(table.loc[-1, "bound_low"])
    assert table.loc[1, "slope_low"] == pytest.approx(1e-5, rel=1e-3)


def test_a_larger_lipschitz_constant_never_narrows():
    table = restrictions.lipschitz_bounds(D, LOW, HIGH, [1.5, 2, 3, 8], 0.0)
    assert (table["bound_low"].diff().dropna() <= 0).all()
    assert (table["bound_high"].diff().dropna() >= 0).all()


def lines(d, b, at):
    x = b - b.mean(axis=1, keepdims=True)
    slope = (x @ (d - d.mean())) / (x**2).sum(axis=1)
    return d.mean() + slope * (at - b.mean(axis=1)), slope


@pytest.mark.parametrize("at", [0.0, 0.3])
@pytest.mark.parametrize("steepest", [0.01, 0.03, 0.05, 0.08])
def test_no_backlogs_with_a_line_flat_enough_leave_the_steepness_bounds(steepest, at):
    rng = np.random.default_rng(10)
    row = restrictions.restricted_bounds(D, LOW, HIGH, steepest=steepest, at=at).iloc[1]
    free = np.array([1, 2, 4])
    grid = np.stack(np.meshgrid(*[np.linspace(LOW[j], HIGH[j], 61) for j in free]), -1)
    b = np.tile(LOW, (61**3, 1))
    b[:, free] = grid.reshape(-1, 3)
    value, slope = lines(D, b, at)
    kept = np.abs(slope) <= 10 * steepest
    if not kept.any():
        assert np.isnan(row["bound_low"]) or steepest == 0.01
        return
    assert row["bound_low"] <= value[kept].min() + 1e-9
    assert value[kept].max() <= row["bound_high"] + 1e-9
    assert row["bound_high"] - value[kept].max() <= row["gap"] + 0.01
    assert value[kept].min() - row["bound_low"] <= row["gap"] + 0.01
    assert rng is not None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_of_the_slope_keeps_the_lines_that_have_it(sign):
    d, low, high = np.array([0.1, 0.4, 0.6, 0.3]), np.array([0.1, 0.5, 0.4, 0.8]), [0.3, 0.9, 0.6]
    high, w = np.append(high, 0.8), np.array([0.1, 0.5, 0.2, 0.2])
    grid = np.stack(np.meshgrid(*[np.linspace(*x, 41) for x in zip(low, high, strict=True)][:3]))
    b = np.column_stack([grid.reshape(3, -1).T, np.full(41**3, 0.8)])
    x = b - (b @ w)[:, None]
    slope = (x @ (w * d)) / (x**2 @ w)
    value = w @ d - slope * (b @ w)
    kept = value[sign * slope >= 0]
    table = restrictions.restricted_bounds(d, low, high, w, slope_sign=sign, minimum_areas=4)
    free, row = table.iloc[0], table.iloc[1]
    assert (row["bound_low"], row["bound_high"]) == pytest.approx(
        (kept.min(), kept.max()), abs=0.01
    )
    assert (
        row["bound_low"] > free["bound_low"] + 0.05 or row["bound_high"] < free["bound_high"] - 0.05
    )


def test_a_steepness_bites_just_below_the_one_of_the_widest_line():
    free = lag.intercept_bounds(D, LOW, HIGH)
    steepest = -free.slope[0] / 10  # per 10 points; the largest effect at no backlog needs it
    loose, tight = (
        restrictions.restricted_bounds(D, LOW, HIGH, steepest=part * steepest).iloc[1]
        for part in (1.0, 0.95)
    )
    assert loose["bound_high"] == pytest.approx(free.intercept[1])
    assert tight["bound_high"] < free.intercept[1] - 1e-3


def test_several_restrictions_are_also_switched_on_together():
    given_two = dict(slope_sign=-1, effect=(0.5, 0.5))
    table = restrictions.restricted_bounds(D, LOW, HIGH, **given_two)
    assert table["restriction"].tolist() == ["none", "slope_sign", "effect", "all"]
    ends = table[["bound_low", "bound_high"]].to_numpy()
    assert ends[2:].tolist() == [[0.5, 0.5]] * 2  # one effect is a range too
    one = restrictions.restricted_bounds(D, LOW, HIGH, slope_sign=-1)
    assert one["restriction"].tolist() == ["none", "slope_sign"]


def test_each_restriction_buys_something_or_nothing_but_never_costs():
    table = restrictions.restricted_bounds(
        D, LOW, HIGH, slope_sign=-1, steepest=0.04, effect=(0.0, 0.6)
    ).set_index("restriction")
    free = table.loc["none"]
    assert free["bound_high"] == pytest.approx(0.679069, abs=1e-6)
    for name in ("slope_sign", "steepest", "effect", "all"):
        assert table.loc[name, "bound_low"] >= free["bound_low"] - 1e-9
        assert table.loc[name, "bound_high"] <= free["bound_high"] + 1e-9
    assert table.loc["all", "bound_high"] <= table["bound_high"].min() + 1e-9


def test_a_sign_that_no_backlogs_allow_leaves_nothing():
    b = np.linspace(0.1, 0.9, 9)
    table = restrictions.restricted_bounds(1 - b, b, b, slope_sign=1).set_index("restriction")
    assert np.isnan(table.loc["slope_sign", "bound_low"]) and table.loc["slope_sign", "gap"] == 0
    steep = restrictions.restricted_bounds(1 - b, b, b, steepest=0.05).set_index("restriction")
    assert np.isnan(steep.loc["steepest", "bound_low"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: restrictions.manski_tamer(D, LOW, HIGH, slope_sign=2), "slope_sign"),
        (lambda: restrictions.manski_tamer(D, LOW, HIGH, tolerance=-1), "tolerance"),
        (lambda: restrictions.manski_tamer(D[:4], LOW[:4], HIGH[:4]), "too few"),
        (lambda: restrictions.monotone_bounds(D, LOW, HIGH, 12.5), "per cent"),
        (lambda: restrictions.monotone_bounds(D, LOW, HIGH, 0, slope_sign=0), "slope_sign"),
        (lambda: restrictions.lipschitz_bounds(D, LOW, HIGH, -1, 0), "0 or more"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, steepest=0), "steepest"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, slope_sign=0), "slope_sign"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, effect=(1, 0)), "effect"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, at=12.5), "per cent"),
        (lambda: restrictions.manski_tamer(D, LOW, HIGH, tolerance=0, at=12.5), "per cent"),
        (lambda: restrictions.lipschitz_bounds(D, LOW, HIGH, [1, -1], 0), "0 or more"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(call, message):
    with pytest.raises(KokeiluError, match=message):
        call()


def test_one_sign_asked_for_gives_its_row_of_both():
    d, low, high, _ = case(3)
    both = restrictions.manski_tamer(d, low, high, tolerance=0.01).set_index("slope_sign")
    for sign in (1, -1):
        one = restrictions.manski_tamer(d, low, high, slope_sign=sign, tolerance=0.01).iloc[0]
        assert one["least"] == pytest.approx(both.loc[sign, "least"])
    for call in (
        lambda: restrictions.manski_tamer(d, low, high, slope_sign=0),
        lambda: restrictions.monotone_bounds(d, low, high, 0.5, slope_sign=0),
        lambda: restrictions.restricted_bounds(d, low, high, slope_sign=0),
    ):
        with pytest.raises(KokeiluError, match="`slope_sign` is 0"):
            call()


def test_an_effect_that_is_out_of_reach_leaves_nothing():
    row = restrictions.restricted_bounds(D, LOW, HIGH, effect=(5.0, 6.0)).iloc[1]
    assert np.isnan([row["bound_low"], row["bound_high"]]).all() and row["gap"] < 1e-9
    none = restrictions.restricted_bounds(D, LOW, HIGH).iloc[0]
    half = restrictions.restricted_bounds(D, LOW, HIGH, effect=(0.4, 6.0)).iloc[1]
    assert (half["bound_low"], half["bound_high"]) == (0.4, none["bound_high"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: restrictions.manski_tamer(D, LOW, HIGH, tolerance=-0.5), "`tolerance` is -0.5"),
        (lambda: restrictions.manski_tamer(D, LOW, HIGH, tolerance=np.nan), "`tolerance` is nan"),
        (lambda: restrictions.monotone_bounds(D, LOW, HIGH, 0.5, tolerance=-0.5), "-0.5"),
        (lambda: restrictions.lipschitz_bounds(D, LOW, HIGH, 1.0, 0.5, tolerance=-0.5), "-0.5"),
        (lambda: restrictions.lipschitz_bounds(D, LOW, HIGH, -0.5, 0.5), "`k` is -0.5"),
        (lambda: restrictions.lipschitz_bounds(D, LOW, HIGH, np.inf, 0.5), "`k` is inf"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, steepest=0.0), "`steepest` is 0.0"),
        (lambda: restrictions.restricted_bounds(D, LOW, HIGH, steepest=np.inf), "`steepest`"),
    ],
)
def test_restrictions_that_cannot_be_meant_are_refused(call, said):
    with pytest.raises(KokeiluError, match=said):
        call()
