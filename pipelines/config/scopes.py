"""Reads what `schema.per_member` and `schema.per_sweep` declare: which fields make an architecture, which a trial."""

import dataclasses
from typing import Any, Literal

from pipelines.config import fields
from pipelines.config.schema import TrialConfig

Scope = Literal["member", "sweep"]


def without(config: Any, *scopes: Scope) -> dict[str, Any]:
    """The fields of a configuration as a nested dictionary, less those of the given scopes.

    `without(trial, "sweep")` identifies a trial; `without(trial, "sweep", "member")` its architecture.
    """
    kept: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if field.metadata.get("scope") in scopes:
            continue
        value = getattr(config, field.name)
        kept[field.name] = without(value, *scopes) if dataclasses.is_dataclass(value) else value
    return kept


def belongs_to_command(path: str) -> bool:
    """Whether a group, or a field as `trainer.progress`, is declared `per_sweep`: the trials of a command share it."""
    group, _, name = path.partition(".")
    owners = fields.groups().get(group, ())
    return _is_per_sweep(TrialConfig, group) or any(_is_per_sweep(owner, name) for owner in owners)


def _is_per_sweep(owner: type, name: str) -> bool:
    return any(field.name == name and field.metadata.get("scope") == "sweep" for field in dataclasses.fields(owner))
