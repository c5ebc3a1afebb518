"""Rules that were used, against a look at every cell."""

import pytest
from hypothesis import given, strategies as st

from serving.answers.rules import RuleFinder
from serving.bundle import CategoricalColumn, Contract, open_bundle
from serving.reading.rows import columns_from_rows
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients

CELLS = {
    "age": st.integers(0, 3),
    "blood pressure": st.none() | st.floats(60, 200),
    "smoker": st.booleans(),
    "city": st.sampled_from([None, "", "Bern", "7", "bern", "Genf"]),
    "ward": st.sampled_from(["A", "B", "C"]),
    "left": st.sampled_from([None, "2020-02-29"]),
}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return open_bundle(publish_patients(tmp_path_factory.mktemp("bundles"))).contract


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=6))
def test_every_missing_value_and_every_new_label_is_named(contract: Contract, rows):
    rows = [PATIENT_ROW | row for row in rows]
    expected = {}
    for place, row in enumerate(rows):
        used = {}
        for column in PATIENT_COLUMNS:
            value = row[column.name]
            if value is None or value == "":
                used[column.name] = "missing"
            elif isinstance(column, CategoricalColumn) and value not in column.categories:
                used[column.name] = "unseen"
        if used:
            expected[place] = used
    assert RuleFinder(contract).find(columns_from_rows(contract, rows)) == expected
