"""The device that a stack trains on, checked before Lightning would fail on it in its own words."""

from typing import Literal

import torch

from pipelines.config.schema import TrainerConfig
from pipelines.errors import UserError

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


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
