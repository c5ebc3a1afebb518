"""Training that pauses, or is killed and goes on, ends where undisturbed training ends."""

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.config.schema import TrialConfig
from pipelines.errors import UserError
from pipelines.training import Checkpoint, StackState, UnreadableStateError, fit, load_state, train_stack
from pipelines.training.state import save_state, untrained
from tests.contracts.test_stack_equality import assert_same, stacks
from tests.full_disk import files_at_most
from tests.tables import early, mlp, optimizers, small_table, switched_on, trial


def assert_same_end(trials: list[TrialConfig], state: StackState) -> None:
    assert state.members == ()
    prepared, task = small_table()
    for place, expected in enumerate(fit(trials, prepared, task)):
        assert_same(expected, state.results[place])


@settings(max_examples=15, deadline=None)
@given(trials=stacks(min_size=1, max_size=5), pauses=st.sets(st.integers(1, 5)))
def test_a_stack_that_pauses_anywhere_ends_as_if_it_had_not(trials: list[TrialConfig], pauses: set[int]) -> None:
    prepared, task = small_table()
    state = None
    for epoch in [*sorted(pauses), None]:
        state = train_stack(trials, prepared, task, state=state, until_epoch=epoch)
        if not state.members:
            break
    assert state is not None
    assert_same_end(trials, state)


class KilledError(Exception):
    """Ends training where a kill would."""


@dataclasses.dataclass
class DyingCheckpoint(Checkpoint):
    writes_left: int = 0

    def write(self, state: StackState) -> None:
        super().write(state)
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KilledError


def test_training_goes_on_from_its_file_in_float64_and_float32(tmp_path: Path) -> None:
    prepared, task = small_table()
    for precision in ("64-true", "32-true"):
        kinds = optimizers(l1=1e-3, l2=1e-2, weight_decay=0.1).values()
        fixed = {"model": mlp(dropout=0.3), "max_epochs": 6, "stopping": early(4), "precision": precision}
        trials = [trial(optimizer=own, seed=seed, **fixed) for seed, own in enumerate(kinds)]
        path = tmp_path / f"{precision}.pt"
        dying = DyingCheckpoint(path, every_seconds=0.0, note={"trials": ["a"]}, writes_left=2)
        with pytest.raises(KilledError):
            train_stack(trials, prepared, task, checkpoint=dying)
        state, note = load_state(path)
        assert note == {"trials": ["a"]}
        assert state.epoch == 3
        assert_same_end(trials, train_stack(trials, prepared, task, state=state))


@pytest.mark.parametrize("kind", ["momentum", "rmsprop", "adam"])
def test_a_stack_goes_on_without_the_only_member_of_a_rarer_optimizer(kind: str) -> None:
    prepared, task = small_table()
    plain = optimizers()[kind]
    (rarer,) = switched_on(plain)
    trials = [trial(optimizer=rarer, max_epochs=1), trial(optimizer=plain), trial(optimizer=plain, seed=1)]
    paused = train_stack(trials, prepared, task, until_epoch=2)
    assert_same_end(trials, train_stack(trials, prepared, task, state=paused))


def test_a_file_of_another_version_is_not_read(tmp_path: Path) -> None:
    prepared, task = small_table()
    path = tmp_path / "stack.pt"
    train_stack([trial(max_epochs=1)], prepared, task, checkpoint=Checkpoint(path, every_seconds=0.0, note={}))
    saved = torch.load(path, weights_only=True)
    del saved["format"]
    torch.save(saved, path)
    with pytest.raises(UnreadableStateError, match="another version"):
        load_state(path)


def test_a_file_that_does_not_fit_the_disk_is_told_and_the_one_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "stack-0.pt"
    state = untrained([trial()])
    save_state(path, state, note={"number": 0})
    larger = dataclasses.replace(state, weights={"weight": torch.zeros(1, 200_000)})
    with (
        files_at_most(100_000),
        pytest.raises(UserError, match=r"stack-0\.pt cannot be written: File too large\. .* Make room"),
    ):
        save_state(path, larger, note={"number": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["stack-0.pt"]
    assert load_state(path)[1] == {"number": 0}


def test_a_checkpoint_is_written_only_when_its_time_has_come(tmp_path: Path) -> None:
    prepared, task = small_table()
    train_stack([trial()], prepared, task, checkpoint=Checkpoint(tmp_path / "stack.pt", every_seconds=1000.0, note={}))
    assert list(tmp_path.iterdir()) == []


def test_members_that_are_ended_leave_what_they_had_and_the_others_unchanged() -> None:
    prepared, task = small_table()
    trials = [trial(seed=seed, max_epochs=5) for seed in (0, 1, 2)]
    paused = train_stack(trials, prepared, task, until_epoch=2)
    ended = train_stack(trials, prepared, task, state=paused, ended={1})
    expected = fit(trials, prepared, task)
    for place in (0, 2):
        assert_same(expected[place], ended.results[place])
    (short,) = fit([trial(seed=1, max_epochs=2)], prepared, task)
    assert_same(short, ended.results[1])


def test_all_members_can_be_ended_at_once() -> None:
    prepared, task = small_table()
    trials = [trial(seed=seed, max_epochs=5) for seed in (0, 1)]
    paused = train_stack(trials, prepared, task, until_epoch=2)
    ended = train_stack(trials, prepared, task, state=paused, ended={0, 1})
    assert ended.members == ()
    assert [ended.results[place].epochs for place in (0, 1)] == [2, 2]


def test_a_stack_is_not_trained_backwards() -> None:
    prepared, task = small_table()
    paused = train_stack([trial()], prepared, task, until_epoch=2)
    with pytest.raises(ValueError, match="trained 2 epochs already, got until_epoch=2"):
        train_stack([trial()], prepared, task, state=paused, until_epoch=2)
