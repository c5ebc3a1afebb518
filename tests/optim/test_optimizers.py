"""Every member of a stack walks exactly where a lone `torch.optim` optimizer walks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.config.schema import ConstantScheduleConfig, OptimizerConfig
from pipelines.optim import MemberSchedule, StackOptimizer, ahead
from tests.tables import optimizers, switched_on

CONSTANT = ConstantScheduleConfig(kind="constant", warmup_epochs=0.0)
STEPS = 40
SHAPES = [(7, 3), (3,)]
DECAYED = [True, False]


# torch's own optimizers, from parameter groups that hold the decay of weights and of biases.
REFERENCES: dict[str, Callable[[Any, Any], torch.optim.Optimizer]] = {
    "sgd": lambda groups, own: torch.optim.SGD(groups, lr=own.lr),
    "momentum": lambda groups, own: torch.optim.SGD(groups, lr=own.lr, momentum=own.momentum, dampening=own.dampening),
    "nesterov": lambda groups, own: torch.optim.SGD(groups, lr=own.lr, momentum=own.momentum, nesterov=True),
    "adagrad": lambda groups, own: torch.optim.Adagrad(
        groups, lr=own.lr, lr_decay=own.lr_decay, initial_accumulator_value=own.initial_accumulator, eps=own.eps
    ),
    "rmsprop": lambda groups, own: torch.optim.RMSprop(
        groups, lr=own.lr, alpha=own.alpha, momentum=own.momentum, eps=own.eps, centered=own.centered
    ),
    "adadelta": lambda groups, own: torch.optim.Adadelta(groups, lr=own.lr, rho=own.rho, eps=own.eps),
    "adam": lambda groups, own: torch.optim.Adam(
        groups, lr=own.lr, betas=(own.beta1, own.beta2), eps=own.eps, amsgrad=own.amsgrad
    ),
    "adamw": lambda groups, own: torch.optim.AdamW(
        groups, lr=own.lr, betas=(own.beta1, own.beta2), eps=own.eps, amsgrad=own.amsgrad
    ),
}


def reference(config: Any, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    decay = config.weight_decay if config.kind == "adamw" else config.l2
    groups = [
        {"params": [params[0]], "weight_decay": decay},
        {"params": [params[1]], "weight_decay": 0.0},
    ]
    return REFERENCES[config.kind](groups, config)


def draw(generator: torch.Generator, n_members: int) -> list[torch.Tensor]:
    return [torch.randn(n_members, *shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def members() -> list[OptimizerConfig]:
    plain, l2, decay = optimizers(), optimizers(l2=0.1), optimizers(weight_decay=0.2)
    dampened = {"momentum": [replace(plain["momentum"], momentum=0.0, dampening=0.3)]}  # without momentum, of nothing
    return [
        own
        for kind in plain
        for own in (
            plain[kind],
            (decay if kind == "adamw" else l2)[kind],
            *switched_on(plain[kind]),
            *dampened.get(kind, []),
        )
    ]


def walk(
    configs: list[OptimizerConfig], start: list[torch.Tensor], gradients: list[list[torch.Tensor]]
) -> list[nn.Parameter]:
    params = [nn.Parameter(tensor.clone()) for tensor in start]
    schedule = MemberSchedule(CONSTANT, n_steps=STEPS, steps_per_epoch=STEPS)
    optimizer = StackOptimizer(params, configs, schedules=[schedule] * len(configs), decayed=DECAYED)
    for step in gradients:
        for param, gradient in zip(params, step, strict=True):
            param.grad = gradient.clone()
        optimizer.step()
    return params


@pytest.mark.parametrize("member", range(len(members())), ids=lambda place: f"{members()[place].kind}-{place}")
def test_a_member_walks_where_torch_optim_walks(member: int) -> None:
    configs = members()
    generator = torch.Generator().manual_seed(0)
    start = draw(generator, len(configs))
    gradients = [draw(generator, len(configs)) for _ in range(STEPS)]
    stacked = walk(configs, start, gradients)

    lone = [nn.Parameter(tensor[member].clone()) for tensor in start]
    optimizer = reference(configs[member], lone)
    for step in gradients:
        for param, gradient in zip(lone, step, strict=True):
            param.grad = gradient[member].clone()
        optimizer.step()
    for ours, theirs in zip(stacked, lone, strict=True):
        torch.testing.assert_close(ours[member].detach(), theirs.detach(), rtol=1e-12, atol=1e-12)


def test_l1_adds_the_sign_of_weights_and_spares_biases() -> None:
    config = optimizers(l1=0.5)["sgd"]
    start = [torch.full((1, *shape), -2.0, dtype=torch.float64) for shape in SHAPES]
    weight, bias = walk([config], start, [[torch.zeros_like(tensor) for tensor in start]])
    torch.testing.assert_close(weight.detach(), start[0] + config.lr * 0.5)
    torch.testing.assert_close(bias.detach(), start[1])


def test_members_do_not_see_each_other() -> None:
    configs = members()
    generator = torch.Generator().manual_seed(1)
    start = draw(generator, len(configs))
    gradients = [draw(generator, len(configs)) for _ in range(5)]
    poisoned = [[gradient.clone() for gradient in step] for step in gradients]
    for step in poisoned:
        for gradient in step:
            gradient[-1] = float("nan")
    for before, after in zip(walk(configs, start, gradients), walk(configs, start, poisoned), strict=True):
        assert torch.equal(before[:-1], after[:-1])
        assert after[-1].isnan().all()


def test_members_taken_out_leave_the_others_on_their_way() -> None:
    configs = members()
    kept = torch.tensor([1, 4, 5, 11, 15])
    generator = torch.Generator().manual_seed(2)
    start = draw(generator, len(configs))
    gradients = [draw(generator, len(configs)) for _ in range(6)]
    whole = walk(configs, start, gradients)

    params = [nn.Parameter(tensor.clone()) for tensor in start]
    schedule = MemberSchedule(CONSTANT, n_steps=STEPS, steps_per_epoch=STEPS)
    optimizer = StackOptimizer(params, configs, schedules=[schedule] * len(configs), decayed=DECAYED)
    for number, step in enumerate(gradients):
        if number == 3:
            for param in params:
                param.data, param.grad = param.data[kept], None
            optimizer.take_(kept)
        for param, gradient in zip(params, step, strict=True):
            param.grad = gradient.clone() if number < 3 else gradient[kept]
        optimizer.step()
    for all_members, few in zip(whole, params, strict=True):
        assert torch.equal(all_members[kept], few)


def test_the_net_takes_its_parameters_first() -> None:
    param = nn.Parameter(torch.zeros(3, 2))
    schedule = MemberSchedule(CONSTANT, n_steps=STEPS, steps_per_epoch=STEPS)
    optimizer = StackOptimizer([param], [optimizers()["sgd"]] * 3, schedules=[schedule] * 3, decayed=[True])
    with pytest.raises(ValueError, match="must have taken its parameters before"):
        optimizer.take_(torch.tensor([0, 2]))


def test_weights_that_are_loaded_between_steps_are_stepped_from_there() -> None:
    config = optimizers(weight_decay=0.2)["adamw"]
    generator = torch.Generator().manual_seed(3)
    start, loaded, *gradients = (draw(generator, 2) for _ in range(5))
    net = nn.ParameterList([nn.Parameter(tensor.clone()) for tensor in start])
    schedule = MemberSchedule(CONSTANT, n_steps=STEPS, steps_per_epoch=STEPS)
    optimizer = StackOptimizer(list(net), [config] * 2, schedules=[schedule] * 2, decayed=DECAYED)
    net.load_state_dict({str(place): tensor for place, tensor in enumerate(loaded)})
    for step in gradients:
        for param, gradient in zip(net, step, strict=True):
            param.grad = gradient.clone()
        optimizer.step()
    for ours, theirs in zip(net, walk([config] * 2, loaded, gradients), strict=True):
        assert torch.equal(ours, theirs)


def test_a_step_is_the_same_wherever_what_it_needs_was_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = members()
    generator = torch.Generator().manual_seed(4)
    start = draw(generator, len(configs))
    gradients = [draw(generator, len(configs)) for _ in range(7)]
    once = walk(configs, start, gradients)
    monkeypatch.setattr(ahead, "N_STEPS", 3)
    for ours, theirs in zip(walk(configs, start, gradients), once, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_parameter_of_one_number_a_member_is_stepped_too() -> None:
    config = optimizers(l2=0.1)["sgd"]
    param = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    schedule = MemberSchedule(CONSTANT, n_steps=STEPS, steps_per_epoch=STEPS)
    optimizer = StackOptimizer([param], [config] * 2, schedules=[schedule] * 2, decayed=[True])
    param.grad = torch.tensor([0.5, -0.5], dtype=torch.float64)
    optimizer.step()
    expected = torch.tensor([1 - config.lr * 0.6, 2 - config.lr * -0.3], dtype=torch.float64)
    torch.testing.assert_close(param.detach(), expected)
    assert param.grad is None


def test_scattered_kinds_are_refused() -> None:
    adam, sgd = optimizers()["adam"], optimizers()["sgd"]
    with pytest.raises(ValueError, match="must be neighbours"):
        walk([adam, sgd, adam], [torch.zeros(3, *shape) for shape in SHAPES], [])
