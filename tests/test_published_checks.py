"""Published outcomes, control groups, threats and specifications, recomputed in another way."""

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths, results
from kokeilu_analysis.methods import design, estimates
from kokeilu_analysis.sources import facts

EARTH = 6371.0088


@pytest.fixture(scope="module")
def places():
    """Mainland municipalities with their labour force of 2019."""
    panel = pd.read_parquet(paths.PANEL)
    frame = results.read("01_municipalities").set_index("municipality")
    force = panel[(panel["measure"] == "labour_force") & (panel["month"] == "2019-06-01")]
    frame["force"] = force.set_index("municipality")["value"].reindex(frame.index)
    return panel, frame


def gap(change, frame):
    trial = frame["is_trial"] == 1
    arms = (frame[trial], frame[~trial])
    return np.subtract(*(np.average(change[a.index], weights=a["force"]) for a in arms))


def ends(panel, frame, measures, post):
    """Ends of each municipality's change, in per cent of the labour force, cells free."""
    inside = panel[panel["measure"].isin(measures) & panel["municipality"].isin(frame.index)]
    total = inside.groupby(["municipality", "month"])[["lower", "upper"]].sum()
    rate = 100 * total.div(frame["force"], axis=0, level=0)
    low, high = (rate[c].unstack() for c in ("lower", "upper"))
    before, after = slice("2019-03", "2020-02"), slice(*post)
    least = low.loc[:, after].mean(axis=1) - high.loc[:, before].mean(axis=1)
    most = high.loc[:, after].mean(axis=1) - low.loc[:, before].mean(axis=1)
    return least, most


@pytest.mark.parametrize(
    ("outcome", "measures"),
    [
        ("long_term", ["long_term_unemployed"]),
        ("under_25", ["unemployed_under_25"]),
        ("foreign", ["unemployed_foreign"]),
        ("new_vacancies", ["new_vacancies"]),
    ],
)
def test_published_bounds_of_an_outcome_are_what_plain_arithmetic_gives(places, outcome, measures):
    panel, frame = places
    least, most = ends(panel, frame, measures, ("2021-03", "2022-02"))
    trial = frame["is_trial"] == 1
    low = gap(least.where(trial, most), frame)
    high = gap(most.where(trial, least), frame)
    row = results.read("03_outcomes").set_index("spec").loc[f"{outcome}/first_year"]
    assert (row["bound_low"], row["bound_high"]) == pytest.approx((low, high), abs=1e-9)


def test_unemployed_and_services_is_the_sum_of_its_parts():
    rows = results.read("03_outcomes").set_index("spec")
    both, services = (
        rows.loc["unemployed_and_services/first_year"],
        rows.loc["in_services/first_year"],
    )
    alone = rows.loc["unemployed/first_year", "estimate"]
    for end in ("bound_low", "bound_high"):
        assert both[end] == pytest.approx(alone + services[end], abs=1e-9)


def test_unemployed_in_the_list_of_outcomes_is_the_two_by_two():
    rows, did = (
        results.read("03_outcomes").set_index("spec"),
        results.read("03_did").set_index("spec"),
    )
    for window in ("first_year", "last_year"):
        ours, known = rows.loc[f"unemployed/{window}"], did.loc[f"{window}/labour_force"]
        assert ours["estimate"] == known["estimate"] and ours["se"] == known["se"]


def test_distances_are_those_of_vectors_on_a_sphere(places):
    frame = places[1]
    lon, lat = np.radians(frame["centre_lon"]), np.radians(frame["centre_lat"])
    point = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    trial = frame["is_trial"].to_numpy() == 1
    km = EARTH * np.arccos(np.clip(point @ point[trial].T, -1, 1)).min(axis=1)
    published = results.read("03_places").set_index("municipality").loc[frame.index]
    assert np.allclose(published["nearest_trial_km"], km, atol=1e-3)
    assert (published["near_trial"] == (km < 30)).all()


