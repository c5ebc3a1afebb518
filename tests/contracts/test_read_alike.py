"""One table, however it is stored and sent: scoring reads of it what training read of it.

Files hold columns of more types than a request may have: there the law is that what is taken means the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings, strategies as st

from pipelines.data.kinds import read_column
from pipelines.data.profile import raw_value
from pipelines.data.sources import read_file
from pipelines.data.table import ColumnKind, as_numbers
from serving.batch.files import read_portions
from serving.batch.texts import read_texts
from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, NumericColumn, Target
from serving.protocols.open_inference.columns import to_column
from serving.protocols.open_inference.tensors import Tensor
from serving.reading.arrow_columns import read_columns
from serving.reading.media_types import ARROW, CSV, JSON
from serving.reading.request_reader import RequestReader
from serving.reading.rows import columns_from_rows
from serving.schemas import make_schemas
from tests.serving.bundles import LINEAGE

NAME, BESIDE = "c", "beside"
MILLISECOND = 2 / 86_400_000  # in days: training reads moments no finer
LAST_DIGIT = 2.3e-16  # of float64, which decimals are not divided into alike everywhere


@dataclass(frozen=True)
class Form:
    """A way to store a column.

    Attributes:
        type: in Parquet.
        value: one that is not missing.
        kind: that training makes of it, forced to where the type would not say so.
        is_arrow: whether an Arrow stream that is sent may have it for this kind.
        is_csv: whether CSV may have it; a truth is a word there, and a moment is written in another way.
    """

    type: pa.DataType
    value: st.SearchStrategy[Any]
    kind: ColumnKind
    is_arrow: bool = True
    is_csv: bool = True

    @property
    def forced(self) -> ColumnKind | None:
        """What a user says of it; of dates nothing can be said."""
        return self.kind if self.kind in ("numeric", "categorical") else None


FINITE = st.floats(-1e100, 1e100)
SHORT = st.integers(-400, 400).map(lambda number: number / 4)
FEW = st.sampled_from([-1.0, 0.0, 1.0, 2.5, 1e15, 1e16, 1e-6, 1.25e-7, 123456.75])
MOMENTS = st.datetimes(datetime(1901, 1, 1), datetime(2250, 1, 1))  # noqa: DTZ001  the zone is the column's
WORDS = st.sampled_from(["Bern", "Zürich", "a,b", 'said "yes"', "true", "1.50", "007"])


def cents(number: int) -> Decimal:
    return Decimal(number).scaleb(-2)


def in_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def in_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def nanoseconds(moment: datetime, more: int = 0) -> int:
    """Since 1970, as a Parquet file of nanoseconds has them."""
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000 + more  # noqa: DTZ001  as above


def with_offset(moment: datetime, hours: int) -> str:
    return moment.replace(tzinfo=timezone(timedelta(hours=hours))).isoformat()


FORMS: Mapping[str, Form] = {
    **{
        f"{kind} as numbers": Form(kind, st.integers(*bounds), "numeric")
        for kind, bounds in {
            pa.int8(): (-(2**7), 2**7 - 1),
            pa.uint8(): (0, 2**8 - 1),
            pa.int32(): (-(2**31), 2**31 - 1),
            pa.int64(): (-(2**63), 2**63 - 1),
            pa.uint64(): (0, 2**64 - 1),
        }.items()
    },
    "float64 as numbers": Form(pa.float64(), FINITE, "numeric"),
    "float32 as numbers": Form(pa.float32(), SHORT, "numeric"),
    "decimal as numbers": Form(pa.decimal128(9, 2), st.integers(-99_999, 99_999).map(cents), "numeric"),
    "text as numbers": Form(pa.string(), FINITE.map(lambda number: f" {number}  "), "numeric", is_arrow=False),
    "large text as numbers": Form(pa.large_string(), SHORT.map(str), "numeric", is_arrow=False),
    "truths as numbers": Form(pa.bool_(), st.booleans(), "numeric", is_arrow=False, is_csv=False),
    "truths": Form(pa.bool_(), st.booleans(), "boolean"),
    "text as truths": Form(pa.string(), st.sampled_from(["true", "FALSE", "True"]), "boolean", is_arrow=False),
    "text as labels": Form(pa.string(), WORDS, "categorical"),
    "large text as labels": Form(pa.large_string(), WORDS, "categorical"),
    "a dictionary as labels": Form(pa.dictionary(pa.int8(), pa.string()), WORDS, "categorical"),
    "int16 as labels": Form(pa.int16(), st.integers(-3, 3), "categorical"),
    "int64 as labels": Form(pa.int64(), st.sampled_from([0, 7, -(2**63), 2**63 - 1, 10**16]), "categorical"),
    "float64 as labels": Form(pa.float64(), FEW, "categorical", is_arrow=False),
    "float32 as labels": Form(pa.float32(), SHORT, "categorical", is_arrow=False),
    "decimal as labels": Form(pa.decimal128(9, 2), st.integers(-300, 300).map(cents), "categorical", is_arrow=False),
    "truths as labels": Form(pa.bool_(), st.booleans(), "categorical", is_arrow=False),
    "dates as labels": Form(pa.date32(), st.dates(date(1999, 1, 1), date(1999, 1, 9)), "categorical", is_arrow=False),
    "moments as labels": Form(
        pa.timestamp("us", "Europe/Zurich"),
        st.sampled_from([datetime(2020, 1, 1), datetime(2020, 7, 1, 12, 30)]),  # noqa: DTZ001  as above
        "categorical",
        is_arrow=False,
        is_csv=False,
    ),
    "dates": Form(pa.date32(), st.dates(), "date"),
    "moments in seconds": Form(pa.timestamp("s"), MOMENTS.map(in_seconds), "date"),
    "moments in milliseconds": Form(pa.timestamp("ms"), MOMENTS.map(in_milliseconds), "date"),
    "moments in microseconds": Form(pa.timestamp("us"), MOMENTS, "date"),
    "moments in nanoseconds": Form(pa.timestamp("ns"), st.builds(nanoseconds, MOMENTS, st.integers(0, 999)), "date"),
    "moments in UTC": Form(pa.timestamp("us", "UTC"), MOMENTS, "date"),
    "moments in a zone": Form(
        pa.timestamp("ns", "Europe/Zurich"), st.builds(nanoseconds, MOMENTS, st.integers(0, 999)), "date"
    ),
    "text as dates": Form(pa.string(), st.dates().map(date.isoformat), "date"),
    "text as moments": Form(pa.string(), MOMENTS.map(in_seconds).map(datetime.isoformat), "date"),
    "text as moments in UTC": Form(pa.string(), MOMENTS.map(in_seconds).map(lambda own: f"{own}Z"), "date"),
    "large text as moments of offsets": Form(
        pa.large_string(), st.builds(with_offset, MOMENTS.map(in_seconds), st.integers(-12, 14)), "date"
    ),
}


@st.composite
def tables(draw: st.DrawFn, form: Form) -> pa.Table:
    """A column of this form with at least one value, and beside it one that makes every line of CSV a line."""
    value = form.value | st.none() if draw(st.booleans()) else form.value
    values = draw(st.lists(value, min_size=1, max_size=6).filter(lambda own: any(one is not None for one in own)))
    has_counts = pa.types.is_timestamp(form.type) and form.type.unit == "ns"  # Python has no finer than microseconds
    column = pa.array(values, pa.int64()).cast(form.type) if has_counts else pa.array(values, form.type)
    return pa.table({NAME: column, BESIDE: pa.nulls(len(values), pa.float64())})


def contract_of(column: ColumnKind, values: pl.Series, *, n_known: int) -> Contract:
    """Of a model that was fitted to the first rows."""
    known = values[:n_known]
    nullable = has_missing(values)
    made: Column
    if column == "categorical":
        made = CategoricalColumn(name=NAME, nullable=nullable, categories=tuple(known.unique()), example=None)
    elif column == "numeric":
        made = NumericColumn(name=NAME, nullable=nullable, minimum=0, maximum=1, integer=False, example=None)
    elif column == "boolean":
        made = BooleanColumn(name=NAME, nullable=nullable, example=None)
    else:
        made = DateColumn(name=NAME, nullable=nullable, minimum="1970-01-01", maximum="1970-01-01", example=None)
    return contract_with(made)


def contract_with(made: Column) -> Contract:
    beside = NumericColumn(name=BESIDE, nullable=True, minimum=0, maximum=1, integer=False, example=None)
    return Contract(
        name="table",
        columns=(made, beside),
        target=Target(name="target", task="regression", classes=()),
        metrics={},
        lineage=LINEAGE,
        golden=(),
        onnx_sha256="",
        opset=20,
    )


def has_missing(values: pl.Series) -> bool:
    return (values == "").any() if isinstance(values.dtype, pl.Enum) else as_numbers(values).is_nan().any()


def stream_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def rows_of(kind: ColumnKind, values: pl.Series) -> bytes:
    """As training writes golden rows, and a client sends them."""
    cells = [raw_value(kind, value, integer=False) for value in values]
    return json.dumps({"rows": [{NAME: cell, BESIDE: None} for cell in cells]}).encode()


def meant(contract: Contract, read: Mapping[str, np.ndarray]) -> np.ndarray:
    """What reaches the model of a column: numbers with NaN for missing, or codes of labels, 0 for any other."""
    column, values = contract.columns[0], read[NAME]
    if isinstance(column, CategoricalColumn):
        codes = {label: 1.0 + code for code, label in enumerate(column.categories)}
        return np.array([codes.get(label, 0.0) for label in values])
    assert values.dtype == np.float64
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(max_examples=20)
@given(data=st.data())
def test_what_training_read_is_read_alike_from_files_and_over_http(folder: Path, form: Form, data: st.DataObject):
    table = data.draw(tables(form))
    parquet, text = folder / "rows.parquet", folder / "rows.csv"
    pa.parquet.write_table(table, parquet)
    column, trained = read_column(read_file(parquet)[NAME], origin="table", forced=form.forced)
    assert column.kind == form.kind
    contract = contract_of(form.kind, trained, n_known=data.draw(st.integers(1, len(trained))))
    first = data.draw(st.integers(0, len(trained) - 1))  # a portion of a file knows nothing of the rows before it

    def of_file(path: Path, read: Any) -> np.ndarray:
        (portion,) = read_portions(path, columns=[NAME, BESIDE], n_rows=len(table))
        return meant(contract, read(contract, portion.slice(first), first_row=first))

    found = of_file(parquet, read_columns)
    exactly = 0 if form.kind != "date" else MILLISECOND
    values = (trained if form.kind == "categorical" else as_numbers(trained)).to_numpy()
    np.testing.assert_allclose(found, meant(contract, {NAME: values})[first:], rtol=LAST_DIGIT, atol=exactly)
    reader = RequestReader(contract, make_schemas(contract, max_rows=9).row, max_rows=9)
    sent = [(rows_of(form.kind, trained), JSON, exactly)]
    if form.is_csv:
        pl.read_parquet(parquet).write_csv(text)
        np.testing.assert_allclose(of_file(text, read_texts), found, rtol=LAST_DIGIT, atol=0)
        sent.append((text.read_bytes(), CSV, 0))
    sent += [(stream_of(table), ARROW, 0)] if form.is_arrow else []
    for body, media, allowed in sent:
        read = meant(contract, reader.read(body, media))[first:]
        np.testing.assert_allclose(read, found, rtol=LAST_DIGIT, atol=allowed, err_msg=media)


@pytest.mark.parametrize(
    ("categories", "label"),
    [
        (("1", "2"), "1"),
        (("1.0", "2.5"), "1.0"),
        (("", "1.00", "2.50"), "1.00"),
        (("1", "1.0"), "1"),
        (("1e0", "2e0"), "1e0"),
        (("01", "2"), "1"),  # not seen: where "01" is a label, the column was text
        (("1.0", "many"), "1"),
    ],
)
def test_a_whole_number_is_one_label_however_it_is_sent(categories: tuple[str, ...], label: str):
    column = CategoricalColumn(name=NAME, nullable=True, categories=categories, example=None)
    contract = contract_with(column)
    reader = RequestReader(contract, make_schemas(contract, max_rows=9).row, max_rows=9)
    by_rows = json.dumps({"rows": [{NAME: 1, BESIDE: None}, {NAME: None, BESIDE: None}]}).encode()
    by_columns = json.dumps({"columns": {NAME: [1, None], BESIDE: [None, None]}}).encode()
    stream = stream_of(pa.table({NAME: pa.array([1, None], pa.int8()), BESIDE: pa.nulls(2)}))
    for body, media in [(by_rows, JSON), (by_columns, JSON), (stream, ARROW)]:
        assert reader.read(body, media)[NAME].tolist() == [label, ""]
    for data in ([1, None], memoryview(np.array([1, 1]).tobytes())):
        assert to_column(column, Tensor("INT64", 2, data)).tolist()[0] == label
    assert columns_from_rows(contract, [{NAME: 1, BESIDE: None}])[NAME].tolist() == [label]
