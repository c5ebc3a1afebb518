"""A search space in Hydra's own syntax: from overrides to what is proposed, and back to the overrides of a trial.

Not here: who proposes (`study`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from pipelines.config import fields
from pipelines.config.scopes import belongs_to_command
from pipelines.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

CORNERS = 256  # combinations of options that are checked before anything trains; far more than a search has
SHORT = 32  # a list of no more values has each of them checked


@dataclass(frozen=True)
class Dimension:
    """One value that is searched.

    Attributes:
        key: the group or the dotted path of the field, as an override has it.
        override: what the user wrote.
        is_group: whether its values are the options of a config group.
    """

    key: str
    override: Override
    is_group: bool

    def distribution(self) -> "BaseDistribution":
        """What Optuna draws from.

        Raises:
            UserError: there is nothing to draw from.
        """
        from optuna.distributions import (  # noqa: PLC0415  Hydra imports this module at every start
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        value = self.override.value()
        is_log = isinstance(value, Sweep) and "log" in value.tags
        if isinstance(value, IntervalSweep):
            low, high = self._bounds(value.start, value.end, is_log=is_log)
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=is_log)
            return FloatDistribution(low, high, log=is_log)
        if isinstance(value, RangeSweep) and isinstance(steps := value.range(), range) and steps.step > 0:
            low, high = self._bounds(steps[0], steps[-1], is_log=is_log)
            return IntDistribution(int(low), int(high), log=is_log, step=1 if is_log else steps.step)
        return CategoricalDistribution(tuple(self.texts()))

    def texts(self) -> list[str]:
        """Every value of a list, as an override has it; the ends of an interval."""
        value = self.override.value()
        if isinstance(value, IntervalSweep):
            return [str(value.start), str(value.end)]
        return list(self.override.sweep_string_iterator())

    def tried(self) -> list[str]:
        """Values to check before anything trains: all of a short list, the first and the last of others."""
        value = self.override.value()
        if isinstance(value, RangeSweep) and isinstance(steps := value.range(), range) and len(steps) > SHORT:
            return [str(steps[0]), str(steps[-1])]  # of a range that may have a billion
        texts = list(dict.fromkeys(self.texts()))
        return texts if len(texts) <= SHORT else [texts[0], texts[-1]]

    def _bounds(self, low: Any, high: Any, *, is_log: bool) -> tuple[float, float]:
        if low > high:
            raise UserError(f"{self.override.input_line}: the first bound must not be above the second.")
        if is_log and low <= 0:
            raise UserError(f"{self.override.input_line}: on a log scale both bounds must be greater than 0.")
        return low, high


@dataclass(frozen=True)
class SearchSpace:
    """Everything that one command line searches, and what all of its trials share.

    Attributes:
        fixed: overrides of every trial.
        dimensions: what is searched.
    """

    fixed: tuple[Override, ...]
    dimensions: tuple[Dimension, ...]

    @property
    def compared(self) -> list[str]:
        """The fixed overrides that a score may depend on: where, how fast and beside what a trial runs changes none."""
        compared = (override for override in self.fixed if not belongs_to_command(override.key_or_group))
        return sorted(str(override.input_line) for override in compared)

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """What Optuna draws from, by key."""
        return {dimension.key: dimension.distribution() for dimension in self.dimensions}

    def proposed(self, values: Mapping[str, Any]) -> list[str]:
        """What one trial has beside the fixed overrides. What the chosen optimizer, schedule or net lacks is left out.

        Args:
            values: key -> what was proposed.
        """
        chosen = {dimension.key: str(values[dimension.key]) for dimension in self.dimensions if dimension.is_group}
        kept = [key for key in values if _exists(key, chosen)]
        return [f"{key}={values[key]}" for key in kept]

    def overrides(self, proposed: Sequence[str]) -> list[str]:
        """All of a trial's."""
        return [*(str(override.input_line) for override in self.fixed), *proposed]

    def corners(self) -> list[list[str]]:
        """Overrides of trials to check: what is wrong with one is told at once, what differs the search may vary.

        For every combination of options there is one with all first values and one with all last. In between every
        value of a short list meets every option of its group.
        """
        groups = {dimension.key: dimension.texts() for dimension in self.dimensions if dimension.is_group}
        values = {dimension.key: dimension.tried() for dimension in self.dimensions if not dimension.is_group}
        every = [dict(zip(groups, texts, strict=True)) for texts in islice(product(*groups.values()), CORNERS)]
        longest = max((len(texts) for texts in groups.values()), default=1)
        some = [_row(groups, number) for number in range(longest)]
        last = max((len(texts) for texts in values.values()), default=1) - 1
        return [
            self.overrides(self.proposed(_row(values, number) | options))
            for number in range(last + 1)
            for options in (every if number in (0, last) else some)
        ]


def read_space(overrides: Sequence[Override], is_group: Callable[[str], bool]) -> SearchSpace:
    """Divide overrides into what is searched and what is fixed; of two for one key the later one counts.

    Args:
        overrides: those of `hydra.sweeper.params`, then those of the command line.
        is_group: whether a key names a config group.

    Raises:
        UserError: nothing is searched, or the data are.
    """
    last = {override.get_key_element(): override for override in overrides}
    fixed = tuple(override for override in last.values() if not override.is_sweep_override())
    dimensions = list(_dimensions(last, is_group))
    if not dimensions:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search. Give a space, such as "
            "'optimizer.lr=tag(log,interval(1e-4,1e-1))', or choose one: sweep=thorough."
        )
    if of_data := [str(item.override.input_line) for item in dimensions if item.key.partition(".")[0] == "data"]:
        raise UserError(
            f"{', '.join(of_data)}: a search compares scores, and those on several tables, or on one that is "
            "divided in several ways, cannot be compared. Give one value, and each its own search; or train every "
            "combination: hydra/sweeper=grid."
        )
    return SearchSpace(fixed, tuple(dimensions))


def _dimensions(overrides: Mapping[str, Override], is_group: Callable[[str], bool]) -> Iterator[Dimension]:
    for key, override in overrides.items():
        if override.is_sweep_override():
            yield Dimension(key, override, is_group(override.key_or_group))


def _row(texts: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    """The text at this place of each list; the last one of a shorter list."""
    return {key: values[min(number, len(values) - 1)] for key, values in texts.items()}


def _exists(key: str, chosen: Mapping[str, str]) -> bool:
    """Whether the option that was chosen for the group has the field."""
    group, _, rest = key.lstrip("+").partition(".")
    if group not in chosen or not rest:
        return True
    owner = fields.class_of(group, chosen[group]) if group in fields.groups() else None
    return owner is None or rest.partition(".")[0] in fields.fields_of(owner)
