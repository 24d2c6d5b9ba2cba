"""The explorer shows what the package computes, and nothing that it does not."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from site_pages import chromium, rendered

from kokeilu_analysis import paths, results, run
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.methods import compare, explorer_grid, lag, lag_input
from kokeilu_analysis.methods.frames import windowed
from kokeilu_analysis.report import explorer, numbers, site
from kokeilu_analysis.sources import facts

KEYS = ["few", "average", "weights", "baseline"]
DRAWS = 50


@pytest.fixture(scope="module")
def grid():
    return results.read(explorer.GRID)


@pytest.fixture(scope="module")
def study():
    return run.explorer_parts()


@pytest.fixture(scope="module")
def effects(study):
    return explorer_grid.area_effects(study[1], study[0])


@pytest.fixture(scope="module")
def sets(study, effects):
    _, _, evidence, customers, kept = study
    areas = list(effects[0]["area_id"].unique())
    return {
        (few, average): explorer_grid.feasible(
            evidence, areas, few, average, customers, facts.area_groups(), kept
        )
        for few in explorer_grid.FEW
        for average in explorer_grid.AVERAGE
    }


def random_rows(grid, seed=20210301, draws=DRAWS):
    return grid.iloc[np.random.default_rng(seed).choice(len(grid), draws, replace=False)]


# --- the grid ---------------------------------------------------------------------------------


def test_every_combination_has_one_row(grid):
    levels = sorted(set(explorer_grid.levels()["level"]))
    expected = itertools.product(
        explorer_grid.FEW,
        explorer_grid.AVERAGE,
        explorer_grid.WEIGHTS,
        explorer_grid.BASELINE,
        levels,
    )
    assert sorted(grid[[*KEYS, "level"]].itertuples(index=False, name=None)) == sorted(expected)
    assert (paths.RESULTS / f"{explorer.GRID}.csv").stat().st_size < 300_000


def test_random_settings_equal_fresh_calls_of_the_package(grid, effects, sets):
    areas, plain = effects[0].set_index(["baseline", "weights"]), effects[1]
    plain = plain.set_index(["baseline", "weights"])
    for row in random_rows(grid).itertuples():
        key, (allowed, conflict) = (row.baseline, row.weights), sets[row.few, row.average]
        found = [row.estimate, row.ci_low, row.ci_high]
        np.testing.assert_allclose(
            found, plain.loc[key, ["estimate", "ci_low", "ci_high"]].astype(float), atol=1e-6
        )
        assert row.conflict == "; ".join(conflict) or (pd.isna(row.conflict) and not conflict)
        if allowed is None:
            assert np.isnan([row.mean_low, row.midpoint, row.bound_low]).all()
            continue
        for kind, name in (("areas", "mean"), ("customers", "mean_of_customers")):
            found = [getattr(row, f"{name}_low"), getattr(row, f"{name}_high")]
            np.testing.assert_allclose(found, allowed.bounds(allowed.weights(kind)), atol=1e-6)
        d, ranges = areas.loc[key].set_index("area_id"), allowed.bounds_area().set_index("area_id")
        middle = lag.midpoint(
            d["estimate"],
            ranges["bound_low"],
            ranges["bound_high"],
            d["weight"],
            at=row.level,
            shared=d["shared"].iloc[0],
        ).iloc[0]
        found = [row.midpoint, row.midpoint_ci_low, row.midpoint_ci_high]
        expected = middle[["estimate", "ci_low", "ci_high"]].astype(float)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bounds_lie_outside_the_sharp_ones_by_no_more_than_the_tolerance(grid, effects, sets):
    areas = effects[0].set_index(["baseline", "weights"])
    solved, near = grid[grid["sharp"]], explorer_grid.TOLERANCE / 2
    quick = random_rows(solved[solved["few"] == "default"], draws=20)
    few = random_rows(solved[solved["few"] != "default"], draws=6)
    for row in pd.concat([quick, few]).itertuples():
        d = areas.loc[(row.baseline, row.weights)].set_index("area_id")
        allowed, ends = sets[row.few, row.average][0], ("intercept_low", "intercept_high")
        given = {"weights": d["weight"], "constraints": allowed, "at": row.level, "names": ends}
        low, high = lag.intercept_bounds(d["estimate"], tolerance=near, **given).intercept
        for outside in (low - row.bound_low, row.bound_high - high):
            assert -1e-6 <= outside <= explorer_grid.TOLERANCE + 1e-6


def test_every_set_without_conflict_has_sharp_bounds(grid):
    assert (grid["sharp"] == grid["conflict"].isna()).all() and grid["sharp"].any()


def test_the_narrowest_set_has_the_bound_that_scip_proves(grid, effects, sets):
    """Few sets lose on every line; SCIP knows nothing of how their bound is found."""
    solver = pytest.importorskip("test_lag_solver", reason="SCIP is the independent solver")
    areas = effects[0].set_index(["baseline", "weights"]).loc[("baseline", "labour_force")]
    d = areas.set_index("area_id")["estimate"]
    w = lag_input.checked_weights(areas.set_index("area_id")["weight"], d)
    region = lag_input.evidence_region(d, None, None, w, None, sets["few_at_most_2", "default"][0])
    share, centred = np.zeros((2, len(region.lower)))
    share[: len(d)], centred[: len(d)] = w, d - w @ d
    row = grid[(grid[KEYS] == ["few_at_most_2", "default", "labour_force", "baseline"]).all(axis=1)]
    found = row.loc[row["level"] == 0.0, "bound_high"].item()
    proved = float(w @ d) + solver.proved_over(region, share, centred, 0.0)
    assert -1e-5 <= found - proved <= explorer_grid.TOLERANCE + 1e-5


def test_the_own_setting_repeats_the_published_results(grid):
    own = grid[(grid[KEYS] == ["default", "default", "labour_force", "baseline"]).all(axis=1)]
    published = results.read("04_adjusted").set_index("spec")
    for level, name in ((0.0, "zero"), (0.125, "best")):
        row = own[own["level"] == level].iloc[0]
        middle, sharp = (published.loc[f"{kind}_{name}_backlog"] for kind in ("midpoint", "sharp"))
        pairs = [
            (row["midpoint"], middle["estimate"]),
            (row["midpoint_ci_low"], middle["ci_low"]),
            (row["midpoint_ci_high"], middle["ci_high"]),
            (row["estimate"], published.loc["att_areas", "estimate"]),
        ]
        np.testing.assert_allclose(*zip(*pairs, strict=True), atol=1e-6)
        for end in ("bound_low", "bound_high"):
            assert abs(row[end] - sharp[end]) <= explorer_grid.TOLERANCE


def test_a_narrower_reading_never_widens_a_bound(grid):
    held = grid[grid["bound_low"].notna()]
    for column, order in (("few", explorer_grid.FEW), ("average", explorer_grid.AVERAGE)):
        others = [k for k in (*KEYS, "level") if k != column]
        for _, part in held.groupby(others):
            part = part.sort_values(column, key=lambda names, o=order: names.map(o.index))
            for name in ("mean", "mean_of_customers", "bound"):
                assert part[f"{name}_low"].diff().min() >= -1e-6 or len(part) == 1
                assert part[f"{name}_high"].diff().max() <= 1e-6 or len(part) == 1


def test_two_areas_below_and_an_average_of_exactly_half_exclude_each_other(grid):
    out = grid["conflict"].notna()
    assert set(grid.loc[out, ["few", "average"]].itertuples(index=False, name=None)) == {
        ("few_at_most_2", "mean_exact")
    }
    named = set(grid.loc[out, "conflict"].iloc[0].split("; "))
    assert {"few_at_most_2", "mean_exact"} <= named


def test_at_no_reference_the_level_is_that_of_the_frontier(effects):
    d = effects[0].query("baseline == 'baseline' and weights == 'labour_force'")
    backlog = np.linspace(0.2, 0.8, len(d))
    theta0, theta1 = lag.line(d["estimate"].to_numpy(), backlog, d["weight"].to_numpy())
    levels = explorer_grid.levels([0.0], [0.1, 0.4], [0.0, 0.5, 1.0])
    table = lag.frontier(
        d["estimate"].to_numpy(), backlog, [0, 0.5, 1], [0.1, 0.4], d["weight"].to_numpy()
    ).sort_values(["control_backlog", "rho"])
    np.testing.assert_allclose(theta0 + theta1 * levels["level"], table["adjusted"], atol=1e-12)


def test_the_level_undoes_the_model_it_is_derived_from():
    tau0, theta1, control = 0.3, -2.0, 0.35
    for reference, rho in itertools.product([0.0, 0.125, 0.5], [0.0, 0.25, 1.0]):
        level = explorer_grid.levels([reference], [control], [rho])["level"].iloc[0]
        theta0 = tau0 - rho * theta1 * control  # d = tau(B) + rho theta1 (B - B_C) at B = 0
        wanted = tau0 + (1 - rho) * theta1 * reference
        assert theta0 + theta1 * level == pytest.approx(wanted)


def test_a_share_in_per_cent_is_refused():
    with pytest.raises(KokeiluError, match="per cent"):
        explorer_grid.levels([12.5], [0.1], [1])


def test_weights_of_areas_make_every_area_the_same(study, effects):
    plan, rates = study[:2]
    d = effects[0].query("baseline == 'covid_year' and weights == 'area_share'")
    plain = effects[1].query("baseline == 'covid_year' and weights == 'area_share'").iloc[0]
    assert d["estimate"].mean() == pytest.approx(plain["estimate"], abs=1e-9)
    rows = windowed(rates, "month", plan.windows["covid_year"], plan.windows[plan.post])
    start = plan.windows[plan.post].first
    force = compare.did(
        rows, "value", "municipality", "month", "is_trial", start, weights="labour_force"
    )
    heavy = effects[0].query("baseline == 'covid_year' and weights == 'labour_force'")
    mean = np.average(heavy["estimate"], weights=heavy["weight"])
    assert mean == pytest.approx(force["estimate"].iloc[0], abs=1e-9)


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_every_value_of_every_assumption_is_said_in_words(lang):
    words = site.texts(lang)["explorer"]
    for axis in explorer.axes(*explorer.read()):
        said = words["axes"][axis["name"]]["values"]
        assert set(said) == set(axis["values"])
        for value in axis["values"]:
            assert said[value]["says"].endswith(".") and len(said[value]["says"]) > 30


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-2, 1, "unclear"), (-2, 0, "unclear"), (-2, -1, "lower"), (1, 2, "higher")],
)
def test_the_summary_follows_the_sign_of_the_bounds(lang, low, high, verdict, grid):
    words = site.texts(lang)["explorer"]
    row = grid.assign(bound_low=low, bound_high=high, conflict="", sharp=True).iloc[[0]]
    shown = explorer.shown(next(row.itertuples()), (-5, 5), words, lang)
    opening = words["verdict"][verdict].split("{")[0]
    assert shown["summary"].startswith(opening)
    assert sum(shown["summary"].startswith(v.split("{")[0]) for v in words["verdict"].values()) == 1


def test_a_missing_row_is_named(tmp_path):
    for name in (explorer.GRID, explorer.LEVELS):
        table = results.read(name)
        results.write(name, table.iloc[1:] if name == explorer.GRID else table, tmp_path)
    with pytest.raises(DataError, match=r"no row for default \| default"):
        explorer.read(tmp_path)


# --- in a browser -----------------------------------------------------------------------------


@pytest.fixture
def tab():
    context = chromium().new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def opened(tab, lang="fi"):
    tab.goto((rendered() / site.address("explorer", lang)).as_uri())
    return tab


MOVE = """state => {
  const form = document.getElementById("assumptions");
  for (const [name, value] of Object.entries(state)) {
    const control = form.elements[name];
    const steps = control.type === "range" && control.dataset.values.split("|");
    control.value = steps ? steps.indexOf(value) : value;
  }
  form.dispatchEvent(new Event("input"));
  const text = id => document.getElementById(id).textContent;
  return Object.fromEntries(["out-bounds", "out-midpoint", "out-mean", "out-plain", "summary"].map(
    id => [id.replace("out-", ""), text(id)]));
}"""


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_shown_numbers_equal_the_grid_for_random_settings(tab, lang):
    grid, levels = explorer.read()
    order, rng = explorer.axes(grid, levels), np.random.default_rng(43)
    rows, at = grid.set_index([*KEYS, "level"]), levels.set_index([*explorer.PAIR, "reference"])
    opened(tab, lang)
    for _ in range(DRAWS):
        state = {axis["name"]: str(rng.choice(axis["values"])) for axis in order}
        told = tab.evaluate(MOVE, state)
        level = at.loc[(state["control"], state["rho"], state["reference"]), "level"]
        row = rows.loc[(*(state[k] for k in KEYS), level)]
        assert told["plain"].startswith(f"{numbers.number(row.estimate, 2, lang)} (")
        if row.conflict:
            assert {told[k] for k in ("bounds", "midpoint", "mean")} == {numbers.MISSING}
            assert told["summary"] == site.texts(lang)["explorer"]["conflict"]
            continue
        assert told["bounds"] == numbers.interval(row.bound_low, row.bound_high, 2, lang)
        assert told["midpoint"].startswith(f"{numbers.number(row.midpoint, 2, lang)} (")
        mean = numbers.interval(100 * row.mean_low, 100 * row.mean_high, 1, lang)
        assert told["mean"].startswith(mean)
        assert told["bounds"] in told["summary"]


def test_the_controls_answer_to_the_keyboard_alone(tab):
    opened(tab, "en")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    while tab.evaluate("document.activeElement.id") != "few":
        tab.keyboard.press("Tab")
    before = tab.locator("#summary").inner_text()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("output[for=few]").inner_text() == "at most 5 areas"
    assert tab.locator("#few").get_attribute("aria-valuetext") == "at most 5 areas"
    assert "at most 5" in tab.locator("#says-few").inner_text()
    assert tab.locator("#summary").inner_text() != before
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")  # the radio buttons of the average
    assert tab.locator("#says-average").inner_text().endswith("exactly 50%.")
    while tab.evaluate("document.activeElement.type") != "reset":
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.getElementById('few').value === '0'")
    tab.wait_for_function(f"document.getElementById('summary').textContent === {before!r}")


def test_the_controls_answer_to_the_pointer(tab):
    opened(tab, "sv")
    before = tab.locator("#out-bounds").inner_text()
    tab.get_by_text("coronaåret", exact=True).click()
    assert tab.locator("input[name=baseline]:checked").get_attribute("value") == "covid_year"
    assert tab.locator("#out-bounds").inner_text() != before
    slider = tab.locator("#few")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    tab.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert slider.input_value() == "3"


def test_results_are_announced_and_every_control_has_a_name(tab):
    opened(tab, "fi")
    assert tab.get_by_role("status").first.get_attribute("id") == "summary"
    for axis in explorer.axes(*explorer.read()):
        label = site.texts("fi")["explorer"]["axes"][axis["name"]]["label"]
        role = "slider" if axis["kind"] == "range" else "group"
        assert tab.get_by_role(role, name=label).count() == 1


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_without_javascript_the_main_settings_stand_in_a_table(lang):
    context = chromium().new_context(java_script_enabled=False)
    page = opened(context.new_page(), lang)
    assert not page.locator("form").is_visible()
    assert page.locator("noscript").count() == 1 and page.locator(".notice").is_visible()
    rows = page.locator("table tbody tr")
    assert rows.count() >= 10 and rows.first.is_visible()
    own = results.read("04_adjusted").set_index("spec").loc["midpoint_zero_backlog"]
    assert numbers.number(own["estimate"], 2, lang) in rows.first.inner_text()
    context.close()


def test_the_script_computes_nothing():
    code = (rendered() / "explorer.js").read_text(encoding="utf-8")
    code = re.sub(r"//.*", "", code)
    assert not re.search(r"Math\.|parseFloat|toFixed|[\w)] [-*/] [\w(]", code)
