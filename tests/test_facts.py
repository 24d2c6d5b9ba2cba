"""Claims about the facts in data/raw: who was treated, when, and what was said."""

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, facts

BY_ELY = {  # trial areas and trial municipalities by ELY centre, as the ministry lists them
    "Uudenmaan": (5, 7),
    "Pohjois-Pohjanmaan": (3, 16),
    "Varsinais-Suomen": (2, 8),
    "Hämeen": (2, 8),
    "Etelä-Savon": (2, 8),
    "Keski-Suomen": (2, 7),
    "Etelä-Pohjanmaan": (2, 9),
    "Pirkanmaan": (1, 22),
    "Pohjanmaan": (1, 8),
    "Kainuun": (1, 7),
    "Pohjois-Savon": (1, 6),
    "Pohjois-Karjalan": (1, 5),
    "Lapin": (1, 4),
    "Satakunnan": (1, 3),
}


@pytest.fixture(scope="module")
def assignment():
    return facts.treatment()


# --- who is treated ------------------------------------------------------------------------------


def test_the_trial_has_25_areas_and_118_municipalities(assignment):
    trial = assignment[assignment["is_trial"] == 1]
    assert (len(trial), trial["area_id"].nunique()) == (118, 25)
    assert sorted(trial["area_id"].unique()) == [f"KK{n:02d}" for n in range(1, 26)]


def test_every_municipality_of_2021_stands_in_exactly_one_group(assignment):
    assert assignment["municipality"].is_unique and len(assignment) == 309
    sizes = assignment["group"].value_counts().to_dict()
    assert sizes == {"trial": 118, "control": 168, "withdrew": 7, "outside": 16}
    assert sizes["control"] + sizes["withdrew"] == 175
    assert ((assignment["group"] == "trial") == (assignment["is_trial"] == 1)).all()


def test_areas_and_municipalities_by_ely_centre_agree_with_the_ministry(assignment):
    trial = assignment[assignment["is_trial"] == 1]
    names = trial["ely_name_fi"].str.replace(" ELY-keskus", "")
    counted = trial.groupby(names)["area_id"].agg(["nunique", "size"])
    assert {k: tuple(v) for k, v in counted.T.to_dict("list").items()} == BY_ELY


def test_no_area_crosses_the_border_of_an_ely_centre(assignment):
    trial = assignment[assignment["is_trial"] == 1]
    assert (trial.groupby("area_id")["ely_code"].nunique() == 1).all()


def test_only_kaakkois_suomi_has_no_trial_and_only_kuhmoinen_is_out_in_pirkanmaa(assignment):
    mainland = assignment[assignment["group"] != "outside"]
    treated = mainland.groupby("ely_name_fi")["is_trial"].mean()
    assert treated[treated == 0].index.tolist() == ["Kaakkois-Suomen ELY-keskus"]
    pirkanmaa = mainland[mainland["ely_code"] == "05"]
    assert pirkanmaa.query("is_trial == 0")["municipality_name_fi"].tolist() == ["Kuhmoinen"]


def test_trial_municipalities_held_3823484_of_5503664_inhabitants(assignment):
    mainland = assignment[assignment["group"] != "outside"]
    assert mainland["population_2020"].sum() == 5_503_664
    assert mainland.query("is_trial == 1")["population_2020"].sum() == 3_823_484


def test_the_ten_largest_cities_are_all_treated_and_kouvola_is_the_largest_control(assignment):
    order = assignment.sort_values("population_2020", ascending=False)
    assert order["is_trial"].head(10).all()
    largest = order[order["is_trial"] == 0].head(3)
    assert largest["municipality_name_fi"].tolist() == ["Kouvola", "Lappeenranta", "Vaasa"]
    assert largest["population_2020"].tolist() == [81_187, 72_662, 67_551]


def test_every_area_has_the_30000_inhabitants_that_the_call_asked_for(assignment):
    trial = assignment[assignment["is_trial"] == 1]
    size = trial.groupby("area_name_fi")["population_2020"].sum().sort_values()
    smallest = {"Raahen seutu": 32_438, "Savonlinna": 32_662, "Raasepori–Hanko": 35_570}
    assert size.head(3).to_dict() == smallest


def test_eight_trial_municipalities_are_bilingual_and_raasepori_has_a_swedish_majority(assignment):
    trial = assignment[assignment["is_trial"] == 1]
    bilingual = trial[trial["language_code"].isin(["1", "3"])]
    names = "Espoo Hanko Helsinki Kokkola Porvoo Raasepori Turku Vantaa".split()
    assert sorted(bilingual["municipality_name_fi"]) == names
    assert bilingual.query("language_code == '3'")["municipality_name_fi"].tolist() == ["Raasepori"]


