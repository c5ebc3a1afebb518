"""What the encoder does with a missing or unseen value, as the contract tells it to a reader."""

from pipelines.data.encode import Encoder
from pipelines.data.profile import iso_date
from serving.bundle import CategoricalColumn, Column, Rules


def with_rules(column: Column, encoder: Encoder) -> Column:
    """The column, and what becomes of a value that it lacks or a label that it never had."""
    return column.model_copy(update={"rules": _rules(column, encoder)})


def _rules(column: Column, encoder: Encoder) -> Rules:
    if isinstance(column, CategoricalColumn):
        return Rules(missing="category" if column.nullable else "refused", unseen="unknown")
    if not column.nullable:
        return Rules(missing="refused")
    number = next(own for own in encoder.numbers if own.column == column.name)
    fill = iso_date(number.fill) if column.kind == "date" else number.fill
    return Rules(missing="filled", fill=fill, flagged=number.indicator)
