"""The figures as drawn: size, type, place of every text, data, colours, and the same bytes."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from drawn import AS_PNG, IDS, LANGUAGES, drawn, marks, tables, values

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.report import export, figures, style

BARE = pytest.mark.parametrize("lang", LANGUAGES)
EACH = pytest.mark.parametrize("figure_id", IDS)
TITLED = pytest.mark.parametrize("titled", [False, True], ids=["bare", "titled"])
POINTS_PER_MM = 72 / 25.4
DRAWN = ["estimate", "ci_low", "ci_high", "bound_low", "bound_high", "mean", "centre_lon"]
DRAWN += ["centre_lat", "gain_worst", "gain_mean", "gain_best"]
SVG = "{http://www.w3.org/2000/svg}"


# Every text on the page.


@EACH
@BARE
@TITLED
def test_no_text_is_small_turned_or_outside_the_page(figure_id, lang, titled):
    page = drawn(figure_id, lang, titled)
    assert page.texts
    for t in page.texts:
        assert t.size >= 8, t.text
        assert t.turn == 0, t.text
        assert t.x0 >= -0.5 and t.x1 <= page.width + 0.5, t.text
        assert t.y0 >= -0.5 and t.y1 <= page.height + 0.5, t.text


@EACH
@BARE
@TITLED
def test_no_two_texts_overlap(figure_id, lang, titled):
    near = 0.5  # points; boxes hold the room of a letter's tail, which touches nothing
    meeting = [
        (one.text, other.text)
        for one, other in itertools.combinations(drawn(figure_id, lang, titled).texts, 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > near
        and min(one.y1, other.y1) - max(one.y0, other.y0) > near
    ]
    assert meeting == []


@EACH
@BARE
def test_drawn_numbers_have_the_marks_of_their_language(figure_id, lang):
    for t in drawn(figure_id, lang).texts:
        assert not re.search(r"(?<!\w)-\d", t.text), t.text
        wrong = r"\d,\d(?!\d\d)|\d[ \u00a0]%" if lang == "en" else r"\d\.\d|\d ?%"
        assert not re.search(wrong, t.text), t.text


@EACH
@BARE
def test_only_the_version_for_slides_carries_its_headline(figure_id, lang):
    bare, titled = (
        " ".join(t.text for t in drawn(figure_id, lang, way).texts) for way in (False, True)
    )
    first = drawn(figure_id, lang).said.headline.split(" ")[:3]
    assert " ".join(first) in titled
    assert " ".join(first) not in bare
    assert drawn(figure_id, lang).said.source.split(" ")[0] in titled


# Size and files.


@EACH
def test_the_page_is_159_millimetres_wide_and_as_high_as_the_register_says(figure_id):
    page = drawn(figure_id, "fi")
    assert page.width == pytest.approx(159 * POINTS_PER_MM)
    height = figures.register()[figure_id]["height_mm"]
    assert height in (100, 140, 190)  # one message, a forest or several panels, a whole page
    assert page.height == pytest.approx(height * POINTS_PER_MM)
    root = ElementTree.fromstring(page.svg)
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(page.width, abs=0.01)
    slide = drawn(figure_id, "fi", titled=True)
    assert slide.width == pytest.approx(page.width) and slide.height > page.height


@EACH
@BARE
def test_svg_speaks_its_language_and_holds_its_alt_text_and_live_text(figure_id, lang):
    page = drawn(figure_id, lang)
    root = ElementTree.fromstring(page.svg)
    assert (root.get("role"), root.get("lang")) == ("img", lang)
    assert root.find(f"{SVG}title").text == page.said.headline
    assert root.find(f"{SVG}desc").text == page.said.alt
    live = {t.text for t in root.iter(f"{SVG}text")}
    lines = {line for t in page.texts for line in t.text.split("\n")}
    assert lines <= live


@EACH
@BARE
def test_svg_tells_nothing_of_clock_program_or_machine(figure_id, lang):
    svg = drawn(figure_id, lang).svg
    assert not re.search(r"dc:date|dc:creator|file:|/home|/tmp|/usr", svg)
    assert str(paths.ROOT) not in svg
    assert set(re.findall(r"font(?:-family)?: [^;\"]*?'([^']+)'", svg)) == {"DejaVu Sans"}


@EACH
def test_a_second_drawing_has_the_same_bytes(figure_id):
    first = drawn(figure_id, "fi")
    figure, frame, said = figures.draw(figure_id, "fi")
    assert frame.equals(first.frame) and said == first.said
    assert figures.image(figure, "svg", said).decode() == first.svg
    if figure_id in AS_PNG:
        assert figures.image(figure, "png", said) == first.png


@pytest.mark.parametrize("figure_id", AS_PNG)
def test_png_has_200_dots_an_inch_and_nothing_of_clock_or_program(figure_id):
    png = drawn(figure_id, "fi").png
    size = [int.from_bytes(png[k : k + 4]) for k in (16, 20)]
    millimetres = np.array([159, figures.register()[figure_id]["height_mm"]])
    assert np.allclose(size, 200 / 25.4 * millimetres, atol=1)
    assert b"Software" not in png and b"tIME" not in png


# Data.


@EACH
def test_every_drawn_row_is_a_row_of_the_result_tables(figure_id):
    frame, covered = drawn(figure_id, "en").frame, set()
    assert len(frame)
    for table in tables(figure_id).values():
        shared = [c for c in frame if c in table and set(texts(frame[c])) <= set(texts(table[c]))]
        covered |= set(shared)
        rows = set(zip(*(texts(table[c]) for c in shared), strict=True))
        assert set(zip(*(texts(frame[c]) for c in shared), strict=True)) <= rows
    assert covered == set(frame.columns)


def texts(column):
    return column.astype(object).map(str).tolist()


@EACH
@BARE
def test_numbers_beside_the_figure_are_those_drawn(figure_id, lang):
    page = drawn(figure_id, lang)
    coordinates = np.array(marks(page.figure))
    columns = [c for c in DRAWN if c in page.frame]
    assert columns
    for column in columns:
        value = page.frame[column].dropna().to_numpy(dtype=float)
        distances = [
            np.abs(scale * value[:, None] - coordinates[None]).min(axis=1).max(initial=0)
            for scale in (1, 100)  # shares are drawn in per cent
        ]
        assert min(distances) < 1e-9, column


@EACH
def test_the_numbers_do_not_depend_on_the_language(figure_id):
    finnish, english = (drawn(figure_id, lang).frame for lang in ("fi", "en"))
    same = [c for c in english if c in finnish]
    assert english[same].equals(finnish[same])
    assert set(english.columns) ^ set(finnish.columns) <= {"area_name_fi", "area_name_sv"}


def test_lines_of_the_groups_follow_their_table_and_keep_their_roles():
    axes = drawn("F3", "en").figure.axes[0]
    means = tables("F3")["03_group_means"]
    roles = {"trial": (style.NAVY, "-"), "control": (style.ORANGE, "--")}
    for group, look in roles.items():
        line = next(x for x in axes.lines if x.get_color() == look[0])
        assert line.get_linestyle() == look[1]
        part = means[means["group"] == group]
        assert np.array_equal(line.get_ydata(), part["mean"])
        assert len(line.get_xdata()) == part["month"].nunique()


@pytest.mark.parametrize("figure_id", ["F4", "F5", "F8", "F9"])
def test_an_estimate_is_never_drawn_without_its_interval(figure_id):
    frame = drawn(figure_id, "en").frame
    shown = frame[frame["estimate"].notna()]
    assert len(shown) and shown[["ci_low", "ci_high"]].notna().all().all()
    assert (shown["ci_low"] <= shown["estimate"]).all()
    assert (shown["estimate"] <= shown["ci_high"]).all()


@pytest.mark.parametrize("figure_id", ["F3", "F4", "F6"])
@BARE
def test_the_start_of_the_trial_is_marked_in_words(figure_id, lang):
    start = figures.texts(lang)["common"]["labels"]["start"]
    assert start in [t.text for t in drawn(figure_id, lang).texts]


def test_main_row_of_a_forest_comes_first():
    for figure_id, name in (("F5", "03_did"), ("F9", "05_robustness")):
        table = tables(figure_id)[name]
        assert drawn(figure_id, "en").frame["spec"].iloc[0] == table.query("is_main")["spec"].item()


def test_headline_numbers_are_those_of_the_main_row():
    did = tables("F4")["03_did"].query("is_main").iloc[0]
    for figure_id in ("F3", "F4", "F5", "F9"):
        given = values(figure_id)
        assert [given[k] for k in ("estimate", "ci_low", "ci_high")] == pytest.approx(
            did[["estimate", "ci_low", "ci_high"]].astype(float).tolist(), abs=1e-9
        )


# Colours.


def luminance(color):
    """Relative luminance of WCAG 2."""
    channels = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def lightness(color):
    """L* of CIE Lab, 0 black to 100 white."""
    return 116 * luminance(color) ** (1 / 3) - 16


def contrast(color):
    return 1.05 / (luminance(color) + 0.05)


def test_trial_and_control_stay_apart_in_grey_print():
    assert abs(lightness(style.NAVY) - lightness(style.ORANGE)) >= 30


def test_marks_and_texts_stand_out_from_the_page():
    for mark in (style.NAVY, style.ORANGE, style.DARK, style.EDGE):
        assert contrast(mark) >= 3, mark
    for text in (style.NAVY, style.ORANGE_TEXT, style.DARK):
        assert contrast(text) >= 4.5, text


# What goes wrong, and what is written.


def test_a_figure_or_language_that_is_not_there_names_those_that_are():
    for figure_id, lang in (("F99", "en"), ("F4", "de")):
        with pytest.raises(KokeiluError, match="F4.*fi, sv, en"):
            figures.draw(figure_id, lang)


def test_a_figure_without_its_table_names_the_table(tmp_path):
    with pytest.raises(DataError, match="03_.*kokeilu notebooks"):
        figures.draw("F4", "en", tmp_path)


def test_an_export_writes_every_form_and_an_unchanged_one_writes_nothing(tmp_path, monkeypatch):
    def again(figure_id, lang, folder=None):
        page = drawn(figure_id, lang)
        return page.figure, page.frame, page.said

    monkeypatch.setattr(export, "draw", again)
    written = export._export_one("F4", "en", tmp_path, paths.RESULTS)
    names = ["F4.csv", "F4_en.png", "F4_en.svg", "F4_en_esitys.png"]
    assert sorted(p.name for p in written) == names
    stamps = {p: p.stat().st_mtime_ns for p in written}
    export._export_one("F4", "en", tmp_path, paths.RESULTS)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == stamps
    assert (tmp_path / "F4.csv").read_text("utf-8").startswith("post,event_month,estimate")


@BARE
def test_a_figure_in_a_notebook_carries_its_alt_text(monkeypatch, lang):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *a, **k: shown.append((a, k)))
    monkeypatch.setattr(
        figures, "draw", lambda i, g: (drawn(i, g).figure, drawn(i, g).frame, drawn(i, g).said)
    )
    figures.show("F5", lang)
    said = drawn("F5", lang).said
    heading, (bundle, options), note = shown[0][0][0].data, shown[1], shown[2][0][0].data
    assert said.headline in heading and said.subtitle in heading
    assert options["metadata"]["image/png"]["alt"] == said.alt
    assert bundle[0]["text/plain"] == said.alt
    assert said.note in note and said.source in note
