"""A PxWeb server (interface version 1) on loopback, with faults that a test can order.

It behaves as Statistics Finland's does: limits at the language's address, a list of tables,
metadata on GET, JSON-stat 2.0 on POST, plain text for a faulty request, a web page for too many
cells. The figures of its table are made up.
"""

import contextlib
import email.utils
import gzip
import json
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod

import numpy as np

FOLDER = "/PxWeb/api/v1/fi/StatFin/tyonv/"
NEW, OLD = ("Alue", "timeperiod_m", "contentscode"), ("Alue", "Kuukausi", "Tiedot")
UPDATED = "2026-08-25T05:00:00Z"
PRINTED = ("TYOVOIMATK", "TYOTOSUUS")  # never hidden here
PAGE = "<!DOCTYPE html><html><head><title>{}</title></head><body><h1>{}</h1></body></html>"
REFUSED = PAGE.format("403 - Forbidden: Access is denied.", "Server Error")
SPOILT = ("cut", "cut at once", "reset", "half json", "html", "error in 200", "bad gzip", "px json")
SLOW = ("drip", "drip headers", "silence")
BUSY = ("429", "429 seconds", "429 date", "429 wrong clock", "429 server clock", "503 seconds")
BROKEN = ("500", "502", "504")
OTHER_FORM = ("gzip", "dimensions", "labels", "sparse", "mark list", "byte-order mark")
FAULTS = SPOILT + SLOW + BUSY + BROKEN + OTHER_FORM


@dataclass(frozen=True)
class Table:
    """Codes of areas, months and measures, and cells in that order; 1-4 and NaN are hidden."""

    areas: tuple
    months: tuple
    measures: tuple
    cells: np.ndarray
    names: tuple = NEW
    file: str = "12r5.px"
    updated: str = UPDATED
    extra: tuple = ()  # further variables of the metadata
    silent: tuple = ()  # variables whose values the metadata does not list
    missing: dict = field(default_factory=dict)  # (area, month, measure) to mark, or "" for none

    @property
    def codes(self):
        return dict(zip(self.names, (self.areas, self.months, self.measures), strict=True))

    def renamed(self, axis, code):
        """Return the table with another first code of an axis."""
        name = ("areas", "months", "measures")[axis]
        return replace(self, **{name: (code, *getattr(self, name)[1:])})

    def without(self, axis, *codes):
        """Return the table without some codes of an axis (0 areas, 1 months, 2 measures)."""
        listed = (self.areas, self.months, self.measures)
        kept = [at for at, code in enumerate(listed[axis]) if code not in codes]
        name = ("areas", "months", "measures")[axis]
        cells = np.take(self.cells, kept, axis=axis)
        return replace(self, **{name: tuple(listed[axis][at] for at in kept)}, cells=cells)


def table(areas, months, measures=("TYOTTOMATLOPUSSA", "LOMAUTETTU"), seed=1, **options):
    """Return a table of small random counts."""
    random = np.random.default_rng(seed)
    cells = random.integers(0, 12, (len(areas), len(months), len(measures))).astype(float)
    return Table(tuple(areas), tuple(months), tuple(measures), cells, **options)


class FakeTime:
    """Time that passes when somebody sleeps; `offset` makes the clock of the wall wrong."""

    def __init__(self, offset=0.0):
        self.passed, self.slept, self.offset = 0.0, [], offset

    def sleep(self, seconds):
        assert 0 <= seconds < 3600, f"a pause of {seconds} s"
        self.slept.append(seconds)
        self.passed += seconds

    def monotonic(self):
        return self.passed

    def time(self):
        return time.time() + self.offset


