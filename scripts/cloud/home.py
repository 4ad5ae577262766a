"""Which local cloud a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.console import project_root

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Keep the cloud under DIR/.slipway; default: the project's folder.",
        file_okay=False,
    ),
]


def home_folder(home: Path | None) -> Path:
    return project_root() if home is None else home
