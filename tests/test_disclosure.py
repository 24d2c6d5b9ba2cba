"""Claims about suppression and the gate: hidden stays hidden, unchecked stays in."""

import hashlib
import io
import json
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from linked_tables import draw, small_differences, widths

from kokeilu_analysis import made, notebooks, paths, release, results, run
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import linked_cells, program, suppression
from kokeilu_analysis.report import disclosure, export
from kokeilu_analysis.sources import register_rules

TWO_WAY = ("unit", "measure")
ROW = ("unit",)
COUNTRY = {"unit": [("all", ["a", "b", "c"])]}


def protected(seed, **options):
    table, sums, within = draw(seed)
    return table, *suppression.protect(table, suppression.Spec(TWO_WAY, sums, within, **options))


def row(**values):
    """A table of one row: units as columns."""
    return pd.DataFrame({"unit": list(values), "value": list(values.values())})


# --- the attack ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))  # 500 by bench/disclosure.py
def test_no_hidden_cell_of_a_random_linked_table_is_known_to_within_the_threshold(seed):
    table, sums, within = draw(seed)
    rounding = 3 * (seed % 2)
    spec = suppression.Spec(TWO_WAY, sums, within, rounding=rounding)
    made, _ = suppression.protect(table, spec)
    cells, rests = widths(made, sums, within, rounding, small_differences(table, within, 5))
    assert len(cells) and cells.min() >= 5
    assert min(rests, default=5) >= 5


@pytest.fixture
def programmes(monkeypatch):
    """A list that grows by one with every linear programme that is solved."""
    import scipy.optimize

    solved, milp, minimise = [], scipy.optimize.milp, program.Program.minimise

    def counted(solve):
        def answer(*args, **options):
            solved.append(1)
            return solve(*args, **options)

        return answer

    monkeypatch.setattr(scipy.optimize, "milp", counted(milp))
    monkeypatch.setattr(program.Program, "minimise", counted(minimise))
    return solved


PROTECTED = {  # (seed, rounding): digest of cells and intervals, programmes to protect and to audit
    (10, 0): ("ed6ae3f4", 54, 54),
    (11, 0): ("96617a8f", 26, 10),
    (12, 3): ("7286ad8d", 127, 80),
    (13, 2): ("c0cbd5e0", 151, 62),
    (14, 0): ("f9ec0bb0", 31, 26),
    (15, 3): ("c9ca2b58", 133, 98),
}


@pytest.mark.parametrize(("seed", "rounding"), PROTECTED)
def test_a_table_is_protected_as_it_was_before_and_with_no_more_programmes(
    seed, rounding, programmes
):
    table, sums, within = draw(seed)
    table["kept"] = np.random.default_rng(seed).random(len(table)) < 0.2
    kept = "kept" if seed % 2 else None
    spec = suppression.Spec(TWO_WAY, sums, within, rounding=rounding, kept=kept)
    digest, protecting, auditing = PROTECTED[seed, rounding]
    made, _ = suppression.protect(table, spec)
    # which cells are hidden is a choice among many; to change it is to publish something else
    assert hashlib.sha256(made.to_csv(index=False).encode()).hexdigest()[:8] == digest
    assert len(programmes) <= protecting
    suppression.attack(made, spec)
    assert len(programmes) <= protecting + auditing


def test_the_end_of_intervals_travels_without_touching_what_was_given():
    cells = pd.DataFrame({"unit": ["a", "b", "all"]})
    links = linked_cells.build(cells, {"unit": [("all", ["a", "b"])]}, {})
    given = np.array([1.0, 1, 6]), np.array([10.0, 10, 6])
    low, high = linked_cells.tightened(links, *given)
    assert (low.tolist(), high.tolist()) == ([1, 1, 6], [5, 5, 6])
    assert (given[0].tolist(), given[1].tolist()) == ([1, 1, 6], [10, 10, 6])


