"""Claims about recovery: what the committed tables say, and that the code says the same."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from panels import NAMES, simulated

from kokeilu_analysis import results, run
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, lag, recovery, recovery_lag, simulate
from kokeilu_analysis.methods import inference as inference_
from kokeilu_analysis.methods import recovery_scenarios as cases

DRAWS = 60


@pytest.fixture(scope="module")
def real():
    return run.blueprints()


@pytest.fixture(scope="module")
def place(real):
    """Places of the two windows of the main comparison."""
    main, _, plan = real
    windows = plan.windows["baseline"], plan.windows[plan.post]
    return tuple(main.times.get_indexer(w.months) for w in windows)


@pytest.fixture(scope="module")
def other():
    """A blueprint of another panel, with ranges of the backlogs."""
    frame = simulated(1, times=60, start=24, units=48)
    low = np.linspace(0.1, 0.5, 5)
    known = pd.DataFrame({"lower": low, "upper": low + [0.1, 0.3, 0.0, 0.2, 0.4]}, range(5))
    return simulate.blueprint(frame, *NAMES, 24, "w", "cluster", known, until=59, times=range(40))


@pytest.fixture(scope="module")
def inference():
    table = results.read("simulation_inference")
    return table.set_index(["weights", "estimator", "inference"]).sort_index()


@pytest.fixture(scope="module")
def lagging():
    return results.read("simulation_lag").set_index(["scenario", "method"])


def within(found, committed, draws, errors=4):
    """Whether a share from a few draws may be that of the many."""
    spread = np.sqrt(max(committed * (1 - committed), 0.01) / draws)
    return abs(found - committed) <= errors * spread + 1 / draws


# --- the committed tables ------------------------------------------------------------------------


def test_the_recommended_interval_covers_as_it_says_and_its_estimate_is_unbiased(inference):
    for weights in ("labour_force", "none"):
        row = inference.loc[(weights, recovery.DID, recovery.RECOMMENDED)]
        assert row["draws"] == 2000 and row["note"] == "recommended"
        assert 0.93 <= row["coverage"] <= 0.97
        assert row["bias_share"] < 0.02


def test_without_mirror_images_the_mean_error_is_the_luck_of_the_draws(inference):
    luck = inference["mean_error"].abs() / inference["mean_error_mc_error"]
    assert (luck < 3.5).all()


def test_every_estimator_is_unbiased_by_less_than_two_per_cent(inference):
    assert (inference["bias_share"] < 0.02).all()
    assert set(inference.index.get_level_values("estimator")) == {
        recovery.DID, recovery.TREND, recovery.MATCHED, recovery.ROBUST, recovery.SYNTHETIC
    }  # fmt: skip


def test_the_other_intervals_fail_in_their_order(inference):
    for weights in ("labour_force", "none"):
        covers = inference.loc[(weights, recovery.DID), "coverage"]
        recommended = covers[recovery.RECOMMENDED]
        assert covers["sandwich CR1 by area, normal"] <= covers["sandwich CR1 by area, t(G-1)"]
        assert covers["sandwich CR1 by area, t(G-1)"] < recommended
        assert covers["sandwich CR1 by municipality, t(N-1)"] < 0.85
        assert covers["randomization of municipalities, difference"] < 0.9
        assert covers["OLS on the panel, nothing clustered"] < 0.4
        assert covers[f"wild cluster bootstrap by area, {recovery.RESAMPLES} draws"] > 0.92


def test_monte_carlo_errors_are_those_of_the_shares(inference, lagging):
    for table in (inference, lagging):
        known = table["coverage"].notna()
        c = table.loc[known, "coverage"]
        expected = np.sqrt(c * (1 - c) / table.loc[known, "draws"])
        assert table.loc[known, "coverage_mc_error"].to_numpy() == pytest.approx(
            expected.to_numpy(), abs=2e-6
        )


def test_sets_cover_the_truth_in_at_least_95_of_100_draws(lagging):
    for scenario in ("evenly spread in the ranges", "evenly spread, stated mean holds"):
        for method in (cases.SET, cases.WIDENED):
            row = lagging.loc[(scenario, method)]
            assert row["draws"] == 2000 and row["coverage"] >= 0.95
        assert lagging.loc[(scenario, cases.SET), "median_width"] < row["median_width"]
        assert row["oracle_width"] > 0


def test_bias_is_what_theory_says(lagging):
    known = lagging.dropna(subset=["bias", "theory_bias"])
    assert len(known) > 20
    few = known.index.get_level_values("method").isin([cases.RANDOM, cases.REPORTED])
    # theory for many areas, 25 of which the largest weighs a fifth, is a little off
    assert (known["bias"] - known["theory_bias"])[~few].abs().max() < 0.03
    assert (known["bias"] - known["theory_bias"])[few].abs().max() < 0.06


def test_middles_are_right_where_their_assumption_holds_and_wrong_where_not(lagging):
    bias = lagging["bias"].xs(cases.MIDDLE, level="method")
    assert abs(bias["evenly spread in the ranges"]) < 0.02
    assert bias["at the lower ends"] < -0.4
    assert bias["at the upper ends"] > 0.4
    assert bias["half confounding"] == pytest.approx(-0.25, abs=0.03)


def test_the_unadjusted_average_misses_by_the_slope_times_the_backlog(lagging):
    row = lagging.loc[("evenly spread in the ranges", cases.UNADJUSTED)]
    assert row["bias"] == pytest.approx(row["theory_bias"], abs=0.005)
    assert row["bias"] > 0.5 and row["coverage"] < 0.9


def test_with_every_backlog_known_the_set_is_the_line(lagging):
    row = lagging.loc[("evenly spread in the ranges", cases.POINT_SET)]
    assert row["median_width"] == pytest.approx(0, abs=1e-9)
    assert "equal to the line" in row["note"] and "not" not in row["note"].split("equal")[0]


def test_a_frontier_at_the_true_pair_takes_the_confounding_out(lagging):
    bias = lagging["bias"].loc["half confounding"]
    assert abs(bias[cases.FRONTIER]) < 0.01
    assert bias[cases.KNOWN] == pytest.approx(-0.25, abs=0.01)


# --- the code says the same ----------------------------------------------------------------------


def test_a_few_draws_agree_with_the_committed_rows_of_inference(real, place, inference):
    main, _, plan = real
    work = partial(recovery.two_by_two, main, place, -0.5, plan.curve.seed)
    rows = pd.DataFrame(
        [row for rows in recovery.over_draws(work, DRAWS, workers=1) for row in rows],
        columns=recovery.ROW,
    )
    for key, group in rows.groupby(recovery.ROW[:3]):
        assert within(group["covers"].mean(), inference.loc[key, "coverage"], DRAWS), key
        width = inference.loc[key, "width"]
        assert np.isnan(width) or group["width"].mean() == pytest.approx(width, rel=0.15)


def test_a_few_draws_agree_with_the_committed_rows_of_the_starting_lag(real, lagging):
    main, _, plan = real
    windows = plan.windows["baseline"].months, plan.windows[plan.post].months
    quick = [s for s in cases.SCENARIOS if not s.sets]
    assert len(quick) >= 4
    table = recovery_lag.table(
        main, *windows, draws=DRAWS, seed=plan.curve.seed, scenarios=quick, workers=1
    )
    for row in table.itertuples():
        known = lagging.loc[(row.scenario, row.method)]
        assert np.isnan(known["bias"]) or row.bias == pytest.approx(known["bias"], abs=0.1)
        assert np.isnan(known["coverage"]) or within(row.coverage, known["coverage"], DRAWS)


def test_tables_do_not_depend_on_the_number_of_processes(other):
    windows = range(12, 24), range(28, 40)
    alone, together = (
        recovery_lag.table(
            other, *windows, draws=4, seed=3, scenarios=cases.SCENARIOS[:3], workers=n
        )
        for n in (1, 2)
    )
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    work = partial(recovery.trends, other, -0.5, 3)
    assert recovery.over_draws(work, 4, 1) == recovery.over_draws(work, 4, 2)


def test_classical_errors_are_those_of_a_regression_with_unit_and_time_dummies():
    rng = np.random.default_rng(0)
    y, arm, w = rng.normal(size=(7, 5)), np.array([1, 1, 1, 0, 0, 0, 0]), rng.uniform(1, 3, 7)
    units, times = np.indices(y.shape)
    late = times >= 2
    columns = [units == i for i in range(7)] + [times == t for t in range(1, 5)]
    x = np.array([(arm[units] * late).ravel(), *(c.ravel() for c in columns)], float).T
    root = np.sqrt(np.repeat(w, 5))
    x, v = x * root[:, None], y.ravel() * root
    b = np.linalg.lstsq(x, v)[0]
    variance = ((v - x @ b) ** 2).sum() / (35 - x.shape[1]) * np.linalg.inv(x.T @ x)[0, 0]
    se, df = recovery.panel_ols(y, 2, arm, w)
    assert df == 35 - x.shape[1]
    assert se == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_many_lines_at_once_are_the_line_of_the_study():
    rng = np.random.default_rng(1)
    d, b, w = rng.normal(size=(4, 9)), rng.uniform(0, 1, (4, 9)), rng.uniform(1, 5, 9)
    fit, se, load = recovery_lag.lines(d, b, w / w.sum(), at=0.2)
    for k in range(4):
        known = lag.midpoint(d[k], b[k], b[k], w, at=0.2).iloc[0]
        assert (fit[k], se[k]) == pytest.approx((known["estimate"], known["se"]), rel=1e-9)
    moved = [
        recovery_lag.lines(d[:1] + np.eye(9)[[j]], b[:1], w / w.sum(), 0.2)[0] for j in range(9)
    ]
    assert load[0] == pytest.approx(((np.array(moved)[:, 0] - fit[0]) ** 2).sum(), rel=1e-9)


def test_area_effects_are_those_of_the_study(real, place):
    main = real[0]
    frame = simulate.panel(main, -0.5, 1.0, seed=5)
    kept = frame[frame["month"].isin(main.times[np.concatenate(place)])]
    known = compare.area_effects(
        kept, "value", "municipality", "month", "is_trial", main.times[place[1][0]], "area_id",
        "labour_force",
    )  # fmt: skip
    values = simulate.draw(main, -0.5, 1.0, seed=5).values
    effects, controls = recovery_lag.area_effects(main, values, place)
    assert effects == pytest.approx(known["estimate"].to_numpy(), abs=1e-10)
    own = main.areas["treated"].to_numpy() == 1
    size, labels = main.between.size[~own], main.areas.index[~own]
    shared = inference_.mean_error(controls, size, labels)
    assert recovery_lag.mean_variance(controls[None], size) == pytest.approx(shared**2, rel=1e-10)


def test_theory_gives_no_bias_where_a_route_is_right():
    low, high = np.array([0.1, 0.3, 0.5]), np.array([0.3, 0.7, 0.6])
    found = cases.theory(cases.SCENARIOS[0], low, high, np.full(3, 1 / 3), -0.5, 1.0, 12)
    assert found[cases.MIDDLE] == pytest.approx(0)
    assert found[cases.KNOWN] == 0
    assert found[cases.UNADJUSTED] == pytest.approx((0.2 + 0.5 + 0.55) / 3)


# --- bad input -----------------------------------------------------------------------------------


def test_bad_input_is_refused(other):
    windows = range(12, 24), range(28, 40)
    with pytest.raises(KokeiluError, match="Nothing is planted"):
        recovery.table(other, *windows, planted=0.0)
    with pytest.raises(KokeiluError, match="baseline must lie before"):
        recovery.table(other, range(20, 30), range(28, 40))
    with pytest.raises(KokeiluError, match="reaches outside"):
        recovery_lag.table(other, range(12, 24), range(30, 50))
    with pytest.raises(KokeiluError, match="0 draws"):
        recovery.over_draws(abs, 0)
