"""Memory to measure with: fresh pages of whoever touches them first, large ones where the system has them."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
from numpy.typing import NDArray

__all__ = ["allocate", "address_of"]

_HUGE = 2 << 20


def allocate(size: int, stagger: int = 0) -> NDArray[np.uint8]:
    """`size` bytes of anonymous memory, untouched, starting `stagger` bytes after a 2 MB boundary.

    Large pages are asked for where the system gives them on request. Different staggers keep arrays of one loop
    from the same place in their 4 KB pages, where a store would hold up later loads. Freed with the array.
    """
    length = size + stagger + _HUGE
    if hasattr(mmap, "MAP_PRIVATE"):  # the default would be shared memory, for which large pages are often off
        region = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:
        region = mmap.mmap(-1, length)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without large pages: the small ones do
            region.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(region, np.uint8)
    start = -address_of(whole) % _HUGE + stagger
    return whole[start : start + size]


def address_of(array: NDArray[np.uint8]) -> int:
    """Address of the first byte, for native code; valid while the array lives."""
    return int(array.ctypes.data)