@pytest.mark.parametrize("seed", range(3))
def test_hiding_small_counts_alone_gives_some_of_them_away_and_the_attack_finds_them(seed):
    table, sums, within = draw(seed)
    small = table["value"].between(1, 4)
    assert small.any()
    naive = table.assign(
        lower=table["value"].where(~small, 1.0),
        upper=table["value"].where(~small, 10.0),
        status=np.where(small, "hidden", "observed"),
    )
    found = suppression.attack(naive, suppression.Spec(TWO_WAY, sums, within))
    assert found["determined"].any()
    true = found.merge(table, on=list(TWO_WAY))
    assert true["value"].between(true["attack_low"], true["attack_high"]).all()
    by_other = widths(naive, sums, within)[0]
    own = found.set_index(list(TWO_WAY))
    assert np.allclose(own["attack_high"] - own["attack_low"], by_other[own.index])


def test_the_audit_agrees_with_the_attacker_who_shares_no_code(seed=3):
    table, sums, within = draw(seed)
    made, _ = suppression.protect(table, suppression.Spec(TWO_WAY, sums, within))
    found = suppression.attack(made, suppression.Spec(TWO_WAY, sums, within)).set_index([*TWO_WAY])
    others = widths(made, sums, within)[0]
    assert np.allclose(found["attack_high"] - found["attack_low"], others[found.index])
    assert not found["determined"].any()


def test_a_hidden_cell_in_a_circle_of_totals_is_solved_exactly():
    cells = pd.MultiIndex.from_product([["a", "b", "all"], ["x", "y", "sum"]], names=["r", "c"])
    cells = cells.to_frame(index=False)
    links = linked_cells.build(cells, {"r": [("all", ["a", "b"])], "c": [("sum", ["x", "y"])]}, {})
    true = np.array([2, 3, 5, 4, 1, 5, 6, 4, 10.0])
    hidden = np.isin(np.arange(9), [0, 1, 3, 4])
    low, high = linked_cells.ranges(links, np.where(hidden, 0, true), np.where(hidden, 100, true))
    assert low[hidden].tolist() == [1, 0, 1, 0] and high[hidden].tolist() == [5, 4, 5, 4]


def test_contradicting_cells_are_an_error_for_the_audit_and_left_out_by_the_attack():
    made = row(a=3.0, b=8.0, c=40.0, all=99.0).assign(
        lower=lambda f: f["value"], upper=lambda f: f["value"], status="observed"
    )
    spec = suppression.Spec(ROW, COUNTRY)
    assert suppression.attack(made, spec).attrs["links_left_out"] == 1
    links = linked_cells.build(made[["unit"]], COUNTRY, {})
    with pytest.raises(KokeiluError, match="contradict"):
        linked_cells.ranges(links, made["lower"], made["upper"])


# --- what protect gives --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_is_true_and_what_is_hidden_lies_in_its_interval(seed):
    table, made, log = protected(seed)
    shown = made["status"] == "observed"
    assert (made["value"][shown] == table["value"][shown]).all()
    assert made["value"][~shown].isna().all()
    assert table["value"].between(made["lower"], made["upper"]).all()
    assert not table["value"][shown].between(1, 4).any()
    assert (made["lower"][~shown] >= 1).all() and shown[table["value"] == 0].all()
    assert len(log) == (~shown).sum() and set(log["rule"]) <= {"minimum 5", "complementary"}


@pytest.mark.parametrize("value", [1, 4, 7, 9])
def test_the_interval_of_a_hidden_cell_does_not_tell_where_in_it_the_count_lies(value):
    spec = suppression.Spec(ROW, minimum=10)
    made, _ = suppression.protect(row(a=value), spec)
    assert made[["lower", "upper"]].iloc[0].tolist() == [1, 20]


def test_the_log_names_table_row_column_rule_and_action_but_no_count():
    table = row(a=3, b=8, c=40, all=51)
    _, log = suppression.protect(table, suppression.Spec(ROW, COUNTRY), "customers")
    assert log.to_dict("records") == [
        dict(table="customers", row="a", column="value", rule="minimum 5", action="hidden as 1-10"),
        dict(
            table="customers", row="b", column="value", rule="complementary",
            action="hidden as 1-10",
        ),
    ]  # fmt: skip


