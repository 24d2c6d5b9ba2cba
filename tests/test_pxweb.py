"""Claims about how table 12r5 is asked for: politely, patiently, and with nothing taken on trust.

Every test talks to a real HTTP server on loopback (see pxweb_server.py); its figures are made up.
"""

import asyncio
import hashlib
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pxweb_server as px
import pytest
from fault_sequences import AREAS, KNOWN, Told, fetched, small_table, survive
from hypothesis import given
from hypothesis import strategies as st

from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import fetch, jsonstat, pxweb
from kokeilu_analysis.sources.answers import Answers

CALLS = 4  # calls of data for the small table at 48 cells a call
ONE = "http://127.0.0.1"


@pytest.fixture
def server():
    with px.PxWebServer(small_table(), cells=48) as running:
        yield running


@pytest.fixture(scope="module")
def right():
    """The bytes of a fetch without faults."""
    with px.PxWebServer(small_table(), cells=48) as running:
        return fetched(running)


def always(server, fault, kind="data"):
    """Let every answer of a kind have a fault."""
    server.faults = lambda: fault if server.log[-1][0] == kind else None


def failure(server, *arguments, **options):
    with pytest.raises(KokeiluError) as caught:
        fetched(server, *arguments, **options)
    said = str(caught.value)
    assert "\n" not in said and "Traceback" not in said and said.endswith(".")
    return said


# --- faults that pass ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", px.FAULTS)
def test_a_fault_that_passes_leaves_the_same_bytes(server, right, fault):
    server.faults.extend([fault] * 3 + [None, fault])
    told, clock = Told(), px.FakeTime()
    assert fetched(server, told=told, time=clock, deadline=0.4) == right
    if fault not in px.OTHER_FORM:
        assert clock.slept and sum(clock.slept) < 600
        assert any("asked again in" in said or "not tell" in said for said in told.said)


def test_random_sequences_of_faults_and_interruptions_leave_the_same_bytes(right, tmp_path):
    """A dozen here; `bench/fetch.py` runs a thousand."""
    with px.PxWebServer(small_table(), cells=48) as server:
        met = []
        for seed in range(12):
            content, faults, _ = survive(server, seed, tmp_path / str(seed))
            assert content == right, (seed, faults)
            met += faults
    assert len(met) > 40 and len(set(met)) > 15


def test_pauses_grow_until_the_client_gives_up(server):
    always(server, "500")
    clock = px.FakeTime()
    said = failure(server, time=clock)
    assert clock.slept == [1, 2, 4, 8, 16]
    assert said.startswith(f"{server.base}12r5.px: the server failed (HTTP 500), 6 times in a row.")
    assert "`kokeilu fetch` again" in said


# --- faults that stay ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("cut", "the connection was cut before the answer was whole"),
        ("cut at once", "the connection was cut before the answer was whole"),
        ("reset", "the connection was cut before the answer was whole"),
        ("half json", "broken JSON"),
        ("html", "a web page: Huoltokatko"),
        ("error in 200", 'no id ({"error": "Parameter error"})'),
        ("bad gzip", "the compressed answer is damaged"),
        ("px json", "no id"),
        ("drip", "no whole answer within 0.4 s"),
        ("drip headers", "no whole answer within 0.4 s"),
        ("silence", "no whole answer within 0.4 s"),
        ("429", "the server was asked too often (HTTP 429)"),
        ("429 wrong clock", "the server was asked too often (HTTP 429)"),
        ("503 seconds", "the server failed (HTTP 503)"),
        ("403", "more cells were asked for than the server gives"),
    ],
)
def test_a_fault_that_stays_is_one_sentence_with_address_and_advice(
    server, tmp_path, fault, sentence
):
    always(server, fault)
    said = failure(server, tmp_path, deadline=0.4, attempts=2)
    assert said.startswith(f"{server.base}12r5.px: ") and sentence in said
    assert said.endswith("go on from there.")
    assert not list(tmp_path.glob(".*")), "a temporary file was left"


def test_a_server_that_is_not_there_is_named():
    with px.PxWebServer(small_table()) as server:
        pass
    assert "no connection to 127.0.0.1" in failure(server, attempts=2)


@pytest.mark.parametrize("address", ["pxdata.stat.fi", "ftp://pxdata.stat.fi/x", "http://"])
def test_an_address_that_is_none_is_refused_with_an_example(address):
    with pytest.raises(KokeiluError, match="no address of the web.*pxdata.stat.fi/PxWeb"):
        pxweb.base_address(address)


