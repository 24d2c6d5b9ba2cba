"""Claims about simulated panels: the truth is known, the noise is that of the data."""

import numpy as np
import pandas as pd
import pytest
from panels import NAMES, simulated

from kokeilu_analysis import run
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, design, inference, resample, simulate

EVERY = {"weights": "w", "cluster": "cluster"}


@pytest.fixture(scope="module")
def real():
    """The study's own blueprints: windows of the main comparison, and all residual months."""
    return run.blueprints()


@pytest.fixture(scope="module")
def other():
    """A blueprint of another panel: 24 units in 12 clusters, 30 times."""
    frame = simulated(1, times=30, start=20)
    known = pd.DataFrame({"lower": 0.2, "upper": 0.6}, index=range(5))
    return simulate.blueprint(frame, *NAMES, 20, **EVERY, backlog=known)


def estimate(frame, plan, **options):
    names = plan.names
    found = compare.did(
        frame,
        *(names[k] for k in ("outcome", "unit", "time", "treated")),
        plan.start,
        names["weights"],
        names["cluster"],
        **options,
    )
    return found.loc[0, "estimate"]


# --- the truth -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_panel_and_another_seed_another(other):
    one, again = (simulate.panel(other, -0.5, 0.3, 7) for _ in range(2))
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert not simulate.panel(other, -0.5, 0.3, 8)["y"].equals(one["y"])


def test_without_noise_the_planted_effect_comes_back_exactly(other):
    assert estimate(simulate.panel(other, -0.5, noise=0.0), other) == pytest.approx(-0.5, abs=1e-12)
    assert estimate(simulate.panel(other, noise=0.0), other) == pytest.approx(0, abs=1e-12)


def test_without_noise_the_real_design_gives_the_weighted_mean_of_the_area_effects(real):
    plan = real[0]
    frame = simulate.panel(plan, -0.5, 1.2, 3, noise=0.0)
    treated = frame[frame["is_trial"] == 1]
    truth = np.average(treated["tau_a"], weights=treated["labour_force"])
    assert estimate(frame, plan) == pytest.approx(truth, abs=1e-10)
    by_area = treated.groupby("area_id")[["tau_a", "backlog"]].first()
    assert by_area["tau_a"].to_numpy() == pytest.approx(-0.5 + 1.2 * by_area["backlog"].to_numpy())
    assert len(by_area) == 25 and frame["municipality"].nunique() == 293


def test_the_effect_is_added_to_the_panel_without_one(other):
    without, planted = (simulate.panel(other, e, seed=4) for e in (0.0, -0.5))
    on = (without["treated"] == 1) & (without["t"] >= other.start)
    assert (planted["y"] - without["y"]).to_numpy() == pytest.approx(-0.5 * on.to_numpy())


def test_mirrored_noise_has_the_other_sign(other):
    up, flat, down = (simulate.panel(other, 1.0, seed=5, noise=n)["y"] for n in (1, 0, -1))
    assert (up + down).to_numpy() == pytest.approx(2 * flat.to_numpy())
    assert np.abs(up - flat).max() > 0.1


def test_confounding_moves_controls_as_well_and_leaves_the_rest_to_the_treatment(other):
    frame = simulate.panel(other, -0.5, 1.0, 2, rho=0.4, control_backlog=0.3, noise=0.0)
    late = frame[frame["t"] >= other.start].groupby("unit").first()
    early = frame[frame["t"] < other.start].groupby("unit")[["y"]].mean()
    moved = late["y"] - other.common[-1] - early["y"]
    assert (late["treated"] == 0).any()
    share = late.loc[late["treated"] == 0, "backlog"]
    assert share.between(0.1, 0.5).all() and share.nunique() > 1
    assert late["tau_a"].where(late["treated"] == 1, 0).to_numpy() == pytest.approx(
        np.where(late["treated"] == 1, -0.5 + 0.6 * late["backlog"], 0)
    )
    expected = late["tau_a"] + 0.4 * late["backlog"]
    gap = (moved - expected).to_numpy()
    assert gap == pytest.approx(np.full(len(gap), gap[0]))  # the common path, the same for all


def test_capacity_spent_on_the_backlog_takes_its_share_of_the_average(other):
    frame = simulate.panel(other, -2.0, seed=1, capacity=(0.5, 10.0), noise=0.0)
    total = (other.times >= other.start).sum()
    treated = frame[frame["treated"] == 1]
    lost = 0.5 * 10 * np.average(treated["backlog"], weights=treated["w"]) / total
    assert estimate(frame, other) == pytest.approx(-2.0 * (1 - lost), abs=1e-12)


