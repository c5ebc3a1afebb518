"""What the sweepers of this project may be told, `hydra.sweeper.*`, and the mistake of a name that they do not have."""

from collections.abc import Mapping

from pipelines.config import fields
from pipelines.config.mistakes import Mistake, did_you_mean, no_such_field
from pipelines.config.schema.search import SearchConfig

# Option of hydra/sweeper -> its fields; `params` holds lists and intervals beside those of the command line.
FIELDS: Mapping[str, tuple[str, ...]] = {"grid": ("params",), "optuna": (*fields.fields_of(SearchConfig), "params")}


def unknown_setting(name: str, *, sweeper: str) -> Mistake:
    """The mistake of a name that this sweeper does not have.

    Args:
        name: below `hydra.sweeper`.
        sweeper: one of `FIELDS`.
    """
    known = FIELDS[sweeper]
    others = [f"hydra/sweeper={other}" for other, names in FIELDS.items() if name in names]
    hint = f"; {others[0]} has it" if others else did_you_mean(name, known, prefix="hydra.sweeper.")
    return no_such_field(f"hydra.sweeper.{name}", owner=f"hydra/sweeper={sweeper}", hint=hint, known=known)
