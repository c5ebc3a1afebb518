"""Predictions as a table, and tables as CSV and as an Arrow IPC stream.

The names are those of MLflow's scoring and of `serving.score`: `prediction`, and `probability_<class>` for classes.
Which model and version answered stands in the header `X-Model-Version` and, for Arrow, in the schema's metadata.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.bundle import Contract
from serving.predictor import OUTPUT

Table = Mapping[str, np.ndarray]


def to_table(contract: Contract, predictions: np.ndarray) -> Table:
    """Name the columns of predictions, [N, P]: a value each, or a label and one probability a class."""
    classes = contract.target.classes
    if not classes:
        return {OUTPUT: predictions[:, 0]}
    labels = np.array(classes, dtype=object)[predictions.argmax(axis=1)]
    return {OUTPUT: labels, **{f"probability_{label}": predictions[:, place] for place, label in enumerate(classes)}}


def write_csv(table: Table) -> bytes:
    """A header and a line a row. Float32 is written without loss."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    return text.getvalue().encode()


def write_arrow(table: Table, metadata: Mapping[str, str]) -> bytes:
    """An Arrow IPC stream of one batch; labels are strings, numbers float32."""
    import pyarrow as pa  # noqa: PLC0415  few servers are asked for Arrow

    batch = pa.record_batch(dict(table)).replace_schema_metadata(dict(metadata))
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    written: Any = stream.getvalue()
    return bytes(written.to_pybytes())
