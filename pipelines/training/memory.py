"""How the C library keeps memory between steps."""

import ctypes
import os
import sys

MEBIBYTE = 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MiB that a step frees, for the next one.

    It gives them back, and every page that is asked for again is zeroed anew: up to a fifth of the steps of 64 members,
    more in one process than in the next. These limits are those that glibc comes to by itself in a process that has
    freed a block of 32 MiB. Who has set others in the environment keeps them; other libraries have no such call.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, 32 * MEBIBYTE)
        library.mallopt(M_TRIM_THRESHOLD, 64 * MEBIBYTE)
