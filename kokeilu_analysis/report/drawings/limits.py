"""What breaks the comparison: one choice changed at a time."""

import numpy as np

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.marks import effect_values, forest, main_row, y_numbers
from kokeilu_analysis.report.style import BAND, DARK, EDGE, NAVY


def values_f9(tables):
    """How far the main estimate moves."""
    checks = tables["05_robustness"]
    main = main_row(checks)
    others = checks[checks["estimate"].notna()]
    return {
        **effect_values(main),
        "n_checks": len(others) - 1,
        "least": others["estimate"].min(),
        "most": others["estimate"].max(),
        "n_clear": int(((others["ci_low"] > 0) | (others["ci_high"] < 0)).sum()),
    }


def draw_f9(figure, tables, say, values):
    """Forest of the robustness checks, the main specification first."""
    rows = tables["05_robustness"]
    rows = rows[rows["estimate"].notna() & rows["ci_low"].notna()]
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "pre", "post", "weights", "controls", "estimate", "ci_low", "ci_high"]]


def values_f15(tables):
    """How far answers to single threats move the estimate."""
    rows = tables["05_threats"]
    others = rows[~rows["is_main"]]
    return {
        **effect_values(main_row(rows)),
        "n_checks": len(others),
        "least": others["estimate"].min(),
        "most": others["estimate"].max(),
        "n_clear": int(((others["ci_low"] > 0) | (others["ci_high"] < 0)).sum()),
    }


def draw_f15(figure, tables, say, values):
    """Forest of the threats, the main specification first."""
    rows = tables["05_threats"]
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "pre", "post", "weights", "estimate", "ci_low", "ci_high", "note"]]


def values_f16(tables):
    """At which departure from parallel trends zero enters."""
    at = tables["05_honest"].groupby(["outcome", "method"])["breakdown"].first()

    def text(*key):
        return at[key] if np.isfinite(at[key]) else numbers.MISSING

    return {
        "relative": text("unemployed", "relative"),
        "relative_long": text("long_term", "relative"),
        "smooth": text("unemployed", "smoothness"),
        "smooth_long": text("long_term", "smoothness"),
        "verdict": "sturdy" if (at.xs("relative", level=1) >= 1).any() else "fragile",
    }


def draw_f16(figure, tables, say, values):
    """Four panels, outcome by yardstick: bounds thick, interval thin, over what is allowed."""
    from matplotlib.ticker import MultipleLocator

    honest = tables["05_honest"]
    panels = figure.subplots(2, 2, sharey="row")
    for line, outcome in zip(panels, ("unemployed", "long_term"), strict=True):
        for axes, method in zip(line, ("relative", "smoothness"), strict=True):
            rows = honest[(honest["outcome"] == outcome) & (honest["method"] == method)]
            at = np.arange(len(rows))
            axes.vlines(at, rows["ci_low_set"], rows["ci_high_set"], color=NAVY, linewidth=1.4)
            fits = rows["bound_low"].notna().to_numpy()
            low, high = rows.loc[fits, "bound_low"], rows.loc[fits, "bound_high"]
            axes.vlines(at[fits], low, high, color=NAVY, linewidth=6)
            points = (low == high).to_numpy()
            axes.plot(at[fits][points], low[points], "_", color=NAVY)
            axes.axhline(0, color=DARK, linewidth=0.9)
            ticks = [numbers.number(m, 2, say.lang) for m in rows["m"]]
            axes.set_xticks(at, ticks)
            axes.set_xlim(-0.5, len(rows) - 0.5)
            axes.yaxis.set_major_locator(MultipleLocator(0.5))
            y_numbers(axes, say)
            if outcome == "long_term":
                axes.set_xlabel(say(method))
            if method == "relative":
                axes.set_title(say(outcome))
    return honest


def values_f17(tables):
    """Where the specifications lie and how unusual their median is."""
    curve, median = tables["05_curve"], tables["05_curve_median"].iloc[0]
    return {
        "n_specs": len(curve),
        "least": curve["estimate"].min(),
        "most": curve["estimate"].max(),
        "main": main_row(curve)["estimate"],
        "median": median["median"],
        "p": median["p"],
        "share_above": 100 * (curve["estimate"] > 0).mean(),
    }


