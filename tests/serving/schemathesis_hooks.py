"""What schemathesis must know beside the description of a model of patients; `SCHEMATHESIS_HOOKS` names this file."""

import io
import math
import sys
from typing import Any

import pyarrow as pa
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from serving.answers.options import EXPLAIN
from serving.reading.media_types import ARROW, CSV
from tests.serving.bundles import PATIENT_ROW

LARGEST = 1e30  # that the model can compute with
MOST_EXPLAINED = 100  # rows


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """It cannot send an example of text where it is told how to make bytes."""
    for own in raw_schema["paths"].values():
        own.get("post", {}).get("requestBody", {}).get("content", {}).get(CSV, {}).pop("example", None)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let what shall be valid be so beyond JSON Schema: columns of one length, no more rows than are explained at once,
    and numbers that can be computed with."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or not isinstance(case.body, dict):
        return
    most = MOST_EXPLAINED if EXPLAIN in (case.query or {}) else sys.maxsize
    if "rows" in case.body:
        rows = case.body["rows"][:most]
        case.body["rows"] = [{name: _bounded(cell) for name, cell in row.items()} for row in rows]
    columns = case.body.get("columns", {})
    n_rows = min([most, *map(len, columns.values())])
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
