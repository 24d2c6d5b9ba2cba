"""Numbers as three languages write them, and sentences filled with them.

The C library has no Finnish locale on a bare machine and Babel writes an ASCII hyphen for minus,
so the few rules that the study needs stand here, with tests.
"""

import string
from datetime import datetime

import numpy as np
import pandas as pd

LANGUAGES = ("fi", "sv", "en")
MINUS, NO_BREAK, EN_DASH = "\u2212", "\u00a0", "\u2013"
MISSING = EN_DASH


def number(value, decimals=1, lang="en"):
    """Write a number with the language's decimal mark, thousands separator and minus sign.

    A value that rounds to zero has no sign. Missing is an en dash.

    >>> number(-12345.67, 1, "fi")
    '−12\\xa0345,7'
    >>> number(-0.04, 1, "en"), number(1234, 0, "en"), number(float("nan"))
    ('0.0', '1,234', '–')
    """
    if pd.isna(value) or not np.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
    if lang != "en":
        text = text.replace(",", NO_BREAK).replace(".", ",")
    negative = value < 0 and any(c in "123456789" for c in text)
    return MINUS + text if negative else text


def percent(value, decimals=1, lang="en"):
    """Write a number in per cent.

    >>> percent(12.5, 1, "sv"), percent(12.5)
    ('12,5\\xa0%', '12.5%')
    """
    text = number(value, decimals, lang)
    return f"{text}%" if lang == "en" else f"{text}{NO_BREAK}%"


def interval(low, high, decimals=1, lang="en"):
    """Write a range; signs or not, the two ends cannot be misread; equal ends are one number.

    >>> interval(0.6, 0.8, 1, "fi"), interval(-0.3, 1.7, 1, "fi"), interval(-0.3, 1.7)
    ('0,6–0,8', '−0,3\\xa0… 1,7', '−0.3 to 1.7')
    """
    low, high = number(low, decimals, lang), number(high, decimals, lang)
    if low == high:
        return low
    if MINUS not in low + high:
        return f"{low}{EN_DASH}{high}"
    return f"{low} to {high}" if lang == "en" else f"{low}{NO_BREAK}… {high}"


def month(when, lang="en"):
    """Write a month.

    >>> import pandas as pd
    >>> month(pd.Timestamp("2021-03-01"), "fi"), month(pd.Timestamp("2021-03-01"))
    ('3/2021', 'March 2021')
    """
    return f"{when:%B %Y}" if lang == "en" else f"{when.month}/{when.year}"


def day(when, lang="en"):
    """Write a day that is given as 2023-12-05.

    >>> day("2023-12-05", "fi"), day("2023-12-05")
    ('5.12.2023', '5 December 2023')
    """
    date = datetime.strptime(when, "%Y-%m-%d")
    return f"{date.day} {date:%B %Y}" if lang == "en" else f"{date.day}.{date.month}.{date.year}"


class _Writer(string.Formatter):
    """Fills ``{name}``, ``{name:1}`` (decimals), ``{name:1%}``, ``{low:1..high}``, months."""

    def __init__(self, lang):
        self.lang = lang

    def get_value(self, key, args, kwargs):
        self.kwargs = kwargs
        return super().get_value(key, args, kwargs)

    def format_field(self, value, spec):
        if isinstance(value, str):
            return value
        if isinstance(value, datetime):
            return month(value, self.lang)
        if ".." in spec:
            decimals, other = spec.split("..")
            return interval(value, self.kwargs[other], int(decimals or 1), self.lang)
        if spec.endswith("%"):
            return percent(value, int(spec[:-1] or 1), self.lang)
        return number(value, int(spec or 0), self.lang)


def fill(template, values, lang="en"):
    """Fill a sentence's places with numbers written in the language.

    Parameters
    ----------
    template : str
        Places: ``{x}`` a whole number or text, ``{x:1}`` one decimal, ``{x:1%}`` per cent,
        ``{low:1..high}`` the range from `low` to `high`.
    values : dict
        Every name the template uses; an unknown name is a KeyError.
    lang : str

    Examples
    --------
    >>> fill("ero {d:1} ({low:1..high})", {"d": 0.72, "low": -0.28, "high": 1.73}, "fi")
    'ero 0,7 (−0,3\\xa0… 1,7)'
    """
    return _Writer(lang).vformat(template, (), values)


def verdict(low, high):
    """Return what an interval of an effect allows to say: ``lower``, ``higher`` or ``unclear``.

    An interval that holds zero is never an effect.

    >>> verdict(-0.3, 1.7), verdict(0.1, 0.4), verdict(-2, -1)
    ('unclear', 'higher', 'lower')
    """
    if high < 0:
        return "lower"
    return "higher" if low > 0 else "unclear"
