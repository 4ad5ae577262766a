"""``slipway rehearse``: the whole main job on the local cloud, and a report on it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import typer

from contracts import atomic
from contracts.errors import SlipwayError
from scripts.console import JsonOption, print_json, project_root, stderr, stdout

REPORT = Path("rehearsal") / "report.json"


def register(app: typer.Typer) -> None:
    app.command()(rehearse)


def rehearse(as_json: JsonOption = False) -> int:
    """Show the whole job on this machine, training to rollback.

    A better version is promoted, a broken one rolled back, under live traffic. Needs no AWS
    account, no Docker and no network; takes a minute or two. Everything lies under
    .slipway/rehearsal and rehearsal/; ends with 0 only if all went as it must.
    """
    from scripts import setup_pulumi
    from scripts.infrastructure.pulumi_cli import find_pulumi
    from scripts.rehearsal import place
    from scripts.rehearsal.report import Report
    from scripts.rehearsal.screen import Screen
    from scripts.rehearsal.story import Story

    began = time.monotonic()
    root = project_root()
    version = ".".join(map(str, setup_pulumi.version_of(find_pulumi()) or ()))
    report = Report(pulumi_version=f"v{version}")
    screen = Screen(stderr if as_json else stdout)
    screen.title(f"Slipway rehearsal · {place.MODEL} · local cloud · pulumi v{version}")
    story = Story(place.prepare(root), report, screen)
    try:
        with contextlib.closing(story):
            story.run()
    except SlipwayError as error:
        report.check("every stage could be done", False, str(error))
        raise
    finally:
        told = report.to_dict(time.monotonic() - began)
        atomic.write_text(root / REPORT, json.dumps(told, indent=2) + "\n")
    if as_json:
        print_json(told)
    else:
        screen.summary(report)
        verdict = "Everything went as it must." if report.ok else "Not all went as it must."
        stdout.print(f"{verdict} {told['duration_seconds']:.0f} s. Report: {REPORT}")
        if report.ok:
            stdout.print("Next: slipway cloud start, slipway train, slipway package, slipway up")
    return 0 if report.ok else 1
