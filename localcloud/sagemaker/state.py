"""All that SageMaker remembers, by region and lower-case name, as one JSON document."""

from __future__ import annotations

import json
import threading
from typing import Any

from localcloud.sagemaker.records import (
    Endpoint,
    Stored,
    endpoint_from_json,
    stored_from_json,
    to_json,
)

Key = tuple[str, str]
FORMAT = 1


def key_of(region: str, name: str) -> Key:
    """Names that differ in case only are one name: their ARNs are the same."""
    return region, name.lower()


class State:
    """Guarded by ``lock``: who reads several things, or changes one, holds it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.models: dict[Key, Stored] = {}
        self.configs: dict[Key, Stored] = {}
        self.endpoints: dict[Key, Endpoint] = {}

    def clear(self) -> None:
        for table in (self.models, self.configs, self.endpoints):
            table.clear()

    def dump(self) -> bytes:
        with self.lock:
            value = {
                "format": FORMAT,
                "models": _listed(self.models),
                "configs": _listed(self.configs),
                "endpoints": _listed(self.endpoints),
            }
            return json.dumps(value, sort_keys=True).encode()

    def load(self, data: bytes) -> None:
        """Replace everything; raises ``ValueError`` for a document of another format."""
        value: dict[str, Any] = json.loads(data)
        if value["format"] != FORMAT:
            raise ValueError(f"the format is {value['format']}, {FORMAT} is needed")
        with self.lock:
            self.clear()
            for entry in value["models"]:
                self.models[_key(entry)] = stored_from_json(entry["value"])
            for entry in value["configs"]:
                self.configs[_key(entry)] = stored_from_json(entry["value"])
            for entry in value["endpoints"]:
                self.endpoints[_key(entry)] = endpoint_from_json(entry["value"])


def _listed(table: dict[Key, Any]) -> list[dict[str, Any]]:
    return [
        {"region": region, "name": name, "value": to_json(item)}
        for (region, name), item in table.items()
    ]


def _key(entry: dict[str, Any]) -> Key:
    return entry["region"], entry["name"]
