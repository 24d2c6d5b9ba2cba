"""The site works for everybody: from a file, by keyboard, on a phone, in three languages."""

import re
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from site_pages import chromium, pictures, rendered

from kokeilu_analysis import paths, trace
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import figures, memo, notebook_pages, numbers, site

STEMS = sorted(path.stem for path in paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
OWN = {
    site.address(page, lang): lang
    for page in ("index", "figures", "explorer")
    for lang in numbers.LANGUAGES
}
PAGES = OWN | {f"{stem}.html": "en" for stem in STEMS}
EVERY = pytest.mark.parametrize("name", PAGES)
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
# what one template makes alike is thinned out before the rules run over it, or they take minutes
ALIKE = (
    "tbody tr:nth-child(n+4)",
    "details.code ~ details.code ~ details.code",
    "section ~ section ~ section ~ section",
    ".notebook > p ~ p ~ p ~ p ~ p ~ p",
    ".notebook > .scroll ~ .scroll ~ .scroll",
)
THIN = "alike => document.querySelectorAll(alike).forEach(e => e.remove())"
OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"
ENGLISH = re.compile(r"\b(the|and|of|with|which|trial|without|interval|between|areas?)\b", re.I)


@cache
def text(name):
    return (rendered() / name).read_text(encoding="utf-8")


@cache
def soup(name):
    return BeautifulSoup(text(name), "lxml")


def keys(tree):
    """Names of a tree of texts, as dotted paths."""
    return {
        f"{name}.{below}" if below else name
        for name, entry in tree.items()
        for below in (keys(entry) if isinstance(entry, dict) else {""})
    }


# --- without a browser ------------------------------------------------------------------------


def test_every_page_is_there_and_no_other():
    assert {path.name for path in rendered().glob("*.html")} == set(PAGES)


@EVERY
def test_a_page_has_its_language_a_title_and_one_first_heading(name):
    page = soup(name)
    assert page.html["lang"] == PAGES[name]
    assert len(page.title.text) > 10 and len(page.find_all("h1")) == 1
    assert page.find("meta", attrs={"name": "viewport"})


def test_no_two_pages_have_the_same_title():
    assert len({soup(name).title.text for name in PAGES}) == len(PAGES)


@EVERY
def test_headings_skip_no_level(name):
    levels = [int(h.name[1]) for h in soup(name).find_all(re.compile(r"^h[1-6]$"))]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


@EVERY
def test_every_picture_says_what_it_shows_and_is_there(name):
    for picture in soup(name).find_all("img"):
        assert len(picture["alt"]) > 40
        assert (rendered() / picture["src"]).is_file()
        assert picture["width"] and picture["height"]


@EVERY
def test_nothing_is_fetched_and_no_outside_address_stands_in_a_page(name):
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:)?//", text(name))
    assert "MathJax" not in text(name) and "require.js" not in text(name)


def test_style_and_script_fetch_nothing():
    for name in ("style.css", "explorer.js"):
        assert not re.search(r"//\w+\.\w|url\(|import|fetch|XMLHttp", text(name))


@EVERY
def test_every_link_and_anchor_resolves(name):
    for link in soup(name).find_all(["a", "link", "script"]):
        target = link.get("href") or link.get("src")
        if target is None or target.startswith("data:"):
            continue
        parts = urlsplit(target)
        there = unquote(parts.path) or name
        assert (rendered() / there).is_file(), target
        if parts.fragment:
            assert soup(there).find(id=unquote(parts.fragment)), target


@EVERY
def test_no_id_is_used_twice(name):
    ids = [tag["id"] for tag in soup(name).find_all(id=True)]
    assert len(ids) == len(set(ids))


@EVERY
def test_tables_have_captions_header_scopes_and_scroll_by_keyboard(name):
    for table in soup(name).find_all("table"):
        assert len(table.caption.text) > 5
        assert all(cell.get("scope") in ("col", "row") for cell in table.find_all("th"))
        assert table.thead.find("th")
        assert table.parent["role"] == "region" and table.parent["tabindex"] == "0"


