"""One override of a command line, as Hydra's own parser reads it: which field or group, and every value that it gives.

Not here: whether there is such a field, and whether it takes these values (`overrides`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString
from hydra.errors import HydraException

from pipelines.config.mistakes import Mistake

SETTINGS = "hydra.sweeper"  # the node that tells the sweeper how to go about it
CHECKED_ELEMENTS = 1000  # of a list; a range may name a billion, and its values are all alike


@dataclass(frozen=True)
class Line:
    """One override.

    Attributes:
        text: as it was written.
        key: the group, or the dotted path of the field.
        elements: its value, or every value of its list; empty for a deletion.
        swept: whether it is a list to sweep over.
        origin: where it stands if not on the command line, for the message.
    """

    text: str
    key: str
    elements: tuple[Any, ...]
    swept: bool
    origin: str

    @property
    def is_of_hydra(self) -> bool:
        """Whether it tells Hydra itself something."""
        return self.key.startswith(("hydra.", "hydra/"))

    @property
    def is_setting(self) -> bool:
        """Whether it sets something of the sweeper, whose names depend on which one is chosen."""
        return self.key == SETTINGS or self.key.startswith(f"{SETTINGS}.")

    def assignments(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Fields and their values: `optimizer={lr: 0.1}` sets optimizer.lr."""
        return assignments(self.key, self.elements)


def read_line(text: str, loader: ConfigLoader, origin: str = "") -> Line | Mistake:
    """The override that a text is, or what is wrong with it.

    Args:
        text: as it was written.
        loader: Hydra's own, for globs.
        origin: as `Line` has it.
    """
    try:
        override = replace(OverridesParser.create().parse_override(text), config_loader=loader)  # for glob(*)
        line = Line(text, override.key_or_group, _elements(override), override.is_sweep_override(), origin)
    except (HydraException, ValueError) as error:  # ValueError: a range whose step is zero
        reason = str(error).splitlines()[0]
        return Mistake(
            text, f"cannot be read as <name>=<value> ({reason}); a value with special characters needs quotes"
        )
    return Mistake(text, "is a list of nothing") if line.swept and not line.elements else line


def _elements(override: Override) -> tuple[Any, ...]:
    if override.is_delete():
        return ()
    if override.is_discrete_sweep():
        return tuple(_unquoted(element) for element in islice(override.sweep_iterator(), CHECKED_ELEMENTS))
    value = override.value()
    return (value.start, value.end) if isinstance(value, IntervalSweep) else (value,)


def _unquoted(element: Any) -> Any:
    if isinstance(element, QuotedString):
        return element.text
    if isinstance(element, list):
        return [_unquoted(item) for item in element]
    if isinstance(element, dict):
        return {_unquoted(key): _unquoted(value) for key, value in element.items()}
    return element


def assignments(path: str, elements: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Fields and their values: `optimizer={lr: 0.1}` sets optimizer.lr."""
    groups = [element for element in elements if isinstance(element, dict)]
    for name, value in chain.from_iterable(group.items() for group in groups):
        yield from assignments(f"{path}.{name}", [value])
    if not groups:
        yield path, elements