def test_six_municipalities_have_medium_confidence(assignment):
    medium = assignment.query("is_trial == 1 and confidence == 'medium'")["municipality_name_fi"]
    expected = ["Kemijärvi", "Pyhäjoki", "Raahe", "Siikajoki", "Sodankylä", "Tornio"]
    assert sorted(medium) == expected


def test_the_maisema_karjala_seven_withdrew_and_belong_to_the_donor_pool(assignment):
    seven = assignment[assignment["group"] == "withdrew"]
    names = "Heinävesi Ilomantsi Juuka Kitee Lieksa Rääkkylä Tohmajärvi".split()
    assert sorted(seven["municipality_name_fi"]) == names
    assert seven["area_id"].str.startswith("SK").all() and (seven["is_trial"] == 0).all()


def test_controls_carry_their_sub_region_as_area(assignment):
    rest = assignment[assignment["is_trial"] == 0]
    assert (rest["area_id"] == "SK" + rest["sub_region_code"]).all()


def test_the_six_city_areas_hold_the_six_largest_cities(assignment):
    groups = facts.area_groups().query("group_id == 'six_cities'")
    assert groups["area_id"].tolist() == ["KK01", "KK02", "KK03", "KK06", "KK11", "KK20"]
    largest = assignment.nlargest(6, "population_2020")["municipality"]
    assert sorted(groups["city"]) == sorted(largest)


def test_codes_stay_text_with_their_leading_zeros(assignment):
    assert assignment.set_index("municipality_name_fi").loc["Akaa", "municipality"] == "020"
    assert assignment["municipality"].str.fullmatch(r"\d{3}").all()
    assert assignment["ely_code"].str.len().eq(2).all()


def test_the_two_computed_centre_points_say_so_and_all_lie_in_finland():
    frame = facts.municipalities()
    computed = frame[frame["centre_source"] == "polygon centroid"]
    assert computed["municipality_name_fi"].tolist() == ["Pertunmaa", "Tuusula"]
    assert frame["centre_lon"].between(19.5, 31.6).all()
    assert frame["centre_lat"].between(59.8, 70.1).all()


# --- earlier trials, timeline, themes, evaluations ------------------------------------------------


def test_the_first_trial_covered_61_municipalities_now_55_of_which_32_are_in_this_one(assignment):
    first = facts.earlier_trials().query("trial == '2012-2015'")
    today = set(first["municipality"])
    trial = set(assignment.query("is_trial == 1")["municipality"])
    assert (len(first), first["project"].nunique()) == (61, 23)
    assert (len(today), len(today & trial)) == (55, 32)


def test_of_the_second_trial_only_kemi_naantali_and_raisio_are_outside_this_one(assignment):
    second = facts.earlier_trials().query("trial == '2017-2018'")
    trial = set(assignment.query("is_trial == 1")["municipality"])
    outside = second[~second["municipality"].isin(trial)]["municipality_name_fi"]
    assert len(second) == 21 and sorted(outside) == ["Kemi", "Naantali", "Raisio"]


@pytest.mark.parametrize(
    ("event", "start", "end"),
    [
        ("interview_exception", "2020-05-01", "2021-01-31"),
        ("trial_starts", "2021-03-01", None),
        ("he43_in_force", "2021-06-01", None),
        ("security_tasks_move", "2021-10-02", None),
        ("nordic_model", "2022-05-02", None),
        ("prolongation", "2022-08-01", None),
        ("wellbeing_counties", "2023-01-01", None),
        ("trial_ends", "2024-12-31", None),
        ("transfer", "2025-01-01", None),
        ("last_count_before", "2021-02-26", None),
        ("first_count_in_trial", "2021-03-31", None),
    ],
)
def test_events_carry_their_official_dates(event, start, end):
    row = facts.timeline().set_index("event_id").loc[event]
    assert row["date_from"] == pd.Timestamp(start) and row["precision"] == "day"
    assert row["date_to"] == pd.Timestamp(end) if end else pd.isna(row["date_to"])


def test_count_days_are_the_last_working_days_of_their_months():
    events = facts.timeline().set_index("event_id")["date_from"]
    for event in ("last_count_before", "first_count_in_trial", "last_count_in_trial"):
        day = np.datetime64(events[event], "D")
        month_end = (day.astype("M8[M]") + 1).astype("M8[D]")
        assert day == np.busday_offset(month_end, -1, roll="forward")


