from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serving.bundle import Bundle, BundleError, Golden, open_bundle
from serving.predictor import Predictor, check_golden, columns_from_rows, days_since_1970
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients, publish_sales, weighted_sum

MIDNIGHT = {"1970-01-01": 0.0, "1969-12-31": -1.0, "2000-03-01": 11_017.0, "2024-05-31T00:00:00Z": 19_874.0}


@pytest.mark.parametrize(("text", "days"), MIDNIGHT.items())
def test_a_date_is_days_since_1970(text: str, days: float):
    assert days_since_1970(text) == days


def test_an_offset_is_taken_off_and_without_one_a_time_is_utc():
    assert days_since_1970("1970-01-02T02:00:00+02:00") == days_since_1970("1970-01-02T00:00:00") == 1.0
    assert days_since_1970("1970-01-01T06:00:00") == 0.25


@given(st.datetimes())
def test_any_moment_is_days_since_1970_as_numpy_counts_them(moment):
    expected = (np.datetime64(moment) - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    assert days_since_1970(moment.isoformat()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("text", ["", "yesterday", "2023-02-29", "12", "2024-05-31 noon"])
def test_what_is_no_date_is_refused(text: str):
    with pytest.raises(ValueError):
        days_since_1970(text)


def test_rows_become_columns_with_missing_values_as_the_model_wants_them(tmp_path: Path):
    contract = open_bundle(publish_patients(tmp_path)).contract
    columns = columns_from_rows(contract, [PATIENT_ROW | {"smoker": True, "city": 7}, PATIENT_ROW | {"city": None}])
    assert columns["city"].tolist() == ["7", ""]
    assert columns["smoker"].tolist() == [1.0, 0.0]
    assert np.isnan(columns["blood pressure"]).all()
    assert np.isnan(columns["left"]).all()
    assert {name: own.dtype.kind for name, own in columns.items() if own.dtype.kind != "f"} == {
        "city": "O",
        "ward": "O",
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_probabilities_of_a_row_sum_to_one(tmp_path: Path, threads: int):
    bundle = open_bundle(publish_patients(tmp_path))
    rows = [PATIENT_ROW | {"age": age} for age in range(10)]
    predictions = Predictor(bundle, threads=threads).predict(columns_from_rows(bundle.contract, rows))
    assert predictions.shape == (10, 3)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-6)


def test_golden_rows_are_answered_as_recorded(tmp_path: Path):
    for publish in (publish_sales, publish_patients):
        bundle = open_bundle(publish(tmp_path))
        assert len(bundle.contract.golden) == 1
        check_golden(Predictor(bundle))


def test_a_golden_row_that_is_answered_otherwise_is_named(tmp_path: Path):
    bundle = open_bundle(publish_sales(tmp_path))
    (right,) = bundle.contract.golden
    wrong = Golden(row=right.row, prediction=(right.prediction[0] + 1e-3,))
    with pytest.raises(BundleError, match="golden row 1 is answered"):
        check_golden(Predictor(with_contract(bundle, golden=(right, wrong))))


def test_a_golden_row_that_was_recorded_as_nan_is_never_right(tmp_path: Path):
    bundle = open_bundle(publish_sales(tmp_path))
    wrong = Golden(row=bundle.contract.golden[0].row, prediction=(float("nan"),))
    with pytest.raises(BundleError, match="golden row 0 is answered"):
        check_golden(Predictor(with_contract(bundle, golden=(wrong,))))


def test_a_golden_row_that_cannot_be_answered_is_no_traceback(tmp_path: Path):
    bundle = open_bundle(publish_patients(tmp_path))
    (right,) = bundle.contract.golden
    wrong = Golden(row={**right.row, "joined": "yesterday"}, prediction=right.prediction)
    with pytest.raises(BundleError, match="patients: the golden rows cannot be answered: "):
        check_golden(Predictor(with_contract(bundle, golden=(wrong,))))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    bundle = open_bundle(publish_sales(tmp_path))
    for model in (b"", b"no model", bundle.model[:-20]):
        with pytest.raises(BundleError, match="ONNX Runtime cannot load"):
            Predictor(Bundle(bundle.folder, bundle.contract, model))


def test_a_model_that_wants_other_columns_than_the_contract_has_is_refused(tmp_path: Path):
    bundle = open_bundle(publish_patients(tmp_path))
    city_and_others = (*PATIENT_COLUMNS, PATIENT_COLUMNS[0].model_copy(update={"name": "height"}))
    model = weighted_sum(city_and_others, width=3, softmax=True)
    with pytest.raises(BundleError, match=r"the model and its contract disagree on .*height"):
        Predictor(Bundle(bundle.folder, bundle.contract, model))


def test_a_model_that_wants_a_number_where_the_contract_has_labels_is_refused(tmp_path: Path):
    bundle = open_bundle(publish_patients(tmp_path))
    city_as_number = [
        PATIENT_COLUMNS[0].model_copy(update={"name": "city"}) if column.name == "city" else column
        for column in PATIENT_COLUMNS
    ]
    with pytest.raises(BundleError, match=r"the model and its contract disagree on .*city"):
        Predictor(Bundle(bundle.folder, bundle.contract, weighted_sum(city_as_number, width=3, softmax=True)))


def with_contract(bundle: Bundle, **changes: object) -> Bundle:
    return Bundle(bundle.folder, bundle.contract.model_copy(update=changes), bundle.model)
