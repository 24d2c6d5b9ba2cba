"""The marks of each figure and the numbers its sentences quote; everything comes from tables.

For figure F<k>: ``values_f<k>(tables)`` returns what headline, note and alt text may name, and
``draw_f<k>(figure, tables, say, values)`` draws and returns the frame of what is drawn.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.marks import (
    effect_values,
    forest,
    inside,
    main_row,
    mark_time,
    quantity_row,
    short_decimals,
    spread_apart,
    window_ends,
    x_numbers,
    y_numbers,
    year_axis,
)
from kokeilu_analysis.report.style import BAND, DARK, EDGE, NAVY, ORANGE, ORANGE_TEXT

BIG_MUNICIPALITY = 60_000  # inhabitants from which the map names a place
# where a name stands so that names do not meet: its edge at the dot, points upward
MAP_LABELS = {
    "Espoo": ("right", -4),
    "Vantaa": ("left", 7),
    "Helsinki": ("left", -6),
    "Turku": ("right", 0),
    "Pori": ("right", 0),
    "Vaasa": ("right", 0),
    "Hämeenlinna": ("right", -3),
    "Lahti": ("left", 9),
    "Kouvola": ("left", -3),
    "Lappeenranta": ("left", 8),
}


def values_f1(tables):
    """Counts and shares of the treated."""
    places, support = tables["01_municipalities"], tables["01_support"]
    people = places.groupby("group")["population_2020"].sum()
    largest = support[support["group"] == "control"].iloc[0]
    above = support[support["population_2020"] > largest["population_2020"]]
    return {
        "named_from": float(BIG_MUNICIPALITY),
        "share": 100 * people["trial"] / people.sum(),
        "largest_control": largest["municipality_name_fi"],
        "largest_control_people": float(largest["population_2020"]),
        "n_larger": len(above),
    }


def draw_f1(figure, tables, say, values):
    """Dot map: every municipality at its centre point, size by inhabitants."""
    places = tables["01_municipalities"].sort_values("population_2020", ascending=False)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect(1 / np.cos(np.radians(65)))  # one degree of longitude at Finland's latitude
    for group, color, marker in (("control", ORANGE, "s"), ("trial", NAVY, "o")):
        part = places[places["group"] == group]
        axes.scatter(
            part["centre_lon"],
            part["centre_lat"],
            s=6 + part["population_2020"] / 1500,
            color=color,
            marker=marker,
            alpha=0.75,
            linewidth=0,
        )
    for row in places[places["population_2020"] > BIG_MUNICIPALITY].itertuples():
        side, up = MAP_LABELS.get(row.municipality_name_fi, ("left", 0))
        gap = 3 + np.sqrt(row.population_2020) / 90
        axes.annotate(
            row.municipality_name_sv if say.lang == "sv" else row.municipality_name_fi,
            (row.centre_lon, row.centre_lat),
            xytext=(gap if side == "left" else -gap, up),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color=NAVY if row.group == "trial" else ORANGE_TEXT,
        )
    left = places["centre_lon"].min() - 5.5
    axes.text(left, 69.6, say("trial", n=values["n_trial"]), color=NAVY, fontsize=9, va="top")
    axes.text(
        left, 68.8, say("control", n=values["n_control"]), color=ORANGE_TEXT, fontsize=9, va="top"
    )
    axes.text(left, 68.0, say("size"), fontsize=8.5, va="top")
    axes.set_xlim(left - 0.2, places["centre_lon"].max() + 3)
    return places.drop(columns=[c for c in places if c.startswith("area")])


def values_f2(tables):
    """How wide the areas' ranges are."""
    areas = tables["02_area_bounds"]
    mean = quantity_row(tables, "mean_of_areas")
    return {
        "n_areas": len(areas),
        "n_reported": int((areas["known"] != "rest").sum()),
        "n_rest": int((areas["known"] == "rest").sum()),
        "mean_low": 100 * mean["bound_low"],
        "mean_high": 100 * mean["bound_high"],
        "rest_low": 100 * areas.loc[areas["known"] == "rest", "bound_low"].min(),
        "rest_high": 100 * areas.loc[areas["known"] == "rest", "bound_high"].max(),
        "smallest": 100 * areas["bound_low"].min(),
        "largest": 100 * areas["bound_high"].max(),
    }


