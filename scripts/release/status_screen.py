"""How `slipway status` looks in a terminal."""

from __future__ import annotations

from typing import Any

from scripts.console import counted, stdout
from scripts.release.screen import duration


def show_status(rows: list[dict[str, Any]], option: str = "") -> None:
    """``option`` is what commands have to end with to mean the stack of ``rows``."""
    for row in rows:
        _show_serving(row, option)
        if row["owed_scaling"] is not None:
            again = f"`slipway status{option}`, `plan`, `up` and every release try it again"
            _tell(f"{row['owed_scaling']['text']}; correct that: {again}")
        if row["freeze"] is not None:
            _tell(row["freeze"]["text"])
        if row["release"] is not None:
            _show_running(row, option)
        _show_target(row, option)
        for name, state in row["alarms"].items():
            colour = {"ALARM": "red", "OK": "green"}.get(state, "yellow")
            stdout.print(f"  alarm {name}: [{colour}]{state}[/{colour}]", soft_wrap=True)


def _show_serving(row: dict[str, Any], option: str) -> None:
    live = row["live"]
    shown = f"version {live['version']} ({live['hash'][:12]})" if live else "nothing"
    stdout.print(f"[bold]{row['endpoint']}[/bold] {row['status']} · serves {shown}", soft_wrap=True)
    if live and live["is_deleted"]:
        stdout.print(
            f"  [yellow]its configuration {live['config']} was deleted[/yellow]: AWS takes no "
            f"update until one of that name exists; `slipway rollback{option}` leads away from it",
            soft_wrap=True,
        )
    for variant in row["variants"]:
        _tell(
            f"{variant['name']}: {variant['share']:.3g} % of traffic (weight "
            f"{variant['weight']:g}), {counted(variant['instances'], 'instance')}"
        )
    for shadow in row["shadows"]:
        _tell(
            f"{shadow['name']}: a copy of {shadow['sampled']:.3g} % of the requests, "
            f"{counted(shadow['instances'], 'instance')}"
        )


def _show_running(row: dict[str, Any], option: str) -> None:
    running = row["release"]
    holder = running["held_by"]
    phases = " → ".join(
        f"[{kind}]" if kind == running["phase"] and len(running["phases"]) > 1 else kind
        for kind in running["phases"]
    )
    what = "rollback" if running["purpose"] == "rollback" else "release"
    _tell(
        f"{what} {running['id']}: {running['from_version']} → {running['to_version']} by {phases}, "
        f"for {duration(running['seconds'])}; stage {running['stage']}, "
        f"for {duration(running['stage_seconds'])}"
    )
    if holder or not running["is_held"]:
        _tell(f"driven by {holder or _nobody(what, option)}")
    counts = running["counts"]
    if counts is not None:
        names = "shadow" if row["shadows"] else "candidate"
        _tell(
            f"counted in this step: live {_counts(counts['live'])}, "
            f"{names} {_counts(counts['candidate'])}"
        )
    deployment = row["deployment"]
    if deployment is not None:
        _tell(
            f"SageMaker: {deployment['status']}, {deployment['active']} of "
            f"{counted(deployment['total'], 'new instance')} take traffic"
        )
    if running["paused"]:
        _tell(f"paused by {running['paused_by']}: `slipway resume{option}` goes on")
    if running["is_held"]:
        _tell(
            f"held, `slipway promote-now{option}` or `slipway abort{option}` decides: "
            f"{running['reason']}"
        )


def _nobody(what: str, option: str) -> str:
    return f"nobody: `slipway {what}{option}` continues it"


def _counts(counts: dict[str, int]) -> str:
    return f"{counted(counts['requests'], 'request')} ({counts['errors']:,} failed)"


def _show_target(row: dict[str, Any], option: str) -> None:
    target, pending = row["target"], "serves"
    running = row["release"]
    if running is not None and running["to_hash"] == target["hash"]:
        pending = "staged, being released"
    elif row["is_pending"] and row["is_rejected"]:
        pending = (
            "staged; it was rolled back before: stage another version with "
            f"`slipway up{option}`, or `slipway release --retry{option}`"
        )
    elif row["is_pending"]:
        pending = f"staged, `slipway release{option}` moves traffic to it"
    _tell(f"target: version {target['version']} ({target['hash'][:12]}), {pending}")
    back = [good["version"] for good in row["ways_back"]]
    if back and running is None:
        _tell(f"`slipway rollback{option}` goes back to version {back[0]}{_others(back[1:])}")


def _others(versions: list[str]) -> str:
    return f", with --to also to {', '.join(versions)}" if versions else ""


def _tell(text: str) -> None:
    stdout.print(f"  {text}", markup=False, soft_wrap=True)
