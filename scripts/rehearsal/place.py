"""Where a rehearsal lives: a project of its own under ``.slipway/rehearsal``, new each time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODEL = "flight-delay"
STACK = "local"
REGION = "us-east-1"
# Made once with the local stack's passphrase; without one Pulumi would write it into the file.
SALT = "v1:QzgB7pqbq90=:v1:vRcPY5gpWmr8U3M0:/9YxvZwPjCEzA45Kcj5981kv3tijSA=="
# Traffic of a laptop decides these in seconds; the defaults are for production.
STEPS = (
    {"weight": 20, "tolerance": {"ratio": 5, "points": 10}, "bake": {"min": "2m", "max": "60m"}},
    {"weight": 50, "tolerance": {"ratio": 3, "points": 5}, "bake": {"min": "2m", "max": "60m"}},
)
RELEASE: dict[str, Any] = {
    "strategy": "canary",
    "steps": list(STEPS),
    # A laptop that also trains and starts servers is no place to judge milliseconds.
    "gates": [{"metric": "errors"}, {"metric": "latency", "over": "1s", "allow": 1.25}],
    "settle": "1m",
    "warmUp": "1m",
    "postBake": "2m",
}


def folder(root: Path) -> Path:
    return root / ".slipway" / "rehearsal"


def prepare(root: Path) -> Path:
    """End what an earlier rehearsal left running, remove what it left lying, write the project."""
    from localcloud import connect

    home = folder(root)
    if home.exists():
        connect.stop(home)
        shutil.rmtree(home, onerror=_make_writable)
    home.mkdir(parents=True)
    (home / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    return home


def _make_writable(function: Callable[[str], Any], path: str, _error: Any) -> None:
    """Unpacked models are read-only; their folders must not be, to be emptied."""
    for target in (os.path.dirname(path), path):
        os.chmod(target, 0o700)
    function(path)


def stage(home: Path, version: str) -> None:
    """Write the stack file that names ``version``."""
    import yaml

    model = {
        "package": f"dist/{MODEL}/{version}",
        "endpoint": {"instances": {"min": 2, "max": 4}},
        "release": RELEASE,
    }
    content = {
        "encryptionsalt": SALT,
        "config": {"aws:region": REGION, "slipway:models": {MODEL: model}},
    }
    (home / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
