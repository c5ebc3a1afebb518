import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from hypothesis import given, settings

from pipelines.data.encode import (
    CategoryEncoding,
    CycleEncoding,
    Encoder,
    Features,
    NumberEncoding,
    encode,
    fit_encoder,
)
from pipelines.data.table import ColumnKind
from pipelines.export.columns import column_graph, input_columns
from tests.export.tables import inputs_of, mixed_table, raw_columns, table_of

PREFIX = "\0"  # which no drawn name has


def encode_by_graph(encoder: Encoder, features: pl.DataFrame) -> Features:
    model = column_graph(encoder, prefix=PREFIX)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    numbers, codes = session.run([f"{PREFIX}numbers", f"{PREFIX}codes"], inputs_of(features, input_columns(encoder)))
    return Features(numbers, codes)


def assert_graph_encodes(encoder: Encoder, features: pl.DataFrame) -> None:
    expected = encode(encoder, features)
    actual = encode_by_graph(encoder, features)
    assert actual.numbers.dtype == np.float32
    np.testing.assert_allclose(actual.numbers, expected.numbers, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(actual.codes, expected.codes)


@settings(max_examples=60, deadline=None)
@given(raw_columns())
def test_the_graph_encodes_as_the_encoder_does(drawn: tuple[dict[str, ColumnKind], pl.DataFrame]):
    kinds, features = drawn
    half = np.arange(features.height // 2)  # so that other rows hold what fitting never saw
    assert_graph_encodes(fit_encoder(table_of(kinds, features), half), features)


def test_numbers_and_indicators_are_exactly_the_encoders():
    table = mixed_table()
    expected = encode(table.encoder, table.table.features).numbers
    actual = encode_by_graph(table.encoder, table.table.features).numbers
    exact = table.encoder.n_numbers - 2 * len(table.encoder.cycles)
    assert exact > 0
    np.testing.assert_array_equal(actual[:, :exact], expected[:, :exact])


FEATURES = pl.DataFrame({"a": [1.0, np.nan, 3.0], "d": [20_000.25, np.nan, -1.0], "c": ["x", "", "?"]})
NUMBER = NumberEncoding("a", fill=2.0, center=2.0, scale=0.5, indicator=True)
PLAIN_NUMBER = NumberEncoding("d", fill=0.0, center=1.0, scale=3.0, indicator=False)
CYCLES = (CycleEncoding("d", 7.0), CycleEncoding("d", 365.25))
LABEL = CategoryEncoding("c", ("", "x"))
UNLIKELY_ENCODERS = {
    "numbers alone": Encoder((NUMBER,), (), ()),
    "no indicator": Encoder((PLAIN_NUMBER,), (), (LABEL,)),
    "cycles alone": Encoder((), CYCLES, ()),
    "labels alone": Encoder((), (), (LABEL,)),
    "a cycle of a column before the numbers'": Encoder((NUMBER, PLAIN_NUMBER), CYCLES, ()),
}


@pytest.mark.parametrize("encoder", UNLIKELY_ENCODERS.values(), ids=UNLIKELY_ENCODERS.keys())
def test_any_sort_of_column_may_be_absent(encoder: Encoder):
    assert_graph_encodes(encoder, FEATURES)


def test_inputs_are_named_as_the_columns_and_typed_as_the_contract_says():
    model = column_graph(mixed_table().encoder, prefix=PREFIX)
    inputs = {value.name: value.type.tensor_type for value in model.graph.input}
    assert set(inputs) == set(mixed_table().table.features.columns)
    kinds = {name: tensor.elem_type for name, tensor in inputs.items()}
    assert kinds["~city"] == kinds["grade"] == onnx.TensorProto.STRING
    assert kinds["Größe"] == kinds["seen"] == kinds['is "old"'] == onnx.TensorProto.DOUBLE
    assert {(tensor.shape.dim[0].dim_param, tensor.shape.dim[1].dim_value) for tensor in inputs.values()} == {
        ("batch", 1)
    }


def test_an_encoder_without_columns_is_refused():
    with pytest.raises(ValueError, match="at least one column"):
        column_graph(Encoder((), (), ()), prefix=PREFIX)
