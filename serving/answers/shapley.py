"""Explains predictions: what each column adds to what is predicted for known rows, until it is this prediction.

Interventional Shapley values (Strumbelj and Kononenko 2014; Lundberg and Lee 2017) against the contract's background,
rows of the training part. Each walk goes from a background row to the row that is explained, one column after the
other; what a column adds is what the prediction changes by when it is exchanged, on average over the walks. So
contributions add up to the prediction less the background's mean, exactly. Every background row is left by two walks,
one in the reverse order of the other (Mitchell et al. 2022): where no more than two columns work together, what comes
out is exact; else it is an estimate, the same at every request.
Of classes, it is the probability of the likeliest one that is explained.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.bundle import BundleError
from serving.predictor import Predictor
from serving.reading.rows import columns_from_rows

MOST_ROWS = 100  # of one request
MOST_PREDICTIONS = 200_000  # that one request may need: a second or two of an ensemble
PREDICTIONS_AT_ONCE = 4096


@dataclass(frozen=True)
class Explanation:
    """What was added to what.

    Attributes:
        base: the mean prediction for the background, [N]; of each row's likeliest class.
        contributions: column -> what it adds, [N].
    """

    base: np.ndarray
    contributions: Mapping[str, np.ndarray]


class Explainer:
    """Explains the predictions of one model.

    Args:
        predictor: the model; its contract has a background.

    Raises:
        BundleError: the background cannot be predicted for.
    """

    def __init__(self, predictor: Predictor) -> None:
        contract = predictor.contract
        self._predictor = predictor
        self._names = [column.name for column in contract.columns]
        n_background = len(contract.background)
        try:
            self._background = columns_from_rows(contract, contract.background)
            self._at_background = predictor.predict(self._background).astype(np.float64)  # [B, P]
        except Exception as error:  # a class a cause, without a common base: ONNX Runtime's own, ValueError, TypeError
            said = f"{contract.name}: the background rows cannot be answered"
            raise BundleError(f"{said}: {error}", reason=f"{said}.") from error
        draw = np.random.default_rng(0)
        forward = np.array([draw.permutation(len(self._names)) for _ in range(n_background)])  # [B, C]
        self._starts = np.tile(np.arange(n_background), 2)  # [W], the background row of each walk
        # [W, C]: at which step of a walk a column is exchanged.
        self._when = np.concatenate([forward, len(self._names) - 1 - forward])
        self.most_rows = max(1, min(MOST_ROWS, MOST_PREDICTIONS // self._when.size))

    def explain(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray) -> Explanation:
        """Explain predictions.

        Args:
            columns: name -> [N], raw; N should be no more than `most_rows`.
            predictions: for them, [N, P].
        """
        outputs = predictions.argmax(axis=1)
        added = np.array(
            [
                self._explain_row({name: columns[name][row] for name in self._names}, prediction, output)
                for row, (prediction, output) in enumerate(zip(predictions, outputs, strict=True))
            ]
        )  # [N, C]
        return Explanation(
            base=self._at_background.mean(axis=0)[outputs],
            contributions=dict(zip(self._names, added.T, strict=True)),
        )

    def _explain_row(self, row: Mapping[str, float | str], prediction: np.ndarray, output: int) -> np.ndarray:
        """What each column adds to an output, [C]."""
        n_walks, n_columns = self._when.shape
        along = np.empty(
            (n_walks, n_columns + 1)
        )  # the output before the first exchange, after it, ..., after the last
        along[:, 0] = self._at_background[self._starts, output]
        along[:, -1] = prediction[output]
        at_once = max(1, PREDICTIONS_AT_ONCE // n_columns)
        for first in range(0, n_walks if n_columns > 1 else 0, at_once):
            walks = slice(first, first + at_once)
            along[walks, 1:-1] = self._walk(row, walks)[..., output]
        with np.errstate(invalid="ignore"):  # between two that are infinite
            changes = np.diff(along, axis=1)
        added: np.ndarray = np.take_along_axis(changes, self._when, axis=1).mean(axis=0)
        return added

    def _walk(self, row: Mapping[str, float | str], walks: slice) -> np.ndarray:
        """Predictions on the way, [W, C - 1, P]: where some columns are the row's, and the others the background's."""
        steps = np.arange(1, len(self._names))
        starts = self._starts[walks, None]
        mixed = {
            name: np.where(self._when[walks, index, None] < steps, row[name], self._background[name][starts]).ravel()
            for index, name in enumerate(self._names)
        }
        return self._predictor.predict(mixed).reshape(len(starts), len(steps), -1)
