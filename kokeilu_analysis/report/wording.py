"""What the sentences of memo and area pages may name, and which sentence the numbers allow.

A text is a template, or a table of templates from which one value chooses: ``by`` names the value,
usually a verdict, and there is a template for everything it can be. So no sentence can claim more
than the interval or the bounds behind it.
"""

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import figures, numbers
from kokeilu_analysis.report.marks import effect_values, main_row

QUOTED = ("F1", "F2", "F4", "F7", "F8", "F9", "F10", "F12")  # figures whose numbers are said


def sentence(entry, values, lang):
    """Return a text filled with numbers, the wording chosen by what the numbers say.

    Parameters
    ----------
    entry : str or dict
        A template as `numbers.fill` reads it, or ``{"by": name, <value>: entry, ...}``, which may
        hold such a table again.
    values : dict
    lang : {"fi", "sv", "en"}

    Raises
    ------
    KokeiluError
        There is no wording for the value, so nothing may be said.

    Examples
    --------
    >>> text = {"by": "verdict", "unclear": "cannot be told from zero", "lower": "fell {d:1}"}
    >>> sentence(text, {"verdict": "lower", "d": -0.5}, "en")
    'fell −0.5'
    """
    while isinstance(entry, dict):
        found = values[entry["by"]]
        if found not in entry:
            known = ", ".join(k for k in entry if k != "by")
            raise KokeiluError(
                f"No wording for {entry['by']} = {found!r}; expected one of {known}."
            )
        entry = entry[found]
    return numbers.fill(entry, values, lang)


def sentences(entries, values, lang):
    """Return a list of texts, each filled; see `sentence`."""
    return [sentence(entry, values, lang) for entry in entries]


def amount(n):
    """Return how a count is spoken of: ``none``, ``one`` or ``some``.

    >>> [amount(n) for n in (0, 1, 7)]
    ['none', 'one', 'some']
    """
    return "none" if n == 0 else "one" if n == 1 else "some"


def listed(names, lang):
    """Join names as a sentence does.

    >>> listed(["A", "B", "C"], "fi"), listed(["A", "B"], "sv"), listed(["A"], "en")
    ('A, B ja C', 'A och B', 'A')
    """
    if len(names) < 2:
        return "".join(names)
    last = {"fi": "ja", "sv": "och", "en": "and"}[lang]
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def area_names(lang, folder=paths.RESULTS):
    """Return the name of each trial area in a language (Finnish names in English texts)."""
    column = "area_name_sv" if lang == "sv" else "area_name_fi"
    return results.read("02_area_bounds", folder).set_index("area_id")[column]


def study(lang, folder=paths.RESULTS):
    """Return every number and verdict that a sentence about the whole study may name.

    Returns
    -------
    dict
        The sizes of the groups; the main effect as `marks.effect_values` names it; what each of
        the `QUOTED` figures says, prefixed with its id (``f8_zero_low``); and the findings on
        chance, choices and replies. Shares in per cent, effects in percentage points.
    """
    values = figures.group_sizes(folder)
    for figure_id in QUOTED:
        found = figure_values(figure_id, folder)
        values |= {f"{figure_id.lower()}_{name}": value for name, value in found.items()}
    values |= effect_values(main_row(results.read("03_did", folder)))
    values["weighting"] = figures.texts(lang)["common"]["weighting"][values["weights"]]
    months = results.read("03_group_means", folder)["month"]
    values |= {"first_month": months.min(), "last_month": months.max()}
    values["f4_covid_verdict"] = numbers.verdict(values["f4_covid_low"], values["f4_covid_high"])
    values["n_areas"] = values["n_trial_areas"] + values["n_control_areas"]
    values["n_methods"] = values["f12_n_estimators"] - 1  # beside the main one
    quantities = results.read("02_quantities", folder)
    values["n_readings"] = quantities["reading"].nunique() - 1  # beside the plainest one
    adjusted = results.read("04_adjusted", folder).set_index("spec")
    zero = adjusted.loc["sharp_zero_backlog", ["ci_low", "ci_high"]]
    # bounds alone claim nothing: chance comes on top of what the evidence leaves open
    values |= {"zero_low": zero["ci_low"], "zero_high": zero["ci_high"]}
    values["zero_verdict"] = numbers.verdict(zero["ci_low"], zero["ci_high"])
    mean = quantities.query("reading == 'default'")
    mean = 100 * mean.set_index("quantity")[["bound_low", "bound_high"]]
    values["customers_low"], values["customers_high"] = mean.loc["mean_of_customers"]
    return values | _chance(lang, folder) | _choices(folder) | _replies(lang, folder)


