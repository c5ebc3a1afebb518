"""Everything that can be configured: names, types, ranges, and what may differ inside a stack.

Values live in `conf/`; these classes have no defaults of their own, so that a value stands in one place.
`pipelines.config.validate` turns a composed configuration into a `TrialConfig`; nothing below the
entry points ever sees Hydra's objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import ConfigDict, Discriminator, Strict

TaskKind = Literal["regression", "binary", "multiclass"]
LossName = Literal["mse", "mae", "huber", "cross_entropy", "hinge", "one_versus_rest"]
MetricName = Literal[
    "rmse", "mae", "r2", "log_loss", "roc_auc", "average_precision", "accuracy", "f1", "brier", "macro_f1"
]
Activation = Literal["relu", "tanh", "sigmoid", "gelu", "silu", "none"]
BuiltinName = Literal["diabetes", "breast_cancer", "wine", "iris", "digits", "ice_cream", "exam"]

# The first of each is what `auto` means, save for the metric under hinge, whose scores are no probabilities.
LOSSES_OF: Mapping[TaskKind, tuple[LossName, ...]] = {
    "regression": ("mse", "mae", "huber"),
    "binary": ("cross_entropy", "hinge"),
    "multiclass": ("cross_entropy", "one_versus_rest"),
}
METRICS_OF: Mapping[TaskKind, tuple[MetricName, ...]] = {
    "regression": ("rmse", "mae", "r2"),
    "binary": ("log_loss", "roc_auc", "average_precision", "accuracy", "f1", "brier"),
    "multiclass": ("log_loss", "accuracy", "macro_f1", "roc_auc"),
}

# Strict: a string or true is no number, whatever it could be read as.
Number = Annotated[float, Strict()]
WholeNumber = Annotated[int, Strict()]
Positive = Annotated[Number, Gt(0)]
NotNegative = Annotated[Number, Ge(0)]
Fraction = Annotated[Number, Gt(0), Lt(1)]
ClosedFraction = Annotated[Number, Ge(0), Le(1)]
Factor = Annotated[Number, Gt(0), Le(1)]
Divisor = Annotated[Number, Ge(1)]
Rate = Annotated[Number, Ge(0), Lt(1)]  # zero switches it off
Count = Annotated[WholeNumber, Ge(1)]
Seed = Annotated[WholeNumber, Ge(0)]


def per_member() -> Any:
    """Declare a hyperparameter: it may differ from member to member of one stack."""
    return field(metadata={"scope": "member"})


def per_sweep() -> Any:
    """Declare a setting that belongs to the command, not to a trial: it is no part of a trial's identity."""
    return field(metadata={"scope": "sweep"})


