"""What was reported about the backlog: rows of the evidence register, read as statements."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import DataError, KokeiluError

KINDS = "value range mean smallest largest few_below order later context".split()
DEFAULT = "default"
TEXTS = {"subject": "", "kind": "", "source": "", "weight": "", "reading": DEFAULT, "replaces": ""}
NUMBERS = ("lower", "upper", "count_low", "count_high")


@dataclass(frozen=True)
class Statement:
    """One reported statement about the backlogs ``B`` (shares, 0–1) of some areas.

    Parameters
    ----------
    id, kind, subject : str
        As in the register; `kind` is one of `KINDS` except ``context``.
    areas : tuple of str
        The areas it speaks of; for ``order`` from the lowest to the highest.
    of_replied : bool
        True when it holds only for those areas that had replied.
    lower, upper : float
        Shares; for ``few_below`` the threshold is `upper`.
    count_low, count_high : float
        For ``few_below``: how many may lie below; a `count_high` of NaN means fewer than half.
    weight : str
        For means: ``areas`` or ``customers``.
    """

    id: str
    kind: str
    subject: str
    areas: tuple
    of_replied: bool = False
    lower: float = 0.0
    upper: float = 1.0
    count_low: float = 0.0
    count_high: float = np.nan
    weight: str = ""
    reading: str = DEFAULT
    said_on: pd.Timestamp = field(default=pd.NaT)
    source: str = ""
    unchanged: bool = False

    def words(self, names=None):
        """Say the statement as a reader would.

        Examples
        --------
        >>> Statement("E1", "mean", "all", ("A", "B"), lower=0.5, upper=0.5, weight="areas").words()
        'the mean of all areas is 50 %'
        """
        names = names or {}
        listed = [str(names.get(area, area)) for area in self.areas]
        if self.of_replied and self.kind not in ("smallest", "largest"):
            who = "the areas that had replied"
        elif self.subject == "all":
            who = "all areas"
        elif self.subject in self.areas or ";" in self.subject:
            who = ", ".join(listed)
        else:
            who = str(names.get(self.subject, self.subject))
        amount = _amount(self.lower, self.upper)
        if self.kind == "mean":
            by = ", weighted by customers," if self.weight == "customers" else ""
            says = f"the mean of {who}{by} is {amount}"
        elif self.kind in ("smallest", "largest"):
            says = f"{listed[0]} is the {self.kind} reported, at {amount}"
        elif self.kind == "few_below":
            says = f"{self._how_many()} {who} lie below {_percent(self.upper)}"
        elif self.kind == "order":
            says = " is no higher than ".join(listed)
        else:
            says = f"{who}: {'each ' if len(self.areas) > 1 else ''}{amount}"
        return f"{says} (a later figure, taken as unchanged)" if self.unchanged else says

    def role(self, area, customers):
        """Return what the statement says of one area: areas with equal roles are exchangeable."""
        if area not in self.areas:
            return None
        if self.kind in ("order", "smallest", "largest"):
            return self.areas.index(area)
        if self.kind == "mean" and self.weight == "customers":
            return float(customers[area])
        return "member"

    def _how_many(self):
        low = int(self.count_low)
        if np.isnan(self.count_high):
            most = "fewer than half of"
            return most if low == 0 else f"at least {low} but {most}"
        high = int(self.count_high)
        if low == 0:
            return f"at most {high} of"
        return f"exactly {low} of" if low == high else f"between {low} and {high} of"


def readings(evidence):
    """Return the names of the readings in a register, ``default`` first, then as they appear.

    Examples
    --------
    >>> readings(pd.DataFrame({"reading": ["default", "mean_exact", "default"]}))
    ['default', 'mean_exact']
    """
    if "reading" not in evidence:
        return [DEFAULT]
    names = evidence["reading"].fillna(DEFAULT).replace("", DEFAULT)
    return list(dict.fromkeys([DEFAULT, *names]))


def read(evidence, areas, groups=None, reading=DEFAULT, include_later=False):
    """Turn register rows into statements under one reading.

    Parameters
    ----------
    evidence : DataFrame
        One statement a row: statement_id, subject, kind, lower, upper and, where they apply,
        weight, count_low, count_high, reading, replaces, said_on, source.
    areas : list of str
    groups : dict of lists, or DataFrame with group_id and area_id, optional
        Named groups that a subject may be.
    reading : str or sequence of str
        ``default``, an alternative, or several alternatives at once (a list, or joined by ``+``).
        An alternative is the default rows with the rows named in its `replaces` swapped.
    include_later : bool
        Also use ``later`` rows, as if nothing had changed since the start: a row with a weight
        as a mean, a row without as a range for each member.

    Returns
    -------
    list of Statement
        In the order of the register; ``context`` rows are never statements.

    Raises
    ------
    DataError, KokeiluError
        A row that cannot be read, named by its statement_id and column; an unknown reading.
    """
    groups = grouped(groups, areas)
    statements = []
    for row in _chosen(_records(evidence), readings(evidence), reading):
        if row["kind"] == "context" or (row["kind"] == "later" and not include_later):
            _members(row, areas, groups)  # an unknown subject is an error even where it is idle
            continue
        statements.append(_statement(row, areas, groups))
    return statements


def _records(evidence):
    """Return the rows as dicts in which every column is there, texts as str, numbers as float."""
    for column in ("subject", "kind"):
        if column not in evidence:
            raise DataError("evidence", "no such column", "a column of this name", column=column)
    rows, seen = [], set()
    for number, given in enumerate(evidence.to_dict("records"), start=1):
        given = {c: v for c, v in given.items() if not (pd.isna(v) or v == "")}
        row = {"statement_id": str(given.get("statement_id", f"row {number}"))}
        where = row["statement_id"]
        row |= {column: str(given.get(column, value)).strip() for column, value in TEXTS.items()}
        row |= {column: _number(given.get(column, np.nan), where, column) for column in NUMBERS}
        try:
            row["said_on"] = pd.to_datetime(given.get("said_on"), format="ISO8601") or pd.NaT
        except ValueError:
            raise DataError(
                "evidence", given["said_on"], "a date such as 2021-04-15", where, "said_on"
            ) from None
        if where in seen:
            raise DataError("evidence", "it twice", "each id once", where, "statement_id")
        seen.add(where)
        rows.append(row)
    return rows


def _number(value, where, column):
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.inf
    if np.isinf(number):
        advice = "Write decimals with a point." if "," in str(value) else None
        raise DataError("evidence", value, "a number", where, column, advice)
    return number


def _chosen(rows, known, reading):
    """Return the default rows with those of the chosen readings in place of what they replace."""
    names = reading.split("+") if isinstance(reading, str) else list(reading)
    for name in names:
        if name not in known:
            raise KokeiluError(
                f"There is no reading {name!r} in the evidence; it has {', '.join(known)}."
            )
    default = {row["statement_id"] for row in rows if row["reading"] == DEFAULT}
    chosen = [row for row in rows if row["reading"] in (DEFAULT, *names)]
    replaced = {}
    for row in chosen:
        for old in filter(None, (part.strip() for part in row["replaces"].split(";"))):
            if old not in default:
                advice = "Name the statement_id of a default row."
                raise DataError(
                    "evidence", old, "a default row", row["statement_id"], "replaces", advice
                )
            if replaced.setdefault(old, row["reading"]) != row["reading"]:
                raise KokeiluError(
                    f"Readings {replaced[old]} and {row['reading']} both replace statement {old}; "
                    "choose one of them."
                )
    return [row for row in chosen if row["statement_id"] not in replaced]


def city_ranges(row, shares, reading):
    """Turn a range that holds for cities into what it implies for their areas.

    The rest of an area may have any backlog from 0 to 1, so the area's lies between
    ``share · lower`` and ``share · upper + 1 - share``.

    Parameters
    ----------
    row : Series or dict
        A range row of the register whose statement is about cities.
    shares : Series by area_id
        The city's share (0–1) of the area's customers, or of a stand-in such as the unemployed.
    reading : str
        Name of the reading the new rows belong to.

    Returns
    -------
    DataFrame
        One row an area, in the columns of `row`.

    Examples
    --------
    >>> rows = city_ranges({"statement_id": "c", "lower": 0.6, "upper": 0.8, "note": ""},
    ...                    pd.Series({"KK11": 0.5}), "city_only")
    >>> rows[["subject", "lower", "upper"]].round(9).values.tolist()
    [['KK11', 0.3, 0.9]]
    """
    low, high = float(row["lower"]), float(row["upper"])
    found = [
        dict(row)
        | {
            "statement_id": f"{row['statement_id']}_{area}",
            "subject": area,
            "lower": share * low,
            "upper": share * high + 1 - share,
            "reading": reading,
            "replaces": row["statement_id"],
            "note": f"Implied for the area: the city has {share:.0%} of it, the rest is open.",
        }
        for area, share in shares.items()
    ]
    return pd.DataFrame(found)


def grouped(groups, areas):
    """Return named groups as a dict of lists, checked against the areas."""
    if groups is None:
        return {}
    if isinstance(groups, pd.DataFrame):
        groups = {name: list(g["area_id"]) for name, g in groups.groupby("group_id")}
    for name, members in groups.items():
        unknown = sorted(set(members) - set(areas))
        if unknown or not len(members):
            found = ", ".join(map(str, unknown)) or "no member"
            raise DataError("groups", found, "areas of the study", row=name, column="area_id")
    return groups


def _members(row, areas, groups):
    """Return the areas of a row's subject and whether it speaks of repliers only."""
    subject = str(row["subject"]).strip()
    if subject in ("all", "replied"):
        return tuple(areas), subject == "replied"
    if subject in groups:
        return tuple(groups[subject]), False
    parts = tuple(part.strip() for part in subject.split(";"))
    unknown = [part for part in parts if part not in set(areas)]
    if unknown or len(set(parts)) < len(parts):
        raise DataError(
            "evidence",
            repr(subject),
            "an area, several different areas joined by ';', a group, 'all' or 'replied'",
            row["statement_id"],
            "subject",
            f"Known groups: {', '.join(groups) or 'none'}.",
        )
    return parts, False


