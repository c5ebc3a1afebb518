"""A bundle of all folds: each reads a row by the statistics of its own training rows."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.config.schema import ModelConfig, TaskKind
from pipelines.data.encode import fit_encoder
from pipelines.data.folds import encode_folds, make_folds
from pipelines.data.prepare import PreparedTable
from pipelines.data.splits import fold_rows
from pipelines.data.table import ColumnKind, Table
from pipelines.export import ServedMember, build_served, write_bundle
from pipelines.export.columns import column_graph, input_columns
from pipelines.models import build_net, input_facts
from pipelines.sweeps.custom_nets import why_trained_alone
from pipelines.tasks.task import Task
from pipelines.training import fit
from serving.bundle import open_bundle
from tests.export.bundles import METRICS, ORIGIN
from tests.export.tables import inputs_of, mixed_table, raw_columns, table_of
from tests.folds import fold_alone, folded_trial, in_folds, raw_table, with_n_folds
from tests.tables import custom, linear, mlp

PREFIX = "\0"  # which no drawn name has


@settings(max_examples=60, deadline=None)
@given(drawn=raw_columns(), n_folds=st.integers(2, 3), seed=st.integers(0, 99))
def test_the_graph_encodes_as_every_fold_does(
    drawn: tuple[dict[str, ColumnKind], pl.DataFrame], n_folds: int, seed: int
) -> None:
    kinds, features = drawn
    features = pl.concat([features, features])
    table, rows = table_of(kinds, features), np.arange(features.height // 2 + 1)  # others hold what nobody has seen
    folds = make_folds(table, rows, fold_rows(len(rows), n_folds=n_folds, strata=None, seed=seed) % len(rows))
    layout = fit_encoder(table, rows)
    (expected,) = encode_folds(layout, folds, features, [np.arange(features.height)])
    model = column_graph(layout, [fold.encoder for fold in folds], prefix=PREFIX)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    numbers, codes = session.run([f"{PREFIX}numbers", f"{PREFIX}codes"], inputs_of(features, input_columns(layout)))
    np.testing.assert_allclose(numbers, expected.numbers, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(codes, expected.codes)


def drawn_members(prepared: PreparedTable, task: Task, models: list[ModelConfig]) -> list[ServedMember]:
    """Every fold of every model, with weights drawn apart."""
    generator = torch.Generator().manual_seed(0)
    members = []
    for model in models:
        for fold in range(len(prepared.folds)):
            net = build_net([model], inputs=input_facts(prepared).of_members([fold]), n_outputs=task.n_outputs)
            weights = {
                name: torch.randn(value.shape[1:], generator=generator) * 0.3
                for name, value in net.state_dict().items()
            }
            share = 1 / (len(models) * len(prepared.folds))
            members.append(ServedMember(model, task.loss, weights, share, "run-0", f"trial fold {fold}", fold))
    return members


NETS: list[ModelConfig] = [
    linear(),
    mlp(dropout=0.2, numbers="piecewise"),
    mlp(numbers="periodic", categories="embedding"),
]


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_a_bundle_of_folds_answers_as_its_members_do(tmp_path: Path, kind: TaskKind) -> None:
    rows = 108
    prepared, task = in_folds(mixed_table(kind).table, fold_of_row=fold_rows(rows, n_folds=3, strata=None, seed=0))
    members = drawn_members(prepared, task, NETS)
    write_bundle(
        tmp_path / "bundle", prepared=prepared, task=task, members=members, metrics=METRICS, origin=ORIGIN
    )  # proves itself through the reader
    contract = open_bundle(tmp_path / "bundle").contract
    assert len(contract.lineage.members) == 9
    assert sum(member.weight for member in contract.lineage.members) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_what_is_served_is_the_mean_of_what_each_fold_would_answer_alone(kind: TaskKind) -> None:
    table: Table = raw_table(kind)
    prepared, task = in_folds(table)
    own = folded_trial(model=mlp(), precision="32-true")
    members = [
        ServedMember(own.model, task.loss, result.weights, 1 / 3, "run", "trial", fold)
        for fold, result in enumerate(fit([own], prepared, task))
    ]
    served = build_served(members, inputs=input_facts(prepared), task=task).predict(prepared.test.features)
    answers = []
    for fold in range(3):
        alone, alone_task = fold_alone(prepared, fold)
        (result,) = fit([with_n_folds(own, 0)], alone, alone_task)
        member = ServedMember(own.model, task.loss, result.weights, 1.0, "run", "trial")
        answers.append(build_served([member], inputs=input_facts(alone), task=alone_task).predict(alone.test.features))
    np.testing.assert_allclose(served, np.mean(answers, axis=0), rtol=1e-4, atol=1e-4)


def test_a_users_own_net_on_folds_is_trained_and_served(tmp_path: Path) -> None:
    prepared, task = in_folds(raw_table("binary", awkward=True))
    own = folded_trial(model=custom("Perceptron", width=4), precision="32-true")
    assert why_trained_alone(own, prepared, task) is None
    members = [
        ServedMember(own.model, task.loss, result.weights, 1 / 3, "run", f"trial fold {fold}", fold)
        for fold, result in enumerate(fit([own], prepared, task))
    ]
    write_bundle(tmp_path / "bundle", prepared=prepared, task=task, members=members, metrics=METRICS, origin=ORIGIN)