def test_a_small_difference_of_two_published_cells_is_a_small_cell():
    table = row(long_term=18, unemployed=20)
    links = {"unit": [("long_term", "unemployed")]}
    made, _ = suppression.protect(table, suppression.Spec(ROW, within=links))
    assert (made["status"] == "hidden").any()
    far = suppression.protect(row(long_term=18, unemployed=30), suppression.Spec(ROW, within=links))
    assert (far[0]["status"] == "observed").all()


def test_a_cell_that_few_contributors_dominate_is_hidden_with_its_protection():
    table = row(a=100.0, b=90.0, all=190.0).assign(largest=[85.0, 40.0, 90.0])
    spec = suppression.Spec(
        ROW, {"unit": [("all", ["a", "b"])]}, dominance=(1, 0.8), largest="largest"
    )
    made, log = suppression.protect(table, spec)
    assert log["rule"].tolist()[0] == "dominance (1, 0.8)"
    assert made["status"].tolist() != ["observed"] * 3 and "largest" not in made
    found = suppression.attack(made, spec).set_index("unit").loc["a"]
    assert found["attack_high"] >= 85 / 0.8  # the rule's upper protection level


def test_rounded_cells_are_multiples_and_their_totals_give_nothing_away():
    table, made, log = protected(5, rounding=3)
    shown = made["status"] == "observed"
    assert (made["value"][shown] % 3 == 0).all()
    assert ((made["value"] - table["value"])[shown].abs() <= 1.5).all()
    assert log["rule"].tolist()[-1] == "rounding"


