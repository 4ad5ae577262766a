"""`/_slipway/faults`: POST orders a fault, GET lists them, DELETE clears all or `?id=N`."""

from __future__ import annotations

import json
from typing import Any

from localcloud.faults import FaultError, Faults, parse
from localcloud.wire import WireAnswer, WireRequest


def answer(faults: Faults, request: WireRequest) -> WireAnswer:
    """What the daemon answers; a refusal is a 400 whose ``message`` says why."""
    try:
        match request.method:
            case "GET":
                return _json(200, {"faults": faults.listed()})
            case "POST":
                return _json(200, faults.add(parse(_body(request))))
            case "DELETE":
                number = request.query.get("id", [None])[0]
                cleared = faults.clear(number)
                if number is not None and not cleared:
                    raise FaultError(f"there is no fault with the id {number}")
                return _json(200, {"cleared": cleared})
            case method:
                return _json(405, {"message": f"{method} is not one of GET, POST, DELETE"})
    except FaultError as error:
        return _json(400, {"message": str(error)})


def _body(request: WireRequest) -> Any:
    try:
        return json.loads(request.body)
    except ValueError:
        raise FaultError("the body is not JSON") from None


def _json(status: int, value: dict[str, Any]) -> WireAnswer:
    return WireAnswer(status, [("Content-Type", "application/json")], json.dumps(value).encode())
