"""Reads what `schema.per_member` and `schema.per_sweep` declare: which fields make an architecture, which a trial."""

import dataclasses
from typing import Any, Literal

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
