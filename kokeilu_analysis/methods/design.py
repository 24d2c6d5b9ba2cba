"""study.toml as a checked object: windows, main specification, panel limits."""

import tomllib
from dataclasses import dataclass
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
    backlog: dict
    robustness: tuple


@dataclass(frozen=True)
class Variant:
    """One robustness check: what it changes in the main specification.

    `keep` is a condition on units as `DataFrame.query` reads it, empty = all.
    """

    spec: str
    keep: str
    weights: str
    baseline: Window
    post: Window


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
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(name, str(error), "a TOML file") from error
    except FileNotFoundError as error:
        raise DataError(name, "no such file", "the study's design") from error

    def get(section, key):
        try:
            return raw[section][key]
        except (KeyError, TypeError) as error:
            raise DataError(name, "nothing", "a value", row=f"[{section}]", column=key) from error

    def month(section, key, text):
        try:
            return pd.Timestamp(datetime.strptime(text, "%Y-%m"))
        except (ValueError, TypeError) as error:
            raise DataError(
                name, repr(text), 'a month such as "2021-03"', row=f"[{section}]", column=key
            ) from error

    def window(section, key, ends):
        if not isinstance(ends, list) or len(ends) != 2:
            raise DataError(
                name, repr(ends), "first and last month", row=f"[{section}]", column=key
            )
        first, last = (month(section, key, end) for end in ends)
        if last < first:
            raise DataError(
                name, f"{ends}", "the first month first", row=f"[{section}]", column=key
            )
        return Window(key, first, last)

    def whole_number(section, key):
        value = get(section, key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise DataError(name, repr(value), "a year such as 2019", f"[{section}]", key)
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
            name, repr(backlog), "a list of shares from 0 to 1", "[lag]", "reference_backlog"
        )
    variants = []
    for entry in raw.get("robustness", []):
        where = f"robustness {entry.get('spec', '?')}"
        unknown = set(entry) - {"spec", "keep", "weights", "baseline", "post"}
        if "spec" not in entry or unknown:
            raise DataError(
                name, unknown or "no spec", "spec, keep, weights, baseline, post", f"[{where}]"
            )
        pair = {
            key: window(where, key, entry[key]) if key in entry else windows[usual]
            for key, usual in (("baseline", "baseline"), ("post", post))
        }
        if pair["post"].first <= pair["baseline"].last:
            found = f"{pair['baseline'].text} against {pair['post'].text}"
            raise DataError(name, found, "a baseline that ends before post", f"[{where}]", "post")
        keep = entry.get("keep", "")
        variants.append(Variant(entry["spec"], keep, entry.get("weights", weights), **pair))
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
        reference_backlog=tuple(backlog),
        backlog={key: get("backlog", key) for key in BACKLOG},
        robustness=tuple(variants),
    )
