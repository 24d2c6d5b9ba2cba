"""study.toml as a checked object: windows, main specification, panel limits."""

import ast
import tomllib
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError

BACKLOG = (
    "customers_factor",
    "minutes_per_plan",
    "hours_per_month",
    "customers_per_officer",
    "arrivals",
    "target",
    "covid_factors",
    "replies_grid",
)
LAG = ("debt_share", "capacity_lost", "exposure_step", "error_sd", "heap", "tilts", "trend_breaks")
REGISTERS = ("source", "last_day", "plan_days")
OPTIONS = ("neighbours", "exact", "level_matters", "covariates")  # of the estimators of a check
ESTIMATORS = ("did", "matched", "doubly_robust")
VARIANT = ("threat", "keep", "weights", "baseline", "post", "treated", "estimator", "matched_on")
VARIANT += OPTIONS
OUTCOME = ("name", "plus", "minus", "better", "posts")
CURVE = ("baselines", "posts", "weights", "trends", "controls", "treated", "draws", "seed")
SIZE_LIMIT, TEXT_LIMIT = 100_000, 300  # bytes, signs; the study's own file has 10,000
STOPS_LIMIT = 100  # a key of thousands of parts takes the reader of TOML minutes
CONDITION = (  # of what a condition may consist; a call or an attribute could do anything
    *(ast.Expression, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.Not, ast.Invert, ast.USub),
    *(ast.BinOp, ast.BitAnd, ast.BitOr, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Compare),
    *(ast.cmpop, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple),
)


def _text(value):
    return isinstance(value, str) and value.isprintable() and len(value) <= TEXT_LIMIT


