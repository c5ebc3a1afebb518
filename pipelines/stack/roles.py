"""The role of a parameter decides whether it is regularised.

Not its number of dimensions: a stacked bias has two and would look like a matrix.
"""

from enum import Enum

from torch import nn


class Role(Enum):
    """What a parameter is for."""

    WEIGHT = "weight"
    BIAS = "bias"
    SCALE = "scale"  # of a normalisation: its neutral value is one
    TABLE = "table"  # of embeddings: rows that a batch does not hold would be decayed too
    FREQUENCY = "frequency"  # of periodic features


def role_of(name: str) -> Role:
    """The role of a parameter by its own name, the last part of its path.

    Raises:
        ValueError: a layer named its parameter otherwise; give it a role here.
    """
    return Role(name.rpartition(".")[2].partition("_")[0])  # weight_ih is a weight


def is_decayed(net: nn.Module) -> list[bool]:
    """For every parameter of a net, in order: do L1, L2 and weight decay act on it? True for weights alone."""
    return [role_of(name) is Role.WEIGHT for name, _ in net.named_parameters()]
