"""A mistake in a configuration, the nearest right name, and the one message that lists all of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pipelines.config import fields
from pipelines.errors import UserError


@dataclass(frozen=True)
class Mistake:
    """One wrong field.

    Attributes:
        where: the field, with its value where that helps: `optimizer.lr = 'fast'`.
        why: what is wrong and what is allowed.
    """

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def refuse(mistakes: Sequence[Mistake]) -> None:
    """Raise one error that lists all mistakes, each once, in their order; do nothing if there are none.

    Raises:
        UserError: there is at least one.
    """
    lines = list(dict.fromkeys(str(mistake) for mistake in mistakes))
    if lines:
        head = "1 field is wrong:" if len(lines) == 1 else f"{len(lines)} fields are wrong:"
        raise UserError("\n  ".join([head, *lines]))


def wrong_value(path: str, value: object, annotation: Any) -> Mistake:
    """The mistake of a value that its field does not take."""
    return Mistake(assigned(path, value), f"must be {fields.described(annotation)}{_advice(path, value, annotation)}")


def unknown_field(path: str, *, owner: str, known: Collection[str]) -> Mistake:
    """The mistake of a name that its group does not have.

    Args:
        path: what was written, `optimizer.momentun`.
        owner: the group, with its option where that decides: `optimizer=momentum`.
        known: the names that this owner has.
    """
    group, _, name = path.partition(".")
    others = [kind for kind, owner in fields.by_kind(group).items() if name in fields.fields_of(owner)]
    if others:
        hint = f"; {group}={'|'.join(others)} {'has' if len(others) == 1 else 'have'} it"
    else:
        hint = did_you_mean(name, known, prefix=f"{group}.")
    return no_such_field(path, owner=owner, hint=hint, known=[name for name in known if name != "kind"])


def no_such_field(path: str, *, owner: str, hint: str, known: Collection[str]) -> Mistake:
    """The mistake of an unknown name, with a hint that follows the owner, and with the names that there are."""
    names = f"has: {', '.join(known)}" if known else "it has none"
    return Mistake(path, f"no such field of {owner}{hint} ({names})")


def assigned(path: str, value: object) -> str:
    """A field and its value, as `optimizer.lr = 'fast'`."""
    return f"{path} = {_spelled(value)}"


def did_you_mean(name: str, known: Collection[str], *, prefix: str = "") -> str:
    """`; did you mean <nearest>?`, or nothing if no known name is near.

    Near is a name with the same last part (`lr` for `optimizer.lr`), or one that is few letters apart.
    """
    last = name.rpartition(".")[2]
    same_end = [other for other in known if other.rpartition(".")[2] == last]
    near = get_close_matches(name, same_end or known, n=1, cutoff=0.0 if same_end else 0.6)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _advice(path: str, value: object, annotation: Any) -> str:
    if fields.is_list(annotation) and not isinstance(value, (list, tuple)):
        return f"; write {path}=[{value}]"
    if isinstance(value, str):
        choices = fields.choices_of(annotation)
        return did_you_mean(value, choices) if len(choices) > 1 else ""
    if fields.takes_text(annotation) and isinstance(value, (bool, int, float)):
        return f"; between quotes it is text: \"{path}='{_spelled(value)}'\""
    return ""


def _spelled(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_spelled(item) for item in value)}]"
    return repr(value)