def test_backlogs_stay_in_their_ranges_and_their_mean_where_it_is_stated(real):
    plan = real[0]
    for seed in range(5):
        truth = simulate.draw(plan, seed=seed, mean=(0.475, 0.525)).truth.query("tau_a == tau_a")
        truth = truth[truth["backlog"].notna()]
        assert truth["backlog"].between(truth["backlog_lower"], truth["backlog_upper"]).all()
        assert 0.475 <= truth["backlog"].mean() <= 0.525


def test_reporting_errors_are_what_they_are_called(other):
    def truth(**options):
        draws = [simulate.draw(other, seed=k, **options).truth.dropna() for k in range(300)]
        return pd.concat(draws)

    exact = truth()
    assert (exact["backlog"] == exact["backlog_reported"]).all()
    classical, berkson = (truth(reporting=r, error=0.05) for r in ("classical", "berkson"))
    for found in (classical, berkson):
        error = found["backlog_reported"] - found["backlog"]
        assert error.std() == pytest.approx(0.05, abs=0.003)
        assert error.abs().max() <= 0.05 * np.sqrt(3)
    own = {"classical": (classical, "backlog"), "berkson": (berkson, "backlog_reported")}
    for found, independent in own.values():
        error = found["backlog_reported"] - found["backlog"]
        assert abs(error.corr(found[independent])) < 0.08
    heaped = truth(reporting="heaped", error=0.1)["backlog_reported"] * 10
    assert heaped.to_numpy() == pytest.approx(heaped.round().to_numpy())


def test_backlogs_that_follow_shocks_rank_like_them(other):
    found = simulate.draw(other, seed=3, with_shocks=True).truth["backlog"].to_numpy()[:5]
    shock = simulate.residuals(other, 3).shock[:5]
    assert (np.argsort(found) == np.argsort(shock)).all()


# --- the noise -----------------------------------------------------------------------------------


def test_simulated_panels_vary_as_the_real_one_did_before_covid(real, committed):
    plan = real[1]
    rows = committed[committed["measure"].isin(["unemployed", "labour_force"])]
    rows = rows[rows["municipality"].isin(plan.units.index)]
    count = rows[rows["measure"] == "unemployed"].pivot(
        index="municipality", columns="month", values="value"
    )
    before = count.loc[:, count.columns <= pd.Timestamp("2020-02-01")]
    rate = (100 * before.div(plan.units["weight"], axis=0)).to_numpy()
    data = resample.moments(rate, plan.units)
    draws = [resample.moments(simulate.draw(plan, seed=k).values, plan.units) for k in range(40)]
    made = pd.concat(draws, axis=1).mean(axis=1)
    near = {"autocorrelation_1": 0.03, "autocorrelation_12": 0.06, "autocorrelation_24": 0.09}
    for name, tolerance in near.items():
        assert made[name] == pytest.approx(data[name], abs=tolerance), name
    assert made["within_area"] == pytest.approx(data["within_area"], abs=0.08)
    for name in [n for n in data.index if "_sd_" in n]:
        assert made[name] == pytest.approx(data[name], rel=0.12), name
    assert data["unit_sd_1"] > data["unit_sd_3"] and made["unit_sd_1"] > made["unit_sd_3"]


def test_paths_are_pieces_of_real_paths(other):
    pool = other.between
    drawn = resample.paths(pool, 8, np.random.default_rng(0))
    windows = np.lib.stride_tricks.sliding_window_view(pool.paths, 8, axis=1).reshape(-1, 8)
    windows = np.concatenate([windows, windows[:, ::-1]])
    windows = windows / np.linalg.norm(windows, axis=1, keepdims=True)
    alike = drawn / np.linalg.norm(drawn, axis=1, keepdims=True) @ windows.T
    assert np.abs(alike).max(axis=1) == pytest.approx(np.ones(len(drawn)))


def test_small_places_borrow_from_places_of_like_size():
    size = np.array([1.0, 2, 3, 100, 110, 120])
    found = resample.pool(np.random.default_rng(0).normal(size=(6, 9)), size, size > 0, 3)
    for place, donors in enumerate(found.donors):
        assert (np.sign(donors - 2.5) == np.sign(place - 2.5)).all()


