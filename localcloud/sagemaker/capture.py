"""Data capture: a sample of requests and answers as JSON lines in S3 (fact sheet 8)."""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.clock import Clock
from localcloud.service import S3Access, ServiceError

log = logging.getLogger(__name__)

ROLL_SECONDS = 60.0  # simulated: a file for each minute and variant
MIN_ROLL_WALL_SECONDS = 0.5


@dataclass(frozen=True)
class CaptureSettings:
    """An endpoint's DataCaptureConfig, ready for use."""

    bucket: str
    prefix: str
    percentage: float
    modes: frozenset[str]
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @staticmethod
    def of(config: dict[str, Any] | None) -> CaptureSettings | None:
        """None when nothing is to be captured; ``EnableCapture`` is true unless it says false."""
        if config is None or not config.get("EnableCapture", True):
            return None
        bucket, _, prefix = config["DestinationS3Uri"].removeprefix("s3://").partition("/")
        modes: set[str] = set()
        for option in config["CaptureOptions"]:
            mode = option["CaptureMode"]
            modes |= {"Input", "Output"} if mode == "InputAndOutput" else {mode}
        types = config.get("CaptureContentTypeHeader") or {}
        return CaptureSettings(
            bucket=bucket,
            prefix=prefix.strip("/"),
            percentage=float(config["InitialSamplingPercentage"]),
            modes=frozenset(modes),
            csv_types=frozenset(t.lower() for t in types.get("CsvContentTypes") or ()),
            json_types=frozenset(t.lower() for t in types.get("JsonContentTypes") or ()),
        )


@dataclass(frozen=True)
class Captured:
    """One sampled request, not yet encoded; ``at`` is the simulated time of the inference.

    A shadow's record has the ``event_id`` of the production variant's, so that they can be joined.
    """

    at: datetime
    inference_id: str | None
    input_type: str
    input_body: bytes
    output_type: str
    output_body: bytes
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))


def is_sampled(settings: CaptureSettings, rng: random.Random) -> bool:
    return rng.random() * 100.0 < settings.percentage


def line(settings: CaptureSettings, captured: Captured, event_id: str) -> str:
    """One line of a capture file."""
    data: dict[str, Any] = {}
    if "Input" in settings.modes:
        data["endpointInput"] = _side(settings, "INPUT", captured.input_type, captured.input_body)
    if "Output" in settings.modes:
        data["endpointOutput"] = _side(
            settings, "OUTPUT", captured.output_type, captured.output_body
        )
    metadata = {"eventId": event_id}
    if captured.inference_id is not None:
        metadata["inferenceId"] = captured.inference_id
    metadata["inferenceTime"] = captured.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    value = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _side(settings: CaptureSettings, mode: str, content_type: str, body: bytes) -> dict[str, str]:
    encoding, data = _encode(settings, content_type, body)
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encode(settings: CaptureSettings, content_type: str, body: bytes) -> tuple[str, str]:
    plain = content_type.partition(";")[0].strip().lower()
    for encoding, types in (("CSV", settings.csv_types), ("JSON", settings.json_types)):
        if plain in types:
            try:
                return encoding, body.decode()
            except UnicodeDecodeError:
                break
    return "BASE64", base64.b64encode(body).decode()


def object_key(settings: CaptureSettings, endpoint: str, variant: str, at: datetime) -> str:
    """``<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/MM-SS-mmm-<uuid>.jsonl``, in UTC."""
    name = f"{at:%M-%S}-{at.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
    parts = (settings.prefix, endpoint, variant, f"{at:%Y/%m/%d/%H}", name)
    return "/".join(part for part in parts if part)


Stream = tuple[CaptureSettings, str, str]


class CaptureWriter:
    """Collects samples and writes them from a thread of its own, a file a minute and variant."""

    def __init__(self, clock: Clock, s3: S3Access) -> None:
        self._clock = clock
        self._s3 = s3
        self._lock = threading.Lock()
        self._streams: dict[Stream, list[Captured]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="data-capture", daemon=True)
        self._thread.start()

    def add(
        self, settings: CaptureSettings, endpoint: str, variant: str, captured: Captured
    ) -> None:
        with self._lock:
            self._streams.setdefault((settings, endpoint, variant), []).append(captured)

    def flush(self) -> None:
        """Write what was collected so far."""
        with self._lock:
            streams, self._streams = self._streams, {}
        for (settings, endpoint, variant), collected in streams.items():
            for hour in _by_hour(collected):
                self._write(settings, endpoint, variant, hour)

    def discard(self) -> None:
        with self._lock:
            self._streams.clear()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        pause = max(MIN_ROLL_WALL_SECONDS, self._clock.wall_seconds(ROLL_SECONDS))
        while not self._stopping.wait(pause):
            self.flush()

    def _write(
        self, settings: CaptureSettings, endpoint: str, variant: str, collected: list[Captured]
    ) -> None:
        lines = [line(settings, captured, captured.event_id) for captured in collected]
        key = object_key(settings, endpoint, variant, collected[0].at)
        body = "".join(f"{text}\n" for text in lines).encode()
        try:
            self._s3.put_object(settings.bucket, key, body, "application/jsonl")
        except ServiceError as error:
            log.warning(
                "data capture of %s/%s: %d records are lost: %s",
                endpoint, variant, len(collected), error,
            )  # fmt: skip


def _by_hour(collected: Iterable[Captured]) -> Iterable[list[Captured]]:
    """The records of one folder each, in their order."""
    hours: dict[str, list[Captured]] = {}
    for captured in collected:
        hours.setdefault(f"{captured.at:%Y%m%d%H}", []).append(captured)
    return hours.values()
