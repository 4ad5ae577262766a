"""Waiting for a message (SQS ReceiveMessage with WaitTimeSeconds) without holding a lock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

from localcloud.wire import WireAnswer, WireRequest

_FIELD = "WaitTimeSeconds"
_MAX_SECONDS = 20.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class LongPoll:
    """``request`` asks for what is there now; it is asked again until something is."""

    request: WireRequest
    seconds: float

    def run(self, call: Callable[[WireRequest], WireAnswer]) -> WireAnswer:
        deadline = time.monotonic() + min(self.seconds, _MAX_SECONDS)
        while True:
            answer = call(self.request)
            if answer.status != 200 or _has_message(answer) or time.monotonic() >= deadline:
                return answer
            time.sleep(_POLL_SECONDS)


def find(request: WireRequest) -> LongPoll | None:
    """The request as a long poll; None when it is another request or does not wait."""
    if request.header("x-amz-target") == "AmazonSQS.ReceiveMessage":
        try:
            value: Any = json.loads(request.body)
        except ValueError:
            return None
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        body = json.dumps({**fields, _FIELD: 0}).encode()
        seconds = fields.get(_FIELD, 0)
    elif request.form.get("Action") == ["ReceiveMessage"]:
        form = {**request.form, _FIELD: ["0"]}
        body = urlencode(form, doseq=True).encode()
        text = request.form.get(_FIELD, ["0"])[0]
        seconds = float(text) if text.isdecimal() else 0
    else:
        return None
    if not isinstance(seconds, int | float) or not 0 < seconds <= _MAX_SECONDS:
        return None
    headers = tuple(h for h in request.headers if h[0].lower() != "content-length")
    return LongPoll(replace(request, headers=headers, body=body), float(seconds))


def _has_message(answer: WireAnswer) -> bool:
    return b"ReceiptHandle" in answer.body
