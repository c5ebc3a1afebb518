"""No step asks the device for a number: what would make it wait is found here without one."""

import dataclasses
from contextlib import nullcontext

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.training import fit
from pipelines.training.batches import Batches
from pipelines.training.module import StackModule
from tests.folds import folded_trial, in_folds, raw_table
from tests.tables import linear, mlp, optimizers, small_table, trial

# `item` and a tensor used as a condition; sizes that depend on values; comparing whole tensors.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "is_nonzero"}


class Operators(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        has_mask = func.name() == "aten::index.Tensor" and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        self.names.add("nonzero" if has_mask else func.name().removeprefix("aten::").partition(".")[0])
        return func(*args, **(kwargs or {}))


@pytest.fixture
def operators_of_steps(monkeypatch):
    """Of the second epoch from its second step to its last, what lies between the steps included."""
    operators = Operators()
    train = StackModule.training_step

    def watch(module, batches, index):
        train(module, Batches(batches._make, batches._starts[:1]), index)
        with operators if module.current_epoch == 1 else nullcontext():
            train(module, Batches(batches._make, batches._starts[1:]), index)

    monkeypatch.setattr(StackModule, "training_step", watch)
    return operators.names


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("model", [linear(), mlp(dropout=0.2)], ids=["linear", "mlp"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_no_step_waits_for_the_device(operators_of_steps, kind, model, n_seeds):
    prepared, task = small_table(kind, n_rows=100)
    kinds = [*optimizers().values(), *optimizers(l1=1e-3, l2=1e-2, weight_decay=0.1).values()]
    trials = [trial(optimizer=own, model=model, max_epochs=2, seed=place % n_seeds) for place, own in enumerate(kinds)]
    fit(trials, prepared, task)
    assert {"bmm", "mm", "baddbmm"} & operators_of_steps, "steps must have been watched"
    assert not operators_of_steps & WAITING


def test_what_waits_is_noticed(operators_of_steps, monkeypatch):
    """The test above can fail."""
    step = StackModule.step

    def curious_step(module, batch):
        step(module, batch)
        assert next(module.parameters()).sum() > float("-inf")

    monkeypatch.setattr(StackModule, "step", curious_step)
    prepared, task = small_table(n_rows=100)
    fit([dataclasses.replace(trial(max_epochs=2), seed=1)], prepared, task)
    assert operators_of_steps & WAITING


def test_no_step_on_folds_of_unequal_size_waits_for_the_device(operators_of_steps):
    prepared, task = in_folds(raw_table("binary", n_rows=82, awkward=True))  # 23 and 24 rows are held out
    trials = [folded_trial(model=mlp(dropout=0.2), max_epochs=2, seed=seed) for seed in (0, 1)]
    fit(trials, prepared, task)
    assert {"bmm", "mm", "baddbmm"} & operators_of_steps, "steps must have been watched"
    assert not operators_of_steps & WAITING
