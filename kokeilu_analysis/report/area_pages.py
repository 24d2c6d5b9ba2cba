"""One page for each trial area: who, unemployment, backlog, effect, and what is not known.

Words are in ``texts/areas_*.toml``; every number comes from the result tables.
"""

from functools import partial
from pathlib import Path

from kokeilu_analysis import paths, results, store
from kokeilu_analysis.report import area_chart, figures, numbers, typeset, wording
from kokeilu_analysis.report.marks import effect_values, inside

WINDOWS = ("covid_year", "first_year", "last_year")
BILINGUAL = (1, 3)  # language classes: Finnish or Swedish majority, both official


texts = partial(figures.texts, of="areas")  # its words in one language


def build(lang, folder=paths.REPORTS, tables=paths.RESULTS):
    """Write the area pages in one language as tagged PDF: all in one, and each on its own.

    Parameters
    ----------
    lang : {"fi", "sv", "en"}
    folder : path
        Where to.
    tables : path
        Where the result tables are.

    Returns
    -------
    list of Path
        ``areas_<lang>.pdf`` with bookmarks, then ``area_<id>_<lang>.pdf`` in the order of ids.
    """
    whole, singles = contents(lang, tables)
    named = {f"areas_{lang}": whole} | {f"area_{i}_{lang}": page for i, page in singles.items()}
    return [
        store.write_bytes(Path(folder) / f"{name}.pdf", typeset.pdf(page))
        for name, page in named.items()
    ]


def contents(lang, tables=paths.RESULTS):
    """Return the content of the combined document, and of each area's own by its id."""
    words = texts(lang)
    common, areas = area_values(lang, tables)
    charts = area_chart.draw(lang, areas, tables, words["series"])
    running, about = (words[k] for k in ("running", "description"))
    guide = [
        typeset.part(
            words["guide"]["heading"], typeset.text(words["guide"]["text"]), outlined=False
        ),
        typeset.part(words["guide"]["contents"], typeset.contents(), outlined=False),
    ]
    subtitle = wording.sentence(words["subtitle"], common, lang)
    whole, singles = guide, {}
    for area_id, values in areas.items():
        lead, *rest = _page(words, values, charts[area_id], lang, level=2)
        opening = typeset.part(values["name"], *lead["blocks"], new_page=True)
        whole = [*whole, opening, *rest]
        title = wording.sentence(words["single"], values, lang)
        parts = _page(words, values, charts[area_id], lang, level=1)
        head = (title, subtitle, running, about)
        singles[area_id] = typeset.document(lang, *head, parts, compact=True)
    return typeset.document(lang, words["title"], subtitle, running, about, whole), singles


def _page(words, values, chart, lang, level):
    """The parts of an area's page."""

    def say(*entries):
        return typeset.text(" ".join(wording.sentences(entries, values, lang)))

    area, backlog, series, effect = (words[k] for k in ("area", "backlog", "series", "effect"))
    shown = [
        (area, [say(area["who"], area["language"], area["earlier"])]),
        (series, [chart, _periods(series, values, lang)]),
        (backlog, [say(backlog["known"], backlog["work"], backlog["returns"])]),
        (effect, [say(effect["all"], effect["own"])]),
        (words["themes"], [say(words["themes"]["text"])]),
        (words["limits"], [say(words["limits"]["text"])]),
    ]
    return [typeset.part(w["heading"], *blocks, level=level) for w, blocks in shown]


def _periods(words, values, lang):
    """The windows of the study in numbers."""
    rows = []
    for name in ("base", *WINDOWS):
        ends = {k: values[f"{name}_{k}"] for k in ("first", "last")}
        label = numbers.fill(words["period"], {"label": words[name]} | ends, lang)
        cells = [values[f"{name}_{k}"] for k in ("area", "comparison", "change")]
        rows.append([label, *(numbers.number(c, 1, lang) for c in cells)])
    caption = numbers.fill(words["caption"], values, lang)
    return typeset.table(caption, words["head"], rows, "lrrr")


