"""What can go wrong between data, registry and package."""

from __future__ import annotations

from contracts.errors import SlipwayError


class ModelCodeError(SlipwayError):
    """Root of this package's errors."""


class TrainingError(ModelCodeError):
    """The data do not allow a training."""


class TrainingOptionsError(TrainingError):
    """The options do not allow a training, whatever the data."""

    exit_code = 64


class RegistryError(ModelCodeError):
    """The registry does not hold what was asked for, or cannot be reached."""


class PackagingError(ModelCodeError):
    """A registered model cannot be made into a package."""


class EnvironmentBuildError(ModelCodeError):
    """The environment of a native model cannot be built."""
