"""A page for each trial area: the same for all, in three languages, from the tables alone."""

import io
import re
import shutil

import numpy as np
import pandas as pd
import pdf_reader
import pytest
from documents import LANGUAGES, badly_written, blocks, english_words, strings
from pypdf import PdfReader

from kokeilu_analysis import paths, results
from kokeilu_analysis.report import area_chart, area_pages, typeset

AREAS = [f"KK{i:02d}" for i in range(1, 26)]


@pytest.fixture(scope="module")
def made():
    return {lang: area_pages.contents(lang) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def whole(made):
    """The combined documents, read back."""
    return {lang: pdf_reader.read(typeset.pdf(made[lang][0])) for lang in LANGUAGES}


@pytest.fixture
def tables(tmp_path):
    shutil.copytree(paths.RESULTS, tmp_path / "results")
    return tmp_path / "results"


def said(content):
    return " ".join(strings(content))


@pytest.mark.parametrize("lang", LANGUAGES)
class TestCombined:
    def test_has_a_guide_and_a_page_for_each_area(self, whole, lang):
        assert whole[lang].pages == 1 + len(AREAS)

    def test_says_that_it_is_accessible(self, whole, lang):
        pdf = whole[lang]
        assert "<pdfuaid:part>1</pdfuaid:part>" in pdf.xmp and pdf.marked and pdf.shows_title
        assert pdf.language.startswith(lang) and pdf.title == area_pages.texts(lang)["title"]
        assert pdf.dates == [] and all(pdf.fonts.values())

    def test_bookmarks_lead_to_every_area(self, whole, made, lang):
        names = results.read("02_area_bounds")
        column = "area_name_sv" if lang == "sv" else "area_name_fi"
        first = [title for level, title in whole[lang].bookmarks if level == 1]
        assert first[2:] == list(names.sort_values("area_id")[column])

    def test_headings_skip_no_level(self, whole, lang):
        levels = [int(r[1]) for r in whole[lang].roles if re.fullmatch(r"H[1-6]", r)]
        assert levels[0] == 1 and set(np.diff(levels)) <= {-1, 0, 1}

    def test_every_chart_speaks_with_numbers(self, whole, lang):
        alts = [tag.alt for tag in whole[lang].tags if tag.role == "Figure"]
        assert len(alts) == len(set(alts)) == len(AREAS)
        assert all(len(alt) <= 250 and len(re.findall(r"\d", alt)) >= 5 for alt in alts)

    def test_every_table_has_header_cells(self, whole, lang):
        assert whole[lang].roles.count("Table") == len(AREAS)
        assert whole[lang].roles.count("TH") == 4 * len(AREAS)


@pytest.mark.parametrize("lang", LANGUAGES)
class TestWords:
    def test_numbers_are_written_as_the_language_writes_them(self, made, lang):
        assert list(badly_written(made[lang][0])) == []

    def test_no_english_is_left_over(self, made, lang):
        if lang != "en":
            assert english_words(made[lang][0]) == []

    def test_an_area_without_a_figure_is_said_to_have_none(self, made, lang):
        words = area_pages.texts(lang)["backlog"]["known"]
        known = results.read("02_area_bounds").set_index("area_id")["known"]
        for area_id, page in made[lang][1].items():
            opening = words[known[area_id]].split("{")[0]
            assert opening in said(page), area_id

    def test_single_pages_hold_what_the_combined_one_holds(self, made, lang):
        combined = set(strings(made[lang][0]))
        for page in made[lang][1].values():
            lines = set(strings(page)) - {page["title"]}
            assert lines - combined == set() or lines - combined == {
                area_pages.texts(lang)["area"]["heading"]
            }


def test_single_pages_are_one_page_each_and_the_same_each_time(made, tmp_path):
    written = area_pages.build("sv", tmp_path)
    assert [p.name for p in written] == ["areas_sv.pdf"] + [f"area_{a}_sv.pdf" for a in AREAS]
    for path, page in zip(written[1:], made["sv"][1].values(), strict=True):
        content = path.read_bytes()
        assert len(PdfReader(io.BytesIO(content)).pages) == 1
        assert content == typeset.pdf(page)
    assert written[0].read_bytes() == typeset.pdf(made["sv"][0])


def test_a_single_page_is_accessible_too(made):
    pdf = pdf_reader.read(typeset.pdf(made["fi"][1]["KK17"]))
    assert pdf.title == "Seinäjoki–Ilmajoki: työllisyyden kuntakokeilu"
    assert pdf.roles.count("H1") == 6 and pdf.roles.count("Figure") == 1
    assert "<pdfuaid:part>1</pdfuaid:part>" in pdf.xmp


def test_windows_in_the_table_are_means_of_the_series_and_changes_their_difference(made):
    series = results.read("03_area_series").query("area_id == 'KK08'").set_index("month")
    base, last = series["2019-03":"2020-02"], series["2022-11":"2023-10"]
    change = last[["area", "comparison"]].mean() - base[["area", "comparison"]].mean()
    rows = blocks(made["en"][1]["KK08"], "table")[0]["rows"]
    shown = [float(cell.replace("−", "-")) for cell in rows[-1][1:]]
    expected = [*last[["area", "comparison"]].mean(), change["area"] - change["comparison"]]
    assert shown == pytest.approx(expected, abs=0.051)
    assert rows[0][-1] == "0.0"


def test_published_series_is_what_plain_arithmetic_gives():
    panel = pd.read_parquet(paths.PANEL)
    places = results.read("01_municipalities").set_index("municipality")
    force = panel[(panel["measure"] == "labour_force") & (panel["month"] == "2019-06-01")]
    force = force.set_index("municipality")["value"]
    people = panel[(panel["measure"] == "unemployed") & (panel["month"] == "2022-05-01")]
    people = people.set_index("municipality")["value"]
    own = places.index[places["area_id"] == "KK09"]  # Hämeenlinna, in Kanta-Häme
    near = places.index[(places["is_trial"] == 0) & (places["region_code"] == "05")]
    row = results.read("03_area_series").set_index(["area_id", "month"]).loc[("KK09", "2022-05-01")]
    assert row["n_controls"] == len(near) and row["controls"] == "same_region"
    for column, codes in (("area", own), ("comparison", near)):
        assert row[column] == pytest.approx(100 * people[codes].sum() / force[codes].sum())


def test_published_bounds_without_a_backlog_come_from_the_published_slope():
    made = results.read("04_area_without_backlog").set_index("area_id")
    effects = results.read("04_area_effects").set_index("area_id")["estimate"]
    slope = results.read("04_adjusted").set_index("spec").loc["sharp_slope"]
    own = results.read("02_area_bounds").set_index("area_id").loc["KK01"]
    corners = [
        s * b for s in slope[["bound_low", "bound_high"]] for b in own[["bound_low", "bound_high"]]
    ]
    assert made.loc["KK01", "bound_low"] == pytest.approx(effects["KK01"] - max(corners), abs=1e-6)
    assert made.loc["KK01", "bound_high"] == pytest.approx(effects["KK01"] - min(corners), abs=1e-6)
    assert list(made.index) == AREAS


def test_a_changed_number_changes_the_page(tables):
    effects = results.read("04_area_effects", tables)
    row = effects["area_id"] == "KK09"
    effects.loc[row, ["estimate", "ci_low", "ci_high"]] = -3.3, -4.4, -2.2
    results.write("04_area_effects", effects, tables)
    values = area_pages.area_values("fi", tables)[1]["KK09"]
    assert values["verdict"] == "lower" and values["estimate"] == -3.3


@pytest.mark.parametrize(("answered", "case"), [(0, "none"), (2, "some"), (3, "all")])
def test_returns_are_counted(tables, answered, case):
    profiles = results.read("area_profiles", tables)
    profiles.loc[profiles["area_id"] == "KK09", "municipalities_answered"] = answered
    results.write("area_profiles", profiles, tables)
    assert area_pages.area_values("fi", tables)[1]["KK09"]["answered"] == case


def test_what_comes_from_outside_is_never_markup(made, tables):
    odd = "Pori *x* #panic() $a$"
    bounds = results.read("02_area_bounds", tables)
    bounds.loc[bounds["area_id"] == "KK08", "area_name_fi"] = odd
    results.write("02_area_bounds", bounds, tables)
    values = area_pages.area_values("fi", tables)[1]["KK08"]
    chart = blocks(made["fi"][1]["KK08"], "figure")[0]
    parts = area_pages._page(area_pages.texts("fi"), values, chart, "fi", level=1)
    page = typeset.document("fi", values["name"], "", "", "", parts)
    assert odd in pdf_reader.read(typeset.pdf(page)).first_page()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_labels_of_the_chart_stay_inside_and_apart(lang):
    import matplotlib as mpl

    from kokeilu_analysis.report import figures
    from kokeilu_analysis.report.style import STYLE

    series, words = results.read("03_area_series"), area_pages.texts(lang)["series"]
    labels = figures.texts(lang)["common"]["labels"] | words
    say = figures.Words(lang, "", "", "", "", "", labels)
    with mpl.rc_context(STYLE):
        frame = area_chart._Frame(series, results.read("03_did"), say)
        last = series.groupby("area_id").last()
        closest = (last["area"] - last["comparison"]).abs().nsmallest(4).index
        for area_id in [*closest, last["area"].idxmax(), last["area"].idxmin()]:
            frame.place(series[series["area_id"] == area_id])
            frame.figure.draw_without_rendering()
            boxes = [label.get_window_extent() for label in frame.labels.values()]
            assert max(box.x1 for box in boxes) <= frame.figure.bbox.x1
            assert not boxes[0].overlaps(boxes[1])
        texts = [t for t in frame.axes.texts if t.get_text()]
        assert min(t.get_fontsize() for t in texts) >= 8
