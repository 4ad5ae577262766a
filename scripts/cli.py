"""The root of the ``slipway`` command: finds the command asked for, prints its errors, exits."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Annotated

import click
import typer

from contracts.errors import SlipwayError
from scripts.console import stderr

COMMAND_FILES = (
    "rehearse",
    "models",
    "infrastructure",
    "doctor",
    "releases",
    "release_requests",
    "cloud",
)
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

HELP = """Releases machine-learning models to Amazon SageMaker safely.

A model goes from the MLflow registry to production traffic in five steps, each a command:

  slipway train                          fit, evaluate and register a model version

  slipway package flight-delay/1         make the files that a stack deploys

  slipway up                             stage what Pulumi.STACK.yaml names, with Pulumi

  slipway release                        move traffic to what is staged, or safely back

  slipway status                         what serves now

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


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
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
    except click.exceptions.NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        code = EXIT_USAGE
    except click.UsageError as error:
        _print_error(error.format_message())
        if error.ctx is not None:
            stderr.print(f"  see `{error.ctx.command_path} --help`", markup=False)
        code = EXIT_USAGE
    except SlipwayError as error:
        _print_error(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        stderr.print("interrupted")
        code = EXIT_INTERRUPTED
    except click.exceptions.Exit as error:
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


def _print_error(text: str) -> None:
    stderr.print("[red]error:[/red]", end=" ")
    stderr.print(text, markup=False, soft_wrap=True)
    if os.environ.get("SLIPWAY_DEBUG"):
        stderr.print(traceback.format_exc(), markup=False, soft_wrap=True)
