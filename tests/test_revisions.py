"""Claims about two table states: what changed, and what the newer one adds to the panel.

The figures are made up unless a test says otherwise.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis import store
from kokeilu_analysis.methods import design
from kokeilu_analysis.sources import datapackage, facts, panel, revisions
from kokeilu_analysis.sources.statfin import Snapshot

MONTHS = pd.date_range("2021-01", "2021-04", freq="MS")


def state(areas=("KU005", "KU091"), months=MONTHS, codes=("A", "B"), **cells):
    """A state of 100s, with cells such as A_KU091_2=7 (month 2); None is hidden."""
    index = pd.MultiIndex.from_product([areas, months], names=["area", "month"])
    made = {code: pd.Series(100.0, index) for code in codes}
    for key, value in cells.items():
        code, area, month = key.split("_")
        made[code][(area, pd.Timestamp(2021, int(month), 1))] = np.nan if value is None else value
    return made


def snapshot(vintage, cells):
    frame = pd.DataFrame(cells)
    return Snapshot(f"state {vintage}", vintage, frame, pd.Series("", frame.index))


# --- what changed --------------------------------------------------------------------------------


def test_equal_states_have_no_revision():
    found = revisions.compare(state(A_KU091_2=None), state(A_KU091_2=None))
    assert found.cells.empty and (found.measures["changed"] == 0).all()
    assert not found.sizes["added"].any() and not found.sizes["removed"].any()
    assert "no cell that both hold has changed" in revisions.lines(found, "x")[-1]


def test_every_changed_cell_is_listed_with_both_values_and_its_kind():
    older = state(A_KU005_1=7, A_KU091_2=None, B_KU091_3=50)
    newer = state(A_KU005_1=9, A_KU091_2=8, B_KU091_3=None)
    found = revisions.compare(older, newer).cells
    rows = found.assign(month=found["month"].dt.month).fillna(-1).values.tolist()
    assert rows == [
        ["A", "KU005", 1, 7, 9, "revised"],
        ["A", "KU091", 2, -1, 8, "printed now"],
        ["B", "KU091", 3, 50, -1, "hidden now"],
    ]


def test_areas_months_and_measures_that_came_or_went_are_named():
    older = state(codes=("A", "B"))
    newer = state(
        ("KU005", "KU777"), MONTHS[[0, 1, 3]].append(MONTHS[[3]] + pd.DateOffset(months=1))
    )
    del newer["B"]
    newer["C"] = newer["A"]
    sizes = revisions.compare(older, newer).sizes.set_index("what")
    assert sizes.loc["areas", ["added", "removed"]].tolist() == [("KU777",), ("KU091",)]
    assert sizes.loc["months", ["added", "removed"]].tolist() == [("2021-05",), ("2021-03",)]
    assert sizes.loc["measures", ["added", "removed"]].tolist() == [("C",), ("B",)]
    said = "\n".join(revisions.lines(revisions.compare(older, newer), "the last state"))
    assert "Compared with the last state:" in said
    assert "2 areas, 1 added (KU777), 1 removed (KU091)" in said


def test_the_summary_counts_what_the_list_holds():
    older, newer = state(A_KU005_1=7, A_KU091_4=3), state(A_KU005_1=9, A_KU091_4=50)
    found = revisions.compare(older, newer)
    row = found.measures.set_index("measure").loc["A"]
    assert (row["compared"], row["changed"], row["largest"]) == (8, 2, 47)
    assert (row["first_month"], row["last_month"]) == (MONTHS[0], MONTHS[3])
    line = next(x for x in revisions.lines(found, "x") if "A:" in x)
    assert line == "  A: 2 of 8 cells changed (2 revised) in 2021-01–2021-04, by at most 47"


def test_an_area_that_took_another_in_is_marked_as_a_new_division():
    older, newer = state(("KU507", "KU588")), state(("KU507",), A_KU507_1=190)
    found = revisions.compare(older, newer, {"588": "507"})
    assert found.cells["kind"].tolist() == ["new division"]
    assert found.sizes.set_index("what").loc["areas", "removed"] == ("KU588",)


def test_kinds_of_area_that_the_older_state_lacks_are_not_called_added():
    found = revisions.compare(state(), state(("SSS", "SK011", "KU005", "KU091")))
    assert found.sizes.set_index("what").loc["areas", ["newer", "added"]].tolist() == [2, ()]


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 1), st.integers(0, 3)), st.integers(0, 99)))
def test_applying_a_revision_to_the_older_state_gives_the_newer_one(changes):
    older, newer = state(codes=("A",)), state(codes=("A",))
    for place, value in changes.items():
        newer["A"].iloc[place[0] * 4 + place[1]] = value if value > 4 else np.nan
    patched = older["A"].copy()
    for row in revisions.compare(older, newer).cells.itertuples():
        patched[(row.area, row.month)] = row.newer
    pd.testing.assert_series_equal(patched, newer["A"])


def test_a_state_of_several_snapshots_takes_each_month_from_the_newest():
    old = snapshot("2022-01-01", state(codes=("A",)))
    new = snapshot("2023-01-01", state(months=MONTHS[2:], codes=("A",), A_KU005_3=7))
    cells = revisions.state([new, old])["A"]
    assert cells[("KU005", MONTHS[2])] == 7 and cells[("KU005", MONTHS[0])] == 100
    assert len(cells) == 8


def test_a_state_can_be_cut_to_months():
    cut = revisions.within(state(), MONTHS[1], MONTHS[2])
    assert all(set(c.index.get_level_values("month")) == set(MONTHS[1:3]) for c in cut.values())
    assert all(len(c) == 8 for c in revisions.within(state()).values())


# --- what a newer state adds to the panel --------------------------------------------------------


def test_a_fetched_state_fills_only_months_that_the_study_does_not_print():
    own = [
        snapshot("2022-01-01", state(months=MONTHS[:1], codes=("A",))),
        snapshot("2023-01-01", state(months=MONTHS[:3], codes=("B",))),
    ]
    new = snapshot("2026-01-01", state(A_KU005_2=7, B_KU005_2=8, B_KU005_4=None))
    added = revisions.extension(own, [new])
    months = {
        tuple(s.cells.columns): sorted(set(s.cells.index.get_level_values("month"))) for s in added
    }
    assert months == {("A",): list(MONTHS[1:]), ("B",): [MONTHS[3]]}
    assert {s.vintage for s in added} == {"2026-01-01"}
    assert all(s.places.index.equals(s.cells.index) for s in added)


def test_a_state_that_adds_nothing_is_left_out():
    own = [snapshot("2022-01-01", state())]
    assert revisions.extension(own, [snapshot("2026-01-01", state(A_KU005_1=7))]) == []


def study_states():
    return [
        e["vintage"]
        for e in datapackage.load(panel.paths.RAW)["resources"]
        if e["path"].startswith("statfin/")
    ]


@pytest.fixture(scope="module")
def rebuild(committed):
    """Return a function that builds the committed panel again from its own cells and more."""
    measures, towns = facts.measures(), facts.municipalities()
    span, own = design.load().panel, revisions.panel_snapshots(committed, measures, study_states())

    def build(*fetched, last=None):
        states = own + revisions.extension(own, list(fetched))
        changes = facts.boundary_changes()
        return panel.build(states, measures, towns, changes, span.first, last or span.last)

    return build


def test_the_committed_panel_comes_back_byte_by_byte_from_its_own_cells(rebuild, tmp_path):
    """The real panel: so it can be extended where the snapshots themselves are not at hand."""
    path = store.write_parquet(tmp_path / "panel.parquet", rebuild())
    assert store.sha256(path) == store.sha256(panel.paths.PANEL)


def test_extending_the_committed_panel_changes_no_cell_that_it_prints(rebuild, committed):
    """The real panel and made-up counts from November 2023 on."""
    towns = [c for c in facts.municipalities()["municipality"] if c != "588"]
    months = pd.date_range("2023-01", "2025-03", freq="MS")
    areas = ["KU" + c for c in towns]
    newer = snapshot("2026-08-25", state(areas, months, ("TYOTTOMATLOPUSSA",)))
    extended = rebuild(newer)
    open_ = committed["status"] == "not published yet"
    pd.testing.assert_frame_equal(extended[~open_], committed[~open_])
    new = extended[open_ & (extended["vintage"] == "2026-08-25")]
    assert set(new["measure"]) == {"unemployed"} and len(new) == 309 * 15
    assert new["month"].min() == pd.Timestamp("2023-11-01")
    assert set(new.loc[new["municipality"] == "588", "status"]) == {"merged"}
    # extended once more from the extended panel: the earlier extension does not stay
    own = revisions.panel_snapshots(extended, facts.measures(), study_states())
    assert max(s.vintage for s in own) < "2026-08-25"
