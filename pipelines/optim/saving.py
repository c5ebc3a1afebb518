"""Optimizer states as plain lists and dictionaries of tensors, and back: what a checkpoint may hold."""

import dataclasses
from typing import Any

from torch import Tensor


def to_plain(state: Any) -> Any:
    """Turn dataclasses into dictionaries and sequences into lists; tensors and numbers stay as they are."""
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        return {field.name: to_plain(getattr(state, field.name)) for field in dataclasses.fields(state)}
    if isinstance(state, list | tuple):
        return [to_plain(inner) for inner in state]
    return state


def from_plain(plain: Any, like: Any) -> Any:
    """Undo `to_plain`.

    Args:
        plain: what it gave.
        like: a state of the same shape, as it is before the first step; tensors take its device and dtype.
    """
    if isinstance(like, Tensor):
        return plain.to(like, copy=True)  # training goes on in the copy, not in what was saved
    if dataclasses.is_dataclass(like) and not isinstance(like, type):
        fields = {name: from_plain(inner, getattr(like, name)) for name, inner in plain.items()}
        return dataclasses.replace(like, **fields)
    if isinstance(like, list | tuple):
        return type(like)(from_plain(*pair) for pair in zip(plain, like, strict=True))
    return plain
