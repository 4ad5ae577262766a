"""A folder of a process in the system's temporary one, which goes with it, however it ends.

What was killed leaves its folder behind; the next one that is made removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

# Held (flock) as long as the owner lives, so the system knows whether it does.
OWNER = "owner"


@contextmanager
def scratch_folder(prefix: str) -> Generator[Path]:
    """An empty folder; those of the same prefix whose owners are gone are removed."""
    _tidy(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as place:
        owner = Path(place) / OWNER
        descriptor = os.open(owner.with_suffix(".new"), os.O_CREAT | os.O_RDONLY, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Under its name only when it is held: nobody takes its owner for gone before.
            owner.with_suffix(".new").rename(owner)
            made = Path(place) / "files"
            made.mkdir()
            yield made
        finally:
            os.close(descriptor)


def _tidy(prefix: str) -> None:
    for owner in Path(tempfile.gettempdir()).glob(f"{prefix}*/{OWNER}"):
        with suppress(OSError):  # another user's, or one that goes at this moment
            descriptor = os.open(owner, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(owner.parent, ignore_errors=True)
            finally:
                os.close(descriptor)
