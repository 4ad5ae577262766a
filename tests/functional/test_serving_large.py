"""A body of 100 MB holds up nobody: health checks are answered while it is decoded and scored."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

import pytest

from tests.functional.inference_server import ModelServer, running, write_package

COLUMNS = [(f"f{n}", "number", "double", False) for n in range(30)]
ROW = ",".join(["-0.123456789012345"] * 30)
ROWS = 100_000_000 // (len(ROW) + 3)
# SageMaker gives up a health check after 2 s (container contract); a check that fails so is what
# replaces the instance in production.
PING_SECONDS = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    from sklearn.dummy import DummyRegressor

    folder = tmp_path_factory.mktemp("large")
    digest = write_package(folder, DummyRegressor().fit([[0.0] * 30], [1.5]), COLUMNS)
    with running(folder, digest, SLIPWAY_MAX_BODY_BYTES=str(200_000_000)) as found:
        yield found


CSV, JSON = "text/csv", "application/json"


def body(shape: str) -> bytes:
    if shape == CSV:
        return (ROW + "\n").encode() * ROWS
    if shape == "tensor":
        values = ",".join([ROW] * ROWS)
        tensor = f'"name":"all","shape":[{ROWS},30],"datatype":"FP64","data":[{values}]'
        return f'{{"inputs": [{{{tensor}}}]}}'.encode()
    row = ROW if shape == "rows" else "NaN" + ROW[ROW.index(",") :]
    return f'{{"instances": [{",".join([f"[{row}]"] * ROWS)}]}}'.encode()


@pytest.mark.parametrize(
    ("shape", "kind"), [("rows", JSON), ("rows with NaN", JSON), ("tensor", JSON), (CSV, CSV)]
)
def test_ping_answers_beside_a_body_of_100_megabytes(
    server: ModelServer, shape: str, kind: str
) -> None:
    sent = body(shape)
    assert len(sent) > 96_000_000
    found: list[tuple[int, int]] = []

    def post() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/invocations", sent, {"Content-Type": kind})
        response = connection.getresponse()
        found.append((response.status, response.read().count(b"1.5")))
        connection.close()

    poster = threading.Thread(target=post)
    poster.start()
    pings = 0
    while poster.is_alive():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PING_SECONDS)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
        connection.close()
        pings += 1
    assert found == [(200, ROWS)]
    assert pings > 3, "no health check was answered while the body was at work"
