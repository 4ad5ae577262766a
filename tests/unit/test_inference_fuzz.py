"""More than 10,000 broken requests: none hurts the server, none but the model's own is a 5xx."""

from __future__ import annotations

import asyncio
import json
import random
import re
from typing import Any

import pytest

from tests.unit.test_inference_answering import COLUMNS, TEXT, Served, Sums, answers, post
from tests.unit.test_inference_limits import Client

ANSWERED = 2_600  # by each of the four servers
SPLICES = [
    *(b"", b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"\xff", b":", b",", b"[", b"]", b"{", b"}", b'"'),
    *(b"null", b"NaN", b"Infinity", b"-", b"1e999", b"9" * 400, b"true", b"\\ud800", b"[" * 200),
    *(b"HTTP/1.0", b"HTTP/2", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b";"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Content-Length: -1\r\n"),
    *(b"Transfer-Encoding: gzip\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"ffffffff\r\n"),
]
PATHS = [
    *("/invocations", "/invocations", "/predict", "/v2/models/sums/infer", "/ping", "/metrics"),
    *("/openapi.json", "/execution-parameters", "/v2", "/v2/models/sums", "/nosuch", "*"),
]
TYPES = [
    *("application/json", "application/json", "text/csv", "text/csv; header=present", "a;b=c;"),
    *("application/jsonlines", "application/vnd.apache.arrow.stream", "", "text/csv; charset=x"),
]
ACCEPTS = ["", "", "*/*", "text/csv", "application/jsonlines", "image/png", "text/csv;q=x, */*;q=0"]
VALUES: list[Any] = [
    *(
        1,
        2.5,
        -0.0,
        0,
        1001,
        2**63,
        2**70,
        1e308,
        None,
        True,
        "Bonn",
        "x",
        "",
        [],
        {},
        [1],
        "\ud800",
    ),
]


def body(random: random.Random, names: list[str]) -> bytes:
    """A request's body, often a good one."""
    good: list[Any] = [1.5, 2, "Bonn"]
    rows = [good[: len(names)] for _ in range(random.randint(0, 3))]
    for row in rows:
        if random.random() < 0.4:
            row[random.randrange(len(row))] = random.choice(VALUES)
        if random.random() < 0.1:
            row.append(random.choice(VALUES))
    records = [dict(zip(names, row, strict=False)) for row in rows]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    tensors = [
        {"name": name, "shape": [len(rows)], "datatype": random.choice(["FP64", "BYTES", "INT64"]),
         "data": values}
        for name, values in columns.items()
    ]  # fmt: skip
    document = random.choice(
        [
            {"instances": rows},
            {"instances": records},
            {"dataframe_split": {"columns": names, "data": rows}},
            {"inputs": columns},
            {"inputs": tensors, "id": "1"},
            rows,
            None,
        ]
    )
    if random.random() < 0.3:
        return "\n".join(",".join(map(str, row)) for row in rows).encode("utf-8", "replace")
    return json.dumps(document).encode()


def request(random: random.Random, names: list[str]) -> bytes:
    """One request, broken in no place, in one or in several."""
    content = body(random, names)
    lines = [
        f"{random.choice(['POST', 'POST', 'POST', 'GET', 'PUT'])} {random.choice(PATHS)} HTTP/1.1"
    ]
    lines += ["Host: x", f"Content-Type: {random.choice(TYPES)}"]
    lines += [f"Accept: {random.choice(ACCEPTS)}"]
    if random.random() < 0.2:
        lines += ["Transfer-Encoding: chunked"]
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
    else:
        lines += [f"Content-Length: {len(content)}"]
    sent = bytearray("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    for _ in range(random.choice([0, 0, 1, 1, 2, 5])):
        at = random.randrange(len(sent) + 1)
        end = at + random.choice([0, 0, 1, 4, 40])
        sent[at:end] = random.choice(SPLICES)
    return bytes(sent)


def statuses(client: Client) -> list[int]:
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", bytes(client.sent))]


@pytest.mark.parametrize("columns", [COLUMNS, TEXT])
@pytest.mark.parametrize("is_quick", [True, False])
def test_no_request_hurts_the_server(columns: Any, is_quick: bool) -> None:
    engine = Sums(is_quick=is_quick, takes_matrix=columns is COLUMNS)
    names = [column.name for column in columns]
    chance = random.Random(20 + is_quick)

    async def work() -> None:
        served = Served(engine, columns)
        seen: set[int] = set()
        answered = 0
        while answered < ANSWERED:
            clients = [served.client() for _ in range(20)]
            for _ in range(5):
                await served.turn(*(_pieces(chance, names) for _ in clients))
            for client in clients:
                seen |= set(statuses(client))
                answered += len(statuses(client))
            for connection in served.connections:
                connection.connection_lost(None)
            served.connections.clear()
            assert served.site.budget.used == 0
            assert not served.site.connections
            await good(served)
        assert {200, 400, 404, 405, 406, 415, 501} <= seen, "the requests are not broken enough"
        assert {status for status in seen if status >= 500} <= {501, 503}, seen

    def _pieces(random: random.Random, names: list[str]) -> bytes:
        return request(random, names) + (request(random, names) if random.random() < 0.2 else b"")

    async def good(served: Served) -> None:
        client = served.client()
        row = [1.0, 2, "Bonn"][: len(names)]
        await served.turn(post([row]))
        assert answers(client) == [(200, [3.0])], "a good request is not answered any more"
        served.connections.pop().connection_lost(None)

    asyncio.run(work())
