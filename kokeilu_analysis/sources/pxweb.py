"""A client of the PxWeb interface, version 1, as Statistics Finland serves it.

Polite (limits are read from the server and kept), patient (what passes is tried again with growing
pauses) and frank (what does not pass is one sentence). Every answer is saved before it is read.
"""

import asyncio
import email.utils
import functools
import os
import re
import time as real_time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from kokeilu_analysis import __version__
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import jsonstat

BASE = "https://pxdata.stat.fi/PxWeb/api/v1/fi/StatFin/tyonv/"
ENVIRONMENT = "KOKEILU_STATFIN"  # names another base address, as --base does
ATTEMPTS = 6  # pauses of 1, 2, 4, 8 and 16 s between them
DEADLINE = 120.0  # seconds for one whole answer
LONGEST_WAIT = 600.0  # a server that asks for more is asked another day
AGAIN = "What has arrived is kept: run `kokeilu fetch` again to go on from there."


class FetchError(KokeiluError):
    """The server did not give what was asked for.

    Parameters
    ----------
    address : str
        What was asked.
    said : str
        What happened, as a sentence without full stop.
    advice : str
        What to do.
    code : int, optional
        HTTP status, if there was an answer.
    """

    def __init__(self, address, said, advice=AGAIN, code=None):
        super().__init__(f"{address}: {said}. {advice}")
        self.code = code


class TooLarge(FetchError):
    """More cells were asked for than the server gives at once (HTTP 403)."""


class _Passing(Exception):
    """A fault that may be gone in a moment; `wait` is how long the server asks to wait."""

    def __init__(self, said, code=None, wait=None):
        super().__init__(said)
        self.code, self.wait = code, wait


@dataclass(frozen=True)
class Limits:
    """What the server allows: cells and selected values a call, calls in a window of seconds."""

    cells: int = 100_000
    values: int = 100_000
    calls: int = 10
    window: float = 60.0
    told: bool = False

    @classmethod
    def of(cls, answer):
        """Read the answer to ``?config``; what is not a positive number keeps a cautious default.

        >>> Limits.of({"maxCells": 120000, "maxCalls": 40, "timeWindow": 60})
        Limits(cells=120000, values=120000, calls=40, window=60, told=True)
        """
        answer = answer if isinstance(answer, dict) else {}
        kept = {k: v for k, v in answer.items() if type(v) in (int, float) and v > 0}
        cells = kept.get("maxCells", kept.get("maxValues", cls.cells))
        return cls(
            int(cells),
            int(kept.get("maxValues", max(cells, cls.values))),
            int(kept.get("maxCalls", cls.calls)),
            kept.get("timeWindow", cls.window),
            "maxCells" in kept and "maxCalls" in kept and "timeWindow" in kept,
        )


class Pace:
    """Keeps the number of calls in any window under the limit.

    A window is counted from the end of a call, which is never before the moment at which the
    server counted it; so no window of the server's holds more, however slow the line is.
    """

    def __init__(self, limits, time):
        self.limits, self.time, self.ended = limits, time, deque()

    def wait(self):
        """Wait until one more call is allowed."""
        while self.ended and len(self.ended) >= self.limits.calls:
            left = self.ended.popleft() + self.limits.window - self.time.monotonic()
            if left > 0:
                self.time.sleep(left)

    def done(self):
        """Note that a call has ended."""
        self.ended.append(self.time.monotonic())


def base_address(given=None):
    """Return the address of the folder of tables: given, from the environment, or StatFin's.

    A server's address alone is completed the way StatFin's is built.

    >>> base_address("http://127.0.0.1:8000")
    'http://127.0.0.1:8000/PxWeb/api/v1/fi/StatFin/tyonv/'
    >>> base_address("https://example.org/PxWeb/api/v1/sv/StatFin/tyonv")
    'https://example.org/PxWeb/api/v1/sv/StatFin/tyonv/'
    """
    base = (given or os.environ.get(ENVIRONMENT) or BASE).strip().rstrip("/")
    if not re.match(r"https?://[^/\s]+", base):
        advice = "Give one such as " + BASE
        raise FetchError(base, "this is no address of the web", advice)
    found = re.fullmatch(r"(https?://[^/]+)(/.*?api/v\d+)?(/[a-z]{2})?(/.*)?", base)
    server, api, language, folder = found.groups()
    if api is None and (language or folder):
        return base + "/"
    default = re.fullmatch(r"https://[^/]+(/.*?api/v\d+)(/[a-z]{2})(/.*)/", BASE).groups()
    return "".join([server, api or default[0], language or default[1], folder or default[2], "/"])