class PxWebServer:
    """Serves one table. Use as a context manager.

    `faults` is a deque of fault names (None: an answer as it should be), one taken for each
    request, or a callable that names one. `log` lists what was asked.
    """

    def __init__(self, table, cells=120_000, values=None, calls=40, window=60, clock=None):
        self.table = table
        self.limits = {"maxValues": values or cells, "maxCells": cells}
        self.limits |= {"maxCalls": calls, "timeWindow": window, "CORS": True}
        self.config = self.limits  # what is told; a test may let it differ
        self.faults, self.log, self.arrived = deque(), [], deque()
        self.clock, self.lock, self.overrun = clock, threading.Lock(), 0
        self.stopping = threading.Event()
        self.on_request = lambda server, method, path: None
        self.lists = True

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"server_": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads, self.http.block_on_close = True, False
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.http.server_port}{FOLDER}"
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    def asked(self, what):
        """Number of requests of a kind: config, list, metadata, data."""
        return sum(kind == what for kind, _ in self.log)

    def next_fault(self):
        if callable(self.faults):
            return self.faults()
        return self.faults.popleft() if self.faults else None

    def too_often(self):
        """Count a request by the server's clock and say whether it is one too many."""
        if self.clock is None:
            return False
        with self.lock:
            now = self.clock()
            while self.arrived and now - self.arrived[0] >= self.limits["timeWindow"]:
                self.arrived.popleft()
            self.arrived.append(now)
            if len(self.arrived) > self.limits["maxCalls"]:
                self.overrun += 1
                return True
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_one(None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.handle_one(body)

    def handle_one(self, body):
        server, self.close_connection = self.server_, True
        path = self.path.removeprefix(FOLDER)
        with contextlib.suppress(OSError):  # the client may have gone
            kind = "data" if body is not None else {"": "list"}.get(path, "metadata")
            if "?config" in path:
                kind = "config"
            server.log.append((kind, body))
            server.on_request(server, kind, path)
            fault = server.next_fault()
            if server.too_often():
                return self.give(429, "Too many requests", {"Retry-After": "1"})
            if fault in BUSY + BROKEN + SLOW or fault in ("cut at once", "reset", "html", "403"):
                return self.fail(fault, kind)
            return self.answer(kind, path, body, fault)

    def answer(self, kind, path, body, fault=None):
        server, table = self.server_, self.server_.table
        if kind == "config":
            if path != "/PxWeb/api/v1/fi/?config" or server.config is None:
                return self.give(400, "Bad Request")
            return self.give_json(server.config, fault)
        if kind == "list":
            if not server.lists:
                return self.give(404, "Not Found")
            other = {"id": "12ti.px", "type": "t", "text": "12ti", "updated": "2026-07-21T08:00:00"}
            own = {"id": table.file, "type": "t", "text": "12r5", "updated": table.updated[:19]}
            return self.give_json([{"id": "x", "type": "l", "text": "x"}, other, own], fault)
        if path != table.file:
            return self.give(400, "Bad Request")
        if kind == "metadata":
            return self.give_json({"title": "12r5", "variables": _variables(table)}, fault)
        try:
            selected = _selected(table, json.loads(body)["query"])
        except (KeyError, ValueError, TypeError):
            return self.give(400, "Bad Request")
        named = sum(len(codes) for codes in selected.values())
        if (
            prod(len(c) for c in selected.values()) > server.limits["maxCells"]
            or named > server.limits["maxValues"]
        ):
            return self.give(403, REFUSED)
        if fault == "px json":
            return self.give_json({"columns": [], "data": [], "metadata": []}, None)
        return self.give_json(dataset(table, selected, fault), fault)

    def give_json(self, said, fault):
        if fault == "error in 200":
            said = {"error": "Parameter error"}
        content = json.dumps(said, ensure_ascii=False).encode("utf-8")
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if fault == "half json":
            content = content[: len(content) // 2]
        if fault == "byte-order mark":
            content = b"\xef\xbb\xbf" + content
        if fault in ("gzip", "bad gzip"):
            content = gzip.compress(content, mtime=0)
            headers["Content-Encoding"] = "gzip"
            if fault == "bad gzip":
                content = content[:20] + bytes(10) + content[30:]
        self.give(200, content, headers, part=len(content) // 2 if fault == "cut" else None)

    def give(self, code, content, headers=None, part=None, date=None):
        content = content.encode("utf-8") if isinstance(content, str) else content
        self.send_response_only(code)
        self.send_header("Date", email.utils.formatdate(date, usegmt=True))
        page = content.startswith(b"<")
        kind = {"Content-Type": "text/html" if page else "text/plain"}
        for key, value in {**kind, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[:part])
        self.wfile.flush()

    def fail(self, fault, kind):
        now = time.time()
        if fault == "429 date":
            return self.give(
                429, "busy", {"Retry-After": email.utils.formatdate(now + 7, usegmt=True)}
            )
        if fault == "429 wrong clock":  # the date comes from a machine that lives in another year
            return self.give(429, "busy", {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})
        if fault == "429 server clock":  # both dates come from a clock that stands in 1999
            until = email.utils.formatdate(930_000_009, usegmt=True)
            return self.give(429, "busy", {"Retry-After": until}, date=930_000_000)
        if fault in BUSY:
            after = {"Retry-After": "3"} if "seconds" in fault else {}
            return self.give(int(fault[:3]), PAGE.format("Busy", "Busy"), after)
        if fault in BROKEN:
            return self.give(int(fault), PAGE.format("Server Error", fault))
        if fault == "html":
            return self.give(200, PAGE.format("Huoltokatko", "Palvelu on pois käytöstä"))
        if fault == "403":
            return self.give(403 if kind == "data" else 500, REFUSED)
        if fault == "cut at once":
            return None
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            return self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if fault == "silence":
            return self.server_.stopping.wait(5)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
        start = 20 if fault == "drip headers" else len(head)
        self.wfile.write(head[:start])
        for byte in (head + b'{"version": "2.0", ' + b" " * 4000)[start:]:
            self.wfile.write(bytes([byte]))  # fails once the client has gone
            if self.server_.stopping.wait(0.02):
                return None
        return None


def _variables(table):
    said = []
    for at, (code, values) in enumerate(table.codes.items()):
        listed = None if code in table.silent else list(values)
        variable = {"code": code, "text": code, "values": listed, "valueTexts": listed}
        said.append(variable | ({"elimination": True} if at == 0 else {}))
        if at == 1:
            said[-1]["time"] = True
    return said + list(table.extra)


def _selected(table, query):
    """Return the codes that a query selects; an area that is left out is eliminated."""
    selected, known = {}, table.codes
    for part in query:
        kind, values = part["selection"]["filter"], part["selection"]["values"]
        codes = known[part["code"]]
        if kind == "item":
            if not values or not set(values) <= set(codes):
                raise ValueError("an unknown value")
            selected[part["code"]] = [c for c in codes if c in set(values)]
        elif kind == "all" and values == ["*"]:
            selected[part["code"]] = list(codes)
        elif kind == "top":
            selected[part["code"]] = list(codes)[-int(values[0]) :]
        else:
            raise ValueError("an unknown filter")
    return {
        name: selected.get(name, ["SSS"] if at == 0 else list(codes))
        for at, (name, codes) in enumerate(known.items())
    }


def dataset(table, selected, fault=None):
    """Return a selection as JSON-stat 2.0, in another of its forms if a fault says so."""
    at = [[list(table.codes[n]).index(c) for c in codes] for n, codes in selected.items()]
    cells, order = table.cells[np.ix_(*at)], list(selected)
    codes = {name: list(values) for name, values in selected.items()}
    missing = {
        tuple(codes[n].index(c) for n, c in zip(order, key, strict=True)): mark
        for key, mark in table.missing.items()
        if all(c in codes[n] for n, c in zip(order, key, strict=True))
    }
    hides = [code not in PRINTED for code in codes[order[2]]]
    secret = np.isnan(cells) | (np.isin(cells, (1, 2, 3, 4)) & hides)
    marks = np.where(secret, "...", "").astype(object)
    if fault == "dimensions":
        turn = [2, 0, 1]
        order = [order[axis] for axis in turn]
        cells, marks = cells.transpose(turn), marks.transpose(turn)
        missing = {tuple(key[axis] for axis in turn): mark for key, mark in missing.items()}
    if fault == "labels":  # the places run against the order in which the codes are written
        cells, marks = np.flip(cells), np.flip(marks)
        last = [size - 1 for size in cells.shape]
        missing = {
            tuple(end - at for end, at in zip(last, key, strict=True)): mark
            for key, mark in missing.items()
        }
    empty = marks != ""
    for key, mark in missing.items():
        marks[key], empty[key] = mark, True
    values = [
        None if hid else int(v) if float(v).is_integer() else float(v)
        for v, hid in zip(cells.ravel().tolist(), empty.ravel().tolist(), strict=True)
    ]
    status = {str(i): mark for i, mark in enumerate(marks.ravel().tolist()) if mark}
    if fault == "sparse":
        values = {str(i): v for i, v in enumerate(values) if v is not None}
    if fault == "mark list":
        status = marks.ravel().tolist()
    return {
        "version": "2.0",
        "class": "dataset",
        "label": "12r5",
        "source": "KEHA-keskus, Työnvälitystilasto",
        "updated": table.updated,
        "note": ["... = Tieto on salassapitosäännön alainen"],
        "role": {"time": [table.names[1]], "metric": [table.names[2]]},
        "id": order,
        "size": list(cells.shape),
        "dimension": {name: _dimension(codes[name], fault) for name in order},
        "value": values,
        "status": status,
    }


def _dimension(codes, fault):
    index = {code: at for at, code in enumerate(codes)}
    if fault == "labels":
        index = {code: len(codes) - 1 - at for code, at in index.items()}
    labels = {code: f"Nimi {code}" for code in sorted(codes, reverse=fault == "labels")}
    return {"label": "x", "category": {"index": index, "label": labels}}