def test_a_cell_that_others_publish_is_not_hidden_to_protect_another():
    table = row(a=3, b=8, c=40, all=51).assign(fixed=[0, 1, 0, 1])
    made, _ = suppression.protect(table, suppression.Spec(ROW, COUNTRY, fixed="fixed"))
    assert made["status"].tolist() == ["hidden", "observed", "hidden", "observed"]
    with pytest.raises(KokeiluError, match="publish fewer totals"):
        table = row(a=3, b=8, c=40, all=51).assign(fixed=[0, 1, 1, 1])
        suppression.protect(table, suppression.Spec(ROW, COUNTRY, fixed="fixed"))


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        (row(a=1.5), {}, r"table, a, value: found 1.5, expected a whole number"),
        (row(a=-1), {}, "found -1.0"),
        (row(a=np.nan), {}, "found nan"),
        (row(a=3, b=8, c=40, all=52), {"sums": COUNTRY}, "parts do not fit the total"),
        (row(a=3).rename(columns={"value": "n"}), {}, "no column 'value'"),
        (pd.concat([row(a=3)] * 2), {"sums": COUNTRY}, "twice"),
        (row(a=3), {"sums": {"place": []}}, "'place'"),
        (row(a=3), {"minimum": 1}, "2 or more"),
        (row(a=3), {"rounding": -5}, "0 for none"),
        (row(a=3), {"dominance": (1, 80)}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_protected_is_refused_with_its_place(table, options, says):
    with pytest.raises(KokeiluError, match=says):
        suppression.protect(table, suppression.Spec(ROW, **options))


def test_a_missing_part_leaves_the_total_a_bound_only():
    table = row(a=3, all=40)
    made, _ = suppression.protect(table, suppression.Spec(ROW, COUNTRY))
    assert made["status"].tolist() == ["hidden", "observed"]


def test_totals_are_made_with_the_links_that_protect_them():
    table = pd.DataFrame({"unit": ["a", "b", "c"], "month": 1, "value": [3, 8, 40]})
    totals, links = suppression.add_totals(table, "unit", pd.Series({"a": "K", "b": "K"}))
    assert totals.to_dict("records") == [{"unit": "K", "month": 1, "value": 11}]
    whole = pd.concat([table, totals])
    made, _ = suppression.protect(whole, suppression.Spec(("unit", "month"), {"unit": links}))
    assert made["status"].tolist() == ["hidden", "hidden", "observed", "observed"]


def months_of_a_stock(stock, inflow, outflow):
    rows = {"unemployed": stock, "inflow": inflow, "outflow": outflow}
    months = pd.date_range("2021-03-01", periods=len(stock), freq="MS")
    return pd.concat(
        pd.DataFrame({"unit": "a", "month": months, "measure": m, "value": v})
        for m, v in rows.items()
    )


def test_a_stock_and_its_flows_do_not_give_a_hidden_month_away():
    table = months_of_a_stock([40, 43, 50, 44], [9, 6, 12, 8], [8, 3, 5, 14])
    keys, flow = ("unit", "month", "measure"), ("unemployed", "inflow", "outflow")
    alone, _ = suppression.protect(table, suppression.Spec(keys))
    found = suppression.attack(alone, suppression.Spec(keys, flows=(flow,)))
    assert found["attack_low"].tolist() == found["attack_high"].tolist() == [3]
    spec = suppression.Spec(keys, flows=(flow,))
    made, _ = suppression.protect(table, spec)
    assert (made["status"] == "hidden").sum() > 1
    assert not suppression.attack(made, spec)["determined"].any()


def test_flows_across_a_month_that_is_not_there_are_no_link():
    table = months_of_a_stock([40, 43, 50], [9, 6, 12], [8, 3, 5])
    table = table[table["month"] != "2021-04-01"]
    keys, flow = ["unit", "month", "measure"], ("unemployed", "inflow", "outflow")
    assert linked_cells.build(table[keys], {}, {}, [flow]).matrix.shape[0] == 0


# --- finished tables and notebooks ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"jobseeker_id": [1]}, "person-level column"),
        ({"birth_date": ["1980-01-01"]}, "person-level column"),
        ({"note": ["seen 010180-123A"]}, "personal identity code"),
        ({"customers": [4]}, "minimum 5"),
        ({"longest_spell": [900.0], "n_units": [3]}, "extreme of fewer than 5"),
        ({"max_days": [900.0]}, "extreme without the size of its group"),
    ],
)
def test_what_a_finished_table_must_not_show_is_found(columns, rule):
    found = disclosure.findings(pd.DataFrame(columns), "t", 5, persons=["customers"])
    assert found["rule"].tolist() == [rule] and found["table"].tolist() == ["t"]


def test_an_ordinary_table_has_no_findings():
    for path in sorted(paths.RESULTS.glob("*.csv")):
        assert disclosure.findings(pd.read_csv(path), path.name).empty, path.name
    wide = pd.DataFrame({"max_days": [900.0], "n": [50], "customers": [0]})
    assert disclosure.findings(wide, "t", 5, persons=["customers"]).empty


def test_a_notebook_keeps_sentences_and_pictures_and_loses_every_row():
    book = nbformat.read(paths.NOTEBOOKS / "01_data.ipynb", as_version=4)
    made = disclosure.without_rows(book)
    outputs = [o for c in made.cells if c.cell_type == "code" for o in c.outputs]
    forms = {form for o in outputs for form in o.get("data", {})}
    assert forms == {"text/markdown", "image/png"}
    assert all(o.output_type in ("display_data", "execute_result") for o in outputs)
    assert sum(o.data.get("text/markdown") == disclosure.NOTE for o in outputs) > 1
    pictures = [o for o in outputs if "image/png" in o.data]
    assert pictures and all(o.metadata["image/png"]["alt"] for o in pictures)
    assert any("text/html" in o.get("data", {}) for c in book.cells for o in c.get("outputs", []))


# --- the gate ------------------------------------------------------------------------------------


