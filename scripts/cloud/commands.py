"""`slipway cloud`: the local cloud as a daemon."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.cloud import fault as cloud_fault
from scripts.cloud.home import HomeOption, home_folder
from scripts.console import JsonOption, counted, print_json, progress, stderr, stdout

if TYPE_CHECKING:
    from localcloud import connect

app = typer.Typer(
    help="The local cloud: AWS on this machine, for the stack `local`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


app.add_typer(cloud_fault.app, name="fault")


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="cloud")


@app.command()
def start(
    home: HomeOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port on 127.0.0.1; 0 takes a free one; default: the last, else 4599.",
            metavar="PORT",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Simulated seconds per second; default: the last, else 1.", metavar="N"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud; what stood when it ended stands again."""
    from localcloud import connect

    folder = home_folder(home)
    before = connect.status(folder)
    with progress("starting the local cloud"):
        found = connect.start(folder, port, speed)
    if as_json:
        print_json(asdict(found))
        return
    if before.running:
        stderr.print("the local cloud runs already")
    elif before.died:
        stderr.print("the last daemon died without being stopped; what stood stands again")
    _print_lost(found.restored)
    _print_running(found)


@app.command()
def stop(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the local cloud; `start` brings back what stood."""
    from localcloud import connect

    with progress("stopping the local cloud"):
        stopped = connect.stop(home_folder(home))
    if as_json:
        print_json({"stopped": stopped})
    else:
        stdout.print("stopped" if stopped else "the local cloud was not running")


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Whether it runs, where, how fast, and what stands in it."""
    from localcloud import connect

    found = connect.status(home_folder(home))
    if as_json:
        print_json(asdict(found) if found.running else {"running": False, "died": found.died})
        return
    if found.running:
        _print_lost(found.restored)
        _print_running(found)
    else:
        stdout.print(connect.not_running_text(found))


@app.command()
def reset(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Empty the running cloud: every service, every model server."""
    from localcloud import connect

    found = connect.reset(home_folder(home))
    if as_json:
        print_json(asdict(found))
    else:
        stdout.print("the local cloud is empty")


@app.command()
def logs(
    home: HomeOption = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="How many lines.", metavar="N")
    ] = 200,
    as_json: JsonOption = False,
) -> None:
    """The last lines of the daemon's log."""
    from localcloud import connect

    found = connect.log_tail(home_folder(home), lines)
    if as_json:
        print_json({"lines": found})
        return
    if not found:
        stderr.print("there is no log yet: the local cloud was never started here")
    for line in found:
        typer.echo(line)


def _print_running(found: connect.CloudStatus) -> None:
    stdout.print(f"running at {found.endpoint_url} (process {found.pid}, speed {found.speed:g})")
    stdout.print(f"  its time is {(found.now or '')[:19].replace('T', ' ')} UTC")
    provider = "not running: see `slipway cloud logs`"
    if found.provider_port is not None:
        provider = f"listens on port {found.provider_port}"
    stdout.print(f"  the Pulumi provider {provider}")
    for endpoint in found.endpoints:
        variants = ", ".join(
            f"{k}: {counted(v, 'instance')}" for k, v in endpoint["variants"].items()
        )
        shown = f"{endpoint['name']} ({endpoint['region']})"
        stdout.print(f"  endpoint {shown} is {endpoint['status']} ({variants})")


def _print_lost(restored: dict[str, str]) -> None:
    for service, what in restored.items():
        if what != "ok":
            stderr.print(f"warning: {service}: {what}", markup=False)
