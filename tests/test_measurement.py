import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import lag, measurement

ZETA = np.array([0, 0.5, 1, 1.5, 2])


def reported(seed=0, areas=4000, error=0.12, slope=-0.6):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.3, 0.7, areas)
    report = np.clip(true + rng.normal(0, error, areas), 0, 1)
    return 0.5 + slope * true + rng.normal(0, 0.05, areas), report, true


def test_extrapolants_give_the_known_answers():
    naive = 2 / (1 + 0.5 * (1 + ZETA))
    assert naive[0] == pytest.approx(1.3333, abs=1e-4)
    assert measurement.extrapolate(ZETA, naive, "quadratic") == pytest.approx(1.79619, abs=5e-6)
    assert measurement.extrapolate(ZETA, naive) == pytest.approx(2, abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_the_rational_extrapolant_is_exact_for_every_line(seed):
    rng = np.random.default_rng(seed)
    slope, variance, error = rng.normal(), rng.uniform(0.5, 2), rng.uniform(0.05, 1)
    offset = rng.normal()
    values = offset + slope * variance / (variance + error * (1 + ZETA))
    assert measurement.extrapolate(ZETA, values) == pytest.approx(offset + slope, abs=1e-8)
    assert measurement.extrapolate(ZETA, np.full(5, 1.7)) == pytest.approx(1.7)


def test_correction_by_the_reliability_recovers_the_true_line():
    d, report, _ = reported()
    r = measurement.reliability(report, 0.12)
    naive = lag.line(d, report)
    table = measurement.corrected_line(d, report, [1.0, r]).set_index("r")
    assert table["slope"].iloc[0] == pytest.approx(naive[1])
    assert table["effect"].iloc[0] == pytest.approx(naive[0])
    assert naive[1] > -0.35  # pulled to zero
    assert table["slope"].iloc[1] == pytest.approx(-0.6, abs=0.04)
    assert table["effect"].iloc[1] == pytest.approx(0.5, abs=0.02)


def test_at_the_named_reliability_the_effect_is_zero():
    d = np.array([-0.1, 0.05, 0.1, 0.2, 0.4])
    b = np.array([0.7, 0.6, 0.5, 0.3, 0.2])
    d = d - 0.7
    turn = measurement.corrected_line(d, b, 1.0)["r_sign_change"].iloc[0]
    assert 0 < turn < 1
    assert measurement.corrected_line(d, b, turn)["effect"].iloc[0] == pytest.approx(0, abs=1e-12)
    before, after = measurement.corrected_line(d, b, [turn - 0.02, turn + 0.02])["effect"]
    assert before * after < 0
    none = measurement.corrected_line(d + 10, b, 1.0)["r_sign_change"].iloc[0]
    assert np.isnan(none)


def test_simulation_agrees_with_the_formula_and_the_quadratic_falls_short():
    d, report, _ = reported(areas=600)
    r = measurement.reliability(report, 0.12)
    exact = measurement.corrected_line(d, report, r)["slope"].iloc[0]
    table = measurement.simex_line(d, report, 0.12, draws=60).set_index("extrapolant")["slope"]
    assert table["rational"] == pytest.approx(exact, rel=0.03)
    assert abs(table["quadratic"]) < abs(table["rational"]) - 0.05


def test_attenuation_bounds_hold_the_true_slope_and_narrow_with_the_reliability():
    d, report, _ = reported()
    free = measurement.attenuation_bounds(d, report).iloc[0]
    assert free["slope_low"] <= -0.6 <= free["slope_high"]
    r = measurement.reliability(report, 0.12)
    known = measurement.attenuation_bounds(d, report, r=(r - 0.05, r + 0.05)).iloc[0]
    assert (
        free["slope_low"] < known["slope_low"] <= -0.6 <= known["slope_high"] < free["slope_high"]
    )
    backwards = 1 / np.polyfit(d, report, 1)[0]
    assert free["slope_low"] == pytest.approx(backwards)


def test_berkson_error_leaves_the_slope_alone_and_classical_error_does_not():
    rng = np.random.default_rng(6)
    middle = rng.choice([0.2, 0.4, 0.6, 0.8], 20_000)
    true = middle + rng.uniform(-0.1, 0.1, 20_000)
    d = 0.5 - 2 * true
    assert lag.line(d, middle)[1] == pytest.approx(-2, abs=0.01)
    drawn = middle + rng.uniform(-0.1, 0.1, 20_000)
    expected = -2 * np.var(middle) / np.var(drawn)
    assert lag.line(d, np.clip(drawn, 0, 1))[1] == pytest.approx(expected, abs=0.02)


def test_heaped_reports_become_ranges_that_hold_what_was_rounded():
    rng = np.random.default_rng(7)
    true = pd.Series(rng.random(500), index=[f"A{k}" for k in range(500)])
    table = measurement.heaped(true.round(1))
    assert (table["lower"] <= true + 1e-12).all() and (true <= table["upper"] + 1e-12).all()
    assert (table["upper"] - table["lower"]).max() <= 0.1 + 1e-12
    kept = measurement.heaped([0.123, 0.55])
    assert (kept["lower"] == kept["upper"]).all()


def test_widening_for_heaping_never_narrows_the_set():
    b, d = np.array([0.1, 0.3, 0.5, 0.625, 0.8]), np.array([0.4, 0.3, 0.35, 0.1, 0.0])
    table = measurement.heaped(b)
    wide, exact = lag.intercept_bounds(d, table["lower"], table["upper"]), lag.line(d, b)
    assert wide.intercept[0] < exact[0] < wide.intercept[1]
    assert wide.slope[0] < exact[1] < wide.slope[1]


def test_undoing_the_tilt_of_the_reports_restores_the_line():
    rng = np.random.default_rng(8)
    true = rng.uniform(0.3, 0.7, 25)
    d = 0.2 - 0.5 * true + rng.normal(0, 0.1, 25)
    report = true + 0.4 * (d - d.mean())
    table = measurement.tilted_line(d, report, [0, 0.4])
    theta0, theta1 = lag.line(d, true)
    assert table["slope"].iloc[1] == pytest.approx(theta1)
    assert table["effect"].iloc[1] == pytest.approx(theta0)
    assert table["possible"].iloc[1] and abs(table["slope"].iloc[0] - theta1) > 0.05
    assert not measurement.tilted_line(d, report, 5.0)["possible"].iloc[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measurement.reliability([0.4, 0.5, 0.6], 0.3), "as large as the spread"),
        (lambda: measurement.reliability([40, 50, 60], 3), "per cent"),
        (lambda: measurement.corrected_line([1, 2, 3], [0.1, 0.2, 0.3], 0.0), "Reliability 0"),
        (lambda: measurement.corrected_line([1, 2, 3], [0.1, 0.2, 0.3], 80), "per cent"),
        (lambda: measurement.corrected_line([1, 2, 3], [0.2, 0.2, 0.2], 0.8), "equal"),
        (lambda: measurement.attenuation_bounds([1, 0, 1], [0.1, 0.2, 0.3]), "uncorrelated"),
        (
            lambda: measurement.attenuation_bounds([1, 2, 4], [0.1, 0.2, 0.3], r=(0.9, 0.5)),
            "`r` is",
        ),
        (lambda: measurement.extrapolate([0, 1], [1, 2]), "3 different"),
        (lambda: measurement.extrapolate(ZETA, [1, 2, 3, np.nan, 5]), "missing"),
        (lambda: measurement.extrapolate(ZETA, ZETA**3, "cubic"), "no extrapolant"),
        (lambda: measurement.extrapolate(ZETA, 1 / (ZETA + 0.5)), "pole"),
        (lambda: measurement.heaped([0.4], step=10), "step"),
        (lambda: measurement.tilted_line([1, 2], [0.1, 0.2], np.inf), "finite"),
        (lambda: measurement.tilted_line([1, 2], [0.1, 0.2], [0.0, np.inf]), "finite"),
        (lambda: measurement.tilted_line([1], [0.1], 0.0), "at least 2"),
        (lambda: measurement.reliability([0.4, 0.5, 0.6], [0.01, 0.3]), "as large as the spread"),
        (lambda: measurement.reliability([0.25, 0.75], 0.25), "as large as the spread"),
        (lambda: measurement.corrected_line([1, 2], [0.1, 0.2], [0.8, 0.0]), "Reliability 0"),
        (lambda: measurement.corrected_line([1, 2], [0.1, 0.2], 0.8, at=1.5), "`at` holds 1.5"),
        (lambda: measurement.extrapolate([0, 1, 2], [1, 2]), "an estimate for each"),
        (lambda: measurement.extrapolate([-0.5, 0, 1, 2], [4, 3, 2, 1]), "values from 0"),
        (lambda: measurement.simex_line([1, 2], [0.1, 0.2], 0.01), "at least 3"),
        (lambda: measurement.simex_line([1, 0.5, 0], [0, 0.5, 1], 0.2, draws=20), "pole"),
        (lambda: measurement.simex_line([1, 2, 4], [0.1, 0.2, 0.3], 0.2), "as large as the spread"),
        (lambda: measurement.heaped([60]), "per cent"),
        (lambda: measurement.heaped([0.4], step=1), "`step` is 1"),
        (lambda: measurement.heaped([0.4], step=0), "`step` is 0"),
        (lambda: measurement.heaped([0.4], step=-0.1), "`step` is -0.1"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(call, message):
    with pytest.raises(KokeiluError, match=message):
        call()


# Weights, the reference backlog, and the edges of what is accepted.

D, B, W = np.array([0.5, 0.4, 0.2, 0.25]), np.array([0.2, 0.4, 0.6, 0.9]), np.array([1.0, 3, 2, 2])


def repeated(values):
    return np.repeat(values, W.astype(int))


@pytest.mark.parametrize(
    "call",
    [
        lambda d, b, w: measurement.corrected_line(d, b, [0.6, 0.9], w, at=0.3),
        lambda d, b, w: measurement.attenuation_bounds(d, b, w, at=0.3),
        lambda d, b, w: measurement.attenuation_bounds(d, b, w, r=(0.6, 0.8)),
        lambda d, b, w: measurement.tilted_line(d, b, [0.1, -0.2], w, at=0.3),
        lambda d, b, w: pd.Series(measurement.reliability(b, [0.05, 0.1], w)),
    ],
)
def test_a_whole_weight_counts_as_that_many_equal_areas(call):
    weighted, copied = call(D, B, W), call(repeated(D), repeated(B), None)
    weighted, copied = weighted.astype(float), copied.astype(float)
    assert np.allclose(weighted, copied, rtol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda at: measurement.corrected_line(D, B, [1.0, 0.8], at=at),
        lambda at: measurement.tilted_line(D, B, [0.0, 0.2], at=at),
        lambda at: measurement.simex_line(D, B, 0.05, W, draws=5, at=at),
    ],
)
def test_the_effect_at_another_backlog_is_a_step_along_the_line(call):
    zero, one = call(0.0), call(0.4)
    assert (one["effect"] - zero["effect"]).to_numpy() == pytest.approx(0.4 * zero["slope"])


def test_the_reliability_is_the_share_of_the_spread_that_is_no_error():
    assert measurement.reliability(B, 0.1) == pytest.approx(1 - 0.01 / np.var(B))
    sure, unsure = measurement.reliability(B, [0.0, 0.2])
    assert sure == 1 and unsure == pytest.approx(1 - 0.04 / np.var(B))


def test_the_sign_turns_within_what_a_reliability_can_be_or_not_at_all():
    # mean 0.2, slope -1 from the mean backlog of 0.5: zero at r = -1 · 0.5 / 0.2, out of reach
    for effects in ([0.4, 0.0], [1.2, 0.8]):  # the second at r = -0.5
        far = measurement.corrected_line(effects, [0.3, 0.7], 1.0)
        assert np.isnan(far["r_sign_change"][0])
    # mean -0.8: the effect at no backlog is -0.3 and turns at r = 0.625
    near = measurement.corrected_line([-0.6, -1.0], [0.3, 0.7], 1.0)
    assert near["r_sign_change"][0] == pytest.approx(0.625)
    assert near["effect"][0] == pytest.approx(-0.3)
    none = measurement.corrected_line([0.2, -0.2], [0.3, 0.7], 1.0)
    assert np.isnan(none["r_sign_change"][0])
    # r = 1.5 would be needed; a line through the origin has its zero at r = 1, a flat one nowhere
    for effects, b in (([0.08, 0.32], [0.3, 0.7]), ([0.5, 0.5], [0.25, 0.75])):
        assert np.isnan(measurement.corrected_line(effects, b, 1.0)["r_sign_change"][0])
    origin = measurement.corrected_line([0.25, 0.75], [0.25, 0.75], 1.0)
    assert origin["effect"][0] == 0 and np.isnan(origin["r_sign_change"][0])


def test_bounds_under_a_named_reliability_are_the_lines_at_its_ends():
    found = measurement.attenuation_bounds(D, B, r=(0.5, 0.8), at=0.1).iloc[0]
    ends = measurement.corrected_line(D, B, [0.5, 0.8], at=0.1)
    assert found["r_low"] == 0.5 and found["r_high"] == 0.8
    for what in ("effect", "slope"):
        assert (
            found[f"{what}_low"] == ends[what].min() and found[f"{what}_high"] == ends[what].max()
        )
    free = measurement.attenuation_bounds(D, B).iloc[0]
    assert (free["r_low"], free["r_high"]) == pytest.approx((np.corrcoef(D, B)[0, 1] ** 2, 1))
    flat = measurement.attenuation_bounds([0.3, 0.3, 0.3], [0.1, 0.2, 0.6]).iloc[0]
    assert flat.to_list() == pytest.approx([0.3, 0.3, 0, 0, 1, 1])
    # effects on one line: the squared correlation is one, and a rounding above it here
    exact = np.array([0.5, 0.5, 0.7, 0.9, 0.1])
    whole = measurement.attenuation_bounds(1 - exact, exact).iloc[0]
    assert whole.to_list() == pytest.approx([1, 1, -1, -1, 1, 1]) and whole["r_low"] <= 1


def test_a_line_without_noise_is_carried_back_to_its_own_slope():
    b = np.linspace(0.1, 0.9, 40)
    table = measurement.simex_line(0.3 - 0.5 * b, b, 0.05, draws=200, seed=1)
    exact = measurement.corrected_line(0.3 - 0.5 * b, b, measurement.reliability(b, 0.05))
    assert table["naive_slope"].tolist() == pytest.approx([-0.5, -0.5])
    for extrapolant in range(2):
        assert table["slope"][extrapolant] == pytest.approx(exact["slope"][0], rel=5e-3)
        assert table["effect"][extrapolant] == pytest.approx(exact["effect"][0], abs=5e-3)
    again = measurement.simex_line(0.3 - 0.5 * b, b, 0.05, draws=200, seed=1)
    other = measurement.simex_line(0.3 - 0.5 * b, b, 0.05, draws=200, seed=2)
    assert table.equals(again) and not table.equals(other)


def test_rounding_to_twentieths_widens_half_as_much_and_stays_among_shares():
    table = measurement.heaped([0.0, 0.05, 0.35, 0.36, 1.0], step=0.05)
    assert table["lower"].tolist() == pytest.approx([0.0, 0.025, 0.325, 0.36, 0.975])
    assert table["upper"].tolist() == pytest.approx([0.025, 0.075, 0.375, 0.36, 1.0])


def test_a_tilt_may_reach_the_ends_of_the_shares_and_no_further():
    # backlogs of 0.3 - 0.2 tilt and 0.7 + 0.2 tilt
    table = measurement.tilted_line([0.4, 0.0], [0.3, 0.7], [1.5, 1.51, -3.5, -3.51, -1.0])
    assert table["possible"].tolist() == [True, False, True, False, True]
    assert table["slope"].isna().tolist() == [False] * 4 + [True]  # no difference is left
    for one_out in ([0.05, 0.5, 0.5], [0.95, 0.5, 0.5]):
        table = measurement.tilted_line([0.4, 0.0, 0.2], one_out, [0.5, -0.5])
        assert table["possible"].sum() == 1


def test_each_draw_of_added_error_is_used_with_both_signs():
    found = measurement.simex_line(D, B, 0.05, zeta=(0, 1, 2), draws=3, seed=7)
    noise = np.random.default_rng(7).normal(0, 0.05, (3, 4))
    slopes = [
        np.mean([np.polyfit(B + s * np.sqrt(z) * e, D, 1)[0] for e in noise for s in (1, -1)])
        for z in (0, 1, 2)
    ]
    for extrapolant, slope in zip(found["extrapolant"], found["slope"], strict=True):
        assert slope == pytest.approx(measurement.extrapolate([0, 1, 2], slopes, extrapolant))


def test_estimates_that_error_does_not_move_are_carried_back_to_themselves():
    assert measurement.extrapolate(ZETA, np.zeros(5)) == 0
    rounded = 1e9 * np.array([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3])  # equal but for the last digit
    assert measurement.extrapolate(ZETA, rounded) == pytest.approx(3e8)


def test_a_tilt_that_explains_all_but_a_rounding_leaves_no_slope():
    row = measurement.tilted_line([0.3, 0.1], [0.1, 0.3], -1.0).iloc[0]  # 0.2 and 0.2 less 3e-17
    assert np.isnan(row["slope"])


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_extrapolation_follows_the_unit_of_the_estimates(unit):
    naive = 2 / (1 + 0.5 * (1 + ZETA))
    assert measurement.extrapolate(ZETA, unit * naive) == pytest.approx(2 * unit)
