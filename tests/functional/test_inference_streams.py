"""Batch transform with MaxPayloadInMB 0, by socket: whole files, and servers that stay small."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.functional.inference_server import ModelServer, running, write_package

COLUMNS = [("size", "number", "double", False), ("rooms", "integer", "int64", False)]
UNLIMITED = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}
CSV, LINES = "text/csv", "application/jsonlines"
# Of the server's beside what it takes at rest: a few blocks, and what is held of the answer.
MORE_BYTES = 64 << 20
PIECE_ROWS = 1000
# A note that the model does not know, so that few rows are many bytes.
NOTE = "x" * 4000
Pieces = list[bytes]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    folder = tmp_path_factory.mktemp("streams")
    seen = pd.DataFrame({"size": [0.0, 1.0, 0.0], "rooms": [0, 0, 1]})
    model = LinearRegression().fit(seen, [0.0, 1 / 3, 10.0])  # answers of many digits
    return folder, write_package(folder, model, COLUMNS)


@pytest.fixture(scope="module")
def server(package: tuple[Path, str]) -> Iterator[ModelServer]:
    with running(*package, **UNLIMITED) as found:
        yield found


def rows(start: int, count: int, kind: str, note: str = "") -> bytes:
    if kind == CSV:
        return b"".join(b"%d.5,3\n" % n for n in range(start, start + count))
    lines = [{"size": n + 0.5, "rooms": 3, "note": note} for n in range(start, start + count)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def pieces(count: int, kind: str, note: str = "") -> Iterator[bytes]:
    for start in range(0, count, PIECE_ROWS):
        yield rows(start, PIECE_ROWS, kind, note)


@contextmanager
def posting(
    server: ModelServer, body: Iterator[bytes], kind: str
) -> Iterator[http.client.HTTPResponse]:
    """The response, while another thread sends the body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", kind)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()

    def send() -> None:
        try:
            for piece in body:
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        except OSError:
            pass  # the server broke the answer off

    sender = threading.Thread(target=send)
    sender.start()
    response = http.client.HTTPResponse(connection.sock, method="POST")
    try:
        response.begin()
        yield response
    finally:
        connection.close()
        sender.join()


def pss(server: ModelServer) -> int:
    text = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024


def check(answers: Iterator[bytes], count: int) -> None:
    number = -1
    for number, line in enumerate(answers):
        assert abs(float(line) - (number + 0.5) / 3 - 30) < 1e-6
    assert number == count - 1


def test_200_megabytes_pass_through_a_server_that_stays_small(server: ModelServer) -> None:
    count, piece = 53_000, len(rows(0, PIECE_ROWS, LINES, NOTE))
    assert piece * (count // PIECE_ROWS) > 200 << 20
    with posting(server, pieces(PIECE_ROWS, LINES, NOTE), LINES) as response:
        check(response, PIECE_ROWS)  # what is loaded and kept for the first body
    before = pss(server)
    most = [0]

    def seen() -> Iterator[bytes]:
        for sent in pieces(count, LINES, NOTE):
            most[0] = max(most[0], pss(server))
            yield sent

    with posting(server, seen(), LINES) as response:
        assert response.headers["Content-Type"] == LINES
        check(response, count)
    assert most[0] - before < MORE_BYTES
    assert server.request("GET", "/execution-parameters").json["MaxPayloadInMB"] == 0


def test_a_long_answer_comes_in_chunks_while_the_body_still_comes(server: ModelServer) -> None:
    count = 400_000
    goes_on, sent = threading.Event(), [0]

    def body() -> Iterator[bytes]:
        for piece in pieces(count, CSV):
            if sent[0] > 3 << 20:
                assert goes_on.wait(60)
            sent[0] += len(piece)
            yield piece

    with posting(server, body(), CSV) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        first = response.readline()
        assert sent[0] < 4 << 20
        goes_on.set()

        def lines() -> Iterator[bytes]:
            yield first
            yield from response

        check(lines(), count)


def test_a_bad_row_is_a_400_though_the_client_sends_all_before_it_looks(
    server: ModelServer,
) -> None:
    def body() -> Iterator[bytes]:
        yield rows(0, 2 * PIECE_ROWS, LINES, NOTE)
        yield b'{"size": "large", "rooms": 3}\n'
        yield from pieces(8 * PIECE_ROWS, LINES, NOTE)

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/invocations", body(), {"Content-Type": LINES})
    response = connection.getresponse()
    assert response.status == 400
    want = "row 2000, column 'size': 'large' came; a finite number is needed"
    assert json.loads(response.read())["error"] == want
    connection.close()


def test_a_bad_row_late_ends_the_connection_without_an_end_of_the_answer(
    package: tuple[Path, str],
) -> None:
    def body() -> Iterator[bytes]:
        yield from pieces(400_000, CSV)
        yield b"large,3\n"
        yield from pieces(PIECE_ROWS, CSV)

    with running(*package, **UNLIMITED) as server:
        with posting(server, body(), CSV) as response:
            assert response.status == 200
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()
        assert server.process.stdout is not None
        told = [json.loads(server.process.stdout.readline()) for _ in range(3)]
        (broken,) = (line for line in told if line["event"] == "answer broken off")
        assert broken["error"].startswith("row 400000, column 'size': 'large' came; a finite nu")
        assert broken["request_id"] == response.headers["X-Request-Id"]
        assert server.request("GET", "/ping").status == 200


def test_a_body_that_is_no_rows_has_a_limit_and_the_refusal_says_so(server: ModelServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str((100 << 20) + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["error"] == (
        "the body has more than 104857600 bytes; "
        "a body of any length is taken as text/csv or as application/jsonlines"
    )
    connection.close()
