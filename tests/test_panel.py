"""Claims about the panel: that it is its source, that its numbers add up, how it is aggregated."""

import csv
import functools
import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import FORCE, LAID_OFF, NAMES, RATE, UNEMPLOYED, VACANCIES, move_study, study_in
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis import paths, run
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, facts, panel

MONTHS = pd.date_range("2015-01", "2025-01", freq="MS")
LAST = {"unemployed": "2023-10", "vacancies": "2023-10", "labour_force": "2023-10"}
KEYS = ["municipality", "month", "measure"]


@pytest.fixture(scope="module")
def measures():
    return facts.measures()


@pytest.fixture(scope="module")
def wide(committed):
    """Values and statuses of the committed panel, one column per measure."""
    rows = committed.set_index(KEYS)
    return rows["value"].unstack("measure"), rows["status"].unstack("measure")


def cells(frame, **where):
    for column, wanted in where.items():
        frame = frame[frame[column] == wanted]
    return frame


# --- the committed panel as a table --------------------------------------------------------------


def test_the_panel_has_one_row_per_municipality_of_2021_month_and_measure(committed, measures):
    codes = facts.municipalities()["municipality"]
    assert committed.columns.tolist() == panel.COLUMNS
    assert len(committed) == 309 * len(MONTHS) * 23 == 859_947
    assert not committed.duplicated(KEYS).any()
    assert sorted(committed["municipality"].unique()) == sorted(codes)
    assert sorted(committed["measure"].unique()) == sorted(measures["measure"])
    assert committed["month"].drop_duplicates().sort_values().tolist() == MONTHS.tolist()


def test_the_panel_is_as_its_description_says(committed):
    entry = datapackage.resource(paths.PROCESSED, "panel")
    checked = datapackage.validate(committed.iloc[::37], entry, "panel.parquet")  # for speed
    assert checked.columns.tolist() == panel.COLUMNS
    assert "KEHA Centre" in entry["attribution"] and "CC BY 4.0" in entry["attribution"]


def test_status_says_what_value_and_bounds_hold(committed):
    status = committed["status"]
    assert set(status) == {"observed", "hidden", "merged", "not published yet"}
    observed, hidden = committed[status == "observed"], committed[status == "hidden"]
    assert (observed["value"] == observed["lower"]).all()
    assert (observed["value"] == observed["upper"]).all()
    assert hidden["value"].isna().all()
    counts = hidden[hidden["measure"] != "unemployment_rate"]
    assert (counts["lower"] == 1).all() and (counts["upper"] == 4).all() and len(counts) > 0
    absent = committed[status.isin(["merged", "not published yet"])]
    assert absent[["value", "lower", "upper"]].isna().all(axis=None)


def test_bounds_are_in_order_and_no_count_of_1_to_4_is_printed(committed):
    bounded = committed.dropna(subset=["lower"])
    assert (bounded["lower"] <= bounded["upper"]).all() and (bounded["lower"] >= 0).all()
    counts = committed[committed["measure"] != "unemployment_rate"]["value"].dropna()
    assert (counts % 1 == 0).all() and not counts.isin([1, 2, 3, 4]).any()
    rates = committed[committed["measure"] == "unemployment_rate"]
    assert rates[["lower", "upper"]].max(axis=None) <= 100


def test_each_measure_ends_where_its_newest_snapshot_ends(committed, measures):
    published = committed[committed["status"] != "not published yet"]
    last = published.groupby("measure")["month"].max()
    for measure in measures["measure"]:
        expected = LAST.get(measure, "2022-02")
        expected = "2025-01" if measure == "unemployment_rate" else expected
        assert last[measure] == pd.Timestamp(expected), measure
    # after its last month a measure is not published for anybody, before it for everybody
    later = committed["month"] > committed["measure"].map(last)
    assert ((committed["status"] == "not published yet") == later).all()


def test_only_pertunmaas_rate_is_merged_and_in_every_month(committed):
    merged = committed[committed["status"] == "merged"]
    assert set(merged["municipality"]) == {"588"}
    assert set(merged["measure"]) == {"unemployment_rate"}
    assert sorted(merged["month"]) == MONTHS.tolist()


def test_every_published_cell_carries_the_table_state_it_comes_from(committed):
    published = committed[committed["status"] != "not published yet"]
    states = published.groupby("measure")["vintage"].unique().map(list)
    assert states["unemployed"] == ["2023-12-05"] and states["labour_force"] == ["2023-12-05"]
    assert states["laid_off"] == ["2022-05-01"]
    assert states["unemployment_rate"] == ["2025-02-25"]
    assert (committed.loc[committed["status"] == "not published yet", "vintage"] == "").all()


