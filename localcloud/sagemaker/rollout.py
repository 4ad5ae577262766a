"""Carries out the script of one deployment with real fleets, and the way back when it must."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from localcloud.clock import Clock
from localcloud.faults import RollbackFails, SilentRollback
from localcloud.sagemaker import progress
from localcloud.sagemaker.bake import Oven, TroubleError
from localcloud.sagemaker.capacity import Capacity
from localcloud.sagemaker.fleet import VariantFleet
from localcloud.sagemaker.instance import StartError, StoppedError
from localcloud.sagemaker.neighbours import Neighbours
from localcloud.sagemaker.news import News
from localcloud.sagemaker.policies import Guardrails
from localcloud.sagemaker.records import Endpoint, Leftover, Pending, VariantState, stamp
from localcloud.sagemaker.routes import other_route, own_route
from localcloud.sagemaker.routing import Router, Side
from localcloud.sagemaker.script import (
    BackStep,
    Bake,
    Counts,
    Drop,
    Provision,
    Restore,
    Retire,
    Shift,
    Step,
    script,
    total_wait,
    way_back,
)
from localcloud.sagemaker.standing import Standing
from localcloud.sagemaker.state import State, key_of

log = logging.getLogger(__name__)


class RolledBackError(Exception):
    """The endpoint is what it was before; the text is the FailureReason, empty when silent."""


class RollbackFailedError(Exception):
    """Neither the update nor its rollback came to an end; ``leftover`` still takes traffic."""

    def __init__(self, reason: str, leftover: Leftover) -> None:
        super().__init__(reason)
        self.leftover = leftover


@dataclass(frozen=True)
class Tools:
    """What every deployment works with."""

    state: State
    standing: Standing
    capacity: Capacity
    router: Router
    clock: Clock
    neighbours: Neighbours
    news: News


class Rollout:
    """One deployment of ``pending``: from blue, which serves, to ``green``, which has no instance.

    ``stop`` calls it off wherever it is; everything then raises ``StoppedError``.
    """

    def __init__(
        self,
        tools: Tools,
        endpoint: Endpoint,
        pending: Pending,
        rails: Guardrails,
        stop: threading.Event,
    ) -> None:
        self._tools = tools
        self._endpoint = endpoint
        self._pending = pending
        self._rails = rails
        self._stop = stop
        key = key_of(endpoint.region, endpoint.name)
        with tools.state.lock:
            self._own = tools.standing.own[key]
            self._left = tools.standing.leftover.get(key, {})
            self._green = tools.standing.coming[key]
        self._blue_counts = {name: fleet.desired for name, fleet in self._own.items()}
        states = {**pending.variants, **pending.shadows}
        self._green_counts = {name: state.desired_count for name, state in states.items()}
        self._shares = dict.fromkeys(pending.variants, 0.0)
        self._oven = Oven(endpoint, rails, tools.clock, tools.neighbours, stop)

    def run(self) -> None:
        """Until green alone serves and blue is gone.

        Raises:
            RolledBackError: blue alone serves, green is gone.
            RollbackFailedError: both serve.
        """
        steps = script(self._rails.policy, self._blue_counts, self._green_counts)
        self._oven.start(total_wait(steps), self._tools.capacity.min_startup_seconds)
        try:
            for step in steps:
                self._oven.check_time()
                self._do(step)
        except TroubleError as error:
            raise self._go_back(str(error), error.is_silent) from error
        except StartError as error:
            raise self._go_back(str(error)) from error
        except StoppedError:
            raise
        except Exception as error:
            log.exception("%s: its deployment failed", self._endpoint.name)
            raise self._go_back(f"The local cloud failed: {error!r}") from error

    def _go_back(self, reason: str, is_silent: bool = False) -> RolledBackError:
        """Undo whatever was done; may raise :class:`RollbackFailedError`."""
        faults, name = self._tools.neighbours.faults, self._endpoint.name
        if is_silent or faults.strikes_endpoint(SilentRollback, name):
            reason = ""
        with self._tools.state.lock:
            self._pending.rollback_reason = reason
            self._tools.news.changed()
        left = {name: fleet.desired for name, fleet in self._own.items()}
        up = {name: fleet.desired for name, fleet in self._green.items()}
        steps = way_back(self._rails.policy, left, self._blue_counts, up, self._green_counts)
        for step in steps:
            try:
                self._undo(step)
            except StartError as error:
                text = f"{reason} The rollback failed: {error}".strip()
                raise RollbackFailedError(text, self._leftover()) from error
        return RolledBackError(reason)

    # forward

    def _do(self, step: Step) -> None:
        match step:
            case Provision(counts=counts):
                self._tell(self._green_states(), progress.of_green(step))
                self._provision(counts)
            case Shift():
                self._shift(step, self._green_states(), progress.of_green(step))
            case Bake():
                self._tell(self._green_states(), progress.of_green(step))
                self._oven.bake(step.seconds)
            case Retire(counts=counts):
                self._tell(self._own_states(), progress.of_blue(step))
                self._tools.capacity.remove(self._own, counts)
                if not any(fleet.desired for fleet in self._own.values()):
                    left = {name: fleet.desired for name, fleet in self._left.items()}
                    self._tools.capacity.remove(self._left, left)

    def _provision(self, counts: Counts) -> None:
        def is_over() -> bool:
            return self._stop.is_set() or self._oven.is_late

        try:
            self._tools.capacity.provision(self._green, counts, is_over)
        except StoppedError:
            if self._stop.is_set():
                raise
            self._oven.check_time()
        self._tools.capacity.settle(self._stop)

    def _shift(self, step: Shift, states: dict[str, VariantState], told: progress.Told) -> None:
        tools, endpoint = self._tools, self._endpoint
        shares = {name: step.share(name) for name in self._pending.variants}
        green = other_route(endpoint, self._pending, self._green)
        all_green = [(fleet, None) for fleet in self._green.values()]
        with tools.state.lock:
            if self._stop.is_set():
                raise StoppedError
            self._note(states, told)
            if step.is_full:
                tools.router.publish(green, (), all_green)
            else:
                others = [] if not any(shares.values()) else [Side(green, shares)]
                tools.router.publish(
                    own_route(endpoint, self._own), [*others, *self._rest(shares)],
                    self._active(step),
                )  # fmt: skip
            self._shares = shares
            self._announce()

    def _active(self, step: Shift) -> list[tuple[VariantFleet, int | None]]:
        """A fleet that another one shares the traffic with, with the instances that take it.

        What a failed rollback left stays whole beside a repair.
        """
        begun = any(step.green.values())
        found: list[tuple[VariantFleet, int | None]] = []
        for name, fleet in self._green.items():
            found.append((fleet, step.green.get(name) if begun else None))
        for name, fleet in self._own.items():
            found.append((fleet, step.blue.get(name) if begun and not self._left else None))
        return found

    def _rest(self, green: dict[str, float]) -> list[Side]:
        """The leftover of a failed rollback keeps its part of what green does not get."""
        leftover = self._endpoint.leftover
        if leftover is None:
            return []
        shares = {name: s * (1 - green.get(name, 0.0)) for name, s in leftover.shares.items()}
        return [Side(other_route(self._endpoint, leftover, self._left), shares)]

    # back

    def _undo(self, step: BackStep) -> None:
        tools = self._tools
        match step:
            case Restore(counts=counts):
                self._tell(self._own_states(), progress.of_blue(step))
                if tools.neighbours.faults.strikes_endpoint(RollbackFails, self._endpoint.name):
                    raise StartError("the old fleet could not be provisioned (a fault on order).")
                tools.capacity.provision(self._own, counts, self._stop.is_set)
                tools.capacity.settle(self._stop)
            case Shift():
                self._shift(step, self._own_states(), progress.of_return(step))
            case Drop(counts=counts):
                self._tell(self._green_states(), progress.of_green(step))
                tools.capacity.remove(self._green, counts)

    def _leftover(self) -> Leftover:
        """What still takes traffic of the new configuration."""
        variants = self._pending.variants
        for name, state in variants.items():
            state.desired_count = self._green[name].desired
            state.progress = None
        return Leftover(
            self._pending.config_name,
            self._pending.config,
            variants,
            dict(self._shares),
            {name: fleet.desired for name, fleet in self._own.items()},
        )

    # telling

    def _own_states(self) -> dict[str, VariantState]:
        return {**self._endpoint.variants, **self._endpoint.shadows}

    def _green_states(self) -> dict[str, VariantState]:
        return {**self._pending.variants, **self._pending.shadows}

    def _tell(self, states: dict[str, VariantState], told: progress.Told) -> None:
        with self._tools.state.lock:
            if self._stop.is_set():
                raise StoppedError
            self._note(states, told)
            self._announce()

    def _announce(self) -> None:
        """No event tells of what guardrails do not apply to (fact sheet 9)."""
        if self._rails.is_guarded:
            self._tools.news.deployment(self._endpoint)
        else:
            self._tools.news.changed()

    def _note(self, states: dict[str, VariantState], told: progress.Told) -> None:
        started = stamp(self._tools.clock.now())
        self._tools.standing.refresh_counts(self._endpoint)
        for name, (status, message) in told.items():
            states[name].progress = {
                "Status": status,
                "StatusMessage": message,
                "StartTime": started,
            }
