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