def _statement(row, areas, groups):
    kind, where = row["kind"], row["statement_id"]
    if kind not in KINDS:
        raise DataError("evidence", repr(kind), f"one of {', '.join(KINDS)}", where, "kind")
    members, of_replied = _members(row, areas, groups)
    unchanged = kind == "later"
    if unchanged:
        kind = "mean" if row["weight"] else "range"
    if kind == "mean" and row["weight"] not in ("areas", "customers"):
        raise DataError(
            "evidence", repr(row["weight"]), "'areas' or 'customers' for a mean", where, "weight"
        )
    if kind in ("smallest", "largest"):
        of_replied = True  # "so far" compares with those that had replied
        if len(members) != 1:
            raise DataError("evidence", f"{len(members)} areas", "one area", where, "subject")
    if kind == "order" and (len(members) < 2 or row["subject"] in ("all", "replied")):
        raise DataError(
            "evidence", repr(row["subject"]), "areas joined by ';', lowest first", where, "subject"
        )
    lower, upper = _shares(row, kind)
    count_low, count_high = _counts(row, kind, len(members))
    return Statement(
        id=where,
        kind=kind,
        subject=str(row["subject"]).strip(),
        areas=members,
        of_replied=of_replied,
        lower=lower,
        upper=upper,
        count_low=count_low,
        count_high=count_high,
        weight=row["weight"],
        reading=row["reading"],
        said_on=row["said_on"],
        source=row["source"],
        unchanged=unchanged,
    )


