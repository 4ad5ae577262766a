"""What the server tells of itself: metrics, parameters, its interface, V2, ids and its log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.inference_server import ModelServer, running, write_package

COLUMNS = [("x", "number", "double", False)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    from sklearn.dummy import DummyRegressor

    folder = tmp_path_factory.mktemp("about")
    digest = write_package(folder, DummyRegressor().fit([[0.0]], [1.5]), COLUMNS)
    with running(folder, digest) as found:
        yield found


def metric(server: ModelServer, name: str) -> float:
    text = server.request("GET", "/metrics").body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_metrics_count_requests_by_route_and_status(server: ModelServer) -> None:
    good, bad = (f'slipway_requests_total{{route="predict",code="{c}"}}' for c in ("2xx", "4xx"))
    before = metric(server, good), metric(server, bad), metric(server, "slipway_batch_rows_sum")
    server.predictions({"instances": [[1.0], [2.0]]}, "/predict")
    assert server.request("POST", "/predict", b"{").status == 400
    assert metric(server, good) == before[0] + 1
    assert metric(server, bad) == before[1] + 1
    assert metric(server, "slipway_batch_rows_sum") == before[2] + 2
    assert metric(server, "slipway_batch_requests_count") > 0
    assert metric(server, "process_cpu_seconds_total") > 0
    assert metric(server, "process_open_fds") > 3
    assert metric(server, 'slipway_model_info{model="by-hand",version="1",engine="sklearn"}') == 1
    assert metric(server, "slipway_workers_ready") == 1
    assert metric(server, "process_resident_memory_bytes") > 1 << 20


def test_histograms_are_cumulative_and_complete(server: ModelServer) -> None:
    server.predictions({"instances": [[1.0]]})
    text = server.request("GET", "/metrics").body.decode()
    counts = [
        float(c) for c in re.findall(r'slipway_request_seconds_bucket\{le="[^"]+"\} (\d+)', text)
    ]
    assert counts == sorted(counts)
    assert counts[-1] == float(re.findall(r"slipway_request_seconds_count (\d+)", text)[0]) > 0


def test_the_parameters_of_batch_transform(server: ModelServer) -> None:
    told = server.request("GET", "/execution-parameters").json
    assert told == {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def test_the_interface_describes_what_is_answered(server: ModelServer) -> None:
    import jsonschema

    told = server.request("GET", "/openapi.json").json
    assert told["openapi"] == "3.1.0"
    model = "/v2/models/by-hand"
    assert set(told["paths"]) == {
        *("/predict", "/invocations", "/ping", "/metrics", "/execution-parameters"),
        *("/openapi.json", "/v2", "/v2/health/live", "/v2/health/ready"),
        *(
            f"{at}{end}"
            for at in (model, f"{model}/versions/1")
            for end in ("", "/ready", "/infer")
        ),
    }
    post = told["paths"]["/predict"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    for body in ({"instances": [{"x": 1.0}]}, {"dataframe_split": {"data": [[1.0]]}}):
        jsonschema.validate(body, schema)
        answer = server.request("POST", "/predict", json.dumps(body).encode()).json
        jsonschema.validate(
            answer, post["responses"]["200"]["content"]["application/json"]["schema"]
        )


def test_v2_metadata_health_and_inference(server: ModelServer) -> None:
    assert server.request("GET", "/v2").json["name"] == "slipway"
    for path in ("health/live", "health/ready", "models/by-hand/ready", "models/by-hand"):
        assert server.request("GET", f"/v2/{path}").status == 200, path
    told = server.request("GET", "/v2/models/by-hand/versions/1").json
    assert told["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}]
    body = {"id": "a", "inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}
    reply = server.request("POST", "/v2/models/by-hand/infer", json.dumps(body).encode())
    assert reply.json["outputs"][0]["data"] == [1.5, 1.5]
    assert reply.json["id"] == "a"


@pytest.mark.parametrize("path", ["models/other", "models/by-hand/versions/9", "models"])
def test_v2_names_the_model_that_there_is(server: ModelServer, path: str) -> None:
    reply = server.request("GET", f"/v2/{path}")
    assert (reply.status, reply.error) == (404, "there is the model by-hand, version 1")
    assert server.request("POST", f"/v2/{path}/infer", b"{}").status == 404


def test_a_clients_request_id_comes_back_and_a_bad_one_does_not(server: ModelServer) -> None:
    assert server.request("GET", "/ping", x_request_id="abc-1").headers["x-request-id"] == "abc-1"
    made = server.request("GET", "/ping", x_request_id="x" * 200).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}", made)
    headers = server.request("GET", "/ping").headers
    assert (headers["x-model-name"], headers["x-model-version"]) == ("by-hand", "1")


def test_errors_are_logged_with_what_the_client_sent_escaped_and_cut(tmp_path: Path) -> None:
    from sklearn.dummy import DummyRegressor

    digest = write_package(tmp_path, DummyRegressor().fit([[0.0]], [1.5]), COLUMNS)
    with running(tmp_path, digest) as server:
        server.request("GET", "/nosuch" + "x" * 200)
        server.predictions({"instances": [[1.0]]})
        server.process.terminate()
        output, _ = server.process.communicate(timeout=30)
    lines = [json.loads(line) for line in output.decode().splitlines()]
    logged = [line for line in lines if line["event"] == "request"]
    assert len([line for line in logged if line["status"] == 404]) == 1
    assert not [line for line in logged if line["status"] == 200]
    assert all(len(line["path"]) <= 64 for line in logged)


def test_on_sagemaker_a_line_of_embedded_metrics_tells_what_was_added() -> None:
    from inference.processes.board import Board
    from inference.processes.telemetry import embedded

    board = Board(2)
    board.slots[0].count("invocations", 200, 0.002)
    board.slots[1].count("invocations", 500, 0.004)
    board.slots[1].count_call(3, 2)
    told = json.loads(embedded(board, None, 1_700_000_000_000))
    assert told["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Slipway/ModelServer"
    assert (told["Requests"], told["ServerErrors"], told["MeanBatchRows"]) == (2, 1, 3)
    assert told["MeanRequestTime"] == pytest.approx(3000)
    again = json.loads(embedded(board, None, 1_700_000_060_000))
    assert (again["Requests"], again["MeanRequestTime"]) == (0, 0)