class Group:
    """What every class of this file shares: a field that it does not name is refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Group):
    """Which table, which columns, and how its rows are divided."""

    source: BuiltinName | Literal["table"]
    name: str | None  # of the experiment and the registered model; None: the source, or the file's stem
    path: str | None = None  # of the user's own file, for source=table
    target: str | None = None
    drop: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    group: str | None  # rows that share a value stay in one part
    time: str | None  # the newest rows are the test part
    validation_fraction: Fraction
    test_fraction: Fraction
    split_seed: Seed


@dataclass(frozen=True, kw_only=True)
class TaskConfig(Group):
    """What is predicted, the loss that is minimised and the metric that ranks trials."""

    kind: TaskKind | Literal["auto"]
    loss: LossName | Literal["auto"]
    metric: MetricName | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class LinearConfig(Group):
    """One linear layer."""

    kind: Literal["linear"]


@dataclass(frozen=True, kw_only=True)
class MLPConfig(Group):
    """Hidden layers, an activation after each, dropout after each activation."""

    kind: Literal["mlp"]
    hidden: Annotated[tuple[Count, ...], MinLen(1)]
    activation: Activation
    dropout: Rate = per_member()


@dataclass(frozen=True, kw_only=True)
class OptimizerBase(Group):
    """What every optimizer has. L1, L2 and decay act on weights, never on biases."""

    lr: Positive
    l1: NotNegative  # adds l1 * sign(w) to the gradient
    l2: NotNegative  # adds l2 * w to the gradient, as torch.optim's `weight_decay` of SGD and Adam
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


@dataclass(frozen=True, kw_only=True)
class AdamWConfig(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"]
    beta1: Rate
    beta2: Rate
    eps: Positive


@dataclass(frozen=True, kw_only=True)
class ConstantScheduleConfig(Group):
    """The learning rate stays."""

    kind: Literal["constant"]


@dataclass(frozen=True, kw_only=True)
class StepScheduleConfig(Group):
    """The learning rate is multiplied by `gamma` every `every_epochs` epochs."""

    kind: Literal["step"]
    every_epochs: Count
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class ExponentialScheduleConfig(Group):
    """The learning rate is multiplied by `gamma` every epoch."""

    kind: Literal["exponential"]
    gamma: Factor


@dataclass(frozen=True, kw_only=True)
class CosineScheduleConfig(Group):
    """Half a cosine over all steps, from the learning rate to `final_fraction` of it (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    final_fraction: ClosedFraction


@dataclass(frozen=True, kw_only=True)
class OneCycleScheduleConfig(Group):
    """Up to the learning rate and down again over all steps (Smith and Topin 2018)."""

    kind: Literal["one_cycle"]
    warmup_fraction: Fraction
    initial_divisor: Divisor
    final_divisor: Divisor


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig(Group):
    """A member stops after `patience` epochs in which validation did not improve by more than `min_delta`."""

    kind: Literal["early"]
    patience: Count
    min_delta: NotNegative


@dataclass(frozen=True, kw_only=True)
class NoStoppingConfig(Group):
    """Every member trains for `trainer.max_epochs`."""

    kind: Literal["none"]


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Group):
    """How the members of a sweep become one model."""

    kind: Literal["greedy", "mean", "none"]
    max_members: Count


@dataclass(frozen=True, kw_only=True)
class TrainerConfig(Group):
    """How long, in what portions and on what a stack trains."""

    max_epochs: Count = per_member()
    batch_size: Count
    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["32-true", "bf16-mixed", "64-true"]


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Group):
    """Where runs and bundles go."""

    kind: Literal["sqlite", "server"]
    uri: str
    artifacts: str | None  # folder of the artifacts; None: the server decides
    experiment: str | None  # None: the table's name
    bundles: str  # folder from which `python -m serving` answers


@dataclass(frozen=True, kw_only=True)
class EngineConfig(Group):
    """Where stacks run and how large they may grow."""

    kind: Literal["local"]
    memory_gb: Positive | None  # budget of one stack; None: half of what the device has free


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
ScheduleConfig = (
    ConstantScheduleConfig
    | StepScheduleConfig
    | ExponentialScheduleConfig
    | CosineScheduleConfig
    | OneCycleScheduleConfig
)
ModelConfig = LinearConfig | MLPConfig
StoppingConfig = EarlyStoppingConfig | NoStoppingConfig


@dataclass(frozen=True, kw_only=True)
class TrialConfig(Group):
    """One trial, resolved: everything that its numbers depend on, and where they are recorded."""

    data: DataConfig
    task: TaskConfig
    model: Annotated[ModelConfig, Discriminator("kind")]
    optimizer: Annotated[OptimizerConfig, Discriminator("kind")] = per_member()
    schedule: Annotated[ScheduleConfig, Discriminator("kind")] = per_member()
    stopping: Annotated[StoppingConfig, Discriminator("kind")] = per_member()
    trainer: TrainerConfig
    seed: Seed = per_member()
    ensemble: EnsembleConfig = per_sweep()
    tracking: TrackingConfig = per_sweep()
    engine: EngineConfig = per_sweep()
