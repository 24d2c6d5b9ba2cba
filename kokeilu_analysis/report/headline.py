"""The answer in three plain sentences, worded by what the numbers allow to say.

Its numbers are those of the memo, under the same names, so that `kokeilu trace` finds them.
"""

from kokeilu_analysis import paths
from kokeilu_analysis.report import wording
from kokeilu_analysis.report.numbers import fill, verdict

SAID = {
    "lower": "Unemployment fell more, or rose less, in the trial areas than in the control areas",
    "higher": "Unemployment fell less, or rose more, in the trial areas than in the control areas",
    "unclear": "No difference between trial and control areas can be told from zero",
}

SETTLED = {
    "unclear": "so the reported figures do not settle even its sign",
    "lower": "below zero whatever the backlogs inside the reported ranges were",
    "higher": "above zero whatever the backlogs inside the reported ranges were",
}
SENTENCES = (
    "{said}: {estimate:1} percentage points of the labour force (95% interval {ci_low:1..ci_high}; "
    "unemployed per labour force of 2019, {pre_first} to {pre_last} against {post_first} to "
    "{post_last}, {n_trial} trial and {n_control} control municipalities, {weighting}).",
    "The starting backlog was {f2_mean_low:1..f2_mean_high} per cent of transferred customers on "
    "average over the areas, as the coordinator's letter is most plainly read; most single areas "
    "are known only within wide ranges.",
    "Had the areas started without a backlog, a straight line through them gives {f8_middle:1} "
    "points (95% interval {f8_middle_low:1..f8_middle_high}) if every backlog lies in the middle "
    "of its range, and anything from {f8_zero_low:1} to {f8_zero_high:1} if not, before sampling "
    "error: {settled}.",
)


def headline(folder=paths.RESULTS):
    """Return the three sentences that the terminal, the README and notebook 06 show.

    Returns
    -------
    list of str
        Plain comparison, starting backlog, comparison without a backlog; each with its interval
        or bounds, unit, control group and period.
    """
    values = wording.study("en", folder)
    values["said"] = SAID[values["verdict"]]
    values["settled"] = SETTLED[verdict(values["f8_zero_low"], values["f8_zero_high"])]
    return [fill(sentence, values) for sentence in SENTENCES]
