"""A sweep that was interrupted goes on: nothing is trained twice, no run is doubled, the table is the same."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from pipelines.config.schema import HalvingConfig, TrialConfig
from pipelines.errors import UserError
from pipelines.sweeps.folder import open_sweep_folder, trial_identities
from pipelines.sweeps.run import TrialOutcome
from pipelines.tracking.memory import MemoryRecorder
from pipelines.training import StackState, checkpoint
from tests.contracts.test_stack_equality import assert_same
from tests.full_disk import files_at_most
from tests.sweeps.sweeping import LosesAStack, train
from tests.tables import custom, early, mlp, optimizers, trial

STOPPING = {"early": early(2), "halving": HalvingConfig(kind="halving", eta=2, min_epochs=2)}
EVERY_EPOCH = dataclasses.replace(trial().tracking, checkpoint_seconds=0.0)


class KilledError(BaseException):
    """Ends a sweep where a kill would."""


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets so many checkpoints be written, then raises after the next one (or instead of it)."""
    save = checkpoint.save_state

    def arm(n_writes: int, *, instead: bool = False) -> None:
        left = [n_writes]

        def dying(path: Path, state: StackState, *, note: dict[str, Any]) -> None:
            left[0] -= 1
            if left[0] < 0 and instead:
                raise KilledError
            save(path, state, note=note)
            if left[0] < 0:
                raise KilledError

        monkeypatch.setattr(checkpoint, "save_state", dying)

    yield arm
    monkeypatch.undo()


def sweep_trials(**changes: Any) -> list[TrialConfig]:
    fixed = {"model": mlp(dropout=0.2), "tracking": EVERY_EPOCH, "max_epochs": 6} | changes
    kinds = [optimizers()["adam"], optimizers()["momentum"], optimizers(l2=0.01)["rmsprop"]]
    return [trial(optimizer=own, seed=seed, **fixed) for own in kinds for seed in (0, 1)]


@pytest.fixture(scope="module", params=STOPPING)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[TrialOutcome]:
    """How a sweep ends that nothing kills."""
    trials = sweep_trials(stopping=STOPPING[request.param])
    return train(trials, tmp_path_factory.mktemp("undisturbed"), MemoryRecorder(), members_a_stack=3)


@pytest.mark.parametrize("instead", [False, True], ids=["after a write", "before a write"])
@pytest.mark.parametrize("n_writes", [0, 2, 6, 7, 11, 16])
def test_a_killed_sweep_ends_as_an_undisturbed_one(undisturbed, tmp_path, kill_after, n_writes, instead) -> None:
    trials = [own.trial for own in undisturbed]
    recorder = MemoryRecorder()
    kill_after(n_writes, instead=instead)
    try:
        outcomes = train(trials, tmp_path, recorder, members_a_stack=3)
    except KilledError:
        kill_after(1000)
        outcomes = train(trials, tmp_path, recorder, members_a_stack=3)
    for own, known in zip(outcomes, undisturbed, strict=True):
        assert_same(known.result.members[0], own.result.members[0])
        assert own.name == known.name
    assert len(recorder.runs) == len(trials)
    assert len({run.identity for run in recorder.runs}) == len(trials)


@pytest.mark.parametrize("net", ["BatchNormalised", "Dropping", "Noisy"])
def test_a_killed_sweep_of_ones_own_nets_ends_as_an_undisturbed_one(tmp_path, kill_after, net) -> None:
    """What a net keeps in buffers and what it draws by itself go on, too."""
    trials = sweep_trials(model=custom(net))
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=3)
    kill_after(7)
    with pytest.raises(KilledError):
        train(trials, tmp_path / "killed", MemoryRecorder(), members_a_stack=3)
    kill_after(1000)
    outcomes = train(trials, tmp_path / "killed", MemoryRecorder(), members_a_stack=3)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])


def test_a_sweep_that_has_ended_is_not_trained_again(tmp_path, kill_after) -> None:
    trials = sweep_trials()
    recorder = MemoryRecorder()
    first = train(trials, tmp_path, recorder, members_a_stack=4)
    kill_after(0, instead=True)  # any training would write
    told: list[str] = []
    again = train(trials, tmp_path, recorder, members_a_stack=4, told=told)
    assert [own.run_id for own in again] == [own.run_id for own in first]
    assert len(recorder.runs) == len(trials)
    assert "6 trials had ended, 0 were in training" in told[0]


