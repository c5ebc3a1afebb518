"""Stacked optimizers: chains of transforms with one constant a member, each equal to its namesake in `torch.optim`."""

from pipelines.optim.optimizer import StackOptimizer, state_of_members, take_gradient
from pipelines.optim.schedule import MemberSchedule, schedule_factors
from pipelines.optim.transform import Chain, Transform

__all__ = [
    "Chain",
    "MemberSchedule",
    "StackOptimizer",
    "Transform",
    "schedule_factors",
    "state_of_members",
    "take_gradient",
]
