"""Raw rows to predictions: ONNX Runtime over a bundle's model. The exporter checks its product with this file.

Not here: what a request may look like (`schemas`) and how an answer is worded (`protocols`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnxruntime

from serving.bundle import Bundle, BundleError, CategoricalColumn, Column, Contract, DateColumn, Json

GOLDEN_TOLERANCE = 1e-5  # of the larger of 1 and the largest recorded value
SECONDS_A_DAY = 86_400.0
OUTPUT = "prediction"
Row = Mapping[str, Json]


class Predictor:
    """A loaded model.

    Args:
        bundle: an opened bundle.
        threads: of one prediction; 1 suits a server, whose requests run side by side.

    Raises:
        BundleError: ONNX Runtime cannot load the model, or its outputs are not the contract's.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        try:
            self._session = onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a class a cause, without a common base of its own
            raise BundleError(f"{bundle.folder}: ONNX Runtime cannot load the model: {error}") from error
        self.contract = bundle.contract
        known = {column.name for column in bundle.contract.columns}
        self._inputs = [own.name for own in self._session.get_inputs()]
        unknown = sorted(set(self._inputs) - known)
        if unknown or OUTPUT not in [own.name for own in self._session.get_outputs()]:
            raise BundleError(f"{bundle.folder}: the model and its contract disagree on columns {unknown} or outputs.")

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


def columns_from_rows(contract: Contract, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Validated rows as the model's raw columns, [N] each."""
    return {column.name: _column(column, [row[column.name] for row in rows]) for column in contract.columns}


def _column(column: Column, values: Sequence[Json]) -> np.ndarray:
    if isinstance(column, CategoricalColumn):
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    if isinstance(column, DateColumn):
        return np.array([np.nan if value is None else days_since_1970(str(value)) for value in values])
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def days_since_1970(text: str) -> float:
    """An ISO 8601 date or date-time as days since 1970-01-01 UTC, with a fraction for the time of day.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() / SECONDS_A_DAY


def check_golden(predictor: Predictor) -> None:
    """Replay the contract's golden rows.

    Raises:
        BundleError: an answer is not the recorded one.
    """
    golden = predictor.contract.golden
    if not golden:
        return
    expected = np.array([own.prediction for own in golden])
    answered = predictor.predict(columns_from_rows(predictor.contract, [own.row for own in golden]))
    # Of the largest value: float32 rounds every answer of a model by what its terms are, not by what they cancel to.
    allowed = GOLDEN_TOLERANCE * max(1.0, np.abs(expected).max())
    wrong: Any = np.flatnonzero(~(np.abs(answered - expected) <= allowed).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise BundleError(
            f"{predictor.contract.name}: golden row {row} is answered {answered[row].tolist()}, "
            f"training recorded {expected[row].tolist()}."
        )
