import numpy as np
import pytest

from pipelines.export import ParityError
from pipelines.export.parity import check_parity, compare
from serving.bundle import open_bundle
from serving.predictor import Predictor, check_golden
from serving.reading.rows import columns_from_rows
from tests.export.bundles import Written

ROWS = [{"city": "Bern", "age": 3}, {"city": None, "age": 4}]


def test_a_bundle_answers_as_its_members(written: Written):
    check_parity(written.folder, served=written.served, prepared=written.prepared, task=written.task)


def test_the_servers_reader_replays_the_golden_rows(written: Written):
    bundle = open_bundle(written.folder)
    predictor = Predictor(bundle)
    check_golden(predictor)
    golden = bundle.contract.golden
    assert golden
    answers = predictor.predict(columns_from_rows(bundle.contract, [own.row for own in golden]))
    np.testing.assert_allclose(answers, [own.prediction for own in golden], rtol=1e-5, atol=1e-5)


def test_equal_answers_pass():
    answers = np.array([[0.25, 0.75], [1.0, 0.0]])
    compare(ROWS, answered=answers + 0.9e-5, trained=answers, scale=1.0)


@pytest.mark.parametrize("wrong", [0.3, np.nan])
def test_a_difference_names_the_row_and_both_answers(wrong: float):
    with pytest.raises(ParityError) as raised:
        compare(ROWS, answered=np.array([[0.5], [wrong]]), trained=np.array([[0.5], [0.25]]), scale=1.0)
    assert str(raised.value) == (
        "The bundle's answers differ from training's in 1 of 2 rows. "
        f"First in row 1, {{'city': None, 'age': 4}}: the bundle says [{wrong}], training [0.25]. Nothing was written."
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_difference_is_judged_by_the_scale_of_the_target(scale: float):
    trained = np.array([[0.0], [scale]])
    compare(ROWS, answered=trained + 0.9e-5 * scale, trained=trained, scale=scale)
    with pytest.raises(ParityError, match="in 2 of 2 rows"):
        compare(ROWS, answered=trained + 1.1e-5 * scale, trained=trained, scale=scale)
