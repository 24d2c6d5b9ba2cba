"""Trial against control: means, event study, two-by-twos, estimators."""

import pandas as pd

from kokeilu_analysis.report.marks import (
    effect_values,
    forest,
    inside,
    main_row,
    mark_time,
    window_ends,
    y_numbers,
    year_axis,
)
from kokeilu_analysis.report.style import DARK, NAVY, ORANGE, ORANGE_TEXT


def values_f3(tables):
    """Means of the two groups in the baseline and the last year."""
    means = tables["03_group_means"]
    main = main_row(tables["03_did"])
    wide = means.pivot(index="month", columns="group", values="mean")
    base, last = (inside(wide, main[k]).mean() for k in ("pre", "post"))
    return {
        "trial_base": base["trial"],
        "control_base": base["control"],
        "trial_last": last["trial"],
        "control_last": last["control"],
        "trial_change": last["trial"] - base["trial"],
        "control_change": last["control"] - base["control"],
        "peak": wide["trial"].max(),
        **effect_values(main),
    }


def draw_f3(figure, tables, say, values):
    """Unemployed per labour force, trial and control, month by month."""
    means = tables["03_group_means"]
    axes = figure.add_subplot()
    for group, color, text, style in (
        ("trial", NAVY, NAVY, "-"),
        ("control", ORANGE, ORANGE_TEXT, "--"),
    ):
        part = means[means["group"] == group]
        axes.plot(part["month"], part["mean"], style, color=color)
        axes.text(
            part["month"].iloc[-1] + pd.Timedelta(days=25),
            part["mean"].iloc[-1],
            say(group),
            color=text,
            va="center",
        )
    year_axis(axes, means["month"], room=0.15)
    axes.set_ylim(0, means["mean"].max() * 1.18)
    axes.yaxis.get_major_locator().set_params(integer=True)
    mark_time(axes, say, tables["03_did"])
    y_numbers(axes, say, decimals=0)
    axes.set_title(say("y"))
    return means


def values_f4(tables):
    """The main estimate and the gap just before the start."""
    main = main_row(tables["03_did"])
    did = tables["03_did"].set_index("spec")
    covid = did.loc[f"covid_year/{main['weights']}"]
    return {
        **effect_values(main),
        "covid": covid["estimate"],
        "covid_low": covid["ci_low"],
        "covid_high": covid["ci_high"],
        "critical": tables["03_event_band"]["critical"].iloc[0],
    }


def draw_f4(figure, tables, say, values):
    """Event study: seasonal gap between groups against the baseline year, with both 95% bands."""
    study = tables["03_event_study"].merge(tables["03_event_band"], on=["event_month", "post"])
    month = pd.to_datetime(study["post"], format="%YM%m")
    axes = figure.add_subplot()
    for end in ("ci_low_path", "ci_high_path"):
        axes.plot(month, study[end], color=NAVY, linewidth=0.8, linestyle=(0, (1, 1.5)))
    axes.fill_between(month, study["ci_low"], study["ci_high"], color=NAVY, alpha=0.18, linewidth=0)
    axes.plot(month, study["estimate"], color=NAVY)
    axes.axhline(0, color=DARK, linewidth=0.9)
    year_axis(axes, month)
    axes.set_ylim(study["ci_low_path"].min() - 0.3, study["ci_high_path"].max() + 0.9)
    mark_time(axes, say, tables["03_did"])
    base = window_ends(main_row(tables["03_did"])["pre"])
    axes.annotate(
        say("base"),
        (base[0] + (base[1] - base[0]) / 2, 0),
        xytext=(0, -8),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
    )
    y_numbers(axes, say)
    axes.set_title(say("y"))
    ends = ["ci_low", "ci_high", "ci_low_path", "ci_high_path"]
    return study[["post", "event_month", "estimate", *ends]]


def values_f5(tables):
    """The two-by-twos."""
    did, main = tables["03_did"].set_index("spec"), main_row(tables["03_did"])
    equal = did.loc[main["spec"].split("/")[0] + "/none"]
    return {
        **effect_values(main),
        "n_rows": int((did["outcome"] == main["outcome"]).sum()),
        "equal": equal["estimate"],
        "equal_low": equal["ci_low"],
        "equal_high": equal["ci_high"],
    }


def draw_f5(figure, tables, say, values):
    """Forest of the two-by-twos: window × weights, the main specification first and heavier."""
    did = tables["03_did"]
    rows = did[did["outcome"] == "unemployed"].copy()
    rows = rows.sort_values("is_main", ascending=False, kind="stable")
    parts = [spec.split("/") for spec in rows["spec"]]
    labels = [say("row", window=say(a), weights=say("w_" + b)) for a, b in parts]
    forest(figure.add_subplot(), rows, labels, say)
    return rows[["spec", "pre", "post", "weights", "estimate", "ci_low", "ci_high", "is_main"]]


