"""A trial on folds: one run, the mean over its folds, and all of them served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.config.schema import EnsembleConfig, HalvingConfig
from pipelines.data.prepare import PreparedTable
from pipelines.sweeps.finalists import choose_finalists, score_on_test, served_members
from pipelines.sweeps.plan import plan_stacks
from pipelines.sweeps.run import TrialOutcome
from pipelines.tasks.task import Task
from pipelines.tracking.memory import MemoryRecorder
from pipelines.tracking.recorder import RunRecord
from pipelines.training import OTHER_FOLD_DIVERGED, checkpoint, fit
from tests.contracts.test_stack_equality import assert_same
from tests.folds import folded_trial, in_folds, raw_table
from tests.sweeps.sweeping import train
from tests.tables import early, linear, mlp, optimizers

N_FOLDS = 3


@pytest.fixture(scope="module")
def table() -> tuple[PreparedTable, Task]:
    return in_folds(raw_table("binary", n_rows=58), n_folds=N_FOLDS)


@pytest.fixture(scope="module")
def trained(
    table: tuple[PreparedTable, Task], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[TrialOutcome], list[RunRecord]]:
    recorder = MemoryRecorder()
    trials = [folded_trial(model=mlp(), stopping=early(2), seed=seed, max_epochs=9) for seed in (0, 1, 2)]
    folder = tmp_path_factory.mktemp("folds")
    return train(trials, folder, recorder, members_a_stack=2, table=table), recorder.runs


def test_a_trial_is_one_run_with_the_mean_over_its_folds_and_how_far_they_lie_apart(table, trained) -> None:
    prepared, _ = table
    outcomes, runs = trained
    assert len(runs) == len(outcomes) == 3
    for run in runs:
        own = [run.metrics[f"fold_{fold}/log_loss"] for fold in range(N_FOLDS)]
        assert run.metrics["validation/log_loss"] == pytest.approx(np.mean(own))
        assert run.metrics["validation/log_loss_std"] == pytest.approx(np.std(own, ddof=1))
        assert run.metrics["validation/log_loss_se"] == pytest.approx(np.std(own, ddof=1) / np.sqrt(N_FOLDS))
        assert run.tables["folds.json"]["log_loss"] == own
        assert run.metrics["epochs"] == pytest.approx(np.mean(run.tables["folds.json"]["epochs"]))
        assert len(run.curves["train/loss"]) == max(run.tables["folds.json"]["epochs"])
    for outcome in outcomes:
        assert outcome.result.predictions.shape == (len(prepared.train.rows), 2)
        for fold, member in zip(prepared.folds, outcome.result.members, strict=True):
            np.testing.assert_array_equal(outcome.result.predictions[fold.held_out], member.predictions)


def test_the_best_trial_is_that_of_the_best_mean_and_all_of_its_folds_are_served(table, trained) -> None:
    prepared, task = table
    outcomes, _ = trained
    config = EnsembleConfig(kind="bagging", max_members=8)
    finalists = choose_finalists(outcomes, config, prepared=prepared, task=task)
    (best,) = finalists.champion.members
    means = [outcome.result.metrics["log_loss"] for outcome in outcomes]
    assert best == int(np.argmin(means))
    assert finalists.ensemble is None
    assert finalists.champion.selection.metrics == pytest.approx(outcomes[best].result.metrics)
    members = served_members(finalists.champion, outcomes, task)
    assert [(member.fold, member.weight) for member in members] == [(f, pytest.approx(1 / 3)) for f in range(3)]
    assert score_on_test(members, prepared=prepared, task=task, calibration=None)[0]["log_loss"] < 0.7


def test_an_ensemble_of_trials_is_of_all_their_folds(table, trained) -> None:
    prepared, task = table
    outcomes, _ = trained
    finalists = choose_finalists(outcomes, EnsembleConfig(kind="mean", max_members=2), prepared=prepared, task=task)
    assert finalists.ensemble is not None
    members = served_members(finalists.ensemble, outcomes, task)
    assert [member.fold for member in members] == [0, 1, 2, 0, 1, 2]
    assert sum(member.weight for member in members) == pytest.approx(1)


def test_a_trial_that_diverges_in_one_fold_fails_with_that_folds_reason_and_leaves_its_neighbours(
    table, tmp_path
) -> None:
    prepared, task = in_folds(raw_table(), n_folds=N_FOLDS)
    wild = optimizers()["sgd"]
    trials = [
        folded_trial(model=linear(), optimizer=own, seed=seed)
        for own, seed in [(replace(wild, lr=1e200), 0), (wild, 0), (wild, 1)]
    ]
    recorder = MemoryRecorder()
    outcomes = train(trials, tmp_path, recorder, members_a_stack=3, table=(prepared, task))
    assert [run.status for run in recorder.runs] == ["FAILED", "FINISHED", "FINISHED"]
    assert recorder.runs[0].tags["failure"].startswith("Fold 0: Diverged in epoch")
    alone = fit(trials[1:2], prepared, task)
    for one, other in zip(alone, outcomes[1].result.members, strict=True):
        assert_same(one, other)


def test_when_one_fold_diverges_the_others_end_too() -> None:
    prepared, task = in_folds(raw_table(), n_folds=N_FOLDS)
    numbers = prepared.train.features.numbers.copy()
    numbers[1, prepared.folds[1].held_out] = np.nan  # what fold 1 alone reads, and only where it is scored
    features = replace(prepared.train.features, numbers=numbers)
    part = replace(prepared.train, features=features)
    first, second, third = fit([folded_trial()], replace(prepared, train=part, validation=part), task)
    assert second.failure is not None
    assert second.failure.startswith("Diverged in epoch 0")
    assert first.failure == third.failure == OTHER_FOLD_DIVERGED
    assert first.epochs == third.epochs == 1


def test_halving_ends_all_folds_of_a_trial_or_none(table, tmp_path) -> None:
    halving = HalvingConfig(kind="halving", eta=2, min_epochs=2)
    trials = [folded_trial(stopping=halving, max_epochs=8, seed=seed) for seed in range(4)]
    outcomes = train(trials, tmp_path, MemoryRecorder(), members_a_stack=3, table=table)
    epochs = [[member.epochs for member in outcome.result.members] for outcome in outcomes]
    assert all(len(set(own)) == 1 for own in epochs)
    assert sorted(own[0] for own in epochs) == [2, 2, 4, 8]
    for own, outcome in zip(trials, outcomes, strict=True):
        shorter = replace(own, trainer=replace(own.trainer, max_epochs=outcome.result.members[0].epochs))
        alone = fit([replace(shorter, stopping=folded_trial().stopping)], *table)
        for one, other in zip(alone, outcome.result.members, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("n_writes", [0, 3, 8])
def test_a_killed_sweep_on_folds_ends_as_an_undisturbed_one(table, trained, tmp_path, monkeypatch, n_writes) -> None:
    expected, _ = trained
    trials = [
        replace(outcome.trial, tracking=replace(outcome.trial.tracking, checkpoint_seconds=0.0)) for outcome in expected
    ]
    save, left = checkpoint.save_state, [n_writes]

    def dying(*arguments: Any, **named: Any) -> None:
        save(*arguments, **named)
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    recorder = MemoryRecorder()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save_state", dying)
        with pytest.raises(KeyboardInterrupt):
            train(trials, Path(tmp_path), recorder, members_a_stack=2, table=table)
    told: list[str] = []
    outcomes = train(trials, Path(tmp_path), recorder, members_a_stack=2, table=table, told=told)
    assert "going on" in told[0]
    assert len({run.identity for run in recorder.runs}) == len(recorder.runs) == len(trials)
    for own, known in zip(outcomes, expected, strict=True):
        assert own.result.metrics == pytest.approx(known.result.metrics)
        for one, other in zip(known.result.members, own.result.members, strict=True):
            assert_same(one, other)


def test_seeds_and_folds_are_members_of_one_stack(table) -> None:
    trials = [folded_trial(seed=seed) for seed in (0, 1, 2, 3)]
    plan = plan_stacks(trials, *table, budget_bytes=2**33)
    (stack,) = plan.stacks
    assert stack.n_members == 4 * N_FOLDS
    assert "stack 0: 12 members" in str(plan)


def test_the_plan_tells_when_many_rows_of_a_large_fold_sit_every_epoch_out() -> None:
    """As when one value of `data.group` has most of the rows: the fold that holds it out trains on few."""
    trials = [folded_trial(seed=seed) for seed in (0, 1)]
    fold_of_row = np.where(np.arange(48) < 32, 0, 1 + np.arange(48) % 2)
    (note,) = plan_stacks(trials, *in_folds(raw_table(), fold_of_row=fold_of_row), budget_bytes=2**33).notes
    assert note == (
        "folds are unequal: of the 40 rows that fold 1 trains on, 60% sit each epoch out, others every time, as the "
        "smallest has 16 and all take as many steps"
    )
    assert plan_stacks(trials, *in_folds(raw_table()), budget_bytes=2**33).notes == ()
