"""Claims about the committed panel: that it is its source and that its numbers add up."""

import csv
import functools
import gzip

import numpy as np
import pandas as pd
import pytest
from snapshot_cases import FORCE, NAMES, RATE, UNEMPLOYED, VACANCIES, cells

from kokeilu_analysis import paths
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