def _shares(row, kind):
    """Return checked (lower, upper); a missing side of an interval is open."""
    lower, upper, where = row["lower"], row["upper"], row["statement_id"]
    for column in ("lower", "upper"):
        if row[column] < 0 or row[column] > 1:
            advice = "Divide a percentage by 100." if row[column] > 1 else None
            raise DataError(
                "evidence", f"{row[column]:g}", "a share between 0 and 1", where, column, advice
            )
    if kind == "order":
        return 0.0, 1.0
    if kind == "few_below":
        if np.isnan(upper):
            raise DataError("evidence", "nothing", "the threshold as a share", where, "upper")
        return 0.0, upper
    if np.isnan(lower) and np.isnan(upper) and kind not in ("smallest", "largest"):
        raise DataError("evidence", "neither", "lower or upper as a share", where, "lower, upper")
    if kind == "value":
        lower, upper = (upper if np.isnan(lower) else lower), (lower if np.isnan(upper) else upper)
    lower, upper = (0.0 if np.isnan(lower) else lower), (1.0 if np.isnan(upper) else upper)
    if lower > upper:
        raise DataError(
            "evidence", f"{lower:g} > {upper:g}", "lower no higher than upper", where, "lower"
        )
    return lower, upper


def _counts(row, kind, members):
    if kind != "few_below":
        return 0.0, np.nan
    low, high = np.nan_to_num(row["count_low"], nan=0.0), row["count_high"]
    top = members if np.isnan(high) else high
    if not (0 <= low <= top <= members and low % 1 == 0 and top % 1 == 0):
        raise DataError(
            "evidence",
            f"{low:g} to {top:g}",
            f"whole numbers in order, at most {members}",
            row["statement_id"],
            "count_low, count_high",
        )
    return float(low), float(high)


def _percent(share):
    return f"{100 * share:.4g} %"


def _amount(lower, upper):
    return _percent(lower) if lower == upper else f"{_percent(lower)} to {_percent(upper)}"
