"""Bodies without a limit: rows are answered while they come, and no half is taken for the whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.answering import streams
from inference.answering.scoring import Scorer
from inference.answering.streams import RowWork
from inference.decoding.large_numbers import LargeReader
from inference.errors import ModelFailedError, RequestError
from inference.formats import codecs
from inference.formats.signature import Signature
from inference.http.limits import DECODED_FACTOR, Limits
from inference.http.receiving import Receiver
from tests.unit.streamed_connection import (
    CHUNKED,
    CSV,
    LINES,
    Streamed,
    as_lines,
    csv_rows,
    csv_sums,
    head,
    in_chunks,
    in_loop,
)
from tests.unit.test_inference_answering import COLUMNS, Sums, run


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", 100)
    monkeypatch.setattr(streams, "HELD_BYTES", 200)
    monkeypatch.setattr(streams, "RESERVED_BYTES", 300)


@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize(("kind", "rows"), [(CSV, csv_rows), (LINES, as_lines)])
@pytest.mark.parametrize("count", [1, 15, 400])
@in_loop
async def test_every_row_is_answered_in_its_order_and_type(
    kind: str, rows: Callable[[int], bytes], count: int, is_quick: bool
) -> None:
    served = Streamed(Sums(is_quick=is_quick))
    await served.ask(rows(count), kind)
    assert served.answers == [(200, csv_sums(count))]
    assert f"Content-Type: {kind}\r\n".encode() in served.client.sent
    assert (b"Transfer-Encoding" in served.client.sent) == (count == 400)
    assert served.engine.threads == {"large_0" if is_quick else "model_0"}
    assert served.budget.used == 0
    assert served.board.requests("invocations", "2xx") == 1
    assert served.board.rows()[2] == count
    assert not served.client.closed


@in_loop
async def test_a_long_body_that_is_no_stream_comes_to_its_place_beside_those_that_are() -> None:
    served = Streamed(limits=Limits(body_bytes=1 << 20))
    rows = [[float(n % 100), 1] for n in range(9000)]
    whole = json.dumps({"instances": rows}).encode()
    asked = head("application/json", f"Content-Length: {len(whole)}") + whole
    for _ in range(2):
        served.send(asked[:100])
        served.send(asked[100:1000])
        assert isinstance(served.client.protocol, Receiver)
        await served.send_all(asked[1000:])
        await served.until_answered()
        await served.send_all(head(CSV, f"Content-Length: {len(csv_rows(3))}"), csv_rows(3))
        await served.until_answered()
    sums = [row[0] + 1 for row in rows]
    found = [(status, json.loads(body)["predictions"]) for status, body in served.answers[::2]]
    assert found == [(200, sums)] * 2
    assert served.answers[1::2] == [(200, csv_sums(3))] * 2


@pytest.mark.parametrize("accept", ["*/*", CSV, LINES, "application/json"])
@pytest.mark.parametrize("count", [3, 300])
@in_loop
async def test_a_streamed_answer_is_the_one_of_the_whole_body(accept: str, count: int) -> None:
    async def answer(limit: int, *sent: bytes) -> tuple[int, bytes]:
        served = Streamed(limits=Limits(body_bytes=limit), streams=limit == 1000)
        await served.send_all(*sent)
        await served.until_answered()
        (found,) = served.answers
        return found

    body = b"size,rooms\n" + csv_rows(count)
    sent = head(CSV, CHUNKED, f"Accept: {accept}"), *in_chunks(body)
    streamed = await answer(1000, *sent)
    assert streamed == await answer(1 << 20, *sent)
    assert streamed[0] == 200


@in_loop
async def test_a_body_of_known_length_is_streamed_too_and_the_next_answered_after_it() -> None:
    served = Streamed()
    body = csv_rows(300)
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    served.send(ping + head(CSV, f"Content-Length: {len(body)}") + body + ping)
    await served.until_answered()
    assert served.answers == [(503, b""), (200, csv_sums(300)), (503, b"")]
    await served.ask(csv_rows(1))
    assert served.answers[-1] == (200, b"2.5\n")


@in_loop
async def test_nothing_is_read_while_a_block_is_at_work_or_the_client_does_not_read() -> None:
    engine = Sums()
    served = Streamed(engine)
    engine.gate.clear()
    served.send(head(CSV, CHUNKED))
    piece = csv_rows(50)
    served.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    assert not served.client.reading
    engine.gate.set()
    await served.until_read()
    served.connection.pause_writing()
    for _ in range(3):
        served.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    assert not served.client.reading
    sent = len(served.client.sent)
    await asyncio.sleep(0.05)
    assert (len(served.client.sent), served.client.reading) == (sent, False)
    served.connection.resume_writing()
    await served.until_read()
    served.send(b"0\r\n\r\n")
    await served.until_answered()
    assert served.answers == [(200, csv_sums(50) * 4)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"Bonn,2\n", "row 5, column 'size': 'Bonn' came; a finite number is needed"),
        (b"1001,2\n", "row 5, column 'size': 1001.0 came, and the model says ValueError: too la"),
        (b"1\n", "row 5 has 1 cells; 2 are needed, in the order size, rooms"),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
@in_loop
async def test_a_bad_row_before_the_answer_begins_is_a_400(
    row: bytes, message: str, is_whole: bool
) -> None:
    served = Streamed()
    pieces = in_chunks(csv_rows(5) + row + csv_rows(0 if is_whole else 60))
    served.send(head(CSV, CHUNKED))
    for piece in pieces if is_whole else pieces[:-1]:
        served.send(piece)
    await served.until_answered()
    assert [status for status, _ in served.answers] == [400]
    assert served.error.startswith(message)
    assert served.budget.used == 0
    assert served.board.requests("invocations", "4xx") == 1
    # What is left of the body is not for the next request: the connection ends with it.
    assert (b"Connection: close" in served.client.sent) == (not is_whole)
    assert served.client.ended == (not is_whole)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"Bonn,2\n", "row 300, column 'size': 'Bonn' came; a finite number is needed"),
        (b"1001,2\n", "row 300, column 'size': 1001.0 came, and the model says ValueError: too"),
    ],
)
@in_loop
async def test_a_bad_row_after_the_answer_has_begun_breaks_it_off(
    row: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []

    def log(event: str, **fields: Any) -> None:
        logged.append((event, fields))

    monkeypatch.setattr(streams, "log", log)

    served = Streamed()
    await served.send_all(head(CSV, CHUNKED), *in_chunks(csv_rows(300))[:-1])
    served.send(in_chunks(row)[0])
    served.send(b"0\r\n\r\n")
    await served.until(lambda: served.client.closed)
    ((status, body),) = served.answers
    assert status == 200
    assert body.endswith(b"(no end)")
    ((event, fields),) = logged
    assert event == "answer broken off"
    assert fields["error"].startswith(message)
    assert 0 < fields["rows"] <= 300
    assert fields["request_id"].encode() in served.client.sent
    assert served.board.requests("invocations", "4xx") == 1
    served.connection.connection_lost(None)
    assert served.budget.used == 0


def test_a_header_in_another_order_is_refused_in_a_batch_alone() -> None:
    async def work(batch: bool) -> tuple[int, bytes]:
        served = Streamed(batch=batch)
        await served.send_all(
            head(CSV, CHUNKED, "Accept: text/csv"), *in_chunks(b"rooms,size\n2,0.5\n")
        )
        await served.until_answered()
        return served.answers[0]

    status, body = run(lambda: work(True))
    assert status == 400
    assert b"in a batch the header must be exactly the model's columns in their order" in body
    assert run(lambda: work(False)) == (200, b"2.5\n")


@pytest.mark.parametrize(
    ("kind", "fields", "status", "message"),
    [
        (CSV, ["Accept: image/png"], 406, "accept is 'image/png'"),
        (CSV, ["Content-Encoding: gzip"], 415, "the body is encoded; send it as it is"),
        ("text/csv; charset=utf-16", [], 415, "charset is 'utf-16'; utf-8 is needed"),
        ("text/csv; header=maybe", [], 400, "header is 'maybe'; present or absent is needed"),
    ],
)
@in_loop
async def test_what_cannot_be_answered_is_refused_before_the_body(
    kind: str, fields: list[str], status: int, message: str
) -> None:
    served = Streamed()
    served.send(head(kind, CHUNKED, *fields))
    await served.until_answered()
    assert [found for found, _ in served.answers] == [status]
    assert served.error.startswith(message)


@in_loop
async def test_other_types_keep_a_limit_and_the_refusal_says_which_do_not() -> None:
    served = Streamed()
    await served.send_all(head("application/json", CHUNKED), *in_chunks(b" " * 1001)[:-1])
    await served.until_answered()
    assert served.answers[0][0] == 413
    assert served.error == "the body has more than 1000 bytes; send CSV"


@in_loop
async def test_a_client_of_http_1_0_gets_an_answer_without_chunks() -> None:
    served = Streamed()
    body = csv_rows(60)
    sent = head(CSV, f"Content-Length: {len(body)}").replace(b"HTTP/1.1", b"HTTP/1.0")
    served.send(sent + body)
    await served.until_answered()
    assert served.answers == [(200, csv_sums(60))]
    assert b"Transfer-Encoding" not in served.client.sent


@in_loop
async def test_a_client_that_waits_for_a_word_gets_it() -> None:
    served = Streamed()
    served.send(head(CSV, CHUNKED, "Expect: 100-continue"))
    assert served.client.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    served.client.sent.clear()
    await served.send_all(*in_chunks(csv_rows(2)))
    await served.until_answered()
    assert served.answers == [(200, b"2.5\n3.5\n")]


@pytest.mark.parametrize("count", [5, 300])
@in_loop
async def test_a_body_that_stops_coming_is_ended(count: int) -> None:
    served = Streamed()
    await served.send_all(head(CSV, CHUNKED), *in_chunks(csv_rows(count))[:-1])
    now = served.connection.loop.time()
    served.connection.check(now + 59)
    assert not served.client.closed
    served.connection.check(now + 61)
    if count == 5:
        await served.until_answered()
        assert served.answers[0][0] == 408
        assert served.error == "the body came more slowly than 1024 bytes a second"
    else:
        assert served.client.closed
        assert served.answers[0][1].endswith(b"(no end)")


@in_loop
async def test_a_slow_model_is_not_the_clients_fault() -> None:
    engine = Sums()
    served = Streamed(engine)
    engine.gate.clear()
    served.send(head(CSV, CHUNKED))
    served.send(in_chunks(csv_rows(60), 1000)[0])
    served.connection.check(served.connection.loop.time() + 1000)
    assert not served.client.sent
    engine.gate.set()
    served.send(b"0\r\n\r\n")
    await served.until_answered()
    assert served.answers == [(200, csv_sums(60))]


@pytest.mark.parametrize("count", [5, 300])
@in_loop
async def test_a_body_that_ends_within_is_no_body(count: int) -> None:
    served = Streamed()
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    await served.send_all(ping + head(CSV, CHUNKED), *in_chunks(csv_rows(count))[:-1])
    assert not served.connection.eof_received()
    assert [status for status, _ in served.answers] == ([503] if count == 5 else [503, 200])
    served.connection.connection_lost(None)
    assert served.budget.used == 0


@in_loop
async def test_a_client_that_goes_frees_what_it_held_once_the_block_is_done() -> None:
    engine = Sums()
    served = Streamed(engine)
    engine.gate.clear()
    served.send(head(CSV, CHUNKED))
    served.send(in_chunks(csv_rows(60), 1000)[0])
    await served.until(engine.entered.is_set)
    served.connection.connection_lost(None)
    assert served.budget.used > 0
    engine.gate.set()
    await served.until(lambda: served.budget.used == 0)
    assert engine.calls == [60]


@in_loop
async def test_a_stream_holds_its_part_of_the_budget_and_more_for_a_long_row() -> None:
    served = Streamed()
    served.send(head(LINES, CHUNKED))
    assert served.budget.used == streams.RESERVED_BYTES * DECODED_FACTOR
    await served.send_all(*in_chunks(b'{"size":1,"rooms":2,"x":"' + b"x" * 2000)[:-1])
    assert served.budget.used >= 2000 * DECODED_FACTOR
    served.budget.total = served.budget.used
    served.send(in_chunks(b"y" * 500, 500)[0])
    await served.until_answered()
    assert served.answers[0][0] == 503
    assert served.budget.used == 0


@pytest.mark.parametrize("count", [5, 300])
@in_loop
async def test_at_sigterm_a_stream_is_finished_and_its_connection_ended(count: int) -> None:
    served = Streamed()
    pieces = in_chunks(csv_rows(count))
    await served.send_all(head(CSV, CHUNKED), *pieces[: len(pieces) // 2])
    served.connection.finish()
    await served.send_all(*pieces[len(pieces) // 2 : -1])
    served.send(pieces[-1])
    await served.until(lambda: served.client.closed)
    assert served.answers == [(200, csv_sums(count))]


@in_loop
async def test_a_stream_waits_for_the_answers_before_it() -> None:
    engine = Sums(is_quick=False)
    served = Streamed(engine)
    engine.gate.clear()
    first = b'{"instances":[[1,1]]}'
    asked = head("application/json", f"Content-Length: {len(first)}", "Accept: text/csv")
    served.send(asked + first)
    await served.until(engine.entered.is_set)
    served.send(head(CSV, CHUNKED))
    for piece in in_chunks(csv_rows(300)):
        served.send(piece)
    assert served.client.sent == b""
    engine.gate.set()
    await served.until_answered()
    assert served.answers == [(200, b"2.0\n"), (200, csv_sums(300))]


@in_loop
async def test_a_framing_error_within_a_stream_is_refused_once() -> None:
    served = Streamed()
    served.send(head(CSV, CHUNKED))
    served.send(b"zz\r\n")
    await served.until_answered()
    assert [status for status, _ in served.answers] == [400]
    assert served.error.startswith("the request is not HTTP/1.1")
    assert served.client.ended


@in_loop
async def test_a_client_that_was_refused_is_listened_to_while_it_sends() -> None:
    """Or it would lose the answer to a reset."""

    served = Streamed()
    served.send(head(CSV, CHUNKED))
    served.send(in_chunks(b"Bonn,2\n" + csv_rows(60), 1000)[0])
    await served.until_answered()
    connection = served.connection
    for _ in range(5):
        connection.since -= 1.5
        served.send(b"x" * 200_000)
        connection.check(connection.loop.time())
        assert not served.client.closed
    connection.check(connection.loop.time() + 2.1)
    assert served.client.closed
    assert [status for status, _ in served.answers] == [400]


CELLS = st.sampled_from(["1", "-2", "3.5", "1e3", "-0", "1e999", "", "NaN", '"4"', '"4\n"', "x"])
LINES_OF_CSV = st.lists(
    st.tuples(CELLS, CELLS).map(",".join) | st.sampled_from(["", "7", "size,rooms", "rooms,size"]),
    max_size=12,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LINES_OF_CSV, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_however_a_body_is_cut_the_answers_are_those_of_the_careful_decoder(
    lines: list[str], line_end: str, batch: bool, data: st.DataObject
) -> None:
    body = line_end.join(lines).encode() + data.draw(st.sampled_from([b"", b"\n"]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    signature = Signature(COLUMNS, None)
    scorer = Scorer(Sums(), signature, [])

    def answered(work: RowWork, cuts: list[int]) -> bytes | str:
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        try:
            return b"".join(
                work.take(piece, is_last=i == len(pieces) - 1).answer
                for i, piece in enumerate(pieces)
            )
        except (RequestError, ModelFailedError) as problem:
            return str(problem)

    def work(reader: LargeReader | None) -> RowWork:
        rows = codecs.stream(signature, CSV, batch=batch)
        return RowWork(rows, codecs.AnswerStream(CSV), scorer, reader, "csv")

    quick = answered(work(LargeReader(signature, takes_matrix=True)), cuts)
    careful = answered(work(None), cuts)
    assert quick == careful
    if isinstance(careful, bytes):
        assert careful == answered(work(None), [])
