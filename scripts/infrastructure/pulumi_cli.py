"""Which Pulumi CLI runs, and with which variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from contracts.errors import SlipwayError
from scripts import setup_pulumi

LOCAL_STACK = "local"
LOCAL_PASSPHRASE = "slipway-local"


class PulumiNotFoundError(SlipwayError):
    """There is no usable Pulumi CLI."""


def find_pulumi() -> Path:
    """The ``pulumi`` on PATH if it is new enough, else the one that set-up built.

    Raises:
        PulumiNotFoundError: neither; names what is on PATH.
    """
    found = setup_pulumi.find()
    if found is not None:
        return found
    reason = setup_pulumi.too_old_on_path() or "there is no pulumi on PATH"
    raise PulumiNotFoundError(
        f"{reason}, and none was built in {setup_pulumi.cache_folder()}; run `make setup`, or "
        f"install Pulumi {setup_pulumi.VERSION} or newer (https://www.pulumi.com/docs/install)"
    )


def environment(stack: str, home: Path) -> dict[str, str]:
    """What the CLI and the program need for ``stack``; ``home`` holds ``.slipway``.

    The local stack has Pulumi home, state and passphrase of its own; others use the person's.
    """
    common = {"PULUMI_STACK": stack, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if stack != LOCAL_STACK:
        return common
    from localcloud import connect
    from localcloud.image import local_image

    place = home.resolve() / ".slipway"
    for folder in ("pulumi", "state"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    return {
        **common,
        **connect.environment(home),
        "PULUMI_HOME": str(place / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{place / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": LOCAL_PASSPHRASE,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "SLIPWAY_LOCAL_IMAGE": local_image(),
    }


def shell_environment(stack: str, home: Path) -> dict[str, str]:
    """The same for a person's shell: the CLI that was found, and our Python, come first on PATH.

    The language host that set-up builds knows no virtual environment but an activated one.
    """
    first = [str(find_pulumi().parent), str(Path(sys.executable).parent)]
    path = [p for p in os.environ.get("PATH", "").split(os.pathsep) if p not in first]
    return {**environment(stack, home), "PATH": os.pathsep.join([*first, *path])}
