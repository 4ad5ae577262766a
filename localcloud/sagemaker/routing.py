"""Which instance answers a request: variant by weight, then instance by routing strategy."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localcloud.sagemaker.capture import CaptureSettings
from localcloud.sagemaker.instance import Instance

DRAIN_POLL_SECONDS = 0.01


@dataclass
class Fleet:
    """The instances of one variant; replaced as a whole, never changed.

    The first ``active`` of them take requests; None: all do.
    """

    instances: tuple[Instance, ...] = ()
    active: int | None = None

    @property
    def taking(self) -> tuple[Instance, ...]:
        return self.instances if self.active is None else self.instances[: self.active]


@dataclass(frozen=True)
class VariantRoute:
    name: str
    weight: float
    strategy: str
    fleet: Fleet


@dataclass(frozen=True)
class ShadowRoute:
    """Gets a copy of each request with the probability ``share``."""

    variant: VariantRoute
    share: float


@dataclass(frozen=True)
class EndpointRoute:
    """What an endpoint serves by one configuration at one moment."""

    region: str
    endpoint: str
    config_name: str
    variants: tuple[VariantRoute, ...]
    capture: CaptureSettings | None = None
    shadow: ShadowRoute | None = None
    total_weight: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_weight", sum(v.weight for v in self.variants))

    def draw(self, rng: random.Random) -> VariantRoute | None:
        """A variant by weight: w_i / sum(w); None when no variant has a weight above 0."""
        if self.total_weight <= 0:
            return None
        left = rng.random() * self.total_weight
        drawn = None
        for variant in self.variants:
            if variant.weight > 0:
                drawn = variant
                left -= variant.weight
                if left < 0:
                    break
        return drawn

    def variant(self, name: str) -> VariantRoute | None:
        return next((v for v in self.variants if v.name == name), None)


@dataclass(frozen=True)
class Side:
    """Another configuration's fleets, and their share of the traffic of each variant."""

    route: EndpointRoute
    shares: Mapping[str, float]


@dataclass(frozen=True)
class _Traffic:
    """``main`` draws the variant and keeps what the others do not get."""

    main: EndpointRoute
    others: tuple[Side, ...] = ()

    def carrier(self, name: str, rng: random.Random) -> tuple[EndpointRoute, VariantRoute | None]:
        """Which configuration's fleet of the variant ``name`` takes a request."""
        left = rng.random() if self.others else 1.0
        for side in self.others:
            left -= side.shares.get(name, 0.0)
            if left < 0:
                return side.route, side.route.variant(name)
        return self.main, self.main.variant(name)


def choose_instance(
    strategy: str, instances: Iterable[Instance], rng: random.Random
) -> Instance | None:
    """One of ``instances``; None when there is none. An unknown strategy raises."""
    candidates = list(instances)
    if not candidates:
        return None
    match strategy:
        case "RANDOM":
            return rng.choice(candidates)
        case "LEAST_OUTSTANDING_REQUESTS":
            fewest = min(i.in_flight for i in candidates)
            return rng.choice([i for i in candidates if i.in_flight == fewest])
        case _:
            raise ValueError(f"the routing strategy {strategy!r} is not known")


class Router:
    """The routes of all endpoints. An instance that was taken counts as in flight until released.

    Taking an instance and changing a route exclude each other, so that what is drained after a
    change gets no further request.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self.rng = random.Random() if rng is None else rng
        self._routes: dict[tuple[str, str], _Traffic] = {}
        self._lock = threading.Lock()

    def get(self, region: str, endpoint: str) -> EndpointRoute | None:
        found = self._routes.get((region, endpoint))
        return None if found is None else found.main

    def publish(
        self,
        route: EndpointRoute,
        others: Iterable[Side] = (),
        active: Iterable[tuple[Fleet, int | None]] = (),
    ) -> None:
        """Traffic and active instances change at one moment."""
        with self._lock:
            for fleet, count in active:
                fleet.active = count
            self._routes[(route.region, route.endpoint)] = _Traffic(route, tuple(others))

    def withdraw(self, region: str, endpoint: str) -> None:
        with self._lock:
            self._routes.pop((region, endpoint), None)

    def clear(self) -> None:
        with self._lock:
            self._routes.clear()

    def add_instance(self, fleet: Fleet, instance: Instance) -> None:
        with self._lock:
            fleet.instances = (*fleet.instances, instance)

    def remove_instance(self, fleet: Fleet, instance: Instance) -> None:
        with self._lock:
            fleet.instances = tuple(i for i in fleet.instances if i is not instance)

    def take(
        self, region: str, endpoint: str, target: str | None
    ) -> tuple[EndpointRoute, VariantRoute | None, Instance | None] | None:
        """Draw and reserve an instance; None for an endpoint without a route."""
        with self._lock:
            traffic = self._routes.get((region, endpoint))
            if traffic is None:
                return None
            main = traffic.main
            drawn = main.draw(self.rng) if target is None else main.variant(target)
            if drawn is None:
                return main, None, None
            route, variant = traffic.carrier(drawn.name, self.rng)
            if variant is None:
                return route, None, None
            return route, variant, self._reserve(variant, ())

    def take_other(self, variant: VariantRoute, tried: Iterable[Instance]) -> Instance | None:
        """Another instance of the same variant, reserved; the first one of a shadow's."""
        with self._lock:
            return self._reserve(variant, tried)

    def release(self, instance: Instance) -> None:
        with self._lock:
            instance.in_flight -= 1

    def _reserve(self, variant: VariantRoute, tried: Iterable[Instance]) -> Instance | None:
        free = [i for i in variant.fleet.taking if i not in tried]
        instance = choose_instance(variant.strategy, free, self.rng)
        if instance is not None:
            instance.in_flight += 1
        return instance


def wait_idle(instances: Iterable[Instance], timeout_seconds: float) -> None:
    """Until no request is in flight at these instances, which must have left every route."""
    deadline = time.monotonic() + timeout_seconds
    pause = threading.Event()
    left = list(instances)
    while left and time.monotonic() < deadline:
        left = [i for i in left if i.in_flight > 0 and i.is_alive]
        if left:
            pause.wait(DRAIN_POLL_SECONDS)
