"""Hydra's configuration as the plain container that `validate` reads."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipelines.errors import UserError


def plain_values(config: Any) -> dict[str, Any]:
    """The values, interpolations resolved; `???` stays for a value that must be given.

    Raises:
        UserError: an interpolation such as `${oc.env:NAME}` cannot be resolved.
    """
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{error.full_key or 'A value'} cannot be resolved: {reason}") from error
    if not isinstance(values, dict):
        raise UserError(f"A trial is a group of fields, not a {type(values).__name__}.")
    return {str(name): value for name, value in values.items()}
