"""Coverage of intervals and sets on rows that were never seen, and temperatures that never make log loss worse."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.config.schema import TaskKind
from pipelines.data.prepare import PreparedTable
from pipelines.export import build_served, calibrate, held_out_coverage, write_bundle
from pipelines.export.calibration import MOST_SCORES, conformal_scores, fit_temperature
from pipelines.models import input_facts
from pipelines.tasks.task import Task
from serving.answers.conformal import conformal_quantile, label_sets
from serving.bundle import Calibration, open_bundle
from serving.predictor import Predictor
from serving.reading.rows import columns_from_rows
from tests.export.bundles import METRICS, MODELS, ORIGIN
from tests.export.tables import drawn_members, mixed_table, task_of

COVERAGES = (0.5, 0.8, 0.9, 0.95)
N_TESTED = 4000


def with_calibration_part(prepared: PreparedTable) -> PreparedTable:
    """Its validation part calibrates: no member of these tests was chosen on it."""
    return replace(prepared, calibration=prepared.validation)


@cache
def task(kind: TaskKind) -> Task:
    return task_of(mixed_table(kind))


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def draw(kind: TaskKind, n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What a wrong and far too certain model predicts, and the truth."""
    if kind == "regression":
        predictions = rng.normal(size=(n_rows, 1)).astype(np.float32)
        return predictions, 0.7 * predictions[:, 0] + rng.standard_t(3, n_rows) * (1 + np.abs(predictions[:, 0]))
    n_classes = len(task(kind).classes)
    logits = rng.normal(size=(n_rows, n_classes)) * 2
    truth = (softmax(logits).cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1).clip(max=n_classes - 1)
    return softmax(3 * logits + 0.3 * rng.normal(size=logits.shape)).astype(np.float32), truth


def log_loss(probabilities: np.ndarray, codes: np.ndarray) -> float:
    true = probabilities.astype(np.float64)[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(true, np.finfo(np.float32).tiny)).mean())


def deviation(coverage: float, *, n_calibrated: int, n_tested: int) -> float:
    """Of the measured coverage: that of the calibration (a beta distribution) and that of the count on new rows."""
    share = coverage * (1 - coverage)
    return float(np.sqrt(share / (n_calibrated + 2) + share / n_tested))


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("n_calibrated", [400, 7777])  # all scores are kept, or some
@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_new_rows_are_covered_as_often_as_asked(kind: TaskKind, n_calibrated: int, coverage: float):
    rng = np.random.default_rng(10)
    predictions, truth = draw(kind, n_calibrated, rng)
    calibration = Calibration(conformal=conformal_scores(task(kind), predictions, truth))
    held = held_out_coverage(calibration, *draw(kind, N_TESTED, rng), coverage=coverage)
    two = 2 * deviation(coverage, n_calibrated=n_calibrated, n_tested=N_TESTED)
    assert held["coverage"] >= coverage - two
    # The most probable label is in every set, so sets hold more where a smaller one would have done.
    if kind == "regression" or held["set_size"] > 1.05:
        assert held["coverage"] <= coverage + two + 1 / len(calibration.conformal.scores)


def test_on_average_over_calibrations_the_coverage_is_exact():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        predictions, truth = draw("regression", 19, rng)
        calibration = Calibration(conformal=conformal_scores(task("regression"), predictions, truth))
        shares.append(held_out_coverage(calibration, *draw("regression", 200, rng), coverage=0.9)["coverage"])
    assert abs(np.mean(shares) - 0.9) <= 2 * np.std(shares) / np.sqrt(len(shares))


def test_a_temperature_changes_no_set_of_labels():
    """They are those of the probabilities before it, which the reader finds again."""
    rng = np.random.default_rng(0)
    predictions, truth = draw("multiclass", 500, rng)
    cold = Calibration(conformal=conformal_scores(task("multiclass"), predictions, truth))
    for temperature in (0.5, 2.5):
        warm = cold.model_copy(update={"temperature": temperature})
        heated = softmax(np.log(predictions.astype(np.float64)) / temperature).astype(np.float32)
        for coverage in COVERAGES:
            np.testing.assert_array_equal(label_sets(warm, heated, coverage), label_sets(cold, predictions, coverage))