@pytest.mark.parametrize(("spec", "least"), [("beyond_near", 30), ("beyond_commuting", 50)])
def test_published_ring_estimates_leave_out_the_near_controls(places, spec, least):
    panel, frame = places
    km = results.read("03_places").set_index("municipality")["nearest_trial_km"]
    kept = frame[(frame["is_trial"] == 1) | (km.reindex(frame.index) >= least)]
    low, high = ends(panel, frame, ["unemployed"], ("2022-11", "2023-10"))
    assert (low == high).all()
    row = results.read("03_control_groups").set_index("spec").loc[spec]
    assert row["estimate"] == pytest.approx(gap(low[kept.index], kept), abs=1e-9)
    assert row["n_units"] == len(kept)


def test_every_declared_check_is_published():
    plan = design.load()
    for name, declared in (
        ("03_control_groups", plan.control_groups),
        ("05_threats", plan.threats),
        ("05_dates", plan.dates),
    ):
        found = results.read(name)
        assert found.columns.tolist() == estimates.COLUMNS
        published = found.loc[~found["is_main"], "spec"].tolist()
        assert published == [check.spec for check in declared]


def test_the_curve_holds_the_main_estimate_and_two_by_twos_known_from_elsewhere():
    curve = results.read("05_curve")
    plain = curve[(curve["trend"] == "none") & (curve["treated"] == "all")]
    plain = plain[plain["controls"] == "all"].set_index(["baseline", "post", "weights"])["estimate"]
    did = results.read("03_did")
    did = did[did["spec"].str.startswith(("first_year", "last_year"))]
    for row in did.itertuples():
        assert plain[row.pre, row.post, row.weights] == pytest.approx(row.estimate, abs=1e-9)
    assert curve["is_main"].sum() == 1 and len(curve) >= 2000
    ring = curve[(curve["controls"] == "beyond_near") & (curve["treated"] == "all")]
    ring = ring[ring["trend"] == "none"].set_index(["baseline", "post", "weights"])["estimate"]
    known = results.read("03_control_groups").set_index("spec").loc["beyond_near"]
    key = (known["pre"], known["post"], "labour_force")
    assert ring[key] == pytest.approx(known["estimate"], abs=1e-9)


def test_peer_learning_divides_the_estimate_by_what_the_controls_did_not_get():
    main = results.read("03_did").query("is_main").iloc[0]
    for row in results.read("05_peers").itertuples():
        assert row.estimate * (1 - row.share) == pytest.approx(main["estimate"], abs=1e-9)


def test_claims_in_persons_are_shares_of_the_labour_force_they_speak_of(places):
    panel, frame = places
    rows = panel[(panel["measure"] == "labour_force") & (panel["month"] == "2019-06-01")]
    country = rows["value"].sum()
    claims = results.read("05_power").set_index("spec")
    nordic = claims.loc["nordic_model"]
    assert nordic["claim_low"] == pytest.approx(100 * -10_000 / country)
    assert nordic["claim_high"] == pytest.approx(100 * -9_500 / country)
    assert claims.loc["paltamo", "claim_low"] == -10
    known = facts.earlier_trials().query("trial == '2017-2018'")["municipality"]
    force = frame["force"].reindex(known.unique()).sum()
    assert claims.loc["jobs_2018", "claim_low"] == pytest.approx(100 * -10_000 / force)


def test_detectable_effects_are_the_error_times_two_points_of_t():
    rows = results.read("05_power").query("detectable == detectable")
    main = rows.query("is_main").iloc[0]
    # t with 76 degrees of freedom: 1.991673 at 97.5 %, 0.846376 at 80 %
    assert main["detectable"] == pytest.approx((1.991673 + 0.846376) * main["se"], rel=1e-5)
    assert (rows["detectable"] > 2.7 * rows["se"]).all()


def test_every_outcome_of_the_design_is_made_of_measures_of_the_panel():
    known = set(facts.measures()["measure"])
    for outcome in design.load().outcomes:
        assert {*outcome.plus, *outcome.minus} <= known
