"""What is settled before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.data.prepare import Part
from pipelines.errors import UserError
from pipelines.sweeps.open_table import check_metric
from pipelines.tasks.metrics import METRICS_OF
from tests.folds import in_folds, raw_table
from tests.tables import small_table


def fold_without_a_class() -> np.ndarray:
    fold_of_row = np.arange(48) % 3
    positive = np.flatnonzero(raw_table("binary").target_values[:48] == 1)
    fold_of_row[positive] = positive % 2  # fold 2 holds none of them
    return fold_of_row


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_metric_that_a_fold_leaves_undefined_is_a_mistake_that_names_the_fold(metric):
    prepared, task = in_folds(raw_table("binary"), fold_of_row=fold_without_a_class(), metric=metric)
    with pytest.raises(
        UserError, match=rf"task\.metric={metric} is undefined on the 6 rows of fold 2: a class is absent"
    ):
        check_metric(prepared, task)


def test_other_metrics_need_no_row_of_every_class():
    check_metric(*in_folds(raw_table("binary"), fold_of_row=fold_without_a_class(), metric="log_loss"))


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_every_metric_is_defined_where_every_class_is_there(kind):
    for metric in METRICS_OF[kind]:
        check_metric(*in_folds(raw_table(kind), metric=metric))


def test_a_validation_part_of_one_class_is_told_without_folds():
    prepared, task = small_table("binary")
    rows = np.flatnonzero(prepared.validation.target == 1)
    part = Part(prepared.validation.rows[rows], prepared.validation.features, prepared.validation.target[rows])
    with pytest.raises(UserError, match="the validation part: a class is absent"):
        check_metric(replace(prepared, validation=part), replace(task, metric="roc_auc"))
