"""The net as Lightning's users write it."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.sweep.settings import N_COLUMNS, Setting


def make_net(width: int, dropout: float) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        *(nn.Linear(N_COLUMNS, width), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(width, 1),
    )


class LightningNet(pl.LightningModule):
    """The net as a Lightning user writes it."""

    def __init__(self, setting: Setting, *, width: int) -> None:
        super().__init__()
        self.net = make_net(width, setting.dropout)
        self._setting = setting

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        return binary_cross_entropy_with_logits(self.net(batch[0]).squeeze(-1), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Loss of a batch, kept as users keep it."""
        self.log("validation_loss", binary_cross_entropy_with_logits(self.net(batch[0]).squeeze(-1), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        own = self._setting
        return torch.optim.AdamW(self.parameters(), lr=own.learning_rate, weight_decay=own.weight_decay)