class Client:
    """Asks one folder of tables.

    Parameters
    ----------
    base : str
        Address of the folder; see `base_address`.
    answers : Answers, optional
        Where answers are saved; without it nothing is written.
    time : module or object
        Offers ``sleep``, ``monotonic`` (for pauses) and ``time`` (only for the record).
    say : callable
        Receives a sentence about what goes on.
    attempts : int
    deadline : float
        Seconds for one whole answer, however steadily it drips.
    """

    def __init__(
        self, base, answers=None, time=real_time, say=print, attempts=ATTEMPTS, deadline=DEADLINE
    ):
        self.base, self.answers, self.time, self.say = base, answers, time, say
        self.attempts, self.deadline = attempts, deadline
        self.pace = Pace(Limits(), time)

    def limits(self):
        """Ask for the limits and keep them from now on."""
        language = re.match(r".*?/api/v\d+/[^/]+/", self.base)
        for level in dict.fromkeys([language.group() if language else self.base, self.base]):
            try:
                answer = self._ask("config", f"{level}?config", jsonstat.parse)
            except FetchError as error:
                if error.code in (None, 429):
                    raise
                continue
            self.pace.limits = Limits.of(answer)
            if self.pace.limits.told:
                break
        if not self.pace.limits.told:
            limits = self.pace.limits
            self.say(
                f"The server does not tell all its limits: {limits.cells:,} cells a call and "
                f"{limits.calls} calls in {limits.window:g} s are kept."
            )
        return self.pace.limits

    def tables(self):
        """Return {table file: time stamp of its last update} of the folder.

        An empty dict where the server has no list; the stamp is empty where it has none.
        """

        def read(content, name):
            listed = jsonstat.parse(content, name)
            if not isinstance(listed, list):
                raise DataError(name, "no list", "the list of tables")
            listed = [t for t in listed if isinstance(t, dict) and t.get("type", "t") == "t"]
            return {str(t.get("id")): str(t.get("updated") or "") for t in listed}

        try:
            return self._ask("tables", self.base, read)
        except FetchError as error:
            if error.code in (None, 429):
                raise
            return {}

    def metadata(self, table):
        """Return the variables of a table: dicts with ``code``, ``values`` and so on."""

        def read(content, name):
            answer = jsonstat.parse(content, name)
            variables = answer.get("variables") if isinstance(answer, dict) else None
            named = [v for v in variables or [] if isinstance(v, dict)]
            if not named or not all(isinstance(v.get("code"), str) for v in named):
                raise DataError(name, "no variables", "the table's metadata")
            return named

        return self._ask("metadata", self.address(table), read)

    def data(self, table, query, state="", check=lambda cube: cube, kept=lambda cube: True):
        """Return the cells that a query selects, from the saved answers if they are there.

        Parameters
        ----------
        table : str
        query : list of dict
            Selections as the interface wants them.
        state : str
            What the table's state is known by; an answer saved for another state is not reused.
        check : callable
            Cube → cube; raises DataError where the answer is not what was asked for.
        kept : callable
            Cube → whether a saved answer may be reused.

        Returns
        -------
        (Cube, bool)
            And whether the server was asked.

        Raises
        ------
        TooLarge, FetchError
        """
        body = {"query": query, "response": {"format": "json-stat2"}}

        def read(content, name):
            return check(jsonstat.read(content, name))

        request = self._request("data", "POST", self.address(table), body, state)
        saved = self.answers and self.answers.get(request)
        if saved is not None:
            try:
                cube = read(saved, "the saved answer")
                if kept(cube):
                    return cube, False
            except DataError:
                pass  # a whole answer that was no good: ask again
        return self._ask("data", self.address(table), read, body, state), True

    def address(self, table):
        """Return the address of a table."""
        return self.base + quote(table)

    @staticmethod
    def _request(what, method, address, body, state):
        said = {"what": what, "method": method, "address": address, "body": body}
        return {**said, "state": state} if state else said

    def _ask(self, what, address, read, body=None, state=""):
        """Ask until there is an answer that can be read; see `_judge` for what is tried again."""
        import tenacity

        request = self._request(what, "POST" if body else "GET", address, body, state)

        def pause(attempt):
            asked = attempt.outcome.exception().wait
            return asked or 2.0 ** (attempt.attempt_number - 1)

        def announce(attempt):
            said, wait = attempt.outcome.exception(), attempt.next_action.sleep
            count = f"{attempt.attempt_number} of {self.attempts}"
            self.say(f"{said} (attempt {count}); asked again in {wait:.0f} s.")

        def once():
            self.pace.wait()
            try:
                answer = _finished(_call(request, self.deadline))
            finally:
                self.pace.done()
            self._judge(answer, request)
            if self.answers:
                moment = datetime.fromtimestamp(self.time.time(), UTC).isoformat(timespec="seconds")
                self.answers.put(request, answer.content, moment)
            try:
                return read(answer.content, "the answer")
            except DataError as error:
                raise _Passing(str(error).rstrip("."), answer.status_code) from error

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=pause,
            sleep=self.time.sleep,
            before_sleep=announce,
            reraise=True,
        )
        try:
            return retrying(once)
        except _Passing as error:
            said = f"{error}, {self.attempts} times in a row"
            raise FetchError(address, said, AGAIN, error.code) from error

    def _judge(self, answer, request):
        """Let a good answer through; a passing fault can be tried again, any other one stops."""
        code, address = answer.status_code, request["address"]
        if code == 429 or code == 408 or code >= 500:
            wait = retry_after(answer.headers, self.time.time())
            says = {429: "the server was asked too often", 408: "the server stopped waiting"}
            said = f"{says.get(code, 'the server failed')} (HTTP {code})"
            if wait is not None and wait > LONGEST_WAIT:
                if answer.headers["retry-after"].strip().isdecimal():
                    said += f" and wants {wait:,.0f} s of rest"
                    raise FetchError(address, said, AGAIN, code)
                wait = self.pace.limits.window  # such a date comes from a clock that is wrong
            raise _Passing(said, code, wait)
        if code == 403 and request["method"] == "POST":
            # StatFin sends a web page with it, other servers a JSON error; the code says it
            raise TooLarge(address, "more cells were asked for than the server gives", AGAIN, code)
        if code in (301, 302, 303, 307, 308):
            advice = f"Give the new address with --base or {ENVIRONMENT}."
            said = f"the server has moved it to {answer.headers.get('location', 'elsewhere')}"
            raise FetchError(address, said, advice, code)
        if code != 200:
            reason = " ".join(answer.text.split())[:60]
            advice = "Check the address (--base) and the table's name (--table)."
            if request["method"] == "POST":
                advice = "The table may have changed while it was read: run `kokeilu fetch` again."
            raise FetchError(address, f"the server refused (HTTP {code}, {reason})", advice, code)


