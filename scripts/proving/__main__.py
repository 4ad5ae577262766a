"""``python -m scripts.proving FOLDER``: reads ``task.json`` there, leaves ``verdict.json``."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from contracts.engine import ENGINE_FOLDER
from contracts.package import Conversion
from inference.signature import Signature
from model_code.conversion.candidate import Candidate
from model_code.conversion.child import VERDICT_FILE, Task
from model_code.conversion.loading import Opened, open_model, raw_frame
from model_code.conversion.plan import NotConvertibleError
from scripts.proving.answers import merges
from scripts.proving.proof import RejectedError, Truth, prove
from scripts.proving.rows import RowMaker
from scripts.proving.truth import truth_of

PR_SET_PDEATHSIG = 1


def main(folder: Path) -> int:
    """Always leaves a verdict, unless a limit ends this process first."""
    task = Task.read(folder)
    _limit(task)
    verdict, candidate = _judge(task)
    if candidate is not None:
        candidate.write(folder / ENGINE_FOLDER)
    (folder / VERDICT_FILE).write_text(json.dumps(asdict(verdict)))
    return 0


def _limit(task: Task) -> None:
    """Memory and processor time; and the end, when the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (task.memory_bytes, task.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (task.cpu_seconds, task.cpu_seconds))
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(70)


def _judge(task: Task) -> tuple[Conversion, Candidate | None]:
    signature = Signature.from_schema(task.schema)
    try:
        opened = open_model(Path(task.model_dir), allows_code=task.allows_code)
        truth = truth_of(opened, task, signature)
    except NotConvertibleError as problem:
        return Conversion(reason=str(problem)), None
    maker = RowMaker(task, signature, truth)
    reasons: list[str] = []
    for make in (_own, _exported):
        try:
            candidates = make(opened, task)
        except NotConvertibleError as problem:
            reasons.append(str(problem))
            continue
        for candidate in candidates:
            try:
                groups = maker.groups(opened.model, candidate.points)
                return prove(candidate, truth, signature, groups, maker.rows_from), candidate
            except RejectedError as problem:
                reasons.append(str(problem))
    return _fallback(maker, truth, opened, reasons), None


def _own(opened: Opened, task: Task) -> list[Candidate]:
    """By our own engines."""
    from model_code.conversion.estimators import booster_alone, candidate

    own = booster_alone if opened.is_booster else candidate
    return [own(opened.model, raw_frame(task.schema, opened.model), task.output)]


def _exported(opened: Opened, task: Task) -> list[Candidate]:
    """By skl2onnx."""
    from model_code.conversion.exported import exports

    if opened.is_booster:
        return []
    return exports(opened.model, raw_frame(task.schema, opened.model), task.output)


def _fallback(maker: RowMaker, truth: Truth, opened: Opened, reasons: list[str]) -> Conversion:
    """The model itself; asked alone and together, so that the server knows whether to merge."""
    reason = "; ".join(dict.fromkeys(reasons))[:1000]
    rows = maker.few(opened.model)
    return replace(
        Conversion(reason=reason, rows=rows.rows, rows_from=maker.rows_from),
        merges=merges(truth.answers, rows),
    )


if __name__ == "__main__":
    arguments: list[Any] = sys.argv[1:]
    sys.exit(main(Path(arguments[0])))
