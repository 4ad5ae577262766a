"""Native models: any MLflow pyfunc, served by a process of its own interpreter.

The process is kept alive: one that dies fails the request under way, and another one is started.
"""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import orjson

from contracts.canonical import sha256_file
from contracts.package import LOCK_FILE, ArchiveIndex
from contracts.variables import LOCK_SHA256, NATIVE_ENVIRONMENT
from inference.errors import ModelGoneError, PackageRefusedError, ServerError, shown
from inference.formats.codecs import Decoded
from inference.formats.encoding import from_json
from inference.formats.signature import Signature
from inference.http.limits import memory_limit
from inference.processes.log import log
from inference.pyfunc.process import Launch, NativeProcess, NotReadyError

SECONDS = "SLIPWAY_MODEL_SECONDS"
MEMORY = "SLIPWAY_NATIVE_MEMORY_BYTES"
BATCH = "SAGEMAKER_BATCH"
# SageMaker gives up after 60 s, a transform job by default after 600 s (facts 1.2, 1.3).
REAL_TIME_SECONDS, BATCH_SECONDS = 55.0, 595.0
# The longest that SageMaker can be told to wait for a container (fact 1.2).
LOAD_SECONDS = 3600.0
RESTARTS, RESTART_WINDOW_SECONDS = 3, 60.0
PAUSE_SECONDS = 0.5
MEMORY_SHARE = 0.8
REMEDY = (
    "serve it by `slipway serve` or the local cloud, or build an image for it by "
    "`slipway image build`: they make the model an environment of its own"
)


class Health(Enum):
    """What becomes of the model's process; GIVEN_UP is for ever."""

    SERVES = "serves"
    RESTARTS = "restarts"
    GIVEN_UP = "given up"


class NativeEngine:
    """A model in a process that is replaced when it dies or does not answer.

    ``watch`` is told each change, by any thread.
    """

    name = "native"
    is_quick = False
    takes_matrix = False

    def __init__(
        self, launch: Launch, signature: Signature, *, merges: bool, call_seconds: float
    ) -> None:
        self.merges = merges
        self.watch: Callable[[Health], None] | None = None
        self._launch = launch
        self._signature = signature
        self._seconds = call_seconds
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._process: NativeProcess | None = None
        self._failure = ""
        self._is_closed = False
        self._was_ready = False
        threading.Thread(target=self._keep, name="native model", daemon=True).start()

    def wait_ready(self) -> None:
        """Until the model is loaded.

        Raises:
            NotReadyError: it cannot be.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._process is not None or self._failure)
            if self._process is None:
                raise NotReadyError(self._failure)

    @property
    def pid(self) -> int | None:
        """The process that serves; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def __call__(self, decoded: Decoded) -> list[Any]:
        """Raises an error named as the model's own, or ModelGoneError."""
        until = time.monotonic() + self._seconds
        head, body = encoded(self._signature, decoded)
        with self._turn:
            process = self._serving(until)
            try:
                said, answer = process.ask(head, body, until)
            except TimeoutError:
                self._withdraw(process)
                process.end(patience_seconds=0)
                raise ModelGoneError(
                    f"the model did not answer within {self._seconds:g} s; its process is replaced",
                    is_hung=True,
                ) from None
            except (EOFError, OSError, ValueError):
                self._withdraw(process)
                raise ModelGoneError(
                    f"the model's process {process.end()}; another one is started"
                ) from None
        if "kind" in said:
            raise _raised(said)
        return from_json(answer)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            process = self._process
        if process is not None:
            process.end(patience_seconds=0)

    def _serving(self, until: float) -> NativeProcess:
        def known() -> bool:
            return bool(self._failure) or (self._process is not None and self._process.is_alive)

        with self._changed:
            self._changed.wait_for(known, max(0.0, until - time.monotonic()))
            if self._process is None or self._failure:
                reason = self._failure or "it is being started again"
                raise ModelGoneError(f"the model has no process: {reason}", is_hung=True)
            return self._process

    # --- the thread that keeps a process

    def _keep(self) -> None:
        """A start fails where the process does not load the model, or dies before it is asked."""
        failed: deque[float] = deque()
        while not self._is_closed:
            reason = self._serve_once()
            if not reason or self._is_closed:
                continue
            failed.append(time.monotonic())
            while failed[-1] - failed[0] > RESTART_WINDOW_SECONDS:
                failed.popleft()
            if not self._was_ready or len(failed) >= RESTARTS:
                self._give_up(reason)
                return
            log("native model not restarted", reason=reason)
            time.sleep(PAUSE_SECONDS)

    def _serve_once(self) -> str:
        """One process from start to end; why that was no start, else nothing."""
        began = time.monotonic()
        try:
            process = NativeProcess.ready(self._launch, LOAD_SECONDS)
        except NotReadyError as problem:
            return str(problem)
        self._was_ready = True
        log("native model ready", pid=process.pid, seconds=round(time.monotonic() - began, 1))
        self._publish(process)
        process.wait()
        self._withdraw(process)
        how = process.end()
        if not self._is_closed:
            log("native model died", pid=process.pid, how=how)
        return "" if process.was_asked else f"its process {how} before it was asked anything"

    def _publish(self, process: NativeProcess) -> None:
        with self._changed:
            self._process = process
            if self._is_closed:
                process.end()
            self._changed.notify_all()
            self._tell(Health.SERVES)

    def _withdraw(self, process: NativeProcess) -> None:
        with self._changed:
            if self._process is not process:
                return
            self._process = None
            self._tell(Health.RESTARTS)

    def _give_up(self, reason: str) -> None:
        with self._changed:
            self._failure = reason
            self._changed.notify_all()
            self._tell(Health.GIVEN_UP)
        if self._was_ready:
            log("native model given up", reason=reason)

    def _tell(self, health: Health) -> None:
        """Under the lock, so that the last that is told is what is."""
        if self.watch is not None and not self._is_closed:
            self.watch(health)


