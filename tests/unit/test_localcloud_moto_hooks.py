"""The places where moto behaves otherwise inside our cloud."""

from __future__ import annotations

import subprocess
import sys

# Each in a process of its own: the first guards against what ends the process.
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

DESCRIBE = """
import copy
from localcloud import moto_hooks
from localcloud.clock import Clock

moto_hooks.install(Clock())

from moto.s3.models import FakeKey

key = FakeKey("k", b"x" * 100, "123456789012", "us-east-1", version_id="v")
(described,) = copy.deepcopy([key])
assert (described.name, described.version_id, described.size) == ("k", "v", 100)
assert described.etag == key.etag
assert described._value_buffer.read() == b"", "the bytes were copied"
described.is_latest = True
del described
assert not hasattr(key, "is_latest")
assert key.value == b"x" * 100
"""


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_instances_are_forgotten_only_after_their_lists_were_replaced() -> None:
    run(FORGET)


def test_a_listing_of_versions_copies_no_bytes() -> None:
    run(DESCRIBE)
