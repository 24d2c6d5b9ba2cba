"""The answer in three plain sentences, worded by what the numbers allow to say."""

from kokeilu_analysis import paths, results
from kokeilu_analysis.report.numbers import interval, month, number, verdict

SAID = {
    "lower": "Unemployment fell more, or rose less, in the trial areas than in the control areas",
    "higher": "Unemployment fell less, or rose more, in the trial areas than in the control areas",
    "unclear": "No difference between trial and control areas can be told from zero",
}


def headline(folder=paths.RESULTS):
    """Return the three sentences that the terminal, the README and notebook 06 show.

    Returns
    -------
    list of str
        Plain comparison, starting backlog, comparison without a backlog; each with its interval
        or bounds, unit, control group and period.
    """
    import pandas as pd

    main = results.read("03_did", folder).query("is_main").iloc[0]
    groups = results.read("01_groups", folder).set_index("group")["municipalities"]
    backlog = results.read("02_quantities", folder).query("reading == 'default'")
    mean = backlog.set_index("quantity").loc["mean_of_areas"]
    adjusted = results.read("04_adjusted", folder).set_index("spec")
    middle, sharp = adjusted.loc["midpoint_zero_backlog"], adjusted.loc["sharp_zero_backlog"]
    spans = [
        " to ".join(month(pd.to_datetime(end, format="%YM%m")) for end in main[key].split("–"))
        for key in ("pre", "post")
    ]
    settled = {
        "unclear": "so the reported figures do not settle even its sign",
        "lower": "below zero whatever the backlogs inside the reported ranges were",
        "higher": "above zero whatever the backlogs inside the reported ranges were",
    }[verdict(sharp.bound_low, sharp.bound_high)]
    return [
        f"{SAID[verdict(main.ci_low, main.ci_high)]}: {number(main.estimate)} percentage points of "
        f"the labour force (95% interval {interval(main.ci_low, main.ci_high)}; unemployed per "
        f"labour force of 2019, {spans[0]} against {spans[1]}, {groups['trial']} trial and "
        f"{groups['control']} control municipalities, weighted by labour force).",
        f"The starting backlog was {interval(100 * mean.bound_low, 100 * mean.bound_high)} per cent"
        " of transferred customers on average over the areas, as the coordinator's letter is most "
        "plainly read; most single areas are known only within wide ranges.",
        f"Had the areas started without a backlog, a straight line through them gives "
        f"{number(middle.estimate)} points (95% interval "
        f"{interval(middle.ci_low, middle.ci_high)}) if every backlog lies in the middle of its "
        "range, and "
        f"anything from {number(sharp.bound_low)} to {number(sharp.bound_high)} if not, before "
        f"sampling error: {settled}.",
    ]
