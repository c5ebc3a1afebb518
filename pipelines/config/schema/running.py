"""How trials train, and where they are recorded: what belongs to the machine and the command."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Count, Group, NotNegative, per_member, per_sweep


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Group):
    """How the members of a sweep become one model."""

    kind: Literal["greedy", "mean", "bagging", "none"]
    max_members: Count


@dataclass(frozen=True, kw_only=True)
class TrainerConfig(Group):
    """How long, in what portions and on what a stack trains."""

    max_epochs: Count = per_member()
    batch_size: Count
    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["32-true", "bf16-mixed", "64-true"]
    progress: bool = per_sweep()  # a live line a stack, where there is a terminal to show it


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Group):
    """Where runs and bundles go."""

    kind: Literal["sqlite", "server"]
    uri: str
    artifacts: str | None  # folder of the artifacts; None: the server decides
    experiment: str | None  # None: the table's name
    bundles: str  # folder from which `python -m serving` answers
    checkpoints: str  # folder from which an interrupted sweep goes on
    checkpoint_seconds: NotNegative  # between two writes of a stack
    resume: bool  # go on from what the same command left
