"""The contract of folds: a fold's member is what it is when it trains alone on the fold's rows."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.training import MemberResult, fit
from tests.contracts.test_stack_equality import OPTIMIZERS, REGULARISED, SCHEDULES
from tests.folds import fold_alone, folded_trial, in_folds, raw_table, with_n_folds
from tests.tables import cnn, custom, early, gru, linear, mlp, optimizers, resnet

NETS = {
    "linear": linear,
    "mlp": mlp,
    "mlp of ReLU": partial(mlp, activation="relu"),
    "resnet": resnet,
    "mlp of periodic numbers": partial(mlp, numbers="periodic"),
    "mlp of piecewise numbers": partial(mlp, numbers="piecewise"),
    "mlp of embedded categories": partial(mlp, categories="embedding"),
    "resnet of embeddings": partial(resnet, numbers="piecewise", categories="embedding"),
}


def assert_alone_equals_fold(alone: MemberResult, member: MemberResult) -> None:
    assert alone.failure is None
    assert member.failure is None
    assert (alone.epochs, alone.best_epoch) == (member.epochs, member.best_epoch)
    for name, curve in alone.curves.items():
        assert curve == pytest.approx(member.curves[name], abs=1e-9)
    np.testing.assert_allclose(alone.predictions, member.predictions, rtol=0, atol=1e-8)
    for name, value in alone.metrics.items():
        assert value == pytest.approx(member.metrics[name], abs=1e-8)
    for name, weight in alone.weights.items():
        own = member.weights[name]
        if own.shape == weight.shape:
            torch.testing.assert_close(weight, own, rtol=0, atol=1e-9)
        else:  # what the fold's training rows lack has no weight
            assert own.numel() > weight.numel()
            assert own.count_nonzero() == weight.count_nonzero()
            torch.testing.assert_close(weight[weight != 0], own[own != 0], rtol=0, atol=1e-9)


def assert_folds_equal_themselves_alone(
    trials: list[TrialConfig], prepared: PreparedTable, task: Any, *, of_trial: int = 0, **asked: Any
) -> None:
    """Train all trials together, and one of them fold by fold."""
    members = fit(trials, prepared, task)
    n_folds = len(prepared.folds)
    assert len(members) == n_folds * len(trials)
    for fold in range(n_folds):
        (alone,) = fit([with_n_folds(trials[of_trial], 0)], *fold_alone(prepared, fold, **asked))
        assert_alone_equals_fold(alone, members[(of_trial % len(trials)) * n_folds + fold])


@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
def test_every_net_on_a_fold_equals_itself_alone(net: Any) -> None:
    trials = [
        folded_trial(model=net(**({} if net is linear else {"dropout": dropout})), optimizer=own, seed=seed)
        for own, dropout, seed in [(optimizers()["sgd"], 0.3, 1), (REGULARISED["adamw"], 0.0, 0)]
    ]
    prepared, task = in_folds(raw_table("multiclass", awkward=True))
    assert_folds_equal_themselves_alone(trials, prepared, task, of_trial=0)
    prepared, task = in_folds(raw_table("regression", awkward=True))
    assert_folds_equal_themselves_alone(trials, prepared, task, of_trial=1)


@pytest.mark.parametrize(
    "net", ["Perceptron", "Dropping", "Recurrent", "BatchNormalised", "Noisy", "NormalisedAndDropping"]
)
@pytest.mark.parametrize("n_rows", [60, 58], ids=["equal folds", "folds of 30 and 31 rows"])
def test_a_users_own_net_on_a_fold_equals_itself_alone(net: str, n_rows: int) -> None:
    prepared, task = in_folds(raw_table("multiclass", n_rows=n_rows))
    trials = [folded_trial(model=custom(net), seed=seed) for seed in (1, 2)]
    assert_folds_equal_themselves_alone(trials, prepared, task)


def test_a_users_own_net_is_told_nothing_that_its_fold_could_not_teach_it() -> None:
    prepared, task = in_folds(raw_table("multiclass", awkward=True))
    members = fit([folded_trial(model=custom("Perceptron"))], prepared, task)
    masks = [member.weights["known.mask"] for member in members]
    assert sorted(int((~mask).sum()) for mask in masks) == [0, 0, 2], (
        "a label and a missing value are in one fold alone"
    )


@pytest.mark.parametrize("net", [cnn, gru])
def test_a_net_that_reads_numbers_by_their_places_trains_on_folds_that_have_the_same(net: Any) -> None:
    prepared, task = in_folds(raw_table("binary"))
    assert_folds_equal_themselves_alone([folded_trial(model=net(dropout=0.2))], prepared, task)
    prepared, task = in_folds(raw_table("binary", awkward=True))
    with pytest.raises(UserError, match="some folds have others"):
        fit([folded_trial(model=net(grid=(1, 4)) if net is cnn else net())], prepared, task)


def test_class_weights_are_those_of_the_folds_own_rows() -> None:
    table = raw_table("binary")
    fold_of_row = np.arange(48) % 3
    for code, fold in [(0, 1), (1, 0)]:  # three rows of each class change places, and with them the classes' shares
        rows = np.flatnonzero((table.target_values[:48] == code) & (np.arange(48) % 3 == fold))
        fold_of_row[rows[:3]] = 1 - fold
    prepared, task = in_folds(table, fold_of_row=fold_of_row)
    assert len({own.balancing for own in task.folds}) > 1
    plain = folded_trial()
    trials = [folded_trial(task=replace(plain.task, class_weights="balanced")), plain]
    for of_trial in (0, 1):
        assert_folds_equal_themselves_alone(trials, prepared, task, of_trial=of_trial)


member_trials = st.builds(
    folded_trial,
    optimizer=st.sampled_from(OPTIMIZERS),
    schedule=st.sampled_from(SCHEDULES),
    model=st.sampled_from([mlp(), mlp(dropout=0.2), mlp(dropout=0.5)]),
    stopping=st.sampled_from([early(1), early(3)]),
    seed=st.integers(0, 2),
    max_epochs=st.integers(1, 6),
)


@settings(max_examples=8, deadline=None)
@given(
    trials=st.lists(member_trials, min_size=1, max_size=4),
    activation=st.sampled_from(["relu", "tanh"]),
    kind=st.sampled_from(["regression", "multiclass"]),
    n_rows=st.integers(50, 60),
    n_folds=st.integers(2, 4),
)
def test_any_fold_of_any_trial_equals_itself_alone(
    trials: list[TrialConfig], activation: Any, kind: Any, n_rows: int, n_folds: int
) -> None:
    prepared, task = in_folds(raw_table(kind, n_rows=n_rows, awkward=True), n_folds=n_folds)
    n_steps = {math.ceil(len(fold.train) / trials[0].trainer.batch_size) for fold in prepared.folds}
    assume(len(n_steps) == 1)  # of a fold that would need a step more a row sits each epoch out
    own = [replace(one, model=replace(one.model, activation=activation)) for one in trials]  # of one architecture
    assert_folds_equal_themselves_alone([with_n_folds(one, n_folds) for one in own], prepared, task, of_trial=-1)


@pytest.mark.parametrize("n_folds", [0, 2])
def test_a_table_of_other_folds_than_the_trials_is_refused(n_folds: int) -> None:
    prepared, task = in_folds(raw_table())
    with pytest.raises(ValueError, match="folds"):
        fit([folded_trial(folds=n_folds)], prepared, task)
