"""What every command prints with: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from contracts.errors import SlipwayError

PIPE_COLUMNS = 200


def _console(*, is_error: bool) -> Console:
    """On a terminal as wide as that is; in a pipe or a file no line is broken to fit one."""
    stream = sys.stderr if is_error else sys.stdout
    if stream.isatty() or "COLUMNS" in os.environ:
        return Console(stderr=is_error, highlight=False)
    return Console(stderr=is_error, highlight=False, width=PIPE_COLUMNS, soft_wrap=True)


stdout = _console(is_error=False)
stderr = _console(is_error=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="The stack; default: PULUMI_STACK, else `local`.", metavar="NAME"),
]


class OptionError(SlipwayError):
    """An option or argument of a command that cannot be understood."""

    exit_code = 64


class ProjectNotFoundError(SlipwayError):
    """The command was started outside a Slipway project."""


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` (default: here) that holds ``Pulumi.yaml``."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise ProjectNotFoundError(
        f"no Slipway project at {here} or above it: Pulumi.yaml is missing; "
        "change into the project's folder and try again"
    )


def counted(count: int, what: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def print_json(data: Any) -> None:
    """One JSON document on stdout, never wrapped or coloured."""
    typer.echo(json.dumps(data, indent=2, sort_keys=False, default=str))


@contextmanager
def progress(text: str) -> Generator[None]:
    """A spinner on stderr while something takes a while; one plain line where nobody watches."""
    if stderr.is_terminal:
        with stderr.status(text):
            yield
    else:
        stderr.print(text)
        yield
