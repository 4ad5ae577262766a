"""The places where moto behaves otherwise inside our cloud."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, for what it guards against ends the process.
FORGET = """
from moto.core.common_models import BaseModel
from localcloud import moto_hooks

seen = []

class Probe(BaseModel):
    __module__ = "moto.probe.models"

    def __del__(self):
        seen.append(len(Probe.instances_tracked))

for _ in range(3):
    Probe()
assert len(Probe.instances_tracked) == 3
moto_hooks.forget_instances()
assert seen == [0, 0, 0], f"the list was still the old one: {seen}"
"""


def test_instances_are_forgotten_only_after_their_lists_were_replaced() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORGET], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
