"""From optimizer configurations to chains: the one place that knows every kind of optimizer."""

from collections.abc import Callable, Mapping, Sequence

import torch

from pipelines.axes import PerMember
from pipelines.config.schema import OptimizerConfig
from pipelines.optim.adam import ScaleByAdam, ScaleByAMSGrad
from pipelines.optim.adaptive import ScaleByAdadelta, ScaleByAdagrad, ScaleByCenteredRMSprop, ScaleByRMSprop
from pipelines.optim.clip import ClipByMemberNorm
from pipelines.optim.decay import AddDecayedWeights, AddL1Gradient, is_on
from pipelines.optim.momentum import AddMomentum, AddNesterovMomentum, Dampen
from pipelines.optim.transform import Chain, Transform

Constants = Callable[[str], PerMember]  # the name of a constant -> its value for every member


def _momentum(constant: Constants) -> tuple[Transform, ...]:
    momentum = constant("momentum")
    dampening = constant("dampening") * (momentum != 0)  # torch's too has no effect without momentum
    damped = (Dampen(dampening),) if is_on(dampening) else ()
    return (*damped, AddMomentum(momentum))


def _rmsprop(constant: Constants) -> Transform:
    constants, centered = (constant("alpha"), constant("momentum"), constant("eps")), constant("centered")
    return ScaleByCenteredRMSprop(*constants, centered) if is_on(centered) else ScaleByRMSprop(*constants)


def _adam(constant: Constants) -> Transform:
    constants, amsgrad = (constant("beta1"), constant("beta2"), constant("eps")), constant("amsgrad")
    return ScaleByAMSGrad(*constants, amsgrad) if is_on(amsgrad) else ScaleByAdam(*constants)


CORES: Mapping[str, Callable[[Constants], tuple[Transform, ...]]] = {
    "sgd": lambda _: (),
    "momentum": _momentum,
    "nesterov": lambda constant: (AddNesterovMomentum(constant("momentum")),),
    "adagrad": lambda constant: (
        ScaleByAdagrad(constant("lr_decay"), constant("initial_accumulator"), constant("eps")),
    ),
    "rmsprop": lambda constant: (_rmsprop(constant),),
    "adadelta": lambda constant: (ScaleByAdadelta(constant("rho"), constant("eps")),),
    "adam": lambda constant: (_adam(constant),),
    "adamw": lambda constant: (_adam(constant),),
}


def finest_float(device: torch.device) -> torch.dtype:
    """The dtype of constants: float64, whatever the parameters are, except where a device has none."""
    return torch.float32 if device.type == "mps" else torch.float64


def build_chain(members: Sequence[OptimizerConfig], *, device: torch.device) -> Chain:
    """Clipping, L1 and L2, the optimizer's own transform, decoupled decay; the rate is left to `StackOptimizer`.

    Args:
        members: one configuration a member, all of one kind.
        device: of the constants.
    """

    def constant(name: str) -> PerMember:
        values = [getattr(member, name) for member in members]
        return torch.tensor(values, dtype=finest_float(device), device=device)

    transforms: list[Transform] = []
    if is_on(constant("clip_norm")):
        transforms.append(ClipByMemberNorm(constant("clip_norm")))
    if is_on(constant("l1")):
        transforms.append(AddL1Gradient(constant("l1")))
    if is_on(constant("l2")):
        transforms.append(AddDecayedWeights(constant("l2")))
    transforms.extend(CORES[members[0].kind](constant))
    if is_on(constant("weight_decay")):
        transforms.append(AddDecayedWeights(constant("weight_decay")))
    return Chain(tuple(transforms))
