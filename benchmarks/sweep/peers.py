"""The same training elsewhere, written as their users write it: Lightning, a bare torch loop, scikit-learn."""

import warnings

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.sweep.lightning_net import LightningNet, make_net
from benchmarks.sweep.problem import Arrays
from benchmarks.sweep.settings import BATCH_ROWS, Setting


def train_lightning(settings: tuple[Setting, ...], arrays: Arrays, *, width: int, epochs: int) -> None:
    """One trial after the other, with a DataLoader over a TensorDataset."""
    x, y, validation_x, validation_y = _tensors(arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about the number of workers: tensors need none
        for setting in settings:
            train = DataLoader(TensorDataset(x, y), batch_size=BATCH_ROWS, shuffle=True)
            validation = DataLoader(TensorDataset(validation_x, validation_y), batch_size=4096)
            trainer = pl.Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(LightningNet(setting, width=width), train, validation)


def train_bare(settings: tuple[Setting, ...], arrays: Arrays, *, width: int, epochs: int) -> None:
    """A loop over tensors without a framework: torch's fastest AdamW, batches by a permutation."""
    x, y, validation_x, validation_y = _tensors(arrays)
    for setting in settings:
        net = make_net(width, setting.dropout)
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=setting.learning_rate, weight_decay=setting.weight_decay, fused=True
        )
        for _ in range(epochs):
            net.train()
            for rows in torch.randperm(len(x)).split(BATCH_ROWS):
                optimizer.zero_grad()
                binary_cross_entropy_with_logits(net(x[rows]).squeeze(-1), y[rows]).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                binary_cross_entropy_with_logits(net(validation_x).squeeze(-1), validation_y).item()


def train_sklearn(settings: tuple[Setting, ...], arrays: Arrays, *, width: int, epochs: int) -> None:
    """A search over two processes; scikit-learn has neither dropout nor decoupled decay, so it does less."""
    x = np.concatenate([arrays.train_x, arrays.validation_x])
    y = np.concatenate([arrays.train_y, arrays.validation_y])
    part = np.concatenate([np.full(len(arrays.train_y), -1), np.zeros(len(arrays.validation_y))])
    estimator = MLPClassifier(
        (width, width), batch_size=BATCH_ROWS, max_iter=epochs, tol=0.0, n_iter_no_change=10**6, random_state=0
    )
    grid = {"learning_rate_init": [own.learning_rate for own in settings], "alpha": [0.0, 0.001, 0.01, 0.1]}
    search = RandomizedSearchCV(
        estimator,
        grid,
        n_iter=len(settings),
        n_jobs=2,
        cv=PredefinedSplit(part),
        refit=False,
        scoring="neg_log_loss",
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few epochs do not converge
        search.fit(x, y)


def _tensors(arrays: Arrays) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, validation_x = torch.from_numpy(arrays.train_x), torch.from_numpy(arrays.validation_x)
    return x, torch.from_numpy(arrays.train_y).float(), validation_x, torch.from_numpy(arrays.validation_y).float()
