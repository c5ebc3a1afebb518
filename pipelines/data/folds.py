"""Folds of a table: what each trains on, what it holds out, and an encoding that all of them share the layout of.

A fold's statistics are of its own training rows. So that the members of all folds can be stacked, features lie where
the encoder of all these rows together puts them, the layout: a category or an indicator that a fold's training rows
lack is there too, as unseen or as zeros, and the nets give it no weight.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int, Int32, Int64

from pipelines.data.encode import Encoder, Features, encode_parts, fit_encoder
from pipelines.data.table import Table


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        encoder: fitted on its training rows alone.
        train: places among the rows beside the test part, ascending.
        held_out: likewise; of all folds together each such row once.
    """

    encoder: Encoder
    train: Int64[np.ndarray, " train"]
    held_out: Int64[np.ndarray, " held_out"]


def make_folds(table: Table, rows: np.ndarray, fold_of_row: np.ndarray) -> tuple[Fold, ...]:
    """Fit an encoder a fold.

    Args:
        table: the rows lie in.
        rows: beside the test part, indices into the table, ascending.
        fold_of_row: of each of them, [N].
    """
    folds = []
    for fold in range(int(fold_of_row.max()) + 1):
        train, held_out = np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)
        folds.append(Fold(fit_encoder(table, rows[train]), train, held_out))
    return tuple(folds)


def encode_folds(
    layout: Encoder, folds: tuple[Fold, ...], features: pl.DataFrame, parts: Sequence[np.ndarray]
) -> list[Features]:
    """Encode rows by every fold's statistics, in the layout that they share.

    Args:
        layout: of all folds.
        folds: each with its encoder.
        features: raw columns.
        parts: the rows of each, indices into the table, ascending.

    Returns:
        Of each part: numbers float32 [folds, N, n_numbers] and codes int32 [folds, N, n_categorical].
    """
    encoded = [
        Features(
            np.zeros((len(folds), len(rows), layout.n_numbers), dtype=np.float32),
            np.zeros((len(folds), len(rows), len(layout.categories)), dtype=np.int32),
        )
        for rows in parts
    ]
    for place, fold in enumerate(folds):
        own_places, tables = number_places(fold.encoder, layout), code_tables(fold.encoder, layout)
        for part, of_fold in zip(encoded, encode_parts(fold.encoder, features, parts), strict=True):
            part.numbers[place][:, own_places] = of_fold.numbers
            for column, table in enumerate(tables):
                part.codes[place, :, column] = table[of_fold.codes[:, column]]
    return encoded


def number_places(encoder: Encoder, layout: Encoder) -> Int[np.ndarray, " own"]:
    """Where the number features of an encoder stand in the layout."""
    place = {name: number for number, name in enumerate(_feature_names(layout))}
    return np.array([place[name] for name in _feature_names(encoder)], dtype=np.int64)


def code_tables(encoder: Encoder, layout: Encoder) -> list[Int32[np.ndarray, " _codes"]]:
    """For each categorical column: an encoder's codes, 0 the unseen label, to those of the layout."""
    tables = []
    for own, shared in zip(encoder.categories, layout.categories, strict=True):
        code = {label: place for place, label in enumerate(shared.categories, start=1)}
        tables.append(np.array([0, *(code[label] for label in own.categories)], dtype=np.int32))
    return tables


def known_codes(encoder: Encoder, layout: Encoder) -> list[Int32[np.ndarray, " _codes"]]:
    """For each categorical column: codes of the layout to themselves, or to 0 where the encoder never saw the label."""
    tables = []
    for column, to_layout in zip(layout.categories, code_tables(encoder, layout), strict=True):
        known = np.zeros(len(column.categories) + 1, dtype=np.int32)
        known[to_layout] = to_layout
        tables.append(known)
    return tables


def _feature_names(encoder: Encoder) -> Iterator[Hashable]:
    """What tells the number features of one table apart, in their order."""
    for number in encoder.numbers:
        yield "value", number.column
    for number in encoder.numbers:
        if number.indicator:
            yield "missing", number.column
    for cycle in encoder.cycles:
        yield "sine", cycle.column, cycle.period_days
        yield "cosine", cycle.column, cycle.period_days