def test_a_moved_server_is_told_and_not_followed(server):
    def moved(code, content, *_, **__):
        handler.send_response_only(301)
        handler.send_header("Location", "https://example.org/new/")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    class Moved(px._Handler):
        server_ = server

        def give(self, *arguments, **options):
            nonlocal handler
            handler = self
            moved(*arguments, **options)

    handler = None
    server.http.RequestHandlerClass = Moved
    assert "moved it to https://example.org/new/" in failure(server)


# --- time ----------------------------------------------------------------------------------------


def test_a_dripping_answer_ends_at_the_deadline_however_steadily_it_drips(server):
    for fault in ("drip", "drip headers"):  # each byte arrives in time, the whole never does
        always(server, fault)
        began = time.perf_counter()
        failure(server, deadline=0.5, attempts=1)
        assert time.perf_counter() - began < 3


@pytest.mark.parametrize("offset", [0, -1e9, 1e9])
def test_a_wrong_clock_here_or_there_changes_no_pause(server, right, offset):
    server.faults.extend(["429 date", "429 server clock", "429 wrong clock", "429 seconds"])
    clock = px.FakeTime(offset)
    assert fetched(server, time=clock) == right
    # 7 s and 9 s after the server's own date; a date of 2100 is a slip and gives one window
    assert clock.slept == pytest.approx([7, 9, 60, 3], abs=1)


