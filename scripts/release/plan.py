"""``slipway plan``: asks, plans, and shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from scripts.console import counted, stdout
from scripts.release.screen import duration

if TYPE_CHECKING:
    from contracts.release_manifest import ReleaseManifest
    from release.controller.start import Snapshot
    from release.planning.lint.capacity import Need
    from release.planning.plan import Plan
    from scripts.release.stack import ReleaseStack


# What the table of stages needs; on a narrower terminal it has fewer columns.
STAGE_COLUMNS = 80


def planned(place: ReleaseStack, manifest: ReleaseManifest) -> Plan:
    """The plan of what is staged for ``manifest``'s endpoint.

    Raises:
        EndpointError: there is no endpoint yet.
    """
    from release.aws.survey import survey
    from release.planning.plan import make_plan, predicted_seconds
    from scripts.release.owed import settled_state

    state = settled_state(place, manifest.endpoint_name)
    snapshot = snapshot_of(place, manifest)
    seconds = predicted_seconds(manifest, state, snapshot, None)[2]
    seen = survey(place.cloud, manifest, snapshot, seconds)
    version = snapshot.live.version if snapshot.live is not None else None
    metrics = _packaged_metrics(place, manifest, version)
    return make_plan(manifest, state, snapshot, seen, metrics)


def snapshot_of(place: ReleaseStack, manifest: ReleaseManifest) -> Snapshot:
    """The endpoint as it is."""
    from release.controller.start import Snapshot, missing_text
    from release.errors import EndpointError
    from release.observation import MISSING

    cloud, name = place.cloud, manifest.endpoint_name
    endpoint = cloud.endpoint(name)
    if endpoint.status == MISSING:
        raise EndpointError(missing_text(name))
    live = cloud.config(endpoint.config_name)
    target = cloud.config(manifest.target.endpoint_config_name)
    return Snapshot(endpoint, live, target, cloud.scaling(name))


def _packaged_metrics(
    place: ReleaseStack, manifest: ReleaseManifest, version: str | None
) -> dict[str, float]:
    """Metrics of the live version from its package, where that is still in ``dist/``."""
    from contracts.errors import ContractError
    from contracts.package import load_package

    if version is None:
        return {}
    try:
        folder = place.root / "dist" / manifest.model / version
        return load_package(folder, verify_archive=False).metrics
    except ContractError:
        return {}


def show_plan(plan: Plan) -> None:
    if not plan.is_new:
        stdout.print(
            f"nothing new to release: {plan.endpoint} serves version {plan.target.version} "
            f"({plan.target.content_hash[:12]}); stage another one with `slipway up`",
            markup=False,
            soft_wrap=True,
        )
        return
    phases = " → ".join(plan.phases)
    stdout.print(f"{plan.endpoint} · {phases} · {plan.live.version} → {plan.target.version}")
    _show_sides(plan)
    _show_stages(plan)
    _show_gates(plan)
    _show_totals(plan)
    for finding in plan.findings:
        colour = "red" if finding.severity == "error" else "yellow"
        stdout.print(f"[{colour}]{finding.severity}[/{colour}] {finding.where}:", end=" ")
        stdout.print(f"{finding.rule}; {finding.remedy}", markup=False, soft_wrap=True)


def _show_stages(plan: Plan) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("old", "new", "extra", "exposed", "at least", "expected", "at most", "requests")
    # On a narrow terminal the fewest columns that say what moves, and when.
    left_out = {"extra", "requests"} if stdout.width < STAGE_COLUMNS else set[str]()
    table.add_column("stage", overflow="fold")
    for name in names:
        if name not in left_out:
            table.add_column(name, justify="right", overflow="fold")
    for stage in plan.stages:
        cells = (
            str(stage.live_count),
            str(stage.candidate_count),
            str(stage.extra_instances),
            f"{stage.mirrored:g} % copied" if stage.mirrored else f"{stage.weight:g} %",
            duration(stage.seconds[0]),
            "no answer" if stage.is_undecided else duration(stage.seconds[1]),
            duration(stage.seconds[2]),
            "–" if stage.expected_requests is None else f"{stage.expected_requests:,.0f}",
        )
        shown = (cell for name, cell in zip(names, cells, strict=True) if name not in left_out)
        table.add_row(stage.name, *shown)
    stdout.print(table)
    legend = "old, new: instances of the two versions; "
    if not left_out:
        legend += "extra: more than serve now, while both run; "
    legend += "exposed: requests that the new version answers"
    if not left_out:
        legend += "; requests: those expected to reach it"
    stdout.print(f"[dim]{legend}[/dim]", soft_wrap=True)


def _show_gates(plan: Plan) -> None:
    """What each gate will have excluded by the end of each stage, and when a good version passes:
    as expected, and 99 of 100 of them.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("at", "gate", "will have excluded", "passes after", "99 of 100 within"):
        table.add_column(name, overflow="fold")
    compared = [stage for stage in plan.stages if stage.gates]
    rows = [(stage.name, gate) for stage in compared for gate in stage.gates]
    everywhere = [
        gate
        for gate in (compared[0].gates if len(compared) > 1 else ())
        if gate.passes_after is None and all(gate in stage.gates for stage in compared)
    ]
    rows = [row for row in rows if row[1] not in everywhere]
    rows += [("each", gate) for gate in everywhere]
    for name, gate in rows:
        times = (gate.passes_after, gate.sure_after)
        shown = ("–" if seconds is None else duration(seconds) for seconds in times)
        table.add_row(name, gate.gate, gate.text, *shown)
    if rows:
        stdout.print(table)


