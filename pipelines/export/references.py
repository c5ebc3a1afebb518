"""How columns and answers were distributed in training, for a reader that watches whether they still are.

Bins are deciles; they are counted by the reader's own code (`serving.monitoring.drift`), so that both mean the same by
them.
"""

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from pipelines.data.table import as_numbers
from pipelines.export.rows import spread
from serving.bundle import CategoricalColumn, Column, Reference, Target
from serving.monitoring.drift import count_answers, count_bins

MOST_ROWS = 50_000  # deciles of more rows are the same to half a percent, and take longer
N_BINS = 10


def with_reference(column: Column, values: pl.Series, rows: Int[np.ndarray, " rows"]) -> Column:
    """The column, and how its values are distributed in these rows of the table."""
    kept = values.gather(spread(rows, at_most=MOST_ROWS))
    if isinstance(column, CategoricalColumn):
        labels = kept.cast(pl.String).to_numpy().astype(object)
        unknown = Reference(shares=(0.0,) * len(column.categories))
        return column.model_copy(update={"reference": _counted(unknown, count_bins(column, unknown, labels))})
    numbers = as_numbers(kept).to_numpy()
    unknown = _bins(numbers[~np.isnan(numbers)]) if column.kind != "boolean" else Reference(shares=(0.0, 0.0))
    return column.model_copy(update={"reference": _counted(unknown, count_bins(column, unknown, numbers))})


def answers_reference(target: Target, predictions: Float[np.ndarray, "rows predictions"]) -> Reference:
    """How the served model's answers are distributed."""
    unknown = Reference(shares=(0.0,) * len(target.classes)) if target.classes else _bins(predictions[:, 0])
    return _counted(unknown, count_answers(target, unknown, predictions))


def _bins(values: Float[np.ndarray, " rows"]) -> Reference:
    """Deciles as edges, each once: a value that is frequent is in one bin."""
    inner = np.linspace(0, 1, N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(values, inner)) if len(values) else np.array([])
    return Reference(edges=tuple(edges.tolist()), shares=(0.0,) * (len(edges) + 1))


def _counted(reference: Reference, counts: list[float]) -> Reference:
    *bins, n_rows = counts
    return reference.model_copy(update={"shares": tuple(count / max(n_rows, 1.0) for count in bins)})
