"""Answers to inference requests: the outputs of a model as tensors, in JSON or in bytes behind it.

A regression has one output, `prediction`, [N, 1] in the target's own unit. A classification has `label`, [N, 1], the
likeliest class, and `probabilities`, [N, P], in the order of the classes that the metadata names.
"""

from typing import Any

import msgspec
import numpy as np

from serving.bundle import Contract
from serving.protocols.open_inference.tensors import BYTES, join_texts

PREDICTION, LABEL, PROBABILITIES = "prediction", "label", "probabilities"
FLOAT = "FP32"


def output_names(contract: Contract) -> tuple[str, ...]:
    """The outputs of a model."""
    return (LABEL, PROBABILITIES) if contract.target.classes else (PREDICTION,)


def describe_outputs(contract: Contract) -> list[dict[str, Any]]:
    """Their metadata."""
    classes = list(contract.target.classes)
    if not classes:
        return [{"name": PREDICTION, "datatype": FLOAT, "shape": [-1, 1]}]
    return [
        {"name": LABEL, "datatype": BYTES, "shape": [-1, 1]},
        {
            "name": PROBABILITIES,
            "datatype": FLOAT,
            "shape": [-1, len(classes)],
            "parameters": {"classes": classes},
        },
    ]


def write_answer(
    contract: Contract, predictions: np.ndarray, outputs: dict[str, bool], head: dict[str, Any]
) -> tuple[bytes, int | None]:
    """Word predictions.

    Args:
        contract: names the classes.
        predictions: [N, P], finite.
        outputs: name -> whether it is answered in bytes.
        head: what stands before the outputs.

    Returns:
        The body, and how many bytes of it are JSON; None: all.
    """
    tensors = []
    blocks = []
    for name, in_bytes in outputs.items():
        tensor: dict[str, Any] = {
            "name": name,
            "datatype": BYTES if name == LABEL else FLOAT,
            "shape": [len(predictions), 1 if name == LABEL else predictions.shape[1]],
        }
        if in_bytes:
            blocks.append(_bytes_of(contract, name, predictions))
            tensor["parameters"] = {"binary_data_size": len(blocks[-1])}
        else:
            tensor["data"] = _labels(contract, predictions) if name == LABEL else predictions.ravel().tolist()
        tensors.append(tensor)
    header = msgspec.json.encode({**head, "outputs": tensors})
    return (b"".join([header, *blocks]), len(header)) if blocks else (header, None)


def _bytes_of(contract: Contract, name: str, predictions: np.ndarray) -> bytes:
    if name == LABEL:
        return join_texts(label.encode() for label in _labels(contract, predictions))
    return predictions.astype("<f4").tobytes()


def _labels(contract: Contract, predictions: np.ndarray) -> list[str]:
    return [contract.target.classes[index] for index in predictions.argmax(axis=1).tolist()]
