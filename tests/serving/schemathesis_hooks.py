"""What schemathesis must know beside the description of `patients`; it loads this file as `SCHEMATHESIS_HOOKS`."""

import io
import math
from typing import Any

import pyarrow as pa
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from serving.media import ARROW, CSV
from tests.serving.bundles import PATIENT_ROW

LARGEST = 1e30  # that the model can compute with


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """It cannot send an example of text where it is told how to make bytes."""
    for own in raw_schema["paths"].values():
        own.get("post", {}).get("requestBody", {}).get("content", {}).get(CSV, {}).pop("example", None)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let what shall be valid be so beyond JSON Schema: columns of one length, numbers that can be computed with."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or not isinstance(case.body, dict):
        return
    for row in case.body.get("rows", []):
        row.update({name: _bounded(cell) for name, cell in row.items()})
    columns = case.body.get("columns", {})
    n_rows = min(map(len, columns.values()), default=0)
    columns.update({name: [_bounded(cell) for cell in cells[:n_rows]] for name, cells in columns.items()})


def _bounded(cell: Any) -> Any:
    is_large = isinstance(cell, (int, float)) and abs(cell) > LARGEST
    return type(cell)(math.copysign(LARGEST, cell)) if is_large else cell


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that fit the model."""
    row = st.fixed_dictionaries({"age": st.floats(-1e6, 1e6), "ward": st.sampled_from("AB")})
    return [{**PATIENT_ROW, **own} for own in draw(st.lists(row, min_size=1, max_size=3))]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    lines = [",".join("" if cell is None else str(cell) for cell in row.values()) for row in rows]
    return "\n".join([",".join(PATIENT_ROW), *lines]).encode()


def as_arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(rows)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


schemathesis.openapi.media_type(CSV, tables().map(as_csv))
schemathesis.openapi.media_type(ARROW, tables().map(as_arrow))
