from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest

from pipelines.config.schema import ModelConfig, TaskKind
from pipelines.data.encode import encode
from pipelines.data.table import Column, ColumnKind, Table, Target
from pipelines.export import build_served
from pipelines.export.columns import input_columns
from pipelines.export.onnx_graph import export_model
from pipelines.models import input_facts
from serving.bundle import MODEL_FILE
from tests.export.bundles import Written
from tests.export.tables import CLASSES, LINEAR, drawn_members, inputs_of, mixed_table, prepare, table_of, task_of
from tests.tables import cnn, gru, mlp, resnet


def predict(model: onnx.ModelProto, features: pl.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (predictions,) = session.run(None, inputs_of(features, columns))
    return predictions


@pytest.mark.parametrize("n_rows", [1, 2, 1000])
def test_served_equals_trained(written: Written, n_rows: int):
    table, encoder = written.prepared.table, written.prepared.encoder
    features = table.features[np.arange(n_rows) % table.features.height]
    actual = predict(onnx.load(written.folder / MODEL_FILE), features, input_columns(encoder))
    assert actual.dtype == np.float32
    assert actual.shape == (n_rows, written.task.n_predictions)
    expected = written.served.predict(encode(encoder, features))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_target_of_small_numbers_keeps_its_mean(n_members: int):
    """Farads, say: torch's exporter leaves out what it takes for adding 0 or multiplying by 1."""
    table = mixed_table().table
    prepared = prepare(replace(table, target_values=table.target_values * 1e-12))
    members = drawn_members(prepared, [LINEAR] * n_members)
    served = build_served(members, inputs=input_facts(prepared), task=task_of(prepared))
    answers = predict(export_model(served, prepared), table.features, input_columns(prepared.encoder))
    np.testing.assert_allclose(answers, served.predict(encode(prepared.encoder, table.features)), rtol=1e-5)


@pytest.mark.parametrize("written", ["multiclass"], indirect=True)
def test_the_same_model_gives_the_same_bytes(written: Written):
    again = export_model(written.served, written.prepared).SerializeToString(deterministic=True)
    assert again == (written.folder / MODEL_FILE).read_bytes()


def test_the_file_says_nothing_of_the_machine_it_was_made_on(written: Written):
    content = (written.folder / MODEL_FILE).read_bytes()
    assert b".py" not in content
    assert b"aten" not in content


def test_the_file_names_each_operator_set_once(written: Written):
    model = onnx.load(written.folder / MODEL_FILE)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20), ("ai.onnx.ml", 3)]
    assert [output.name for output in model.graph.output] == ["prediction"]


ODD_NAMES = ("predictions", "numbers", "codes", "batch", "~", "val_1", " ")
ODD_TABLES: dict[str, dict[str, tuple[ColumnKind, list[float] | list[str]]]] = {
    "labels alone": {"c": ("categorical", ["a", "b", "", "a"] * 5)},
    "numbers alone, named as things in the graph": {name: ("numeric", [1.0, 2.0, 4.0, 3.0] * 5) for name in ODD_NAMES},
}


@pytest.mark.parametrize("columns", ODD_TABLES.values(), ids=ODD_TABLES.keys())
def test_columns_may_be_of_one_sort_and_have_any_name(columns: dict[str, tuple[ColumnKind, list[float] | list[str]]]):
    features = pl.DataFrame({name: values for name, (_, values) in columns.items()})
    prepared = prepare(table_of({name: kind for name, (kind, _) in columns.items()}, features))
    served = build_served(drawn_members(prepared, [LINEAR]), inputs=input_facts(prepared), task=task_of(prepared))
    model = export_model(served, prepared)
    assert {value.name for value in model.graph.input} == set(columns)
    np.testing.assert_allclose(
        predict(model, features, tuple(columns)), served.predict(encode(prepared.encoder, features)), atol=1e-6
    )


N_NUMBERS = 14  # of the mixed table
NETS = {
    "cnn": cnn(grid=(2, 7)),
    "gru": gru(steps=7),
    "resnet": resnet(),
    "resnet of embeddings": resnet(numbers="periodic", categories="embedding"),
    "mlp of piecewise numbers": mlp(numbers="piecewise"),
}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
def test_every_net_answers_from_its_file_as_in_training(net: ModelConfig):
    prepared = mixed_table("multiclass")
    assert prepared.encoder.n_numbers == N_NUMBERS
    members = drawn_members(prepared, [net, net])
    served = build_served(members, inputs=input_facts(prepared), task=task_of(prepared))
    model = export_model(served, prepared)
    assert ("", 20) in [(opset.domain, opset.version) for opset in model.opset_import]
    for rows in (prepared.table.features[:1], prepared.table.features):
        answers = predict(model, rows, input_columns(prepared.encoder))
        np.testing.assert_allclose(answers, served.predict(encode(prepared.encoder, rows)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "allowed"), [("binary", 0.0), ("multiclass", 2e-7)])
def test_a_rows_answer_is_the_same_whatever_rows_come_with_it(kind: TaskKind, allowed: float):
    """A server answers requests together. With one output a member not even the last bit tells."""
    rng = np.random.default_rng(0)
    features = pl.DataFrame({f"x{place}": rng.normal(size=96) for place in range(16)})
    codes = rng.integers(0, len(CLASSES[kind]), 96)
    columns = tuple(Column(name, "numeric") for name in features.columns)
    prepared = prepare(Table("rows", columns, features, Target("y", kind, CLASSES[kind], "for a test"), codes))
    members = drawn_members(prepared, [mlp((32, 32), activation="relu")] * 3)
    served = build_served(members, inputs=input_facts(prepared), task=task_of(prepared), temperature=1.3)
    model, names = export_model(served, prepared), input_columns(prepared.encoder)
    alone = np.concatenate([predict(model, features[row : row + 1], names) for row in range(96)])
    for n_rows in (2, 7, 16, 96):
        found = predict(model, features[:n_rows], names)
        np.testing.assert_allclose(found, alone[:n_rows], rtol=0, atol=allowed)
