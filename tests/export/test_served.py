from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.config.schema import TaskKind
from pipelines.data.encode import Features
from pipelines.export import ServedMember, build_served
from pipelines.models import input_facts
from tests.export.tables import LINEAR, MLP, drawn_members, mixed_table, task_of


def one_hot(features: Features, cardinalities: tuple[int, ...]) -> Tensor:
    codes = torch.from_numpy(features.codes).long()
    labels = [functional.one_hot(codes[:, place], size + 1)[:, 1:] for place, size in enumerate(cardinalities)]
    return torch.cat([torch.from_numpy(features.numbers), *labels], dim=1)


def outputs_of(member: ServedMember, x: Tensor) -> Tensor:
    layers = sorted({name.rpartition(".")[0] for name in member.weights})  # hidden.0, hidden.1, output
    for layer in layers:
        x = functional.linear(x, member.weights[f"{layer}.weight"], member.weights[f"{layer}.bias"])
        if layer != "output":
            x = nn.GELU()(x)
    return x


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_predictions_of_members_are_averaged_by_weight(kind: TaskKind):
    prepared = mixed_table(kind)
    task = task_of(prepared)
    members = drawn_members(prepared, [MLP, LINEAR, MLP])
    x = one_hot(prepared.test.features, prepared.encoder.cardinalities)
    expected = sum(member.weight * task.link(outputs_of(member, x)) for member in members)
    actual = build_served(members, inputs=input_facts(prepared), task=task).predict(prepared.test.features)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_members_that_differ_in_dropout_alone_share_a_stack():
    prepared = mixed_table()
    members = drawn_members(prepared, [MLP, replace(MLP, dropout=0.0), LINEAR])
    served = build_served(members, inputs=input_facts(prepared), task=task_of(prepared))
    assert [len(stack.shares) for stack in served.stacks] == [2, 1]


def test_weights_of_any_precision_are_served_in_float32():
    prepared = mixed_table()
    (member,) = drawn_members(prepared, [LINEAR])
    double = replace(member, weights={name: value.double() for name, value in member.weights.items()})
    served = build_served([double], inputs=input_facts(prepared), task=task_of(prepared))
    assert served.predict(prepared.test.features).dtype == np.float32


def test_more_rows_than_are_computed_at_once_come_back_in_order():
    prepared = mixed_table()
    served = build_served(drawn_members(prepared, [LINEAR]), inputs=input_facts(prepared), task=task_of(prepared))
    once = prepared.test.features
    times = 300
    many = served.predict(Features(np.tile(once.numbers, (times, 1)), np.tile(once.codes, (times, 1))))
    np.testing.assert_allclose(many, np.tile(served.predict(once), (times, 1)), rtol=1e-6)


def test_weights_in_the_average_must_sum_to_one():
    prepared = mixed_table()
    members = drawn_members(prepared, [LINEAR, LINEAR])
    with pytest.raises(ValueError, match=r"must sum to 1, got 0\.3\d* from 1 members"):
        build_served(members[:1], inputs=input_facts(prepared), task=task_of(prepared))
    with pytest.raises(ValueError, match="must sum to 1, got 0 from 0 members"):
        build_served([], inputs=input_facts(prepared), task=task_of(prepared))
