"""Claims about how the panel is built, read, turned into rates and aggregated.

The snapshots are synthetic (see snapshot_cases.py); some claims are about the committed panel.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_cases import LAID_OFF, NAMES, cells, move_study, study_in

from kokeilu_analysis import run
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, facts, panel

MONTHS = pd.date_range("2015-01", "2025-01", freq="MS")

# --- building, on synthetic snapshots ------------------------------------------------------------


@pytest.fixture(scope="module")
def imported(template, tmp_path_factory):
    """A synthetic study after its import."""
    root = tmp_path_factory.mktemp("imported") / "study"
    shutil.copytree(template.root, root)
    copy = study_in(root)
    with pytest.MonkeyPatch.context() as patch:
        move_study(patch, copy)
        run.import_snapshots(copy.delivered)
        copy.panel = panel.load(folder=copy.processed)
    return copy


def test_an_import_replaces_panel_and_description_and_keeps_the_snapshots(imported, template):
    assert imported.panel.columns.tolist() == panel.COLUMNS
    assert len(imported.panel) == 309 * len(MONTHS) * 23
    for name in NAMES.values():
        kept = (imported.snapshots / name).read_bytes()
        assert kept == (template.delivered / name).read_bytes()
    before, after = (
        datapackage.resource(s.processed, "panel")["hash"] for s in (template, imported)
    )
    assert before != after


def test_the_newest_state_that_prints_a_month_wins(imported):
    january = pd.Timestamp("2022-01-01")
    states = {
        ("labour_force", january): "2023-12-05",  # the older state has it provisional
        ("laid_off", january): "2022-05-01",
        ("unemployment_rate", january): "2025-02-25",
        ("unemployment_rate", pd.Timestamp("2022-07-01")): "2026-07-21",
        ("unemployed", pd.Timestamp("2022-07-01")): "2026-07-21",
    }
    for (measure, month), vintage in states.items():
        rows = cells(imported.panel, measure=measure, month=month)
        assert set(rows["vintage"]) == {vintage}, (measure, month)


def test_months_between_and_after_snapshots_are_not_published_yet(imported):
    published = imported.panel[imported.panel["status"] != "not published yet"]
    months = published.groupby("measure")["month"].unique().map(lambda m: sorted(m.month))
    assert set(months.index) == {
        "laid_off",
        "labour_force",
        "unemployed",
        "unemployment_rate",
        "vacancies",
    }
    assert months["laid_off"] == [1, 2, 7, 11, 12]
    assert months["unemployed"] == months["vacancies"] == [1, 2, 3, 4, 7, 11, 12]
    assert months["unemployment_rate"] == [1, 2, 3, 4, 5, 6, 7, 11, 12]


def test_a_state_after_the_merger_gives_no_count_for_the_municipality_that_is_gone(imported):
    """Its people are in the other one: an older state's count would count them twice."""
    gone = cells(imported.panel, municipality="588", month=pd.Timestamp("2022-07-01"))
    assert set(gone["status"]) == {"merged", "not published yet"}
    assert set(gone.loc[gone["status"] == "merged", "measure"]) == {
        "laid_off",
        "labour_force",
        "unemployed",
        "unemployment_rate",
        "vacancies",
    }
    before = cells(imported.panel, municipality="588", month=pd.Timestamp("2022-04-01"))
    assert set(cells(before, measure="unemployed")["status"]) == {"observed"}


def test_hidden_cells_of_synthetic_snapshots_become_1_to_4(imported):
    answer = json.loads(imported.path("answer").read_text(encoding="utf-8"))
    codes = [c["code"] for c in answer["columns"]][2:]
    at = codes.index(LAID_OFF)
    secret = {d["key"][0][2:] for d in answer["data"] if d["values"][at] == "..."}
    rows = cells(imported.panel, measure="laid_off", month=pd.Timestamp("2022-07-01"))
    hidden = rows[rows["status"] == "hidden"]
    assert set(hidden["municipality"]) == secret and len(secret) > 50
    assert (hidden["lower"] == 1).all() and (hidden["upper"] == 4).all()


