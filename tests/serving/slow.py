"""A model that computes for minutes: as long as its rows are many, in one run that nothing stops."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 128  # of a matrix that is multiplied once for each pair of rows


def slow_down(folder: Path) -> None:
    """Let the model of a bundle do so, which one row does not show."""
    path = folder / "model.onnx"
    model = onnx.load_from_string(path.read_bytes())
    graph = model.graph
    graph.node[-1].output[0] = "fast"
    graph.initializer.append(numpy_helper.from_array(np.zeros((SIZE, SIZE), dtype=np.float32), "matrix"))
    graph.initializer.append(numpy_helper.from_array(np.ones((), dtype=np.bool_), "always"))
    graph.node.extend(
        [
            helper.make_node("Size", [graph.input[0].name], ["rows"]),
            helper.make_node("Mul", ["rows", "rows"], ["pairs"]),
            helper.make_node("Loop", ["pairs", "always", "matrix"], ["zeros"], body=_multiply()),
            helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
            helper.make_node("Add", ["fast", "zero"], ["prediction"]),
        ]
    )
    path.write_bytes(model.SerializeToString())
    contract = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    contract["onnx_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "contract.json").write_text(json.dumps(contract), encoding="utf-8")


def _multiply() -> onnx.GraphProto:
    matrix, product = (helper.make_tensor_value_info(own, TensorProto.FLOAT, [SIZE, SIZE]) for own in ("in", "out"))
    step = helper.make_tensor_value_info("step", TensorProto.INT64, [])
    goes_on, still = (helper.make_tensor_value_info(own, TensorProto.BOOL, []) for own in ("goes on", "still"))
    nodes = [helper.make_node("MatMul", ["in", "in"], ["out"]), helper.make_node("Identity", ["goes on"], ["still"])]
    return helper.make_graph(nodes, "multiply", [step, goes_on, matrix], [still, product])
