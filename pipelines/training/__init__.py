"""Training a stack in Lightning. The door is `fit`."""

from pipelines.training.fit import fit
from pipelines.training.result import MemberResult

__all__ = ["MemberResult", "fit"]
