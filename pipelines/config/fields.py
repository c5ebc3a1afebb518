"""Reads the schema: which classes a group may be, what fields they have, what a field takes, in words.

Not here: the schema itself (`schema`), what fields mean together (`rules`).
"""

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipelines.config.schema import TrialConfig

# Strict: "0.1" and true are no numbers, 1.0 is no whole number; but 1 is a fine value for a real one.
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_WORDS = {float: "a number", int: "a whole number", str: "text", bool: "true or false", type(None): "null"}
_PLURALS = {float: "numbers", int: "whole numbers", str: "texts"}


class WrongValueError(Exception):
    """A value that a field does not take."""


@cache
def groups() -> Mapping[str, tuple[type, ...]]:
    """The groups of a trial, in order, each with the classes it may be; several where its `kind` chooses."""
    found = {name: _classes(annotation) for name, annotation in fields_of(TrialConfig).items()}
    return {name: classes for name, classes in found.items() if classes}


@cache
def fields_of(owner: type) -> Mapping[str, Any]:
    """The fields of a class of the schema, in order, each with its annotation."""
    hints = get_type_hints(owner, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner)}


def defaults_of(owner: type) -> Mapping[str, Any]:
    """What the fields that a configuration may leave out are then."""
    return {
        field.name: field.default for field in dataclasses.fields(owner) if field.default is not dataclasses.MISSING
    }


@cache
def by_kind(group: str) -> Mapping[str, type]:
    """The classes of a group by the `kind` that chooses them; empty for a group of one class, which has no choice."""
    classes = groups()[group]
    if len(classes) == 1:
        return {}
    return {kind: owner for owner in classes for kind in choices_of(fields_of(owner)["kind"])}


def class_of(group: str, kind: object) -> type | None:
    """The class that `kind` chooses for a group, or the only one that there is; None if it chooses none."""
    classes = groups()[group]
    return classes[0] if len(classes) == 1 else by_kind(group).get(str(kind))


def label(group: str, option: object) -> str:
    """A group as messages call it: with its option where that decides which fields it has."""
    return group if len(groups()[group]) == 1 else f"{group}={option}"


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The words that a field takes; empty if it is not a field of words."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in _alternatives(annotation) for word in choices_of(part))


def checked(annotation: Any, value: object) -> Any:
    """The value as the field keeps it: lists become tuples, whole numbers real ones.

    Raises:
        WrongValueError: the field does not take it.
    """
    try:
        return _reader(annotation)(_tuples(value))
    except ValidationError as error:
        raise WrongValueError from error


def described(annotation: Any) -> str:
    """What a field takes, in words that follow "must be": `a number greater than 0 and less than 1`."""
    if choices := choices_of(annotation):
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if parts := list(_alternatives(annotation)):
        return " or ".join(described(part) for part in parts)
    if get_origin(annotation) is Mapping:
        return "names and values, e.g. {width: 64}"
    bounds = " and ".join(_bounds(annotation))
    if not is_list(annotation):
        return f"{_WORDS[_plain(annotation)]} {bounds}".rstrip()
    item = get_args(_plain(annotation))[0]
    each = " and ".join(_bounds(item))
    return " ".join(filter(None, ("a list of", bounds, _PLURALS[_plain(item)]))) + (f", each {each}" if each else "")


def is_list(annotation: Any) -> bool:
    """Whether a field takes a list."""
    return get_origin(_plain(annotation)) is tuple


def takes_text(annotation: Any) -> bool:
    """Whether a field takes any text, as names and paths do."""
    return str in (annotation, *_alternatives(annotation))


@cache
def _reader(annotation: Any) -> Callable[[object], Any]:
    return TypeAdapter(annotation, config=_STRICT).validate_python


def _classes(annotation: Any) -> tuple[type, ...]:
    parts = list(_alternatives(annotation)) or [annotation]
    return tuple(part for part in parts if dataclasses.is_dataclass(part) and isinstance(part, type))


def _alternatives(annotation: Any) -> Iterator[Any]:
    plain = _plain(annotation)
    if get_origin(plain) in (Union, types.UnionType):
        yield from get_args(plain)


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _bounds(annotation: Any) -> Iterator[str]:
    for bound in getattr(annotation, "__metadata__", ()):
        match bound:
            case Gt():
                yield f"greater than {bound.gt}"
            case Ge():
                yield f"at least {bound.ge}"
            case Lt():
                yield f"less than {bound.lt}"
            case Le():
                yield f"at most {bound.le}"
            case MinLen():
                yield f"{bound.min_length} or more"


def _tuples(value: object) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
