"""A release that AWS drives: started once however often, followed to its end, left running."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contracts.release_manifest import Controller, HookGate, ReleaseManifest
from release.driver.progress import Event
from release.errors import InterruptedReleaseError
from release.handler import read_event
from release.memory import started
from release.state import EndpointState, Release
from scripts.console import OptionError
from scripts.release.detached import (
    DetachError,
    Executions,
    Started,
    execution_name,
    follow,
    release_before,
    state_machine,
    successor,
)
from scripts.release.remote import chosen_driver
from tests.unit.evidence_samples import promoted
from tests.unit.fake_cloud import ENDPOINT, manifest
from tests.unit.test_release_announce import PROMOTED, STEP, release

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:slipway-prod-loop-1234567"
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:")


def staged(**settings: Any) -> ReleaseManifest:
    return replace(manifest("2", **settings), controller=Controller(MACHINE, "topic", "default"))


def idle(*releases: str) -> EndpointState:
    return EndpointState(ENDPOINT, releases=releases)


class Machine:
    """Step Functions' side: names are taken for ever, a running one with the same input is kept."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:
        assert stateMachineArn == MACHINE
        known = self.executions.get(name)
        if known is not None and (known["status"] != "RUNNING" or known["input"] != input):
            raise self._error("ExecutionAlreadyExists")
        self.executions.setdefault(name, {"status": "RUNNING", "input": input})
        return {"executionArn": f"{EXECUTION}:{name}"}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        name = executionArn.removeprefix(f"{EXECUTION}:")
        if name not in self.executions:
            raise self._error("ExecutionDoesNotExist")
        return self.executions[name]

    def end(self, name: str, status: str, **more: Any) -> None:
        self.executions[name] |= {"status": status, **more}

    def hand_over(self, lineage: str, name: str) -> str:
        following = successor(lineage, name)
        told = {"release": {}, "turn": {"done": False}}
        self.end(name, "SUCCEEDED", output=json.dumps(told))
        self.executions[following] = {"status": "RUNNING", "input": ""}
        return following

    @staticmethod
    def _error(code: str) -> ClientError:
        meta: Any = {"HTTPStatusCode": 400}
        details: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}
        return ClientError(details, "StartExecution")


# --- starting


def start(machine: Machine, state: EndpointState, by: str = "ada", **options: Any) -> Started:
    return Executions(machine, MACHINE).start(state, staged(**options), by, retry=False)


def test_an_execution_is_started_with_what_the_function_understands() -> None:
    machine = Machine()

    told = start(machine, idle("r-1"))

    (name,) = machine.executions
    assert told == Started(f"{EXECUTION}:{name}", name, "r-1")
    request = read_event({"release": json.loads(machine.executions[name]["input"])})
    assert (request.endpoint, request.after, request.by) == (ENDPOINT, "r-1", "ada")
    assert (request.name, request.retry, request.turns) == (name, False, 0)
    assert request.content_hash == staged().target.content_hash


def test_a_release_that_runs_is_continued_as_what_it_is_whatever_is_staged_now() -> None:
    machine = Machine()
    Executions(machine, MACHINE).start(running(), manifest("3"), "ada", retry=False)

    (name,) = machine.executions
    request = read_event({"release": json.loads(machine.executions[name]["input"])})
    assert request.content_hash == "hash-2"


def test_a_second_start_finds_the_first_whoever_asks() -> None:
    machine = Machine()
    first = start(machine, idle("r-1"))

    assert start(machine, idle("r-1")) == first
    assert start(machine, idle("r-1"), by="bob") == first
    assert len(machine.executions) == 1


def test_a_second_start_finds_the_first_while_its_release_runs() -> None:
    machine = Machine()
    first = start(machine, idle("r-1"))
    running = started(idle("r-1"), release())

    assert start(machine, running) == first


def test_a_second_start_finds_the_successor_of_the_first() -> None:
    machine = Machine()
    first = start(machine, idle())
    machine.hand_over(first.name, first.name)

    assert start(machine, idle()) == first


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_what_has_ended_is_started_anew_under_the_next_name(status: str) -> None:
    machine = Machine()
    first = start(machine, idle())
    machine.end(first.name, status, cause="gone")

    second = start(machine, idle())

    assert second.name == f"{first.name}-2"
    assert json.loads(machine.executions[second.name]["input"])["name"] == second.name


