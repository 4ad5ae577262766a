"""Where a stack's release history lies: one bucket of a computable name, one key for each thing."""

from __future__ import annotations


def history_bucket_name(stack: str, account_id: str, region: str) -> str:
    """The bucket that outlives the stack: manifests, release state and evidence."""
    return f"slipway-history-{stack}-{account_id}-{region}"


def manifest_key(endpoint_name: str) -> str:
    """The release manifest that the last ``up`` staged."""
    return f"manifests/{endpoint_name}.json"


def state_key(endpoint_name: str) -> str:
    """Release state of one endpoint: lock, running release, good versions (``release.state``)."""
    return f"endpoints/{endpoint_name}/state.json"


def evidence_key(release_id: str) -> str:
    return f"releases/{release_id}.json"


def request_key(endpoint_name: str) -> str:
    """A person's word to the running release: pause, resume, abort or promote-now."""
    return f"endpoints/{endpoint_name}/request.json"


def freeze_key() -> str:
    """While it exists, no release of the stack begins."""
    return "freeze.json"


def page_key(release_id: str) -> str:
    """The evidence as a page for people."""
    return f"releases/{release_id}.html"


def image_build_key() -> str:
    """What builds the stack's images in AWS (``contracts.image_build``)."""
    return "image-build.json"
