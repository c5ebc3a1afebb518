import numpy as np
import pytest

from pipelines.export.rows import is_missing, spread, tried_rows
from tests.export.tables import mixed_table


@pytest.mark.parametrize(
    ("n_rows", "at_most", "kept"), [(10, 4, [0, 3, 6, 9]), (3, 8, [0, 1, 2]), (5, 1, [0]), (0, 8, []), (5, 0, [])]
)
def test_rows_are_spread_from_the_first_to_the_last(n_rows: int, at_most: int, kept: list[int]):
    assert spread(np.arange(n_rows), at_most=at_most).tolist() == kept


def test_real_rows_are_those_that_training_did_not_see():
    prepared = mixed_table()
    tried = tried_rows(prepared, at_most=1000)
    n_real = len(prepared.validation.rows) + len(prepared.test.rows)
    real = prepared.table.features[len(prepared.train.rows) :]
    assert tried[:n_real].equals(real, null_equal=True)


def test_probes_lack_one_value_or_hold_one_label_that_nobody_saw():
    prepared = mixed_table()
    tried = tried_rows(prepared, at_most=1)
    missing = dict(zip(tried.columns, is_missing(tried).T.tolist(), strict=True))
    assert tried.height == 1 + 4 + 2  # four columns may be missing, two hold labels
    for nullable in ("height [cm]", 'is "old"', "seen", "~city"):
        assert any(missing[nullable][1:])
    assert not any(missing["Größe"])
    for labels in ("~city", "grade"):
        unseen = set(tried.get_column(labels)) - set(prepared.table.features.get_column(labels))
        assert len(unseen) == 1