def test_trials_that_were_lost_are_trained_again_and_their_runs_replaced(tmp_path) -> None:
    trials = sweep_trials()
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=3)
    recorder = MemoryRecorder()
    told: list[str] = []
    lost = train(trials, tmp_path / "lost", recorder, members_a_stack=3, engine=LosesAStack(1), told=told)
    assert [own.result.failure for own in lost] == [None] * 3 + ["The node died."] * 3
    assert sorted((run.status, run.tags.get("failure")) for run in recorder.runs) == [
        *[("FINISHED", None)] * 3,
        *[("KILLED", "The node died.")] * 3,
    ]
    assert told[-1].startswith("  stack 1: trained for 0 epochs, 3 lost in ")

    outcomes = train(trials, tmp_path / "lost", recorder, members_a_stack=3)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])
    assert [run.status for run in recorder.runs] == ["FINISHED"] * 6
    assert {own.run_id for own in outcomes} == set(recorder.ids)


def test_without_resume_everything_is_trained_once_more_as_a_sweep_of_its_own(tmp_path, kill_after) -> None:
    trials = sweep_trials()
    train(trials, tmp_path, MemoryRecorder(), members_a_stack=6)
    kill_after(0, instead=True)
    with pytest.raises(KilledError):
        train(trials, tmp_path, MemoryRecorder(), members_a_stack=6, resume=False)


@pytest.mark.parametrize("left", [b"", b"PK\3\4 and no more", None], ids=["empty", "cut off", "of another version"])
def test_a_file_that_cannot_be_read_counts_as_not_there(tmp_path, left) -> None:
    trials = sweep_trials()
    expected = train(trials, tmp_path, MemoryRecorder(), members_a_stack=3)
    (file,) = tmp_path.glob("*/stack-0.pt")
    if left is None:
        torch.save({"state": {"epoch": 1}, "note": {}}, file)
    else:
        file.write_bytes(left)

    told: list[str] = []
    outcomes = train(trials, tmp_path, MemoryRecorder(), members_a_stack=3, told=told)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])
    assert told[0].startswith(f"  {file} cannot be read (")
    assert "3 trials had ended" in told[1]

    told.clear()
    train(trials, tmp_path, MemoryRecorder(), members_a_stack=3, told=told)
    assert "6 trials had ended" in told[0], "it is told once"


def test_a_sweep_whose_description_was_cut_off_begins_another(tmp_path) -> None:
    told: list[str] = []
    for _ in range(3):
        with open_sweep_folder(tmp_path, ["a"], resume=True, tell=told.append) as folder:
            (description,) = tmp_path.glob("*/sweep.json")
            assert json.loads(description.read_text())["created"] == folder.created.isoformat()
            if not told:
                description.write_text("")
    assert len(told) == 1
    assert told[0].startswith(f"  {description} cannot be read (")


def test_stacks_may_be_planned_otherwise_the_second_time(tmp_path, kill_after) -> None:
    trials = sweep_trials()
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=6)
    kill_after(8)
    with pytest.raises(KilledError):
        train(trials, tmp_path / "killed", MemoryRecorder(), members_a_stack=2)
    kill_after(1000)
    outcomes = train(trials, tmp_path / "killed", MemoryRecorder(), members_a_stack=5)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])


@settings(max_examples=20)
@given(other=st.sampled_from([{"seed": 1}, {"max_epochs": 5}, {"model": mlp(dropout=0.1)}, {"precision": "32-true"}]))
def test_an_identity_is_of_the_configuration_and_of_the_data(other: dict[str, Any]) -> None:
    (own,) = trial_identities([trial()], fingerprint="f")
    assert trial_identities([trial(**other)], fingerprint="f") != [own]
    assert trial_identities([trial()], fingerprint="g") != [own]
    assert trial_identities([trial(tracking=EVERY_EPOCH, progress=True)], fingerprint="f") == [own]


def test_one_sweep_is_trained_by_one_process(tmp_path) -> None:
    with (
        open_sweep_folder(tmp_path, ["a"], resume=True, tell=print),
        pytest.raises(UserError, match="Another process trains this very sweep"),
        open_sweep_folder(tmp_path, ["a"], resume=True, tell=print),
    ):
        pass
    with open_sweep_folder(tmp_path, ["a"], resume=True, tell=print):
        pass


def test_a_folder_that_cannot_be_written_is_a_users_mistake(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"tracking\.checkpoints"),
        open_sweep_folder(tmp_path / "file", ["a"], resume=True, tell=print),
    ):
        pass


def test_a_folder_that_does_not_fit_the_disk_is_told_and_leaves_no_half(tmp_path: Path) -> None:
    with (
        files_at_most(1),
        pytest.raises(UserError, match=r"sweep\.json cannot be written: File too large\. .* tracking\.checkpoints"),
        open_sweep_folder(tmp_path, ["a"], resume=True, tell=print),
    ):
        pass
    assert [path.name for path in tmp_path.glob("*/*")] == ["lock"]
