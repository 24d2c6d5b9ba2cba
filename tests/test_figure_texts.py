"""The words of the figures, in three languages and for everything the study could have found."""

import math
import re

import pandas as pd
import pytest
from drawn import IDS, LANGUAGES, is_varied, sentences, values, verdicts, words

from kokeilu_analysis import paths
from kokeilu_analysis.report import drawings, figures, numbers

CASES = [(i, lang, v) for i in IDS for lang in LANGUAGES for v in verdicts(i)]
EVERY = pytest.mark.parametrize(("figure_id", "lang", "verdict"), CASES)
VERDICTS = (
    {"lower", "higher", "unclear"},
    {"mostly", "partly"},
    {"some", "none"},
    {"fragile", "sturdy"},
)
DATE = re.compile(r"\b\d{1,2}\.\d{1,2}\.\d{4}\b")


def keys(tree):
    """Names of a tree of texts, as dotted paths."""
    return {
        f"{name}.{below}" if below else name
        for name, text in tree.items()
        for below in (keys(text) if isinstance(text, dict) else {""})
    }


def labels(lang):
    """Every label of a language, places still open."""
    found, queue = [], list(figures.texts(lang).values())
    while queue:
        for text in queue.pop().values():
            queue.append(text) if isinstance(text, dict) else found.append(text)
    return found


def test_the_three_languages_have_words_for_the_same_things():
    english = keys(figures.texts("en"))
    for lang in ("fi", "sv"):
        assert keys(figures.texts(lang)) == english


def test_every_figure_has_words_drawing_tables_and_a_notebook():
    assert set(figures.texts("en")) == {*IDS, "common"}
    assert len(IDS) >= 6
    for figure_id, entry in figures.register().items():
        assert (paths.NOTEBOOKS / f"{entry['notebook']}.ipynb").exists()
        for kind in ("values", "draw"):
            assert callable(getattr(drawings, f"{kind}_{figure_id.lower()}"))


@pytest.mark.parametrize("figure_id", IDS)
def test_words_that_follow_the_verdict_cover_every_verdict(figure_id):
    own = figures.texts("en")[figure_id]
    for key in ("headline", "subtitle", "note", "alt"):
        if is_varied(own, key):
            assert set(own[key]) in VERDICTS, key
            assert values(figure_id)["verdict"] in own[key]


@EVERY
def test_every_figure_says_everything_and_leaves_no_place_open(figure_id, lang, verdict):
    for text in sentences(words(figure_id, lang, verdict)):
        assert len(text) > 15
        assert not re.search(r"[{}]|\bnan\b|None", text)


@pytest.mark.parametrize("figure_id", IDS)
def test_no_sentence_is_filled_with_a_missing_number(figure_id):
    for name, value in values(figure_id).items():
        assert not pd.isna(value), name
        assert not isinstance(value, float) or math.isfinite(value), name


@EVERY
def test_alt_text_is_short_and_is_not_the_headline(figure_id, lang, verdict):
    said = words(figure_id, lang, verdict)
    assert len(said.alt) <= 250
    assert re.search(r"\d", said.alt)
    assert said.headline not in said.alt


@EVERY
def test_headline_is_one_sentence_of_at_most_twelve_words(figure_id, lang, verdict):
    headline = words(figure_id, lang, verdict).headline
    assert len(headline.split(" ")) <= 12
    assert not headline.endswith(".")


@EVERY
def test_sentences_write_numbers_as_their_language_does(figure_id, lang, verdict):
    for text in sentences(words(figure_id, lang, verdict)):
        plain = DATE.sub("", text)
        assert not re.search(r"(?<![\w])-\d", plain), "hyphen for minus"
        if lang == "en":
            assert not re.search(r"\d,\d(?!\d\d)", plain), "decimal comma in English"
            assert not re.search(r"\d[ \u00a0]%", plain), "space before % in English"
        else:
            assert not re.search(r"\d\.\d", plain), "decimal point"
            assert not re.search(r"\d[ ]?%", plain), "% without a no-break space"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_texts_as_written_keep_a_number_and_its_per_cent_together(lang):
    for text in labels(lang):
        if lang == "en":
            assert not re.search(r"[\d}][ \u00a0]%", text), text
        else:
            assert not re.search(r"[\d}] ?%(?!})", text), text


def test_effects_name_their_interval_control_group_and_period():
    stated = [i for i in IDS if "{estimate" in str(figures.texts("en")[i])]
    assert {"F3", "F4", "F5", "F8", "F9"} <= set(stated)
    lacking = []
    for figure_id in stated:
        given = values(figure_id)
        for lang in LANGUAGES:
            for verdict in verdicts(figure_id):
                said = words(figure_id, lang, verdict)
                text = " ".join(sentences(said))
                if not re.search(r"95[ \u00a0]?%", f"{said.note} {said.alt}"):
                    lacking.append((figure_id, lang, "the level of its interval"))
                if not re.search(rf"\b{given['n_control']}\b", f"{said.subtitle} {said.note}"):
                    lacking.append((figure_id, lang, "its control group"))
                for end in ("pre_first", "pre_last", "post_first", "post_last"):
                    if numbers.month(given[end], lang) not in text:
                        lacking.append((figure_id, lang, f"its period ({end})"))
    assert sorted(set(lacking)) == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_without_a_value_are_an_error(lang):
    with pytest.raises(KeyError):
        figures.words("F3", lang, {"verdict": "unclear"})
    with pytest.raises(KeyError):
        words("F3", lang, "unclear")("no such label")


def test_a_label_without_its_value_is_an_error():
    with pytest.raises(KeyError):
        words("F1", "en")("trial")
