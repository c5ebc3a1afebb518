"""Bodies that fit are read fast: what is taken there, and what becomes of it, is what the documented model says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from pydantic import ValidationError

from serving.app import create_app
from serving.bundle import BooleanColumn, CategoricalColumn, DateColumn, NumericColumn, open_bundle
from serving.errors import InvalidRequestError, ServingError
from serving.reading.cells import CellReader
from serving.reading.rows import columns_from_rows
from serving.settings import Settings
from serving.versions.served_model import ServedModel, load_model
from serving.versions.store import OpenedVersion
from tests.serving.asking import ask
from tests.serving.bundles import PATIENT_ROW, publish, publish_patients

MAX_ROWS = 5
CELLS: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**63) - 1, 2**64, 0, 1, -0.0, 1e308, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.sampled_from(["", "Bern", "7", "A", "2021-06-30", "2021-06-30T12:00:00+02:00", "1-1-1", "nan", "true", "1.5"]),
    st.just([]),
    st.just({}),
)
SPOKEN = {
    'said "yes"': NumericColumn(name='said "yes"', nullable=True, minimum=0, maximum=9, integer=True, example=3),
    "back\\slash": CategoricalColumn(name="back\\slash", nullable=False, categories=("a", "b"), example="a"),
    "a\ttab": BooleanColumn(name="a\ttab", nullable=False, example=True),
    "\x01": DateColumn(name="\x01", nullable=True, minimum="1999-01-01", maximum="2024-12-31", example="2020-02-29"),
}


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return load(publish_patients(tmp_path_factory.mktemp("cells")))


def load(folder: Path) -> ServedModel:
    opened = OpenedVersion(name=folder.parent.name, version=folder.name, bundle=open_bundle(folder))
    return load_model(opened, threads=1, max_rows=MAX_ROWS)


@given(changed=st.dictionaries(st.sampled_from(sorted(PATIENT_ROW)), CELLS, min_size=1))
@example(changed={"age": 2**53 + 1})
@example(changed={"city": 12345678901234567890123456789})
@example(changed={"joined": "0001-01-01T00:00:00+14:00"})
def test_a_row_is_taken_where_its_model_takes_it(patients: ServedModel, changed: dict[str, Any]):
    row = PATIENT_ROW | changed
    bodies = [
        {"rows": [row, PATIENT_ROW]},
        {"columns": {name: [cell, PATIENT_ROW[name]] for name, cell in row.items()}},
    ]
    try:
        patients.schemas.row.model_validate(row)
    except ValidationError:
        for body in bodies:
            with pytest.raises(InvalidRequestError):
                patients.reader.read(json.dumps(body).encode())
        return
    expected = columns_from_rows(patients.contract, [row, PATIENT_ROW])
    for body in bodies:
        read = patients.reader.read(json.dumps(body).encode())
        assert read.keys() == expected.keys()
        for name, values in expected.items():
            assert read[name].dtype == values.dtype
            np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize("n_rows", [1, MAX_ROWS])
@pytest.mark.parametrize("form", ["rows", "columns"])
def test_a_body_that_fits_is_read_fast(patients: ServedModel, form: str, n_rows: int):
    """The slow way has the last word, so answers alone would not tell that all of them come from there."""
    rows = [PATIENT_ROW] * n_rows
    content = rows if form == "rows" else {name: [cell] * n_rows for name, cell in PATIENT_ROW.items()}
    cells = CellReader(patients.contract, max_rows=MAX_ROWS).decode(json.dumps({form: content}).encode())
    assert cells is not None
    assert [list(own) for own in cells] == [[PATIENT_ROW[own.name]] * n_rows for own in patients.contract.columns]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": None},
        {"columns": None},
        {"rows": []},
        {"rows": None, "columns": {name: [cell] for name, cell in PATIENT_ROW.items()}},
        {"rows": [PATIENT_ROW], "columns": {name: [cell] for name, cell in PATIENT_ROW.items()}},
        {"rows": [PATIENT_ROW], "more": 1},
        {"rows": [PATIENT_ROW | {"more": 1}]},
        {"rows": [PATIENT_ROW] * (MAX_ROWS + 1)},
        {"columns": {name: [] for name in PATIENT_ROW}},
        {"columns": {name: [cell] * (1 + (name == "left")) for name, cell in PATIENT_ROW.items()}},
        {"columns": {name: [cell] * (MAX_ROWS + 1) for name, cell in PATIENT_ROW.items()}},
    ],
    ids=str,
)
def test_a_body_of_another_form_is_not_taken(patients: ServedModel, body: Any):
    assert CellReader(patients.contract, max_rows=MAX_ROWS).decode(json.dumps(body).encode()) is None
    with pytest.raises(ServingError):
        patients.reader.read(json.dumps(body).encode())


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_names_and_labels_that_json_escapes_are_read_and_answered(tmp_path: Path, form: str):
    row = {'said "yes"': 4, "back\\slash": "b", "a\ttab": False, "\x01": "2021-06-30"}
    classes = ('"no"', "back\\slash")
    columns = list(SPOKEN.values())
    own = load(publish(tmp_path, name="spoken", version=1, columns=columns, rows=[row], classes=classes))
    content = [row, row] if form == "rows" else {name: [cell, cell] for name, cell in row.items()}
    answer = ask(create_app({"spoken": own}, Settings()), "POST", "/predict", json={form: content})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["predictions"]
    assert first == second
    assert first["probabilities"].keys() == set(classes)
    assert first["label"] in classes
