"""The most memory that a process ever held."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def largest_bytes() -> int:
    """Of this process, in bytes."""
    if STATUS.exists():  # `ru_maxrss` of a process begins with what its parent had when it was forked
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
