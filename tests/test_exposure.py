import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import exposure


def path_of(h, cleared, months, jitter=None):
    """Effects delta_a(k) = h(max(0, k - R_a))."""
    rows = [
        (area, k, h(max(0, k - int(np.ceil(r)))))
        for area, r in cleared.items()
        for k in range(months)
    ]
    return pd.DataFrame(rows, columns=["area_id", "event_month", "estimate"])


def months_of(low, high=None):
    high = low if high is None else high
    return pd.DataFrame(
        {"area_id": list(low), "months_low": low.values(), "months_high": high.values()}
    )


def test_nine_months_at_sixty_per_cent_of_forty_five_give_the_known_answer():
    assert exposure.capacity(0.8 * (1 - 0.6 * 9 / 45), 0.6, 9, 45) == pytest.approx((0.8, 0.8))
    assert exposure.capacity_by_area(0.704, 0.6, [9, 9], 45) == pytest.approx((0.8, 0.8))


def test_full_effect_is_recovered_from_areas_with_their_own_clearing_times():
    r, w = np.array([0, 5, 12, 40, 60]), np.array([1, 2, 3, 1, 1])
    att = np.average(-0.5 * (1 - 0.7 * np.minimum(r, 45) / 45), weights=w)
    assert exposure.capacity_by_area(att, 0.7, r, 45, w) == pytest.approx((-0.5, -0.5))


def test_ranges_of_clearing_times_give_ends_that_no_draw_leaves_and_corners_attain():
    rng = np.random.default_rng(1)
    low, high = np.array([0, 3, 6.0]), np.array([4, 9, np.inf])
    ends = exposure.capacity_by_area((-0.3, 0.1), (0.2, 0.6), np.column_stack([low, high]), 45)
    draws = rng.uniform(low, np.minimum(high, 45), (20_000, 3)).mean(axis=1)
    att, share = rng.uniform(-0.3, 0.1, 20_000), rng.uniform(0.2, 0.6, 20_000)
    values = att / (1 - share * draws / 45)
    assert ends[0] <= values.min() and values.max() <= ends[1]
    longest = np.mean([4, 9, 45])
    assert ends == pytest.approx([x / (1 - 0.6 * longest / 45) for x in (-0.3, 0.1)])


def test_an_area_never_cleared_costs_every_month_and_no_more():
    never = exposure.capacity_by_area(0.5, 0.5, [[np.inf, np.inf]], 45)
    assert never == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("model", exposure.MODELS)
def test_exposure_without_loss_counts_calendar_months(model):
    areas = pd.DataFrame({"area_id": ["A", "B"], "bound_low": [0.2, 0.8], "bound_high": [0.5, 0.8]})
    table = exposure.effective_exposure(areas, 0.05, model, 0.0, 6)
    for end in ("low", "high"):
        assert table[f"exposure_{end}"].tolist() == [1, 2, 3, 4, 5, 6] * 2


@pytest.mark.parametrize("model", exposure.MODELS)
def test_no_combination_of_inputs_leaves_the_exposure_bounds(model):
    rng = np.random.default_rng(2)
    area = pd.DataFrame({"area_id": ["A"], "bound_low": [0.3], "bound_high": [0.7]})
    table = exposure.effective_exposure(area, (0.02, 0.1), model, (0.3, 0.9), 12, floor=0.1)
    for _ in range(300):
        b, rate, omega = rng.uniform([0.3, 0.02, 0.3], [0.7, 0.1, 0.9])
        clock = np.cumsum(1 - omega * exposure.backlog_path(b, rate, model, 12, 0.1))
        assert (table["exposure_low"] <= clock + 1e-12).all()
        assert (clock <= table["exposure_high"] + 1e-12).all()


def test_backlog_falls_by_points_or_by_proportion_and_stops_at_its_floor():
    plans = exposure.backlog_path(0.8, 0.25, "constant_plans", 5, floor=0.125)
    assert plans == pytest.approx([0.8, 0.55, 0.3, 0.125, 0.125])
    hazard = exposure.backlog_path(0.8, np.log(2), "constant_proportion", 4)
    assert hazard == pytest.approx([0.8, 0.4, 0.2, 0.1])
    assert exposure.backlog_path(0.05, 1.0, "constant_plans", 3, floor=0.125).tolist() == [0.05] * 3
    with np.errstate(all="raise"):  # infinity times no month is never asked for
        for model in exposure.MODELS:
            assert exposure.backlog_path(0.8, np.inf, model, 3).tolist() == [0.8, 0, 0]


