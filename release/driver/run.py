"""Drives a release from this process: the terminal's loop, and a library call for others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from contracts.release_manifest import ReleaseManifest
from release.aws.cloud import AwsCloud, Cloud, client
from release.aws.store import History, S3History
from release.driver import collect
from release.driver.loop import Driver
from release.driver.progress import LOCAL_PACE, NOBODY, Collaborators, Event, Observer, Pace
from release.driver.turn import DriverOptions
from release.evidence.document import ReleaseResult

__all__ = ["LOCAL_PACE", "Event", "Observer", "Pace", "interruptible", "run", "run_rollback"]


def run(
    manifest: ReleaseManifest,
    *,
    cloud: Cloud | None = None,
    history: History | None = None,
    observer: Observer | None = None,
    pace: Pace | None = None,
    stop: threading.Event | None = None,
    retry: bool = False,
    beside: Collaborators = NOBODY,
) -> ReleaseResult:
    """Release what ``manifest`` stages, or continue the release that runs on its endpoint.

    Raises:
        ReleaseError: it cannot begin; nothing was moved.
        InterruptedReleaseError: ``stop`` was set; the release waits where it stands.
    """
    return _driver(manifest, cloud, history, observer, pace, stop, beside).release(retry=retry)


def run_rollback(
    manifest: ReleaseManifest,
    *,
    to: str | None = None,
    cloud: Cloud | None = None,
    history: History | None = None,
    observer: Observer | None = None,
    pace: Pace | None = None,
    stop: threading.Event | None = None,
    beside: Collaborators = NOBODY,
) -> ReleaseResult:
    """Back to the previous good version, or ``to``; a release that was stopped is undone first."""
    return _driver(manifest, cloud, history, observer, pace, stop, beside).rollback(to)


def _driver(
    manifest: ReleaseManifest,
    cloud: Cloud | None,
    history: History | None,
    observer: Observer | None,
    pace: Pace | None,
    stop: threading.Event | None,
    beside: Collaborators,
) -> Driver:
    region = manifest.region
    if history is None:
        s3 = client("s3", region)
        history = S3History(s3, manifest.history_bucket, manifest.endpoint_name)
    if cloud is None:
        cloud = AwsCloud(region)
    collector = collect.collector(cloud) if isinstance(cloud, AwsCloud) else collect.nothing
    options = DriverOptions(
        observer or (lambda _event: None),
        pace or Pace(),
        stop or threading.Event(),
        collector,
        beside,
    )
    return Driver(manifest, cloud, history, options)


@contextmanager
def interruptible() -> Generator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one ends the process as usual."""
    stop = threading.Event()

    def handle(number: int, _frame: Any) -> None:
        if stop.is_set():
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
        stop.set()

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
