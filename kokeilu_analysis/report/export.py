"""The figures as files: every form, every language, made again only when something has changed."""

from pathlib import Path

from kokeilu_analysis import made, paths, results, store
from kokeilu_analysis.report import disclosure, numbers
from kokeilu_analysis.report.figures import draw, image, register, slide, stem
from kokeilu_analysis.workers import side_by_side

MADE = "made.json"  # what the files of a folder were made from, and their checksums


def figures(folder=paths.FIGURES, tables=paths.RESULTS, workers=2):
    """Export every figure in every language: SVG, PNG, PNG for slides, and CSV of what is drawn.

    Names of files made from simulated data begin with ``simulated_``.

    Nothing is drawn when the files are those of the last export and its data, code, words and
    lock are unchanged, all by content.

    Parameters
    ----------
    folder : path
        Where to; a figure that the register no longer has is removed.
    tables : path
        Where the result tables are.
    workers : int
        Processes that draw side by side; the files do not depend on it.

    Returns
    -------
    list of Path
    """
    disclosure.require()  # a notebook comes here without `kokeilu`
    key, stamp = content_key(tables), folder / MADE
    written = made.kept(stamp, key) or _drawn(folder, tables, workers)
    made.keep(stamp, key, written)
    if folder == paths.FIGURES and not store.origin(paths.PANEL):  # README shows open data
        for name in (f"{i}_en.png" for i, entry in register().items() if entry.get("readme")):
            store.write_bytes(paths.README_FIGURES / name, (folder / name).read_bytes())
    return written


def _drawn(folder, tables, workers):
    todo = [(i, lang, folder, tables) for i in register() for lang in numbers.LANGUAGES]
    with side_by_side(workers) as pool:
        done = list(pool.map(_export_one, *zip(*todo, strict=True)))
    written = [path for files in done for path in files]
    old_names = ("F[0-9]*", "simulated_F[0-9]*")
    for old in {path for name in old_names for path in folder.glob(name)} - set(written):
        old.unlink()
    return written


def content_key(tables=paths.RESULTS):
    """Return a digest of all that decides how the figures look: tables, code, words, lock."""
    own = [p for p in Path(__file__).parent.rglob("*") if p.suffix in (".py", ".toml")]
    files = [*tables.glob("*.csv"), *own, results.__file__, store.__file__, paths.LOCK]
    return made.key(files, store.origin(paths.PANEL))  # titles and sources name it


def _export_one(figure_id, lang, folder, tables):
    figure, drawn, said = draw(figure_id, lang, tables)
    base, png = folder / stem(figure_id, lang), image(figure, "png", said)
    written = [
        store.write_bytes(base.with_suffix(".png"), png),
        store.write_bytes(base.with_suffix(".svg"), image(figure, "svg", said)),
        store.write_bytes(
            base.with_name(f"{base.name}_esitys.png"), image(slide(png, said), "png", said)
        ),
    ]
    if lang == "en":  # numbers have no language: one table a figure
        written.append(store.write_csv(folder / f"{stem(figure_id)}.csv", drawn))
    return written