@pytest.mark.parametrize(
    ("municipality", "month", "measure", "value"),
    [  # Helsinki and Korsnäs, as the interface's documented example prints them
        ("091", "2021-02", "unemployed", 49_349),
        ("091", "2021-03", "unemployed", 51_318),
        ("091", "2021-03", "labour_force", 352_914),
        ("091", "2021-02", "vacancies", 10_993),
        ("091", "2021-03", "vacancies", 9_517),
        ("280", "2021-02", "unemployed", 84),
        ("280", "2021-03", "unemployed", 74),
        ("280", "2021-03", "labour_force", 966),
        ("280", "2021-02", "vacancies", 0),
        ("280", "2021-03", "vacancies", None),
    ],
)
def test_known_cells_are_as_the_table_prints_them(committed, municipality, month, measure, value):
    where = (committed["municipality"] == municipality) & (committed["measure"] == measure)
    (cell,) = committed[where & (committed["month"] == month)].itertuples()
    if value is None:
        assert (cell.status, cell.lower, cell.upper) == ("hidden", 1, 4) and np.isnan(cell.value)
    else:
        assert (cell.status, cell.value) == ("observed", value)


# --- sums and identities on the committed panel --------------------------------------------------


def test_men_and_women_are_the_unemployed_wherever_both_are_printed(wide):
    value, _ = wide
    both = value[["unemployed", "unemployed_men", "unemployed_women"]].dropna()
    assert len(both) > 20_000
    assert (both["unemployed_men"] + both["unemployed_women"] == both["unemployed"]).all()


@pytest.mark.parametrize("sex", ["men", "women"])
def test_a_hidden_sex_is_the_complement_of_1_to_4(wide, sex):
    value, status = wide
    other = {"men": "women", "women": "men"}[sex]
    known = value["unemployed"].notna() & value[f"unemployed_{other}"].notna()
    hidden = known & (status[f"unemployed_{sex}"] == "hidden")
    left = (value["unemployed"] - value[f"unemployed_{other}"])[hidden]
    assert len(left) > 0 and left.between(1, 4).all()


def test_parts_of_the_unemployed_never_exceed_them(wide):
    value, _ = wide
    parts = "under_20 under_25 over_50 foreign disabled men women".split()
    for part in [f"unemployed_{p}" for p in parts] + ["long_term_unemployed", "laid_off"]:
        both = value[["unemployed", part]].dropna()
        assert (both[part] <= both["unemployed"]).all(), part
    both = value[["unemployed_under_20", "unemployed_under_25"]].dropna()
    assert (both["unemployed_under_20"] <= both["unemployed_under_25"]).all()
    both = value[["unemployed", "jobseekers"]].dropna()
    assert (both["unemployed"] <= both["jobseekers"]).all()


def test_unemployed_per_labour_force_is_the_published_rate_to_rounding(wide):
    value, _ = wide
    computed = 100 * value["unemployed"] / value["labour_force"]
    apart = (computed - value["unemployment_rate"]).abs().dropna()
    others = apart[apart.index.get_level_values("municipality") != "507"]
    assert len(others) > 32_000 and others.max() <= 0.05 + 1e-9


def test_mantyharjus_rate_is_that_of_mantyharju_and_pertunmaa_together(wide):
    value, _ = wide
    own, other = (value.loc[code] for code in ("507", "588"))
    together = own[["unemployed", "labour_force"]] + other[["unemployed", "labour_force"]]
    together = together.dropna()
    rate = own.loc[together.index, "unemployment_rate"]
    assert len(together) == 106
    computed = 100 * together["unemployed"] / together["labour_force"]
    assert (computed - rate).abs().max() <= 0.05 + 1e-9
    alone = 100 * own["unemployed"] / own["labour_force"]
    assert ((alone - own["unemployment_rate"]).abs() > 0.05).any()


def test_labour_force_is_constant_in_a_calendar_year_and_steps_in_january(wide):
    force = wide[0]["labour_force"].dropna().unstack("month")
    by_year = force.T.groupby(force.columns.year)
    assert (by_year.nunique() == 1).all(axis=None)
    steps = by_year.first().diff().iloc[1:]
    assert (steps != 0).any(axis=1).all()


def test_a_rate_is_hidden_exactly_where_its_count_is(wide):
    _, status = wide
    both = status[status["unemployed"].isin(["observed", "hidden"])]
    both = both[both["unemployment_rate"] != "merged"]
    assert (both["unemployed"] == both["unemployment_rate"]).all()


def test_the_bounds_of_a_hidden_rate_are_those_of_1_to_4_unemployed(committed, wide):
    rates = committed.query("measure == 'unemployment_rate' and status == 'hidden'")
    force = rates.set_index(KEYS[:2]).index.map(wide[0]["labour_force"])
    known = ~np.isnan(force)
    assert known.any() and (~known).any()
    low, high = np.round(100 / force[known], 1), np.round(400 / force[known], 1)
    assert np.allclose(rates["lower"][known], low, atol=1e-12)
    assert np.allclose(rates["upper"][known], high, atol=1e-12)
    assert (rates["lower"][~known] == 0).all() and (rates["upper"][~known] == 100).all()


