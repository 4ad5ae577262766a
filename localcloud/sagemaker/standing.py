"""Which fleets stand for an endpoint: its own, a deployment's, and what a failed rollback left."""

from __future__ import annotations

from localcloud.sagemaker.capacity import FleetMap
from localcloud.sagemaker.fleet import VariantFleet
from localcloud.sagemaker.records import Endpoint, VariantState
from localcloud.sagemaker.state import Key, key_of


class Standing:
    """Read and changed under the state's lock."""

    def __init__(self) -> None:
        self.own: dict[Key, FleetMap] = {}
        self.coming: dict[Key, FleetMap] = {}
        self.leftover: dict[Key, FleetMap] = {}

    def every(self) -> list[VariantFleet]:
        """Those that are to be kept whole."""
        tables = (self.own, self.coming, self.leftover)
        return [fleet for table in tables for fleets in table.values() for fleet in fleets.values()]

    def take_away(self, key: Key) -> list[FleetMap]:
        """An endpoint's fleets, which are nobody's business any more."""
        tables = (self.own, self.coming, self.leftover)
        gone = [table.pop(key) for table in tables if key in table]
        for fleets in gone:
            for fleet in fleets.values():
                fleet.desired = 0
        return gone

    def clear(self) -> None:
        for key in {*self.own, *self.coming, *self.leftover}:
            self.take_away(key)

    def refresh_counts(self, endpoint: Endpoint) -> None:
        """Current instance counts, into the record."""
        key = key_of(endpoint.region, endpoint.name)
        own = self.own.get(key, {})
        _refresh(endpoint.variants, own)
        _refresh(endpoint.shadows, own)
        if endpoint.pending is not None:
            coming = self.coming.get(key, {})
            _refresh(endpoint.pending.variants, coming)
            _refresh(endpoint.pending.shadows, coming)


def _refresh(variants: dict[str, VariantState], fleets: FleetMap) -> None:
    for name, variant in variants.items():
        variant.current_count = len(fleets[name].instances) if name in fleets else 0