def _show_sides(plan: Plan) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("live")
    table.add_column("target")
    table.add_row("version", plan.live.version, plan.target.version)
    table.add_row("hash", plan.live.content_hash[:12] or "unknown", plan.target.content_hash[:12])
    for name in sorted({*plan.live.metrics, *plan.target.metrics}):
        old, new = plan.live.metrics.get(name), plan.target.metrics.get(name)
        table.add_row(name, *(_metric(v) for v in (old, new)))
    stdout.print(table)


def _metric(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _show_totals(plan: Plan) -> None:
    source = "as at the last release" if plan.is_turnover_measured else "an estimate"
    _tell(
        f"takes {_times(plan)}; {counted(plan.turnovers, 'fleet turnover')} of "
        f"{duration(plan.turnover_seconds)} ({source})"
    )
    needed = ", ".join(_need(need) for need in plan.instances)
    more = counted(plan.extra_instances, "more instance")
    _tell(
        f"at most {plan.exposed:g} % of the requests meet the new version before it is trusted; "
        f"{more} at the peak ({needed}), {plan.extra_instance_hours:.2g} extra instance-hours"
    )
    for untold in plan.untold:
        _tell(f"not told: {untold}")


def _times(plan: Plan) -> str:
    """How long it takes, at which traffic; where that is not known, between what and what."""
    least, expected, most = plan.seconds
    longest = f"{duration(most)} at most"
    if plan.is_held:
        longest += " (longer where it is held for a person)"
    seen = plan.traffic
    if seen is None:
        return f"{duration(least)} at least, {longest}; the traffic is not known"
    if seen.requests_per_minute <= 0:
        return f"{duration(least)} at least, {longest}; no request came in {seen.source}"
    at = (
        f"{seen.requests_per_minute:,.3g} requests a minute"
        if seen.requests_per_minute < 100
        else f"{seen.requests_per_minute:,.0f} requests a minute"
    )
    at = f"at {at} with {100 * seen.error_rate:.2g} % errors ({seen.source})"
    undecided = next((s.name for s in plan.stages if s.is_undecided), "")
    if undecided:
        end = "held" if plan.is_held else "inconclusive"
        return (
            f"{duration(least)} at least, {longest}; {at} a good version is not expected to pass "
            f"`{undecided}`, and the release would end there, {end}"
        )
    if expected is None:
        return f"{duration(least)} at least, {longest}, {at}"
    return f"{duration(least)} at least, {duration(expected)} expected {at}, {longest}"


def _need(need: Need) -> str:
    told = "quota not told by the account"
    if need.quota is not None:
        told = f"quota {need.quota.allowed}, {need.quota.in_use} in use"
    return f"{need.extra} {need.instance_type}: {told}"


def _tell(text: str) -> None:
    stdout.print(text, markup=False, soft_wrap=True)
