"""Every text of the three languages, those included that the numbers do not choose today."""

import re
import tomllib

import pytest
from documents import ENGLISH, keys

from kokeilu_analysis.report import figures, numbers

FOLDER = figures.Path(figures.__file__).parent / "texts"
FAMILIES = sorted({path.stem.rpartition("_")[0] for path in FOLDER.glob("*.toml")})
PLACE = re.compile(r"\{[^}]*\}")
# names that are no words of a language: files, commands, checksums, titles of licences
NAMES = re.compile(r"[\w.*/-]+\.(?:py|csv|pdf|png|txt|ipynb|md)\b|--?\w+|\bCC BY \d\.\d\b|SHA-\d+")


def texts(tree, where=""):
    """Every text of a tree with its place."""
    if isinstance(tree, str):
        yield where, tree
        return
    for name, below in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from texts(below, f"{where}.{name}")


def family(name, lang):
    return tomllib.loads((FOLDER / f"{name}_{lang}.toml".lstrip("_")).read_text(encoding="utf-8"))


EVERY = [
    pytest.param(lang, name, id=f"{name or 'figures'}-{lang}")
    for name in FAMILIES
    for lang in numbers.LANGUAGES
]
TRANSLATED = [case for case in EVERY if case.values[0] != "en"]


def test_every_family_has_its_three_languages():
    assert {"", "memo", "areas", "site", "pack", "trace"} <= set(FAMILIES)
    for name in FAMILIES:
        for lang in numbers.LANGUAGES:
            assert family(name, lang)


@pytest.mark.parametrize(("lang", "name"), TRANSLATED)
def test_no_english_word_is_left_in_any_wording(lang, name):
    for where, text in texts(family(name, lang)):
        if where.endswith((".by", ".lang")):  # the name of the value that chooses
            continue
        words = re.findall(r"[a-zåäö]+", NAMES.sub("", PLACE.sub("", text)).lower())
        assert not set(words) & set(ENGLISH), where


@pytest.mark.parametrize(("lang", "name"), EVERY)
def test_minus_signs_and_spaces_are_those_of_print(lang, name):
    for where, text in texts(family(name, lang)):
        plain = NAMES.sub("", text)
        assert not re.search(r"(?<![\w–])-(?=\d|\{)", plain), where  # a hyphen for minus
        assert not re.search(r"  |\s$|^\s", text), where
        if lang == "en":
            assert not re.search(r"[\d}][ \u00a0]%(?!\w)", plain), where
            assert not re.search(r"\d,\d(?!\d\d)", plain), where
        else:
            assert not re.search(r"[\d}] ?%(?!})", plain), where  # no-break space before per cent
            assert not re.search(r"(?<![\d.])\d+\.\d+(?![.\d])", plain), where  # decimal comma


# test_site.py compares the site's: Finnish and Swedish name municipalities from their own columns
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "site"])
def test_the_three_languages_have_words_for_the_same_things(name):
    assert keys(family(name, "fi")) == keys(family(name, "sv")) == keys(family(name, "en"))


def test_the_checks_would_find_what_they_look_for():
    assert set(re.findall(r"\w+", "the estimate")) & set(ENGLISH)
    assert re.search(r"[\d}] ?%(?!})", "{x:1} %") and not re.search(r"[\d}] ?%(?!})", "5\u00a0%")
    assert re.search(r"(?<![\w–])-(?=\d|\{)", "muutos -0,3")
