"""Predictions as a table, and tables as CSV and as an Arrow IPC stream.

The names are those of MLflow's scoring and of `serving.score`: `prediction`, and `probability_<class>` for classes.
Whoever asks for more gets more columns: `lower` and `upper`, or `in_set_<class>`, at a coverage; `base` and
`contribution_<column>` for an explanation; and `rules`, the columns where a rule took the place of a value.
Which model and version answered stands in the header `X-Model-Version` and, for Arrow, in the schema's metadata.
"""

import csv
import io
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.answers.json_answers import Answers
from serving.bundle import Contract
from serving.predictor import OUTPUT

if TYPE_CHECKING:
    import pyarrow as pa

STREAM_END = b"\xff\xff\xff\xff" + bytes(4)
Table = dict[str, np.ndarray]


def to_table(contract: Contract, predictions: np.ndarray) -> Table:
    """Name the columns of predictions, [N, P]: a value each, or a label and one probability a class."""
    classes = contract.target.classes
    if not classes:
        return {OUTPUT: predictions[:, 0]}
    labels = np.array(classes, dtype=object)[predictions.argmax(axis=1)]
    return dict(zip(class_columns(contract), (labels, *predictions.T), strict=True))


def class_columns(contract: Contract) -> list[str]:
    """The names of a label and one probability a class."""
    return [OUTPUT, *(f"probability_{label}" for label in contract.target.classes)]


def extra_columns(contract: Contract, answers: Answers) -> Table:
    """What was asked for beside predictions, and then the rules used, too; nothing where nothing was asked."""
    extra: dict[str, np.ndarray] = {}
    if answers.intervals is not None:
        extra |= {"lower": answers.intervals[:, 0], "upper": answers.intervals[:, 1]}
    if answers.sets is not None:
        extra |= {f"in_set_{label}": answers.sets[:, index] for index, label in enumerate(contract.target.classes)}
    if answers.explanation is not None:
        extra["base"] = answers.explanation.base
        extra |= {f"contribution_{name}": added for name, added in answers.explanation.contributions.items()}
    if extra:
        extra["rules"] = np.full(len(answers.predictions), "", dtype=object)
        for row, used in answers.rules.items():
            extra["rules"][row] = "; ".join(f"{name}: {why}" for name, why in used.items())
    return extra


def write_csv(table: Table) -> bytes:
    """A header and a line a row; `true` and `false` as in JSON. Float32 is written without loss."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*map(_cells, table.values()), strict=True))
    return text.getvalue().encode()


def _cells(column: np.ndarray) -> list[Any]:
    cells: list[Any] = (np.where(column, "true", "false") if column.dtype == bool else column).tolist()
    return cells


def write_arrow(table: Table, metadata: Mapping[str, str]) -> bytes:
    """An Arrow IPC stream of one batch; labels are strings, predictions float32."""
    import pyarrow as pa  # noqa: PLC0415  few servers are asked for Arrow

    schema, head = _schema(tuple((name, own.dtype) for name, own in table.items()), tuple(metadata.items()))
    arrays = [pa.array(own, field.type) for own, field in zip(table.values(), schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return b"".join((head, batch.serialize(), STREAM_END))


@lru_cache(maxsize=256)
def _schema(
    kinds: tuple[tuple[str, np.dtype], ...], metadata: tuple[tuple[str, str], ...]
) -> "tuple[pa.Schema, bytes]":
    """The schema of columns of these kinds, and the message of it that begins a stream: the same for most answers."""
    import pyarrow as pa  # noqa: PLC0415  as said

    types = [(name, pa.string() if kind.hasobject else pa.from_numpy_dtype(kind)) for name, kind in kinds]
    schema = pa.schema(types, metadata=dict(metadata))
    return schema, schema.serialize().to_pybytes()
