"""The target column: which task it makes, and its values as numbers or class codes."""

from typing import Literal

import numpy as np
import polars as pl

from pipelines.config.schema import TaskKind
from pipelines.data.kinds import holds_single_things
from pipelines.data.table import Target, as_whole
from pipelines.errors import UserError

MOST_CLASSES = 20  # so many different whole numbers are still taken for classes
BINARY_CLASSES = 2


def read_target(
    raw: pl.Series, kind: TaskKind | Literal["auto"], *, origin: str
) -> tuple[Target, np.ndarray, pl.Series]:
    """Infer or force the task and read the values of the rows that have one.

    Args:
        raw: the column as read; null and NaN are missing.
        kind: what the user asked for.
        origin: the file or the built-in table, for messages.

    Returns:
        The target; the values that are not missing: float64 in raw units, or int64 codes in the order of the classes;
        and which rows they are of.

    Raises:
        UserError: no value or one alone, an infinite one, or the values do not suit the task asked for.
    """
    raw = _plain(raw, origin)
    is_known = raw.is_not_null()
    known = raw.drop_nulls()
    if not len(known):
        raise UserError(f"{origin}, column {raw.name!r}: every value of the target is missing.")
    if (known == known[0]).all():
        raise UserError(
            f"{origin}, column {raw.name!r}: the target has one value only, {known[0]!r}. Nothing can be learned."
        )
    inferred, why = _infer(known)
    settled = inferred if kind == "auto" else kind
    reason = f"{settled}: {why}" if kind == "auto" else f"{settled}, as asked for"
    if n_missing := raw.null_count():
        reason += f"; {n_missing:,} rows without a target are left out"
    if settled == "regression":
        return Target(raw.name, settled, (), reason), _numbers(raw, origin), is_known
    classes, codes = _classes(known)
    if settled == "binary" and len(classes) != BINARY_CLASSES:
        raise UserError(
            f"{origin}, column {raw.name!r}: task=binary needs 2 classes, found {len(classes)}. Try task=multiclass."
        )
    if len(classes) > len(known) // 2:
        raise UserError(
            f"{origin}, column {raw.name!r}: {len(classes)} classes in {len(known)} rows are too many to learn. "
            "Is it the right column? For a number use task=regression."
        )
    return Target(raw.name, settled, classes, reason), codes, is_known


def _plain(raw: pl.Series, origin: str) -> pl.Series:
    """Decimals as floats, and those finite or missing."""
    if not holds_single_things(raw):
        raise UserError(
            f"{origin}, column {raw.name!r}: {raw.dtype} values cannot be predicted. Give numbers, booleans or labels."
        )
    if raw.dtype.is_decimal():
        return raw.cast(pl.Float64)
    if not raw.dtype.is_float():
        return raw
    raw = raw.fill_nan(None)
    is_infinite = raw.is_infinite()
    if is_infinite.any():
        row = is_infinite.arg_max() or 0
        raise UserError(
            f"{origin}, column {raw.name!r}: the target needs finite numbers, found {raw[row]!r} in row {row + 1}. "
            "Mend it, or leave it empty: rows without a target are left out."
        )
    return raw


def _infer(raw: pl.Series) -> tuple[TaskKind, str]:
    has_fractions = raw.dtype.is_float() and not bool((raw == raw.round()).all())
    # The first rows mostly spare the count over all.
    if has_fractions and raw.head(1000).n_unique() > BINARY_CLASSES:
        return "regression", f"{raw.name!r} holds numbers with fractions"
    n_values = raw.n_unique()
    if n_values == BINARY_CLASSES:
        return "binary", f"{raw.name!r} has two values"
    if not raw.dtype.is_numeric():
        return "multiclass", f"{raw.name!r} holds {n_values} labels"
    if has_fractions:
        return "regression", f"{raw.name!r} holds numbers with fractions"
    if n_values <= min(MOST_CLASSES, len(raw) // 10):
        return "multiclass", f"{raw.name!r} holds {n_values} different whole numbers"
    return "regression", f"{raw.name!r} holds {n_values} different numbers"


def _numbers(raw: pl.Series, origin: str) -> np.ndarray:
    values = raw.cast(pl.Float64, strict=False)
    wrong = raw.is_not_null() & ~values.is_finite().fill_null(value=False)
    if wrong.any():
        row = wrong.arg_max() or 0
        raise UserError(
            f"{origin}, column {raw.name!r}: regression needs finite numbers, found {raw[row]!r} in row {row + 1}. "
            "Mend it, or use task=multiclass for labels."
        )
    return values.drop_nulls().to_numpy(writable=True)


def _classes(raw: pl.Series) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels in ascending order, of numbers or of letters, and the code of every row."""
    raw = as_whole(raw)
    ordered = raw.unique().sort()
    codes = raw.to_frame("value").join(
        pl.DataFrame({"value": ordered, "code": np.arange(len(ordered))}), on="value", how="left", maintain_order="left"
    )
    return tuple(ordered.cast(pl.String).to_list()), codes.get_column("code").to_numpy().astype(np.int64)
