"""The root of the ``slipway`` command: finds the command asked for, prints its errors, exits."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Annotated

import typer

# Typer carries a Click of its own, whose usage errors it exports only in part.
from typer._click.exceptions import NoArgsIsHelpError, UsageError

from contracts.errors import SlipwayError
from scripts.console import stderr

COMMAND_FILES = (
    "rehearsal.command",
    "models.commands",
    "image.commands",
    "infrastructure.commands",
    "doctor",
    "release.commands",
    "release.requests",
    "cloud.commands",
)
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

HELP = """Releases machine-learning models to Amazon SageMaker safely.

A model goes from the MLflow registry to production traffic in five steps, each a command:

\b
  slipway train                   fit and register a model
  slipway package flight-delay/1  make the files to deploy
  slipway up                      stage them, with Pulumi
  slipway release                 move traffic, or go back
  slipway status                  what serves now

`slipway rehearse` shows all of it on this machine: no AWS account, no Docker, no network.
`slipway cloud start` starts the local cloud that the stack `local` lives in.
"""

app = typer.Typer(
    name="slipway",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"slipway {version('slipway')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
    _shown: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    if debug:
        os.environ["SLIPWAY_DEBUG"] = "1"


for name in COMMAND_FILES:
    importlib.import_module(f"scripts.{name}").register(app)


def main() -> None:
    """Run one command; every error a person can meet ends as one readable text and an exit code."""
    if "--debug" in sys.argv[1:]:
        sys.argv = [sys.argv[0], *(a for a in sys.argv[1:] if a != "--debug")]
        os.environ["SLIPWAY_DEBUG"] = "1"
    try:
        result = app(standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except UsageError as error:
        code = _usage(error)
    except SlipwayError as error:
        _print_error(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        stderr.print("interrupted")
        code = EXIT_INTERRUPTED
    except typer.Exit as error:
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`slipway history | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # noqa: BLE001 the one place that catches broadly
        _print_error(f"{type(error).__name__}: {error}")
        stderr.print("  run it again with --debug to see where it comes from", markup=False)
        code = 1
    sys.exit(code)


def _usage(error: UsageError) -> int:
    """What was typed cannot be understood; a group without its command shows its help instead."""
    where = error.ctx.command_path if error.ctx is not None else "slipway"
    if isinstance(error, NoArgsIsHelpError):
        stderr.print(error.format_message(), markup=False, soft_wrap=True)
        return EXIT_USAGE
    text = error.format_message().rstrip(".")
    _print_error(text[:1].lower() + text[1:])
    stderr.print(f"  see `{where} --help`", markup=False, soft_wrap=True)
    return EXIT_USAGE


def _print_error(text: str) -> None:
    stderr.print("[red]error:[/red]", end=" ")
    stderr.print(text, markup=False, soft_wrap=True)
    if os.environ.get("SLIPWAY_DEBUG"):
        stderr.print(traceback.format_exc(), markup=False, soft_wrap=True)
