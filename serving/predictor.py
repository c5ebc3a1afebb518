"""Raw rows to predictions: ONNX Runtime over a bundle's model. The exporter checks its product with this file.

Not here: what a request may look like (`schemas`, `reading`) and how an answer is worded (`protocols`).
"""

import os
from collections.abc import Mapping

import numpy as np

from serving.bundle import MODEL_FILE, Bundle, BundleError, CategoricalColumn, Column
from serving.reading.rows import columns_from_rows

# Read at its import: or else it tells its makers, by way of a database in the user's folder, what it is used for.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

GOLDEN_TOLERANCE = 1e-5  # of the larger of the target's scale and the largest recorded value
OUTPUT = "prediction"


class Predictor:
    """A loaded model. Its predictions may run side by side in several threads.

    Args:
        bundle: an opened bundle.
        threads: of one prediction; 1 suits a server, whose requests run side by side.

    Raises:
        BundleError: ONNX Runtime cannot load the model, or its inputs and outputs are not the contract's.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._session = _start_session(bundle, threads=threads)
        self.contract = bundle.contract
        known = {column.name: _onnx_type(column) for column in bundle.contract.columns}
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._inputs = [tensor.name for tensor in inputs]
        wrong = sorted(tensor.name for tensor in inputs if known.get(tensor.name) != tensor.type)
        if wrong or OUTPUT not in [tensor.name for tensor in outputs]:
            parts = ", ".join(wrong) or f"the output {OUTPUT!r}"
            said = f"the model and its contract disagree on {parts}."
            raise BundleError(f"{bundle.folder}: {said}", reason=said.capitalize())

    def predict(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predict.

        Args:
            columns: name -> [N]; float64 with NaN for missing, or strings with "" for missing.

        Returns:
            float32 [N, P]: values in the target's own unit, or one probability a class.
        """
        feed = {name: columns[name].reshape(-1, 1) for name in self._inputs}
        prediction: np.ndarray = self._session.run([OUTPUT], feed)[0]
        return prediction


def check_golden(predictor: Predictor) -> None:
    """Replay the contract's golden rows.

    Raises:
        BundleError: an answer is not the recorded one.
    """
    contract = predictor.contract
    if not contract.golden:
        return
    expected = np.array([golden.prediction for golden in contract.golden])
    answered = _answer_golden(predictor)
    if answered.shape != expected.shape:
        said = f"{contract.name}: the model answers {answered.shape} where {expected.shape} was recorded."
        raise BundleError(said, reason=said)
    # Of the target's scale or the largest value: float32 rounds an answer by what its terms are, not by what they
    # cancel to. A contract of format 1 does not know the scale.
    allowed = GOLDEN_TOLERANCE * max(contract.target.scale or 0.0, np.abs(expected).max())
    is_equal = (np.abs(answered - expected) <= allowed).all(axis=1)  # a comparison with NaN is False
    if not is_equal.all():
        row = int(is_equal.argmin())
        said = f"golden row {row} is answered {answered[row].tolist()}, training recorded {expected[row].tolist()}."
        raise BundleError(f"{contract.name}: {said}", reason=said.capitalize())


def _answer_golden(predictor: Predictor) -> np.ndarray:
    contract = predictor.contract
    try:
        return predictor.predict(columns_from_rows(contract, [golden.row for golden in contract.golden]))
    except Exception as error:  # a class a cause, without a common base: ONNX Runtime's own, ValueError, TypeError
        said = f"{contract.name}: the golden rows cannot be answered"
        raise BundleError(f"{said}: {error}", reason=f"{said}.") from error


def _start_session(bundle: Bundle, *, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # nothing: what matters is raised
    # A model given as bytes may otherwise read files of the working folder. Below a file there can be none.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(bundle.folder / MODEL_FILE)
    )
    try:
        return onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a class a cause, without a common base of its own
        said = "ONNX Runtime cannot load it"
        reason = f"{said}: it is of opset {bundle.contract.opset}, and this is ONNX Runtime {onnxruntime.__version__}."
        raise BundleError(f"{bundle.folder / MODEL_FILE}: {said}: {error}", reason=reason) from error


def _onnx_type(column: Column) -> str:
    return "tensor(string)" if isinstance(column, CategoricalColumn) else "tensor(double)"
