"""What the encoder does with a missing or unseen value, as the contract tells it to a reader."""

from pipelines.data.encode import Encoder
from pipelines.data.prepare import PreparedTable
from pipelines.data.profile import iso_date
from serving.bundle import CategoricalColumn, Column, Rules


def with_rules(column: Column, prepared: PreparedTable) -> Column:
    """The column, and what becomes of a value that it lacks or a label that it never had."""
    return column.model_copy(update={"rules": _rules(column, prepared)})


def _rules(column: Column, prepared: PreparedTable) -> Rules:
    if isinstance(column, CategoricalColumn):
        return Rules(missing="category" if column.nullable else "refused", unseen="unknown")
    if not column.nullable:
        return Rules(missing="refused")
    flagged = any(number.indicator for number in prepared.encoder.numbers if number.column == column.name)
    fills = {fill for encoder in _encoders(prepared) for fill in _fills(encoder, column.name)}
    if len(fills) > 1:
        return Rules(missing="filled", flagged=flagged)
    (fill,) = fills
    return Rules(missing="filled", fill=iso_date(fill) if column.kind == "date" else fill, flagged=flagged)


def _encoders(prepared: PreparedTable) -> list[Encoder]:
    """Those whose statistics the members use: that of each fold, or the one."""
    return [fold.encoder for fold in prepared.folds] or [prepared.encoder]


def _fills(encoder: Encoder, column: str) -> list[float]:
    return [number.fill for number in encoder.numbers if number.column == column]
