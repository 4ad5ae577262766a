"""`slipway release` where AWS drives: start, return or follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.release_manifest import ReleaseManifest
from release.hooks.questions import LAMBDA, TERMINAL
from scripts.console import OptionError, print_json, stderr, stdout

if TYPE_CHECKING:
    from release.driver.progress import Observer
    from release.evidence.document import ReleaseResult
    from release.state import EndpointState
    from scripts.release.detached import Executions, Started
    from scripts.release.stack import ReleaseStack

MIN_POLL_SECONDS = 2.0


def chosen_driver(
    manifest: ReleaseManifest, driver: str | None, *, detach: bool, follow: bool
) -> str:
    """Who drives: what is asked for, else a Lambda where the stack has one.

    Raises:
        OptionError: what is asked for contradicts itself.
    """
    if driver not in (None, TERMINAL, LAMBDA):
        raise OptionError(f"--driver is {driver!r}; terminal or lambda is allowed")
    if detach and follow:
        raise OptionError("--detach returns at once and --follow waits: give one of them")
    if driver == TERMINAL and (detach or follow):
        given = "--detach" if detach else "--follow"
        raise OptionError(f"{given} is for releases that AWS drives, not for this terminal")
    if driver is not None:
        return driver
    is_provisioned = manifest.controller.state_machine_arn is not None
    return LAMBDA if detach or follow or is_provisioned else TERMINAL


def drive_in_aws(
    place: ReleaseStack,
    manifest: ReleaseManifest,
    observer: Observer,
    *,
    retry: bool,
    detach: bool,
    follow: bool,
    as_json: bool,
) -> ReleaseResult | None:
    """Start the release (but with ``follow``), and follow it (but with ``detach``: None)."""
    from release.aws.store import S3History, read_evidence
    from release.driver.run import interruptible
    from scripts.release.detached import Executions, state_machine
    from scripts.release.detached import follow as follow_release

    history = S3History(place.s3, place.bucket, manifest.endpoint_name)
    state = history.load()
    executions: Executions | None = None
    if follow:
        arn = manifest.controller.state_machine_arn
        executions = Executions(place.cloud["stepfunctions"], arn) if arn is not None else None
        started = _running(place, state, manifest, executions)
    else:
        machine = state_machine(manifest)
        _refuse_early(place, manifest, state, retry=retry)
        executions = Executions(place.cloud["stepfunctions"], machine)
        started = executions.start(state, manifest, place.cloud.caller(), retry=retry)
        if detach:
            _print_started(place, started, as_json)
            return None
        stderr.print(f"driven by {started.arn}", markup=False, soft_wrap=True)
    with interruptible() as stop:
        return follow_release(
            history.load,
            lambda release_id: read_evidence(place.s3, place.bucket, release_id),
            executions,
            started,
            observer,
            stop,
            max(MIN_POLL_SECONDS, place.pace.poll_seconds / 2),
        )


def _running(
    place: ReleaseStack,
    state: EndpointState,
    manifest: ReleaseManifest,
    executions: Executions | None,
) -> Started:
    from release.errors import NotFoundError
    from scripts.release.detached import Started, execution_name, release_before

    if state.current is None:
        raise NotFoundError(
            f"no release runs on {manifest.endpoint_name} in stack {place.name}; `slipway release` "
            "starts one, `slipway history` lists those that have ended"
        )
    if executions is not None:
        return executions.latest(state, manifest)
    return Started("", execution_name(state, manifest, 1), release_before(state))


def _refuse_early(
    place: ReleaseStack, manifest: ReleaseManifest, state: EndpointState, *, retry: bool
) -> None:
    """What would be refused by the Lambda is refused here, where a person reads it.

    Raises:
        ReleaseError: the release cannot begin.
    """
    from dataclasses import replace

    from release.aws.survey import survey
    from release.controller import start
    from release.hooks.questions import LAMBDA
    from release.planning.plan import predicted_seconds, refuse_errors

    if state.current is not None:
        return
    cloud = place.cloud
    endpoint = cloud.endpoint(manifest.endpoint_name)
    snapshot = start.Snapshot(
        endpoint,
        cloud.config(endpoint.config_name) if endpoint.config_name else None,
        cloud.config(manifest.target.endpoint_config_name),
        cloud.scaling(manifest.endpoint_name) if endpoint.config_name else None,
    )
    start.begin_release(state, manifest, snapshot, "", cloud.caller(), retry=retry)
    longest = predicted_seconds(manifest, state, snapshot, None)[2]
    seen = replace(survey(cloud, manifest, snapshot, longest), driver=LAMBDA)
    refuse_errors(manifest, state, snapshot, seen)


def _print_started(place: ReleaseStack, started: Started, as_json: bool) -> None:
    command = f"slipway release --follow --stack {place.name}"
    if as_json:
        print_json({"execution": started.arn, "name": started.name, "follow": command})
        return
    stdout.print(f"started: {started.arn}", markup=False, soft_wrap=True)
    stdout.print(f"  follow it: {command}", markup=False)
    stdout.print("  the steps: slipway status; its end: slipway history", markup=False)
