"""The live traffic of a rehearsal as a child process, and what its models should answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import SlipwayError
from scripts.rehearsal.tally import read_answers
from scripts.rehearsal.traffic import Answer

if TYPE_CHECKING:
    import pandas as pd

END_SECONDS = 90.0
FIRST_ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.05


class TrafficError(SlipwayError):
    """The traffic did not flow."""


def bodies(frame: pd.DataFrame) -> list[bytes]:
    """One request body a row, in MLflow's ``dataframe_split`` form."""
    found: list[bytes] = []
    for at in range(len(frame)):
        text = frame.iloc[[at]].to_json(orient="split", index=False)
        found.append(b'{"dataframe_split": ' + str(text).encode() + b"}")
    return found


def expected(uri: str, model: str, version: str, frame: pd.DataFrame) -> list[Any]:
    """What the registered model itself answers to each row, None where it refuses it.

    The model is loaded as MLflow logged it; neither package nor server is part of this.
    """
    import mlflow.sklearn

    from model_code import registry

    with tempfile.TemporaryDirectory(prefix="slipway-expected-") as scratch:
        found = registry.resolve(uri, f"{model}/{version}")
        path = registry.download(uri, found, Path(scratch))
        estimator: Any = mlflow.sklearn.load_model(str(path))  # pyright: ignore[reportPrivateImportUsage]
    try:
        return list(estimator.predict_proba(frame).tolist())
    except ValueError:
        return [_one(estimator, frame.iloc[[at]]) for at in range(len(frame))]


def _one(estimator: Any, row: pd.DataFrame) -> Any:
    try:
        return estimator.predict_proba(row).tolist()[0]
    except ValueError:
        return None


class Traffic:
    """Runs until :meth:`stop`; also ends when this process does."""

    def __init__(self, folder: Path, endpoint_url: str, endpoint: str, region: str) -> None:
        self._folder = folder
        self.out = folder / "answers.jsonl"
        self._target = ["--endpoint-url", endpoint_url, "--endpoint", endpoint, "--region", region]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, rows: list[bytes], rate: float) -> None:
        """Begin, and wait for the first answer."""
        path = self._folder / "requests.jsonl"
        path.write_bytes(b"\n".join(rows) + b"\n")
        root = str(Path(__file__).resolve().parents[2])
        with (self._folder / "traffic.log").open("wb") as log:
            self._child = subprocess.Popen(
                [
                    *(sys.executable, "-m", "scripts.rehearsal.traffic", *self._target),
                    *("--rows", str(path), "--rate", str(rate), "--out", str(self.out)),
                ],
                stdin=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": root},
                start_new_session=True,
            )
        deadline = time.monotonic() + FIRST_ANSWER_SECONDS
        while not (self.out.exists() and self.out.stat().st_size):
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise TrafficError(f"no answer came; see {self._folder / 'traffic.log'}")
            time.sleep(POLL_SECONDS)

    def answers(self) -> list[Answer]:
        """What came back so far."""
        return read_answers(self.out)

    def stop(self) -> list[Answer]:
        """Let what is under way be answered, and end; returns all answers."""
        child, self._child = self._child, None
        if child is None:
            return self.answers() if self.out.exists() else []
        if child.stdin is not None:
            child.stdin.close()
        try:
            code = child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        if code != 0:
            raise TrafficError(
                f"the traffic ended with code {code}; see {self._folder / 'traffic.log'}"
            )
        return self.answers()
