"""Where a stack trains; the device is checked before Lightning would fail on it in its own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from pipelines.config.schema import TrainerConfig
from pipelines.errors import UserError

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Place:
    """Where one stack trains.

    Attributes:
        device: of its tensors.
        n_threads: of the CPU that compute for it.
    """

    device: torch.device
    n_threads: int


def place_here(accelerator: Accelerator) -> Place:
    """This process, as it is."""
    return Place(device_here(accelerator), torch.get_num_threads())


@contextmanager
def computing_with(n_threads: int) -> Iterator[None]:
    """Let torch compute in so many threads for the length of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_device(trainer: TrainerConfig) -> None:
    """Refuse an accelerator that this machine lacks, and numbers that the one meant here lacks.

    Raises:
        UserError: says what is missing.
    """
    accelerator = trainer.accelerator
    if accelerator not in ("auto", device_here(accelerator).type):
        raise UserError(
            f"trainer.accelerator={accelerator}, but torch sees no such device here; use trainer.accelerator=auto."
        )
    if trainer.precision == "64-true" and device_here(accelerator).type == "mps":
        raise UserError(
            f"trainer.precision=64-true, but trainer.accelerator={accelerator} means an mps device here, which has no "
            "64-bit numbers; use trainer.accelerator=cpu."
        )


def device_here(accelerator: Accelerator) -> torch.device:
    """What an accelerator means on this machine: `auto` is the fastest device that there is.

    The CPU stands for what is missing, as a GPU may be where a cluster with GPUs is asked from.
    """
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
