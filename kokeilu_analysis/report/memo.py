"""The memo: what was asked, the answer, the figures with their numbers, what to ask next.

Words are in ``texts/memo_*.toml``, the choice of figures and the references in ``memo.toml``;
every number comes from the result tables.
"""

import tomllib
from functools import cache, partial
from pathlib import Path

from kokeilu_analysis import paths, results, store
from kokeilu_analysis.report import figures, memo_tables, numbers, typeset, wording


@cache
def register():
    """Return ``memo.toml``: figures in order, length of the list of replies, references."""
    return tomllib.loads((Path(__file__).parent / "memo.toml").read_text(encoding="utf-8"))


texts = partial(figures.texts, of="memo")  # its words in one language


def build(lang, folder=paths.REPORTS, tables=paths.RESULTS):
    """Write the memo in one language as tagged PDF (PDF/UA-1).

    Parameters
    ----------
    lang : {"fi", "sv", "en"}
    folder : path
        Where to.
    tables : path
        Where the result tables are.

    Returns
    -------
    Path
        ``memo_<lang>.pdf`` in `folder`; untouched if its bytes would be the same.
    """
    return store.write_bytes(Path(folder) / f"memo_{lang}.pdf", typeset.pdf(content(lang, tables)))


def content(lang, tables=paths.RESULTS):
    """Return the memo as `typeset.document` content, every number in its place."""
    words = texts(lang)
    values = wording.study(lang, tables) | {"n_shown": register()["replies_shown"]}

    def say(entry):
        return wording.sentence(entry, values, lang)

    parts = [
        typeset.part(words["asked"]["heading"], typeset.text(say(words["asked"]["text"]))),
        typeset.part(
            words["answer"]["heading"],
            typeset.answer(_answer(words["answer"], values, lang)),
            _glance(words["glance"], say, values, lang),
        ),
        _sure(words["sure"], say),
        _cannot(words["cannot"], say),
        _ask(words["ask"], say, lang, tables),
        *_figures(words, say, lang, tables),
        *_method(words["method"], say),
        _references(words["references"], lang),
    ]
    head = (say(words[key]) for key in ("title", "subtitle", "running", "description"))
    return typeset.document(lang, *head, parts)


def answer(lang, tables=paths.RESULTS):
    """Return the answer in three sentences: comparison, starting backlog, without a backlog."""
    return _answer(texts(lang)["answer"], wording.study(lang, tables), lang)


def _answer(words, values, lang):
    return wording.sentences([words[k] for k in ("effect", "backlog", "adjusted")], values, lang)


def _glance(words, say, values, lang):
    def cell(value):
        return numbers.number(value, 1, lang)

    def span(name):
        return numbers.interval(values[f"{name}low"], values[f"{name}high"], 1, lang)

    known, open_ = words["interval"], words["bounds"]
    rows = [
        [words["effect"], cell(values["estimate"]), span("ci_"), known],
        [words["areas"], numbers.MISSING, span("f2_mean_"), open_],
        [words["customers"], numbers.MISSING, span("customers_"), open_],
        [words["middle"], cell(values["f8_middle"]), span("f8_middle_"), known],
        [words["zero"], numbers.MISSING, span("f8_zero_"), open_],
        [words["zero_set"], numbers.MISSING, span("zero_"), known],
    ]
    return typeset.table(words["caption"], words["head"], rows, "lrrl", say(words["note"]))


def _figures(words, say, lang, tables):
    label = figures.texts(lang)["common"]["labels"]["figure"]
    intro = typeset.text(say(words["figures"]["intro"]))
    parts = [typeset.part(words["figures"]["heading"], intro, new_page=True)]
    for figure_id in register()["figures"]:
        figure, drawn, said = figures.draw(figure_id, lang, tables)
        picture = typeset.picture(
            figures.image(figure, "svg", said),
            said.alt,
            said.subtitle,
            f"{said.note} {said.source}",
        )
        sheet = memo_tables.table(figure_id, drawn, said, words["tables"])
        heading = f"{label} {figure_id[1:]}. {said.headline}"
        parts.append(typeset.part(heading, picture, sheet, level=2))
    return parts


def _sure(words, say):
    points = typeset.bullets(
        say(entry) for entry in (*words["items"], words["methods"], words["chance"])
    )
    change = typeset.text(say(words["change"]))
    return typeset.part(words["heading"], typeset.text(say(words["intro"])), points, change)


def _cannot(words, say):
    points = [say(entry) for entry in (*words["items"], words["controls"])]
    return typeset.part(words["heading"], typeset.bullets(points))


def _ask(words, say, lang, tables):
    first = results.read("04_replies", tables).sort_values("rank").head(register()["replies_shown"])
    names = wording.area_names(lang, tables)
    rows = [
        [
            str(row.rank),
            names[row.area_id],
            numbers.interval(100 * row.bound_low, 100 * row.bound_high, 1, lang),
            numbers.number(row.gain_mean, 2, lang),
            numbers.interval(row.gain_worst, row.gain_best, 2, lang),
        ]
        for row in first.itertuples()
    ]
    return typeset.part(
        words["heading"],
        typeset.text(say(words["intro"])),
        typeset.table(words["caption"], words["head"], rows, "rlrrr", say(words["note"])),
        typeset.bullets(say(entry) for entry in words["items"]),
        typeset.text(say(words["returns"])),
    )


def _method(words, say):
    first, *others = words["parts"]
    opening = typeset.part(words["heading"], typeset.text(say(first["text"])))
    rest = (typeset.part(p["heading"], typeset.text(say(p["text"])), level=2) for p in others)
    return [opening, *rest]


def _references(words, lang):
    items = [
        {"text": entry.get("text") or entry[lang], "lang": entry.get("lang", lang)}
        for entry in register()["references"]
    ]
    return typeset.part(words["heading"], typeset.text(words["intro"]), typeset.works(items))
