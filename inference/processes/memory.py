"""The process's memory: what buffers come from, and what loading leaves behind.

A buffer that glibc maps anew for each request costs a page fault for every 4 KiB of it, more than
what is then done with it.
"""

from __future__ import annotations

import ctypes
import gc

# Of <malloc.h>.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
# Larger buffers are mapped, and go back to the system at once.
MAPPED_BYTES = 4 << 20
# So much stays at the heap's end for the next request.
KEPT_BYTES = 8 << 20


def prepare() -> None:
    """To be called before there are threads; without glibc it changes nothing."""
    # Threads take turns here, so that heaps of their own would only hold more.
    for option, value in (
        (ARENA_MAX, 1),
        (MMAP_THRESHOLD, MAPPED_BYTES),
        (TRIM_THRESHOLD, KEPT_BYTES),
    ):
        _glibc("mallopt", option, value)


def settle() -> None:
    """Once all is loaded: give back what loading freed, and look no more through what stays."""
    gc.collect()
    gc.freeze()
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    call = getattr(ctypes.CDLL(None), name, None)
    if call is not None:
        call(*arguments)