def _number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _condition(value):
    if not _text(value):
        return False
    try:
        return not value or all(isinstance(n, CONDITION) for n in ast.walk(_parsed(value)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _parsed(condition):
    return ast.parse(condition, mode="eval")


def _listed(of):
    return lambda value: isinstance(value, list) and all(map(of, value))


def _named(of):
    """A table of texts that mean something by their names."""
    return lambda value: (
        isinstance(value, dict) and all(map(_text, value)) and all(map(of, value.values()))
    )


KINDS = {  # how a value must be, and how the message names it
    "text": (_text, f"a text of at most {TEXT_LIMIT} signs"),
    "texts": (_listed(_text), "a list of texts"),
    "number": (_number, "a number"),
    "numbers": (_listed(_number), "a list of numbers"),
    "whole": (_whole, "a whole number of 0 or more"),
    "list": (_listed(lambda value: True), "a list"),
    "windows": (_named(lambda value: True), "a table of windows"),
    "condition": (_condition, 'a condition on columns, such as "population_2020 >= 5000"'),
    "conditions": (_named(_condition), "a table of conditions on columns"),
    "option": (
        lambda v: isinstance(v, bool) or _number(v) or _listed(_text)(v),
        "true, false, a number or a list of names",
    ),
}
SHAPE = {  # of each section: key → kind; months and windows are judged where they are read
    "panel": {},
    "registers": {"source": "text"},
    "trial": {},
    "event_study": {},
    "main": dict.fromkeys(("outcome", "post", "weights", "cluster"), "text"),
    "lag": dict.fromkeys(("steepest", "heap"), "number")
    | {"exposure_step": "whole"}
    | dict.fromkeys(
        ("debt_share", "capacity_lost", "error_sd", "tilts", "trend_breaks"), "numbers"
    ),
    "backlog": dict.fromkeys(("customers_factor", "hours_per_month", "target"), "number")
    | dict.fromkeys(("minutes_per_plan", "customers_per_officer", "arrivals"), "numbers")
    | {"covid_factors": "numbers", "replies_grid": "whole"},
    "peers": {"shares": "numbers"},
    "distances": dict.fromkeys(("near", "commuting"), "number"),
    "specification_curve": dict.fromkeys(("baselines", "posts"), "list")
    | dict.fromkeys(("weights", "trends"), "texts")
    | dict.fromkeys(("controls", "treated"), "conditions")
    | dict.fromkeys(("draws", "seed"), "whole"),
}
ENTRY = {  # of an outcome and of a check
    "outcome": {
        "name": "text",
        "better": "text",
        "plus": "texts",
        "minus": "texts",
        "posts": "list",
    },
    "check": dict.fromkeys(("spec", "threat", "weights", "treated", "estimator"), "text")
    | {"keep": "condition"},
}
CHECKS = ("robustness", "control_group", "threat", "date")


@dataclass(frozen=True)
class Window:
    """A run of whole months, both ends included.

    >>> Window("baseline", pd.Timestamp("2019-03-01"), pd.Timestamp("2020-02-01")).text
    '2019M03–2020M02'
    """

    name: str
    first: pd.Timestamp
    last: pd.Timestamp

    @property
    def text(self):
        """The window as result tables print it."""
        return f"{self.first:%YM%m}–{self.last:%YM%m}"

    @property
    def months(self):
        """First days of the months in the window."""
        return pd.date_range(self.first, self.last, freq="MS")


@dataclass(frozen=True)
class Design:
    """The study's choices; see the comments in study.toml."""

    panel: Window
    labour_force_year: int
    start: pd.Timestamp
    end: pd.Timestamp
    windows: dict
    event_study: Window
    outcome: str
    post: str
    weights: str
    cluster: str
    reference_backlog: tuple
    steepest: float
    lag: dict
    backlog: dict
    robustness: tuple
    control_groups: tuple
    threats: tuple
    dates: tuple
    outcomes: tuple
    curve: "Curve"
    peers: tuple
    distances: dict
    registers: dict


@dataclass(frozen=True)
class Variant:
    """One robustness check: what it changes in the main specification.

    `keep` is a condition on units as `DataFrame.query` reads it, empty = all; `treated` names
    another column of who is compared with whom, empty = the trial; `options` go to the estimator;
    `matched_on` is the window whose months controls are matched on, if not the baseline.
    """

    spec: str
    keep: str
    weights: str
    baseline: Window
    post: Window
    estimator: str = "did"
    treated: str = ""
    options: dict = field(default_factory=dict)
    matched_on: Window = None


@dataclass(frozen=True)
class Outcome:
    """A count as the sum of some measures less others, and which way is good."""

    name: str
    plus: tuple
    minus: tuple
    better: str
    posts: tuple


@dataclass(frozen=True)
class Curve:
    """The choices whose every combination is a specification; see `specifications.grid`."""

    baselines: tuple
    posts: tuple
    weights: tuple
    trends: tuple
    controls: dict
    treated: dict
    draws: int
    seed: int


def load(path=paths.STUDY):
    """Read and check the design.

    Parameters
    ----------
    path : path
        A TOML file of the shape of ``study.toml``.

    Returns
    -------
    Design

    Raises
    ------
    DataError
        The file is not TOML, or a key is missing or not a month, window or choice; windows that a
        comparison sets side by side must not overlap.

    Examples
    --------
    >>> load().windows["last_year"].text
    '2022M11–2023M10'
    """
    name = paths.shown(path)
    raw = _read(path, name)
    _check_shape(raw, name)

    def get(section, key):
        try:
            return raw[section][key]
        except (KeyError, TypeError) as error:
            raise DataError(name, "nothing", "a value", row=f"[{section}]", column=key) from error

    def month(section, key, text, form="%Y-%m", such='a month such as "2021-03"'):
        try:
            return pd.Timestamp(datetime.strptime(text, form))
        except (ValueError, TypeError) as error:
            raise DataError(name, _shown(text), such, row=f"[{section}]", column=key) from error

    def registers():
        source, last, days = (get("registers", key) for key in REGISTERS)
        if whole_number("registers", "plan_days", "a number of days above 0") < 1:
            raise DataError(name, days, "a number of days above 0", "[registers]", "plan_days")
        last = month("registers", "last_day", last, "%Y-%m-%d", 'a day such as "2025-01-31"')
        return dict(zip(REGISTERS, (source, last, days), strict=True))

    def window(section, key, ends):
        if not isinstance(ends, list) or len(ends) != 2:
            raise DataError(
                name, _shown(ends), "first and last month", row=f"[{section}]", column=key
            )
        first, last = (month(section, key, end) for end in ends)
        if last < first:
            raise DataError(
                name, f"{ends}", "the first month first", row=f"[{section}]", column=key
            )
        return Window(key, first, last)

    def whole_number(section, key, such="a year such as 2019"):
        value = get(section, key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise DataError(name, _shown(value), such, f"[{section}]", key)
        return value

    windows = {k: window("windows", k, v) for k, v in raw.get("windows", {}).items()}
    for key in ("baseline", "first_year", "last_year"):
        if key not in windows:
            raise DataError(name, "nothing", "a window", row="[windows]", column=key)
    start = month("trial", "start", get("trial", "start"))
    if windows["baseline"].last >= start:
        raise DataError(
            name,
            windows["baseline"].text,
            f"a window before {start:%YM%m}",
            row="[windows]",
            column="baseline",
        )
    end = month("trial", "end", get("trial", "end"))
    if end < start:
        raise DataError(name, f"{end:%Y-%m}", f"{start:%Y-%m} or later", "[trial]", "end")
    post, weights = get("main", "post"), get("main", "weights")
    if post not in windows:
        raise DataError(name, post, f"one of {', '.join(windows)}", row="[main]", column="post")
    if windows[post].first < start:
        raise DataError(name, post, f"a window from {start:%YM%m} on", row="[main]", column="post")
    if weights not in ("none", "labour_force"):
        raise DataError(name, weights, "none or labour_force", row="[main]", column="weights")
    backlog = get("lag", "reference_backlog")
    if not isinstance(backlog, list) or not all(
        isinstance(b, int | float) and 0 <= b <= 1 for b in backlog
    ):
        raise DataError(
            name, _shown(backlog), "a list of shares from 0 to 1", "[lag]", "reference_backlog"
        )
    usual = {"baseline": windows["baseline"], "post": windows[post], "weights": weights}

    def variant(entry, where):
        unknown = set(entry) - {"spec", *VARIANT}
        if "spec" not in entry or unknown:
            found = _shown(unknown) if unknown else "no spec"
            raise DataError(name, found, f"spec, {', '.join(VARIANT)}", f"[{where}]")
        options = {k: entry[k] for k in OPTIONS if k in entry}
        _check_values(options, dict.fromkeys(options, "option"), f"[{where}]", name)
        pair = {
            key: window(where, key, entry[key]) if key in entry else usual[key]
            for key in ("baseline", "post")
        }
        if pair["post"].first <= pair["baseline"].last:
            found = f"{pair['baseline'].text} against {pair['post'].text}"
            raise DataError(name, found, "a baseline that ends before post", f"[{where}]", "post")
        estimator = entry.get("estimator", "did")
        if estimator not in ESTIMATORS:
            raise DataError(
                name, estimator, f"one of {', '.join(ESTIMATORS)}", f"[{where}]", "estimator"
            )
        path = entry.get("matched_on")
        group = f"{entry['threat']}/" if "threat" in entry else ""
        return Variant(
            group + entry["spec"],
            entry.get("keep", ""),
            entry.get("weights", usual["weights"]),
            **pair,
            estimator=estimator,
            treated=entry.get("treated", ""),
            options=options,
            matched_on=None if path is None else window(where, "matched_on", path),
        )

    def variants(section):
        return tuple(
            variant(entry, f"{section} {entry.get('spec', '?')}") for entry in raw.get(section, [])
        )

    def chosen(section, value):
        """A window by its name, or by its ends."""
        if isinstance(value, str):
            if value not in windows:
                raise DataError(name, value, f"one of {', '.join(windows)}", f"[{section}]")
            return windows[value]
        return window(section, "posts", value)

    outcomes = []
    for entry in raw.get("outcome", []):
        where = f"[outcome {entry.get('name', '?')}]"
        if not {"name", "plus", "better"} <= set(entry) <= {*OUTCOME}:
            raise DataError(name, sorted(entry), f"of {', '.join(OUTCOME)}", where)
        if entry["better"] not in ("lower", "higher", "none"):
            raise DataError(name, entry["better"], "lower, higher or none", where, "better")
        posts = tuple(chosen(where, p) for p in entry.get("posts", ["first_year"]))
        parts = (tuple(entry["plus"]), tuple(entry.get("minus", [])))
        outcomes.append(Outcome(entry["name"], *parts, entry["better"], posts))
    lists = {key: get("specification_curve", key) for key in CURVE}
    curve = Curve(
        baselines=tuple(window("specification_curve", "baselines", b) for b in lists["baselines"]),
        posts=tuple(chosen("specification_curve", p) for p in lists["posts"]),
        **{key: tuple(lists[key]) for key in ("weights", "trends")},
        **{key: lists[key] for key in ("controls", "treated", "draws", "seed")},
    )
    ends = [get("panel", "first_month"), get("panel", "last_month")]
    study = [get("event_study", "first_month"), get("event_study", "last_month")]
    return Design(
        panel=window("panel", "first_month", ends),
        labour_force_year=whole_number("panel", "labour_force_year"),
        start=start,
        end=end,
        windows=windows,
        event_study=window("event_study", "first_month", study),
        outcome=get("main", "outcome"),
        post=post,
        weights=weights,
        cluster=get("main", "cluster"),
        steepest=get("lag", "steepest"),
        lag={key: get("lag", key) for key in LAG},
        reference_backlog=tuple(backlog),
        backlog={key: get("backlog", key) for key in BACKLOG},
        robustness=variants("robustness"),
        control_groups=variants("control_group"),
        threats=variants("threat"),
        dates=variants("date"),
        outcomes=tuple(outcomes),
        curve=curve,
        peers=tuple(get("peers", "shares")),
        distances={key: get("distances", key) for key in ("near", "commuting")},
        registers=registers(),
    )


def _read(path, name):
    """Return the file as nested tables."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(name, "no such file", "the study's design") from error
    except OSError as error:
        raise DataError(name, error.strerror, "a readable file") from error
    if len(content) > SIZE_LIMIT:
        raise DataError(name, f"{len(content):,} bytes", f"at most {SIZE_LIMIT:,}")
    stops = [line.count(b".") for line in content.splitlines()]
    if max(stops, default=0) > STOPS_LIMIT:
        row = stops.index(max(stops)) + 1
        raise DataError(name, f"{max(stops)} full stops", f"at most {STOPS_LIMIT} in a line", row)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise DataError(name, "tables nested without end", "a TOML file") from error
    except ValueError as error:  # not TOML, not UTF-8, a number of thousands of digits
        raise DataError(name, str(error), "a TOML file") from error


def _check_shape(raw, name):
    """Refuse sections that are no tables and values that are not of their kind."""
    _check_values(raw, {"windows": "windows"}, None, name)
    for section, kinds in SHAPE.items():
        values = raw.get(section, {})
        if not isinstance(values, dict):
            raise DataError(name, _shown(values), "a table", f"[{section}]")
        _check_values(values, kinds, f"[{section}]", name)
    for section in ("outcome", *CHECKS):
        entries = raw.get(section, [])
        if not _listed(lambda entry: isinstance(entry, dict))(entries):
            raise DataError(name, _shown(entries), "tables, one an entry", f"[[{section}]]")
        for number, entry in enumerate(entries, start=1):
            kinds = ENTRY["outcome" if section == "outcome" else "check"]
            _check_values(entry, kinds, f"[[{section}]] number {number}", name)


def _check_values(values, kinds, where, name):
    for key, kind in kinds.items():
        fits, expected = KINDS[kind]
        if key in values and not fits(values[key]):
            raise DataError(name, _shown(values[key]), expected, where, key)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
