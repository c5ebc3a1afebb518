"""A stack that raises an error: its trials FAIL with a reason, the others train, and nothing of a defect is hidden."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.config.schema import HalvingConfig, TrialConfig
from pipelines.engines import run_job
from pipelines.engines.processes import WorkerProcesses
from pipelines.errors import UserError
from pipelines.sweeps.finalists import NoModelError, choose_finalists
from pipelines.tracking.memory import MemoryRecorder
from pipelines.training import StackState
from tests.contracts.test_stack_equality import assert_same
from tests.engines.sweeps import deadly_trial, raising_trial
from tests.folds import folded_trial, in_folds, raw_table
from tests.full_disk import files_at_most
from tests.sweeps.sweeping import train
from tests.tables import early, optimizers, small_table, trial

REASON = "Training its stack raised RuntimeError: mat1 and mat2 shapes"


def test_its_trials_fail_and_the_traceback_is_kept_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    recorder = MemoryRecorder()
    trials = [trial(), raising_trial(), trial(seed=1)]
    good, failed, other = train(trials, tmp_path, recorder, members_a_stack=1, told=told)
    assert good.result.failure is other.result.failure is None
    assert failed.result.failure is not None
    assert failed.result.failure.startswith(REASON)
    (kept,) = tmp_path.rglob("*.traceback")
    assert "wrong_nets.py" in kept.read_text()
    (lines,) = [line.splitlines() for line in told if "failed" in line]
    assert lines[0].startswith("  stack 1: trained for 0 epochs, 1 failed in ")
    assert lines[1].startswith(f"    {REASON}")
    assert lines[1].endswith(f". The traceback is in {kept}.")


def test_a_traceback_that_does_not_fit_the_disk_is_told_and_leaves_no_half(tmp_path: Path) -> None:
    with (
        files_at_most(500),
        pytest.raises(
            UserError, match=r"stack-0\.traceback cannot be written: File too large\. .* tracking\.checkpoints"
        ),
    ):
        train([raising_trial()], tmp_path, MemoryRecorder(), members_a_stack=1)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["lock", "sweep.json"]


def test_the_same_command_trains_what_failed_again_and_that_alone(tmp_path: Path, monkeypatch) -> None:
    trials = [trial(), raising_trial()]
    recorder = MemoryRecorder()
    (first, _) = train(trials, tmp_path, recorder, members_a_stack=1)
    monkeypatch.setattr("tests.models.wrong_nets.Raising.forward", lambda net, x: net.only(x))
    told: list[str] = []
    (again, mended) = train(trials, tmp_path, recorder, members_a_stack=1, told=told)
    assert again.result.curves == first.result.curves
    assert mended.result.failure is None
    assert sum("trained for" in line for line in told) == 1
    assert [run.status for run in recorder.runs] == ["FINISHED", "FINISHED"]


def test_when_all_fail_there_is_no_model_and_the_reason_is_told(tmp_path: Path) -> None:
    outcomes = train([raising_trial()], tmp_path, MemoryRecorder(), members_a_stack=1)
    prepared, task = small_table()
    with pytest.raises(NoModelError, match=REASON):
        choose_finalists(outcomes, outcomes[0].trial.ensemble, prepared=prepared, task=task)


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets stacks of so many trials train, and larger ones find too little memory an epoch later: at once, or later."""
    real = run_job.train_stack

    def arm(n_trials: int, *, later: bool = False) -> None:
        def trained(trials: Sequence[TrialConfig], *arguments: Any, **options: Any) -> StackState:
            state = options["state"]
            if len(trials) <= n_trials or (later and state is None):
                return real(trials, *arguments, **options)
            until = 1 if state is None else state.epoch + 1
            options["checkpoint"].write(real(trials, *arguments, **options | {"until_epoch": until}))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

        monkeypatch.setattr(run_job, "train_stack", trained)

    return arm


STOPPING = {"early": early(2), "halving": HalvingConfig(kind="halving", eta=2, min_epochs=2)}


