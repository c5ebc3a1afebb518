"""Proves that a written bundle answers as its members do, through the very reader that serves it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipelines.data.prepare import PreparedTable, raw_rows
from pipelines.data.profile import Raw
from pipelines.export.rows import tried_rows
from pipelines.export.served import ServedModel
from pipelines.tasks.task import Task
from serving.bundle import open_bundle
from serving.predictor import Predictor, check_golden
from serving.reading.rows import columns_from_rows

TOLERANCE = 1e-5  # of a probability; of the larger of a value and the standard deviation of the target
MOST_ROWS = 1000


class ParityError(Exception):
    """A bundle answers otherwise than the members that it was made of, so it must not be served."""


class RowCountError(ParityError):
    """A bundle does not answer as many rows as it is sent."""


def check_parity(folder: Path, *, served: ServedModel, prepared: PreparedTable, task: Task) -> None:
    """Send real rows and probes (`tried_rows`) to a bundle, as JSON, and compare its answers with the members'.

    Raises:
        ParityError: an answer differs; names the row, its values and both answers. A `RowCountError` where there are
            not as many answers as rows.
        BundleError: the reader refuses the bundle, or its answer to a golden row.
    """
    bundle = open_bundle(folder)
    predictor = Predictor(bundle)
    features = tried_rows(prepared, at_most=MOST_ROWS)
    rows = raw_rows(replace(prepared.table, features=features), np.arange(features.height))
    trained = served.predict(prepared.encode(features))
    answered = _answers(predictor, rows)
    compare(rows, answered=answered, trained=trained, scale=task.scale)
    check_golden(predictor)


def _answers(predictor: Predictor, rows: Sequence[Mapping[str, Raw]]) -> Float[np.ndarray, "rows predictions"]:
    columns = columns_from_rows(predictor.contract, rows)
    try:
        answered = predictor.predict(columns)
    except Exception as error:  # a class a cause, without a common base: ONNX Runtime's own, ValueError, TypeError
        why = " ".join(str(error).split())
        raise RowCountError(
            f"The bundle cannot answer {len(rows)} rows at once: {why}. Nothing was written."
        ) from error
    if len(answered) != len(rows):
        raise RowCountError(f"The bundle gives {len(answered)} answers to {len(rows)} rows. Nothing was written.")
    return answered


def compare(
    rows: Sequence[Mapping[str, Raw]],
    *,
    answered: Float[np.ndarray, "rows predictions"],
    trained: Float[np.ndarray, "rows predictions"],
    scale: float,
) -> None:
    """Check answers row by row.

    Args:
        rows: raw values, for the message.
        answered: by the bundle.
        trained: by the members.
        scale: standard deviation of a regression target; 1 for classes.

    Raises:
        ParityError: two answers differ by more than `TOLERANCE` allows, or one is not a number.
    """
    allowed = TOLERANCE * np.maximum(scale, np.abs(trained))
    is_equal = (np.abs(answered - trained) <= allowed).all(axis=1)  # a comparison with NaN is False
    if is_equal.all():
        return
    row = int(is_equal.argmin())
    raise ParityError(
        f"The bundle's answers differ from training's in {np.sum(~is_equal)} of {len(is_equal)} rows. "
        f"First in row {row}, {rows[row]}: the bundle says {answered[row].tolist()}, "
        f"training {trained[row].tolist()}. Nothing was written."
    )
