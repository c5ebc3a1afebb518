"""The table as a search reads it: a file, three parts, standardised columns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytorch_lightning as lightning
import torch
from pytorch_lightning import Callback
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.sweep.lightning_net import LightningNet
from benchmarks.sweep.settings import BATCH_ROWS, Setting

TRAIN, VALIDATION = 0.6, 0.2  # of the rows; the others are for a test


@dataclass(frozen=True)
class Parts:
    """What is trained and validated on: columns, float32 [N, F], and classes, float32 [N]."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]


def read_parts(path: Path) -> Parts:
    """Read, shuffle, divide, standardise by the training part."""
    frame = pl.read_parquet(path)
    y = (frame["target"] == "yes").to_numpy().astype(np.float32)
    x = frame.drop("target").to_numpy().astype(np.float32)
    rows = np.random.default_rng(0).permutation(len(y))
    train, validation, _ = np.split(rows, [int(TRAIN * len(y)), int((TRAIN + VALIDATION) * len(y))])
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    x = (x - mean) / deviation
    return Parts((x[train], y[train]), (x[validation], y[validation]))


def train_trial(setting: Setting, parts: Parts, *, width: int, epochs: int, callbacks: tuple[Callback, ...]) -> float:
    """Train one trial; its validation loss at the end.

    Without loaders in processes of their own, which cost more than they bring where a table lies in memory; without
    what Lightning writes and shows.
    """
    train, validation = (_dataset(part) for part in (parts.train, parts.validation))
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
    )
    loaders = DataLoader(train, batch_size=BATCH_ROWS, shuffle=True), DataLoader(validation, batch_size=4096)
    trainer.fit(LightningNet(setting, width=width), *loaders)
    return float(trainer.callback_metrics["validation_loss"])


def _dataset(part: tuple[np.ndarray, np.ndarray]) -> TensorDataset:
    x, y = (torch.from_numpy(np.array(own)) for own in part)
    return TensorDataset(x, y)
