import tomllib

import pandas as pd
import pytest

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.methods import design

STUDY = paths.STUDY.read_text(encoding="utf-8")


@pytest.fixture
def edited(tmp_path):
    """Load the study's design with one piece of its text replaced."""

    def load(old="", new=""):
        assert old in STUDY, f"study.toml has no {old!r} any more"
        path = tmp_path / "study.toml"
        path.write_text(STUDY.replace(old, new, 1) if old else STUDY, encoding="utf-8")
        return design.load(path)

    return load


def test_every_choice_of_the_file_arrives_in_the_design(edited):
    raw, plan = tomllib.loads(STUDY), edited()
    assert plan == design.load()
    for name, (first, last) in raw["windows"].items():
        window = plan.windows[name]
        assert (f"{window.first:%Y-%m}", f"{window.last:%Y-%m}") == (first, last)
    assert f"{plan.start:%Y-%m}" == raw["trial"]["start"] == "2021-03"
    assert plan.labour_force_year == raw["panel"]["labour_force_year"] == 2019
    main = raw["main"]
    assert (plan.outcome, plan.post, plan.weights, plan.cluster) == tuple(
        main[key] for key in ("outcome", "post", "weights", "cluster")
    )
    assert list(plan.reference_backlog) == raw["lag"]["reference_backlog"]
    assert [v.spec for v in plan.robustness] == [entry["spec"] for entry in raw["robustness"]]


def test_every_window_of_the_study_covers_whole_years():
    for window in design.load().windows.values():
        months = window.months
        assert len(months) % 12 == 0 and months.month.value_counts().nunique() == 1, window.name


def test_no_window_of_a_comparison_reaches_into_its_baseline():
    plan = design.load()
    assert plan.windows["baseline"].last < plan.start <= plan.windows[plan.post].first
    for check in plan.robustness:
        assert check.baseline.last < check.post.first, check.spec


def test_placebo_checks_lie_wholly_before_the_trial():
    plan = design.load()
    placebos = [v for v in plan.robustness if v.spec.startswith("placebo")]
    assert len(placebos) == 2
    assert all(v.post.last < plan.start for v in placebos)


def test_a_check_takes_what_it_does_not_name_from_the_main_specification():
    plan = design.load()
    checks = {v.spec: v for v in plan.robustness}
    main = plan.windows["baseline"], plan.windows[plan.post]
    unweighted, later = checks["unweighted"], checks["covid_base"]
    assert (unweighted.weights, unweighted.keep) == ("none", "")
    assert (unweighted.baseline, unweighted.post) == main
    assert (later.baseline.text, later.post, later.weights) == (
        "2020M03–2021M02",
        main[1],
        plan.weights,
    )


def test_a_window_prints_its_ends_and_lists_its_months():
    window = design.Window("w", pd.Timestamp("2021-11-01"), pd.Timestamp("2022-02-01"))
    assert window.text == "2021M11–2022M02"
    assert [f"{m:%Y-%m-%d}" for m in window.months] == [
        "2021-11-01",
        "2021-12-01",
        "2022-01-01",
        "2022-02-01",
    ]


def test_one_changed_line_changes_one_choice(edited):
    plan, other = design.load(), edited('weights = "labour_force" ', 'weights = "none" ')
    assert (plan.weights, other.weights) == ("labour_force", "none")
    assert other.windows == plan.windows


FAULTS = {
    "no start": ('start = "2021-03"', "", "[trial], column start: found nothing"),
    "no such month": ('"2021-03" ', '"2021-13" ', "[trial], column start: found '2021-13'"),
    "a month as a number": ('start = "2021-03"', "start = 202103", "[trial], column start"),
    "a date": ('end = "2024-12"', 'end = "31.12.2024"', "[trial], column end: found '31.12.2024'"),
    "an end before the start": ('end = "2024-12"', 'end = "2020-12"', "[trial], column end"),
    "one end only": (
        'first_year = ["2021-03", "2022-02"]',
        'first_year = ["2021-03"]',
        "[windows], column first_year: found ['2021-03']",
    ),
    "a reversed window": (
        'first_year = ["2021-03", "2022-02"]',
        'first_year = ["2022-02", "2021-03"]',
        "[windows], column first_year",
    ),
    "a missing window": (
        'last_year = ["2022-11", "2023-10"]',
        "",
        "[windows], column last_year: found nothing",
    ),
    "a baseline in the trial": (
        'baseline = ["2019-03", "2020-02"]',
        'baseline = ["2020-06", "2021-05"]',
        "[windows], column baseline: found 2020M06–2021M05",
    ),
    "an unknown post": ('post = "last_year"', 'post = "next_year"', "[main], column post"),
    "a post before the trial": ('post = "last_year"', 'post = "covid_year"', "[main], column post"),
    "unknown weights": (
        'weights = "labour_force"',
        'weights = "population"',
        "[main], column weights: found population, expected none or labour_force",
    ),
    "no outcome": ('outcome = "unemployed"', "", "[main], column outcome: found nothing"),
    "no cluster": ('cluster = "area_id"', "", "[main], column cluster: found nothing"),
    "a year in words": (
        "labour_force_year = 2019",
        'labour_force_year = "last"',
        "[panel], column labour_force_year: found 'last'",
    ),
    "a reversed panel": (
        'last_month = "2025-01"',
        'last_month = "2014-01"',
        "[panel], column first_month",
    ),
    "no event study": ("[event_study]", "[event_studies]", "[event_study], column first_month"),
    "a backlog in per cent": (
        "[0.0, 0.125]",
        "[0, 12.5]",
        "[lag], column reference_backlog: found [0, 12.5]",
    ),
    "a check without a name": ('spec = "unweighted"', "", "[robustness ?]: found no spec"),
    "a check with a key nobody reads": (
        'spec = "unweighted"',
        'spec = "unweighted"\nwieghts = "none"',
        "[robustness unweighted]: found {'wieghts'}",
    ),
    "a check that overlaps itself": (
        'spec = "covid_base"\nbaseline = ["2020-03", "2021-02"]',
        'spec = "covid_base"\nbaseline = ["2022-03", "2023-02"]',
        "[robustness covid_base], column post: found 2022M03–2023M02 against 2022M11–2023M10",
    ),
    "a check with a bad month": (
        'post = ["2018-03", "2019-02"]',
        'post = ["2018-03", "2019-2x"]',
        "[robustness placebo_2018], column post: found '2019-2x'",
    ),
    "not TOML": ("[main]", "[main", "expected a TOML file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_design_names_its_section_and_key(edited, fault):
    old, new, said = FAULTS[fault]
    with pytest.raises(DataError) as error:
        edited(old, new)
    assert said in str(error.value)
    assert "study.toml" in str(error.value)


def test_a_design_that_is_not_there_says_so(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        design.load(tmp_path / "study.toml")
