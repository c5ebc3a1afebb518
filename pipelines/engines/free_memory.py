"""How much memory is free where a stack trains: of the device, and within the limits that a container sets."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device; of the CPU no more than the groups that this process is in may still take."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what torch keeps of tensors that are gone; the device counts it as taken
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return min([int(psutil.virtual_memory().available), *_left_by_limits(CGROUPS, OWN_GROUPS)])


def _left_by_limits(cgroups: Path, own_groups: Path) -> Iterator[int]:
    """Bytes below the limit of each control group, from the outermost to this process's own; version 2 or 1."""
    if not own_groups.exists():  # no Linux
        return
    for line in own_groups.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = cgroups / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = Path(path).parts[1:]
        for depth in range(len(parts) + 1):
            yield from _left(root.joinpath(*parts[:depth]), *names)


def _left(group: Path, limit_name: str, used_name: str, cache_name: str) -> Iterator[int]:
    """Below the limit of one group, if it has one. What files were read into and nobody uses is given back."""
    if not (group / limit_name).is_file() or not (group / used_name).is_file():
        return  # the outermost group has none; and of a container's groups it may see its own alone, as the outermost
    limit = (group / limit_name).read_text(encoding="utf-8").strip()
    if limit == "max":
        return
    used = int((group / used_name).read_text(encoding="utf-8"))
    statistics = (line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    cache = next((int(value) for name, value in statistics if name == cache_name), 0)
    yield max(0, int(limit) - max(0, used - cache))