def test_an_area_of_one_unit_moves_as_an_area_and_others_have_their_own_swings(real):
    plan = real[0]
    values = simulate.residuals(plan, 0).values
    sizes = np.bincount(plan.of_unit)
    spread = [np.ptp(values[plan.of_unit == a], axis=0).max() for a in range(len(sizes))]
    assert (np.array(spread)[sizes == 1] == 0).all()
    assert (np.array(spread)[sizes > 1] > 0).all()


# --- any panel, and bad input --------------------------------------------------------------------


def test_a_panel_without_weights_clusters_and_backlogs_is_enough():
    frame = simulated(2)
    plan = simulate.blueprint(frame, *NAMES, 5)
    found = simulate.panel(plan, 0.7, -0.2, 0)
    assert list(found)[:4] == ["unit", "t", "y", "treated"]
    by_unit = [f.groupby("unit")["treated"].first().tolist() for f in (found, frame)]
    assert by_unit[0] == by_unit[1]
    assert found.loc[found["treated"] == 1, "backlog"].between(0, 1).all()


def test_on_average_the_planted_effect_is_found(other):
    draws = [simulate.draw(other, -0.5, seed=k).values for k in range(60)]
    late = np.asarray(other.times >= other.start)
    arm, w = other.units["treated"], other.units["weight"]
    gaps = [
        inference.difference(
            v[:, late].mean(axis=1) - v[:, ~late].mean(axis=1), arm, w, other.units["cluster"]
        )["estimate"]
        for v in draws
    ]
    assert np.mean(gaps) == pytest.approx(-0.5, abs=4 * np.std(gaps) / np.sqrt(60))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": 2}, "residuals need at least 3"),
        ({"start": 99, "until": 20}, "No time of the simulated panel lies before 99"),
        ({"times": range(40)}, "A path of 40 times cannot come from 20"),
        ({"backlog": pd.DataFrame({"lower": 20.0, "upper": 60.0}, range(5))}, "in per cent"),
        ({"backlog": pd.DataFrame({"lower": 0.2, "upper": 0.6}, range(4))}, "lacks area 4"),
        ({"backlog": pd.DataFrame({"lower": 0.2}, range(5))}, "has no column 'upper'"),
        ({"cluster": "unit", "treated": "none"}, "one group is empty"),
    ],
)
def test_a_blueprint_that_cannot_be_made_is_refused(change, said):
    frame = simulated(1, times=30, start=20).assign(none=0)
    arguments = dict(zip(("outcome", "unit", "time", "treated"), NAMES, strict=True))
    arguments |= {"start": 20} | EVERY | change
    with pytest.raises(KokeiluError, match=said):
        simulate.blueprint(frame, **arguments)


def test_a_partly_treated_cluster_is_refused():
    frame = simulated(1).assign(cluster=0)
    with pytest.raises(KokeiluError, match="partly treated"):
        simulate.blueprint(frame, *NAMES, 5, **EVERY)


def test_a_study_design_alone_gives_a_panel_of_its_months_and_finds_the_planted_effect():
    plan = design.load()
    frame = simulate.panel(plan, -0.5, 0.4, 1, noise=0.0)
    months = frame["month"].unique()
    assert (months[0], months[-1]) == (pd.Timestamp("2019-03"), pd.Timestamp("2023-10"))
    assert frame.loc[frame["is_trial"] == 1, plan.cluster].nunique() == 25
    truth = frame.loc[frame["is_trial"] == 1, "tau_a"].mean()
    assert -0.5 < truth < -0.1
    assert estimate(frame, simulate.plain(plan)) == pytest.approx(truth, abs=1e-12)


def test_what_is_neither_design_nor_blueprint_is_refused_with_advice():
    with pytest.raises(KokeiluError, match="found str. Make one from a long frame"):
        simulate.panel("study.toml", -0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rho": 0.5}, "give `control_backlog`"),
        ({"rho": 50}, "between 0 and 1"),
        ({"reporting": "rumour"}, "'rumour' is unknown"),
        ({"reporting": "heaped"}, "step of heaping is 0"),
        ({"capacity": (60, 9)}, "between 0 and 1"),
        ({"mean": (0.9, 1.0)}, "no mean within"),
    ],
)
def test_a_truth_that_cannot_be_is_refused(other, options, said):
    with pytest.raises(KokeiluError, match=said):
        simulate.panel(other, -0.5, **options)


def test_a_frame_whose_columns_would_hold_the_truth_is_refused():
    frame = simulated(1).rename(columns={"y": "backlog"})
    plan = simulate.blueprint(frame, "backlog", *NAMES[1:], 5)
    with pytest.raises(KokeiluError, match="rename"):
        simulate.panel(plan)
