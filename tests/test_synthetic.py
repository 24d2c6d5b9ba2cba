"""Control groups built by weighting."""

from importlib import resources

import numpy as np
import pandas as pd
import pytest
from panels import NAMES, by_hand, filled, simulated

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, synthetic


@pytest.fixture(scope="module")
def panel():
    return simulated(41, effect=2.0)


@pytest.fixture(scope="module")
def fitted(panel):
    return compare.synthetic_did(panel, *NAMES, 5, draws=30, weights=True)


@pytest.fixture(scope="module")
def proposition_99():
    """Cigarette packs per head, 39 states, 1970–2000; California's tax rose from 1989 on."""
    pytest.importorskip("synthdid", reason="the states' cigarette sales come with synthdid-py")
    file = resources.files("synthdid") / "data" / "california_prop99.csv"
    with file.open() as text:
        frame = pd.read_csv(text, sep=";")
    frame["state_treated"] = frame.groupby("State")["treated"].transform("max")
    return frame, ("PacksPerCapita", "State", "Year", "state_treated", 1989)


# Synthetic difference-in-differences.


def test_unit_and_time_effects_alone_give_back_the_planted_effect_exactly():
    frame = simulated(42)
    frame["y"] = (
        frame["unit"] * 1.3 + np.sin(frame["t"]) + 0.7 * frame["treated"] * (frame["t"] > 4)
    )
    frame["y"] += 1e-9 * simulated(43)["y"]  # the library scales by the noise, so leave a trace
    found = compare.synthetic_did(frame, *NAMES, 5, draws=20).loc[0]
    assert found["estimate"] == pytest.approx(0.7, abs=1e-7)


def test_the_weights_returned_give_the_estimate_by_hand(panel, fitted):
    row, units, times = fitted
    matrix = panel.pivot(index="unit", columns="t", values="y")
    arm = panel.groupby("unit")["treated"].first() == 1
    change = matrix.loc[:, 5:].mean(axis=1) - matrix[times["t"]] @ times["weight"].to_numpy()
    by_hand = change[arm].mean() - change[units["unit"]] @ units["weight"].to_numpy()
    assert row.loc[0, "estimate"] == pytest.approx(by_hand, abs=1e-10)


def test_weights_are_shares_of_all_controls_and_of_all_times_before(fitted):
    _, units, times = fitted
    assert units["unit"].tolist() == list(range(10, 24))
    assert times["t"].tolist() == [0, 1, 2, 3, 4]
    for weights in (units, times):
        assert weights["weight"].sum() == pytest.approx(1, abs=1e-9)
        assert (weights["weight"] >= 0).all()


def test_unit_and_time_effects_change_nothing_beyond_what_the_solver_leaves_open(panel, fitted):
    shifted = panel.assign(y=panel["y"] + 3 * panel["unit"] + np.cos(panel["t"]))
    found = compare.synthetic_did(shifted, *NAMES, 5, draws=30).loc[0]
    assert found["estimate"] == pytest.approx(fitted[0].loc[0, "estimate"], abs=1e-3)


def test_a_seed_repeats_the_placebos_and_another_one_changes_only_the_error(panel, fitted):
    same, other = (compare.synthetic_did(panel, *NAMES, 5, draws=30, seed=s).loc[0] for s in (0, 1))
    assert same["se"] == fitted[0].loc[0, "se"] and same["se"] != other["se"]
    assert same["estimate"] == other["estimate"]


def test_the_kind_of_variance_is_said_and_does_not_move_the_estimate(panel, fitted):
    jack = compare.synthetic_did(panel, *NAMES, 5, variance="jackknife").loc[0]
    assert jack["estimate"] == fitted[0].loc[0, "estimate"]
    assert jack["inference"].startswith("jackknife")
    assert fitted[0].loc[0, "inference"] == "placebo variance, 30 draws, seed 0; p by rank"
    assert jack["se"] > 0