def test_effects_proportional_to_exposure_are_constant_per_unit():
    areas = pd.DataFrame({"area_id": ["A", "B"], "bound_low": [0.2, 0.8], "bound_high": [0.2, 0.8]})
    clock = exposure.effective_exposure(areas, 0.05, "constant_plans", 0.8, 24)
    clock = clock.rename(columns={"exposure_low": "exposure"})
    path = clock.assign(estimate=-0.04 * clock["exposure"])
    table = exposure.per_exposure(
        path[["area_id", "event_month", "estimate"]], clock, [0, 6, 12, 24]
    )
    assert table["per_unit"].to_numpy() == pytest.approx([-0.04] * 3)
    assert table["n_cells"].sum() + table["n_outside"].iloc[0] == 48
    before = pd.DataFrame({"area_id": ["A"], "event_month": [-1], "estimate": [0.0]})
    wider = pd.concat([path[["area_id", "event_month", "estimate"]], before])
    more = exposure.per_exposure(wider, clock, [0, 6, 12, 24])
    assert more["n_outside"].iloc[0] == table["n_outside"].iloc[0] + 1


def test_restarting_the_clock_returns_the_path_that_all_areas_share():
    def h(e):
        return 0.3 * e - 0.01 * e**2

    cleared = {"A": 0, "B": 3, "C": 7.2, "D": 11}
    table = exposure.restart_clock(path_of(h, cleared, 24), months_of(cleared))
    e = table["months_cleared"].to_numpy()
    assert table["estimate"].to_numpy() == pytest.approx(h(e), abs=1e-12)
    assert table["spread"].max() < 1e-12
    assert table["n_areas"].tolist()[:13] == [4] * 13 and table["n_areas"].iloc[-1] == 1


def test_a_path_by_calendar_shows_as_disagreement_between_areas():
    cleared = {"A": 0, "B": 6}
    rows = [(a, k, 0.1 * k) for a in cleared for k in range(12)]
    path = pd.DataFrame(rows, columns=["area_id", "event_month", "estimate"])
    table = exposure.restart_clock(path, months_of(cleared))
    assert table.loc[table["n_areas"] == 2, "spread"].to_numpy() == pytest.approx([0.6] * 6)


def test_ranges_of_the_restart_enclose_every_restart_inside_them():
    rng = np.random.default_rng(3)
    low, high = {"A": 0, "B": 2, "C": 1}, {"A": 2, "B": 4, "C": 1}
    path = path_of(lambda e: 0, low, 12)
    path["estimate"] = rng.normal(size=len(path))
    bounds = exposure.restart_clock(path, months_of(low, high)).set_index("months_cleared")
    attained = {(e, end): False for e in range(7) for end in ("bound_low", "bound_high")}
    for a in range(3):
        for b in range(2, 5):
            exact = exposure.restart_clock(path, months_of({"A": a, "B": b, "C": 1}))
            exact = exact.set_index("months_cleared")["estimate"]
            for e in range(7):
                assert bounds["bound_low"][e] - 1e-12 <= exact[e] <= bounds["bound_high"][e] + 1e-12
                for end in ("bound_low", "bound_high"):
                    attained[e, end] |= abs(exact[e] - bounds[end][e]) < 1e-12
    assert all(attained.values())


def test_an_area_that_may_never_clear_is_left_out_and_counted():
    cleared = {"A": 0, "B": 3}
    table = exposure.restart_clock(
        path_of(lambda e: e, cleared, 6), months_of(cleared, {"A": 0, "B": np.inf})
    )
    assert table["n_left_out"].tolist() == [1] * 6 and table["n_areas"].tolist() == [1] * 6


