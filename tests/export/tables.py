"""Small tables of every kind of column, and members with drawn weights, for tests of the exporter."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import torch
from hypothesis import strategies as st

from pipelines.config.schema import LinearConfig, ModelConfig, TaskConfig, TaskKind
from pipelines.data.encode import encode, fit_encoder
from pipelines.data.prepare import Part, PreparedTable
from pipelines.data.table import Column, ColumnKind, Table, Target
from pipelines.export import ServedMember
from pipelines.models import build_net, input_facts
from pipelines.tasks.task import Task, make_task
from tests.tables import mlp

LINEAR = LinearConfig(kind="linear")
MLP = mlp((8, 4), activation="gelu", dropout=0.2)
CLASSES: Mapping[TaskKind, tuple[str, ...]] = {
    "regression": (),
    "binary": ("no", "yes"),
    "multiclass": ("low", "middle", "high"),
}


def mixed_table(kind: TaskKind = "regression", *, n_rows: int = 120) -> PreparedTable:
    """Numbers, a constant, a boolean, dates with a time of day and labels; names and labels that need care."""
    rng = np.random.default_rng(0)
    some = rng.random((3, n_rows)) < 0.15  # [3, N]: where a value is missing
    features = pl.DataFrame(
        {
            "height [cm]": np.where(some[0], np.nan, rng.normal(170, 10, n_rows)),
            "Größe": rng.normal(size=n_rows) * 1e6,
            "numbers": np.full(n_rows, 7.0),  # as the graph calls something inside
            'is "old"': np.where(some[1], np.nan, rng.integers(0, 2, n_rows).astype(float)),
            "seen": np.where(some[2], np.nan, rng.integers(18_000_000, 20_000_000, n_rows) / 1000),
            "~city": rng.choice(["", "Zürich", "O'Hare", 'a "b"', "東京"], n_rows),
            "grade": rng.choice(["A", "B"], n_rows),
        }
    )
    kinds: dict[str, ColumnKind] = {
        'is "old"': "boolean",
        "seen": "date",
        "~city": "categorical",
        "grade": "categorical",
    }
    columns = tuple(Column(name, kinds.get(name, "numeric")) for name in features.columns)
    target = rng.normal(5000, 300, n_rows) if kind == "regression" else rng.integers(0, len(CLASSES[kind]), n_rows)
    table = Table("mixed", columns, features, Target("y", kind, CLASSES[kind], "for a test"), target)
    return prepare(table)


def prepare(table: Table) -> PreparedTable:
    """Half of the rows to train on, a quarter each for validation and test."""
    n_rows = table.features.height
    train, validation, test = np.split(np.arange(n_rows), [n_rows // 2, 3 * n_rows // 4])
    encoder = fit_encoder(table, train)
    parts = [
        Part(rows, encode(encoder, table.features[rows]), table.target_values[rows])
        for rows in (train, validation, test)
    ]
    return PreparedTable(table, encoder, *parts)


def task_of(table: PreparedTable) -> Task:
    """With the defaults of its kind."""
    target = table.table.target
    return make_task(
        TaskConfig(kind="auto", loss="auto", metric="auto", class_weights="none", label_smoothing=0.0),
        kind=target.kind,
        classes=target.classes,
        train_target=table.train.target,
    )


def drawn_members(table: PreparedTable, models: Sequence[ModelConfig]) -> list[ServedMember]:
    """One member a configuration, with weights drawn apart; member k weighs k + 1."""
    generator = torch.Generator().manual_seed(0)
    task = task_of(table)
    total = sum(range(1, len(models) + 1))
    members = []
    for place, model in enumerate(models):
        net = build_net([model], inputs=input_facts(table), n_outputs=task.n_outputs)
        weights = {
            name: torch.randn(value.shape[1:], generator=generator) * 0.3 for name, value in net.state_dict().items()
        }
        members.append(ServedMember(model, task.loss, weights, (place + 1) / total, f"run-{place}", f"trial {place}"))
    return members


def inputs_of(features: pl.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Raw columns as the ONNX inputs of that name, [N, 1] each."""
    return {
        name: (values.to_numpy() if values.dtype.is_float() else np.array(values.to_list(), dtype=object))[:, None]
        for name, values in ((name, features.get_column(name)) for name in columns)
    }


LABELS = st.sampled_from(["", " ", "a", "A", "ä", "'", '"', "\\", "\n", "東京", "nan", "a,b", "1", "1.0"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=4
)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)
NUMBERS = st.just(np.nan) | st.integers(-3, 3).map(float) | st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
VALUES: Mapping[ColumnKind, st.SearchStrategy[float | str]] = {
    "numeric": NUMBERS,
    "boolean": st.sampled_from([np.nan, 0.0, 1.0]),
    "date": st.just(np.nan) | st.integers(-10_000, 30_000).map(float) | st.floats(0, 30_000),
    "categorical": LABELS,
}


@st.composite
def raw_columns(draw: st.DrawFn) -> tuple[dict[str, ColumnKind], pl.DataFrame]:
    """Kinds and values of any columns; some columns are constant or have nothing but missing values."""
    n_rows = draw(st.integers(2, 12))
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=5))
    kinds = {name: draw(st.sampled_from(tuple(VALUES))) for name in names}
    values = {name: draw(st.lists(VALUES[kind], min_size=n_rows, max_size=n_rows)) for name, kind in kinds.items()}
    return kinds, pl.DataFrame(
        values, schema={name: pl.String if kind == "categorical" else pl.Float64 for name, kind in kinds.items()}
    )


def table_of(kinds: Mapping[str, ColumnKind], features: pl.DataFrame) -> Table:
    """A table whose target does not matter."""
    columns = tuple(Column(name, kind) for name, kind in kinds.items())
    target = np.zeros(features.height)
    return Table("any", columns, features, Target("y", "regression", (), "for a test"), target)
