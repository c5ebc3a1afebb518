"""Versions that must not be served: what training published, changed by hand."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx


def _changing(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def break_it(folder: Path) -> None:
        path = folder / "contract.json"
        contract = json.loads(path.read_text(encoding="utf-8"))
        change(contract)
        path.write_text(json.dumps(contract), encoding="utf-8")

    return break_it


def _changing_model(change: Callable[[onnx.ModelProto], None]) -> Callable[[Path], None]:
    """The contract names the hash of the changed file: nothing but the model itself is wrong."""

    def break_it(folder: Path) -> None:
        path = folder / "model.onnx"
        model = onnx.load_from_string(path.read_bytes())
        change(model)
        path.write_bytes(model.SerializeToString())
        facts = {"onnx_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "opset": model.opset_import[0].version}
        _changing(lambda contract: contract.update(facts))(folder)

    return break_it


def _change_a_golden_answer(contract: dict[str, Any]) -> None:
    contract["golden"][0]["prediction"][0] += 1e-3


def _forget_a_column(contract: dict[str, Any]) -> None:
    contract["columns"].pop()
    contract["golden"] = []


def _forget_every_example(contract: dict[str, Any]) -> None:
    contract["golden"].clear()
    contract["columns"][0]["example"] = None


def _cut_the_model(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def _take_a_later_opset(model: onnx.ModelProto) -> None:
    for opset in model.opset_import:
        opset.version = 99


def _ending_in(op_type: str, *inputs: str, axis: int) -> Callable[[Path], None]:
    """Another last step, and no golden row that would tell."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(onnx.helper.make_tensor("index", onnx.TensorProto.INT64, [1], [7]))
        model.graph.node.pop()
        model.graph.node.append(onnx.helper.make_node(op_type, inputs, ["prediction"], axis=axis))
        model.graph.output[0].type.tensor_type.shape.dim[axis].dim_param = "some"

    def break_it(folder: Path) -> None:
        _changing(lambda contract: contract["golden"].clear())(folder)
        _changing_model(change)(folder)

    return break_it


def _point_outside(model: onnx.ModelProto) -> None:
    tensor = next(node for node in model.graph.node if node.op_type == "Constant").attribute[0].t
    tensor.ClearField("double_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="contract.json")  # a file that is there


# How -> (break a bundle's folder so, how the reason begins that callers are told)
BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "another hash": (_cut_the_model, "The model file: its sha256 is not the one in contract.json"),
    "another golden answer": (_changing(_change_a_golden_answer), "Golden row 0 is answered"),
    "a later format": (
        _changing(lambda contract: contract.update(format_version=9)),
        "The contract: format_version: Input should be 1, 2 or 3",
    ),
    "other columns": (_changing(_forget_a_column), "The model and its contract disagree on humidity"),
    "no example of its own": (_changing(_forget_every_example), "Its own example is refused"),
    "a graph that fails": (_ending_in("Gather", "scores", "index", axis=1), "Its own example cannot be answered"),
    "a column too many": (
        _ending_in("Concat", "scores", "scores", axis=1),
        "Its own example is answered in the shape (1, 2), not (1, 1)",
    ),
    "a row too many": (
        _ending_in("Concat", "scores", "scores", axis=0),
        "Its own example is answered in the shape (2, 1), not (1, 1)",
    ),
    "a later opset": (_changing_model(_take_a_later_opset), "ONNX Runtime cannot load it: it is of opset 99,"),
    "weights in another file": (_changing_model(_point_outside), "ONNX Runtime cannot load it"),
    "no model file": (lambda folder: (folder / "model.onnx").unlink(), "It cannot be read"),
    "no folder": (shutil.rmtree, "It cannot be read"),
}
