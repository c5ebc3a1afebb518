"""A small bundle with a column of each kind: score = age / 100 + smoker + city + days / 100000, missing counts as 0."""

import hashlib
import json
from pathlib import Path
from typing import Any

from onnx import TensorProto, checker, helper

CITIES = {"": 0.0, "Basel": 0.25, "Bern": 0.5, "Zürich": 0.75}
UNSEEN_CITY = -1.0
AGE = {"kind": "numeric", "name": "age", "minimum": 1.0, "maximum": 90.0, "integer": True, "example": 40.0}
SMOKER = {"kind": "boolean", "name": "smoker", "example": True}
CITY = {"kind": "categorical", "name": "city", "categories": ["Basel", "Bern", "Zürich"], "example": "Bern"}
JOINED = {"kind": "date", "name": "joined", "minimum": "1999-01-01", "maximum": "2024-12-31", "example": "2020-02-29"}
COLUMNS: list[dict[str, Any]] = [own | {"nullable": own is not CITY} for own in (AGE, SMOKER, CITY, JOINED)]


def write_bundle(folder: Path, *, classes: tuple[str, ...] = ()) -> Path:
    """Write a bundle: a regression without classes, binary with two."""
    folder.mkdir(parents=True)
    model = _graph(classes=classes).SerializeToString()
    (folder / "model.onnx").write_bytes(model)
    (folder / "contract.json").write_text(json.dumps(_contract(classes, model)), encoding="utf-8")
    return folder


def _contract(classes: tuple[str, ...], model: bytes) -> dict[str, Any]:
    return {
        "format_version": 1,
        "name": "patients",
        "columns": COLUMNS,
        "target": {"name": "ill", "task": "binary" if classes else "regression", "classes": list(classes)},
        "metrics": {"validation": {"roc_auc": 0.91}, "test": {"roc_auc": 0.89}},
        "lineage": {
            "sweep": "s1",
            "data_fingerprint": "d4ta",
            "code_version": "c0de",
            "created": "2026-11-20T12:00:00+00:00",
            "members": [
                {"run_id": "r1", "name": "trial 1", "weight": 0.75},
                {"run_id": "r2", "name": "trial 2", "weight": 0.25},
            ],
        },
        "golden": [],
        "onnx_sha256": hashlib.sha256(model).hexdigest(),
        "opset": 20,
        "notes": {},
    }


def _graph(*, classes: tuple[str, ...]) -> Any:
    node = helper.make_node
    nodes = [node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.DOUBLE, [1], [0.0]))]
    for name, scale in (("age", 0.01), ("smoker", 1.0), ("joined", 0.00001)):
        nodes += [
            node("Constant", [], [f"{name}_scale"], value=helper.make_tensor("s", TensorProto.DOUBLE, [1], [scale])),
            node("IsNaN", [name], [f"{name}_missing"]),
            node("Where", [f"{name}_missing", "zero", name], [f"{name}_filled"]),
            node("Mul", [f"{name}_filled", f"{name}_scale"], [f"{name}_part"]),
        ]
    nodes += [
        node(
            "LabelEncoder",
            ["city"],
            ["city_code"],
            domain="ai.onnx.ml",
            keys_strings=list(CITIES),
            values_floats=list(CITIES.values()),
            default_float=UNSEEN_CITY,
        ),
        node("Cast", ["city_code"], ["city_part"], to=TensorProto.DOUBLE),
        node("Sum", ["age_part", "smoker_part", "joined_part", "city_part"], ["score"]),
        node("Cast", ["score"], ["score_32"], to=TensorProto.FLOAT),
    ]
    nodes += _head(classes)
    inputs = [
        helper.make_tensor_value_info(
            column["name"], TensorProto.STRING if column["kind"] == "categorical" else TensorProto.DOUBLE, ["N", 1]
        )
        for column in COLUMNS
    ]
    outputs = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["N", len(classes) or 1])]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(
        helper.make_graph(nodes, "patients", inputs, outputs), opset_imports=opsets, ir_version=10
    )
    checker.check_model(model)
    return model


def _head(classes: tuple[str, ...]) -> list[Any]:
    if not classes:
        return [helper.make_node("Identity", ["score_32"], ["prediction"])]
    return [
        helper.make_node("Sigmoid", ["score_32"], ["positive"]),
        helper.make_node("Neg", ["score_32"], ["negative_score"]),
        helper.make_node("Sigmoid", ["negative_score"], ["negative"]),
        helper.make_node("Concat", ["negative", "positive"], ["prediction"], axis=1),
    ]