@pytest.fixture
def room(tmp_path, monkeypatch, committed):
    """A study in a closed room: a register panel of six municipalities, a table, a notebook."""
    for name in ("PROCESSED", "RESULTS", "NOTEBOOKS", "REPORTS", "FIGURES"):
        monkeypatch.setattr(paths, name, tmp_path / getattr(paths, name).relative_to(paths.ROOT))
    monkeypatch.setattr(paths, "PANEL", paths.PROCESSED / "panel.parquet")
    monkeypatch.setattr(paths, "STUDY", tmp_path / "study.toml")
    paths.STUDY.write_text('[registers]\nsource = "spells"\n', encoding="utf-8")
    paths.NOTEBOOKS.mkdir()
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A question")])
    nbformat.write(book, paths.NOTEBOOKS / "01_data.ipynb")
    paths.PROCESSED.mkdir(parents=True)
    shutil.copy(paths.ROOT / "data/processed/datapackage.json", paths.PROCESSED)
    rows = committed[
        committed["municipality"].isin(["043", "060", "062", "065", "091", "478"])
        & (committed["month"] == "2021-03-01")
        & committed["measure"].isin(["unemployed_men", "unemployed_women"])
    ]
    counts = np.random.default_rng(1).integers(1, 40, len(rows)).astype(float)
    parts = rows.assign(value=counts)
    whole = parts.groupby(["municipality", "month"], as_index=False)["value"].sum()
    panel = pd.concat([parts, whole.assign(measure="unemployed")], ignore_index=True)
    panel = panel.assign(
        lower=panel["value"], upper=panel["value"], status="observed", vintage="registers"
    )
    results.write("01_t", pd.DataFrame({"estimate": [0.5]}), paths.RESULTS)
    return panel


def write(panel):
    panel.to_parquet(paths.PANEL, index=False)


def shut():
    with pytest.raises(disclosure.DisclosureError) as said:
        disclosure.require()
    return str(said.value)


def test_open_statistics_need_no_certificate(room):
    write(room.assign(vintage="2022-05-01"))
    paths.STUDY.write_text("", encoding="utf-8")
    disclosure.require()
    assert release.settle().startswith("not needed")


def test_a_protected_and_checked_register_panel_passes(room):
    assert room["value"].between(1, 4).any()
    write(release.protect_panel(room))
    assert "no certificate" in shut()
    assert release.settle().startswith("passed")
    disclosure.require()
    log = pd.read_csv(paths.PROCESSED / disclosure.LOG)
    assert {"minimum 5", "complementary"} == set(log["rule"])
    checked = pd.read_csv(paths.PROCESSED / disclosure.CHECKED)
    assert set(checked["action"]) == {"passed"} and len(checked) == 3


def test_an_unprotected_register_panel_gets_no_certificate_and_takes_away_the_old_one(room):
    write(release.protect_panel(room))
    release.settle()
    write(room)
    with pytest.raises(disclosure.DisclosureError, match="minimum 5"):
        release.settle()
    assert "no certificate" in shut()


def test_a_panel_without_complementary_suppression_is_refused(room):
    small = room["value"].between(1, 4)
    naive = room.assign(
        value=room["value"].mask(small),
        lower=room["lower"].mask(small, 1.0),
        upper=room["upper"].mask(small, 10.0),
        status=np.where(small, "hidden", "observed"),
    )
    write(naive)
    with pytest.raises(disclosure.DisclosureError, match="can be worked out"):
        release.settle()


def test_days_of_persons_whose_number_is_hidden_are_hidden_altogether(room):
    men = room[room["measure"] == "unemployed"]
    made = room.assign(measure=room["measure"].replace("unemployed_men", "unemployed_outflow"))
    made = made[made["measure"] == "unemployed_outflow"]
    days = made.assign(measure="unemployed_outflow_days", value=made["value"] * 90)
    days = days.assign(lower=days["value"], upper=days["value"])
    panel = pd.concat([made, days], ignore_index=True)
    safe = release.protect_panel(panel).set_index(["measure", "municipality"])
    persons, lasted = safe.loc["unemployed_outflow"], safe.loc["unemployed_outflow_days"]
    hidden = persons["status"] == "hidden"
    assert hidden.any() and not hidden.all() and len(men)
    assert (lasted["status"] == persons["status"]).all()
    assert lasted.loc[hidden, "upper"].nunique() == 1 and (lasted.loc[hidden, "lower"] == 0).all()
    write(safe.reset_index())
    assert release.settle().startswith("passed")
    leaky = safe.reset_index()
    at = leaky["measure"] == "unemployed_outflow_days"
    leaky.loc[at, ["value", "lower", "upper"]] = days[["value", "lower", "upper"]].to_numpy()
    write(leaky.assign(status=leaky["status"].mask(at, "observed")))
    with pytest.raises(disclosure.DisclosureError, match="days of hidden persons"):
        release.settle()


