"""What a training must compute at least, and how quickly this machine computes: nobody can be faster than the two."""

import time

import torch

from benchmarks.sweep.settings import N_COLUMNS

PRODUCT_SIZE = 2048  # of the square matrices: large enough for the highest rate, small enough for a moment
PRODUCT_ROUNDS = 10


def epoch_operations(n_members: int, *, width: int, n_train: int, n_validation: int) -> int:
    """Floating-point operations of the matrix products of an epoch: steps on so many rows, then a look at others."""
    forward = 2 * (N_COLUMNS * width + width * width + width)
    backward = 2 * forward - 2 * N_COLUMNS * width  # nothing flows back to the columns
    return n_members * (n_train * (forward + backward) + n_validation * forward)


def measure_peak() -> float:
    """Operations a second of a large matrix product in float32, the best of some."""
    a, b = torch.randn(2, PRODUCT_SIZE, PRODUCT_SIZE)
    seconds = []
    for _ in range(PRODUCT_ROUNDS):
        started = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * PRODUCT_SIZE**3 / min(seconds)
