"""The memo as a reader gets it: tagged, complete in three languages, short, the same each time."""

import json
import re

import pandas as pd
import pdf_reader
import pytest
from documents import LANGUAGES, badly_written, blocks, english_words, strings

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import figures, memo, memo_tables, typeset

LOCALE = {"fi": "fi-FI", "sv": "sv-FI", "en": "en-GB"}


@pytest.fixture(scope="module")
def contents():
    return {lang: memo.content(lang) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def pdfs(contents):
    return {lang: typeset.pdf(content) for lang, content in contents.items()}


@pytest.fixture(scope="module")
def read(pdfs):
    return {lang: pdf_reader.read(pdf) for lang, pdf in pdfs.items()}


@pytest.mark.parametrize("lang", LANGUAGES)
class TestPdf:
    def test_says_that_it_is_accessible_and_in_what_language(self, read, lang):
        pdf = read[lang]
        assert "<pdfuaid:part>1</pdfuaid:part>" in pdf.xmp
        assert pdf.marked and pdf.shows_title
        assert (pdf.language, pdf.title) == (LOCALE[lang], memo.texts(lang)["title"])

    def test_has_six_to_ten_pages_and_no_date_of_making(self, read, lang):
        assert 6 <= read[lang].pages <= 10
        assert read[lang].dates == [] and "CreateDate" not in read[lang].xmp

    def test_headings_begin_at_the_first_level_and_skip_none(self, read, lang):
        levels = [int(r[1]) for r in read[lang].roles if re.fullmatch(r"H[1-6]", r)]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
        assert read[lang].roles.count("Title") == 1

    def test_bookmarks_are_the_headings(self, read, contents, lang):
        parts = [(part["level"], part["heading"]) for part in contents[lang]["parts"]]
        assert read[lang].bookmarks == parts

    def test_every_figure_speaks(self, read, lang):
        spoken = [tag.alt for tag in read[lang].tags if tag.role == "Figure"]
        assert spoken == [figures.said(i, lang).alt for i in memo.register()["figures"]]

    def test_every_table_has_header_cells_for_its_columns(self, read, contents, lang):
        tables = blocks(contents[lang], "table")
        assert len(tables) == len(memo.register()["figures"]) + 2
        assert read[lang].roles.count("Table") == read[lang].roles.count("THead") == len(tables)
        heads = [tag for tag in read[lang].tags if tag.role == "TH"]
        assert len(heads) == sum(len(table["head"]) for table in tables)
        assert {tag.scope for tag in heads} == {"/Column"}

    def test_foreign_works_are_read_in_their_own_language(self, read, lang):
        foreign = {tag.language for tag in read[lang].tags if tag.language}
        assert foreign == (set() if lang == "en" else {"en"})

    def test_fonts_are_the_ones_that_travel_and_are_inside(self, read, lang):
        assert read[lang].fonts and all(read[lang].fonts.values())
        assert all("DejaVuSans" in name for name in read[lang].fonts)

    def test_the_answer_stands_on_page_one(self, read, lang):
        page = re.sub(r"\s", "", read[lang].first_page())
        for sentence in memo.answer(lang):
            assert re.sub(r"\s", "", sentence) in page


@pytest.mark.parametrize("lang", LANGUAGES)
class TestWords:
    def test_numbers_are_written_as_the_language_writes_them(self, contents, lang):
        assert list(badly_written(contents[lang])) == []

    def test_no_english_is_left_over(self, contents, lang):
        if lang != "en":
            assert english_words(contents[lang]) == []

    def test_every_text_says_something(self, contents, lang):
        assert all(text.strip() for text in strings(contents[lang]))

    def test_figures_carry_headline_subtitle_note_source_and_table(self, contents, lang):
        shown = [p for p in contents[lang]["parts"] if p["blocks"][0]["kind"] == "figure"]
        assert 5 <= len(shown) == len(memo.register()["figures"]) <= 8
        for figure_id, part in zip(memo.register()["figures"], shown, strict=True):
            said = figures.said(figure_id, lang)
            picture, table = part["blocks"]
            assert said.headline in part["heading"] and figure_id[1:] in part["heading"]
            assert picture["subtitle"] == said.subtitle
            assert picture["note"] == f"{said.note} {said.source}"
            assert table["kind"] == "table" and table["rows"]


def test_the_word_list_catches_a_word_left_over(contents):
    assert "the" in english_words(contents["fi"] | {"title": "Mitä the kokeilut"})
    assert list(badly_written(contents["sv"] | {"title": "en effekt på -0.5"}))


def test_the_three_languages_show_the_same_numbers(contents):
    def shown(content):
        found = []
        for table in blocks(content, "table"):
            cells = [c for row in table["rows"] for c in row if re.fullmatch(r"[−\d,.\u00a0]+", c)]
            found.append([c.replace("\u00a0", "").replace(",", ".") for c in cells])
        return found

    assert shown(contents["fi"]) == shown(contents["en"]) == shown(contents["sv"])


def test_a_second_build_gives_the_same_bytes(pdfs, tmp_path):
    path = memo.build("fi", tmp_path)
    assert path.name == "memo_fi.pdf" and path.read_bytes() == pdfs["fi"]


def test_every_reference_has_words_in_each_language():
    for entry in memo.register()["references"]:
        own = {"text", "lang"} if "text" in entry else set(LANGUAGES)
        assert set(entry) == own


def test_words_are_never_read_as_markup():
    odd = 'x *bold* #let y = 1; #panic("no") $a^2$ <tag> \\ // @ref'
    part = typeset.part(odd, typeset.text(odd), typeset.table(odd, [odd], [[odd]], "l", odd))
    content = typeset.document("en", odd, odd, odd, odd, [part])
    text = pdf_reader.read(typeset.pdf(content)).first_page()
    assert text.replace("\n", " ").count("#panic") >= 7
    assert "*bold*" in text and "@ref" in text
    json.dumps(content)


def test_a_picture_without_words_is_refused():
    with pytest.raises(KokeiluError, match="alt text"):
        typeset.picture(b"<svg/>", " ")


@pytest.mark.parametrize(
    ("rows", "message"), [([["a"]], "found 1 cells, expected 2"), ([], "found 0 rows")]
)
def test_a_table_that_does_not_fit_its_head_is_refused(rows, message):
    with pytest.raises(KokeiluError, match=message):
        typeset.table("caption", ["x", "y"], rows, "lr")


class TestTables:
    said = figures.Words("fi", "", "", "", "", "", {"rows": {"main": "Pää-\nmalli"}})

    def table(self, frame):
        return memo_tables.table("F0", pd.DataFrame(frame), self.said, memo.texts("fi")["tables"])

    def test_months_become_years_with_their_means(self):
        months = pd.to_datetime(["2020-11-01", "2020-12-01", "2021-01-01"])
        long = {"month": [*months, *months], "group": ["trial"] * 3 + ["control"] * 3}
        made = self.table(long | {"mean": [4.0, 6, 7, 1, 2, 9]})
        assert made["rows"] == [
            ["2020", "2", "5,0", "1,5", "3,5"],
            ["2021", "1", "7,0", "9,0", "−2,0"],
        ]

    def test_a_gap_shows_its_lowest_and_highest_month(self):
        months = {"post": ["2020M11", "2020M12"], "event_month": [-4, -3], "estimate": [-1.0, 2]}
        assert self.table(months)["rows"] == [["2020", "2", "0,5", "−1,0", "2,0"]]

    def test_areas_with_one_range_share_a_row_and_none_is_lost(self):
        names = [f"Alue {i}" for i in range(9)]
        frame = {"area_name_fi": names, "area_name_sv": names}
        frame |= {"known": ["value"] + ["rest"] * 8}
        frame |= {"bound_low": [0.125] * 9, "bound_high": [0.125] + [0.8] * 8}
        made = self.table(frame)["rows"]
        assert [row[-1] for row in made] == ["12,5", "12,5–80,0"]
        assert sum(int(row[2]) for row in made) == 9

    def test_bounds_are_not_called_an_interval(self):
        frame = {"spec": ["main"], "estimate": [float("nan")], "ci_low": [float("nan")]}
        frame |= {"ci_high": [float("nan")], "bound_low": [-3.0], "bound_high": [1.0]}
        row = self.table(frame)["rows"][0]
        assert row == ["Päämalli", "−3,0\u00a0… 1,0", "–"]

    def test_an_outcome_with_hidden_cells_shows_bounds_and_the_interval_around_them(self):
        frame = {"outcome": ["main"], "post": ["2021M03–2022M02"], "estimate": [float("nan")]}
        frame |= {"ci_low": [-0.5], "ci_high": [1.5], "bound_low": [0.2], "bound_high": [0.8]}
        row = self.table(frame)["rows"][0]
        assert row == ["Päämalli, 3/2021–2/2022", "0,2–0,8", "−0,5\u00a0… 1,5"]

    def test_a_frame_of_no_known_shape_is_an_error(self):
        with pytest.raises(KokeiluError, match="F0: found columns x"):
            self.table({"x": [1]})
