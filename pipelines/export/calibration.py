"""Calibrates a chosen model on rows that fitted and chose nothing: a temperature for its classes, conformal scores.

The temperature changes no label and no order of labels within a row. The conformal scores are those of the
probabilities before it, so that they owe nothing to the rows that they are computed on, and the coverage that is
promised holds exactly. What sigmoids and softmaxes make of hinge or one-versus-rest scores sums to one, but is no
probability of anything; at a temperature it is at least one that the calibration rows bear out.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int, Num

from pipelines.data.prepare import PreparedTable
from pipelines.export.rows import spread
from pipelines.export.served import ServedMember, build_served
from pipelines.models import input_facts
from pipelines.tasks.task import Task
from serving.answers.conformal import intervals, label_sets
from serving.bundle import Calibration, Conformal

MOST_ROWS = 50_000  # of a fit of one number
MOST_SCORES = 1000  # of a contract: a coverage is rounded up by a tenth of a percent at most
PRIOR_DEVIATION = 0.5  # of the temperature's logarithm: a few rows that are all right must not make certainty of it
LOGARITHMS = np.linspace(-2.5, 2.5, 501)  # of the temperatures that are tried, a hundredth apart
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)


def calibrate(members: Sequence[ServedMember], *, prepared: PreparedTable, task: Task) -> Calibration | None:
    """Calibrate a model that is chosen already; None where no rows were set aside for it.

    Args:
        members: with their weights in the average.
        prepared: whose calibration part is used, and nothing else of it.
        task: of all members.
    """
    part = prepared.calibration
    if part is None:
        return None
    predictions = build_served(members, inputs=input_facts(prepared), task=task).predict(part.features)
    conformal = conformal_scores(task, predictions, part.target)
    if task.kind == "regression":
        return Calibration(conformal=conformal)
    rows = spread(np.arange(len(part.target)), at_most=MOST_ROWS)
    logarithms, codes = _logarithms(predictions[rows]), part.target[rows]
    temperature = fit_temperature(predictions[rows], codes)
    return Calibration(
        conformal=conformal,
        temperature=temperature,
        log_loss_before=_log_loss(logarithms, codes, temperature=1.0),
        log_loss_after=_log_loss(logarithms, codes, temperature=temperature),
    )


def held_out_coverage(
    calibration: Calibration,
    predictions: Float[np.ndarray, "rows predictions"],
    target: Num[np.ndarray, " rows"],
    *,
    coverage: float,
) -> dict[str, float]:
    """The share of rows that intervals or sets hold, and how wide or large these are, by the reader's own code.

    Args:
        calibration: of the model.
        predictions: of the model as it is served, for rows that had no part in it.
        target: raw values, or class codes.
        coverage: asked for.

    Returns:
        `coverage` and `width` (in the target's unit; left out where infinite), or `coverage` and `set_size`.
    """
    if calibration.conformal.method == "lac":
        is_in = label_sets(calibration, predictions, coverage)
        held = is_in[np.arange(len(target)), target]
        return {"coverage": float(held.mean()), "set_size": float(is_in.sum(axis=1).mean())}
    lower, upper = intervals(calibration, predictions, coverage).T
    share = {"coverage": float(((lower <= target) & (target <= upper)).mean())}
    return share | ({"width": float((upper - lower).mean())} if np.isfinite(upper).all() else {})


def fit_temperature(probabilities: Float[np.ndarray, "rows classes"], codes: Int[np.ndarray, " rows"]) -> float:
    """The temperature T of `softmax(log p / T)` that makes the true classes likeliest (Guo et al. 2017).

    Its logarithm has a normal prior around 0. So the log loss at T is never above that at 1, whatever the rows; few
    rows move T little.
    """
    logarithms = _logarithms(probabilities)
    losses = np.array([_log_loss(logarithms, codes, temperature=math.exp(tried)) for tried in LOGARITHMS])
    penalties = (LOGARITHMS / PRIOR_DEVIATION) ** 2 / (2 * len(codes))
    best = float(LOGARITHMS[(losses + penalties).argmin()])
    is_better = _log_loss(logarithms, codes, temperature=math.exp(best)) < _log_loss(logarithms, codes, temperature=1.0)
    return math.exp(best) if is_better else 1.0


def conformal_scores(
    task: Task, predictions: Float[np.ndarray, "rows predictions"], target: Num[np.ndarray, " rows"]
) -> Conformal:
    """How strange each row's true answer is to the model, ascending.

    Args:
        task: regression: |target - prediction|; classes: 1 - the probability of the true one.
        predictions: before any temperature.
        target: raw values, or class codes.
    """
    exact = predictions.astype(np.float64)
    scores = np.abs(target - exact[:, 0]) if task.kind == "regression" else 1 - exact[np.arange(len(target)), target]
    n_rows = len(scores)
    n_kept = min(n_rows, MOST_SCORES)
    ranks = -(-np.arange(1, n_kept + 1) * n_rows // n_kept)  # rounded up: see `serving.bundle.Conformal`
    return Conformal(
        method="absolute_residual" if task.kind == "regression" else "lac",
        rows=n_rows,
        scores=tuple(np.sort(scores)[ranks - 1].tolist()),
    )


def _logarithms(probabilities: Float[np.ndarray, "rows classes"]) -> Float64[np.ndarray, "rows classes"]:
    return np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))


def _log_loss(
    logarithms: Float64[np.ndarray, "rows classes"], codes: Int[np.ndarray, " rows"], *, temperature: float
) -> float:
    heated = logarithms / temperature
    largest = heated.max(axis=1)
    totals = largest + np.log(np.exp(heated - largest[:, None]).sum(axis=1))
    return float((totals - heated[np.arange(len(codes)), codes]).mean())