def test_no_unemployed_count_is_hidden_on_the_mainland(committed):
    hidden = committed.query("measure == 'unemployed' and status == 'hidden'")
    aland = facts.treatment().query("group == 'outside'")["municipality"]
    assert len(hidden) > 0 and set(hidden["municipality"]) <= set(aland)


def test_the_panel_meets_the_treatment_assignment_one_to_one(committed):
    assignment = facts.treatment()
    now = cells(committed, measure="unemployed", month=pd.Timestamp("2021-03-01"))
    merged = now.merge(assignment, on="municipality", how="outer", validate="1:1", indicator=True)
    assert (merged["_merge"] == "both").all()
    mainland = merged[merged["group"] != "outside"]
    trial = mainland[mainland["is_trial"] == 1]
    assert (trial["area_id"].nunique(), len(trial), len(mainland) - len(trial)) == (25, 118, 175)
    assert mainland["value"].notna().all()  # nobody treated or compared lacks the main outcome


# --- the committed panel against its source, cell by cell ----------------------------------------


@functools.cache
def source(path):
    """Read a wide snapshot with the csv module alone: text cells from 2015M01, to be read only."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    rows = [row for row in rows if "2015M01" <= row[1] <= "2025M01"]
    return pd.DataFrame(rows, columns=header)


@pytest.mark.parametrize("short", ["all", "counts", "rate"])
def test_every_cell_of_the_panel_is_the_cell_of_its_source(real, committed, measures, short):
    wide = source(real / NAMES[short])
    name_of = dict(zip(measures["source_code"], measures["measure"], strict=True))
    vintage = {"all": "2022-05-01", "counts": "2023-12-05", "rate": "2025-02-25"}[short]
    # the newest state that prints a measure is the one that the panel must show
    newer = {"all": {UNEMPLOYED, FORCE, VACANCIES, RATE}, "counts": set(), "rate": set()}[short]
    towns = wide[wide["alue"].str.startswith("KU")].drop(columns=list(newer & set(wide)))
    printed = towns.melt(["alue", "kuukausi"], var_name="code", value_name="text")
    printed["municipality"] = printed["alue"].str[2:]
    printed["month"] = pd.to_datetime(printed["kuukausi"], format="%YM%m")
    printed["measure"] = printed["code"].map(name_of)
    kept = committed[committed["measure"].isin(printed["measure"].unique())]
    kept = kept[kept["status"].isin(["observed", "hidden"])]
    both = kept.merge(printed, on=KEYS, how="outer", indicator=True, validate="1:1")
    assert (both["_merge"] == "both").all()
    assert (both["vintage"] == vintage).all()
    empty = both["text"] == ""
    assert ((both["status"] == "hidden") == empty).all()
    shown = both[~empty]
    assert (shown["value"] == shown["text"].astype(float)).all()
    expected = {"all": 309 * 86 * 19, "counts": 309 * 106 * 3, "rate": 308 * 121}[short]
    assert len(both) == expected


def test_the_labour_force_of_2022_is_the_revised_one(real, committed):
    force = {}
    for short in ("all", "counts"):
        wide = source(real / NAMES[short])
        towns = wide[wide["alue"].str.startswith("KU") & (wide["kuukausi"] == "2022M01")]
        force[short] = dict(zip(towns["alue"].str[2:], towns[FORCE].astype(float), strict=True))
    assert force["all"] != force["counts"]
    now = cells(committed, measure="labour_force", month=pd.Timestamp("2022-01-01"))
    assert dict(zip(now["municipality"], now["value"], strict=True)) == force["counts"]


def test_municipalities_add_up_to_the_tables_own_sub_regions_and_country(real, committed):
    wide = source(real / NAMES["counts"])
    printed = wide.set_index(["alue", "kuukausi"])[FORCE].astype(float).to_dict()
    force = committed.query("measure == 'labour_force' and month <= '2023-10-01'")
    towns = facts.municipalities().set_index("municipality")
    month = force["month"].dt.strftime("%YM%m")
    for column, prefix in (("sub_region_code", "SK"), ("region_code", "MK")):
        area = prefix + force["municipality"].map(towns[column])
        sums = force.groupby([area, month])["value"].sum()
        assert len(sums) in (69 * 106, 19 * 106)
        assert sums.to_dict() == {key: printed[key] for key in sums.index}
    country = force.groupby(month)["value"].sum()
    assert country.to_dict() == {m: printed[("SSS", m)] for m in country.index}


def test_a_rebuild_from_the_snapshots_is_the_committed_panel_byte_for_byte(rebuilt):
    for name in (paths.PANEL.name, datapackage.DESCRIPTOR):
        assert (rebuilt / name).read_bytes() == (paths.PROCESSED / name).read_bytes(), name


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
