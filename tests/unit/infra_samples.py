"""What the tests of the Pulumi program share: packages, models, and configurations it accepts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.package import ARCHIVE_FILE, MANIFEST_FILE, PackageManifest, Runtime
from contracts.release_manifest import Canary, ErrorGate, LatencyGate, ReleaseSettings
from infra.settings import DEFAULT_STEPS, ModelConfig, ModelPackage, Scaling
from monitoring.alarms import AlarmLimits

DIGEST = "0123456789abcdef" * 4
IMAGE = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/slipway@sha256:{DIGEST}"
LOCAL_IMAGE = f"slipway-local@sha256:{DIGEST}"
ROOT = Path("/project")


def package_manifest(model: str = "wine", version: str = "3", **changes: Any) -> PackageManifest:
    manifest = PackageManifest(
        model=model,
        version=version,
        registry_uri=f"models:/{model}/{version}",
        run_id="run-3",
        sha256="ab" * 32,
        size=100,
        index_sha256="cd" * 32,
        signature={"inputs": {}, "outputs": {}},
        metrics={"auc": 0.7},
        runtime=Runtime("3.11", "scikit-learn", ()),
    )
    return replace(manifest, **changes)


def package_of(folder: Path) -> PackageManifest:
    """A package for every folder ``dist/MODEL/VERSION``."""
    return package_manifest(folder.parent.name, folder.name)


def write_package(root: Path, content: bytes = b"an archive") -> Path:
    """``dist/wine/3`` with an archive of this content, unopened by what reads the stack file."""
    folder = root / "dist" / "wine" / "3"
    folder.mkdir(parents=True)
    (folder / ARCHIVE_FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = package_manifest(sha256=digest, size=len(content))
    (folder / MANIFEST_FILE).write_text(manifest.to_json())
    return folder


def model_config(**changes: Any) -> ModelConfig:
    model = ModelConfig(
        name="wine",
        endpoint_name="wine-prod",
        package=ModelPackage(Path("/project/dist/wine/3"), package_manifest()),
        image=IMAGE,
        instance_type="ml.c7i.large",
        environment={"LEVEL": "debug"},
        capture_percent=20,
        scaling=Scaling(2, 8),
        alarms=AlarmLimits(0.02, 80_000),
        release=ReleaseSettings(
            strategy=Canary(DEFAULT_STEPS),
            gates=(ErrorGate(), LatencyGate(50_000)),
            on_inconclusive="rollback",
            settle_seconds=180,
            warm_up_seconds=180,
            post_bake_seconds=600,
            keep_versions=3,
        ),
    )
    return replace(model, **changes)


FULL_MODEL: dict[str, Any] = {
    "package": "dist/wine/3",
    "image": IMAGE,
    "instanceType": "ml.g5.xlarge",
    "environment": {"LEVEL": "debug"},
    "capture": {"sampling": 20},
    "endpoint": {
        "name": "Wine-of-today",
        "instances": {"min": 3, "max": 9},
        "scaling": {
            "invocationsPerInstance": 1200.5,
            "scaleInCooldown": "10m",
            "scaleOutCooldown": "45s",
        },
    },
    "alarms": {"errors": 0.02, "latency": "80ms"},
    "release": {
        "strategy": "canary",
        "steps": [
            {"weight": 0.5},
            {"weight": 20, "tolerance": {"ratio": 5, "points": 5}, "bake": {"min": "2m"}},
            {"weight": 50, "bake": {"min": "1.5h", "max": "2d"}},
        ],
        "gates": [
            {"metric": "errors", "allow": 1.5},
            {"metric": "latency", "over": "50ms", "allow": 1.1},
        ],
        "onInconclusive": "rollback",
        "settle": "30s",
        "warmUp": "0s",
        "postBake": "1 h",
        "keepVersions": 5,
    },
}

STRATEGIES: dict[str, Any] = {
    "strategy": "shadow",
    "blueGreen": {
        "traffic": "linear",
        "size": 25,
        "wait": "5m",
        "finalWait": "10m",
        "tolerance": {"ratio": 1.5, "points": 0.5},
        "timeout": "3h",
    },
    "rolling": {"batch": 50, "wait": "2m", "rollbackBatch": 50, "timeout": "2h"},
    "shadow": {
        "sampling": 20,
        "bake": {"min": "5m", "max": "1h"},
        "maxDisagreement": 0.1,
        "then": "rolling",
    },
    "gates": [
        {"metric": "errors"},
        {"metric": "predictions", "maxShift": 0.2, "bins": [0.25, 0.5], "dryRun": True},
        {"metric": "limit", "of": "errors", "atMost": 0.05},
        {"metric": "limit", "of": "slow", "atMost": 0.1, "over": "50ms"},
        {"metric": "limit", "of": "p95", "atMost": "80ms"},
        {"alarm": "orders"},
        {"hook": "smoke", "command": ["./smoke", "--fast"], "timeout": "10s", "every": "5m"},
        {"hook": "score", "function": "arn:aws:lambda:eu-west-1:123456789012:function:score"},
    ],
}

# Below `slipway:`; what each of them means is asserted where they are read.
ACCEPTED: dict[str, dict[str, Any]] = {
    "the least": {"models": {"wine": {"package": "dist/wine/3", "image": IMAGE}}},
    "everything": {"models": {"wine": FULL_MODEL}},
    "a driver": {
        "controller": {"driver": "terminal"},
        "models": {"wine": {"package": "dist/wine/3", "image": IMAGE}},
    },
    "images built in AWS": {
        "imageBuild": {"codebuild": True, "repository": "team/slipway", "timeout": "1h"},
        "models": {"wine": {"package": "dist/wine/3", "image": IMAGE}},
    },
    "strategies": {"models": {"wine": {**FULL_MODEL, "release": STRATEGIES}}},
    "held": {"models": {"wine": {**FULL_MODEL, "release": {"onInconclusive": "hold"}}}},
    "layers": {
        "defaults": {
            "image": IMAGE,
            "instanceType": "ml.c7i.xlarge",
            "environment": {"LEVEL": "info", "THREADS": "2"},
            "capture": {"sampling": 100},
            "endpoint": {"instances": {"min": 4, "max": 6}},
            "alarms": {"errors": 0.01, "latency": "1s"},
            "release": {"keepVersions": 7, "postBake": "20m", "steps": [{"weight": 10}]},
        },
        "models": {
            "wine": {"package": "dist/wine/3"},
            "beer": {
                "package": "dist/beer/1",
                "environment": {"LEVEL": "debug"},
                "capture": {"sampling": 0},
                "endpoint": {"instances": {"max": 12}},
                "alarms": {"latency": "800us"},
                "release": {"postBake": "5m"},
            },
        },
    },
}