def test_too_many_tries_are_said() -> None:
    machine = Machine()
    for attempt in range(1, 21):
        name = execution_name(idle(), staged(), attempt)
        machine.executions[name] = {"status": "FAILED", "input": ""}

    with pytest.raises(DetachError) as refused:
        start(machine, idle())

    assert str(refused.value) == (
        f"20 executions of {MACHINE} tried this release and ended; their causes are in its "
        "history; `slipway release --driver terminal` drives it from here"
    )


def test_a_name_is_the_releases_own_and_leaves_room_for_successors() -> None:
    long = replace(staged(), endpoint_name="e" * 63)
    names = {
        execution_name(idle("r-1"), staged(), 1),
        execution_name(idle("r-2"), staged(), 1),
        execution_name(idle("r-1"), replace(staged(), target=manifest("3").target), 1),
        execution_name(idle("r-1"), long, 20),
    }

    assert len(names) == 4
    assert all(len(successor(name, name)) <= 80 for name in names)


def test_the_release_before_is_not_the_one_that_runs() -> None:
    assert release_before(idle()) == ""
    assert release_before(idle("r-1", "r-2")) == "r-2"
    assert release_before(started(idle("r-1"), release())) == "r-1"
    assert release_before(started(idle(), release())) == ""


def test_a_stack_without_a_state_machine_says_what_to_do() -> None:
    with pytest.raises(DetachError) as refused:
        state_machine(manifest())

    assert str(refused.value) == (
        "stack test has nothing in AWS that drives releases; release without --detach, or set "
        "`slipway:controller: {driver: lambda}` and run `slipway up`"
    )


def test_a_hook_that_only_a_terminal_can_run_is_named() -> None:
    gates = (HookGate("smoke", command=("true",)), HookGate("orders", function_arn="arn:f"))

    with pytest.raises(DetachError) as refused:
        state_machine(staged(gates=gates))

    assert str(refused.value) == (
        "the gate smoke run a command, which a Lambda cannot; make each a function, or release "
        "with --driver terminal"
    )
    assert state_machine(staged(gates=gates[1:])) == MACHINE


# --- following


class Followed:
    """A state that changes at every look; nobody presses Ctrl-C unless told to."""

    def __init__(self, *states: EndpointState, stop_after: int = 99) -> None:
        self.states = list(states)
        self.seen: list[Event] = []
        self.looks = 0
        self._stop_after = stop_after
        self.stop = threading.Event()

    def load(self) -> EndpointState:
        self.looks += 1
        if self.looks >= self._stop_after:
            self.stop.set()
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def run(self, machine: Machine | None = None, name: str = "") -> Any:
        executions = None if machine is None else Executions(machine, MACHINE)
        told = json.dumps({**promoted(), "id": "wine-1"})
        return follow(
            self.load,
            lambda release_id: told if release_id == "wine-1" else None,
            executions,
            Started("", name, "r-1"),
            self.seen.append,
            self.stop,
            0.001,
        )


def running(*entries: Any) -> EndpointState:
    return started(idle("r-1"), release(*entries))


def ended() -> EndpointState:
    return idle("r-1", "wine-1")


def test_each_line_is_shown_once_and_the_end_is_the_result() -> None:
    followed = Followed(idle("r-1"), running(), running(STEP), running(STEP), ended())

    result = followed.run()

    assert (result.id, result.outcome, result.exit_code) == ("wine-1", "promoted", 0)
    assert [s.weight for s in result.steps] == [1.0, 5.0, 25.0, 50.0]
    log = promoted()["log"]
    kinds = [e.kind for e in followed.seen if e.kind != "progress"]
    assert kinds == ["started", "step", *(e["kind"] for e in log[2:])]


def test_a_release_that_is_held_ends_the_following_with_its_exit_code() -> None:
    held = running(STEP, ("held", "no verdict at 50 %", {}))
    assert held.current is not None
    held = replace(held, current=replace(held.current, stage="held", reason="no verdict"))

    result = Followed(held).run()

    assert (result.outcome, result.exit_code, result.reason) == ("held", 3, "no verdict")


def test_a_later_release_of_someone_else_is_not_followed() -> None:
    other = started(ended(), replace(release(PROMOTED), id="wine-2"))

    assert Followed(other).run().id == "wine-1"