def retry_after(headers, now):
    """Return how many seconds a server asks to wait, or None where it does not say.

    Parameters
    ----------
    headers : mapping
        ``Retry-After`` in seconds or as a date, and the server's own ``Date``, against which a
        date is read: then it does not matter whether the clock here or there is wrong.
    now : float
        Seconds since 1970, used where the server gives no ``Date``.

    Examples
    --------
    >>> retry_after({"retry-after": "7"}, 0)
    7.0
    >>> retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT",
    ...              "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0)
    10.0
    """
    said = headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]{1,9}", said):
        return float(said)
    until, server = _moment(said), _moment(headers.get("date", ""))
    if until is None:
        return None
    return max(0.0, until - (now if server is None else server))


def _moment(text):
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _finished(call):
    """Run a call to its end, also where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(call)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, call).result()


async def _call(request, deadline):
    """Make one call within `deadline` seconds from name look-up to the last byte."""
    import httpx

    headers = {"User-Agent": f"kokeilu-analysis/{__version__}", "Accept": "application/json"}
    client = httpx.AsyncClient(timeout=deadline, verify=_trust(), headers=headers)
    try:
        async with asyncio.timeout(deadline), client:
            return await client.request(request["method"], request["address"], json=request["body"])
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise FetchError(request["address"], f"no address to ask ({error})") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise _Passing(f"no whole answer within {deadline:g} s") from error
    except httpx.ConnectError as error:
        raise _Passing(f"no connection to {httpx.URL(request['address']).host}") from error
    except httpx.DecodingError as error:
        raise _Passing("the compressed answer is damaged") from error
    except httpx.TransportError as error:
        raise _Passing("the connection was cut before the answer was whole") from error


@functools.cache
def _trust():
    import httpx

    return httpx.create_ssl_context()  # reading the certificates anew for each call takes longer