# choices shown under the curve: the column of the specification and its value
SHOWN = {
    "labour_force": "weights",
    "none": "weights",
    "area_share": "weights",
    "linear": "trend",
    "without_six": "treated",
    "without_capital": "treated",
    "overlap": "treated",
    "beyond_near": "controls",
    "same_region": "controls",
}


def draw_f17(figure, tables, say, values):
    """The curve, the choices behind it, and the median among reassigned areas."""
    curve = tables["05_curve"].sort_values("rank")
    draws = tables["05_curve_median"]
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[1.3, 1.5, 0.8])
    top.plot(curve["rank"], curve["estimate"], color=NAVY, linewidth=2)
    main = main_row(curve)
    top.plot(main["rank"], main["estimate"], "o", color=DARK, markersize=7)
    top.annotate(
        say("main"),
        (main["rank"], main["estimate"]),
        xytext=(-9, 6),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    top.axhline(0, color=DARK, linewidth=0.9)
    top.set_title(say("y"))
    top.set_xticks([])
    for place, (choice, column) in enumerate(SHOWN.items()):
        at = curve.loc[curve[column] == choice, "rank"]
        middle.vlines(at, place - 0.36, place + 0.36, color=NAVY, linewidth=0.25, alpha=0.5)
    middle.set_yticks(range(len(SHOWN)), [say.labels["rows"][c] for c in SHOWN], fontsize=8)
    middle.set_ylim(len(SHOWN) - 0.5, -0.5)
    middle.set_xticks([])
    middle.grid(False)
    for axes in (top, middle):
        axes.set_xlim(0, len(curve) + 1)
    bottom.bar(
        draws["low"],
        draws["count"],
        draws["high"] - draws["low"],
        align="edge",
        color=BAND,
        edgecolor=EDGE,
        linewidth=0.4,
    )
    bottom.axvline(values["median"], color=NAVY, linewidth=2)
    bottom.annotate(
        say("median"),
        (values["median"], draws["count"].max()),
        xytext=(4, 0),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=NAVY,
    )
    bottom.set_yticks([])
    bottom.grid(False)
    bottom.set_xlabel(say("y"))
    bottom.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 1, say.lang))
    y_numbers(top, say)
    return curve


def values_f18(tables):
    """What the main comparison could have found, and what others claimed."""
    power = tables["05_power"]
    middle = power.set_index("spec")[["claim_low", "claim_high"]].mean(axis=1)
    return {
        "detectable": main_row(power)["detectable"],
        "nordic": middle["nordic_model"],
        "jobs": middle["jobs_2018"],
        "paltamo": middle["paltamo"],
    }


def draw_f18(figure, tables, say, values):
    """One bar a specification from minus to plus the detectable effect, the estimate in it."""
    rows = tables["05_power"].sort_values("is_main", ascending=False, kind="stable")
    power = rows[rows["detectable"].notna()]
    words, axes = say.labels["rows"], figure.add_subplot()
    labels = []
    for y, row in enumerate(power.itertuples()):
        window, _, weights = row.spec.partition("/")
        name = words[window]
        labels.append(say("row", window=name, weights=words[weights]) if weights else name)
        height = 0.62 if row.is_main else 0.4
        axes.barh(y, 2 * row.detectable, height, -row.detectable, color=BAND, edgecolor=EDGE)
        axes.plot(row.estimate, y, "o", color=NAVY, markersize=7 if row.is_main else 5)
    axes.set_ylim(len(power) - 0.5, -1.6)
    axes.set_yticks(range(len(power)), labels)
    axes.axvline(0, color=DARK, linewidth=0.9)
    for place, (claim, key) in enumerate((("nordic_model", "nordic"), ("jobs_2018", "jobs"))):
        axes.axvline(values[key], color=DARK, linewidth=0.9, linestyle=(0, (1, 1.5)))
        axes.text(
            values[key], -1.5 + 0.5 * place, say(claim) + " ", ha="right", va="top", fontsize=8
        )
    axes.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 1, say.lang))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    axes.set_xlabel(say("x"))
    return rows