def test_ctrl_c_leaves_it_running_and_says_so() -> None:
    followed = Followed(running(), stop_after=3)

    with pytest.raises(InterruptedReleaseError) as left:
        followed.run()

    assert left.value.exit_code == 130
    assert str(left.value) == (
        "no longer following: release wine-1 goes on without this terminal; `slipway release "
        "--follow` follows it again, `slipway abort` ends it"
    )


def test_ctrl_c_before_it_began_says_so_too() -> None:
    with pytest.raises(InterruptedReleaseError, match="no longer following: the release goes on"):
        Followed(idle("r-1"), stop_after=1).run()


def test_an_execution_that_could_not_begin_says_why() -> None:
    machine = Machine()
    machine.executions["n"] = {"status": "FAILED", "error": "Refused", "cause": "nothing new"}

    with pytest.raises(DetachError) as refused:
        Followed(idle("r-1")).run(machine, "n")

    assert str(refused.value) == "the release did not begin: nothing new"


def test_an_execution_that_gave_up_says_what_is_left() -> None:
    machine = Machine()
    machine.executions["n"] = {"status": "RUNNING"}
    second = machine.hand_over("n", "n")
    machine.end(second, "FAILED", cause="aws away")

    with pytest.raises(DetachError) as refused:
        Followed(running()).run(machine, "n")

    assert str(refused.value) == (
        f"nothing drives release wine-1 any more: execution {second} is FAILED (aws away); what "
        "serves now goes on serving; `slipway release` continues it, `slipway rollback` undoes it"
    )


def test_a_release_is_followed_over_its_executions() -> None:
    machine = Machine()
    machine.executions["n"] = {"status": "RUNNING"}
    second = machine.hand_over("n", "n")
    machine.hand_over("n", second)

    assert Followed(running(), running(STEP), ended()).run(machine, "n").outcome == "promoted"


def test_an_end_without_evidence_is_said() -> None:
    with pytest.raises(DetachError) as refused:
        Followed(idle("r-1", "wine-9")).run()

    assert str(refused.value) == "release wine-9 has ended without evidence"


def test_what_was_started_last_is_found_again() -> None:
    machine = Machine()
    first = start(machine, idle("r-1"))
    machine.end(first.name, "FAILED", cause="x")
    second = start(machine, idle("r-1"))

    found = Executions(machine, MACHINE).latest(running(), staged())

    assert found == second


# --- who drives


@pytest.mark.parametrize(
    ("is_provisioned", "asked", "driver"),
    [
        (False, {}, "terminal"),
        (True, {}, "lambda"),
        (True, {"driver": "terminal"}, "terminal"),
        (False, {"driver": "lambda"}, "lambda"),
        (False, {"detach": True}, "lambda"),
        (False, {"follow": True}, "lambda"),
    ],
)
def test_aws_drives_where_it_can_and_is_not_told_otherwise(
    is_provisioned: bool, asked: dict[str, Any], driver: str
) -> None:
    told = {"driver": None, "detach": False, "follow": False} | asked

    chosen = chosen_driver(
        staged() if is_provisioned else manifest(),
        told["driver"],
        detach=told["detach"],
        follow=told["follow"],
    )

    assert chosen == driver


@pytest.mark.parametrize(
    ("driver", "detach", "follow_it", "message"),
    [
        ("cron", False, False, "--driver is 'cron'; terminal or lambda is allowed"),
        (None, True, True, "--detach returns at once and --follow waits: give one of them"),
        (
            "terminal",
            True,
            False,
            "--detach is for releases that AWS drives, not for this terminal",
        ),
        (
            "terminal",
            False,
            True,
            "--follow is for releases that AWS drives, not for this terminal",
        ),
    ],
)
def test_contradictions_are_wrong_usage(
    driver: str | None, detach: bool, follow_it: bool, message: str
) -> None:
    with pytest.raises(OptionError) as refused:
        chosen_driver(staged(), driver, detach=detach, follow=follow_it)

    assert str(refused.value) == message
    assert refused.value.exit_code == 64


def test_the_result_of_an_evidence_is_that_of_its_release() -> None:
    followed: Release = release(STEP, PROMOTED)

    assert followed.log[-1].kind == "ended"
    assert Followed(ended()).run().to_dict()["registry_uri"] == "models:/wine/2"
