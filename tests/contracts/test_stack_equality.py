"""The contract this project stands on: a member's weights do not depend on what else is in the stack."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.config.schema import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    OneCycleScheduleConfig,
    PlateauScheduleConfig,
    StepScheduleConfig,
    TaskConfig,
    TrialConfig,
)
from pipelines.training import MemberResult, fit
from tests.tables import cnn, custom, early, gru, linear, mlp, optimizers, resnet, small_table, switched_on, trial

SCHEDULES: list[Any] = [
    PlateauScheduleConfig(
        kind="plateau", warmup_epochs=1.0, factor=0.3, patience=1, min_delta=0.05, final_fraction=0.01
    ),
    CosineScheduleConfig(kind="cosine", warmup_epochs=1.5, final_fraction=0.0),
    ConstantScheduleConfig(kind="constant", warmup_epochs=0.0),
    StepScheduleConfig(kind="step", warmup_epochs=0.0, every_epochs=2, gamma=0.3),
    ExponentialScheduleConfig(kind="exponential", warmup_epochs=0.0, gamma=0.8),
    CosineScheduleConfig(kind="cosine", warmup_epochs=0.0, final_fraction=0.1),
    OneCycleScheduleConfig(
        kind="one_cycle", warmup_epochs=0.0, warmup_fraction=0.3, initial_divisor=25.0, final_divisor=1e4
    ),
]


def assert_same(alone: MemberResult, stacked: MemberResult) -> None:
    assert alone.failure == stacked.failure
    assert (alone.epochs, alone.best_epoch) == (stacked.epochs, stacked.best_epoch)
    assert alone.weights.keys() == stacked.weights.keys()
    assert alone.weights, "an empty model equals any other"
    for name, weight in alone.weights.items():
        torch.testing.assert_close(weight, stacked.weights[name], rtol=0, atol=1e-9)
    for name, curve in alone.curves.items():
        assert curve == pytest.approx(stacked.curves[name], abs=1e-9)


def assert_alone_equals_stacked(trials: list[TrialConfig], kind: Any) -> None:
    prepared, task = small_table(kind)
    stacked = fit(trials, prepared, task)
    for own, member in zip(trials, stacked, strict=True):
        assert_same(fit([own], prepared, task)[0], member)


NETS: dict[str, Callable[..., Any]] = {
    "resnet": resnet,
    "cnn": cnn,
    "gru": gru,
    "resnet of embeddings": partial(resnet, numbers="periodic", categories="embedding"),
    "mlp of periodic numbers": partial(mlp, numbers="periodic"),
    "mlp of piecewise numbers": partial(mlp, numbers="piecewise"),
    "mlp of embedded categories": partial(mlp, categories="embedding", activation="relu"),
}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
def test_every_net_alone_equals_itself_in_a_stack(net: Callable[..., Any]) -> None:
    regularised = optimizers(l1=1e-3, l2=1e-2, weight_decay=0.1)
    trials = [
        trial(optimizer=own, model=net(dropout=dropout), seed=seed, max_epochs=epochs)
        for own, dropout, seed, epochs in [
            (optimizers()["adam"], 0.0, 0, 4),
            (regularised["adamw"], 0.3, 1, 4),
            (regularised["sgd"], 0.5, 0, 1),
            (optimizers()["momentum"], 0.0, 2, 2),
        ]
    ]
    assert_alone_equals_stacked(trials, "multiclass")
    assert_alone_equals_stacked([replace(own, seed=0) for own in trials], "regression")  # one stream


USER_NETS = ["Perceptron", "Normalised", "BatchNormalised", "Dropping", "Attending"]
custom_trials = st.builds(
    trial,
    optimizer=st.sampled_from(
        [*optimizers().values(), *optimizers(l1=1e-2, l2=1e-2, weight_decay=0.1, clip_norm=0.2).values()]
    ),
    seed=st.integers(0, 2),
    max_epochs=st.integers(1, 4),
)


@pytest.mark.parametrize("net", USER_NETS)
@settings(max_examples=4, deadline=None)
@given(trials=st.lists(custom_trials, min_size=2, max_size=4), one_seed=st.booleans())
def test_a_users_own_net_alone_equals_itself_in_a_stack(net: str, trials: list[TrialConfig], *, one_seed: bool) -> None:
    seeds = [0 if one_seed else own.seed for own in trials]
    own = [replace(given, model=custom(net), seed=seed) for given, seed in zip(trials, seeds, strict=True)]
    assert_alone_equals_stacked(own, "multiclass")


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("model", [linear(), mlp(dropout=0.3)], ids=["linear", "mlp"])
def test_every_optimizer_alone_equals_itself_in_a_stack_of_all(kind: Any, model: Any) -> None:
    regularised = optimizers(l1=1e-3, l2=1e-2, weight_decay=0.1)
    trials = [trial(optimizer=own, model=model) for own in (*optimizers().values(), *regularised.values())]
    assert_alone_equals_stacked(trials, kind)


def test_every_schedule_alone_equals_itself_in_a_stack_of_all() -> None:
    assert_alone_equals_stacked([trial(schedule=own, max_epochs=5) for own in SCHEDULES], "regression")


def test_members_that_stop_at_different_epochs_leave_the_others_as_they_were() -> None:
    trials = [
        trial(
            optimizer=dataclasses.replace(optimizers()["adam"], lr=lr), stopping=early(2), max_epochs=epochs, seed=seed
        )
        for lr, epochs, seed in [(0.3, 30, 0), (0.01, 3, 1), (0.1, 12, 2), (0.03, 1, 0), (0.02, 20, 1)]
    ]
    prepared, task = small_table("regression")
    ends = [result.epochs for result in fit(trials, prepared, task)]
    assert len(set(ends)) >= 3, "members must end at different epochs, or compaction is not tested"
    assert_alone_equals_stacked(trials, "regression")


REGULARISED = optimizers(l1=1e-2, l2=1e-2, weight_decay=0.1, clip_norm=0.2)
OPTIMIZERS = [own for each in (*optimizers().values(), *REGULARISED.values()) for own in (each, *switched_on(each))]


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_smoothing_and_class_weights_alone_equal_themselves_in_a_stack_of_others(kind: Any) -> None:
    tasks = [
        TaskConfig(kind="auto", loss="auto", metric="auto", class_weights=weights, label_smoothing=share)
        for share, weights in [(0.0, "none"), (0.1, "none"), (0.3, "balanced"), (0.0, "balanced")]
    ]
    assert_alone_equals_stacked([trial(task=own, stopping=early(2), max_epochs=8) for own in tasks], kind)


@st.composite
def stacks(draw: st.DrawFn, *, min_size: int, max_size: int) -> list[TrialConfig]:
    """Trials of one net, of ReLU (which trains by `stack.perceptron` on the CPU) or of tanh."""
    net = partial(mlp, activation=draw(st.sampled_from(["relu", "tanh"])))
    members = st.builds(
        trial,
        optimizer=st.sampled_from(OPTIMIZERS),
        schedule=st.sampled_from(SCHEDULES),
        model=st.sampled_from([net(), net(dropout=0.2), net(dropout=0.5)]),
        stopping=st.sampled_from([early(1), early(3), early(1, min_delta=0.05)]),
        seed=st.integers(0, 2),
        max_epochs=st.integers(1, 6),
    )
    return draw(st.lists(members, min_size=min_size, max_size=max_size))


@settings(max_examples=15, deadline=None)
@given(trials=stacks(min_size=2, max_size=6), kind=st.sampled_from(["regression", "multiclass"]))
def test_any_trial_alone_equals_itself_in_any_stack(trials: list[TrialConfig], kind: Any) -> None:
    assert_alone_equals_stacked(trials, kind)


def test_a_member_that_diverges_leaves_its_neighbours_bit_equal() -> None:
    prepared, task = small_table("regression")
    calm = [trial(optimizer=optimizers()["sgd"], seed=seed, model=linear()) for seed in (0, 0)]
    wild = trial(optimizer=dataclasses.replace(optimizers()["sgd"], lr=1e200), model=linear())
    together = fit([calm[0], wild, calm[1]], prepared, task)
    replaced = fit([calm[0], calm[0], calm[1]], prepared, task)
    assert together[1].failure is not None
    for place in (0, 2):
        assert together[place].failure is None
        for name, weight in together[place].weights.items():
            assert torch.equal(weight, replaced[place].weights[name])


def test_a_diverged_member_says_when_and_at_which_rate_and_what_to_try() -> None:
    prepared, task = small_table("regression")
    wild = trial(optimizer=dataclasses.replace(optimizers()["sgd"], lr=1e200), model=linear())
    (result,) = fit([wild], prepared, task)
    assert result.failure is not None
    assert "epoch 0 at learning rate 1e+200" in result.failure
    assert "Try a smaller optimizer.lr" in result.failure
    assert not result.weights


def test_two_runs_give_the_same_numbers() -> None:
    prepared, task = small_table("binary")
    trials = [trial(seed=seed, model=mlp(dropout=0.4), precision="32-true") for seed in (0, 1)]
    first, second = fit(trials, prepared, task), fit(trials, prepared, task)
    for one, other in zip(first, second, strict=True):
        assert one.curves == other.curves
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_trials_of_two_architectures_are_refused_as_one_stack() -> None:
    prepared, task = small_table()
    with pytest.raises(ValueError, match="Trials 0 and 1 cannot share a stack"):
        fit([trial(), trial(model=mlp((3,)))], prepared, task)
