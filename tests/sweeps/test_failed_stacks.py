"""A stack that raises an error: its trials FAIL with a reason, the others train, and nothing of a defect is hidden."""

from pathlib import Path

import pytest

from pipelines.sweeps.finalists import NoModelError, choose_finalists
from pipelines.tracking.memory import MemoryRecorder
from tests.engines.sweeps import raising_trial
from tests.sweeps.sweeping import train
from tests.tables import small_table, trial

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
