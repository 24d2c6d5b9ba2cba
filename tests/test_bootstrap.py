import itertools

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import bootstrap, inference
from kokeilu_analysis.methods.bootstrap import wild_cluster


def sample(seed, clusters, size, treated, effect=0.0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), size)
    frame = pd.DataFrame({"g": g, "d": (g < treated).astype(float)})
    frame["x"] = rng.normal(size=len(g)).round(3)
    y = 0.5 * frame["d"] + 0.3 * frame["x"] + rng.normal(size=clusters)[g]
    frame["y"] = ((y + rng.normal(size=len(g))).round(3) + effect * frame["d"]).round(3)
    return frame


def design(frame):
    return np.column_stack([frame["d"], np.ones(len(frame)), frame["x"]])


def t_squared(y, x, g, b):
    """Square of (estimate - b) / CR1 error without factor, by plain least squares."""
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    scores = pd.DataFrame(x * (y - x @ beta)[:, None]).groupby(g).sum().to_numpy()
    return (beta[0] - b) ** 2 / (inverse @ scores.T @ scores @ inverse)[0, 0]


def refitted(frame, b, vectors):
    """Whether the sample of each sign vector is as extreme as the real one at null b."""
    x, y, g = design(frame), frame["y"].to_numpy(), frame["g"].to_numpy()
    z, yb = x[:, 1:], y - b * x[:, 0]
    fitted = z @ np.linalg.lstsq(z, yb, rcond=None)[0]
    known = t_squared(y, x, g, b)
    return [
        t_squared(b * x[:, 0] + fitted + np.array(signs)[g] * (yb - fitted), x, g, b)
        >= known * (1 - 1e-9)
        for signs in vectors
    ]


def by_refitting(frame, b):
    """P-value at null b by refitting every sign vector's sample."""
    return np.mean(refitted(frame, b, itertools.product((1, -1), repeat=frame["g"].max() + 1)))


# Numbers of wildboottest 0.3.2 (WCR-11, Rademacher, 99,999 draws, null imposed). With few clusters
# it enumerates too; it may miss the two sign vectors whose |t| equals the real one.
@pytest.mark.parametrize(
    ("frame", "t", "p", "ties"),
    [
        (sample(1, 9, 5, 4), 0.968844061207377, 0.3828125, 0),
        (sample(1, 9, 5, 4, 1.5), 4.125420438238457, 0.0078125, 0),
        (sample(3, 14, 4, 5), 0.46182726051808953, 0.6536865234375, 2 / 2**14),
        (sample(3, 12, 4, 5, 0.6), 1.8729375146989147, 0.103515625, 2 / 2**12),
    ],
)
def test_enumerated_p_equals_an_independent_implementation(frame, t, p, ties):
    found = wild_cluster(frame, "y ~ d + x", "d", "g", draws=99_999)
    assert found["t"] == pytest.approx(t, abs=1e-10)
    assert p - 1e-12 <= found["p"] <= p + ties + 1e-12
    assert found["draws"] == 2 ** found["n_clusters"]


@pytest.mark.parametrize(
    ("effect", "t", "p"),
    [(0.0, 0.45025974383273293, 0.66249), (0.8, 2.005397097860089, 0.06734)],
)
def test_drawn_p_equals_an_independent_implementation_within_its_error(effect, t, p):
    found = wild_cluster(sample(2, 30, 6, 10, effect), "y ~ d + x", "d", "g", draws=99_999)
    assert found["t"] == pytest.approx(t, abs=1e-10)
    assert abs(found["p"] - p) < 5 * np.sqrt(2 * p * (1 - p) / 99_999)


@pytest.mark.parametrize("null", [0.0, 0.4, -1.0])
def test_p_is_the_share_of_refitted_samples_as_extreme(null):
    frame = sample(4, 7, 4, 3)
    found = wild_cluster(frame, "y ~ d + x", "d", "g", null=null)
    assert found["p"] == pytest.approx(by_refitting(frame, null), abs=1e-12)
    assert found["t"] == pytest.approx((found["estimate"] - null) / found["se"])


def test_interval_holds_the_nulls_that_refitting_does_not_reject():
    frame = sample(5, 8, 4, 4, 1.0)
    found = wild_cluster(frame, "y ~ d + x", "d", "g", level=0.9)
    step = 1e-6
    for end, inwards in ((found["ci_low"], step), (found["ci_high"], -step)):
        assert by_refitting(frame, end + inwards) > 0.1 >= by_refitting(frame, end - inwards)


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_interval_is_in_the_unit_of_the_outcome_however_far_its_ends_are(unit):
    frame = sample(2, 7, 5, 2)
    found = wild_cluster(frame, "y ~ d", "d", "g")
    assert found["ci_high"] - found["estimate"] > 6 * found["se"]  # few clusters: a long way
    other = wild_cluster(frame.assign(y=frame["y"] * unit), "y ~ d", "d", "g")
    for end in ("ci_low", "ci_high"):
        assert other[end] == pytest.approx(found[end] * unit, rel=1e-6)


