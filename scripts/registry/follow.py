"""The alias `champion` after releases that nobody here saw the end of: looked after by the way.

The Lambda that drives releases does not reach the registry. So every command that looks at an
endpoint lets the alias follow its history, once for each release.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import atomic
from contracts.canonical import sha256_text
from contracts.errors import SlipwayError
from release.errors import InterruptedReleaseError, ReleaseError
from release.state import HELD
from scripts.console import stderr
from scripts.registry.alias import follow, is_followed, serves_now

if TYPE_CHECKING:
    from release.evidence.document import ReleaseResult
    from scripts.release.stack import ReleaseStack

SEEN = Path(".slipway") / "registry-followed.json"
LOOKED_AT = 20
# MLflow tries for minutes by default, and this is beside the point of the command.
HURRY = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def follow_result(place: ReleaseStack, result: ReleaseResult) -> None:
    """After a release; a registry that does not answer changes nothing of it."""
    from model_code import registry

    uri = registry.tracking_uri(place.root)
    problem = follow(uri, result, place.bucket)
    if problem:
        _warn(problem)
    elif serves_now(result):
        _remember(place, _key(place, result.endpoint, uri), result.id)
    elif result.outcome != HELD:
        catch_up(place, result.endpoint)


@contextmanager
def catching_up(place: ReleaseStack, endpoint: str) -> Generator[None]:
    """After a release that could not be: its end is :func:`follow_result`'s.

    Never before it: asking the registry takes a second or more.
    """
    try:
        yield
    except InterruptedReleaseError:
        raise
    except ReleaseError:
        catch_up(place, endpoint)
        raise


def catch_up(place: ReleaseStack, endpoint: str) -> None:
    """Let the alias follow the last release that put something in place, where it has not yet."""
    from model_code import registry

    state = place.state_or_new(endpoint)
    running = None if state.current is None else state.current.id
    ended = [name for name in state.releases if name != running]
    uri = registry.tracking_uri(place.root)
    key = _key(place, endpoint, uri)
    if not ended or state.closed is not None or _seen(place).get(key) == ended[-1]:
        return
    if not registry.stands(uri):
        return
    result = _last_in_place(place, ended)
    if result is not None:
        try:
            with _hurrying():
                problem = _catch_up(uri, place, result)
        except SlipwayError as error:
            problem = f"the registry was not asked whether it follows: {error}"
        if problem is not None:
            _warn(problem)
            return
    _remember(place, key, ended[-1])


def _catch_up(uri: str, place: ReleaseStack, result: ReleaseResult) -> str | None:
    """None where nothing is left to do, now or ever; else why it did not work."""
    version = result.registry_uri.removeprefix("models:/")
    is_done = is_followed(uri, result)
    if is_done:
        return None
    if is_done is None:
        if result.registry_uri.startswith("models:/"):
            _warn(
                f"the registry does not know {version}, which serves on {result.endpoint}: no "
                "alias was moved; is MLFLOW_TRACKING_URI the right one?"
            )
        return None
    problem = follow(uri, result, place.bucket)
    if problem is None:
        text = f"registry: champion is now {version}, as release {result.id} left it"
        stderr.print(text, markup=False, soft_wrap=True)
    return problem


def _last_in_place(place: ReleaseStack, ended: list[str]) -> ReleaseResult | None:
    from release.aws.store import read_evidence
    from release.evidence.document import result_of

    for name in reversed(ended[-LOOKED_AT:]):
        text = read_evidence(place.s3, place.bucket, name)
        if text is not None and serves_now(result := result_of(json.loads(text))):
            return result
    return None


def _warn(problem: str) -> None:
    stderr.print(f"warning: {problem}", markup=False, soft_wrap=True)


@contextmanager
def _hurrying() -> Generator[None]:
    ours = {name: value for name, value in HURRY.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


# --- what was followed from here: asking the registry takes a second, and is not needed twice


def _key(place: ReleaseStack, endpoint: str, uri: str) -> str:
    """The store is told apart, not told: its address may hold a password."""
    return f"{place.bucket}/{endpoint} {sha256_text(uri)[:12]}"


def _seen(place: ReleaseStack) -> dict[str, Any]:
    try:
        told: Any = json.loads((place.root / SEEN).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember(place: ReleaseStack, key: str, release_id: str) -> None:
    seen = _seen(place) | {key: release_id}
    # Where it cannot be written, the registry is asked again.
    with suppress(OSError):
        atomic.write_text(place.root / SEEN, json.dumps(seen, indent=1, sort_keys=True))
