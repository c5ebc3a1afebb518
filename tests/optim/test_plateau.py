"""A member's rate falls as `torch.optim.lr_scheduler.ReduceLROnPlateau` lets it fall."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pipelines.config.schema import ConstantScheduleConfig, PlateauScheduleConfig
from pipelines.optim import MemberSchedule, StackOptimizer
from pipelines.optim.plateau import start_plateau
from tests.tables import optimizers

CONSTANT = ConstantScheduleConfig(kind="constant", warmup_epochs=0.0)


def plateau(**changes: float) -> PlateauScheduleConfig:
    fields = {"factor": 0.5, "patience": 2, "min_delta": 0.0, "final_fraction": 0.1} | changes
    return PlateauScheduleConfig(kind="plateau", warmup_epochs=0.0, **fields)


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.5, -1.0]), max_size=30),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.07]),
)
def test_a_member_is_reduced_as_torch_reduces(scores, factor, patience, min_delta) -> None:
    own = start_plateau([CONSTANT, plateau(factor=factor, patience=patience, min_delta=min_delta)])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = ReduceLROnPlateau(
        optimizer,
        mode="max",
        factor=factor,
        patience=patience,
        threshold=min_delta,
        threshold_mode="abs",
        min_lr=0.1,
        eps=0.0,
    )
    for score in scores:
        own = own.after(np.array([score, score]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no step was taken before
            theirs.step(score)
        assert own.scales[0] == 1.0
        assert own.scales[1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_what_is_no_number_is_no_improvement() -> None:
    own = start_plateau([plateau(patience=1)])
    for score in (1.0, float("nan"), float("nan")):
        own = own.after(np.array([score]))
    assert own.scales.tolist() == [0.5]


def test_the_optimizer_keeps_and_hands_on_what_was_reduced() -> None:
    configs = [optimizers()["sgd"]] * 3
    schedules = [MemberSchedule(own, 10, 5) for own in (plateau(patience=1), CONSTANT, plateau(patience=9))]

    param = torch.nn.Parameter(torch.zeros(3, 2))

    def make() -> StackOptimizer:
        return StackOptimizer([param], configs, schedules=schedules, decayed=[True])

    first = make()
    for _ in range(3):
        first.observe(np.zeros(3))
    rate = configs[0].lr
    assert first.current_learning_rates().tolist() == pytest.approx([rate / 2, rate, rate])
    second = make()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.current_learning_rates(), second.current_learning_rates())
    param.data = param.data[[0, 2]]
    second.take_(torch.tensor([0, 2]))
    assert second.current_learning_rates().tolist() == pytest.approx([rate / 2, rate])
    second.observe(np.zeros(2))
    second.observe(np.zeros(2))
    assert second.current_learning_rates().tolist() == pytest.approx([rate / 4, rate])