@pytest.mark.parametrize("stopping", STOPPING.values(), ids=STOPPING)
def test_a_stack_that_finds_too_little_memory_begins_anew_as_smaller_ones(
    tmp_path: Path, room_for: Callable[[int], None], stopping: Any
) -> None:
    trials = [trial(seed=seed, stopping=stopping, max_epochs=6) for seed in range(7)]
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=7)
    room_for(2)
    told: list[str] = []
    recorder = MemoryRecorder()
    outcomes = train(trials, tmp_path / "short", recorder, members_a_stack=5, told=told)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])
    assert [line for line in told if "out of memory" in line] == [
        "  stack 0: out of memory with 5 trials; again as stacks 2 and 3, of 3 trials and 2 trials",
        "  stack 2: out of memory with 3 trials; again as stacks 4 and 5, of 2 trials and 1 trial",
    ]
    assert sorted(path.name for path in tmp_path.glob("short/*/stack-*")) == [f"stack-{n}.pt" for n in (1, 3, 4, 5)]
    assert [run.status for run in recorder.runs] == ["FINISHED"] * 7

    told.clear()
    train(trials, tmp_path / "short", recorder, members_a_stack=5, told=told)
    assert told == ["  going on with an earlier run of this sweep: 7 trials had ended, 0 were in training"]


@pytest.mark.parametrize("folds", [0, 3])
def test_a_stack_that_finds_too_little_memory_at_a_rung_goes_on_as_smaller_ones(
    tmp_path: Path, room_for: Callable[[int], None], folds: int
) -> None:
    kinds = [own for kind in ("momentum", "adam") for own in (optimizers()[kind], optimizers(l2=0.1)[kind])]
    halving = HalvingConfig(kind="halving", eta=2, min_epochs=2)
    table = in_folds(raw_table()) if folds else small_table()
    fixed = {"folds": folds, "stopping": halving, "max_epochs": 6}
    trials = [folded_trial(optimizer=own, seed=seed, **fixed) for own in kinds for seed in (0, 1)]
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=8, table=table)
    room_for(3, later=True)
    told: list[str] = []
    outcomes = train(trials, tmp_path / "short", MemoryRecorder(), members_a_stack=8, table=table, told=told)
    for own, known in zip(outcomes, expected, strict=True):
        for one, other in zip(known.result.members, own.result.members, strict=True):
            assert_same(one, other)
    assert [line for line in told if "out of memory" in line] == [
        "  stack 0: out of memory with 8 trials; again as stacks 1 and 2, of 4 trials and 4 trials",
        "  stack 1: out of memory with 4 trials; again as stacks 3 and 4, of 2 trials and 2 trials",
        "  stack 2: out of memory with 4 trials; again as stacks 5 and 6, of 2 trials and 2 trials",
    ]


def test_a_stack_that_went_on_from_its_file_and_finds_too_little_memory_goes_on_as_smaller_ones(
    tmp_path: Path, room_for: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [trial(seed=seed, stopping=early(2), max_epochs=6) for seed in range(4)]
    expected = train(trials, tmp_path / "undisturbed", MemoryRecorder(), members_a_stack=4)
    room_for(0)
    monkeypatch.setattr(run_job, "format_exc", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(trials, tmp_path / "short", MemoryRecorder(), members_a_stack=4)
    monkeypatch.undo()
    room_for(2)
    told: list[str] = []
    outcomes = train(trials, tmp_path / "short", MemoryRecorder(), members_a_stack=4, told=told)
    for own, known in zip(outcomes, expected, strict=True):
        assert_same(known.result.members[0], own.result.members[0])
    assert [line for line in told if "out of memory" in line] == [
        "  stack 0: out of memory with 4 trials; again as stacks 1 and 2, of 2 trials and 2 trials"
    ]
    assert sorted(path.name for path in tmp_path.glob("short/*/stack-*")) == ["stack-1.pt", "stack-2.pt"]


def interrupt() -> str:
    raise KeyboardInterrupt


def test_a_trial_that_alone_finds_too_little_memory_fails_and_says_what_to_try(
    tmp_path: Path, room_for: Callable[[int], None]
) -> None:
    room_for(0)
    for outcome in train([trial(), trial(seed=1)], tmp_path, MemoryRecorder(), members_a_stack=2):
        assert outcome.result.is_lost
        assert str(outcome.result.failure).startswith("Out of memory with 1 trial in its stack (CUDA out of memory.")


@pytest.mark.slow
def test_what_kills_its_process_is_found_in_halves_and_the_other_trials_train(tmp_path: Path) -> None:
    """As the system kills a process when memory is short."""
    told: list[str] = []
    trials = [trial(), trial(seed=1), deadly_trial(seed=2)]
    with closing(WorkerProcesses(["cpu"])) as engine:
        outcomes = train(trials, tmp_path, MemoryRecorder(), members_a_stack=3, engine=engine, told=told)
    assert [own.result.is_lost for own in outcomes] == [False, False, True]
    assert [line for line in told if "out of memory" in line] == [
        "  stack 0: out of memory with 3 trials; again as stacks 1 and 2, of 2 trials and 1 trial"
    ]
