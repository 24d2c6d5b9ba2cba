"""What accepted returns imply: statements on backlogs, response rates, coverage of themes."""

import pandas as pd

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.sources import survey
from kokeilu_analysis.sources import survey_form as form

START = pd.Timestamp("2021-03-31")  # first count day of the trials
EVIDENCE = [
    *("statement_id", "source", "said_on", "refers_to_from", "refers_to_to", "subject", "kind"),
    *("lower", "upper", "count_low", "count_high", "weight", "reading", "replaces", "note"),
]


def to_evidence(accepted, municipalities, customers=None, date=None, weights=None):
    """Turn accepted returns into statements on the backlogs of their areas.

    The backlog of a municipality is (out of date + never made) / customers; that of an area is
    the mean over its members by customers. A member without an answer may have any backlog from
    0 to 1, so that an area stays an interval until all have answered [1]_.

    Parameters
    ----------
    accepted : DataFrame
        From `survey.read_returns` or `survey.kept`.
    municipalities : DataFrame
        As for `survey.read_returns`.
    customers : Series, optional
        Transferred customers by `municipality` or by `area_id`; reported ones go first.
    date : date-like, optional
        Last count day that speaks for the start; default 31.3.2021. Each municipality's first
        return up to then does. Everything else becomes an observation of kind ``later``.
    weights : Series, optional
        Any measure of size by municipality, such as the unemployed, used for all members of an
        area where customers are not known.

    Returns
    -------
    DataFrame
        Schema of the evidence register; `kind` is ``value``, ``range`` or ``later``.

    Raises
    ------
    KokeiluError
        If an area has members of unknown size, or more reported customers than it should have.

    Examples
    --------
    >>> answer = {"municipality": ["091"], "date": [START], "customers_transferred": [50]}
    >>> answer |= {"plans_valid": [10], "plans_out_of_date": [30], "plans_never_made": [10]}
    >>> place = pd.DataFrame({"municipality": ["091"], "area_id": ["KK01"], "is_trial": [1]})
    >>> evidence = to_evidence(pd.DataFrame(answer).assign(file="a.xlsx"), place)
    >>> evidence[["subject", "kind", "lower", "upper"]].to_numpy().tolist()
    [['KK01', 'value', 0.8, 0.8]]

    References
    ----------
    .. [1] Horowitz, J. L. and Manski, C. F. (1995), Identification and robustness with
       contaminated and corrupted data, Econometrica 63(2), 281-302.

    """
    last = START if date is None else pd.Timestamp(date)
    area_of = _trial_areas(municipalities)
    answers = accepted[accepted["plans_valid"].notna()].sort_values(survey.KEY)
    answers = answers[answers["municipality"].isin(area_of.index)]
    at_start = answers["date"].le(last) & ~answers["municipality"].duplicated()
    reported = accepted.dropna(subset="customers_transferred").sort_values(survey.KEY)
    reported = reported.drop_duplicates("municipality").set_index("municipality")
    reported = reported["customers_transferred"].astype(float)
    areas, moments = answers["municipality"].map(area_of), answers["date"].where(~at_start)
    rows = []
    for (area, moment), group in answers.groupby([areas, moments], dropna=False):
        members = area_of.index[area_of == area]
        group = group.set_index("municipality")
        rest = members.difference(group.index)
        lower, upper, basis = _area_backlog(area, group, rest, reported, customers, weights)
        start = pd.isna(moment)
        note = f"{len(group)} of {len(members)} municipalities answered; {basis}"
        rows.append(
            {
                "statement_id": f"survey_{area}" + ("" if start else f"_{moment:%Y-%m-%d}"),
                "source": "returns of municipalities: " + ", ".join(sorted(set(group["file"]))),
                "refers_to_from": group["date"].min(),
                "refers_to_to": group["date"].max(),
                "subject": area,
                "kind": ("range" if lower < upper else "value") if start else "later",
                "lower": lower,
                "upper": upper,
                "note": note,
            }
        )
    rows.sort(key=lambda row: row["statement_id"])
    frame = pd.DataFrame(rows, columns=EVIDENCE)
    frame[["weight", "reading", "replaces"]] = ["", "default", ""]
    dates = dict.fromkeys(["said_on", "refers_to_from", "refers_to_to"], "datetime64[us]")
    counts = {"count_low": "Int64", "count_high": "Int64", "lower": float, "upper": float}
    return frame.astype({**dates, **counts})


