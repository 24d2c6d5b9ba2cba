"""The pack: memo, area pages, figures and data of one language in one file that explains itself.

The same content gives the same bytes: order, dates, rights and the way of storing are fixed, and
nothing is compressed, because compressed bytes depend on the version of zlib.
"""

import hashlib
import io
import textwrap
import zipfile
from functools import partial
from pathlib import Path

from kokeilu_analysis import __version__, paths, results, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.report import figures, memo, numbers, wording

README, SUMS, LICENCE = "README.txt", "SHA256SUMS.txt", "LICENSE.txt"
FORMS = ("{}_{}.svg", "{}_{}.png", "{}_{}_esitys.png", "{}.csv")  # of a figure, as exported
RIGHTS = 0o100644 << 16  # a plain file that everyone may read
UNIX = 3


texts = partial(figures.texts, of="pack")  # its words in one language


def build(lang, tables, vintages, folder=paths.REPORTS, data=paths.RESULTS):
    """Write the pack of a language from what was exported.

    Parameters
    ----------
    lang : {"fi", "sv", "en"}
    tables : iterable of str
        Names of the result tables that memo, area pages and figures rest on.
    vintages : iterable of str
        Dates of the table states that the panel is made of, such as ``"2023-12-05"``; the newest
        is the date that every file of the pack bears.
    folder : path
        Where memo, area pages and the folder of figures are, and where the pack goes.
    data : path
        Where the result tables are.

    Returns
    -------
    Path
        ``kokeilu-<lang>.zip`` in `folder`; untouched if its bytes would be the same.

    Raises
    ------
    DataError
        A file of the pack has not been exported.
    """
    names = _names(lang, sorted(tables), data)
    found = {name: _exported(Path(folder) / path) for name, path in names.items()}
    found[LICENCE] = (paths.RAW.parent / "LICENSE").read_bytes()
    found[README] = _readme(lang, found, sorted(vintages), data).encode("utf-8")
    found[SUMS] = sums(found).encode("utf-8")
    stamp = tuple(int(part) for part in max(vintages).split("-"))
    return store.write_bytes(
        Path(folder) / f"kokeilu-{lang}.zip", _zipped(found, f"kokeilu-{lang}", stamp)
    )


def sums(files):
    """Return the list of contents as ``sha256sum --check`` reads it.

    Parameters
    ----------
    files : dict
        Name → bytes.

    Examples
    --------
    >>> sums({"b.txt": b"", "a.txt": b"a"}).splitlines()[1][:12], sums({"b.txt": b""})[-6:]
    ('e3b0c44298fc', 'b.txt\\n')
    """
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))


def _names(lang, tables, data):
    """Return what goes in: name in the pack → path below the folder of reports, or from root."""
    places = texts(lang)["folders"]
    areas = sorted(results.read("area_profiles", data)["area_id"])
    names = {f"{document}_{lang}.pdf": f"{document}_{lang}.pdf" for document in ("memo", "areas")}
    for name in (f"area_{area}_{lang}.pdf" for area in areas):
        names[f"{places['areas']}/{name}"] = name
    for name in (form.format(i, lang) for i in figures.register() for form in FORMS):
        names[f"{places['figures']}/{name}"] = f"{paths.FIGURES.name}/{name}"
    return names | {f"{places['data']}/{t}.csv": Path(data) / f"{t}.csv" for t in tables}


def _exported(path):
    if not path.is_file():
        raise DataError(
            paths.shown(path), "no such file", "an exported file", advice="Run `kokeilu export`."
        )
    return path.read_bytes()


def _readme(lang, files, vintages, data):
    """Return what the pack is and holds, in lines that every program shows whole.

    Windows programs of some age take a text for UTF-8 only if it begins with the mark, and know no
    other end of line than their own.
    """
    words = texts(lang)
    places = words["folders"]
    shown = [numbers.day(v, lang) for v in vintages]
    values = {
        "version": __version__,
        "vintages": wording.listed(shown, lang),
        "sums": SUMS,
        "licence": LICENCE,
        "lang": lang,
        **{f"in_{key}": f"{name}/" for key, name in places.items()},
        **{f"n_{k}": sum(f.startswith(f"{v}/") for f in files) for k, v in places.items()},
        "n_figures": len(figures.register()),
    }
    say = partial(numbers.fill, values=values, lang=lang)
    label = figures.texts(lang)["common"]["labels"]["figure"]
    pictures = [
        f"{label} {i[1:]}. {figures.said(i, lang, data).headline}" for i in figures.register()
    ]
    blocks = [
        [words["title"], "=" * len(words["title"])],
        *([line] for line in map(say, words["about"])),
        [words["answer"]],
        *(["- " + line] for line in memo.answer(lang, data)),
        [words["contents"]],
        ["- " + say(line) for line in words["items"]],
        [words["figures"]],
        ["- " + line for line in pictures],
        *([say(line)] for line in words["more"]),
    ]
    return "\ufeff" + "\r\n\r\n".join("\r\n".join(_wrapped(block)) for block in blocks) + "\r\n"


def _wrapped(lines):
    for line in lines:
        yield from textwrap.wrap(
            line,
            78,
            subsequent_indent="  " if line.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _zipped(files, top, stamp):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as pack:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{name}", date_time=(*stamp, 0, 0, 0))
            entry.create_system, entry.external_attr = UNIX, RIGHTS
            pack.writestr(entry, files[name])
    return buffer.getvalue()
