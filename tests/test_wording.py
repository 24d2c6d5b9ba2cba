"""A sentence says what the numbers say: sign, certainty, bounds, and nothing beyond them."""

import itertools
import re
import shutil

import pytest
from documents import LANGUAGES, choices, keys

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import area_pages, memo, wording

# what claims a direction, and what says that none can be claimed
LOWER = {"en": r"\blower\b", "fi": r"pienem", "sv": r"\blägre\b"}
HIGHER = {"en": r"\bhigher\b", "fi": r"suurem", "sv": r"\bhögre\b"}
OPEN = {
    "en": r"can(not)? be told from|either sign|settle even the sign|zero is inside|reaches zero",
    "fi": r"ei voi erottaa|eikä sitä voi erottaa|kumpaan suuntaan|edes suuntaa|ulottuu nollaan",
    "sv": r"kan inte skiljas|inte skiljas från noll|vilket tecken|ens riktningen|når noll",
}
COULD_BE = {"lower": (-0.9, -1.4, -0.4), "higher": (0.9, 0.4, 1.4), "unclear": (0.2, -0.6, 1.1)}


@pytest.fixture(scope="module")
def study():
    return {lang: wording.study(lang) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def areas():
    return {lang: area_pages.area_values(lang)[1] for lang in LANGUAGES}


@pytest.fixture
def tables(tmp_path):
    shutil.copytree(paths.RESULTS, tmp_path / "results")
    return tmp_path / "results"


def every_choice():
    return list(_every_choice())


def _every_choice():
    for lang in LANGUAGES:
        for name, texts in (("memo", memo.texts(lang)), ("areas", area_pages.texts(lang))):
            for where, table in choices(texts):
                yield pytest.param(lang, table, id=f"{name}{where}-{lang}")


@pytest.mark.parametrize(("lang", "table"), every_choice())
def test_there_is_a_wording_for_everything_the_numbers_can_say(lang, table):
    known = {
        "verdict": {"lower", "higher", "unclear"},
        "honest_case": {"never", "some", "always"},
        "below": {"none", "one", "some"},
        "signs": {"none", "some"},
        "breakdown_case": {"inside", "outside"},
        "size": {"one", "some"},
        "language": {"none", "some", "all"},
        "earlier": {"none", "first", "second", "both"},
        "controls": {"same_region", "all"},
        "known": {"value", "range", "rest"},
    }
    if table["by"] == "answered":
        assert set(table) - {"by"} in ({"none", "one", "some"}, {"none", "some", "all"})
    else:
        kind = "verdict" if table["by"].endswith("verdict") else table["by"]
        assert set(table) - {"by"} == known[kind]


@pytest.mark.parametrize(("lang", "table"), every_choice())
def test_no_two_verdicts_share_a_wording(lang, table):
    if table["by"] in ("verdict", "zero_verdict", "six_verdict", "f4_covid_verdict"):
        wordings = [text for key, text in table.items() if key != "by"]
        assert len(set(wordings)) == len(wordings)


@pytest.mark.parametrize(("lang", "table"), every_choice())
def test_what_covers_zero_is_never_worded_as_an_effect(lang, table):
    if not table["by"].endswith("verdict"):
        return
    assert re.search(OPEN[lang], table["unclear"])
    assert not re.search(f"{LOWER[lang]}|{HIGHER[lang]}", table["unclear"])
    for claim in ("lower", "higher"):
        assert not re.search(OPEN[lang], table[claim])


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("effect, zero", list(itertools.product(COULD_BE, COULD_BE)))
def test_the_answer_follows_sign_significance_and_bounds(study, lang, effect, zero):
    estimate, low, high = COULD_BE[effect]
    _, zero_low, zero_high = COULD_BE[zero]
    found = {"estimate": estimate, "ci_low": low, "ci_high": high, "verdict": effect}
    found |= {"f8_zero_low": zero_low, "f8_zero_high": zero_high, "zero_verdict": zero}
    said = memo._answer(memo.texts(lang)["answer"], study[lang] | found, lang)
    assert len(said) == 3
    for text, verdict in ((said[0], effect), (said[2], zero)):
        claims = {
            "lower": bool(re.search(LOWER[lang], text)),
            "higher": bool(re.search(HIGHER[lang], text)),
            "unclear": bool(re.search(OPEN[lang], text)),
        }
        assert claims == {v: v == verdict for v in COULD_BE}, text


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("verdict", COULD_BE)
def test_an_areas_sentence_follows_its_interval(areas, lang, verdict):
    estimate, low, high = COULD_BE[verdict]
    values = areas[lang]["KK01"] | {"estimate": estimate, "ci_low": low, "ci_high": high}
    words = area_pages.texts(lang)["effect"]["all"]
    text = wording.sentence(words, values | {"verdict": verdict}, lang)
    assert bool(re.search(LOWER[lang], text)) == (verdict == "lower")
    assert bool(re.search(HIGHER[lang], text)) == (verdict == "higher")
    assert bool(re.search(OPEN[lang], text)) == (verdict == "unclear")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_sentences_on_effects_name_estimate_interval_and_level(lang):
    effect = memo.texts(lang)["answer"]["effect"]
    area = area_pages.texts(lang)["effect"]["all"]
    for text in (effect[v] for effect in (effect, area) for v in COULD_BE):
        for place in ("{estimate:1}", "{ci_low:1..ci_high}", "{pre_first}", "{post_last}"):
            assert place in text
        assert re.search(r"95[\u00a0]?%", text) and "{n_control}" in text


@pytest.mark.parametrize("verdict", COULD_BE)
def test_a_changed_result_table_changes_the_sentence(tables, verdict):
    estimate, low, high = COULD_BE[verdict]
    did = results.read("03_did", tables)
    did.loc[did["is_main"], ["estimate", "ci_low", "ci_high"]] = estimate, low, high
    results.write("03_did", did, tables)
    adjusted = results.read("04_adjusted", tables)
    sharp = adjusted["spec"] == "sharp_zero_backlog"
    adjusted.loc[sharp, ["ci_low", "ci_high"]] = low, high
    results.write("04_adjusted", adjusted, tables)
    said = memo.answer("fi", tables)
    assert said != memo.answer("fi")
    for text in (said[0], said[2]):
        assert bool(re.search(OPEN["fi"], text)) == (verdict == "unclear")
    written = f"{estimate:.1f}".replace("-", "−").replace(".", ",")
    assert f" {written} prosenttiyksikköä" in said[0]


def test_bounds_on_one_side_are_no_effect_while_chance_reaches_zero(tables):
    adjusted = results.read("04_adjusted", tables)
    sharp = adjusted["spec"] == "sharp_zero_backlog"
    names = ["ci_low", "bound_low", "bound_high", "ci_high"]
    adjusted.loc[sharp, names] = -4.0, -3.0, -0.2, 0.6
    results.write("04_adjusted", adjusted, tables)
    for lang in LANGUAGES:
        assert re.search(OPEN[lang], memo.answer(lang, tables)[2])


@pytest.mark.parametrize(
    ("breakdown", "case"),
    [(float("nan"), "never"), (0.4, "some"), (1.0, "always"), (float("inf"), "always")],
)
def test_the_sentence_on_trends_says_up_to_where_zero_stays_outside(tables, breakdown, case):
    honest = results.read("05_honest", tables)
    own = (honest["method"] == "relative") & (honest["outcome"] == "unemployed")
    honest.loc[own, "breakdown"] = breakdown
    results.write("05_honest", honest, tables)
    found = wording.study("en", tables)
    assert found["honest_case"] == case
    text = wording.sentence(memo.texts("en")["sure"]["items"][1], found, "en")
    assert ("at most 40 per cent" in text) == (case == "some")


def test_a_check_that_leaves_zero_outside_is_counted_on_its_side(tables):
    checks = results.read("05_robustness", tables)
    row = checks["spec"] == "without_six"
    checks.loc[row, ["estimate", "ci_low", "ci_high"]] = -1.0, -1.5, -0.5
    results.write("05_robustness", checks, tables)
    before, after = wording.study("sv"), wording.study("sv", tables)
    assert after["n_below"] == before["n_below"] + 1 and after["six_verdict"] == "lower"
    assert after["n_above"] == before["n_above"]


def test_a_reply_changes_what_is_said_of_replies(tables):
    rate = results.read("02_response_rate", tables)
    rate.loc[rate["area_id"] == "all", "answered"] = 3
    results.write("02_response_rate", rate, tables)
    found = wording.study("en", tables)
    said = wording.sentence(memo.texts("en")["ask"]["returns"], found, "en")
    assert "3 of 118" in said and "None" not in said


def test_what_has_no_wording_is_not_said():
    with pytest.raises(KokeiluError, match="No wording for verdict = 'perhaps'"):
        wording.sentence({"by": "verdict", "lower": "x"}, {"verdict": "perhaps"}, "en")
    with pytest.raises(KeyError):
        wording.sentence("{no_such_number:1}", {}, "en")


def test_wordings_may_choose_twice():
    text = {"by": "a", "x": {"by": "b", "y": "{n:1}"}}
    assert wording.sentence(text, {"a": "x", "b": "y", "n": 1.25}, "fi") == "1,2"


@pytest.mark.parametrize("texts", [memo.texts, area_pages.texts], ids=["memo", "areas"])
def test_the_three_languages_have_words_for_the_same_things(texts):
    assert keys(texts("fi")) == keys(texts("en")) == keys(texts("sv"))


@pytest.mark.parametrize("texts", [memo.texts, area_pages.texts], ids=["memo", "areas"])
def test_the_three_languages_quote_the_same_numbers(texts):
    def places(tree):
        if isinstance(tree, list):
            tree = dict(enumerate(tree))
        if isinstance(tree, dict):
            return {f"{k}.{p}" for k, v in tree.items() for p in places(v)}
        found = re.findall(r"\{(\w+)(?::[\d%]*(?:\.\.(\w+))?)?\}", tree)
        return {name for pair in found for name in pair if name}

    assert places(texts("fi")) == places(texts("en")) == places(texts("sv"))
