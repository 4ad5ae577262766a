"""A person's word to releases: `pause`, `resume`, `abort`, `promote-now`, `freeze`, `unfreeze`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.console import JsonOption, OptionError, StackOption, print_json, stdout

if TYPE_CHECKING:
    from release.observation import Request
    from release.state import EndpointState, Release
    from scripts.release.stack import ReleaseStack

ModelArgument = Annotated[
    str | None,
    typer.Argument(help="The model; not needed where the stack has only one.", metavar="MODEL"),
]
SPAN = re.compile(r"(\d+)\s*(m|h|d)")
SPAN_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
LOOKS_WAITED = 5
DONE = {
    "pause": "is paused: it goes no further until `slipway resume`",
    "resume": "goes on",
    "abort": "goes back to what served before",
    "promote-now": "skips what it still compares",
}


def register(app: typer.Typer) -> None:
    for command in (pause, resume, abort, freeze, unfreeze):
        app.command()(command)
    app.command("promote-now")(promote_now)


def pause(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """Let the running release go no further.

    A gate that fails, or an alarm, still takes it back.
    """
    _ask("pause", model, stack, as_json=as_json)


def resume(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """Let a paused release go on."""
    _ask("resume", model, stack, as_json=as_json)


def abort(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """Take the release back to what served before."""
    _ask("abort", model, stack, as_json=as_json)


def promote_now(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """Let the release skip what it still compares.

    For one that runs or is held; alarms can still undo it.
    """
    _ask("promote-now", model, stack, as_json=as_json)


def freeze(
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; whoever is refused reads it.")
    ],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="12h, 3d, or 2026-12-27T08:00 (UTC); default: until lifted.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="MODEL", help="Only this model; may be given more than once."
        ),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep releases of the stack from beginning.

    One that runs goes on, and a rollback may begin.
    """
    from release.aws.store import write_freeze
    from release.freeze import Freeze
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    known = [place.manifest(name).model for name in model or ()]
    now = _release_clock(place)
    made = Freeze(place.cloud.caller(), reason, now, _end(until, now), tuple(known))
    write_freeze(place.s3, place.bucket, made)
    which = ", ".join(known) or f"all models of {place.name}"
    _tell(
        {"frozen": True, "by": made.by, "until": made.until, "models": known, "reason": reason},
        f"{which} {made.text}",
        as_json=as_json,
    )


def unfreeze(stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Let releases of the stack begin again."""
    from release.aws.store import delete_freeze, read_freeze
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    found = read_freeze(place.s3, place.bucket)
    if found is not None:
        delete_freeze(place.s3, place.bucket)
    text = "nothing was frozen" if found is None else f"lifted what was {found.text}"
    _tell({"frozen": False, "was_frozen": found is not None}, text, as_json=as_json)


# --- a word to a release


def _ask(kind: str, model: str | None, stack: str | None, *, as_json: bool) -> None:
    from contracts.errors import ContractError
    from release.aws.store import read_request, write_request
    from release.controller.requests import outranked, refusal
    from release.driver.lock import holder, this_process, where
    from release.errors import NotFoundError, RequestError
    from release.observation import Request
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    name = place.manifest(model).endpoint_name
    state = place.state(name)
    running = state.current
    if running is None:
        raise NotFoundError(
            f"no release runs on {name}: there is nothing to {kind}; `slipway history` lists "
            "those that have ended"
        )
    request = Request(_new_id(kind), kind, running.id, place.cloud.caller(), time.time())
    try:
        waiting = read_request(place.s3, place.bucket, name)
    except ContractError:
        waiting = None  # nobody's word: it is written over
    why_not = refusal(running, request) or outranked(waiting, request)
    if why_not:
        raise RequestError(f"release {running.id} cannot {kind}: {why_not}")
    write_request(place.s3, place.bucket, name, request)
    lock = holder(state, time.time(), this_process("", "", frozenset()))
    told = _answer(place, name, request) if lock is not None else None
    if told is not None and told[1]:
        raise RequestError(told[0])
    if lock is None:
        text = f"{kind} is noted; nobody drives {running.id}: `slipway release` carries it out"
    elif told is None:
        text = f"{kind} is noted; {where(lock)} carries it out at its next look"
    elif told[0] == f"{kind} by {request.by}":
        text = f"release {running.id} {DONE[kind]}"
    else:
        text = told[0]
    row = {
        "request": kind,
        "release": running.id,
        "driven_by": None if lock is None else f"{lock.owner} on {where(lock)}",
        "is_applied": told is not None,
        "text": text,
    }
    _tell(row, text, as_json=as_json)


def _new_id(kind: str) -> str:
    import secrets

    return f"{kind}-{secrets.token_hex(6)}"


def _answer(place: ReleaseStack, name: str, request: Request) -> tuple[str, bool] | None:
    """What the driver noted, and whether it refused; None where it has not looked yet."""
    from release.aws.store import read_request, write_request

    deadline = time.monotonic() + max(3.0, LOOKS_WAITED * place.pace.poll_seconds)
    while True:
        state = place.state(name)
        told = _noted(state, request)
        if told is not None:
            return told
        if time.monotonic() >= deadline:
            return None
        if read_request(place.s3, place.bucket, name) is None and _still_runs(state, request):
            # Another word was taken away in the moment in which this one was written.
            write_request(place.s3, place.bucket, name, request)
        time.sleep(min(1.0, max(0.1, place.pace.poll_seconds)))


def _still_runs(state: EndpointState, request: Request) -> bool:
    current = state.current
    return (
        current is not None
        and current.id == request.release_id
        and request.id not in current.requests
    )


def _noted(state: EndpointState, request: Request) -> tuple[str, bool] | None:
    current: Release | None = state.current
    if current is None or current.id != request.release_id:
        return f"release {request.release_id} has ended: `slipway show {request.release_id}`", False
    if request.id not in current.requests:
        return None
    for entry in reversed(current.log):
        if entry.kind == "request" and entry.data.get("request") == request.kind:
            return entry.text, bool(entry.data.get("refused"))
    return request.kind, False


# --- time and output


def _release_clock(place: ReleaseStack) -> float:
    """AWS's time, which on the local cloud may run faster than the wall's."""
    for manifest in place.manifests():
        return place.cloud.endpoint(manifest.endpoint_name).now
    return time.time()


def _end(until: str | None, now: float) -> float | None:
    if until is None:
        return None
    match = SPAN.fullmatch(until.strip())
    if match is not None:
        return now + float(match[1]) * SPAN_SECONDS[match[2]]
    try:
        moment = datetime.fromisoformat(until.strip())
    except ValueError:
        raise OptionError(
            f"--until is {until!r}; a span such as 12h or 3d, or a time such as "
            "2026-12-27T08:00 is needed"
        ) from None
    at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if at <= now:
        raise OptionError(f"--until is {until!r}, which is over; name a time to come")
    return at


def _tell(row: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        stdout.print(text, markup=False, soft_wrap=True)
