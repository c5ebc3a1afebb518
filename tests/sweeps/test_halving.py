"""Successive halving: who trains on, within a stack and across the stacks of a sweep."""

import pytest

from pipelines.config.schema import HalvingConfig
from pipelines.sweeps.halving import losers, rungs
from pipelines.tracking.memory import MemoryRecorder
from pipelines.training import fit
from tests.contracts.test_stack_equality import assert_same
from tests.sweeps.sweeping import train
from tests.tables import mlp, small_table, trial

NET = mlp(dropout=0.2, activation="relu")
HALVING = HalvingConfig(kind="halving", eta=2, min_epochs=2)


def curves(*members: list[float] | float) -> list[dict[str, list[float]]]:
    """Scores of a trial of one member, or of one that has a list a fold; its losses are numbers."""
    folds = [own for own in members if isinstance(own, list)] or [list(members)]
    return [
        {"train/loss": [1.0] * len(own), "validation/loss": [1.0] * len(own), "validation/rmse": own} for own in folds
    ]


def test_rungs_lie_eta_times_apart_and_before_the_last_epoch() -> None:
    three = HalvingConfig(kind="halving", eta=3, min_epochs=5)
    assert rungs([trial(stopping=three, max_epochs=135)]) == [5, 15, 45]
    assert rungs([trial(stopping=three, max_epochs=136)]) == [5, 15, 45, 135]
    assert rungs([trial(stopping=three, max_epochs=20), trial(stopping=HALVING, max_epochs=5), trial()]) == [
        2,
        4,
        5,
        15,
    ]


def test_the_better_half_by_the_best_score_so_far_trains_on() -> None:
    _, task = small_table()  # lower rmse is better
    trials = [trial(stopping=HALVING) for _ in range(4)]
    shown = [curves(3.0, 2.0), curves(1.0, 9.0), curves(4.0, 4.0), curves(2.5, 2.5)]
    assert losers(2, trials, shown, task) == {2, 3}


def test_of_folds_the_mean_of_their_best_scores_so_far_counts() -> None:
    _, task = small_table()
    trials = [trial(stopping=HALVING) for _ in range(4)]
    shown = [
        curves([1.0, 2.0], [5.0, 5.0]),
        curves([9.0, 2.0], [2.0, 9.0]),
        curves([2.5, 3.0], [2.5, 3.0]),
        curves([1.0, 1.0], [1.0]),
    ]
    assert losers(2, trials, shown, task) == {0, 2}, "1 trains on; a fold of 3 ended before"


def test_later_epochs_do_not_change_what_was_decided_at_a_rung() -> None:
    _, task = small_table()
    trials = [trial(stopping=HALVING) for _ in range(2)]
    assert losers(2, trials, [curves(3.0, 2.0, 9.0), curves(4.0, 4.0)], task) == {1}
    assert losers(2, trials, [curves(3.0, 2.0), curves(4.0, 4.0, 0.1)], task) == {1}


def test_only_trials_of_one_setting_that_came_so_far_compete_and_one_always_trains_on() -> None:
    _, task = small_table()
    other = HalvingConfig(kind="halving", eta=4, min_epochs=2)
    trials = [trial(stopping=HALVING), trial(stopping=HALVING), trial(stopping=other), trial()]
    shown = [curves(1.0, 1.0), curves(5.0), curves(9.0, 9.0), curves(8.0, 8.0)]
    assert losers(2, trials, shown, task) == set()


def test_a_score_that_is_not_a_number_loses() -> None:
    _, task = small_table()
    trials = [trial(stopping=HALVING), trial(stopping=HALVING)]
    assert losers(2, trials, [curves(float("nan"), float("nan")), curves(100.0, 100.0)], task) == {0}


@pytest.mark.parametrize("loss", ["train/loss", "validation/loss"])
def test_a_trial_that_diverged_in_the_last_epoch_before_a_rung_takes_no_place(loss) -> None:
    _, task = small_table()
    three = HalvingConfig(kind="halving", eta=3, min_epochs=2)
    trials = [trial(stopping=three) for _ in range(3)]
    shown = [curves(1.0, 1.0), curves(2.0, 2.0), curves(3.0, 3.0)]
    shown[0][0][loss][-1] = float("nan")
    assert losers(2, trials, shown, task) == {2}
    folds = [curves([own[0]["validation/rmse"][0]] * 2, [9.0, 9.0]) for own in shown]
    folds[0][1][loss][-1] = float("inf")
    assert losers(2, trials, folds, task) == {2}


@pytest.mark.parametrize("members_a_stack", [8, 3])
def test_survivors_equal_undisturbed_trials_and_losers_those_that_end_at_the_rung(tmp_path, members_a_stack) -> None:
    trials = [trial(stopping=HALVING, max_epochs=8, seed=seed, model=NET) for seed in range(8)]
    outcomes = train(trials, tmp_path, MemoryRecorder(), members_a_stack=members_a_stack)
    epochs = [outcome.result.epochs for outcome in outcomes]
    assert sorted(epochs) == [2, 2, 2, 2, 4, 4, 8, 8]
    prepared, task = small_table()
    for seed, outcome in enumerate(outcomes):
        alone = trial(max_epochs=outcome.result.members[0].epochs, seed=seed, model=NET)
        assert_same(fit([alone], prepared, task)[0], outcome.result.members[0])


def test_halving_across_stacks_is_halving_in_one(tmp_path) -> None:
    trials = [trial(stopping=HALVING, max_epochs=8, seed=seed) for seed in range(6)]
    one = train(trials, tmp_path / "one", MemoryRecorder(), members_a_stack=6)
    many = train(trials, tmp_path / "many", MemoryRecorder(), members_a_stack=2)
    assert [own.result.epochs for own in one] == [own.result.epochs for own in many]
