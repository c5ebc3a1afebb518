import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipelines.data.folds import make_folds
from pipelines.data.table import ColumnKind, as_numbers
from pipelines.export import build_served
from pipelines.export.contract import build_contract
from pipelines.export.rules import with_rules
from pipelines.models import input_facts
from serving.bundle import (
    CONTRACT_FILE,
    BooleanColumn,
    CategoricalColumn,
    Contract,
    DateColumn,
    NumericColumn,
    Reference,
    Rules,
)
from tests.export.bundles import METRICS, ORIGIN, Written
from tests.export.tables import LINEAR, drawn_members, mixed_table, prepare, table_of, task_of


@pytest.fixture(scope="module")
def contract(written: Written) -> Contract:
    return Contract.model_validate_json((written.folder / CONTRACT_FILE).read_text(encoding="utf-8"))


def test_columns_are_described_as_training_saw_them(contract: Contract):
    columns = {column.name: column for column in contract.columns}
    assert list(columns) == ["height [cm]", "Größe", "numbers", 'is "old"', "seen", "~city", "grade"]
    constant = columns["numbers"]
    assert constant == NumericColumn(
        name="numbers",
        nullable=False,
        minimum=7.0,
        maximum=7.0,
        integer=True,
        example=7.0,
        reference=Reference(edges=(7.0,), shares=(1.0, 0.0)),
        rules=Rules(missing="refused"),
    )
    assert isinstance(columns['is "old"'], BooleanColumn)
    assert columns['is "old"'].nullable
    seen = columns["seen"]
    assert isinstance(seen, DateColumn)
    assert "2019" < seen.minimum < seen.maximum < "2025"
    city = columns["~city"]
    assert isinstance(city, CategoricalColumn)
    assert city.categories == ("O'Hare", "Zürich", 'a "b"', "東京")
    assert city.nullable
    assert not columns["grade"].nullable


def test_rules_say_what_becomes_of_missing_and_unseen_values(written: Written, contract: Contract):
    rules = {column.name: column.rules for column in contract.columns}
    known = written.prepared.table.features["height [cm]"].gather(written.prepared.train.rows).fill_nan(None)
    mean = known.mean()
    assert isinstance(mean, float)
    height = rules["height [cm]"]
    assert height is not None
    assert height == Rules(missing="filled", fill=height.fill, flagged=True)
    assert height.fill == pytest.approx(mean)
    assert rules["Größe"] == Rules(missing="refused")
    assert rules['is "old"'] == Rules(missing="filled", fill=0.5, flagged=True)
    assert rules["~city"] == Rules(missing="category", unseen="unknown")
    assert rules["grade"] == Rules(missing="refused", unseen="unknown")
    seen = rules["seen"]
    assert seen is not None
    assert isinstance(seen.fill, str)
    assert "2019" < seen.fill < "2025"


def test_what_folds_fill_in_each_by_its_own_rows_is_no_single_value():
    prepared = mixed_table()
    rows = prepared.train.rows
    folded = replace(prepared, folds=make_folds(prepared.table, rows, np.arange(len(rows)) % 3))
    height = NumericColumn(name="height [cm]", nullable=True, minimum=0, maximum=1, integer=False, example=None)
    old = BooleanColumn(name='is "old"', nullable=True, example=None)
    assert with_rules(height, folded).rules == Rules(missing="filled", flagged=True)
    assert with_rules(old, folded).rules == Rules(missing="filled", fill=0.5, flagged=True)


def test_the_background_is_of_the_training_part_over_the_targets_range(written: Written, contract: Contract):
    table, rows = written.prepared.table, written.prepared.train.rows
    sizes = table.features["Größe"].to_list()
    places = [sizes.index(row["Größe"]) for row in contract.background]
    assert len(set(places)) == 16
    assert set(places) <= set(rows.tolist())
    background, train = table.target_values[places], table.target_values[rows]
    assert (background.min(), background.max()) == (train.min(), train.max())


