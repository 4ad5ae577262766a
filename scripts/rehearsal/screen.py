"""What a person sees of a rehearsal: one line a stage, a timeline under each release, a summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.rehearsal.report import Report

LABEL_WIDTH = 16


class Line:
    """The line of one running stage: its text so far, and what it will say when done."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self.text = ""

    def update(self, text: str) -> None:
        """Replace the stage's text; shown beside the spinner until the stage ends."""
        self.text = text
        self._show(text)


class Screen:
    """Prints to a terminal with a spinner, to a pipe or a log with plain lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()

    def title(self, text: str) -> None:
        self.console.print(f"[bold]{escape(text)}[/bold]", soft_wrap=True)

    @contextmanager
    def stage(self, name: str) -> Generator[Line]:
        """Time one stage; a stage that raises is marked as failed and the error goes on."""
        began = time.monotonic()
        status = self.console.status(f" {escape(name)}")
        line = Line(
            lambda text: status.update(f" {escape(name.ljust(LABEL_WIDTH))} {escape(text)}")
        )
        try:
            with status:
                yield line
        except BaseException:
            self._print("[red]✗[/red]", name, line.text, time.monotonic() - began)
            raise
        self._print("[green]✓[/green]", name, line.text, time.monotonic() - began)

    def note(self, text: str) -> None:
        """One line of a timeline, under the stage that is running."""
        self.console.print(f"     {escape(text)}", soft_wrap=True)

    def summary(self, report: Report) -> None:
        """One screen: releases, traffic by version, the engine's operations, what did not hold."""
        self.console.print()
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column, justify in (
            ("version", "left"),
            ("requests", "right"),
            ("failed", "right"),
            ("failed share", "right"),
        ):
            table.add_column(column, justify=justify)  # pyright: ignore[reportArgumentType]
        for version, tally in (report.traffic.by_version if report.traffic else {}).items():
            share = tally.failed / tally.requests if tally.requests else 0.0
            table.add_row(f"v{version}", f"{tally.requests:,}", f"{tally.failed:,}", f"{share:.1%}")
        self.console.print(table)
        for check in report.checks:
            if not check.ok:
                self.console.print(f" [red]✗[/red] {escape(check.name)}: {escape(check.seen)}")

    def _print(self, mark: str, name: str, text: str, seconds: float) -> None:
        body = f"{escape(name.ljust(LABEL_WIDTH))} {escape(text)}"
        self.console.print(f" {mark} {body}  [dim]{seconds:.1f} s[/dim]", soft_wrap=True)
