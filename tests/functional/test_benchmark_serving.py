"""Tiny runs of the serving benchmark and the soak test: they start, check, load and write."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmarks import serving, serving_models, serving_training, soak
from benchmarks.serving_models import Served
from benchmarks.serving_peers import FLOOR, MLFLOW, NOOP, OURS, PEERS, CannotRunError
from benchmarks.serving_servers import running

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def logreg(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return serving_models.make("logreg", None, tmp_path_factory.mktemp("served") / "logreg")


@pytest.fixture
def tools() -> None:
    for tool, package in (("wrk", "wrk"), ("cc", "gcc libc6-dev"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            reason = f"{tool} is not installed: apt-get install {package}"
            if "benchmark" in os.environ.get("SLIPWAY_REQUIRE", "").split(","):
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.mark.usefixtures("tools")
def test_a_package_is_measured_beside_the_no_op_and_the_floor(
    logreg: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.main(
        [
            *("--dist", str(logreg.dist), "--formats", "json", "--peers", "floor,noop,triton"),
            *("--rows", "1", "--connections", "1", "--pairs", "1", "--starts", "1"),
            *("--minutes", "0.2", "--results", str(tmp_path)),
        ]
    )
    rows = {r["server"]: r for r in json.loads((tmp_path / "serving.json").read_text())}
    assert list(rows) == [OURS, FLOOR, NOOP, "triton"]
    assert all(rows[n]["cpu_us"] > 0 and rows[n]["rps"] > 0 for n in (OURS, FLOOR, NOOP))
    assert all(rows[n]["p99_us"] >= rows[n]["p50_us"] > 0 for n in (OURS, FLOOR, NOOP))
    ours = rows[OURS]
    assert (ours["engine"], ours["model"], ours["workers"]) == ("linear", "logreg", 1)
    assert ours["batch_mean"] == 1
    assert ours["ratio_to_floor"] > 0
    assert ours["ratio_to_noop"] > 0
    assert rows[NOOP]["ratio_to_floor"] > 0
    assert rows["triton"]["cpu_us"] is None
    assert "container image only" in rows["triton"]["reason"]
    (start,) = json.loads((tmp_path / "serving_starts.json").read_text())
    assert start["server"] == OURS
    assert start["cold_seconds"] > 0
    assert start["memory_mb"] > 1
    assert "<svg" in (tmp_path / "serving.svg").read_text()
    assert "logreg, c=1: ours to the floor" in capsys.readouterr().out


def test_a_server_that_answers_something_else_is_no_peer(logreg: Served, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(logreg.folder, folder)
    (folder / "1.expected").write_text("[[0.25, 0.75]]")
    other = Served("logreg", folder, logreg.dist, "linear", None, None)
    with (
        pytest.raises(CannotRunError, match="answers 2 of 2 values other than the model"),
        running(PEERS[OURS], other, tmp_path / "server", None),
    ):
        pass


def test_the_bodies_of_a_package_hold_what_its_signature_names(logreg: Served) -> None:
    one = json.loads(logreg.body("split.json", 1))["dataframe_split"]
    assert one["columns"] == [f"f{i}" for i in range(30)]
    assert json.loads(logreg.body("instances.json", 1))["instances"] == one["data"]
    assert json.loads(logreg.body("v2.json", 1))["inputs"][0]["data"] == one["data"][0]
    header, line = logreg.body("csv", 1).decode().splitlines()
    assert header.split(",") == one["columns"]
    assert [float(cell) for cell in line.split(",")] == one["data"][0]
    assert len(logreg.body("csv", 1000).splitlines()) == 1001
    assert len(logreg.expected(1000) or []) == 1000
    assert (logreg.onnx or Path()).exists()
    assert MLFLOW in PEERS


def test_a_model_that_runs_code_is_not_loaded_without_leave(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}}")
    assert serving_training.code_reason(tmp_path) == (
        "the MLflow model runs what it brings, model.pkl (a pickle); --allow-code lets it"
    )


def test_rows_are_drawn_in_the_order_and_the_types_of_a_signature() -> None:
    kinds = {"b": "integer", "a": "number", "t": "string", "y": "boolean"}
    properties = {name: {"type": kind} for name, kind in sorted(kinds.items())}
    properties["d"] = {"type": "string", "format": "date-time"}
    frame = serving_training.drawn({"properties": properties, "x-columns": [*kinds, "d"]}, 50)
    assert list(frame) == ["b", "a", "t", "y", "d"]
    assert [frame[name].dtype.kind for name in "bay"] == ["i", "f", "b"]
    assert frame["a"].nunique() == 50
    assert set(frame["d"]) == {"2026-01-01T00:00:00"}


@pytest.mark.usefixtures("tools")
def test_a_soak_of_seconds_and_an_overload_pass(
    logreg: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    soak.main(["--minutes", "0.05", "--dist", str(logreg.dist)])
    shown = capsys.readouterr().out
    assert "in less than 60 s memory is not judged" in shown
    assert "slope after the first quarter" in shown
    assert "with 200" in shown
    for part in ("announced bodies", "connections", "large bodies"):
        assert f"overload by {part}: " in shown
    assert shown.endswith("passed\n")