def test_notebooks_keep_their_code_folded_and_their_order():
    for number, stem in enumerate(STEMS):
        page = soup(f"{stem}.html")
        code = [d for d in page.find_all("details", class_="code") if not d.has_attr("open")]
        assert len(code) >= 3 and "import" in code[0].text
        around = {a["rel"][0]: a["href"] for a in page.find_all("a", rel=True)}
        expected = {}
        if number:
            expected["prev"] = f"{STEMS[number - 1]}.html"
        if number + 1 < len(STEMS):
            expected["next"] = f"{STEMS[number + 1]}.html"
        assert around == expected


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_the_index_opens_with_the_answer_and_lists_every_notebook_section(lang):
    page = soup(site.address("index", lang))
    assert [li.text for li in page.find("ol", class_="answer").find_all("li")] == memo.answer(lang)
    linked = {a["href"] for a in page.find("table").find_all("a")}
    for stem in STEMS:
        sections = {f"{stem}.html#{h['id']}" for h in soup(f"{stem}.html").find_all("h2")}
        assert {f"{stem}.html"} | sections <= linked
    if lang != "en":
        assert set(site.texts(lang)["notebooks"]) == set(STEMS)


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_every_figure_has_words_numbers_files_and_the_chain_to_its_source(lang):
    page = soup(site.address("figures", lang))
    for figure_id in figures.register():
        section, said = page.find(id=figure_id).parent, figures.said(figure_id, lang)
        assert said.headline in section.h2.text and section.img["alt"] == said.alt
        assert said.note in section.figcaption.text and said.source in section.figcaption.text
        chain = section.find(class_="chain").text
        for link in (*figures.tables(figure_id), figures.register()[figure_id]["notebook"]):
            assert link in chain
        assert len(section.find_all("tr")) >= 3
        files = [a["href"] for a in section.find(class_="downloads").find_all("a")]
        assert files == [
            f"files/{figure_id}{end}" for end in (f"_{lang}.svg", f"_{lang}.png", ".csv")
        ]


def test_downloads_are_the_exported_files():
    for figure_id in figures.register():
        for name in site._files(figure_id):
            assert (rendered() / "files" / name).read_bytes() == (pictures() / name).read_bytes()


def test_the_three_languages_have_words_for_the_same_things():
    trees = {lang: keys(site.texts(lang)) for lang in numbers.LANGUAGES}
    names = {"municipality_name_fi", "municipality_name_sv"}  # each language has its own column
    trees = {
        lang: {k for k in tree if k.split(".")[-1] not in names and not k.startswith("notebooks")}
        for lang, tree in trees.items()
    }
    assert trees["fi"] == trees["sv"] == trees["en"]


@pytest.mark.parametrize("name", [n for n, lang in OWN.items() if lang != "en"])
def test_no_english_is_left_in_finnish_and_swedish_pages(name):
    page = BeautifulSoup(text(name), "lxml")
    for tag in page.find_all(["script", "style"]) + page.find_all(lang="en"):
        tag.decompose()
    for tag in page.find_all(class_="chain"):  # names of files
        tag.decompose()
    words = page.get_text(" ")
    assert not ENGLISH.findall(words)
    assert not re.search(r"\b[a-z]+_[a-z]\w*", words.replace("explorer_grid", "")) or (
        set(re.findall(r"\b\d\d_[a-z_]+", words)) <= set(STEMS)
    )


@pytest.mark.parametrize("name", [n for n, lang in OWN.items() if lang != "en"])
def test_numbers_are_written_as_finnish_and_swedish_write_them(name):
    page = BeautifulSoup(text(name), "lxml")
    for tag in page.find_all(["script", "style", "svg"]) + page.find_all(lang="en"):
        tag.decompose()
    words = page.get_text(" ").replace("CC BY 4.0", "")
    words = re.sub(r"\b\d{1,2}\.\d{1,2}\.\d{4}", "", words)  # dates
    assert not re.search(r"\d\.\d", words)
    assert not re.search(r"\d %|\d%|\d \d{3}\b(?! )", words.replace("\n", " | "))
    assert not re.search(r"(?<![\w/–-])-\d", words)


def test_rendering_again_gives_the_same_bytes_and_names_no_machine(tmp_path):
    site.render(trace.chain, tmp_path, pictures=pictures())
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    first = rendered()
    assert made == sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    for path in made:
        content = (tmp_path / path).read_bytes()
        assert content == (first / path).read_bytes(), path
        if path.suffix in (".html", ".css", ".js"):
            assert not re.search(rb"(?:/root|/home|/Users|/tmp|/work)/", content), path


