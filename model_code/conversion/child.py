"""Runs a conversion with its proof in a child of its own: limited, and gone when we are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from contracts.engine import ENGINE_FOLDER
from contracts.errors import ContractError
from contracts.fields import Fields
from contracts.package import Conversion
from model_code.errors import PackagingError

SECONDS = 300.0
MEMORY_BYTES = 16 << 30
TASK_FILE, VERDICT_FILE = "task.json", "verdict.json"
# One thread each: sums in another order would be other digits, and packages are the same bytes.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENDS = {-9: "it was killed, as when memory runs out", -24: "it took too long", -11: "it crashed"}


@dataclass(frozen=True)
class Task:
    """What the child is told; it finds this as JSON in ``task.json``."""

    model_dir: str
    schema: dict[str, Any]
    output: str
    engine: str
    allows_code: bool = False
    memory_bytes: int = MEMORY_BYTES
    cpu_seconds: int = int(SECONDS)
    has_params: bool = False

    @staticmethod
    def read(folder: Path) -> Task:
        return Task(**json.loads((folder / TASK_FILE).read_text()))


class LackingOutputError(PackagingError):
    """The model has no such answer, converted or not."""

    def __init__(self, output: str) -> None:
        self.output = output
        method = "predict_proba" if output == "both" else output
        super().__init__(
            f"output is {output!r}, but the model has no {method}; give another --output"
        )


class Converted(NamedTuple):
    """The verdict, and the folder with the engine's files; None where there is no engine."""

    verdict: Conversion
    folder: Path | None


def leave(folder: Path, verdict: Conversion | LackingOutputError) -> None:
    """The child's word to its parent: a verdict, or the output that the model lacks."""
    lacks = isinstance(verdict, LackingOutputError)
    told = {"lacks": verdict.output} if lacks else asdict(verdict)
    (folder / VERDICT_FILE).write_text(json.dumps(told))


def convert(
    task: Task, prover: Sequence[str], scratch: Path, seconds: float = SECONDS
) -> Converted:
    """Run ``prover`` with the task; whatever goes wrong in it is the reason of a fallback.

    Raises:
        LackingOutputError: the model cannot answer so at all.
    """
    scratch.mkdir(parents=True)
    (scratch / TASK_FILE).write_text(json.dumps(vars(task)))
    log = scratch / "log"
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    with log.open("wb") as stream:
        # Its standard input ends when we do, however we end: it stops then.
        child = subprocess.Popen(
            [*prover, str(scratch)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
        )
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            return _fallback(f"the conversion took more than {seconds:g} s")
        finally:
            child.kill()
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or [""]
        how = ENDS.get(code, f"it ended with {code}: {lines[-1][:200]}")
        return _fallback(f"the conversion failed: {how}")
    return _verdict(scratch)


def _verdict(scratch: Path) -> Converted:
    path = scratch / VERDICT_FILE
    try:
        told = Fields(json.loads(path.read_text()), str(path))
        if "lacks" in told.raw:
            raise LackingOutputError(told.text("lacks"))
        verdict = Conversion.from_fields(told)
    except (OSError, ValueError, ContractError) as error:
        return _fallback(f"the conversion left no verdict ({error})")
    return Converted(verdict, scratch / ENGINE_FOLDER if verdict.engine else None)


def _fallback(reason: str) -> Converted:
    return Converted(Conversion(reason=reason), None)
