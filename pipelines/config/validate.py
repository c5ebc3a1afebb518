"""Turns composed values into a `TrialConfig`, or refuses them with one message that lists every wrong field.

The door between Hydra and everything below: plain containers come in, checked dataclasses go out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from pipelines.config import fields
from pipelines.config.mistakes import Mistake, assigned, did_you_mean, refuse, unknown_field, wrong_value
from pipelines.config.rules import broken_rules
from pipelines.config.schema import TrialConfig

_TRIAL = TypeAdapter(TrialConfig)
_MUST_BE_GIVEN = "???"  # how Hydra spells a value that the user must give


class _Right(NamedTuple):
    """A field whose value is right by itself."""

    path: str
    value: Any


def validate(values: Mapping[str, Any]) -> TrialConfig:
    """The trial that these values are.

    Args:
        values: a plain container, interpolations resolved.

    Raises:
        UserError: lists every field that is unknown, missing, of the wrong type or out of range, and every rule
            between fields that is broken.
    """
    return validate_all([values])[0]


def validate_all(trials: Sequence[Mapping[str, Any]]) -> list[TrialConfig]:
    """The trials of a sweep, in order.

    Raises:
        UserError: as `validate`, for all trials at once; of a mistake that only some make it says how many.
    """
    found = [list(_checked(values)) for values in trials]
    mistakes = [[item for item in items if isinstance(item, Mistake)] for items in found]
    refuse(list(_counted(mistakes)))
    return [_built([item for item in items if isinstance(item, _Right)]) for items in found]


def _counted(mistakes: Sequence[Sequence[Mistake]]) -> Iterator[Mistake]:
    """Each mistake once, with the trials that make it where not all of them do."""
    makers: dict[Mistake, list[int]] = {}
    for trial, of_trial in enumerate(mistakes):
        for mistake in of_trial:
            makers.setdefault(mistake, []).append(trial)
    for mistake, trials in makers.items():
        everywhere = len(trials) == len(mistakes)
        which = "" if everywhere else f" ({len(trials)} of {len(mistakes)} trials, first in trial {trials[0]})"
        yield Mistake(mistake.where, f"{mistake.why}{which}")


def _checked(values: Mapping[str, Any]) -> Iterator[_Right | Mistake]:
    right = {}
    for item in _walked(values):
        if isinstance(item, _Right):
            right[item.path] = item.value
        yield item
    yield from broken_rules(right)


def _walked(values: Mapping[str, Any]) -> Iterator[_Right | Mistake]:
    known = fields.fields_of(TrialConfig)
    for name in (name for name in values if name not in known):
        near = did_you_mean(name, known)
        yield Mistake(assigned(name, values[name]), f"no such field{near} (has: {', '.join(known)})")
    for name, annotation in known.items():
        if name not in values:
            yield Mistake(name, "is missing")
        elif name in fields.groups():
            yield from _of_group(name, values[name])
        else:
            yield _value(name, values[name], annotation)


def _of_group(group: str, values: object) -> Iterator[_Right | Mistake]:
    if not isinstance(values, Mapping):
        yield Mistake(assigned(group, values), "must be a group of fields")
        return
    kind = values.get("kind")
    owner = fields.class_of(group, kind)
    if owner is None:
        kinds = fields.by_kind(group)
        why = f"must be one of {', '.join(kinds)}{did_you_mean(str(kind), kinds)}"
        yield Mistake(assigned(f"{group}.kind", kind), why)
        return
    known, values = fields.fields_of(owner), {**fields.defaults_of(owner), **values}
    for name, annotation in known.items():
        path = f"{group}.{name}"
        yield _value(path, values[name], annotation) if name in values else Mistake(path, "is missing")
    for name in (name for name in values if name not in known):
        yield unknown_field(f"{group}.{name}", owner=fields.label(group, kind), known=known)


def _value(path: str, value: object, annotation: Any) -> _Right | Mistake:
    if value == _MUST_BE_GIVEN:
        return Mistake(path, f"must be given, as {path}=<{fields.described(annotation)}>")
    try:
        return _Right(path, fields.checked(annotation, value))
    except fields.WrongValueError:
        return wrong_value(path, value, annotation)


def _built(rights: Sequence[_Right]) -> TrialConfig:
    values: dict[str, Any] = {}
    for path, value in rights:
        group, _, name = path.rpartition(".")
        (values.setdefault(group, {}) if group else values)[name] = value
    return _TRIAL.validate_python(values)
