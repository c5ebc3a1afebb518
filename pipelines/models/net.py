"""What every architecture is: a module over encoded rows whose parameters have the members axis first."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.config.schema import TrainerConfig
from pipelines.stack.randomness import DropoutNoise


class StackedNet(nn.Module, ABC):
    """A stack of one architecture."""

    @abstractmethod
    def forward(
        self,
        numbers: Float[Tensor, "streams rows numbers"],
        codes: Int[Tensor, "streams rows columns"],
        noise: DropoutNoise | None = None,
    ) -> Float[Tensor, "members rows outputs"]:
        """Compute every member's outputs.

        Args:
            numbers: number features; `streams` is 1 when all members see the same rows, else one slice a member.
            codes: category codes, likewise; 0 is an unseen label.
            noise: of dropout while training; None in evaluation.
        """


def weights_dtype(trainer: TrainerConfig) -> torch.dtype:
    """What weights are kept in; with bf16-mixed some operators alone compute in less."""
    return torch.float64 if trainer.precision == "64-true" else torch.float32
