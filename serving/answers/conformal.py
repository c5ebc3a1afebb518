"""What an answer says of its own certainty: an interval around a value, or a set of labels, at a coverage.

Split conformal prediction (Vovk et al. 2005) with the scores of the contract: of rows that come as the calibration
rows came, at least the asked share has its true value in its interval, or its true label in its set. The share is one
over rows and calibrations, not a promise for each row or kind of row.
"""

import math

import numpy as np

from serving.bundle import Calibration, Conformal

ROUNDING = 1e-6  # of a probability: what float32 and the way back from a temperature may change


def conformal_quantile(conformal: Conformal, coverage: float) -> float:
    """The score of rank ceil((rows + 1) * coverage), at least 1; infinite where there are fewer rows than that.

    Where not every score was kept it is the next one that was, so the coverage is never less.
    """
    # A coverage such as 0.55 is not exact in binary, and must not be taken for a little more than it is.
    rank = max(math.ceil((conformal.rows + 1) * coverage - 1e-9), 1)
    if rank > conformal.rows:
        return math.inf
    return conformal.scores[(rank - 1) * len(conformal.scores) // conformal.rows]


def least_rows(coverage: float) -> int:
    """How many calibration rows an interval at this coverage needs to have ends."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def intervals(calibration: Calibration, predictions: np.ndarray, coverage: float) -> np.ndarray:
    """Lower and upper end around each value, [N, 2]; infinite where too few rows were there to calibrate on."""
    quantile = conformal_quantile(calibration.conformal, coverage)
    ends: np.ndarray = predictions[:, :1].astype(np.float64) + np.array([-quantile, quantile])
    return ends


def label_sets(calibration: Calibration, probabilities: np.ndarray, coverage: float) -> np.ndarray:
    """Which labels are in the set of each row, [N, C].

    The most probable label always is, so no set is empty; that adds to the coverage alone. All labels are where too
    few rows were there to calibrate on.
    """
    quantile = conformal_quantile(calibration.conformal, coverage)
    is_in = _before_temperature(probabilities, calibration.temperature) >= 1 - quantile - ROUNDING
    is_in[np.arange(len(is_in)), probabilities.argmax(axis=1)] = True
    return is_in


def _before_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The inverse of `softmax(log p / temperature)`, by logarithms: a power of a small number would be lost."""
    if temperature == 1:
        return probabilities
    heated = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny)) * temperature
    raised = np.exp(heated - heated.max(axis=1, keepdims=True))
    before: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return before


def largest_coverage(conformal: Conformal) -> float:
    """The largest coverage at which intervals have ends and sets leave labels out."""
    return conformal.rows / (conformal.rows + 1)