def area_values(lang, tables=paths.RESULTS):
    """Return what the sentences of all pages may name, and those of each area's page by its id.

    Returns
    -------
    (dict, dict)
        Name → value; area id → name → value, the common ones included.
    """
    read = {
        name: results.read(name, tables)
        for name in ("area_profiles", "02_work", "03_group_means", "03_did", "02_themes")
    }
    effects = results.read("04_area_effects", tables).set_index("area_id")
    adjusted = results.read("04_area_without_backlog", tables).set_index("area_id")
    series = results.read("03_area_series", tables)
    places = results.read("01_municipalities", tables)
    profiles = read["area_profiles"].set_index("area_id")
    work = read["02_work"].set_index("area_id")
    names, themes = wording.area_names(lang, tables), read["02_themes"]
    sizes = figures.group_sizes(tables)
    common = sizes | {
        "last_month": read["03_group_means"]["month"].max(),
        "n_themes": themes.loc[themes["kind"] == "theme", "item_id"].nunique(),
        "by_chance": 0.05 * sizes["n_trial_areas"],
    }
    areas = {}
    for area_id in sorted(profiles.index):
        own = common | effect_values(effects.loc[area_id])
        own |= _people(profiles.loc[area_id], work.loc[area_id], lang)
        own |= _municipalities(places[places["area_id"] == area_id], lang)
        own |= _windows(series[series["area_id"] == area_id], read["03_did"])
        low, high = adjusted.loc[area_id, ["bound_low", "bound_high"]]
        areas[area_id] = own | {
            "name": names[area_id],
            "short_name": names[area_id].split("–")[0]
            if len(names[area_id]) > 24
            else names[area_id],
            "comparison": wording.sentence(texts(lang)["series"]["comparison"], own, lang),
            "reach": own["ci_high"] - own["estimate"],
            "adjusted_low": low,
            "adjusted_high": high,
            "adjusted_verdict": numbers.verdict(low, high),
        }
    return common, areas


def _people(profile, work, lang):
    """Size, customers, backlog, earlier trials and returns of one area."""
    first, second = (
        int(profile[f"municipalities_in_trial_{years}"]) for years in ("2012-2015", "2017-2018")
    )
    taken = {(False, False): "none", (True, False): "first", (False, True): "second"}
    size, answered = int(profile["municipalities"]), int(profile["municipalities_answered"])
    whole = answered == size
    return {
        "size": wording.amount(size),
        "n_municipalities": size,
        "population": int(profile["population_2020"]),
        "unemployed": int(profile["unemployed_february_2021"]),
        # estimates to the nearest ten: more digits would say more than is known
        **{k: round(work[k], -1) for k in ("customers_low", "customers_high")},
        **{k: round(work[k], -1) for k in ("plans_low", "plans_high")},
        "backlog_low": 100 * profile["backlog_bound_low"],
        "backlog_high": 100 * profile["backlog_bound_high"],
        "known": profile["backlog_known"],
        "n_first": first,
        "n_second": second,
        "earlier": taken.get((first > 0, second > 0), "both"),
        "n_answered": answered,
        "answered": "none" if not answered else "all" if whole else "some",
    }


def _municipalities(places, lang):
    """Names and languages of an area's municipalities."""
    column = "municipality_name_sv" if lang == "sv" else "municipality_name_fi"
    both = places["language_code"].astype(int).isin(BILINGUAL)
    return {
        "municipalities": wording.listed(sorted(places[column]), lang),
        "bilingual": wording.listed(sorted(places.loc[both, column]), lang),
        "language": "all" if both.all() else "some" if both.any() else "none",
    }


def _windows(series, did):
    """Means of area and comparison in each window, and how their changes differ."""
    wide = series.set_index("month")[["area", "comparison"]]
    windows = did.set_index(did["spec"].str.partition("/")[0])
    ends = {"base": windows["pre"].iloc[0]} | {w: windows.loc[w, "post"].iloc[0] for w in WINDOWS}
    found = {"controls": series["controls"].iloc[0], "n_controls": series["n_controls"].iloc[0]}
    base = inside(wide, ends["base"]).mean()
    for name, text in ends.items():
        part = inside(wide, text)
        mean = part.mean()
        change = (mean["area"] - base["area"]) - (mean["comparison"] - base["comparison"])
        found |= {f"{name}_area": mean["area"], f"{name}_comparison": mean["comparison"]}
        found |= {f"{name}_first": part.index.min(), f"{name}_last": part.index.max()}
        found[f"{name}_change"] = change
    return found | {
        "own": found["last_year_change"],
        "last_area": found["last_year_area"],
        "last_comparison": found["last_year_comparison"],
    }