def draw_f2(figure, tables, say, values):
    """One bar an area, from the lowest to the highest backlog that the statements allow."""
    areas = tables["02_area_bounds"].copy()
    areas["order"] = areas["known"].map({"value": 0, "range": 1, "rest": 2})
    areas = areas.sort_values(["order", "bound_high", "area_id"], ascending=[True, False, True])
    axes = figure.add_subplot()
    for y, row in enumerate(areas.itertuples()):
        low, high = 100 * row.bound_low, 100 * row.bound_high
        if row.known == "value":
            axes.plot(low, y, "o", color=NAVY, markersize=6)
        elif row.known == "range":
            axes.barh(y, high - low, left=low, height=0.62, color=NAVY)
        else:
            axes.barh(
                y,
                high - low,
                left=low,
                height=0.62,
                facecolor="white",
                edgecolor=EDGE,
                linewidth=0.6,
                hatch="////",
            )
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    axes.set_yticks(range(len(areas)), areas[name], fontsize=8)
    axes.set_ylim(len(areas) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    x_numbers(axes, say, [0, 20, 40, 60, 80, 100], decimals=0)
    axes.set_xlabel(say("x"))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    axes.axvspan(values["mean_low"], values["mean_high"], color=BAND, zorder=0)
    middle = (values["mean_low"] + values["mean_high"]) / 2
    axes.annotate(
        say("mean"),
        (middle, -0.6),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )
    return areas.drop(columns="order")


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
    }


def draw_f4(figure, tables, say, values):
    """Event study: seasonal gap between groups against the baseline year, with 95% band."""
    study = tables["03_event_study"]
    month = pd.to_datetime(study["post"], format="%YM%m")
    axes = figure.add_subplot()
    axes.fill_between(month, study["ci_low"], study["ci_high"], color=NAVY, alpha=0.18, linewidth=0)
    axes.plot(month, study["estimate"], color=NAVY)
    axes.axhline(0, color=DARK, linewidth=0.9)
    year_axis(axes, month)
    axes.set_ylim(study["ci_low"].min() - 0.3, study["ci_high"].max() + 0.9)
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
    return study[["post", "event_month", "estimate", "ci_low", "ci_high"]]


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


def values_f7(tables):
    """How the area changes spread and what a line through them says."""
    areas, adjusted = tables["04_area_effects"], tables["04_adjusted"].set_index("spec")
    slope = adjusted.loc["sharp_slope"]
    return {
        "lowest": areas["estimate"].min(),
        "highest": areas["estimate"].max(),
        **effect_values(areas.iloc[0]),
        "reach": (areas["ci_high"] - areas["estimate"]).max(),
        "slope_low": slope["bound_low"] / 10,
        "slope_high": slope["bound_high"] / 10,
        "verdict": numbers.verdict(slope["bound_low"], slope["bound_high"]),
    }


def draw_f7(figure, tables, say, values):
    """Area changes against the backlog each area may have had; a bar where a range is known."""
    effects = tables["04_area_effects"][["area_id", "estimate", "ci_low", "ci_high"]]
    areas = effects.merge(tables["02_area_bounds"], on="area_id", validate="1:1")
    axes = figure.add_subplot()
    for row in areas.sort_values("known", ascending=False).itertuples():
        low, high = 100 * row.bound_low, 100 * row.bound_high
        reported = row.known != "rest"
        axes.plot(
            [low, high],
            [row.estimate] * 2,
            color=NAVY if reported else EDGE,
            linewidth=2.4 if reported else 0.9,
            solid_capstyle="butt",
        )
        if row.known == "value":
            axes.plot(low, row.estimate, "o", color=NAVY, markersize=6)
    named = areas[areas["known"] != "rest"].sort_values("estimate")
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    for end, column in named.groupby("bound_high"):
        places = spread_apart(column["estimate"], gap=0.24)
        for label, y in zip(column[name], places, strict=True):
            axes.text(100 * end + 1.5, y, label, va="center", fontsize=8, color=NAVY)
    axes.text(13, areas["estimate"].max() * 0.75, say("rest"), fontsize=8, color=DARK)
    axes.axhline(0, color=DARK, linewidth=0.9)
    axes.set_xlim(0, 104)
    x_numbers(axes, say, [0, 20, 40, 60, 80, 100], decimals=0)
    y_numbers(axes, say)
    axes.set_xlabel(say("x"))
    axes.set_title(say("y"))
    shown = ["area_id", "area_name_fi", "known", "bound_low", "bound_high", "estimate"]
    return areas[shown].sort_values("area_id")