def test_without_the_servers_date_a_date_is_read_by_the_clock_here():
    until = {"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}
    assert pxweb.retry_after(until, 50) == 10
    assert pxweb.retry_after(until, 99) == 0
    for nonsense in ("", "soon", "-5", "1.5", "9" * 40, "Thu, 99 Foo 1970 00:01:00 GMT"):
        assert pxweb.retry_after({"retry-after": nonsense}, 0) is None


def test_a_server_that_wants_a_long_rest_is_left_alone(server, monkeypatch):
    monkeypatch.setattr(pxweb, "LONGEST_WAIT", 2.0)
    for kind, asked in (("data", 4), ("config", 1)):
        server.log = []
        always(server, "429 seconds", kind)
        clock = px.FakeTime()
        assert "wants 3 s of rest" in failure(server, time=clock)
        assert clock.slept == [] and len(server.log) == asked


@pytest.mark.parametrize("calls", [1, 3, 7])
def test_the_limit_on_calls_is_never_overrun(right, calls):
    clock = px.FakeTime()
    with px.PxWebServer(
        small_table(), cells=16, calls=calls, window=10, clock=clock.monotonic
    ) as server:
        assert fetched(server, time=clock) == right
        assert server.overrun == 0 and len(server.log) == 15
        assert clock.passed >= 10 * ((15 - 1) // calls)


def test_the_limit_holds_by_a_real_clock_with_slow_answers(right):
    with px.PxWebServer(small_table(), calls=3, window=0.3, clock=time.monotonic) as server:
        server.on_request = lambda *_: time.sleep(0.02)
        assert fetched(server, time=time) == right
        assert server.overrun == 0 and len(server.log) == 4


# --- limits --------------------------------------------------------------------------------------


def test_no_call_exceeds_the_cells_that_the_server_allows(server, right):
    for cells in (5, 16, 47, 1000):
        with px.PxWebServer(small_table(), cells=cells, values=1000) as strict:
            strict.log = []
            told = Told()
            assert fetched(strict, told=told) == right
            assert not any("halves" in said for said in told.said)


def test_the_number_of_values_named_is_limited_too(right):
    with px.PxWebServer(small_table(), cells=1000, values=11) as server:
        told = Told()
        assert fetched(server, told=told) == right
        assert server.asked("data") == 12 and not any("halves" in said for said in told.said)


@pytest.mark.parametrize("told_limits", [None, {}, [], {"maxCells": "many"}, {"maxCells": -1}])
def test_limits_that_are_not_told_are_replaced_by_cautious_ones_and_said(server, told_limits):
    server.config = told_limits
    told = Told()
    client = pxweb.Client(server.base, say=told.say)
    limits = client.limits()
    assert (limits.cells, limits.calls, limits.window) == (100_000, 10, 60)
    assert "does not tell all its limits" in told.said[0]


def test_a_call_that_is_too_large_is_halved_and_said(server, right):
    server.config = {**server.limits, "maxCells": 1000}  # the server tells more than it gives
    told = Told()
    assert fetched(server, told=told) == right
    assert [said for said in told.said if "halves" in said] == [
        "The server finds 192 cells too many; they are asked in halves.",
        "The server finds 96 cells too many; they are asked in halves.",
    ]


def test_a_single_cell_that_is_too_large_ends_in_a_sentence(server):
    always(server, "403")
    assert "more cells were asked for than the server gives" in failure(server)
    assert server.asked("data") <= 10


counts = st.integers(1, 12)


@given(counts, counts, counts, st.integers(1, 200), st.integers(3, 60))
def test_pieces_cover_every_cell_once_and_keep_the_limits(areas, months, measures, cells, values):
    whole = fetch.Piece(tuple(range(areas)), tuple(range(months)), tuple(range(measures)))
    limits = pxweb.Limits(cells=cells, values=values)
    pieces = fetch.Plan("t", "", {}, whole, limits).pieces
    covered = [cell for p in pieces for cell in itertools.product(p.areas, p.months, p.measures)]
    assert len(covered) == len(set(covered)) == whole.cells
    assert all(p.cells <= cells and p.values <= values for p in pieces)


# --- names ---------------------------------------------------------------------------------------


def test_names_before_and_after_june_2026_give_the_same_state(right):
    old = small_table(names=px.OLD, file="statfin_tyonv_pxt_12r5.px")
    with px.PxWebServer(old, cells=48) as server:
        assert fetched(server) == right
        assert server.asked("metadata") == 1  # the list of tables says which name is right


@pytest.mark.parametrize("file", fetch.TABLES)
def test_without_a_list_of_tables_each_name_is_tried(right, file):
    with px.PxWebServer(small_table(file=file), cells=48) as server:
        server.lists = False
        assert fetched(server) == right


def test_a_renamed_table_is_a_sentence_that_names_what_is_there(right):
    with px.PxWebServer(small_table(file="tyonv_12r5_2027.px"), cells=48) as server:
        said = failure(server)
        assert "none of the names 12r5.px, statfin_tyonv_pxt_12r5.px is known there" in said
        assert "its list of 2 tables has tyonv_12r5_2027.px" in said and "--table" in said
        assert fetched(server, plan={"table": "tyonv_12r5_2027.px"}) == right


def test_variables_in_another_order_or_under_other_names_are_found_by_what_they_hold(right):
    with px.PxWebServer(small_table(names=("alue_23_20260101", "m", "c")), cells=48) as server:
        assert fetched(server) == right


def test_a_variable_without_a_role_is_named():
    with px.PxWebServer(replace(small_table(), measures=("A", "B"))) as server:
        said = failure(server)
    assert "found variables Alue, timeperiod_m, contentscode" in said
    assert "expected one that holds measures (TYOTTOMATLOPUSSA" in said


def test_time_that_is_not_counted_in_months_is_named():
    with px.PxWebServer(small_table().renamed(1, "2021Q1")) as server:
        assert "found 2021Q1 in timeperiod_m, expected months like 2021M03" in failure(server)


def test_a_further_variable_is_left_to_its_total_or_refused(right):
    sex = {"code": "Sukupuoli", "text": "Sukupuoli", "values": ["S", "1", "2"]}
    with px.PxWebServer(small_table(extra=({**sex, "elimination": True},)), cells=48) as server:
        assert fetched(server) == right
    with px.PxWebServer(small_table(extra=(sex,)), cells=48) as server:
        assert "a further variable Sukupuoli without a total" in failure(server)


def test_metadata_without_a_list_of_areas_asks_for_all_of_them(right):
    with px.PxWebServer(small_table(silent=("Alue",)), cells=48) as server:
        told = Told()
        assert fetched(server, told=told) == right
        assert any("halves" in said for said in told.said)  # how many there are shows only then


def test_metadata_without_a_list_of_months_needs_to_be_told_which(right):
    with px.PxWebServer(small_table(silent=("timeperiod_m",)), cells=48) as server:
        assert "no list of the values of timeperiod_m" in failure(server)
        assert fetched(server, plan={"first": "2021M01", "last": "2021M12"}) == right


def test_what_the_study_does_not_know_is_left_out_and_said(server, right):
    rows = np.ones((2, 12, 3)) * 7
    cells = np.concatenate([server.table.cells, np.ones((8, 12, 1)) * 9], axis=2)
    server.table = replace(
        server.table,
        areas=(*AREAS, "TA01", "TA02"),
        measures=(*server.table.measures, "UUSI"),
        cells=np.concatenate([cells, rows]),
    )
    client = pxweb.Client(server.base)
    notes = fetch.plan(client, KNOWN).notes
    assert notes == (
        "Areas of other kinds are not asked for: TA01, TA02.",
        "Measures that measures.csv does not know are left out: UUSI.",
        "The table no longer has: AVPAIKATLOPUSSA.",
    )
    assert fetched(server) == right


def test_months_can_be_chosen_and_what_lies_outside_is_said(server):
    client = pxweb.Client(server.base)
    drawn = fetch.plan(client, KNOWN, "2021M11", "2022M02")
    assert drawn.whole.months == ("2021M11", "2021M12") and "2021M01 to 2021M12" in drawn.notes[-1]
    with pytest.raises(DataError, match="months 2021M01 to 2021M12.*some of 2022M01 to 2022M02"):
        fetch.plan(client, KNOWN, "2022M01", "2022M02")
    with pytest.raises(KokeiluError, match="2021-13 is no month"):
        fetch.month_code("2021-13")


# --- a table that changes ------------------------------------------------------------------------


def test_a_month_removed_between_metadata_and_data_is_a_sentence(server):
    def remove(running, kind, _):
        if kind == "data":
            running.table = small_table().without(1, "2021M05")

    server.on_request = remove
    assert "refused (HTTP 400, Bad Request). The table may have changed" in failure(server)


def test_a_table_updated_while_it_is_read_is_read_again_whole(server, right, tmp_path):
    newer = replace(small_table(seed=2), updated="2026-09-22T05:00:00Z")
    with px.PxWebServer(newer, cells=48) as other:
        expected = fetched(other)
    assert expected != right

    def update(running, kind, _):
        if running.asked("data") == 3:
            running.table = newer

    server.on_request = update
    told = Told()
    assert fetched(server, tmp_path, told) == expected
    assert any("updated to 2026-09-22T05:00:00Z while it was read" in said for said in told.said)


def test_a_table_that_is_updated_at_every_call_is_given_up(server):
    def update(running, kind, _):
        stamp = f"2026-09-22T05:00:{running.asked('data'):02d}Z"
        running.table = replace(running.table, updated=stamp)

    server.on_request = update
    assert "updated 3 times while it was read" in failure(server)


def test_answers_that_do_not_say_when_they_were_updated_are_refused():
    with px.PxWebServer(small_table(updated=""), cells=48) as server:
        assert "found updated nothing, expected a date such as" in failure(server)


def test_an_answer_with_another_area_than_asked_for_is_not_taken(server):
    genuine = px.dataset

    def odd(table, selected, fault=None):
        said = genuine(table, selected, fault)
        text = json.dumps(said).replace('"KU005"', '"KU999"')
        return json.loads(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(px, "dataset", odd)
        said = failure(server, attempts=2)
    assert "found no KU005 but KU999, expected what was asked for" in said


# --- saved answers -------------------------------------------------------------------------------


def interrupted(server, folder, after):
    """Fetch and interrupt after so many calls of data."""
    told = Told(lambda: server.asked("data") >= after)
    with pytest.raises(KeyboardInterrupt):
        fetched(server, folder, told)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_after_an_interruption_only_the_rest_is_asked(server, right, tmp_path, after):
    interrupted(server, tmp_path, after)
    server.log = []
    told = Told()
    assert fetched(server, tmp_path, told) == right
    assert server.asked("data") == CALLS - after
    assert (
        told.said[-1] == f"{after} of 4 answers had arrived earlier and were not asked for again."
    )


@pytest.mark.parametrize("spoil", [b"", b"{}", None])
def test_a_saved_answer_that_is_not_whole_is_asked_again(server, right, tmp_path, spoil):
    fetched(server, tmp_path)
    for kind in ("answer", "json"):
        victim = sorted(tmp_path.glob(f"data_*.{kind}"))[0]
        victim.unlink() if spoil is None else victim.write_bytes(spoil)
        server.log = []
        assert fetched(server, tmp_path) == right
        assert server.asked("data") == 1


def test_a_saved_answer_with_one_figure_changed_is_asked_again(server, right, tmp_path):
    fetched(server, tmp_path)
    victim = sorted(tmp_path.glob("data_*.answer"))[0]
    said = json.loads(victim.read_bytes())
    said["value"][0] = 4711
    victim.write_text(json.dumps(said))
    server.log = []
    assert fetched(server, tmp_path) == right and server.asked("data") == 1


def test_a_saved_answer_of_an_older_state_is_not_used(server, tmp_path):
    fetched(server, tmp_path)
    server.table = replace(small_table(seed=2), updated="2026-09-22T05:00:00Z")
    server.log = []
    content = fetched(server, tmp_path)
    assert server.asked("data") == CALLS and b"2026-09-22" in content


def test_without_a_list_of_tables_a_new_month_makes_a_new_state(server, tmp_path):
    server.lists = False
    server.table = small_table().without(1, "2021M12")
    fetched(server, tmp_path)
    server.table = small_table(seed=3)
    server.log = []
    fetched(server, tmp_path)
    assert server.asked("data") == CALLS


def test_every_answer_is_saved_with_request_time_and_checksum(server, tmp_path):
    fetched(server, tmp_path)
    records = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("*.json"))]
    bodies = {p.stem: p.read_bytes() for p in tmp_path.glob("*.answer")}
    assert len(records) == len(bodies) == 3 + CALLS
    digests = {hashlib.sha256(body).hexdigest() for body in bodies.values()}
    assert {r["sha256"] for r in records} == digests
    asked = [r["request"] for r in records if r["request"]["what"] == "data"]
    assert {r["address"] for r in asked} == {server.base + "12r5.px"}
    assert all(r["body"]["response"] == {"format": "json-stat2"} for r in asked)
    assert all(r["received"].endswith("+00:00") for r in records)


def test_an_answer_is_saved_before_it_is_read(server, tmp_path):
    always(server, "html")
    failure(server, tmp_path, attempts=1)
    (page,) = tmp_path.glob("data_*.answer")
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")


def test_the_state_names_no_moment_of_fetching(server, right):
    assert fetched(server, time=px.FakeTime(offset=1e8)) == right
    assert right.count(b"2026-08-25") == 1  # the table's own date


def test_the_state_holds_the_cells_of_the_server_and_its_marks(server, right):
    cube = jsonstat.read(right, "state")
    table = server.table
    place = [
        [list(c).index(x) for x in own]
        for c, own in zip(
            (table.areas, table.months, table.measures), cube.codes.values(), strict=True
        )
    ]
    cells = table.cells[np.ix_(*place)]
    hidden = np.isin(cells, (1, 2, 3, 4))
    assert hidden.sum() > 30 and (cube.marks[hidden] == "...").all()
    assert np.isnan(cube.values[hidden]).all() and (cube.marks[~hidden] == "").all()
    assert (cube.values[~hidden] == cells[~hidden]).all()
    assert cube.labels["Alue"]["KU005"] == "Nimi KU005"


# --- address -------------------------------------------------------------------------------------


def test_the_address_comes_from_the_argument_then_the_environment_then_statfin(monkeypatch):
    monkeypatch.delenv(pxweb.ENVIRONMENT, raising=False)
    assert pxweb.base_address() == pxweb.BASE
    monkeypatch.setenv(pxweb.ENVIRONMENT, f"{ONE}:1{px.FOLDER}")
    assert pxweb.base_address() == f"{ONE}:1{px.FOLDER}"
    assert pxweb.base_address(f"{ONE}:2/a/b") == f"{ONE}:2/a/b/"


@pytest.mark.parametrize("given", ["", "/", "/PxWeb/api/v1", "/PxWeb/api/v1/fi", px.FOLDER])
def test_an_address_is_completed_as_statfins_is_built(given):
    assert pxweb.base_address(f"{ONE}:8000{given}") == f"{ONE}:8000{px.FOLDER}"


def test_answers_of_different_requests_do_not_meet(tmp_path):
    answers = Answers(tmp_path)
    first, second = ({"what": "data", "body": at} for at in (1, 2))
    answers.put(first, b"one", "now")
    assert answers.get(first) == b"one" and answers.get(second) is None


def test_a_notebook_whose_loop_is_running_can_ask_too(server):
    async def cell():
        return pxweb.Client(server.base).limits()

    # in a thread of its own: a test of the site may have left a loop running in this one
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, cell()).result() == pxweb.Client(server.base).limits()