def _area_backlog(area, answers, rest, reported, customers, weights):
    """Return the lowest and highest backlog of an area and what its members were weighted by."""
    counts = answers[form.COUNTS].astype(float)
    known = counts["customers_transferred"].sum()
    owed = counts["plans_out_of_date"] + counts["plans_never_made"]
    sizes = reported.reindex(rest)
    if customers is not None:
        sizes = sizes.fillna(customers.reindex(rest))
    total, basis = known + sizes.sum(skipna=False), "weighted by customers"
    if len(rest) and customers is not None and area in customers.index:
        total = float(customers[area])
        if total < known:
            found = f"{known:.0f} reported customers in {area}"
            raise KokeiluError(f"{found}, more than the {total:.0f} that `customers` gives it.")
    if not pd.isna(total):
        low, slack = owed.sum(), total - known
    elif weights is not None and weights.reindex([*answers.index, *rest]).notna().all():
        size = weights.reindex(answers.index).where(counts["customers_transferred"] > 0, 0.0)
        share = (owed / counts["customers_transferred"]).fillna(0.0)
        low, slack = (size * share).sum(), weights.reindex(rest).sum()
        total, basis = size.sum() + slack, "weighted by size, as customers are not known"
    else:
        missing = ", ".join(sizes.index[sizes.isna()])
        advice = "Give `customers`, or `weights` for all members of the area."
        raise KokeiluError(f"{area}: no customers or weight for {missing}. {advice}")
    if total == 0:
        return 0.0, 1.0, "no customers reported"
    return float(low / total), float(min((low + slack) / total, 1.0)), basis


def _trial_areas(municipalities):
    """Return the `area_id` of each trial municipality, by code."""
    trial = municipalities[municipalities["is_trial"].astype(int) == 1]
    return trial.set_index("municipality")["area_id"]


def response_rate(accepted, municipalities, weights=None):
    """Count who has answered, by area and in total.

    Parameters
    ----------
    accepted, municipalities : DataFrame
        As for `to_evidence`.
    weights : Series, optional
        Customers or another measure of size by municipality.

    Returns
    -------
    DataFrame
        `area_id` (last row ``all``), number of `municipalities`, `answered` anything,
        `answered_plans` (the counts of plans), and `share_weight`, the share of the weight that
        those with plans hold (0-1; missing without `weights`).

    Examples
    --------
    >>> place = pd.DataFrame({"municipality": ["091"], "area_id": ["KK01"], "is_trial": [1]})
    >>> response_rate(survey.kept("no such folder"), place).to_dict("records")[-1]
    {'area_id': 'all', 'municipalities': 1, 'answered': 0, 'answered_plans': 0, 'share_weight': nan}

    """
    frame = _trial_areas(municipalities).to_frame()
    frame["answered"] = frame.index.isin(accepted["municipality"])
    with_plans = accepted.loc[accepted["plans_valid"].notna(), "municipality"]
    frame["answered_plans"] = frame.index.isin(with_plans)
    frame["weight"] = float("nan")
    if weights is not None:
        frame["weight"] = weights.reindex(frame.index).astype(float)
    frame["held"] = frame["weight"].where(frame["answered_plans"] | frame["weight"].isna(), 0.0)
    frame["municipalities"] = 1
    frame = pd.concat([frame, frame.assign(area_id="all")])
    sums = frame.groupby("area_id").agg(lambda column: column.sum(skipna=False))
    sums["share_weight"] = sums["held"] / sums["weight"]
    names = ["municipalities", "answered", "answered_plans"]
    return sums.astype(dict.fromkeys(names, int))[[*names, "share_weight"]].reset_index()


def coverage(accepted, municipalities, themes=None):
    """Count answers on the nine themes and the two interview rounds.

    A municipality counts with its latest answer to each question.

    Parameters
    ----------
    accepted, municipalities : DataFrame
        As for `to_evidence`.
    themes : DataFrame, optional
        Columns `item_id` (``theme_1`` ...) and any texts to add, such as `text_en`.

    Returns
    -------
    DataFrame
        For each `item_id` (``theme_1`` to ``theme_9``, ``round_1``, ``round_2``) and `group`
        (``trial``, and ``comparison`` outside the trials) the municipalities that said `yes`
        and `no`, and those `unanswered`. Comparisons are counted once they have answered.

    """
    latest = (
        accepted.sort_values(survey.KEY)
        .groupby("municipality")[[*survey.THEMES, "round_done"]]
        .last()
    )
    for number in (1, 2):
        latest[f"round_{number}"] = latest["round_done"].ge(number).astype("Int64")
    trial = _trial_areas(municipalities).index
    groups = {"trial": trial, "comparison": latest.index.difference(trial)}
    rows = []
    for item in [*survey.THEMES, "round_1", "round_2"]:
        for group, codes in groups.items():
            answers = latest[item].reindex(codes)
            yes, no = int(answers.eq(1).sum()), int(answers.eq(0).sum())
            rows.append((item, group, yes, no, len(codes) - yes - no))
    table = pd.DataFrame(rows, columns=["item_id", "group", "yes", "no", "unanswered"])
    return table if themes is None else table.merge(themes, on="item_id", how="left")