def test_target_metrics_and_lineage_are_what_was_given(written: Written, contract: Contract):
    target = written.prepared.table.target
    assert (contract.target.name, contract.target.task, contract.target.classes) == ("y", target.kind, target.classes)
    assert contract.metrics == {"validation": {"one": 0.5}, "test": {"one": 0.25}}
    assert contract.lineage.created == "2026-01-02T03:04:05+00:00"
    assert [member.run_id for member in contract.lineage.members] == [member.run_id for member in written.members]
    assert sum(member.weight for member in contract.lineage.members) == pytest.approx(1)


def test_golden_rows_are_real_rows_of_the_test_part_with_the_members_answers(written: Written, contract: Contract):
    rows = written.prepared.test.rows
    names = [column.name for column in contract.columns]
    sizes = written.prepared.table.features.get_column("Größe").gather(rows).to_list()
    predictions = written.served.predict(written.prepared.test.features)
    assert len(contract.golden) == 8
    assert any(None in golden.row.values() for golden in contract.golden)
    for golden in contract.golden:
        assert list(golden.row) == names
        np.testing.assert_allclose(golden.prediction, predictions[sizes.index(golden.row["Größe"])], rtol=1e-6)


def test_the_file_is_plain_json_without_nan(written: Written, contract: Contract):
    text = (written.folder / CONTRACT_FILE).read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


def contract_of(kind: ColumnKind, values: list[float]) -> Contract:
    prepared = prepare(table_of({"x": kind}, pl.DataFrame({"x": values})))
    members = drawn_members(prepared, [LINEAR])
    served = build_served(members, inputs=input_facts(prepared), task=task_of(prepared))
    return build_contract(
        prepared, served=served, scale=1.0, members=members, metrics=METRICS, origin=ORIGIN, onnx_sha256="0" * 64
    )


@pytest.mark.parametrize(("kind", "bound"), [("numeric", 0.0), ("date", "1970-01-01")])
def test_a_column_that_training_never_saw_filled_has_the_fill_as_its_range(kind: ColumnKind, bound: float | str):
    (column,) = contract_of(kind, [np.nan] * 4 + [1.0] * 4).columns
    assert isinstance(column, NumericColumn | DateColumn)
    assert (column.minimum, column.maximum, column.example) == (bound, bound, None)


def test_golden_rows_lack_no_value_that_training_always_had():
    golden = contract_of("numeric", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, np.nan, 7.0]).golden
    assert [own.row["x"] for own in golden] == [7]


def test_distributions_of_the_training_part_are_recorded(written: Written, contract: Contract):
    n_rows = len(written.prepared.train.rows)
    for column in contract.columns:
        assert column.reference is not None
        assert len(column.reference.shares) == (
            len(column.categories)
            if isinstance(column, CategoricalColumn)
            else 2
            if isinstance(column, BooleanColumn)
            else len(column.reference.edges) + 1
        )
        values = written.prepared.table.features.get_column(column.name).gather(written.prepared.train.rows)
        known = (
            values.cast(pl.String) != "" if isinstance(column, CategoricalColumn) else as_numbers(values).is_not_nan()
        )
        assert sum(column.reference.shares) == pytest.approx(known.sum() / n_rows)
    heights = contract.columns[0].reference
    assert heights is not None
    assert len(heights.edges) == 9
    assert sorted(heights.edges) == list(heights.edges)


def test_the_answers_distribution_and_the_targets_scale_are_recorded(written: Written, contract: Contract):
    assert contract.target.scale == pytest.approx(written.task.scale)
    reference = contract.target.reference
    assert reference is not None
    assert sum(reference.shares) == pytest.approx(1)
    if contract.target.classes:
        answered = written.served.predict(written.prepared.validation.features).argmax(axis=1)
        assert reference.shares[0] == pytest.approx((answered == 0).mean())
