"""Texts and numbers to the labels of a column, as training has them: one way, whatever they come in."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation

from serving.bundle import CategoricalColumn, Column, Json
from serving.reading.missing_words import missing_words

TRUTHS = frozenset(("true", "false"))
# A number as training writes it into a label; where one label is "01", the column was text there.
AS_WRITTEN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?")


def as_training_reads(column: Column, texts: Sequence[str]) -> Sequence[str]:
    """Texts of a column to what they stand for: "" for the words of a missing value, and labels as training has them.

    A column of whole numbers, say, is read as such before its labels are made: there "01" is the label "1".
    """
    categories = column.categories if isinstance(column, CategoricalColumn) else ()
    words = missing_words(categories)
    if not words.isdisjoint(texts):
        texts = ["" if text in words else text for text in texts]
    others = set(texts).difference(categories, {""}) if categories else set()
    known = dict(_as_known(others, frozenset(categories) - {""}))
    return [known.get(text, text) for text in texts] if known else texts


def _as_known(texts: Iterable[str], categories: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each that is another way to write a category, with it, where the categories are all numbers or all truths."""
    if categories and categories <= TRUTHS:
        yield from ((text, text.lower()) for text in texts if text.lower() in categories)
    elif all(map(AS_WRITTEN.fullmatch, categories)):
        known = {_exact(label): label for label in categories}
        numbers = ((text, _exact(text)) for text in texts)
        yield from ((text, known[number]) for text, number in numbers if number is not None and number in known)


def _exact(text: str) -> Decimal | None:
    """The number, which float64 would take for others; None for no number, or one of an exponent beyond all use."""
    try:
        return Decimal(text) if is_number(text) else None
    except InvalidOperation:
        return None


def labels_of(column: CategoricalColumn, cells: Sequence[Json]) -> list[str]:
    """Cells of JSON to labels, "" for missing: text is a label as it stands, a whole number the one that is equal."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    if int not in set(map(type, cells)):
        return texts
    numbers = {text for text, cell in zip(texts, cells, strict=True) if isinstance(cell, int)}
    known = dict(_as_known(numbers.difference(column.categories), frozenset(column.categories) - {""}))
    return [known.get(text, text) if isinstance(cell, int) else text for text, cell in zip(texts, cells, strict=True)]


def is_number(text: str) -> bool:
    """Whether it is a finite number; Python reads more as one than others do: underscores, digits of other scripts."""
    try:
        return math.isfinite(float(text)) and text.isascii() and "_" not in text
    except ValueError:
        return False