def test_a_build_from_imported_snapshots_changes_nothing(imported, monkeypatch):
    move_study(monkeypatch, imported)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in imported.processed.iterdir()}
    assert "859,947 cells" in run.build()
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before


def test_a_panel_whose_description_is_missing_is_not_written(committed, tmp_path):
    with pytest.raises(DataError, match="the description of the folder"):
        panel.write(committed.head(10), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- reading -------------------------------------------------------------------------------------


def test_some_measures_can_be_read_alone(committed):
    rows = panel.load(["unemployed", "vacancies"])
    wanted = committed[committed["measure"].isin(["unemployed", "vacancies"])]
    pd.testing.assert_frame_equal(rows, wanted.reset_index(drop=True))


def test_an_unknown_measure_is_refused_by_name():
    with pytest.raises(DataError, match="no measure unemployd"):
        panel.load(["unemployed", "unemployd"])


def test_a_panel_that_is_not_the_described_one_is_refused(study):
    path = study.processed / "panel.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="panel.parquet: found checksum"):
        panel.load(folder=study.processed)
    path.unlink()
    with pytest.raises(DataError, match="panel.parquet: found no file"):
        panel.load(folder=study.processed)


# --- rates ---------------------------------------------------------------------------------------


def toy(*rows):
    """A small panel: municipality, month number, measure, value or None for hidden."""
    frame = pd.DataFrame(rows, columns=["municipality", "month", "measure", "value"])
    hidden = frame["value"].isna()
    return frame.assign(
        month=pd.to_datetime("2021-" + frame["month"].astype(str), format="%Y-%m"),
        value=frame["value"].astype(float),
        lower=frame["value"].astype(float).where(~hidden, 1.0),
        upper=frame["value"].astype(float).where(~hidden, 4.0),
        status=np.where(hidden, panel.HIDDEN, panel.OBSERVED),
        vintage="2023-12-05",
    )


def test_a_rate_is_a_count_in_per_cent_of_the_fixed_denominator():
    frame = toy(("091", 3, "unemployed", 5), ("280", 3, "unemployed", None))
    force = pd.Series({"091": 200, "280": 50})
    rates = panel.rates(frame, "unemployed", force).set_index("municipality")
    assert rates.loc["091", ["value", "lower", "upper"]].tolist() == [2.5, 2.5, 2.5]
    assert rates.loc["280", ["lower", "upper"]].tolist() == [2.0, 8.0]
    assert np.isnan(rates.loc["280", "value"]) and rates["labour_force"].tolist() == [200, 50]


def test_rates_use_the_same_denominator_in_every_month(committed):
    force = panel.labour_force(committed, 2019)
    rates = panel.rates(committed, "unemployed", force)
    assert len(rates) == 309 * 106  # months not published are left out
    assert (rates.groupby("municipality")["labour_force"].nunique() == 1).all()
    helsinki = cells(rates, municipality="091", month=pd.Timestamp("2021-03-01")).iloc[0]
    assert helsinki["value"] == pytest.approx(100 * 51_318 / force["091"], rel=1e-12)
    # the published rate divides by the labour force of its own year
    assert helsinki["labour_force"] != 352_914


def test_a_unit_without_denominator_is_refused_by_name():
    frame = toy(("091", 3, "unemployed", 5), ("280", 3, "unemployed", 7))
    with pytest.raises(DataError, match="found 280"):
        panel.rates(frame, "unemployed", pd.Series({"091": 200}))


def test_the_labour_force_of_a_year_must_be_one_number_a_municipality(committed):
    force = panel.labour_force(committed, 2019)
    assert force.name == "labour_force_2019" and len(force) == 309 and (force > 0).all()
    stepping = toy(("091", 3, "labour_force", 100), ("091", 4, "labour_force", 101))
    for frame, year in ((stepping, 2021), (stepping, 2020), (committed, 2024)):
        with pytest.raises(DataError, match="one labour force a municipality"):
            panel.labour_force(frame, year)


# --- aggregation ---------------------------------------------------------------------------------


def test_municipalities_add_up_to_areas_and_a_hidden_one_leaves_an_interval():
    frame = toy(
        ("091", 3, "vacancies", 10),
        ("049", 3, "vacancies", 7),
        ("280", 3, "vacancies", None),
        ("284", 3, "vacancies", None),
        ("999", 3, "vacancies", 1000),
    )
    units = pd.Series({"091": "KK01", "049": "KK01", "280": "KK02", "284": "KK02"})
    sums = panel.aggregate(frame, units).set_index("unit")
    assert sums.index.tolist() == ["KK01", "KK02"]
    assert sums.loc["KK01", ["value", "lower", "upper"]].tolist() == [17, 17, 17]
    assert np.isnan(sums.loc["KK02", "value"])
    assert sums.loc["KK02", ["lower", "upper", "hidden_cells"]].tolist() == [2, 8, 2]
    assert sums["status"].tolist() == ["observed", "hidden"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.just(0), st.integers(1, 4), st.integers(5, 900)), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_the_true_sum_lies_in_the_interval_of_the_aggregate(true, random):
    codes = [f"{k:03d}" for k in range(len(true))]
    frame = toy(
        *((c, 3, "laid_off", None if 1 <= v <= 4 else v) for c, v in zip(codes, true, strict=True))
    )
    units = pd.Series({c: random.choice(["A", "B"]) for c in codes})
    sums = panel.aggregate(frame, units).set_index("unit")
    for unit, total in pd.Series(true, index=codes).groupby(units).sum().items():
        assert sums.loc[unit, "lower"] <= total <= sums.loc[unit, "upper"]
        if sums.loc[unit, "status"] == "observed":
            assert sums.loc[unit, "value"] == total


def test_areas_groups_and_country_are_sums_of_the_same_municipalities(committed):
    assignment = facts.treatment().set_index("municipality")
    counts = committed[committed["measure"].isin(["unemployed", "labour_force", "vacancies"])]
    areas = panel.aggregate(counts, assignment["area_id"])
    groups = panel.aggregate(counts, assignment["group"])
    assert len(areas) == areas["unit"].nunique() * 106 * 3
    assert areas["unit"].str.startswith("KK").groupby(areas["unit"]).first().sum() == 25
    for bound in ("lower", "upper"):
        total = areas.groupby(["month", "measure"])[bound].sum()
        assert total.equals(groups.groupby(["month", "measure"])[bound].sum())
        own = counts.groupby(["month", "measure"])[bound].sum()
        assert (own.loc[total.index] == total).all()
    trial = groups.query("unit == 'trial' and measure == 'unemployed'")
    assert (trial["status"] == "observed").all()


def test_an_area_keeps_the_rate_of_its_sum(committed):
    area = facts.treatment().set_index("municipality")["area_id"]
    sums = panel.aggregate(
        committed[committed["measure"].isin(["unemployed", "labour_force"])], area
    )
    helsinki = cells(sums, unit="KK01", month=pd.Timestamp("2021-03-01")).set_index("measure")
    assert helsinki["value"].to_dict() == {"labour_force": 352_914, "unemployed": 51_318}
    rates = panel.rates(sums, "unemployed", pd.Series(1000, index=sums["unit"].unique()))
    here = cells(rates, unit="KK01", month=pd.Timestamp("2021-03-01"))
    assert here["value"].item() == pytest.approx(5131.8)


def test_a_unit_that_is_printed_only_inside_another_one_has_no_sum_rather_than_zero():
    frame = toy(("507", 3, "vacancies", 10), ("588", 3, "vacancies", 7))
    frame.loc[1, ["value", "lower", "upper"]] = np.nan
    frame.loc[1, "status"] = panel.MERGED
    together = panel.aggregate(frame, pd.Series({"507": "A", "588": "A"})).set_index("unit")
    assert together.loc["A", ["value", "status"]].tolist() == [10, "observed"]
    apart = panel.aggregate(frame, pd.Series({"507": "A", "588": "B"}))
    assert apart["unit"].tolist() == ["A"]


def test_pertunmaa_and_mantyharju_belong_to_one_unit_in_every_grouping():
    towns = facts.treatment().set_index("municipality").loc[["507", "588"]]
    for grouping in ("area_id", "group", "sub_region_code", "region_code", "ely_code"):
        assert towns[grouping].nunique() == 1, grouping


def test_rates_cannot_be_added_up():
    with pytest.raises(DataError, match="rates cannot be added up"):
        panel.aggregate(toy(("091", 3, "unemployment_rate", 8)), pd.Series({"091": "KK01"}))


# --- coverage ------------------------------------------------------------------------------------


def test_coverage_counts_published_and_hidden_cells():
    frame = toy(
        ("091", 3, "vacancies", 10),
        ("091", 4, "vacancies", None),
        ("049", 3, "vacancies", 7),
        ("049", 4, "vacancies", 8),
        ("280", 3, "vacancies", None),
    )
    (row,) = panel.coverage(frame, ["091", "049"]).itertuples()
    assert (row.measure, row.cells, row.hidden, row.hidden_share) == ("vacancies", 4, 1, 0.25)
    assert row.never_hidden == 1
    assert (row.first_month, row.last_month) == (
        pd.Timestamp("2021-03-01"),
        pd.Timestamp("2021-04-01"),
    )


def test_hidden_shares_on_the_mainland_are_those_the_data_notes_give(committed):
    since = committed[committed["month"].between("2018-01-01", "2022-02-01")]
    mainland = facts.treatment().query("group != 'outside'")["municipality"]
    table = panel.coverage(since, mainland).set_index("measure")
    shares = (100 * table["hidden_share"]).round(1)
    assert shares["long_term_unemployed"] == 0.8 and shares["unemployed_under_25"] == 8.2
    assert shares["laid_off"] == 7.8 and shares["vacancies"] == 6.9
    assert shares["new_vacancies"] == 9.6 and shares["unemployed_foreign"] == 24.6
    assert table.loc["unemployed", "hidden"] == 0
    assert table.loc["laid_off", "never_hidden"] == 173


# --- counts made of several measures ------------------------------------------------------------


def _cells(**measures):
    rows = [
        ("091", pd.Timestamp("2020-01-01"), m, v, lo, up, "observed" if lo == up else "hidden")
        for m, (v, lo, up) in measures.items()
    ]
    columns = ["municipality", "month", "measure", "value", "lower", "upper", "status"]
    return pd.DataFrame(rows, columns=columns)


def test_a_hidden_part_makes_a_difference_an_interval_the_right_way_round():
    cells = _cells(unemployed=(100.0, 100.0, 100.0), laid_off=(np.nan, 1.0, 4.0))
    row = panel.combine(cells, "rest", ["unemployed"], ["laid_off"]).iloc[0]
    assert (row["lower"], row["upper"], row["status"]) == (96.0, 99.0, "hidden")
    assert np.isnan(row["value"])


def test_known_parts_add_up_to_a_known_count():
    cells = _cells(a=(3.0, 3.0, 3.0), b=(7.0, 7.0, 7.0))
    row = panel.combine(cells, "both", ["a", "b"]).iloc[0]
    assert (row["value"], row["status"], row["measure"]) == (10.0, "observed", "both")


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no measure absent"):
        panel.combine(_cells(a=(3.0, 3.0, 3.0)), "both", ["a", "absent"])


def test_rates_end_where_municipalities_merge_since_the_groups_are_no_longer_the_same():
    months = pd.to_datetime(["2024-12-01", "2025-01-01"])
    rows = pd.DataFrame(
        {
            "municipality": ["507", "507", "588", "588"],
            "month": [*months, *months],
            "measure": "unemployed",
            "value": [200.0, 260.0, 50.0, np.nan],
            "lower": [200.0, 260.0, 50.0, np.nan],
            "upper": [200.0, 260.0, 50.0, np.nan],
            "status": ["observed", "observed", "observed", "merged"],
        }
    )
    found = panel.rates(rows, "unemployed", pd.Series({"507": 2000.0, "588": 500.0}))
    assert found["month"].unique().tolist() == [months[0]]
    assert found["value"].tolist() == [10.0, 10.0]
