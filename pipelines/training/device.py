"""The device that a stack trains on, checked before Lightning would fail on it in its own words."""

from typing import Literal

import torch

from pipelines.errors import UserError

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


def check_accelerator(accelerator: Accelerator) -> None:
    """Refuse an accelerator that this machine lacks.

    Raises:
        UserError: says which one it lacks.
    """
    lacks_cuda = accelerator == "cuda" and not torch.cuda.is_available()
    lacks_mps = accelerator == "mps" and not torch.backends.mps.is_available()
    if lacks_cuda or lacks_mps:
        raise UserError(
            f"trainer.accelerator={accelerator}, but torch sees no such device here; use trainer.accelerator=auto."
        )


def device_type(accelerator: Accelerator) -> Literal["cpu", "cuda", "mps"]:
    """The type of the device that an accelerator means here: `auto` is the fastest that there is."""
    if accelerator != "auto":
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
