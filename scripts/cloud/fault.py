"""`slipway cloud fault`: what AWS does rarely, ordered from the local cloud."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from contracts.errors import SlipwayError
from scripts.cloud.home import HomeOption, home_folder
from scripts.console import JsonOption, print_json, stdout

app = typer.Typer(
    help="Faults on order: capacity, quota, rollbacks, errors of the API.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class FaultOptionError(SlipwayError):
    """A field that is not written NAME=VALUE."""


@app.command()
def add(
    kind: Annotated[
        str,
        typer.Argument(
            help="capacity, slow_start, quota, silent_rollback, timeout, rollback_fails, "
            "duplicate_events or api_error.",
            metavar="KIND",
        ),
    ],
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE...", help="The kind's fields, e.g. endpoint=wine times=1."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Order a fault; it strikes as often as `times` says."""
    from localcloud import connect

    found = connect.add_fault({"kind": kind, **_parsed(fields or [])}, home_folder(home))
    if as_json:
        print_json(found)
    else:
        stdout.print(_line(found), markup=False)


@app.command("list")
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """The faults that are still to strike."""
    from localcloud import connect

    found = connect.faults(home_folder(home))
    if as_json:
        print_json({"faults": found})
        return
    for fault in found:
        stdout.print(_line(fault), markup=False)
    if not found:
        stdout.print("no fault is ordered")


@app.command()
def clear(
    number: Annotated[
        str | None, typer.Argument(metavar="ID", help="Only this one; default: all.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget the faults that are still to strike."""
    from localcloud import connect

    cleared = connect.clear_faults(number, home_folder(home))
    if as_json:
        print_json({"cleared": cleared})
    else:
        stdout.print(f"{cleared} cleared")


def _parsed(fields: list[str]) -> dict[str, Any]:
    """A value that is a number is one, any other is a text."""
    found: dict[str, Any] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise FaultOptionError(f"{field!r} is not a field; write NAME=VALUE, e.g. times=1")
        try:
            number = json.loads(value)
        except ValueError:
            number = value
        found[name] = number if isinstance(number, int) else value
    return found


def _line(fault: dict[str, Any]) -> str:
    fields = " ".join(f"{k}={v}" for k, v in fault.items() if k not in ("id", "kind"))
    return f"{fault['id']}: {fault['kind']} {fields}"
