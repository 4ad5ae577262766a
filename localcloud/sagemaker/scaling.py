"""What SageMaker wants to know of Application Auto Scaling, and what it tells it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Scaling(Protocol):
    """:class:`localcloud.autoscaling.service.AutoScaling`; never called with SageMaker's lock."""

    def scaled_variants(self, region: str, endpoint: str) -> Collection[str]:
        """The names of the variants that are scalable targets."""
        ...

    def deregister_endpoint(self, region: str, endpoint: str) -> None:
        """The endpoint goes, and its targets with it."""
        ...


class NoScaling:
    """Nothing is scaled."""

    def scaled_variants(self, region: str, endpoint: str) -> Collection[str]:
        del region, endpoint
        return ()

    def deregister_endpoint(self, region: str, endpoint: str) -> None:
        del region, endpoint