def test_a_null_whose_p_is_exactly_one_minus_the_level_is_rejected():
    frame = sample(5, 7, 4, 3, 1.0)
    found = wild_cluster(frame, "y ~ d + x", "d", "g", level=0.875)
    for end, inwards in ((found["ci_low"], 1e-6), (found["ci_high"], -1e-6)):
        assert by_refitting(frame, end - inwards) == 0.125 < by_refitting(frame, end + inwards)


def test_an_outcome_without_noise_has_its_effect_as_interval():
    frame = pd.DataFrame({"y": [2.0, 2, 2, 0, 0, 0], "d": [1, 1, 1, 0, 0, 0], "g": range(6)})
    found = wild_cluster(frame, "y ~ d", "d", "g")
    assert (found["estimate"], found["ci_low"], found["ci_high"]) == pytest.approx((2, 2, 2))
    found = wild_cluster(frame.assign(y=0.0), "y ~ d", "d", "g")  # not even rounding is left
    assert (found["estimate"], found["ci_low"], found["ci_high"]) == (0, 0, 0)


def test_there_is_no_error_when_every_row_has_a_parameter_of_its_own():
    frame = pd.DataFrame({"y": [2.0, 1, 0], "d": [1, 0, 0], "x": [0.0, 1, 3], "g": range(3)})
    assert np.isnan(wild_cluster(frame, "y ~ d + x", "d", "g")["se"])


def test_drawn_signs_come_close_to_all_of_them():
    frame = sample(6, 12, 3, 5)
    exact = wild_cluster(frame, "y ~ d + x", "d", "g", draws=2**12)["p"]
    drawn = wild_cluster(frame, "y ~ d + x", "d", "g", draws=2**12 - 1, seed=3)
    assert drawn["draws"] == 4095
    assert abs(drawn["p"] - exact) < 4 * np.sqrt(exact * (1 - exact) / 4095)


