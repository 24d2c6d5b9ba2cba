"""Several outcomes beside each other; an outcome with hidden cells is a set, not a number."""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, estimates, multiple
from kokeilu_analysis.methods.frames import needs, ordered, unit_table, windowed
from kokeilu_analysis.methods.intervals import imbens_manski


def did_set(frame, lower, upper, unit, time, treated, start, weights=None, cluster=None):
    """Two-by-two of an outcome whose cells may be intervals, with its sampling error.

    Parameters
    ----------
    lower, upper : str
        Columns with the ends of each cell; the other arguments as in `compare.did`.

    Returns
    -------
    DataFrame
        One row of the estimate schema. Where no cell is an interval it is that of `compare.did`.
        Otherwise there is no ``estimate``: ``bound_low`` and ``bound_high`` are sharp (see
        `compare.did_interval`), and ``ci_low``, ``ci_high`` cover the difference wherever it lies
        between them (Imbens & Manski 2004, jackknife errors of the two ends).

    Raises
    ------
    KokeiluError
        As in `compare.did_interval`.

    Examples
    --------
    >>> f = pd.DataFrame({"i": list("aabbccdd"), "t": [0, 1] * 4, "d": [1] * 4 + [0] * 4,
    ...                   "lo": [4.0, 7, 2, 3, 1, 2, 1, 1], "up": [4.0, 8, 2, 3, 1, 2, 1, 1]})
    >>> did_set(f, "lo", "up", "i", "t", "d", 1)[["bound_low", "bound_high"]].iloc[0].tolist()
    [1.5, 2.0]
    """
    needs(frame, lower, upper, unit, time, treated)
    ordered(frame, lower, upper, unit, time)
    names = (unit, time, treated, start, weights, cluster)
    if (frame[lower] == frame[upper]).all():
        return compare.did(frame, lower, *names)
    takes = (frame[treated] == 1) == (frame[time] >= start)
    ends = []
    for rising, falling in ((lower, upper), (upper, lower)):
        cell = frame[rising].where(takes, frame[falling])
        ends.append(compare.did(frame.assign(**{lower: cell}), lower, *names))
    low, high = (end.iloc[0] for end in ends)
    if pd.isna(low["se"]) or pd.isna(high["se"]):
        reach = (np.nan, np.nan)
    else:
        ses = (low["se"], high["se"])
        reach = imbens_manski(low["estimate"], high["estimate"], *ses, n=int(low["n_clusters"]))
    hidden = int((frame[lower] < frame[upper]).sum())
    return ends[0].assign(
        estimate=np.nan,
        se=np.nan,
        p=np.nan,
        bound_low=low["estimate"],
        bound_high=high["estimate"],
        ci_low=reach[0],
        ci_high=reach[1],
        inference="Imbens-Manski, CR3 at each bound",
        note=f"{hidden} of {len(frame)} cells hidden",
    )


def table(frames, unit, time, treated, baseline, cluster, weights=None):
    """One row an outcome and window, points where all cells are known and sets elsewhere.

    Parameters
    ----------
    frames : list of (design.Outcome, DataFrame)
        Long frames with ``lower`` and ``upper`` in the unit of the outcome.
    baseline : design.Window
    unit, time, treated, cluster, weights
        As in `compare.did`.

    Returns
    -------
    DataFrame
        The estimate schema; ``spec`` = outcome/window, ``estimand`` says which way is good.
    """
    rows = []
    for outcome, frame in frames:
        for post in outcome.posts:
            inside = windowed(frame, time, baseline, post)
            names = ("lower", "upper", unit, time, treated, post.first)
            row = did_set(inside, *names, weights=weights, cluster=cluster)
            better = f"ATT; better: {outcome.better}"
            spec = f"{outcome.name}/{post.name}"
            rows.append(row.assign(outcome=outcome.name, estimand=better, spec=spec))
    return estimates.table(pd.concat(rows, ignore_index=True))


def joint(frames, unit, time, treated, baseline, cluster, weights=None, draws=9999, seed=0):
    """Joint test of the outcomes over the window that all of them have.

    Areas are reassigned for all outcomes together (Romano & Wolf 2005); hidden cells stand at the
    middle of their interval, so that the test has numbers to work with. That moves an outcome by
    at most half the width of its set in `table`.

    Parameters
    ----------
    frames, unit, time, treated, baseline, cluster, weights
        As in `table`.
    draws, seed
        As in `multiple.romano_wolf`.

    Returns
    -------
    DataFrame
        ``outcome``, ``estimate``, ``t``, ``p``, ``p_adjusted``.

    Raises
    ------
    KokeiluError
        The outcomes have no window in common, or not the same units.
    """
    shared = set.intersection(*({post for post in outcome.posts} for outcome, _ in frames))
    if not shared:
        raise KokeiluError("The outcomes have no window in common to be tested jointly.")
    post = min(shared, key=lambda w: w.first)
    changes, facts = {}, None
    for outcome, frame in frames:
        inside = windowed(frame, time, baseline, post)
        inside = inside.assign(middle=(inside["lower"] + inside["upper"]) / 2)
        matrix, own = unit_table(inside, "middle", unit, time, treated, weights, cluster)
        if facts is not None and not own.index.equals(facts.index):
            raise KokeiluError(f"Outcome {outcome.name} has other units than the first one.")
        facts = own
        late = matrix.columns >= post.first
        changes[outcome.name] = matrix.loc[:, late].mean(axis=1) - matrix.loc[:, ~late].mean(axis=1)
    return multiple.romano_wolf(
        pd.DataFrame(changes),
        facts["treated"],
        facts["cluster"],
        draws=draws,
        seed=seed,
        weights=facts["weight"],
    )