def values_f8(tables):
    """The effect as it was and without a backlog."""
    adjusted = tables["04_adjusted"].set_index("spec")
    att, zero = adjusted.loc["att_areas"], adjusted.loc["sharp_zero_backlog"]
    middle = adjusted.loc["midpoint_zero_backlog"]
    return {
        **effect_values(att),
        "zero_low": zero["bound_low"],
        "zero_high": zero["bound_high"],
        "middle": middle["estimate"],
        "middle_low": middle["ci_low"],
        "middle_high": middle["ci_high"],
        "verdict": numbers.verdict(zero["bound_low"], zero["bound_high"]),
    }


def draw_f8(figure, tables, say, values):
    """Forest: as it was, mid-points, sharp sets; a set is a bar without a point."""
    rows = tables["04_adjusted"]
    rows = rows[rows["spec"].isin(say.labels["rows"])].copy()
    order = list(say.labels["rows"])
    rows = rows.sort_values("spec", key=lambda s: s.map(order.index))
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "estimate", "ci_low", "ci_high", "bound_low", "bound_high"]]


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


def values_f10(tables):
    """The most that COVID can explain under the plainest assumption, and what is left."""
    ladder, mean = tables["02_covid_share"], quantity_row(tables, "mean_of_areas")
    same = ladder[ladder["assumption"] == "same"].iloc[0]
    return {
        "most": 100 * same["bound_high"],
        "rest": 100 * same["rest_low"],
        "free": 100 * ladder["bound_high"].max(),
        "mean_low": 100 * mean["bound_low"],
        "mean_high": 100 * mean["bound_high"],
    }


def draw_f10(figure, tables, say, values):
    """One bar an assumption: how many points of the average COVID can explain."""
    ladder = tables["02_covid_share"].copy()
    bars = ladder.assign(
        bound_low=100 * ladder["bound_low"], bound_high=100 * ladder["bound_high"], estimate=np.nan
    )
    bars[["ci_low", "ci_high"]] = np.nan
    labels = [
        say(row.assumption, k=numbers.number(row.k, short_decimals(row.k), say.lang))
        for row in ladder.itertuples()
    ]
    forest(figure.add_subplot(), bars, labels, say)
    return ladder


def values_f11(tables):
    """What the most telling area's reply would be worth."""
    ranking = tables["02_replies"].sort_values("rank")
    first = ranking.iloc[0]
    return {
        "first_fi": first["area_name_fi"],
        "first_sv": first["area_name_sv"],
        "gain": 100 * first["gain_mean"],
        "gain_worst": 100 * first["gain_worst"],
        "gain_best": 100 * first["gain_best"],
        "width": 100 * first["width_now"],
        "n_zero": int((ranking["gain_best"] < 1e-9).sum()),
    }


def draw_f11(figure, tables, say, values):
    """One line an area: worst to best gain of a reply, a dot at the mean."""
    ranking = tables["02_replies"].sort_values("rank")
    axes = figure.add_subplot()
    for y, row in enumerate(ranking.itertuples()):
        axes.plot([100 * row.gain_worst, 100 * row.gain_best], [y, y], color=NAVY, linewidth=1.4)
        axes.plot(100 * row.gain_mean, y, "o", color=NAVY, markersize=5)
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    axes.set_yticks(range(len(ranking)), ranking[name], fontsize=8)
    axes.set_ylim(len(ranking) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 1, say.lang))
    axes.set_xlabel(say("x"))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    return ranking[["rank", "area_id", name, "gain_worst", "gain_mean", "gain_best", "width_now"]]


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
