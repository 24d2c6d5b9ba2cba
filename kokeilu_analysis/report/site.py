"""The rendered study: a static site from executed notebooks, exported figures and result tables.

Works from a file, without a network and without JavaScript. The same content gives the same bytes.
"""

from functools import cache, partial
from pathlib import Path

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.report import (
    chains,
    explorer,
    figure_tables,
    figures,
    memo,
    notebook_pages,
    numbers,
)
from kokeilu_analysis.workers import side_by_side

TEMPLATES = notebook_pages.TEMPLATES
LANGUAGES = (("fi", "suomi"), ("sv", "svenska"), ("en", "English"))
OPENING = "F4"  # the figure of the index page
FORMS = ("svg", "png")


texts = partial(figures.texts, of="site")  # its words in one language


def address(page, lang):
    """Return the file of a page: Finnish is the one that opens the site.

    >>> address("index", "fi"), address("index", "sv"), address("figures", "en")
    ('index.html', 'index-sv.html', 'figures-en.html')
    """
    if page in (
        "index",
        "notebook",
    ):  # notebooks have one language; their switch leads to the index
        return "index.html" if lang == "fi" else f"index-{lang}.html"
    return f"{page}-{lang}.html"


def render(
    origin,
    folder=paths.SITE,
    tables=paths.RESULTS,
    pictures=paths.FIGURES,
    notebooks=paths.NOTEBOOKS,
):
    """Write the site.

    Parameters
    ----------
    origin : callable
        Figure id → the chain of where the figure comes from, as `trace.chain` finds it.
    folder : path
        Where to; pages and files of an earlier site that this one does not have are removed.
    tables, pictures, notebooks : path
        Where the result tables, the exported figures and the executed notebooks are.

    Returns
    -------
    list of Path

    Raises
    ------
    KokeiluError
        A notebook is not executed, a result table or an exported figure is missing.
    """
    folder = Path(folder)
    found = sorted(Path(notebooks).glob("[0-9][0-9]_*.ipynb"))
    shown, books = _content(found, origin, tables, pictures)
    made = {name: (TEMPLATES / name).read_bytes() for name in ("style.css", "explorer.js")}
    for lang in numbers.LANGUAGES:
        made |= _pages(lang, shown[lang], books, tables)
    for number, book in enumerate(books):
        made[f"{book.stem}.html"] = _page(
            "notebook_page",
            "en",
            "notebook",
            book.title,
            book=book,
            body=_safe(book.body),
            previous=books[number - 1] if number else None,
            next=books[number + 1] if number + 1 < len(books) else None,
        )
        made |= book.pictures
    for table in (explorer.GRID, explorer.LEVELS):
        made[f"files/{table}.csv"] = (tables / f"{table}.csv").read_bytes()
    for figure_id in figures.register():
        for name in _files(figure_id):
            made[f"files/{name}"] = _exported(pictures / name)
    written = [store.write_bytes(folder / name, content) for name, content in made.items()]
    for old in {*folder.glob("*.html"), *folder.glob("files/*")} - set(written):
        old.unlink()
    return written


def _content(found, origin, tables, pictures):
    """Return the figures by language and the notebooks, made side by side."""
    with side_by_side(1) as pool:
        converting = pool.submit(notebook_pages.convert_all, found)
        shown = {
            lang: [_figure(i, lang, origin, tables, pictures) for i in figures.register()]
            for lang in numbers.LANGUAGES
        }
        return shown, converting.result()


def _pages(lang, shown, books, tables):
    """Return the three pages of a language: file → bytes."""
    words, page = texts(lang), partial(_page, lang=lang)
    opening = next((f for f in shown if f["id"] == OPENING), shown[0])
    return {
        address("index", lang): page(
            "index",
            page="index",
            title=words["page"]["title"],
            answer=memo.answer(lang, tables),
            opening=opening,
            notebooks=books,
        ),
        address("figures", lang): page(
            "figures", page="figures", title=words["figures"]["heading"], figures=shown
        ),
        address("explorer", lang): page(
            "explorer",
            page="explorer",
            title=words["explorer"]["heading"],
            **_marked(explorer.content(lang, words["explorer"], tables)),
        ),
    }


def _figure(figure_id, lang, origin, tables, pictures):
    """Return what the figures page shows of a figure."""
    said = figures.said(figure_id, lang, tables)
    name = figures.stem(figure_id, lang)
    picture = f"{name}.png"
    label = figures.texts(lang)["common"]["labels"]["figure"]
    return {
        "id": figure_id,
        "number": f"{label} {figure_id[1:]}",
        "said": said,
        "picture": f"files/{picture}",
        "size": notebook_pages.picture_size(_exported(pictures / picture)),
        "table": figure_tables.table(figure_id, said, texts(lang)["data"], pictures),
        "notebook": figures.register()[figure_id]["notebook"],
        "chain": chains.blocks(origin(figure_id), lang),
        "downloads": [
            {"href": f"files/{name}", "label": name.rpartition(".")[2].upper()}
            for name in (f"{name}.svg", picture, f"{figures.stem(figure_id)}.csv")
        ],
    }


def _files(figure_id):
    names = [figures.stem(figure_id, lang) for lang in numbers.LANGUAGES]
    pictures = [f"{name}.{form}" for name in names for form in FORMS]
    return [f"{figures.stem(figure_id)}.csv", *pictures]


def _exported(path):
    if not path.exists():
        raise DataError(
            paths.shown(path), "no such file", "an exported figure", advice="Run `kokeilu export`."
        )
    return path.read_bytes()


def _page(template, lang, page, title, **content):
    html, kind = _environment().get_template(f"{template}.html.j2"), store.origin(paths.PANEL)
    words, mark = texts(lang), figures.texts(lang)["common"]["origin"].get(kind)
    if mark:
        title = f"{mark['title']} {title}".strip()
    filled = html.render(
        lang=lang,
        page=page,
        title=title,
        words=words,
        origin=mark and mark["source"],
        data_text=words["index"]["data_text"][kind or "open"],
        **content,
    )
    return (filled.strip() + "\n").encode("utf-8")


def _marked(content):
    return content | {"grid": _safe(content["grid"])}


def _safe(text):
    """Mark text as HTML that is ours: the converted notebook, the script's data."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.globals |= {"address": address, "languages": LANGUAGES}
    return environment