@given(st.integers(1, 5000), st.floats(0.01, 0.999))
def test_of_many_scores_so_many_are_kept_that_no_coverage_is_less(n_rows: int, coverage: float):
    predictions, truth = np.zeros((n_rows, 1), dtype=np.float32), np.random.default_rng(0).permutation(n_rows) + 1.0
    conformal = conformal_scores(task("regression"), predictions, truth)  # the score of rank r is r
    assert len(conformal.scores) == min(n_rows, MOST_SCORES)
    rank = conformal_quantile(conformal, coverage)
    exact = (n_rows + 1) * coverage
    assert rank >= exact - 1e-6
    assert rank == np.inf if exact > n_rows + 1e-6 else rank < exact + 1 + n_rows / MOST_SCORES


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 4), st.floats(-3, 3))
def test_the_log_loss_at_the_temperature_is_never_above_that_without(seed, n_rows, n_classes, certainty):
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(n_rows, n_classes)) * 10**certainty).astype(np.float32)
    codes = rng.integers(0, n_classes, n_rows)
    temperature = fit_temperature(probabilities, codes)
    heated = softmax(np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny)) / temperature)
    assert log_loss(heated, codes) <= log_loss(probabilities, codes) + 1e-6


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_temperature_of_a_model_three_times_too_certain_is_three(kind: TaskKind):
    predictions, truth = draw(kind, 20_000, np.random.default_rng(0))
    assert fit_temperature(predictions, truth) == pytest.approx(3, rel=0.1)


def test_a_few_rows_that_are_all_right_are_not_certain():
    probabilities = np.array([[0.8, 0.2]] * 5, dtype=np.float32)
    heated = softmax(np.log(probabilities) / fit_temperature(probabilities, np.zeros(5, dtype=np.int64)))
    assert heated[0, 0] < 0.95


@given(arrays.arrays(np.float32, (3, 2), elements=st.sampled_from([0.0, 0.5, 1.0])))
def test_sets_are_never_empty_and_grow_with_the_coverage(probabilities: np.ndarray):
    calibration = Calibration(conformal=conformal_scores(task("binary"), *draw("binary", 50, np.random.default_rng(0))))
    sizes = [label_sets(calibration, probabilities, coverage).sum(axis=1) for coverage in (0.01, *COVERAGES, 0.999)]
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (sizes[0] >= 1).all()
    assert (sizes[-1] == 2).all()


@pytest.mark.parametrize("kind", MODELS)
def test_a_written_bundle_answers_as_the_calibrated_members_do(kind: TaskKind, tmp_path: Path):
    prepared = with_calibration_part(mixed_table(kind))
    members = drawn_members(prepared, MODELS[kind])
    calibration = calibrate(members, prepared=prepared, task=task_of(prepared))
    assert calibration is not None
    if kind != "regression":
        assert calibration.temperature != 1
        assert calibration.log_loss_before is not None
        assert calibration.log_loss_after is not None
        assert calibration.log_loss_after < calibration.log_loss_before
    folder = write_bundle(
        tmp_path / "bundle",
        prepared=prepared,
        task=task_of(prepared),
        members=members,
        metrics=METRICS,
        origin=ORIGIN,
        calibration=calibration,
    )  # which compares the two itself
    bundle = open_bundle(folder)
    assert bundle.contract.calibration == calibration
    served = build_served(
        members, inputs=input_facts(prepared), task=task_of(prepared), temperature=calibration.temperature
    )
    rows = columns_from_rows(bundle.contract, [golden.row for golden in bundle.contract.golden])
    expected = [golden.prediction for golden in bundle.contract.golden]
    np.testing.assert_allclose(Predictor(bundle).predict(rows), expected, rtol=1e-5)
    if kind != "regression":
        codes = prepared.validation.target
        after = log_loss(served.predict(prepared.validation.features), codes)
        assert after == pytest.approx(calibration.log_loss_after, abs=1e-5)


def test_without_rows_for_it_nothing_is_calibrated():
    prepared = mixed_table("binary")
    assert calibrate(drawn_members(prepared, MODELS["binary"]), prepared=prepared, task=task_of(prepared)) is None