@pytest.mark.parametrize("clusters", [9, 70])
def test_a_seed_draws_the_bits_of_its_generator_one_a_cluster(clusters):
    frame = sample(19, clusters, 2, clusters // 3, 0.6)
    rng, draws = np.random.default_rng(11), 150
    words = rng.integers(0, 2**64, (draws, -(-clusters // 64)), dtype=np.uint64).tolist()
    vectors = [[1 - 2 * (w[g // 64] >> g % 64 & 1) for g in range(clusters)] for w in words]
    found = wild_cluster(frame, "y ~ d + x", "d", "g", draws=draws, seed=11, null=0.2)
    assert found["p"] == (1 + sum(refitted(frame, 0.2, vectors))) / (draws + 1)
    assert found["draws"] == draws


def test_9999_signs_are_drawn_from_seed_0_at_95_per_cent_about_zero_unless_told_otherwise():
    frame = sample(6, 15, 2, 5)
    told = wild_cluster(frame, "y ~ d", "d", "g", draws=9999, seed=0, level=0.95, null=0.0)
    assert wild_cluster(frame, "y ~ d", "d", "g") == told
    assert told["n_units"] == 30 and told["n_clusters"] == 15


def test_all_signs_are_taken_as_soon_as_they_are_no_more_than_the_draws():
    frame = sample(6, 7, 2, 3)
    assert [
        wild_cluster(frame, "y ~ d", "d", "g", draws=n, seed=1)["draws"] for n in (127, 128, 500)
    ] == [127, 128, 128]


def test_standard_error_equals_statsmodels():
    import statsmodels.formula.api as smf

    frame = sample(7, 15, 4, 6)
    fit = smf.ols("y ~ d + x", frame).fit(cov_type="cluster", cov_kwds={"groups": frame["g"]})
    found = wild_cluster(frame, "y ~ d + x", "d", "g", draws=99)
    assert found["estimate"] == pytest.approx(fit.params["d"], abs=1e-12)
    assert found["se"] == pytest.approx(fit.bse["d"], abs=1e-12)


def panel(seed, units=30, times=6, start=3, clusters=15):
    rng = np.random.default_rng(seed)
    unit, t = np.repeat(np.arange(units), times), np.tile(np.arange(times), units)
    cluster = unit * clusters // units
    post = ((cluster < 6) & (t >= start)).astype(float)
    y = rng.normal(size=units)[unit] + rng.normal(size=times)[t] + rng.normal(size=len(t))
    weight = 1.0 + unit % 4
    return pd.DataFrame(
        {"y": y, "unit": unit, "t": t, "c": cluster, "post": post, "w": weight, "k": t % 2}
    )


@pytest.mark.parametrize("weights", [None, "w"])
def test_panel_with_fixed_effects_and_collapsed_changes_give_the_same_answer(weights):
    frame = panel(8)
    y = frame.pivot(index="unit", columns="t", values="y")
    facts = frame.groupby("unit")[["c", "post", "w"]].max()
    facts["change"] = y.loc[:, 3:].mean(axis=1) - y.loc[:, :2].mean(axis=1)
    long = wild_cluster(frame, "y ~ post | unit + t", "post", "c", weights=weights)
    short = wild_cluster(facts, "change ~ post", "post", "c", weights=weights)
    for key in ("estimate", "p", "ci_low", "ci_high"):
        assert long[key] == pytest.approx(short[key], abs=1e-9)


@pytest.mark.parametrize("weights", [None, "w", "v"])
def test_effects_nested_in_clusters_are_not_counted_as_parameters(weights):
    frame = panel(9).assign(v=lambda f: 0.1 + (f["unit"] % 7) / 3)  # means have rounding
    n, times, groups = len(frame), 6, 15
    root = np.sqrt(frame[weights]) if weights else np.ones(n)
    dummies = [pd.get_dummies(frame[c], dtype=float) for c in ("unit", "t")]
    x = np.column_stack([frame["post"], *dummies]) * np.asarray(root)[:, None]
    y = frame["y"].to_numpy() * np.asarray(root)
    bread = np.linalg.pinv(x.T @ x)
    score = pd.DataFrame(x * (y - x @ bread @ x.T @ y)[:, None])
    score = score.groupby(frame["c"]).sum().to_numpy()
    bare = (bread @ score.T @ score @ bread)[0, 0]
    by_hand = np.sqrt(bare * groups / (groups - 1) * (n - 1) / (n - times))  # post, 5 months
    for formula in (
        "y ~ post | unit + t",
        "y ~ post | c + unit + t",
        "y ~ post | t + unit + c",
        "y ~ post + v | unit + t",  # constant by unit, so it is nothing beside the effects
    ):
        found = wild_cluster(frame, formula, "post", "c", draws=99, weights=weights)
        assert found["se"] == pytest.approx(by_hand, rel=1e-9)
        assert found["estimate"] == pytest.approx((bread @ x.T @ y)[0], abs=1e-9)
        assert (found["n_units"], found["n_clusters"]) == (n, groups)


def test_a_regressor_that_repeats_another_or_is_always_zero_changes_nothing():
    frame = sample(18, 8, 3, 3).assign(twice=lambda f: 2 * f["x"], nought=0.0)
    plain = wild_cluster(frame, "y ~ d + x", "d", "g")
    for more in ("twice", "nought", "nought + twice"):
        again = wild_cluster(frame, f"y ~ d + x + {more}", "d", "g")
        assert again == pytest.approx(plain, rel=1e-6)
    bare = wild_cluster(frame, "y ~ 0 + d", "d", "g")
    assert wild_cluster(frame, "y ~ 0 + d + nought", "d", "g") == pytest.approx(bare)
    assert bare["estimate"] == pytest.approx(frame.loc[frame["d"] == 1, "y"].mean())
    assert wild_cluster(frame, "y ~ 1 + d", "d", "g") == wild_cluster(frame, "y~d", "d", "g")


def test_effects_not_nested_in_clusters_are_regressors_like_others():
    frame = panel(9)
    dummies = pd.get_dummies(frame["t"], prefix="m", dtype=float)
    wide = pd.concat([frame, dummies], axis=1)
    spelt = wild_cluster(wide, "y ~ 0 + post + " + " + ".join(dummies), "post", "c", draws=999)
    short = wild_cluster(frame, "y ~ post | t", "post", "c", draws=999)
    for key in ("estimate", "se", "p", "ci_low", "ci_high"):
        assert short[key] == pytest.approx(spelt[key], abs=1e-9)


def test_weights_act_like_repeated_rows():
    frame = sample(10, 9, 3, 4).assign(w=lambda f: 1.0 + np.arange(len(f)) % 3)
    repeated = frame.loc[frame.index.repeat(frame["w"].astype(int))].reset_index(drop=True)
    weighted = wild_cluster(frame, "y ~ d + x", "d", "g", weights="w")
    plain = wild_cluster(repeated, "y ~ d + x", "d", "g")
    for key in ("estimate", "p", "ci_low", "ci_high"):
        assert weighted[key] == pytest.approx(plain[key], abs=1e-9)


def test_expressions_are_read_as_formulaic_reads_them():
    frame = sample(11, 9, 3, 4).assign(dx=lambda f: f["d"] * f["x"])
    product = wild_cluster(frame, "y ~ d + x + d:x", "d:x", "g")
    assert product["p"] == wild_cluster(frame, "y ~ d + x + dx", "dx", "g")["p"]


def test_draws_do_not_depend_on_the_block_and_seeds_do_matter(monkeypatch):
    frame = sample(12, 20, 3, 8)
    once = wild_cluster(frame, "y ~ d", "d", "g", draws=999, seed=1)
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    again = wild_cluster(frame, "y ~ d", "d", "g", draws=999, seed=1)
    other = wild_cluster(frame, "y ~ d", "d", "g", draws=999, seed=2)
    assert once["p"] == again["p"] and once["ci_low"] == pytest.approx(again["ci_low"], abs=1e-9)
    assert once["p"] != other["p"]


def test_no_sign_vector_rejects_with_four_clusters_so_the_interval_has_no_end():
    found = wild_cluster(sample(13, 4, 5, 2), "y ~ d", "d", "g")
    assert found["p"] >= 0.125
    assert (found["ci_low"], found["ci_high"]) == (-np.inf, np.inf)


def test_false_alarms_are_about_as_frequent_as_they_should_be():
    rng = np.random.default_rng(14)
    frame = sample(14, 14, 3, 5)
    p = []
    for _ in range(300):
        y = rng.normal(size=14)[frame["g"]] + rng.normal(size=len(frame))
        p.append(wild_cluster(frame.assign(y=y), "y ~ d", "d", "g", draws=199)["p"])
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09


def test_wild_bootstrap_is_offered_among_the_methods_of_inference():
    assert inference.wild_cluster is wild_cluster


@pytest.mark.parametrize(
    ("formula", "term", "spoil", "said"),
    [
        ("y ~ d", "z", {}, "'z' is not in"),
        ("y ~ z", "z", {}, "Cannot read 'z'"),
        ("y", "y", {}, "Cannot read 'y'; expected"),
        ("y ~ d | h", "d", {}, "No column h"),
        ("y ~ d + x", "d", {"x": np.nan}, "Row 3 has nan in x"),
        ("y ~ d", "d", {"g": np.nan}, "Row 3 has no value in g"),
        ("y ~ d | g", "d", {}, "combination of the other regressors"),
        ("y ~ d + C(g)", "d", {}, "write it as"),
        ("y ~ d + word", "d", {}, "word is not of numbers"),
    ],
)
def test_a_formula_or_cell_that_cannot_be_used_is_named(formula, term, spoil, said):
    frame = sample(15, 6, 3, 3).astype({"g": float}).assign(word=list("abc") * 6)
    frame.loc[3, list(spoil)] = list(spoil.values())
    frame.loc[8, list(spoil)] = list(spoil.values())  # the first one is named, by its label
    with pytest.raises(KokeiluError, match=said):
        wild_cluster(frame, formula, term, "g")
    frame.index = [f"r{i}" for i in frame.index]
    with pytest.raises(KokeiluError, match=said.replace("Row ", "Row r")):
        wild_cluster(frame, formula, term, "g")


@pytest.mark.parametrize("seed", range(5))
def test_a_term_that_the_others_make_up_but_for_rounding_is_refused(seed):
    frame = sample(seed, 6, 3, 3).assign(z=lambda f: 0.3 * f["x"] - 0.7 * f["d"] + 0.1)
    with pytest.raises(KokeiluError, match="combination of the other regressors"):
        wild_cluster(frame, "y ~ z + x + d", "z", "g")


@pytest.mark.parametrize("weight", [0.0, -0.5, np.nan])
def test_the_row_whose_weight_cannot_be_used_is_named(weight):
    frame = sample(15, 6, 3, 3).assign(w=1.0).rename("r{}".format)
    frame.loc[["r4", "r9"], "w"] = weight
    with pytest.raises(KokeiluError, match="Row r4"):
        wild_cluster(frame, "y ~ d", "d", "g", weights="w")


def test_a_missing_effect_is_named_with_its_row():
    frame = sample(15, 6, 3, 3).assign(h=lambda f: f["g"].where(f.index != 5))
    with pytest.raises(KokeiluError, match="Row 5 has no value in h"):
        wild_cluster(frame, "y ~ d | h", "d", "g")


def test_level_draws_weights_and_clusters_must_make_sense():
    frame = sample(16, 6, 3, 3).assign(w=0.0, one=1)
    for options, said in (
        ({"level": 95}, "Level is 95"),
        ({"level": 0}, "Level is 0"),
        ({"level": 1}, "Level is 1"),
        ({"draws": 0}, "0 draws"),
        ({"weights": "w"}, "must be positive"),
        ({"weights": "v"}, "No column v"),
    ):
        with pytest.raises(KokeiluError, match=said):
            wild_cluster(frame, "y ~ d", "d", "g", **options)
    assert wild_cluster(frame, "y ~ d", "d", "g", draws=1)["draws"] == 1
    with pytest.raises(KokeiluError, match="at least 2 clusters; found 1"):
        wild_cluster(frame, "y ~ d", "d", "one")
