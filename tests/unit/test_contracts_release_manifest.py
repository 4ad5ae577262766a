"""The release manifest survives its JSON form, and refuses what it does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.errors import ContractError
from contracts.release_manifest import (
    AlarmGate,
    AlarmSpec,
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    Controller,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    LinearShift,
    PredictionGate,
    ReleaseManifest,
    ReleaseSettings,
    Rolling,
    ScalingBounds,
    Shadow,
    Step,
    Strategy,
    Target,
    Tolerance,
)

MANIFEST = ReleaseManifest(
    stack="prod",
    model="wine",
    endpoint_name="wine-prod",
    region="eu-west-1",
    account_id="123456789012",
    execution_role_arn="arn:aws:iam::123456789012:role/wine",
    target=Target(
        version="2",
        content_hash="ab" * 32,
        endpoint_config_name="wine-prod-abab-1234567",
        model_name="wine-prod-abab-7654321",
        instance_type="ml.c7i.large",
        initial_instance_count=2,
        image="repo@sha256:" + "0" * 64,
        artifact_uri="s3://bucket/artifacts/abab/model.tar.gz",
        package_sha256="cd" * 32,
        registry_uri="models:/wine/2",
        run_id="r",
        metrics={"auc": 0.75},
        data_capture=None,
    ),
    release=ReleaseSettings(
        strategy=Canary(
            (Step(5, Tolerance(5, 2), 180, 7200), Step(50, Tolerance(1.5, 0.5), 180, 7200))
        ),
        gates=(ErrorGate(), LatencyGate(50_000, 1.25)),
        on_inconclusive="rollback",
        settle_seconds=180,
        warm_up_seconds=180,
        post_bake_seconds=300,
        keep_versions=3,
    ),
    rollback_alarms=(AlarmSpec("errors", "InvocationModelErrors", "Average", 0.05, 60, 3, 2),),
    standing_alarms=("wine-prod-errors",),
    scaling=ScalingBounds(2, 8),
    history_bucket="slipway-history-prod-123456789012-eu-west-1",
    tags={"slipway:stack": "prod"},
)


def test_a_manifest_reads_back_as_it_was_written() -> None:
    assert ReleaseManifest.from_json(MANIFEST.to_json(), "manifest") == MANIFEST


TOLERANCE = Tolerance(2, 1)


@pytest.mark.parametrize(
    "strategy",
    [
        BlueGreen(AllAtOnce(), 600, TOLERANCE),
        BlueGreen(CanaryShift(10, 600), 300, TOLERANCE, 3600),
        BlueGreen(LinearShift(25, 300), 0, TOLERANCE),
        Rolling(25, 300, TOLERANCE, 50, 7200),
        Shadow(50, TOLERANCE, 180, 7200, 0.05),
        Shadow(50, TOLERANCE, 180, 7200, 0.05, Canary((Step(5, TOLERANCE, 180, 7200),))),
        Shadow(50, TOLERANCE, 180, 7200, 0.05, BlueGreen(LinearShift(25, 300), 0, TOLERANCE)),
    ],
)
def test_every_strategy_reads_back_as_it_was_written(strategy: Strategy) -> None:
    staged = replace(MANIFEST, release=replace(MANIFEST.release, strategy=strategy))
    assert ReleaseManifest.from_json(staged.to_json(), "manifest") == staged


@pytest.mark.parametrize(
    "gate",
    [
        ErrorGate(dry_run=True),
        PredictionGate(0.2, (0.5, 1.0)),
        LimitGate("slow", 0.05, 50_000.0),
        AlarmGate("orders-dropped"),
        HookGate("smoke", ("./smoke.sh", "--fast")),
        HookGate("approval", function_arn="arn:aws:lambda:eu-west-1:123456789012:function:ask"),
    ],
)
def test_every_gate_reads_back_as_it_was_written(gate: Gate) -> None:
    staged = replace(MANIFEST, release=replace(MANIFEST.release, gates=(gate,)))
    assert ReleaseManifest.from_json(staged.to_json(), "manifest") == staged


def test_what_the_stack_provisioned_for_releases_reads_back() -> None:
    staged = replace(MANIFEST, controller=Controller("arn:machine", "arn:topic", "default"))
    assert ReleaseManifest.from_json(staged.to_json(), "manifest") == staged


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    raw: dict[str, Any] = MANIFEST.to_dict()
    place: Any = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("release", "gates", 0, "kind"), "luck", r"gates\[0\]: kind is 'luck'; errors, latency"),
        (("release", "strategy", "kind"), "luck", r"strategy: kind is 'luck'; canary, blue_green"),
        (
            ("release", "strategy", "steps"),
            [{"weight": 5}],
            r"steps\[0\]: tolerance is missing; an object",
        ),
        (
            ("target", "initial_instance_count"),
            1.5,
            r"target: initial_instance_count is 1\.5; a wh",
        ),
        (("schema_version",), 1, r"schema_version is 1; this Slipway reads 2"),
    ],
)
def test_a_manifest_of_another_form_names_the_field(
    path: tuple[Any, ...], value: Any, message: str
) -> None:
    raw = changed(path, value)
    with pytest.raises(ContractError, match=message):
        ReleaseManifest.from_dict(raw, "manifest")


def test_a_manifest_that_is_no_json_names_the_command_that_writes_it() -> None:
    with pytest.raises(ContractError, match=r"is not JSON .*run `slipway up` to write it again"):
        ReleaseManifest.from_json("{", "s3://bucket/manifest")
