"""How many bytes tensors take at most while each function runs, counted tensor by tensor.

Not read off the process, whose size says more of its past. Not counted is what the C library keeps between tensors on a
CPU: with glibc as it comes, processes grew up to 2.4 times as much as their tensors; with MALLOC_MMAP_THRESHOLD_=65536
no more than these. Half of the free memory, the budget unless one is given, leaves room for most of that.
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it without types
    """Counts the bytes of all tensors on a device that are alive, and keeps each function's peak.

    Args:
        device: its type.

    Attributes:
        peaks: bytes at most, by the name of the function of this project that was running.
    """

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.peaks: dict[str, int] = defaultdict(int)
        self._device = device
        self._alive = 0
        self._storages: dict[int, ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type == self._device:
                self._count(tensor.untyped_storage())
        function = _function_of_ours()
        self.peaks[function] = max(self.peaks[function], self._alive)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        identity = storage._cdata  # noqa: SLF001  the one name that all tensors on a storage share
        known = self._storages.get(identity)
        if known is not None and known() is not None:
            return
        n_bytes = storage.nbytes()
        self._alive += n_bytes
        self._storages[identity] = ref(storage, lambda _: self._forget(n_bytes))

    def _forget(self, n_bytes: int) -> None:
        self._alive -= n_bytes


def _function_of_ours() -> str:
    """The innermost function of this project that is running; nothing in a thread of autograd's own."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  `inspect` would read source files, thousands of times
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("pipelines."):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return ""