def of_days(room, persons, part, each):
    """A panel of first plans and their days; `part` of the persons are of the target group."""
    places = sorted(room["municipality"].unique())[: len(persons)]
    columns = {
        "first_plans": persons,
        "target_first_plans": part,
        "first_plan_days": [p * d for p, d in zip(persons, each, strict=True)],
        "target_first_plan_days": [p * d for p, d in zip(part, each, strict=True)],
    }
    rows = [
        (place, measure, float(value))
        for measure, values in columns.items()
        for place, value in zip(places, values, strict=True)
    ]
    cells = pd.DataFrame(rows, columns=["municipality", "measure", "value"])
    one = room.iloc[[0]].drop(columns=["municipality", "measure", "value"])
    return cells.merge(one, how="cross").assign(lower=cells["value"], upper=cells["value"])


def test_days_that_one_person_might_dominate_are_hidden_where_the_owner_says_so(room):
    longest = register_rules.LONGEST_DAYS
    safe = int(np.ceil(longest / 0.8 / 100))  # days of each of a hundred persons
    panel = of_days(room, [100, 100, 0, 100], [50, 50, 0, 0], [2 * safe, safe, 0, safe - 1])
    rows = panel["measure"].isin(["first_plan_days", "target_first_plan_days"])
    free = release.protect_panel(panel)
    assert (free.loc[rows, "status"] == "observed").all()
    write(free)
    assert release.settle().startswith("passed")
    paths.STUDY.write_text("[disclosure]\ndominance = [1, 0.8]\n", encoding="utf-8")
    with pytest.raises(disclosure.DisclosureError, match=r"dominance \(1, 0.8\)"):
        release.settle()
    made = release.protect_panel(panel)
    shown = made[rows & (made["status"] == "observed")]
    measures = shown.groupby("municipality")["measure"].apply(set)
    places = sorted(panel["municipality"].unique())
    both = {"first_plan_days", "target_first_plan_days"}
    assert measures[places[0]] == both
    assert measures[places[1]] == {"first_plan_days"}, "50 persons might hold one who dominates"
    assert measures[places[2]] == both, "nobody is nobody's secret"
    assert measures.get(places[3], set()) == {"target_first_plan_days"}, "only the zero of nobody"
    hidden = made[rows & (made["status"] == "hidden")]
    assert hidden["value"].isna().all() and (hidden["lower"] == 0).all()
    log = pd.read_csv(paths.PROCESSED / disclosure.LOG)
    assert log["rule"].tolist() == ["dominance (1, 0.8)"] * len(hidden)
    write(made)
    assert release.settle().startswith("passed")


