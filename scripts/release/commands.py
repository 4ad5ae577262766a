"""Release commands: `plan`, `release`, `status`, `rollback`, `history`, `show`, `invoke`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.console import (
    JsonOption,
    OptionError,
    StackOption,
    print_json,
    progress,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.release_manifest import ReleaseManifest
    from release.driver.progress import Observer
    from release.errors import NothingToReleaseError
    from release.evidence.document import ReleaseResult
    from scripts.release.stack import ReleaseStack

ModelArgument = Annotated[
    str | None,
    typer.Argument(help="The model; not needed where the stack has only one.", metavar="MODEL"),
]


def register(app: typer.Typer) -> None:
    for command in (plan, release, status, rollback, history, show, invoke):
        app.command()(command)


def plan(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> int:
    """Show what a release would do, before anything moves."""
    from scripts.registry.follow import catch_up
    from scripts.release.plan import planned, show_plan
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    manifest = place.manifest(model)
    made = planned(place, manifest)
    if as_json:
        print_json(made.to_dict())
    else:
        show_plan(made)
    catch_up(place, manifest.endpoint_name)
    return 1 if made.errors else 0


def release(
    model: ModelArgument = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Release a version again that was rolled back.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it in AWS and return at once.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Only show the release that runs, until it ends.")
    ] = False,
    driver: Annotated[
        str | None,
        typer.Option(
            "--driver",
            help="terminal or lambda; default: lambda where the stack has one.",
            metavar="D",
        ),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> int:
    """Move traffic to what is staged, or safely back.

    Ends with 0 promoted, compared or nothing new, 2 rolled back, 3 inconclusive or held, 130
    interrupted. A release that was interrupted is continued by running this again. One that AWS
    drives goes on without the terminal.
    """
    from release.errors import NothingToReleaseError
    from scripts.registry.follow import catch_up, catching_up, follow_result
    from scripts.release.remote import chosen_driver, drive_in_aws
    from scripts.release.stack import open_stack
    from scripts.release.story import story

    place = open_stack(stack)
    manifest = place.manifest(model)
    in_aws = chosen_driver(manifest, driver, detach=detach, follow=follow) == "lambda"
    words = {"detach": detach, "follow": follow, "as_json": as_json}
    try:
        with catching_up(place, manifest.endpoint_name), story() as observer:
            if in_aws:
                result = drive_in_aws(place, manifest, observer, retry=retry, **words)
            else:
                result = _drive_here(place, manifest, observer, retry=retry)
    except NothingToReleaseError as nothing:
        # What a pipeline is run for again is done.
        _print_nothing(nothing, as_json)
        return 0
    if result is None:
        catch_up(place, manifest.endpoint_name)
        return 0
    follow_result(place, result)
    _print_result(result, as_json, place.option)
    return result.exit_code


def _drive_here(
    place: ReleaseStack, manifest: ReleaseManifest, observer: Observer, *, retry: bool
) -> ReleaseResult:
    from release.driver.collaborators import collaborators
    from release.driver.run import interruptible, run
    from release.hooks.questions import TERMINAL

    with interruptible() as stop:
        return run(
            manifest,
            cloud=place.cloud,
            observer=observer,
            pace=place.pace,
            stop=stop,
            retry=retry,
            beside=collaborators(manifest, place.cloud, TERMINAL),
        )


def rollback(
    model: ModelArgument = None,
    to: Annotated[
        str | None, typer.Option("--to", help="The version; default: the one before.", metavar="V")
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> int:
    """Go back to a good version at once, or undo a release.

    A release that was interrupted half-way is undone: what served before serves again.
    """
    from release.driver.collaborators import collaborators
    from release.driver.run import interruptible, run_rollback
    from release.hooks.questions import TERMINAL
    from scripts.registry.follow import follow_result
    from scripts.release.stack import open_stack
    from scripts.release.story import story

    place = open_stack(stack)
    manifest = place.manifest(model)
    with interruptible() as stop, story() as observer:
        result = run_rollback(
            manifest,
            to=to,
            cloud=place.cloud,
            observer=observer,
            pace=place.pace,
            stop=stop,
            beside=collaborators(manifest, place.cloud, TERMINAL),
        )
    follow_result(place, result)
    _print_result(result, as_json, place.option)
    return 0 if result.outcome == "rolled_back" else result.exit_code


def status(
    model: ModelArgument = None, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """What serves now, what is staged, and what is under way."""
    from scripts.registry.follow import catch_up
    from scripts.release.stack import open_stack
    from scripts.release.status import status_row
    from scripts.release.status_screen import show_status

    place = open_stack(stack)
    manifests = place.manifests() if model is None else [place.manifest(model)]
    if not manifests:
        place.manifest(None)
    rows = [status_row(place, manifest) for manifest in manifests]
    if as_json:
        print_json(rows)
    else:
        show_status(rows, place.option)
    for manifest in manifests:
        catch_up(place, manifest.endpoint_name)


def history(
    model: ModelArgument = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many.")] = 20,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """The releases of an endpoint, newest first."""
    from scripts.registry.follow import catch_up
    from scripts.release.screen import show_history
    from scripts.release.stack import open_stack
    from scripts.release.status import history_rows

    place = open_stack(stack)
    endpoint = place.remembered(model)
    state = place.state(endpoint)
    rows = history_rows(place, state, limit)
    if as_json:
        print_json(rows)
    else:
        show_history(rows, limit, len(state.releases))
    catch_up(place, endpoint)


def show(
    release_id: Annotated[str, typer.Argument(metavar="ID", help="As `slipway history` lists it.")],
    html: Annotated[
        bool, typer.Option("--html", help="Write it as a page and print the page's file.")
    ] = False,
    open_it: Annotated[
        bool, typer.Option("--open", help="Write it as a page and open it in a browser.")
    ] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """The evidence of one release."""
    from release.aws.store import read_evidence
    from release.errors import NotFoundError
    from scripts.release.screen import show_evidence
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    text = read_evidence(place.s3, place.bucket, release_id)
    if text is None:
        raise NotFoundError(
            f"no evidence of a release {release_id!r} in stack {place.name}; "
            "`slipway history` lists the releases (a running one has none yet)"
        )
    if html or open_it:
        from scripts.release.page import open_page, write_page

        file = write_page(place.root, release_id, text)
        typer.echo(file)
        if open_it and not open_page(file):
            stderr.print("no browser was found; open the file yourself", markup=False)
        return
    told: dict[str, Any] = json.loads(text)
    if as_json:
        print_json(told)
    else:
        show_evidence(told)


def invoke(
    model: ModelArgument = None,
    data: Annotated[
        str, typer.Option("--data", help="A file to send, or - for standard input.", metavar="FILE")
    ] = "-",
    variant: Annotated[
        str | None, typer.Option("--variant", help="Ask this production variant.", metavar="V")
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option("--content-type", help="Default: by name or first character.", metavar="TYPE"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help="Send it again and again, so many times a second, until Ctrl-C.",
            metavar="N",
            min=0.01,
            max=1000,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", help="With --rate: end after so many seconds.", metavar="S", min=0),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> int:
    """Send one request to the endpoint and print its answer.

    With --rate it is traffic for a release to judge by; ends with 1 if a request failed.
    """
    from scripts.release.invoke import guess_content_type, read_body, send
    from scripts.release.stack import open_stack

    if seconds is not None and rate is None:
        raise OptionError("--for is the time of repeated requests: give --rate, too")

    body = read_body(data)
    kind = content_type or guess_content_type(data, body)
    place = open_stack(stack)
    name = place.manifest(model).endpoint_name
    if rate is not None:
        return _send_on(lambda: send(place, name, body, kind, variant), rate, seconds, as_json)
    answer = send(place, name, body, kind, variant)
    if as_json:
        print_json(answer)
        return 0
    stderr.print(f"{name}, variant {answer['variant']}", markup=False)
    typer.echo(answer["body"].rstrip("\n"))
    return 0


# --- what the commands share


def _send_on(
    send: Callable[[], dict[str, Any]], rate: float, seconds: float | None, as_json: bool
) -> int:
    from release.driver.run import interruptible
    from scripts.release.traffic import keep_sending

    send()  # What is wrong with the request is told at once, and by name.
    end = "Ctrl-C ends it" if seconds is None else f"for {seconds:g} s"
    with interruptible() as stop, progress(f"sending {rate:g} requests a second ({end})"):
        sent = keep_sending(send, rate, seconds, stop)
    if as_json:
        print_json(sent.to_dict())
    else:
        stdout.print(sent.text, markup=False, soft_wrap=True)
    return 1 if sent.failed else 0


def _print_nothing(nothing: NothingToReleaseError, as_json: bool) -> None:
    if as_json:
        print_json({"id": None, "outcome": "nothing_new", "reason": str(nothing)})
    else:
        stdout.print(str(nothing), markup=False, soft_wrap=True)


def _print_result(result: ReleaseResult, as_json: bool, option: str) -> None:
    from scripts.release.screen import show_result

    if as_json:
        print_json(result.to_dict())
    else:
        show_result(result, option)