def test_a_page_of_an_earlier_site_is_removed_and_other_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "_content", lambda *a: ({lang: [] for lang in numbers.LANGUAGES}, []))
    monkeypatch.setattr(site, "_pages", lambda lang, *a: {site.address("index", lang): b"page"})
    for name in ("07_gone.html", "notes.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    site.render(trace.chain, tmp_path, pictures=pictures())
    assert not (tmp_path / "07_gone.html").exists() and (tmp_path / "notes.txt").exists()


def book(outputs, executed=1):
    cell = {
        "cell_type": "code",
        "execution_count": executed,
        "metadata": {},
        "outputs": outputs,
        "source": "figures.show('F1')",
    }
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (book([], executed=None), "not executed"),
        (
            book(
                [{"output_type": "display_data", "data": {"image/png": "AAAA"}, "metadata": {}}],
            ),
            "without alt text",
        ),
        (book([]), "headings of level 1"),
    ],
)
def test_a_notebook_that_readers_could_not_use_is_refused(content, says, tmp_path):
    import json

    path = tmp_path / "01_a.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(KokeiluError, match=says):
        notebook_pages.convert_all([path])


def test_a_missing_figure_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(KokeiluError, match=r"F1_fi\.png.*kokeilu export"):
        site._exported(tmp_path / "F1_fi.png")


# --- in a browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab():
    """A page of a headless browser that notes errors and every address asked for."""
    context = chromium().new_context()
    page = context.new_page()
    page.errors, page.asked = [], []
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


@EVERY
def test_a_page_loads_alone_fits_phone_and_desktop_and_breaks_no_accessibility_rule(tab, name):
    from axe_playwright_python.sync_playwright import Axe

    tab.errors.clear(), tab.asked.clear()
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto((rendered() / name).as_uri())
    assert not tab.errors
    assert all(url.startswith(("file:", "data:")) for url in tab.asked)
    tab.evaluate(OPEN)
    width = "document.documentElement.scrollWidth"
    assert tab.evaluate(width) <= 390
    tab.set_viewport_size({"width": 1280, "height": 900})
    assert tab.evaluate(width) <= 1280
    tab.evaluate(THIN, ", ".join(ALIKE))
    for scheme, rules in (("light", {}), ("dark", COLOURS)):
        tab.emulate_media(color_scheme=scheme)
        options = {"resultTypes": ["violations"]} | rules
        found = Axe().run(tab, options=options).response["violations"]
        worst = [
            (v["id"], scheme, v["nodes"][0]["html"][:200])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert not worst
    tab.emulate_media(color_scheme="light")


def test_a_printed_page_leaves_out_what_paper_cannot_use(tab):
    tab.goto((rendered() / f"{STEMS[0]}.html").as_uri())
    tab.emulate_media(media="print")
    assert not tab.locator("header nav").first.is_visible()
    assert tab.locator("h1").is_visible() and tab.locator("main img").first.is_visible()
    tab.emulate_media(media="screen")


# --- made from a register -------------------------------------------------------------------------


def index_of(lang):
    picture = {"picture": "p.png", "size": (1, 1), "number": "1", "id": "F4"}
    opening = picture | {"said": figures.said("F4", lang)}
    title = site.texts(lang)["page"]["title"]
    page = site._page("index", lang, "index", title, answer=[], opening=opening, notebooks=[])
    return page.decode("utf-8")


REAL = {"fi": "Todellinen aineisto", "sv": "Verkliga uppgifter", "en": "Real data"}


@pytest.mark.parametrize("lang", REAL)
def test_only_a_site_of_open_data_says_that_nothing_is_simulated(lang, monkeypatch):
    mark = figures.texts(lang)["common"]["origin"]["simulated"]
    opened = index_of(lang)
    assert REAL[lang] in opened and mark["source"] not in opened
    monkeypatch.setattr(site.store, "origin", lambda panel: "register")
    register = index_of(lang)
    assert REAL[lang] not in register and "<title>" + mark["title"] not in register
    monkeypatch.setattr(site.store, "origin", lambda panel: "simulated")
    simulated = index_of(lang)
    assert REAL[lang] not in simulated and mark["source"] in simulated
    assert f"<title>{mark['title']}" in simulated


def test_files_of_a_simulated_site_say_so_in_their_names(monkeypatch):
    monkeypatch.setattr(site.store, "origin", lambda panel: "simulated")
    assert all(name.startswith("simulated_F7") for name in site._files("F7"))
    path = paths.NOTEBOOKS / "03_trial_vs_control.ipynb"
    found = notebook_pages.convert(path).pictures
    assert found and all(name.startswith("files/simulated_03_") for name in found)
