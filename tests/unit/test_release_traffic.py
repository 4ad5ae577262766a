"""`slipway invoke --rate`: traffic for a release to judge by."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

from scripts.release.invoke import InvokeError
from scripts.release.traffic import Sent, keep_sending


def test_it_sends_until_it_is_stopped_and_counts_by_variant() -> None:
    stop, numbers = threading.Event(), count(1)

    def send() -> dict[str, Any]:
        number = next(numbers)
        if number >= 40:
            stop.set()
        if number % 4 == 0:
            raise InvokeError("wine-local: the model answered 500: {}")
        return {"variant": "live" if number % 2 else "candidate"}

    sent = keep_sending(send, 10_000, None, stop)

    assert sent.failed + sent.answered.total() >= 40
    assert sent.answered["live"] >= 20
    assert sent.answered["candidate"] >= 10
    assert sent.failed >= 10
    assert sent.problem == "wine-local: the model answered 500: {}"


def test_it_ends_after_its_time() -> None:
    sent = keep_sending(lambda: {"variant": "live"}, 1000, 0.05, threading.Event())
    assert 0.05 <= sent.seconds < 30
    assert sent.answered["live"] >= 1
    assert sent.to_dict()["failed"] == 0


def test_what_came_back_is_told() -> None:
    sent = Sent()
    assert sent.text == "0 requests: none answered, 0 failed"
    sent.answered.update(live=1200, candidate=300)
    sent.failed, sent.problem = 2, "no answer"
    assert sent.text == (
        "1,502 requests: 300 by candidate, 1,200 by live, 2 failed (the last: no answer)"
    )
