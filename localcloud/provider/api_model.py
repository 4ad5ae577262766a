"""What botocore's service models say: the values of an enum."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def service_model(service: str) -> Any:
    """botocore's model of a service."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


@functools.cache
def enum_values(name: str | None) -> list[str]:
    """The values of an enum such as ``s3:StorageClass``; empty without a name."""
    if name is None:
        return []
    service, _, shape = name.partition(":")
    return list(service_model(service).shape_for(shape).enum)


@functools.cache
def regions() -> dict[str, str]:
    """The regions of AWS's own partition with their descriptions."""
    import botocore.session

    data: dict[str, Any] = botocore.session.get_session().get_data("endpoints")
    partition = next(p for p in data["partitions"] if p["partition"] == "aws")
    return {code: entry["description"] for code, entry in partition["regions"].items()}
