"""What can keep a release from starting, continuing or being read."""

from __future__ import annotations

from contracts.errors import SlipwayError


class ReleaseError(SlipwayError):
    """Root of the errors of releases."""


class EndpointError(ReleaseError):
    """The endpoint is missing, or not in a state that a release can start from."""


class NothingToReleaseError(ReleaseError):
    """What serves already is what is staged."""


class RejectedError(ReleaseError):
    """The staged content was rolled back before."""


class RequestError(ReleaseError):
    """What a person asks of a release cannot be done."""


class FrozenError(ReleaseError):
    """Releases of the stack are frozen for now."""


class PlanError(ReleaseError):
    """The plan has findings that AWS would refuse, or that no gate could decide."""


class LockedError(ReleaseError):
    """Another process is releasing on this endpoint."""


class ConflictError(ReleaseError):
    """The release state was changed by someone else between reading and writing it."""


class VersionError(ReleaseError):
    """The version asked for is not among those that can be gone back to."""


class NotFoundError(ReleaseError):
    """The model, stack, release or bucket asked for does not exist."""


class AwsError(ReleaseError):
    """AWS refused a call or did not answer."""


class InterruptedReleaseError(ReleaseError):
    """The command was stopped; the release waits where it stands."""

    exit_code = 130
