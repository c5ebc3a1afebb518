"""The smallest real bundles: softmax of, or just, a weighted sum of the columns; a missing value counts as 0."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper

from serving.bundle import (
    BooleanColumn,
    CategoricalColumn,
    Column,
    Contract,
    DateColumn,
    Golden,
    Json,
    Lineage,
    Member,
    NumericColumn,
    Target,
)

Row = Mapping[str, Json]
TASKS: Any = {0: "regression", 2: "binary", 3: "multiclass"}  # by the number of classes
LINEAGE = Lineage(
    sweep="s1",
    data_fingerprint="d4ta",
    code_version="c0de",
    created="2026-11-20T12:00:00+00:00",
    members=(Member(run_id="r1", name="trial 1", weight=1.0),),
)
SALES_COLUMNS: tuple[Column, ...] = (
    NumericColumn(name="Temperatur in °C", nullable=False, minimum=-5, maximum=38, integer=False, example=21.5),
    NumericColumn(name="humidity", nullable=True, minimum=0, maximum=100, integer=True, example=40),
)
PATIENT_COLUMNS: tuple[Column, ...] = (
    NumericColumn(name="age", nullable=False, minimum=1, maximum=90, integer=True, example=40),
    NumericColumn(name="blood pressure", nullable=True, minimum=60, maximum=200, integer=False, example=None),
    BooleanColumn(name="smoker", nullable=False, example=True),
    CategoricalColumn(name="city", nullable=True, categories=("7", "Bern", "Zürich"), example="Bern"),
    CategoricalColumn(name="ward", nullable=False, categories=("A", "B"), example="A"),
    DateColumn(name="joined", nullable=False, minimum="1999-01-01", maximum="2024-12-31", example="2020-02-29"),
    DateColumn(name="left", nullable=True, minimum="1999-01-01", maximum="2024-12-31", example=None),
)
SALES_ROW: dict[str, Json] = {"Temperatur in °C": 30.0, "humidity": None}
PATIENT_ROW: dict[str, Json] = {
    "age": 41,
    "blood pressure": None,
    "smoker": False,
    "city": "Zürich",
    "ward": "B",
    "joined": "2021-06-30T12:00:00+02:00",
    "left": None,
}


def publish_sales(
    root: Path, *, name: str = "ice cream", version: int = 1, columns: Sequence[Column] = SALES_COLUMNS, **more: Any
) -> Path:
    """A regression with a column whose name has spaces and is not ASCII."""
    return publish(root, name=name, version=version, columns=columns, rows=[SALES_ROW], **more)


def publish_patients(root: Path, *, name: str = "patients", version: int = 1, **more: Any) -> Path:
    """Three classes, and every kind of column with and without missing values."""
    classes = ("low", "middling", "high")
    return publish(
        root, name=name, version=version, columns=PATIENT_COLUMNS, rows=[PATIENT_ROW], classes=classes, **more
    )


def publish(
    root: Path,
    *,
    name: str,
    version: int,
    columns: Sequence[Column],
    rows: Sequence[Row],
    classes: tuple[str, ...] = (),
    damage: Callable[[Path], None] | None = None,
    **more: Any,
) -> Path:
    """Write a bundle as training does, and make it the champion; `more` goes into its contract.

    `damage` is done before anyone may look: a server that polls would serve a version that is broken afterwards.
    """
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    # Every version has weights of its own, so that an answer tells which one gave it.
    model = weighted_sum(columns, width=len(classes) or 1, softmax=bool(classes), seed=version - 1)
    contract = Contract(
        name=name,
        columns=tuple(columns),
        target=Target(name="target", task=TASKS[min(len(classes), 3)], classes=classes),
        metrics={"validation": {"one": 0.5}},
        lineage=LINEAGE,
        golden=tuple(
            Golden(row=dict(row), prediction=tuple(answered.tolist()))
            for row, answered in zip(rows, run_directly(model, columns, rows), strict=True)
        ),
        onnx_sha256=hashlib.sha256(model).hexdigest(),
        opset=20,
        **more,
    )
    (folder / "model.onnx").write_bytes(model)
    (folder / "contract.json").write_text(contract.model_dump_json(), encoding="utf-8")
    if damage is not None:
        damage(folder)
    choose(root, name=name, version=version)
    return folder


def choose(root: Path, *, name: str, version: int, alias: str = "champion") -> None:
    """Let a version have an alias, at one stroke, as training does."""
    unfinished = root / name / f".{alias}"
    unfinished.write_text(f"{version}\n")
    unfinished.replace(root / name / alias)


def weighted_sum(columns: Sequence[Column], *, width: int, softmax: bool, seed: int = 0) -> bytes:
    """A graph that takes the columns by name and gives `prediction`, [N, width]."""
    draw = np.random.default_rng(seed)
    nodes, parts = [], []
    for place, column in enumerate(columns):
        numbers = f"numbers {place}"
        nodes += _numbers(column, numbers)
        # Days since 1970 are some ten thousand; a softmax of their sum would be 0 and 1.
        weights = draw.normal(size=(1, width)) * (1e-4 if isinstance(column, DateColumn) else 0.01)
        nodes += [
            _constant(f"weights {place}", weights),
            helper.make_node("Mul", [numbers, f"weights {place}"], [f"part {place}"]),
        ]
        parts.append(f"part {place}")
    nodes += [
        helper.make_node("Sum", parts, ["sum"]),
        helper.make_node("Cast", ["sum"], ["scores"], to=TensorProto.FLOAT),
        helper.make_node("Softmax" if softmax else "Identity", ["scores"], ["prediction"]),
    ]
    inputs = [
        helper.make_tensor_value_info(
            column.name,
            TensorProto.STRING if isinstance(column, CategoricalColumn) else TensorProto.DOUBLE,
            ["N", 1],
        )
        for column in columns
    ]
    outputs = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["N", width])]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "sum", inputs, outputs), opset_imports=opsets, ir_version=10)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def run_directly(model: bytes, columns: Sequence[Column], rows: Sequence[Row]) -> np.ndarray:
    """What ONNX Runtime answers, without a line of the server: [N, P]."""
    feed = {
        column.name: np.array([[_raw(column, row[column.name])] for row in rows], dtype=_dtype(column))
        for column in columns
    }
    return np.asarray(onnxruntime.InferenceSession(model).run(["prediction"], feed)[0])


def _dtype(column: Column) -> type:
    return object if isinstance(column, CategoricalColumn) else float


def _raw(column: Column, value: Json) -> Any:
    if isinstance(column, CategoricalColumn):
        return "" if value is None else str(value)
    if value is None:
        return np.nan
    if isinstance(column, DateColumn):
        text, _, offset = str(value).partition("+")
        hours = int(offset[:2] or 0)
        moment = np.datetime64(text, "us") - np.timedelta64(hours, "h")
        return (moment - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    return float(value)


def _numbers(column: Column, output: str) -> list[Any]:
    if isinstance(column, CategoricalColumn):
        codes = {
            "keys_strings": list(column.categories),
            "values_floats": [i + 1.0 for i in range(len(column.categories))],
        }
        encoder = helper.make_node(
            "LabelEncoder", [column.name], [f"{output} code"], domain="ai.onnx.ml", default_float=0.0, **codes
        )
        return [encoder, helper.make_node("Cast", [f"{output} code"], [output], to=TensorProto.DOUBLE)]
    return [
        _constant(f"{output} zero", np.zeros(1)),
        helper.make_node("IsNaN", [column.name], [f"{output} missing"]),
        helper.make_node("Where", [f"{output} missing", f"{output} zero", column.name], [output]),
    ]


def _constant(name: str, value: np.ndarray) -> Any:
    tensor = helper.make_tensor(name, TensorProto.DOUBLE, value.shape, value.ravel())
    return helper.make_node("Constant", [], [name], value=tensor)