def test_the_timeline_runs_forward_and_months_begin_on_their_first_day():
    events = facts.timeline()
    assert events["date_from"].is_monotonic_increasing
    month = events[events["precision"] == "month"]
    assert (month["date_from"].dt.day == 1).all() and month["date_to"].dt.is_month_end.all()


def test_the_letter_gives_nine_themes_and_two_rounds_and_notes_the_spillover():
    kinds = facts.themes().groupby("kind")["item_id"].agg(list)
    assert kinds["theme"] == [f"theme_{n}" for n in range(1, 10)]
    assert kinds["round"] == ["round_1", "round_2"]
    assert "obs_spillover" in kinds["observation"]


def test_the_final_evaluation_is_listed_with_its_causal_finding_on_plans():
    row = facts.evaluations().set_index("study_id").loc["vatt_2024"]
    assert row["year"] == 2024 and "10 %" in row["estimate_text"]


@pytest.mark.parametrize("table", ["timeline", "interview_themes"])
def test_texts_are_there_in_three_languages_and_differ(table):
    frame = datapackage.read(paths.RAW, table)
    texts = frame[[c for c in frame if c.endswith(("_en", "_fi", "_sv"))]]
    assert texts.shape[1] == 3 and (texts != "").all().all()
    assert (texts.nunique(axis=1) == 3).all()


# --- evidence ------------------------------------------------------------------------------------


def test_the_default_reading_says_what_the_letter_says():
    rows = facts.evidence("default").set_index("statement_id")
    said = rows[["subject", "kind", "lower", "upper"]].T.to_dict("list")
    assert said["six_cities"] == ["six_cities", "range", 0.6, 0.8]
    assert said["mean_about_half"] == ["all", "mean", 0.475, 0.525]
    assert said["smallest_seinajoki_ilmajoki"] == ["KK17", "smallest", 0.125, 0.125]
    assert said["largest_helsinki"] == ["KK01", "largest", 0.775, 0.825]
    assert said["helsinki_april"] == ["KK01", "later", 0.6, 0.7]
    assert rows.loc["few_below_half", ["count_low", "count_high"]].isna().all()
    assert (rows["replaces"] == "").all()


def test_every_alternative_reading_keeps_the_default_but_for_what_it_replaces():
    register, default = facts.evidence(), facts.evidence("default")
    names = [name for name in register["reading"].unique() if name != "default"]
    assert len(names) >= 7
    for name in names:
        own = register[register["reading"] == name]
        expected = (set(default["statement_id"]) - set(own["replaces"])) | set(own["statement_id"])
        assert set(facts.evidence(name)["statement_id"]) == expected


def test_readings_of_different_statements_combine_and_of_the_same_statement_do_not():
    both = facts.evidence(["mean_exact", "few_at_most_2"])
    assert {"mean_exact", "few_at_most_2"} <= set(both["statement_id"])
    with pytest.raises(DataError, match="two readings of mean_about_half"):
        facts.evidence(["mean_exact", "mean_by_customers"])


def test_an_unknown_reading_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="no reading 'mean_exakt'.*mean_exact"):
        facts.evidence("mean_exakt")


GOOD = {"statement_id": "a", "subject": "KK01", "kind": "range", "lower": 0.5, "upper": 0.6}


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        ({"lower": 0.7}, "lower", "a share not above upper"),
        ({"upper": 60.0}, "upper", "Per cent was given"),
        ({"lower": -0.1}, "lower", "at least 0"),
        ({"subject": "KK26"}, "subject", "'KK26'"),
        ({"subject": "KK01;six_cities"}, "subject", "'six_cities'"),
        ({"lower": None, "upper": None}, "lower", "at least one bound"),
        ({"kind": "mean", "subject": "all"}, "weight", "areas or customers"),
        ({"kind": "few_below", "upper": None}, "upper", "the share that few are below"),
        ({"kind": "order"}, "subject", "two areas"),
        ({"kind": "few_below", "count_low": 5, "count_high": 3}, "count_low", "count_high"),
        ({"replaces": "b"}, "replaces", "an empty cell in a default row"),
        ({"reading": "other", "replaces": "b"}, "replaces", "the id of a default statement"),
    ],
)
def test_evidence_that_contradicts_itself_is_refused_by_row_and_column(change, column, says):
    frame = pd.DataFrame([GOOD, {**GOOD, "statement_id": "c", **change}])
    facts.check_evidence(frame.head(1), ["KK01"], ["six_cities"])
    with pytest.raises(DataError, match=says) as fault:
        facts.check_evidence(frame, ["KK01"], ["six_cities"], "form.xlsx")
    assert (fault.value.file, fault.value.row, fault.value.column) == ("form.xlsx", 3, column)
