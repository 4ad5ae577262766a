"""The stack's configuration as frozen data: what ``infra.config`` reads and the components use."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from contracts.package import ARCHIVE_FILE, PackageManifest
from contracts.release_manifest import ReleaseSettings, Step, Tolerance
from monitoring.alarms import AlarmLimits

DEFAULT_INSTANCE_TYPE = "ml.c7i.large"
DEFAULT_STEPS = (
    Step(1, Tolerance(10, 5), 180, 7200),
    Step(5, Tolerance(5, 2), 180, 7200),
    Step(25, Tolerance(2, 1), 180, 7200),
    Step(50, Tolerance(1.5, 0.5), 180, 7200),
)


@dataclass(frozen=True)
class ModelPackage:
    """A packaged model whose archive was checked against its manifest."""

    folder: Path
    manifest: PackageManifest

    @property
    def archive(self) -> Path:
        return self.folder / ARCHIVE_FILE


@dataclass(frozen=True)
class Scaling:
    """Target tracking on invocations per instance and minute, between ``min`` and ``max``."""

    min_instances: int = 2
    max_instances: int = 4
    invocations_per_instance: float = 1000.0
    scale_in_cooldown_seconds: int = 300
    scale_out_cooldown_seconds: int = 60

    @property
    def is_enabled(self) -> bool:
        return self.max_instances > self.min_instances


@dataclass(frozen=True)
class ModelConfig:
    """One model of the stack. ``capture_percent`` is None where requests are not captured."""

    name: str
    endpoint_name: str
    package: ModelPackage
    image: str
    instance_type: str
    environment: dict[str, str]
    capture_percent: int | None
    scaling: Scaling
    alarms: AlarmLimits
    release: ReleaseSettings


@dataclass(frozen=True)
class ImageBuildConfig:
    """A CodeBuild project for images. ``repository``: its name in Amazon ECR."""

    repository: str
    timeout_minutes: int


TERMINAL_DRIVER = "terminal"
LAMBDA_DRIVER = "lambda"


@dataclass(frozen=True)
class StackConfig:
    """``driver``: what drives the stack's releases, a person's terminal or a Lambda of its own.

    ``image_build`` is None where images are built elsewhere. ``waits_for_image``: no model has one
    yet, so all but the models is made.
    """

    stack: str
    models: tuple[ModelConfig, ...] = field(default_factory=tuple[ModelConfig, ...])
    driver: str = TERMINAL_DRIVER
    image_build: ImageBuildConfig | None = None
    waits_for_image: bool = False