def test_stated_power_is_the_share_of_draws_that_reject():
    rng = np.random.default_rng(4)
    root = rng.normal(size=(5, 5))
    covariance, path = root @ root.T + np.eye(5), np.array([0, 0, 2, 3, 3.0])
    found = exposure.detectable(covariance, path)
    lever = np.linalg.solve(covariance, path)
    draws = rng.multivariate_normal(path, covariance, 40_000) @ lever
    rejected = draws / np.sqrt(path @ lever) > 1.6448536
    assert found["power"] == pytest.approx(rejected.mean(), abs=0.01)
    larger = exposure.detectable(covariance, found["size_for_80"] * path)
    assert larger["power"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exposure.capacity(0.7, 60, 9, 45), "per cent"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [-1, 2], 45), "months"),
        (lambda: exposure.capacity_by_area(0.7, 1.0, [45, 45], 45), "all capacity"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [1, 2], 45, [0, 0]), "weights"),
        (lambda: exposure.backlog_path(0.8, -0.1, "constant_plans", 3), "rate"),
        (lambda: exposure.backlog_path(80, 0.1, "constant_plans", 3), "per cent"),
        (lambda: exposure.backlog_path(0.8, 0.1, "linear", 3), "no clearing model"),
        (lambda: exposure.per_exposure(pd.DataFrame(), pd.DataFrame(), [1, 1]), "edges"),
        (
            lambda: exposure.restart_clock(path_of(abs, {"A": 0}, 3), months_of({"B": 0})),
            "Area A has effects",
        ),
        (
            lambda: exposure.restart_clock(
                path_of(abs, {"A": 0}, 3), months_of({"A": 2}, {"A": 1})
            ),
            "months_low <= months_high",
        ),
        (lambda: exposure.detectable(np.eye(3), [0, 0, 0]), "zero everywhere"),
        (lambda: exposure.detectable(np.eye(2), [0, 0, 1]), "shape"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(call, message):
    with pytest.raises(KokeiluError, match=message):
        call()


# Averages over areas, and the edges of what is accepted.

PATH = pd.DataFrame(
    {
        "area_id": list("AAABBBCCC"),
        "event_month": [0, 1, 2] * 3,
        "estimate": [-0.1, -0.3, -0.2, 0.1, -0.2, -0.4, -0.5, -0.1, -0.3],
    }
)
CLOCK = PATH.drop(columns="estimate").assign(exposure=[0.5, 1.0, 2.0, 0.4, 1.2, 1.9, 0.0, 1.0, 2.5])
SIZE = pd.Series({"C": 1.0, "A": 3.0, "B": 2.0})
BACKLOG = pd.DataFrame({"area_id": ["A", "B"], "bound_low": [0.5, 0.2], "bound_high": [0.8, 0.4]})


def test_a_class_of_exposure_holds_its_right_end_and_not_its_left():
    table = exposure.per_exposure(PATH, CLOCK, [0, 1, 2])
    assert table["n_cells"].tolist() == [4, 3] and table["n_areas"].tolist() == [3, 2]
    assert table["n_outside"].tolist() == [2, 2]  # exposures of 0.0 and of 2.5
    assert table["estimate"].tolist() == pytest.approx([np.mean([-0.1, -0.3, 0.1, -0.1]), -0.8 / 3])
    assert table["exposure"].tolist() == pytest.approx([2.9 / 4, 5.1 / 3])
    assert np.isfinite(table[["ci_low", "ci_high"]]).all(axis=None)  # two areas are enough
    assert table["per_unit"].tolist() == pytest.approx([-0.4 / 2.9, -0.8 / 5.1])


def test_weights_of_areas_and_the_shared_error_enter_the_interval_of_a_class():
    row = exposure.per_exposure(PATH, CLOCK, [0, 1, 3], SIZE, shared=0.05).iloc[0]
    cells = {"A": [-0.1, -0.3], "B": [0.1], "C": [-0.1]}

    def mean(areas):
        total = sum(SIZE[a] * sum(cells[a]) for a in areas)
        return total / sum(SIZE[a] * len(cells[a]) for a in areas)

    moved = [mean(set("ABC") - {a}) - mean("ABC") for a in "ABC"]
    se = np.sqrt(2 / 3 * np.square(moved).sum() + 0.05**2)
    assert row["estimate"] == pytest.approx(mean("ABC"))
    # the 97.5 % point of t with 2 degrees of freedom
    assert row["ci_high"] - row["estimate"] == pytest.approx(4.302653 * se, rel=1e-6)
    assert row["estimate"] - row["ci_low"] == pytest.approx(4.302653 * se, rel=1e-6)


@pytest.mark.parametrize("found", [-1.0, np.nan, np.inf])
def test_one_unusable_weight_among_good_ones_is_named(found):
    with pytest.raises(KokeiluError, match="Weight of area B is missing or negative"):
        exposure.per_exposure(PATH, CLOCK, [0, 1, 3], {"A": 1.0, "B": found, "C": 1.0})


def test_the_first_of_several_unusable_weights_is_named_and_zero_is_none_of_them():
    cleared = months_of({"A": 0, "B": 0, "C": 0})
    with pytest.raises(KokeiluError, match="Weight of area B"):
        exposure.restart_clock(PATH, cleared, {"A": 0.0, "B": -1.0, "C": np.nan})


def test_one_area_alone_has_no_interval_and_an_empty_class_no_mean():
    with np.errstate(all="raise"):  # nothing is divided by no weight
        alone, empty = (
            exposure.per_exposure(PATH, CLOCK, edges).iloc[1] for edges in ([0, 2, 3], [0, 3, 4])
        )
    assert alone["estimate"] == -0.3 and alone["n_areas"] == 1
    assert np.isnan([alone["ci_low"], alone["ci_high"]]).all()
    assert empty["n_cells"] == 0
    assert empty[["exposure", "estimate", "per_unit", "ci_low"]].isna().all()


def test_areas_weigh_in_the_restarted_clock_as_they_are_told_to():
    cleared = months_of({"A": 0, "B": 1, "C": 0.5}, {"A": 1, "B": 1, "C": 0.5})
    table = exposure.restart_clock(PATH, cleared, SIZE)
    assert table["bound_low"].tolist() == pytest.approx([(3 * -0.3 - 0.4 - 0.1) / 6, -2 / 6])
    assert table["bound_high"].tolist() == pytest.approx([(3 * -0.1 - 0.4 - 0.1) / 6, -1.7 / 6])
    assert table["estimate"].isna().all()
    assert table["spread"].tolist() == pytest.approx([0.1, 0.15])
    assert table["n_areas"].tolist() == [3, 3] and table["n_left_out"].tolist() == [0, 0]


def test_months_before_the_start_and_areas_without_weight_do_not_count():
    cleared = months_of({"A": 0, "B": 0, "C": 3})
    early = pd.DataFrame({"area_id": list("ABC"), "event_month": -1, "estimate": 9.0})
    table = exposure.restart_clock(pd.concat([early, PATH]), cleared, SIZE.where(SIZE != 2, 0))
    assert table["months_cleared"].tolist() == [0, 1, 2]
    assert table["estimate"].tolist() == pytest.approx([-0.1, -0.3, -0.2])
    assert table["n_areas"].tolist() == [1, 1, 1] and table["n_left_out"].tolist() == [1] * 3


def test_a_month_that_is_not_there_takes_its_area_out_of_that_month_only():
    gone = PATH[(PATH["area_id"] != "B") | (PATH["event_month"] != 1)]
    table = exposure.restart_clock(gone, months_of({"A": 0, "B": 0, "C": 0}))
    assert table["n_areas"].tolist() == [3, 2, 3]


@pytest.mark.parametrize("model", exposure.MODELS)
def test_a_rate_of_zero_clears_nothing_and_one_month_is_the_start(model):
    assert exposure.backlog_path(0.6, 0.0, model, 3).tolist() == [0.6, 0.6, 0.6]
    assert exposure.backlog_path(1.0, 0.2, model, 1).tolist() == [1.0]


def test_exposure_of_ranges_by_hand():
    """A starts at 0.5-0.8, B at 0.2-0.4; 0.1-0.3 are cleared a month, 0.5-1 of it are lost."""
    table = exposure.effective_exposure(BACKLOG, (0.1, 0.3), "constant_plans", (0.5, 1.0), 3)
    assert table.columns.tolist() == ["area_id", "event_month", "exposure_low", "exposure_high"]
    assert table.index.tolist() == list(range(6))
    assert table["area_id"].tolist() == list("AAABBB")
    assert table["event_month"].tolist() == [0, 1, 2] * 2
    low = np.cumsum([0.2, 0.3, 0.4]), np.cumsum([0.6, 0.7, 0.8])  # 0.8, 0.7, 0.6; 0.4, 0.3, 0.2
    high = np.cumsum([0.75, 0.9, 1.0]), np.cumsum([0.9, 1.0, 1.0])  # 0.5, 0.2, 0; 0.2, 0, 0
    assert table["exposure_low"].tolist() == pytest.approx(np.concatenate(low).tolist())
    assert table["exposure_high"].tolist() == pytest.approx(np.concatenate(high).tolist())


def test_without_exposure_there_is_no_effect_per_unit_of_it():
    row = exposure.per_exposure(PATH, CLOCK, [-1, 0, 3]).iloc[0]
    assert (row["exposure"], row["estimate"], row["n_cells"]) == (0.0, -0.5, 1)
    assert np.isnan(row["per_unit"])


def test_small_weights_and_weights_of_zero_are_weights():
    half = exposure.capacity_by_area(0.4, 0.5, [2, 6], 10, [0.25, 0.25])
    assert half == pytest.approx((0.5, 0.5))  # a fifth of all capacity was lost
    one = exposure.capacity_by_area(0.4, 0.5, [2, 6], 10, [0, 0.5])
    assert one == pytest.approx((0.4 / 0.7, 0.4 / 0.7))


def test_an_area_cleared_in_the_last_month_counts_for_that_month():
    table = exposure.restart_clock(PATH, months_of({"A": 2, "B": 3, "C": 3}))
    assert table[["months_cleared", "estimate", "n_areas"]].to_numpy().tolist() == [[0, -0.2, 1]]
    assert table["n_left_out"].tolist() == [2]


@pytest.mark.parametrize("unit", [1.0, 1e9])
def test_bounds_that_differ_by_rounding_are_one_estimate_in_any_unit(unit):
    sum_of_two = (0.1 + 0.2) * unit  # not 0.3 to the last digit
    path = pd.DataFrame(
        {
            "area_id": list("AABB"),
            "event_month": [0, 1] * 2,
            "estimate": [0.3 * unit, sum_of_two, 0.0, 0.0],
        }
    )
    table = exposure.restart_clock(path, months_of({"A": 0, "B": 0}, {"A": 1, "B": 1}))
    assert (table["bound_low"] < table["bound_high"]).all()
    assert table["estimate"].equals(table["bound_low"])
    path.loc[1, "estimate"] = 0.3000001 * unit
    table = exposure.restart_clock(path, months_of({"A": 0, "B": 0}, {"A": 1, "B": 1}))
    assert table["estimate"].isna().all()


def test_what_is_zero_up_to_rounding_is_one_estimate_too():
    path = PATH[PATH["event_month"] < 2].assign(estimate=[0.0, 0.1 + 0.2 - 0.3] * 3)
    cleared = months_of(dict.fromkeys("ABC", 0), dict.fromkeys("ABC", 1))
    assert exposure.restart_clock(path, cleared)["estimate"].tolist() == [0.0]


def test_a_weak_path_has_the_power_of_its_distance():
    found = exposure.detectable(np.eye(2), [0.0, 0.5])
    assert found["power"] == pytest.approx(0.126, abs=5e-4)  # Phi(0.5 - 1.644854)
    assert found["size_for_80"] == pytest.approx((1.644854 + 0.841621) / 0.5, abs=1e-5)


def test_a_higher_level_has_less_power():
    covariance, path = np.eye(2), np.array([0.0, 2.0])
    found = exposure.detectable(covariance, path, level=0.9)
    assert found["power"] == pytest.approx(0.763759, abs=1e-5)  # Phi(2 - 1.281552)
    assert found["size_for_80"] == pytest.approx((1.281552 + 0.841621) / 2, abs=1e-5)


def test_capacity_takes_months_up_to_the_whole_trial():
    assert exposure.capacity(0.4, 0.5, 10, 10) == pytest.approx((0.8, 0.8))
    assert exposure.capacity(0.4, (0, 1), (0, 5), 10) == pytest.approx((0.4, 0.8))
    pairs = pd.DataFrame({"months_low": [0.0, 4.0], "months_high": [2.0, 8.0]})
    low, high = exposure.capacity_by_area(0.4, 0.5, pairs, 10, [1, 3])
    assert (low, high) == pytest.approx((0.4 / (1 - 0.5 * 0.3), 0.4 / (1 - 0.5 * 0.65)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exposure.capacity(0.7, 0.6, -0.5, 45), "0 <= months"),
        (lambda: exposure.capacity(0.7, 0.6, 0, 0), "total above 0"),
        (lambda: exposure.capacity(0.7, 0.6, 9, (8, 45)), "months <= total"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [1, np.nan], 45), "least and a greatest"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [[2, 1]], 45), "least and a greatest"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [[1, 2, 3]], 45), "least and a greatest"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [1, 2], 45, [1]), "2 numbers"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [1, 2], 45, [2, -1]), "from 0"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [1, 2], 45, [1, np.inf]), "from 0"),
        (lambda: exposure.backlog_path(0.8, np.nan, "constant_plans", 3), "rate"),
        (lambda: exposure.backlog_path(0.8, 0.1, "constant_plans", 0), "1 or more"),
        (lambda: exposure.backlog_path(0.8, 0.1, "constant_plans", 3, floor=10), "per cent"),
        (lambda: exposure.per_exposure(PATH, CLOCK, [1]), "two increasing"),
        (lambda: exposure.per_exposure(PATH, CLOCK, [[0, 1], [2, 3]]), "two increasing"),
        (
            lambda: exposure.per_exposure(PATH.replace(-0.5, np.nan), CLOCK, [0, 1]),
            "Area C, month 0: no estimate",
        ),
        (
            lambda: exposure.restart_clock(PATH, months_of({"A": -0.5, "B": 0, "C": 0})),
            "0 <= months_low",
        ),
        (
            lambda: exposure.restart_clock(
                PATH, months_of({"A": 2, "B": 0, "C": 0}, {"A": 1, "B": 1, "C": 1})
            ),
            "months_low <= months_high",
        ),
        (
            lambda: exposure.effective_exposure(
                pd.DataFrame({"area_id": ["A"], "bound_low": [0.7], "bound_high": [0.6]}),
                0.1, "constant_plans", 0.5, 3,
            ),
            "Backlog of area A: found 0.7 to 0.6",
        ),
        (lambda: exposure.detectable(np.full((1, 1), np.nan), [1.0]), "shape"),
        (lambda: exposure.detectable([[1, np.nan], [np.nan, 1]], [1.0, 2.0]), "shape"),
        (lambda: exposure.capacity(0.7, 0.6, (-0.5, 9), 45), "0 <= months"),
        (lambda: exposure.capacity(0.7, 0.6, 0, (0, 45)), "total above 0"),
        (lambda: exposure.capacity(0.7, 0.6, (9, 46), 45), "months <= total"),
        (lambda: exposure.capacity(0.7, (0.5, 1), (3, 45), (45, 60)), "all capacity"),
        (lambda: exposure.capacity_by_area(0.7, 0.6, [[2, 1], [0, 5]], 45), "least and a greatest"),
        (lambda: exposure.per_exposure(PATH, CLOCK, [0, 2, 1]), "two increasing"),
        (
            lambda: exposure.per_exposure(
                PATH.replace([-0.3, -0.5], np.nan), CLOCK, [0, 1]
            ),
            "Area A, month 1: no estimate",  # the first of several
        ),
        (
            lambda: exposure.effective_exposure(BACKLOG, 0.1, "constant_plans", 1.5, 3),
            "`omega` holds 1.5",
        ),
    ],
)  # fmt: skip
def test_the_edges_of_what_is_accepted(call, message):
    with pytest.raises(KokeiluError, match=message):
        call()
