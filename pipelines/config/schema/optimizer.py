"""The optimizers, with all their constants."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Fraction, Group, NotNegative, Positive, Rate


@dataclass(frozen=True, kw_only=True)
class OptimizerBase(Group):
    """What every optimizer has. L1, L2 and decay act on weights, never on biases."""

    lr: Positive
    l1: NotNegative  # adds l1 * sign(w) to the gradient
    l2: NotNegative  # adds l2 * w to the gradient, as torch.optim's `weight_decay` of SGD and Adam
    clip_norm: NotNegative  # a longer gradient of a member is shortened to it before all else; 0: none is
    weight_decay: NotNegative  # decoupled: w shrinks by lr * weight_decay * w, as torch.optim.AdamW


@dataclass(frozen=True, kw_only=True)
class SGDConfig(OptimizerBase):
    """Plain gradient descent."""

    kind: Literal["sgd"]


@dataclass(frozen=True, kw_only=True)
class MomentumConfig(OptimizerBase):
    """Gradient descent with momentum (Polyak 1964)."""

    kind: Literal["momentum"]
    momentum: Rate
    dampening: Rate


@dataclass(frozen=True, kw_only=True)
class NesterovConfig(OptimizerBase):
    """Gradient descent with Nesterov's momentum (Nesterov 1983)."""

    kind: Literal["nesterov"]
    momentum: Fraction


@dataclass(frozen=True, kw_only=True)
class AdagradConfig(OptimizerBase):
    """Adagrad (Duchi et al. 2011)."""

    kind: Literal["adagrad"]
    lr_decay: NotNegative
    initial_accumulator: NotNegative
    eps: Positive


@dataclass(frozen=True, kw_only=True)
class RMSpropConfig(OptimizerBase):
    """RMSprop (Hinton 2012)."""

    kind: Literal["rmsprop"]
    alpha: Rate
    momentum: Rate
    eps: Positive
    centered: bool  # divides by the deviation of recent gradients, not by their size (Graves 2013)


@dataclass(frozen=True, kw_only=True)
class AdadeltaConfig(OptimizerBase):
    """Adadelta (Zeiler 2012)."""

    kind: Literal["adadelta"]
    rho: Rate
    eps: Positive


@dataclass(frozen=True, kw_only=True)
class AdamConfig(OptimizerBase):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"]
    beta1: Rate
    beta2: Rate
    eps: Positive
    amsgrad: bool  # divides by the largest size so far (Reddi et al. 2018)


@dataclass(frozen=True, kw_only=True)
class AdamWConfig(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"]
    beta1: Rate
    beta2: Rate
    eps: Positive
    amsgrad: bool  # divides by the largest size so far (Reddi et al. 2018)


OptimizerConfig = (
    SGDConfig
    | MomentumConfig
    | NesterovConfig
    | AdagradConfig
    | RMSpropConfig
    | AdadeltaConfig
    | AdamConfig
    | AdamWConfig
)
