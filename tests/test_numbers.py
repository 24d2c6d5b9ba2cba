import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu_analysis.report.numbers import (
    LANGUAGES,
    fill,
    interval,
    month,
    number,
    percent,
    verdict,
)

NO_BREAK, MINUS, DASH = "\u00a0", "\u2212", "\u2013"
FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("value", "decimals", "finnish", "english"),
    [
        (12.5, 1, "12,5", "12.5"),
        (999, 0, "999", "999"),
        (1234, 0, f"1{NO_BREAK}234", "1,234"),
        (12345, 0, f"12{NO_BREAK}345", "12,345"),
        (1234567.89, 1, f"1{NO_BREAK}234{NO_BREAK}567,9", "1,234,567.9"),
        (-3.2, 1, f"{MINUS}3,2", f"{MINUS}3.2"),
        (-12345.67, 1, f"{MINUS}12{NO_BREAK}345,7", f"{MINUS}12,345.7"),
        (0, 0, "0", "0"),
        (0.721455, 2, "0,72", "0.72"),
    ],
)
def test_numbers_are_written_as_each_language_writes_them(value, decimals, finnish, english):
    assert number(value, decimals, "fi") == number(value, decimals, "sv") == finnish
    assert number(value, decimals, "en") == english


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("value", [-0.04, -0.0, 0.04, -1e-12])
def test_a_number_that_rounds_to_zero_has_no_sign(value, lang):
    assert number(value, 1, lang) in ("0,0", "0.0")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), pd.NA, pd.NaT])
def test_a_missing_number_is_a_dash(value, lang):
    assert number(value, 1, lang) == DASH


def test_per_cent_is_set_apart_in_finnish_and_swedish_only():
    assert percent(12.5, 1, "fi") == percent(12.5, 1, "sv") == f"12,5{NO_BREAK}%"
    assert percent(12.5, 1, "en") == "12.5%"
    assert percent(-3, 0, "fi") == f"{MINUS}3{NO_BREAK}%"


@pytest.mark.parametrize(
    ("low", "high", "finnish", "english"),
    [
        (2.8, 3.4, f"2,8{DASH}3,4", f"2.8{DASH}3.4"),
        (-3.2, 0.4, f"{MINUS}3,2{NO_BREAK}… 0,4", f"{MINUS}3.2 to 0.4"),
        (-3.2, -0.4, f"{MINUS}3,2{NO_BREAK}… {MINUS}0,4", f"{MINUS}3.2 to {MINUS}0.4"),
        (-0.04, 0.3, f"0,0{DASH}0,3", f"0.0{DASH}0.3"),
        (0.91, 0.94, "0,9", "0.9"),
        (-0.03, 0.02, "0,0", "0.0"),
    ],
)
def test_a_range_cannot_be_misread(low, high, finnish, english):
    assert interval(low, high, 1, "fi") == interval(low, high, 1, "sv") == finnish
    assert interval(low, high, 1, "en") == english


def test_months_are_named_in_english_and_numbered_in_finnish_and_swedish():
    when = pd.Timestamp("2021-03-01")
    assert month(when, "fi") == month(when, "sv") == "3/2021"
    assert month(when, "en") == "March 2021"


@given(FINITE, st.integers(0, 3), st.sampled_from(LANGUAGES))
def test_a_number_reads_back_to_itself_rounded(value, decimals, lang):
    text = number(value, decimals, lang)
    plain = text.replace(MINUS, "-").replace(NO_BREAK, "")
    plain = plain.replace(",", "") if lang == "en" else plain.replace(",", ".")
    assert float(plain) == pytest.approx(value, abs=0.5001 * 10**-decimals)
    assert "-" not in text
    assert " " not in text
    assert "." not in text or lang == "en"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-2, -1, "lower"),
        (0.1, 0.4, "higher"),
        (-0.3, 1.7, "unclear"),
        (0, 1, "unclear"),
        (-1, 0, "unclear"),
        (float("nan"), float("nan"), "unclear"),
    ],
)
def test_an_interval_that_holds_zero_is_never_an_effect(low, high, said):
    assert verdict(low, high) == said


@given(FINITE, st.floats(0, 10))
def test_verdict_of_the_mirrored_interval_is_the_mirrored_verdict(low, width):
    mirrored = {"lower": "higher", "higher": "lower", "unclear": "unclear"}
    assert verdict(-low - width, -low) == mirrored[verdict(low, low + width)]


def test_places_of_a_sentence_are_filled_by_their_form():
    values = {
        "n": 1234,
        "x": -0.55,
        "share": 12.5,
        "low": -0.28,
        "high": 1.73,
        "when": pd.Timestamp("2020-02-01"),
        "name": "Pori",
    }
    template = "{name} {when}: {n}, {x:1}, {share:1%}, {low:1..high}"
    assert fill(template, values, "fi") == (
        f"Pori 2/2020: 1{NO_BREAK}234, {MINUS}0,6, 12,5{NO_BREAK}%, {MINUS}0,3{NO_BREAK}… 1,7"
    )
    assert fill(template, values, "en") == (
        f"Pori February 2020: 1,234, {MINUS}0.6, 12.5%, {MINUS}0.3 to 1.7"
    )


@pytest.mark.parametrize("template", ["{gap:1}", "{low:1..gap}", "{gap}"])
def test_a_name_that_nobody_gives_is_an_error_and_never_an_empty_place(template):
    with pytest.raises(KeyError, match="gap"):
        fill(template, {"low": 1.0}, "en")