def values_f6(tables):
    """The gap at the layoff peak and at the end of the series."""
    gaps = tables["03_layoffs"]
    first, final = gaps["month"].min() + pd.DateOffset(months=3), gaps["month"].max()
    early, last = gaps[gaps["month"] == first], gaps[gaps["month"] == final]
    early, last = (part.set_index("series") for part in (early, last))
    shrinks = early.loc["without_laid_off", "bound_high"] < early.loc["unemployed", "bound_low"] / 2
    return {
        "verdict": "mostly" if shrinks else "partly",
        "early_month": first,
        "last_month": final,
        "with_early": early.loc["unemployed", "bound_low"],
        "without_early_low": early.loc["without_laid_off", "bound_low"],
        "without_early_high": early.loc["without_laid_off", "bound_high"],
        "with_last": last.loc["unemployed", "bound_low"],
        "without_last_low": last.loc["without_laid_off", "bound_low"],
        "without_last_high": last.loc["without_laid_off", "bound_high"],
    }


def draw_f6(figure, tables, say, values):
    """The gap with and without the fully laid off; hidden cells make the second a narrow band."""
    gaps = tables["03_layoffs"]
    axes = figure.add_subplot()
    for series, color, style in (("unemployed", NAVY, "-"), ("without_laid_off", DARK, ":")):
        part = gaps[gaps["series"] == series]
        middle = (part["bound_low"] + part["bound_high"]) / 2
        axes.fill_between(
            part["month"], part["bound_low"], part["bound_high"], color=color, alpha=0.3
        )
        axes.plot(part["month"], middle, style, color=color)
        axes.text(
            part["month"].iloc[-1] + pd.Timedelta(days=8),
            middle.iloc[-1],
            say(series),
            color=color,
            va="center",
        )
    axes.axhline(0, color=DARK, linewidth=0.9)
    year_axis(axes, gaps["month"], room=0.28)
    axes.set_ylim(min(0, gaps["bound_low"].min()) - 0.2, gaps["bound_high"].max() + 0.5)
    mark_time(axes, say, tables["03_did"], covid=False)
    y_numbers(axes, say)
    axes.set_title(say("y"))
    return gaps


def values_f12(tables):
    """How far the estimators lie apart and which of them leave zero outside."""
    rows = tables["03_estimators"]
    clear = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
    return {
        **effect_values(main_row(rows)),
        "n_estimators": len(rows),
        "least": rows["estimate"].min(),
        "most": rows["estimate"].max(),
        "n_clear": int(clear.sum()),
    }


def draw_f12(figure, tables, say, values):
    """Forest of the estimators, the main one first."""
    rows = tables["03_estimators"]
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "weights", "pre", "post", "estimate", "ci_low", "ci_high", "inference"]]


def values_f13(tables):
    """What moved, by interval, and what the joint test leaves of it."""
    rows, joint = tables["03_outcomes"], tables["03_outcomes_joint"]
    ends = rows.set_index("spec").loc["in_services/first_year"]
    return {
        **effect_values(rows.iloc[0]),
        "n_outcomes": rows["outcome"].nunique(),
        "n_clear": int(((rows["ci_low"] > 0) | (rows["ci_high"] < 0)).sum()),
        "n_rows": len(rows),
        "services_low": ends["bound_low"],
        "services_high": ends["bound_high"],
        "p_least": joint["p_adjusted"].min(),
        "verdict": "some" if joint["p_adjusted"].min() < 0.05 else "none",
    }


def draw_f13(figure, tables, say, values):
    """Forest of the outcomes; hidden cells make most of them short bars."""
    rows = tables["03_outcomes"].copy()
    window = rows["spec"].str.partition("/")[2]
    rows["is_main"] = rows["spec"] == "unemployed/last_year"  # the same number as the main row
    arrow = rows["estimand"].str.rpartition(" ")[2]
    labels = [
        say("row", outcome=say.labels["rows"][o], window=say(w), arrow=say.labels["arrows"][a])
        for o, w, a in zip(rows["outcome"], window, arrow, strict=True)
    ]
    forest(figure.add_subplot(), rows, labels, say)
    numbers_ = ["estimate", "ci_low", "ci_high", "bound_low", "bound_high"]
    return rows[["outcome", "pre", "post", "weights", *numbers_, "note"]]


def values_f14(tables):
    """How far other control groups move the main estimate."""
    rows = tables["03_control_groups"]
    return {
        **effect_values(main_row(rows)),
        "n_groups": len(rows) - 1,
        "least": rows["estimate"].min(),
        "most": rows["estimate"].max(),
        "n_above": int((rows["ci_low"] > 0).sum()),
        "n_below": int((rows["ci_high"] < 0).sum()),
    }


def draw_f14(figure, tables, say, values):
    """Forest of the control groups, all controls first."""
    rows = tables["03_control_groups"]
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "pre", "post", "weights", "estimate", "ci_low", "ci_high", "n_units"]]