def figure_values(figure_id, folder=paths.RESULTS):
    """Return the numbers that a figure's own sentences name."""
    from kokeilu_analysis.report import drawings

    tables = {name: results.read(name, folder) for name in figures.register()[figure_id]["tables"]}
    return getattr(drawings, f"values_{figure_id.lower()}")(tables)


def _chance(lang, folder):
    """Randomization, trends that were not parallel, one area at a time."""
    main = main_row(results.read("03_did", folder))
    honest = results.read("05_honest", folder).query("method == 'relative'")
    honest = honest[honest["outcome"] == main["outcome"]]
    widest = honest.loc[honest["m"].idxmax()]
    up_to = widest["breakdown"]  # missing: zero is inside even with parallel trends
    left = results.read("05_leave_one_out", folder)
    farthest = left.loc[(left["estimate"] - main["estimate"]).abs().idxmax()]
    return {
        "lot": 100 * results.read("05_randomization", folder)["p"].iloc[0],
        "honest_case": "some" if up_to < widest["m"] else "never" if up_to != up_to else "always",
        "honest_m": 100 * up_to,
        "power": main_row(results.read("05_power", folder))["detectable"],
        "honest_low": widest["ci_low_set"],
        "honest_high": widest["ci_high_set"],
        "left_out": area_names(lang, folder)[farthest["area_id"]],
        "left": farthest["estimate"],
    }


def _choices(folder):
    """Robustness checks: how many leave zero outside, and two that readers ask for."""
    checks = results.read("05_robustness", folder)
    others = checks[~checks["is_main"] & checks["ci_low"].notna()]
    below, above = int((others["ci_high"] < 0).sum()), int((others["ci_low"] > 0).sum())
    rows = checks.set_index("spec")
    found = {"n_below": below, "n_above": above}
    found |= {"below": amount(below), "above": amount(above), "n_others": len(others)}
    for name, spec in (("six", "without_six"), ("rate", "published_rate")):
        own = effect_values(rows.loc[spec])
        found |= {f"{name}_{key}": value for key, value in own.items() if key != "weights"}
    return found


def _replies(lang, folder):
    """Whose reply narrows most, and how much the controls' own backlog would matter."""
    effect = results.read("04_replies", folder).sort_values("rank")
    country = results.read("02_replies", folder).sort_values("rank")
    names, first = area_names(lang, folder), effect.iloc[0]
    breakdown = 100 * results.read("04_frontier", folder)["breakdown"].iloc[0]
    rate = results.read("02_response_rate", folder).set_index("area_id").loc["all"]
    return {
        "ask_effect": listed([names[a] for a in effect["area_id"].head(3)], lang),
        "ask_country": listed([names[a] for a in country["area_id"].head(3)], lang),
        "ask_first": names[first["area_id"]],
        "ask_gain": first["gain_mean"],
        "ask_width": first["width_now"],
        "signs": "some" if effect["share_signed"].max() > 0 else "none",
        "breakdown": breakdown,
        "breakdown_case": "inside" if 0 < breakdown < 100 else "outside",
        "n_asked": int(rate["municipalities"]),
        "n_answered": int(rate["answered"]),
        "answered": amount(int(rate["answered"])),
    }
