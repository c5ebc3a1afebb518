from pathlib import Path

import numpy as np
import pytest

from serving.bundle import Bundle, BundleError, Golden, open_bundle
from serving.predictor import Predictor, check_golden
from serving.reading.rows import columns_from_rows
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients, publish_sales, weighted_sum


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
