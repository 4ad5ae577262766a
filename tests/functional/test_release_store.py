"""The release state in S3: whoever writes over what he has not read is told so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from release.aws.store import S3History
from release.errors import ConflictError
from release.state import EndpointState
from tests.functional.conftest import Cloud

ENDPOINT = "kept-test"


def drivers(cloud: Cloud, bucket: str) -> tuple[S3History, S3History]:
    """Two processes that drive the same endpoint."""
    cloud.client("s3").create_bucket(Bucket=bucket)
    first, second = (S3History(cloud.client("s3"), bucket, ENDPOINT) for _ in range(2))
    return first, second


def test_of_two_first_writes_one_wins(cloud: Cloud) -> None:
    first, second = drivers(cloud, "history-first")
    state = first.load()
    assert second.load() == state == EndpointState(ENDPOINT)
    first.save(replace(state, rejected=("a",)))
    with pytest.raises(ConflictError, match="was changed by another process; nothing more was"):
        second.save(replace(state, rejected=("b",)))
    assert second.load().rejected == ("a",)


def test_what_was_changed_since_it_was_read_is_not_written_over(cloud: Cloud) -> None:
    first, second = drivers(cloud, "history-later")
    first.save(EndpointState(ENDPOINT))
    state = second.load()
    first.save(replace(state, rejected=("a",)))
    first.save(replace(state, rejected=("a", "b")))
    with pytest.raises(ConflictError, match="run the command again"):
        second.save(replace(state, rejected=("c",)))
    second.save(replace(second.load(), rejected=("c",)))
    with pytest.raises(ConflictError):
        first.save(state)


def test_a_first_write_that_a_retry_repeats_is_no_conflict(cloud: Cloud) -> None:
    first, second = drivers(cloud, "history-retry")
    state = replace(first.load(), rejected=("a",))
    second.load()
    first.save(state)
    second.save(state)
    second.save(replace(state, rejected=("b",)))
    assert first.load().rejected == ("b",)