def start(
    index: ArchiveIndex, model_dir: Path, env: Mapping[str, str], *, allows_code: bool
) -> NativeEngine:
    """The engine, once its process has loaded the model; ``allows_code``: for this very package.

    Raises:
        PackageRefusedError: it cannot be loaded, or not by the interpreter that there is.
        ServerError: a setting is no number.
    """
    signature = Signature.from_schema(index.inputs)
    folder = model_dir / "model"
    python, requirements = _interpreter(folder, env)
    is_batch = env.get(BATCH) == "true"
    task = {
        "folder": str(folder.resolve()),
        "engine": index.engine,
        "output": index.output,
        "allows_code": allows_code,
        "requirements": requirements,
        "columns": [[c.name, c.kind, c.form] for c in signature.columns],
        "tensor": signature.tensor,
        "memory_bytes": int(_number(env, MEMORY, _memory_share(env))),
        "most_bytes": 1 << 40,
    }
    seconds = _number(env, SECONDS, BATCH_SECONDS if is_batch else REAL_TIME_SECONDS)
    merges = index.conversion is not None and index.conversion.merges
    engine = NativeEngine(Launch(python, task), signature, merges=merges, call_seconds=seconds)
    try:
        engine.wait_ready()
    except NotReadyError as problem:
        raise PackageRefusedError(
            f"{folder} cannot be served by {python}: {problem}; {REMEDY}"
        ) from None
    return engine


def _interpreter(folder: Path, env: Mapping[str, str]) -> tuple[str, list[str] | None]:
    """The model's interpreter, and what must be seen to there: None where it was built for it."""
    place = env.get(NATIVE_ENVIRONMENT)
    if not place:
        requirements = folder / "requirements.txt"
        lines = requirements.read_text().splitlines() if requirements.is_file() else []
        return sys.executable, lines
    python, lock = Path(place) / "bin" / "python", Path(place) / LOCK_FILE
    if not python.exists():
        raise PackageRefusedError(
            f"{NATIVE_ENVIRONMENT} is {place}, which has no bin/python; {REMEDY}"
        )
    wanted = env.get(LOCK_SHA256)
    if wanted and (not lock.is_file() or sha256_file(lock) != wanted):
        raise PackageRefusedError(
            f"the environment {place} was not built from the {LOCK_FILE} that was released "
            f"({LOCK_SHA256}={wanted[:12]}…); {REMEDY}"
        )
    return str(python), None


def _memory_share(env: Mapping[str, str]) -> float:
    """Of what this container may use, an equal part for each worker's model."""
    from inference.processes.workers import WORKERS, worker_count

    return memory_limit() * MEMORY_SHARE / max(1, worker_count(env.get(WORKERS, "0")))


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "")
    try:
        number = float(text) if text else default
    except ValueError:
        number = 0.0
    if not 0 < number < 1e15:
        raise ServerError(f"{name} is {shown(text)}; a number above 0 is needed")
    return number


def encoded(signature: Signature, decoded: Decoded) -> tuple[dict[str, Any], bytes]:
    """Head and body of a request: numbers as float64, everything else as JSON."""
    parts: list[bytes] = []
    for column in signature.columns:
        values = decoded.columns[column.name]
        if column.kind == "number":
            parts.append(array("d", values).tobytes())
        else:
            parts.append(orjson.dumps(values))
    head: dict[str, Any] = {"rows": decoded.rows, "sizes": [len(part) for part in parts]}
    if decoded.params is not None:
        head["params"] = decoded.params
    return head, b"".join(parts)


def _raised(said: dict[str, Any]) -> Exception:
    """What the model raised there, under its name, with the trace from there."""
    error = type(str(said["kind"]), (Exception,), {})(said["text"])
    error.add_note(str(said.get("trace", "")))
    return error
