"""Native models served for real: by a process of their own, which may die, hang or lie."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference.predictor import ALLOW_CODE
from tests.functional.inference_server import ModelServer, Reply, listening, running, start
from tests.functional.native_models import body, package_of, save_trouble

WAIT_SECONDS = 90


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("trouble")
    return folder / "package", package_of(save_trouble(folder), folder / "package")


@pytest.fixture(scope="module")
def server(package: tuple[Path, str]) -> Iterator[ModelServer]:
    settings = {"SLIPWAY_MODEL_SECONDS": "20", "SLIPWAY_NATIVE_MEMORY_BYTES": str(2 << 30)}
    with running(*package, **{ALLOW_CODE: package[1], **settings}) as found:
        yield found


def ask(server: ModelServer, *what: str, x: float = 1.0) -> Reply:
    return server.request("POST", "/invocations", body(what=list(what), x=[x] * len(what)))


def child_of(server: ModelServer) -> psutil.Process:
    return wait_for(lambda: next(iter(psutil.Process(server.process.pid).children()), None))


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return value


def assert_serves(server: ModelServer) -> None:
    assert ask(server, "", "nothing", x=2.5).json == {"predictions": [7.0, 7.0]}
    server.wait_until_ready()


def test_it_answers_and_what_it_prints_or_reads_is_no_answer(server: ModelServer) -> None:
    assert_serves(server)
    assert ask(server, "read").json == {"predictions": [3.0]}


def test_params_reach_the_model_and_others_are_refused_before_it(server: ModelServer) -> None:
    def ask_with(params: Any) -> Reply:
        rows = {"what": [""], "x": [1.5]}
        return server.request(
            "POST", "/invocations", json.dumps({"inputs": rows, "params": params}).encode()
        )

    assert ask_with({"times": 10}).json == {"predictions": [16.0]}
    assert ask_with({}).json == {"predictions": [4.0]}
    assert ask_with({"times": "10"}).error == "param 'times': '10' came; a number is needed"
    assert ask_with({"time": 1}).error == "param 'time' came; the model takes times"
    assert ask_with({"times": None}).error.startswith("the model refuses these params: TypeError")


def test_what_the_model_raises_is_told_with_row_and_column_as_of_any_model(
    server: ModelServer,
) -> None:
    reply = ask(server, "", "refuse", "")
    assert reply.status == 400
    assert reply.error == (
        "row 1, column 'what': 'refuse' came, and the model says ValueError: I do not like this"
    )
    assert ask(server, "leave").error.endswith("SystemExit: 3")
    assert "MemoryError" in ask(server, "memory").error
    assert_serves(server)


@pytest.mark.parametrize(
    ("what", "how"), [("exit", "ended with code 9"), ("crash", "was killed by SIGSEGV")]
)
def test_a_crash_fails_the_request_under_way_and_the_next_is_answered(
    server: ModelServer, what: str, how: str
) -> None:
    before = child_of(server).pid
    reply = ask(server, what)
    assert reply.status == 500
    assert reply.error == f"the model's process {how}; another one is started"
    assert_serves(server)
    assert child_of(server).pid != before


def test_a_child_that_was_killed_while_it_stood_idle_is_replaced_without_an_error(
    server: ModelServer,
) -> None:
    child = child_of(server)
    child.kill()
    child.wait(WAIT_SECONDS)
    assert_serves(server)


def busy(child: psutil.Process) -> Callable[[], bool]:
    """Whether it has worked since; its share of a core says nothing on a machine that is full."""
    before = child.cpu_times().user
    return lambda: child.cpu_times().user > before + 0.1


def test_a_child_killed_while_it_works_fails_that_request(server: ModelServer) -> None:
    child, replies = child_of(server), []
    thread = threading.Thread(target=lambda: replies.append(ask(server, "hang")))
    thread.start()
    wait_for(busy(child))
    child.kill()
    thread.join(WAIT_SECONDS)
    assert [reply.status for reply in replies] == [500]
    assert "was killed by SIGKILL" in replies[0].error
    assert_serves(server)


def test_ping_says_so_while_there_is_no_process_and_when_there_is_one_again(
    server: ModelServer,
) -> None:
    child_of(server).kill()
    wait_for(lambda: server.request("GET", "/ping").status == 503)
    wait_for(lambda: server.request("GET", "/ping").status == 200)


def test_a_call_that_hangs_is_ended_and_answered_before_the_platform_gives_up(
    package: tuple[Path, str],
) -> None:
    with running(*package, **{ALLOW_CODE: package[1], "SLIPWAY_MODEL_SECONDS": "2"}) as server:
        hung = child_of(server)
        reply = ask(server, "hang")
        assert reply.status == 500
        assert reply.error == ("the model did not answer within 2 s; its process is replaced")
        assert not hung.is_running()
        server.wait_until_ready()
        assert child_of(server).pid != hung.pid


@pytest.mark.parametrize("what", ["", "hang"], ids=["idle", "while it keeps Python's lock"])
def test_no_child_outlives_a_server_that_was_killed(package: tuple[Path, str], what: str) -> None:
    process = start(*package, **{ALLOW_CODE: package[1]})
    try:
        server = listening(process)
        server.wait_until_ready()
        child = child_of(server)
        if what:
            with contextlib.suppress(OSError):
                threading.Thread(target=lambda: _quietly(server, what), daemon=True).start()
            wait_for(busy(child))
        os.kill(process.pid, signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    finally:
        process.kill()
        process.communicate()


def _quietly(server: ModelServer, what: str) -> None:
    with contextlib.suppress(Exception):
        ask(server, what)


def test_each_worker_has_a_child_and_all_end_with_the_parent(package: tuple[Path, str]) -> None:
    environment = {ALLOW_CODE: package[1], "SLIPWAY_WORKERS": "2"}
    with running(*package, **environment) as server:
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert len(family) == 4
        assert_serves(server)
        server.process.kill()
        server.process.wait(WAIT_SECONDS)
        wait_for(
            lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in family)
        )


def test_a_model_that_cannot_be_loaded_again_is_given_up_and_ping_tells(tmp_path: Path) -> None:
    mark = tmp_path / "loads"
    script = (
        "import os, mlflow\n\n\n"
        "class Fading(mlflow.pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        f"        if os.path.exists({str(mark)!r}):\n"
        "            raise OSError('worn out')\n\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input['x']\n\n\n"
        "mlflow.models.set_model(Fading())\n"
    )
    digest = package_of(save_trouble(tmp_path, script), tmp_path / "package")
    with running(tmp_path / "package", digest, **{ALLOW_CODE: digest}) as server:
        mark.touch()
        child_of(server).kill()
        wait_for(lambda: server.request("GET", "/ping").status == 503)
        reply = ask(server, "")
        assert reply.status == 500
        assert reply.error == "the model has no process: OSError: worn out"
        assert server.request("GET", "/ping").status == 503


def test_what_it_answers_is_what_the_pyfunc_answers(tmp_path: Path) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    rows = pd.DataFrame(
        {
            "number": [1.5, float("nan"), 1e300, 0.1],
            "small": pd.Series([0.1, 2.5, -1e-30, 3e38], dtype="float32"),
            "count": [2**53 + 1, -5, 0, 7],
            "flag": [True, False, True, False],
            "text": ["", "grässlich \U0001f600", 'a "b"\n', "x"],
            "when": pd.to_datetime(
                ["2020-01-01T12:00:00.123456", *["1999-12-31"] * 3], format="ISO8601"
            ),
        }
    )

    class Telling(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            told = ["|".join(map(str, row)) for row in model_input.itertuples(index=False)]
            return pd.DataFrame(
                {
                    "told": told,
                    "types": str(list(model_input.dtypes)),
                    "third": model_input["number"] / 3,
                    "count": model_input["count"] + 1,
                    "nested": [[1, None, {"a": 0.5}]] * len(model_input),
                }
            )

    saved = tmp_path / "saved"
    signature = infer_signature(rows, Telling().predict(None, rows))
    mlflow.pyfunc.save_model(saved, python_model=Telling(), signature=signature)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    want = mlflow.pyfunc.load_model(str(saved)).predict(rows)
    digest = package_of(saved, tmp_path / "package")
    with running(tmp_path / "package", digest, **{ALLOW_CODE: digest}) as server:
        split = json.loads(rows.to_json(orient="split", date_format="iso", date_unit="us"))
        split["data"][2][0], split["data"][3][1] = 1e300, 3e38
        document = {"dataframe_split": {k: split[k] for k in ("columns", "data")}}
        got = server.predictions(document)
        assert got == want.astype("object").where(want.notna(), None).to_dict("records")
        for row in range(len(rows)):
            document["dataframe_split"]["data"] = split["data"][row : row + 1]
            assert server.predictions(document) == got[row : row + 1]
