"""``slipway package`` with conversion: a limited child, files that are checked, an engine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical import sha256_file
from contracts.package import ARCHIVE_FILE, MANIFEST_FILE, load_package
from inference.engines.linear import Linear
from inference.errors import ModelFailedError, PackageRefusedError, RequestError
from inference.formats.codecs import JSON, decode
from inference.predictor import Predictor, load
from inference.unpacking import unpack
from model_code.conversion.child import Task, convert
from model_code.package import Converting, package
from scripts.models.commands import PROVER, _served  # pyright: ignore[reportPrivateUsage]
from tests.functional.model_store import register, store_uri

CONVERTING = Converting(PROVER)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_uri(tmp_path_factory)


@pytest.fixture(scope="module")
def flights_store(store: str) -> str:
    from model_code.train import TrainingOptions, train

    options = TrainingOptions(
        model="converted-delay",
        train_months=(1,),
        evaluate_month=2,
        sample=500,
        strict_categories=True,
    )
    train(options, store)
    return store


@pytest.fixture(scope="module")
def packaged(flights_store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    return package(flights_store, "converted-delay/1", dist, "both", CONVERTING).folder


def flights(count: int) -> list[dict[str, Any]]:
    from model_code.flights import FEATURES, held_out

    rows = held_out(2, count)[list(FEATURES)]
    records: list[dict[str, Any]] = json.loads(rows.to_json(orient="records"))
    return records


def test_the_flights_model_is_served_by_one_dot_product(packaged: Path, tmp_path: Path) -> None:
    manifest = load_package(packaged)
    conversion = manifest.conversion
    assert conversion is not None
    assert (manifest.engine, manifest.output) == ("linear", "both")
    described = manifest.signature["outputs"]
    assert list(described["properties"]) == ["predicted_label", "probabilities"]
    assert described["properties"]["probabilities"]["items"]["type"] == "number"
    assert (conversion.engine, conversion.reason, conversion.merges) == ("linear", "", True)
    assert conversion.rows >= 1000
    assert conversion.rows_from.startswith("drawn from the signature")
    assert conversion.tolerance["probability"] == 1e-5
    assert conversion.worst["share_of_tolerance_at_most"] <= 0.01
    line = _served(manifest)
    assert line.startswith("served by linear: 1,")
    assert line.endswith(
        "rows answered as by the model; the worst differs by 0.0001 % of what is tolerated"
    )
    unpack(packaged / ARCHIVE_FILE, tmp_path)
    predictor = load(tmp_path, {"SLIPWAY_MANIFEST_SHA256": manifest.index_sha256})
    assert isinstance(predictor.engine, Linear)
    assert predictor.index.conversion == conversion
    assert predictor.index.serving_engine == "linear"


def test_it_answers_as_the_model_itself(flights_store: str, packaged: Path, tmp_path: Path) -> None:
    plain = package(flights_store, "converted-delay/1", tmp_path / "dist", "both").folder
    found: list[list[Any]] = []
    for number, folder in enumerate((packaged, plain)):
        unpack(folder / ARCHIVE_FILE, tmp_path / str(number))
        predictor = load(tmp_path / str(number), {})
        found.append([_answer(predictor, record) for record in flights(60)])
    converted, native = found
    assert predictor.engine.name == "sklearn"
    assert load_package(plain).conversion is None
    assert [row is None for row in converted] == [row is None for row in native]
    assert sum(row is not None for row in native) > 40
    for one, other in zip(converted, native, strict=True):
        if one is not None:
            assert one["predicted_label"] == other["predicted_label"]
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-12)


def _answer(predictor: Predictor, record: dict[str, Any]) -> Any:
    """None where the model refuses the row, as this one does categories that it never saw."""
    body = json.dumps({"instances": [record]}).encode()
    try:
        return predictor.predict(decode(predictor.signature, JSON, body))[0]
    except ModelFailedError:
        return None


def test_bad_rows_are_answered_as_before(packaged: Path, tmp_path: Path) -> None:
    unpack(packaged / ARCHIVE_FILE, tmp_path)
    predictor = load(tmp_path, {})
    (record,) = flights(1)

    def answer(**changed: Any) -> list[Any]:
        body = json.dumps({"instances": [{**record, **changed}]}).encode()
        return predictor.predict(decode(predictor.signature, JSON, body))

    assert len(answer(temp=None)) == 1
    assert predictor.predict(decode(predictor.signature, JSON, b'{"instances": []}')) == []
    with pytest.raises(ModelFailedError, match="'carrier': 'ZZ' came, which the model never saw"):
        answer(carrier="ZZ")
    with pytest.raises(RequestError, match="'month': null came"):
        answer(month=None)


def test_the_same_version_converts_to_the_same_bytes(
    flights_store: str, packaged: Path, tmp_path: Path
) -> None:
    again = package(flights_store, "converted-delay/1", tmp_path, "both", CONVERTING).folder
    for name in (ARCHIVE_FILE, MANIFEST_FILE):
        assert sha256_file(packaged / name) == sha256_file(again / name), f"{name} differs"


@pytest.mark.parametrize("name", ["engine.json", "arrays.npz"])
def test_an_engine_that_was_changed_is_not_opened(
    packaged: Path, tmp_path: Path, name: str
) -> None:
    unpack(packaged / ARCHIVE_FILE, tmp_path)
    path = tmp_path / "engine" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackageRefusedError, match=f"{name} is not what slipway.json says"):
        load(tmp_path, {})


def test_a_file_added_to_the_engine_is_refused(packaged: Path, tmp_path: Path) -> None:
    unpack(packaged / ARCHIVE_FILE, tmp_path)
    (tmp_path / "engine" / "model.onnx").write_bytes(b"")
    with pytest.raises(PackageRefusedError, match=r"model.onnx is not listed in slipway.json"):
        load(tmp_path, {})


def test_what_cannot_be_converted_is_packaged_as_it_is_with_the_reason(
    store: str, tmp_path: Path
) -> None:
    from sklearn.datasets import load_iris
    from sklearn.neighbors import KNeighborsClassifier

    data: Any = load_iris(as_frame=True)
    model = KNeighborsClassifier().fit(data.data, data.target)
    logged = register(store, "neighbours", model, data.data)
    made = package(store, f"neighbours/{logged.version}", tmp_path, None, CONVERTING)
    conversion = made.manifest.conversion
    assert conversion is not None
    assert (made.manifest.engine, conversion.engine) == ("sklearn", "")
    assert "the estimator KNeighborsClassifier" in conversion.reason
    assert conversion.merges
    assert _served(made.manifest).startswith(
        "served by sklearn, not converted: the estimator KNeighborsClassifier"
    )
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "out")
    assert load(tmp_path / "out", {}).engine.merges


def task(**changed: Any) -> Task:
    return Task(
        **{"model_dir": "nowhere", "schema": {}, "output": "predict", "engine": "sklearn"} | changed
    )


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


@pytest.mark.parametrize(
    ("program", "seconds", "reason"),
    [
        ("import time; time.sleep(600)", 0.5, "the conversion took more than 0.5 s"),
        (
            "import os; os.kill(os.getpid(), 9)",
            60.0,
            "the conversion failed: it was killed, as when memory runs out",
        ),
        ("raise SystemExit('no luck')", 60.0, "the conversion failed: it ended with 1: no luck"),
        ("pass", 60.0, "the conversion left no verdict"),
        (
            "import sys; open(sys.argv[1] + '/verdict.json', 'w').write('{}')",
            60.0,
            "the conversion left no verdict",
        ),
    ],
)
def test_whatever_becomes_of_the_child_is_the_reason_of_a_fallback(
    program: str, seconds: float, reason: str, tmp_path: Path
) -> None:
    found = convert(task(), script(program), tmp_path / "scratch", seconds)
    assert found.verdict.reason.startswith(reason)
    assert found.folder is None
    assert not found.verdict.engine


def test_the_limits_hold_in_the_child(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from scripts.proving import __main__ as m; "
        "from model_code.conversion.child import Task; m._limit(Task.read(Path(sys.argv[1]))); "
    )
    hungry = script(program + "bytearray(1 << 32)")
    found = convert(task(memory_bytes=1 << 31), hungry, tmp_path / "memory", 60)
    assert "MemoryError" in found.verdict.reason
    busy = script(program + "\nwhile True: pass")
    found = convert(task(cpu_seconds=1), busy, tmp_path / "time", 60)
    assert found.verdict.reason == "the conversion failed: it took too long"


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    child = (
        "import sys, os, time; from pathlib import Path; "
        "from scripts.proving import __main__ as m; "
        "from model_code.conversion.child import Task; "
        "m._limit(Task.read(Path(sys.argv[1]))); "
        "Path(sys.argv[1], 'pid.new').write_text(str(os.getpid())); "
        "os.rename(sys.argv[1] + '/pid.new', sys.argv[1] + '/pid'); time.sleep(600)"
    )
    parent = (
        "import sys; from pathlib import Path; from model_code.conversion.child import *; "
        "task = Task('nowhere', {}, 'predict', 'sklearn'); "
        f"convert(task, (sys.executable, '-c', {child!r}), Path(sys.argv[1]), 600)"
    )
    scratch = tmp_path / "scratch"
    process = subprocess.Popen([sys.executable, "-c", parent, str(scratch)])
    wait_for((scratch / "pid").exists)
    pid = int((scratch / "pid").read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not is_alive(pid))


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return not Path("/proc").is_dir()
    return False
