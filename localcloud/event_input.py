"""What a target of an EventBridge rule gets of an event: Input, InputPath, InputTransformer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from localcloud import jsonpath

Event = dict[str, Any]
_PLACE = re.compile(r"(\"?)<([\w.-]+)>(\"?)")
_KEYS = ("version", "id", "detail-type", "source", "account", "time", "region", "resources")


def envelope(message: Event) -> Event:
    """moto's message as AWS sends it: the documented members, time as text."""
    found = {key: message[key] for key in (*_KEYS, "detail") if key in message}
    moment = found.get("time")
    if isinstance(moment, int | float):
        found["time"] = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found


def target_input(target: dict[str, Any], event: Event, rule_arn: str) -> str:
    """The JSON that the target gets.

    Raises:
        jsonpath.PathError: a path of the target is none.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_found(target["InputPath"], event))
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event, rule_arn)
    return json.dumps(event)


def _transformed(transformer: dict[str, Any], event: Event, rule_arn: str) -> str:
    values: dict[str, Any] = {
        name: _found(path, event) for name, path in transformer.get("InputPathsMap", {}).items()
    }
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": event.get("time", ""),
        "aws.events.event": {k: v for k, v in event.items() if k != "detail"},
        "aws.events.event.json": event,
    }
    template = str(transformer["InputTemplate"])
    is_json = template.lstrip().startswith("{")

    def fill(found: re.Match[str]) -> str:
        before, name, after = found.groups()
        if name not in values:
            return found[0]
        value = values[name]
        if isinstance(value, str):
            # In a JSON template a bare text gets quotes, one inside of quotes does not.
            text = json.dumps(value)
            return text if is_json and not before and not after else f"{before}{text[1:-1]}{after}"
        return f"{before}{json.dumps(value)}{after}"

    return _PLACE.sub(fill, template)


def _found(path: str, event: Event) -> Any:
    try:
        return jsonpath.get(path, event)
    except jsonpath.NotFoundError:
        return None
