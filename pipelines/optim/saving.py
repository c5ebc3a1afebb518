"""Optimizer states as plain dictionaries of tensors, and back: what a checkpoint may hold."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor


def to_plain(state: Any) -> dict[str, Tensor]:
    """The tensors of a transform's state, a dataclass, by their names; they are not copied."""
    return {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}


def load_plain_(plain: Mapping[str, Tensor], state: Any) -> None:
    """Copy what `to_plain` gave into a state of the same shape.

    What only members that have left the stack needed may be in it, and is not in the state.
    """
    for field in dataclasses.fields(state):
        getattr(state, field.name).copy_(plain[field.name])
