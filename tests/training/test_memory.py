"""What a step frees is there for the next one, without the kernel's help."""

import ctypes
import os
import resource
import sys

import pytest
import torch

from pipelines.training.memory import MEBIBYTE, keep_freed_memory

N_ROUNDS, N_TENSORS = 10, 3
BYTES = 12 * MEBIBYTE  # of each
PAGES = N_TENSORS * BYTES // resource.getpagesize()


def use_and_free() -> None:
    _ = [torch.ones(BYTES, dtype=torch.uint8) for _ in range(N_TENSORS)]


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have no such call")
def test_freed_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    keep_freed_memory()
    for _ in range(3):  # until the heap is as large as it will be
        use_and_free()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(N_ROUNDS):
        use_and_free()
    n_faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert n_faults < N_ROUNDS * PAGES / 4  # of what it takes to get all anew


def test_limits_of_the_users_own_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()
