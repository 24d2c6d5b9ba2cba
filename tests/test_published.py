"""The study's own numbers, recomputed from the committed panel without its estimators."""

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths, results
from kokeilu_analysis.methods import design, estimates


@pytest.fixture(scope="module")
def mainland():
    """Unemployed in per cent of the labour force of 2019, mainland municipality × month."""
    panel = pd.read_parquet(paths.PANEL)
    published = results.read("01_municipalities").set_index("municipality")
    force = panel[(panel["measure"] == "labour_force") & (panel["month"] == "2019-06-01")]
    force = force.set_index("municipality")["value"].reindex(published.index)
    people = panel[panel["measure"] == "unemployed"]
    people = people.pivot(index="municipality", columns="month", values="value")
    rate = 100 * people.reindex(published.index).div(force, axis=0)
    return rate, force, published["is_trial"] == 1


WINDOWS = {
    "covid_year": ("2020-03", "2021-02"),
    "first_year": ("2021-03", "2022-02"),
    "last_year": ("2022-11", "2023-10"),
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("weights", ["labour_force", "none"])
def test_published_two_by_two_is_what_plain_arithmetic_gives(mainland, window, weights):
    rate, force, trial = mainland
    before = rate.loc[:, "2019-03":"2020-02"]
    after = rate.loc[:, slice(*WINDOWS[window])]
    assert before.shape == after.shape == (293, 12)
    change = after.mean(axis=1) - before.mean(axis=1)
    if weights == "none":
        by_hand = change[trial].mean() - change[~trial].mean()
    else:
        by_hand = (change * force)[trial].sum() / force[trial].sum()
        by_hand -= (change * force)[~trial].sum() / force[~trial].sum()
    row = results.read("03_did").set_index("spec").loc[f"{window}/{weights}"]
    assert row["estimate"] == pytest.approx(by_hand, abs=1e-9)
    assert (row["n_units"], trial.sum(), (~trial).sum()) == (293, 118, 175)
    first, last = WINDOWS[window]
    assert (row["pre"], row["post"]) == (
        "2019M03–2020M02",
        f"{first.replace('-', 'M')}–{last.replace('-', 'M')}",
    )


def test_exactly_one_published_two_by_two_is_the_main_one_and_the_design_names_it():
    did, plan = results.read("03_did"), design.load()
    assert did.loc[did["is_main"], "spec"].tolist() == [f"{plan.post}/{plan.weights}"]
    assert len(did) == len(WINDOWS) * 2


@pytest.mark.parametrize("month", ["2017-03", "2020-06", "2021-03", "2023-10"])
def test_published_event_study_is_what_plain_arithmetic_gives(mainland, month):
    rate, force, trial = mainland
    now = pd.Timestamp(month)
    same_month = pd.Timestamp(2020 if now.month < 3 else 2019, now.month, 1)
    change = rate[now] - rate[same_month]
    by_hand = np.average(change[trial], weights=force[trial])
    by_hand -= np.average(change[~trial], weights=force[~trial])
    study = results.read("03_event_study").set_index("post")
    row = study.loc[f"{now:%YM%m}"]
    assert row["estimate"] == pytest.approx(by_hand, abs=1e-9)
    assert row["event_month"] == (now.year - 2021) * 12 + now.month - 3


def test_published_event_study_is_zero_on_average_in_its_base_year():
    study = results.read("03_event_study").set_index("post")["estimate"]
    assert np.allclose(study["2019M03":"2020M02"], 0, atol=1e-9)


def test_published_group_means_are_totals_over_totals(mainland):
    rate, force, trial = mainland
    means = results.read("03_group_means").set_index(["month", "group"])["mean"]
    for group, arm in (("trial", trial), ("control", ~trial)):
        total = rate.mul(force, axis=0)[arm].sum() / force[arm].sum()
        assert np.allclose(means.xs(group, level="group"), total["2017-03":"2023-10"], atol=1e-9)


def test_published_leave_one_out_is_what_plain_arithmetic_gives(mainland):
    rate, force, trial = mainland
    change = main_change(mainland)
    area = results.read("01_municipalities").set_index("municipality")["area_id"]
    control = np.average(change[~trial], weights=force[~trial])
    left = results.read("05_leave_one_out").set_index("area_id")["estimate"]
    assert sorted(left.index) == sorted(area[trial].unique())
    for out in left.index:
        arm = trial & (area != out)
        by_hand = np.average(change[arm], weights=force[arm]) - control
        assert left[out] == pytest.approx(by_hand, abs=1e-9)


def left_out(mainland, outcome):
    """Main estimate, and the estimate without each cluster, of a change by municipality."""
    _, force, trial = mainland
    area = results.read("01_municipalities").set_index("municipality")["area_id"]

    def gap(kept):
        arms = (trial & kept, ~trial & kept)
        return np.subtract(*(np.average(outcome[a], weights=force[a]) for a in arms))

    return gap(trial | True), np.array([gap(area != a) for a in area.unique()])


def main_change(mainland):
    rate = mainland[0]
    change = rate.loc[:, "2022-11":"2023-10"].mean(axis=1)
    return change - rate.loc[:, "2019-03":"2020-02"].mean(axis=1)


def test_published_interval_is_the_jackknife_over_areas(mainland):
    whole, without = left_out(mainland, main_change(mainland))
    main = results.read("03_did").query("is_main").iloc[0]
    assert main["n_clusters"] == len(without) == 77
    error = np.sqrt(76 / 77 * ((without - whole) ** 2).sum())
    assert main["se"] == pytest.approx(error, abs=1e-9)
    reach = 1.991673 * error  # the 97.5 % point of t with 76 degrees of freedom
    assert main["ci_low"] == pytest.approx(whole - reach, abs=1e-6)
    assert main["ci_high"] == pytest.approx(whole + reach, abs=1e-6)


def test_published_randomization_p_is_that_of_other_draws_within_chance(mainland):
    rate, force, trial = mainland
    area = results.read("01_municipalities").set_index("municipality")["area_id"]
    size, total = (v.groupby(area).sum() for v in (force, force * main_change(mainland)))
    rng, share = np.random.default_rng(1), size.index.str.startswith("KK")

    def gap(treated):
        return (
            total[treated].sum() / size[treated].sum()
            - total[~treated].sum() / size[~treated].sum()
        )

    drawn = np.array([abs(gap(rng.permutation(share))) for _ in range(2000)])
    p = (drawn >= abs(gap(share))).mean()
    row = results.read("05_randomization").iloc[0]
    assert row["estimate"] == pytest.approx(gap(share), abs=1e-9)
    assert (row["n_treated"], row["n_clusters"]) == (25, 77)
    assert abs(row["p"] - p) < 4 * np.sqrt(p * (1 - p) * (1 / 2000 + 1 / 9999))


def test_published_estimates_follow_the_schema():
    for name in ("03_did", "03_event_study", "04_area_effects", "04_adjusted", "05_robustness"):
        assert results.read(name).columns.tolist() == estimates.COLUMNS