@pytest.mark.parametrize("variance", ["placebo", "jackknife"])
@pytest.mark.parametrize(("level", "reach"), [(0.95, 1.959964), (0.8, 1.281552)])
def test_the_interval_is_a_normal_one_of_its_level(panel, variance, level, reach):
    row = compare.synthetic_did(panel, *NAMES, 5, variance, draws=10, level=level).loc[0]
    ends = [row["estimate"] - reach * row["se"], row["estimate"] + reach * row["se"]]
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx(ends, abs=1e-5)


def test_one_treated_unit_has_no_jackknife_and_too_few_controls_have_no_placebo():
    frame = simulated(44)
    single = frame[(frame["unit"] == 0) | (frame["treated"] == 0)]
    with pytest.raises(KokeiluError, match="two treated units"):
        compare.synthetic_did(single, *NAMES, 5, variance="jackknife")
    few = frame[frame["unit"] < 15]
    with pytest.raises(KokeiluError, match="found 5 and 10"):
        compare.synthetic_did(few, *NAMES, 5)
    with pytest.raises(KokeiluError, match="'bootstrap' is unknown"):
        compare.synthetic_did(frame, *NAMES, 5, variance="bootstrap")


@pytest.mark.parametrize("call", [compare.synthetic_did, synthetic.control])
def test_gaps_are_refused_with_unit_and_time(call):
    frame = simulated(45)
    gone = frame[(frame["unit"] != 3) | (frame["t"] != 6)]
    with pytest.raises(KokeiluError, match="unit 3 is missing or infinite at 6"):
        call(gone, *NAMES, 5)
    with pytest.raises(KokeiluError, match="one group is empty"):
        call(frame[frame["treated"] == 0], *NAMES, 5)


def test_proposition_99_is_the_published_estimate(proposition_99):
    frame, names = proposition_99
    row, units, times = compare.synthetic_did(frame, *names, draws=20, weights=True)
    # published -15.6 (Arkhangelsky et al. 2021, table 1); synthdid-py 0.1.0 gives the digits
    assert row.loc[0, "estimate"] == pytest.approx(-15.603827872733845, abs=1e-8)
    heaviest = units.set_index("State")["weight"].nlargest(2)
    assert heaviest.index.tolist() == ["Nevada", "New Hampshire"]
    assert times.set_index("Year")["weight"].loc[1986:1988].tolist() == pytest.approx(
        [0.366, 0.206, 0.427], abs=5e-4
    )


def test_proposition_99_by_the_plain_two_by_two_is_the_published_estimate(proposition_99):
    frame, names = proposition_99
    # published -27.3; synthdid-py 0.1.0 gives the digits
    found = compare.did(frame, *names).loc[0, "estimate"]
    assert found == pytest.approx(-27.34911108361496, abs=1e-9)


def test_proposition_99_by_synthetic_control_is_near_the_published_estimate(proposition_99):
    frame, names = proposition_99
    row, share = synthetic.control(frame, *names, weights=True)
    # published -19.6 with a penalty on the weights that is left out here
    assert row.loc[0, "estimate"] == pytest.approx(-19.6, abs=0.15)
    assert row.loc[0, "p"] == pytest.approx(3 / 39)
    assert share.set_index("control")["weight"].idxmax() == "Utah"


# Synthetic control.


def test_a_treated_unit_that_is_a_mixture_of_controls_is_recovered_with_its_effect():
    frame = simulated(46, times=30, start=25)
    matrix = frame.pivot(index="unit", columns="t", values="y")
    share = pd.Series({12: 0.2, 15: 0.5, 19: 0.3})
    mixture = share @ matrix.loc[share.index] + 1.5 * (matrix.columns >= 25)
    frame.loc[frame["unit"] == 0, "y"] = mixture.to_numpy()
    only = frame[(frame["unit"] == 0) | (frame["treated"] == 0)]
    row, weights = synthetic.control(only, *NAMES, 25, weights=True)
    assert row.loc[0, "estimate"] == pytest.approx(1.5, abs=1e-9)
    found = weights.set_index("control")["weight"]
    assert np.allclose(found.loc[share.index], share, atol=1e-8)
    assert row.loc[0, "p"] == pytest.approx(1 / 15)  # a perfect fit before: no placebo beats it