def test_what_is_left_when_a_part_of_the_days_is_taken_away_is_not_one_persons(room):
    paths.STUDY.write_text("[disclosure]\ndominance = [2, 0.5]\n", encoding="utf-8")
    enough = 4 * register_rules.LONGEST_DAYS
    panel = of_days(room, [1010, 2000], [1000, 1000], [enough // 1000 + 1] * 2)
    made = release.protect_panel(panel).set_index(["measure", "municipality"])
    status = made["status"].unstack("municipality")
    few, many = status.columns
    assert (status.loc["first_plan_days"] == "observed").all()
    assert status.loc["target_first_plan_days", few] == "hidden", "ten others had the rest"
    assert status.loc["target_first_plan_days", many] == "observed"


@pytest.mark.parametrize(
    "limit", ["[1]", "[0, 0.8]", "[1, 80]", "0.8", "[1, 0.8, 3]", "[true, 0.5]"]
)
def test_a_rule_of_dominance_that_is_not_understood_stops_everything(room, limit):
    paths.STUDY.write_text(f"[disclosure]\ndominance = {limit}\n", encoding="utf-8")
    write(room)
    for step in (lambda: release.protect_panel(room), release.settle):
        with pytest.raises(KokeiluError, match="dominance"):
            step()


def test_hidden_cells_that_still_hold_their_value_are_refused(room):
    safe = release.protect_panel(room)
    write(safe.assign(value=room["value"]))
    with pytest.raises(disclosure.DisclosureError, match="given away"):
        release.settle()


@pytest.mark.parametrize(
    "meddle",
    [
        lambda: (paths.RESULTS / "01_t.csv").write_text("estimate\n0.6\n"),
        lambda: (paths.RESULTS / "02_new.csv").write_text("estimate\n0.6\n"),
        lambda: (paths.NOTEBOOKS / "01_data.ipynb").write_text("{}"),
        lambda: write(pd.read_parquet(paths.PANEL).iloc[1:]),
        lambda: (paths.PROCESSED / disclosure.CERTIFICATE).write_text("{}"),
        lambda: (paths.PROCESSED / disclosure.CERTIFICATE).write_text("[1"),
        lambda: paths.STUDY.write_text("[disclosure]\nminimum = 10\n"),
    ],
    ids="table-changed table-added notebook panel empty-certificate torn limits".split(),
)
def test_whatever_changes_after_the_check_shuts_the_gate(room, meddle):
    write(release.protect_panel(room))
    release.settle()
    disclosure.require()
    meddle()
    assert "Run `kokeilu notebooks`" in shut()


def test_the_gate_knows_register_input_by_the_setting_by_the_panel_and_by_the_certificate(room):
    write(room.assign(vintage="2022-05-01"))
    assert disclosure.register_input()
    paths.STUDY.write_text("", encoding="utf-8")
    assert not disclosure.register_input()
    write(room)
    assert disclosure.register_input()
    paths.PANEL.write_bytes(b"no panel")
    assert disclosure.register_input()
    write(room.assign(vintage="2022-05-01"))
    (paths.PROCESSED / disclosure.CERTIFICATE).write_text("{}")
    assert not disclosure.register_input() and disclosure.from_registers()


def test_a_check_gives_no_certificate_to_results_of_another_panel(room):
    write(release.protect_panel(room))
    found = [said for name, said in run.check() if name.endswith("01_data.ipynb")]
    assert "found the results of another panel or design" in found[0][0]
    assert "no certificate" in shut()
    made.keep(notebooks.stamp(notebooks.found()[0]), notebooks.digest(notebooks.found()[0]), [])
    assert ("disclosure", ["right"]) in run.check()
    disclosure.require()


def test_effects_on_open_data_are_not_rendered_as_those_of_a_register(room, monkeypatch):
    write(release.protect_panel(room))
    release.settle()
    monkeypatch.setattr(run, "export", lambda progress: [])
    with pytest.raises(KokeiluError, match="Run `kokeilu explorer`"):
        run.render(run.Progress(stream=io.StringIO()))


def test_results_of_a_register_run_stay_in_until_the_notebooks_ran_on_open_data(room):
    write(release.protect_panel(room))
    release.settle()
    paths.STUDY.write_text("", encoding="utf-8")
    write(room.assign(vintage="2022-05-01"))
    shut()
    release.settle()  # the last step of `kokeilu notebooks`
    disclosure.require()


def test_nothing_that_writes_to_reports_starts_when_the_gate_is_shut(room):
    write(room)
    progress = run.Progress(stream=io.StringIO())
    for step in (run.export, run.documents, run.render):
        with pytest.raises(disclosure.DisclosureError):
            step(progress)
    with pytest.raises(disclosure.DisclosureError):
        export.figures(paths.FIGURES, paths.RESULTS)
    assert not paths.REPORTS.exists()


def test_a_table_of_a_form_that_is_not_checked_is_refused(room):
    write(release.protect_panel(room))
    (paths.RESULTS / "persons.parquet").write_bytes(b"rows")
    with pytest.raises(disclosure.DisclosureError, match="form that is not checked"):
        release.settle()


def test_the_site_is_made_from_notebooks_without_rows_only_for_registers(room):
    write(release.protect_panel(room))
    with disclosure.publishable() as folder:
        assert folder != paths.NOTEBOOKS and (folder / "01_data.ipynb").exists()
    paths.STUDY.write_text("", encoding="utf-8")
    write(room.assign(vintage="2022-05-01"))
    with disclosure.publishable() as folder:
        assert folder == paths.NOTEBOOKS


def test_limits_come_from_the_study_and_an_unknown_one_is_refused(room):
    paths.STUDY.write_text("[disclosure]\nminimum = 10\ndominance = [1, 0.8]\n", encoding="utf-8")
    assert disclosure.settings() == {"minimum": 10, "rounding": 0, "dominance": (1, 0.8)}
    paths.STUDY.write_text("[disclosure]\nthreshold = 10\n", encoding="utf-8")
    with pytest.raises(KokeiluError, match="threshold"):
        disclosure.settings()


# --- the published panel -------------------------------------------------------------------------


def test_the_panel_tells_nothing_of_a_hidden_count_but_its_interval(committed):
    hidden = committed[(committed["status"] == "hidden")]
    counts = hidden[hidden["measure"] != "unemployment_rate"]
    assert hidden["value"].isna().all()
    assert set(counts["lower"]) == {1.0} and set(counts["upper"]) == {4.0}


def test_what_statfin_reveals_of_its_own_hidden_cells_is_found(committed):
    table = release.published(committed).set_index("measure")
    assert table.loc["all", "hidden"] > 60_000
    # men and women add up to the unemployed, so where two are printed the third is known
    assert table.loc["unemployed_men", "exact"] > 0
    printed = ["unemployed", "unemployed_men", "unemployed_women"]
    rows = committed[committed["measure"].isin(printed)]
    rows = rows[rows["status"].isin(["observed", "hidden"])]
    wide = rows.pivot(index=["municipality", "month"], columns="measure", values="value")
    wide = wide[wide["unemployed"].notna() & (wide.index.get_level_values(1) < "2022-03-01")]
    men, women = wide["unemployed_men"].isna(), wide["unemployed_women"].isna()
    at_end = wide["unemployed"].isin([2, 8])  # 2 = 1 + 1, 8 = 4 + 4
    assert table.loc["all", "exact"] == (men ^ women).sum() + 2 * (men & women & at_end).sum()
    assert table.loc["vacancies", "narrowed"] == 0


def test_totals_printed_elsewhere_reveal_more_and_that_is_counted(committed):
    one = committed["measure"].eq("vacancies") & committed["month"].eq("2021-03-01")
    rows = committed[one & committed["status"].isin(["observed", "hidden"])]
    hidden = rows[rows["status"] == "hidden"]["municipality"].iloc[0]
    shown = rows[rows["status"] == "observed"]["municipality"].iloc[0]
    value = 3.0 + rows.loc[rows["municipality"] == shown, "value"].iloc[0]
    total = rows.head(1).assign(
        municipality="SK", value=value, lower=value, upper=value, status="observed"
    )
    alone, told = release.published(rows), release.published(rows, total, [("SK", [hidden, shown])])
    assert alone["exact"].tolist() == [0, 0] and told["exact"].tolist() == [1, 1]


def test_result_tables_are_made_from_the_panel_and_know_no_more_than_it():
    """What a function of published cells gives cannot narrow a hidden one."""
    for path in notebooks.found():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        for word in ("statfin", "SNAPSHOTS", "read_parquet", "read_csv", "registers"):
            assert word not in code, (path.name, word)
