"""What every group of the schema is made of: checked numbers, and where a value may differ."""

from dataclasses import field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, Strict

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
Times = Annotated[WholeNumber, Ge(0)]
Seed = Annotated[WholeNumber, Ge(0)]


def per_member() -> Any:
    """Declare a hyperparameter: it may differ from member to member of one stack."""
    return field(metadata={"scope": "member"})


def per_sweep() -> Any:
    """Declare a setting that belongs to the command, not to a trial: it is no part of a trial's identity."""
    return field(metadata={"scope": "sweep"})


class Group:
    """What every group of the schema shares: a field that it does not name is refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