def test_every_treated_unit_has_its_own_row_and_a_p_no_smaller_than_chance_allows():
    table = synthetic.control(simulated(47), *NAMES, 5)
    assert table["area_id"].tolist() == [str(i) for i in range(10)]
    assert table["p"].between(1 / 15, 1).all()
    assert table["note"].str.startswith("RMSPE before").all()


def test_p_is_the_rank_among_placebos_worked_out_one_by_one():
    frame = simulated(48)
    controls = frame[frame["treated"] == 0]

    def ratio(pool, at):
        one = pool.assign(treated=(pool["unit"] == at).astype(int))
        _, weights = synthetic.control(one, *NAMES, 5, weights=True)
        matrix = one.pivot(index="unit", columns="t", values="y")
        share = weights.set_index("control")["weight"]
        gap = matrix.loc[at] - share @ matrix.loc[share.index]
        return np.sqrt((gap[5:] ** 2).mean() / (gap[:5] ** 2).mean())

    placebo = [ratio(controls, at) for at in controls["unit"].unique()]
    own = ratio(pd.concat([controls, frame[frame["unit"] == 4]]), 4)
    table = synthetic.control(frame, *NAMES, 5).set_index("area_id")
    assert table.loc["4", "p"] == pytest.approx((1 + sum(np.array(placebo) >= own)) / 15)


def test_a_perfect_fit_before_the_start_makes_any_effect_the_largest():
    frame = by_hand()  # the second treated unit is a mixture of controls to the last digit
    table, weights = synthetic.control(frame, *NAMES, 2, weights=True)
    row = filled(table.loc[1])
    assert row.pop("estimate") == pytest.approx(
        6 - weights[weights["unit"] == "b"]["weight"].to_numpy() @ changes(frame, weights)
    )
    before = row.pop("note").removeprefix("RMSPE before the start ")
    assert float(before) < 1e-12  # nothing, or what rounding leaves of it
    assert row == {
        "outcome": "y",
        "estimand": "effect on the area",
        "estimator": "synthetic control",
        "weights": "none",
        "pre": "0–1",
        "post": "2–3",
        "controls": f"{(weights['unit'] == 'b').sum()} weighted of 4",
        "area_id": "b",
        "p": 0.2,  # no control lies within the others
        "inference": "placebo in space, ratio of RMSPE, 4 controls",
        "n_units": 5,
        "is_main": False,
    }


def changes(frame, weights):
    """Mean outcome after the start of the controls that make up unit b."""
    late = frame[frame["t"] > 1].groupby("unit")["y"].mean()
    return late[weights[weights["unit"] == "b"]["control"]].to_numpy()


def test_simplex_weights_are_the_best_of_many_mixtures():
    rng = np.random.default_rng(49)
    donors, target = rng.normal(size=(6, 9)), rng.normal(size=6)
    best = synthetic.simplex_weights(donors, target)
    assert best.sum() == pytest.approx(1, abs=1e-12) and (best >= 0).all()
    others = rng.dirichlet(np.full(9, 0.3), 20_000)
    near = 0.99 * best + 0.01 * others  # also close by, where a poor solver would be beaten
    for mixtures in (others, near):
        miss = ((donors @ mixtures.T - target[:, None]) ** 2).sum(axis=0)
        assert (miss >= ((donors @ best - target) ** 2).sum() - 1e-12).all()


def test_simplex_weights_do_not_depend_on_the_unit_of_measurement():
    rng = np.random.default_rng(50)
    donors, target = rng.normal(size=(5, 4)), rng.normal(size=5)
    plain = synthetic.simplex_weights(donors, target)
    for factor in (1e-9, 1e9):
        assert np.allclose(synthetic.simplex_weights(donors * factor, target * factor), plain)


def test_two_controls_are_too_few_for_a_placebo():
    frame = simulated(51)
    with pytest.raises(KokeiluError, match="three control units; found 2"):
        synthetic.control(frame[frame["unit"] < 12], *NAMES, 5)
