"""engine=local: in this process, or in one process a device, with the same numbers."""

import multiprocessing
from dataclasses import replace

import pytest
import torch

from pipelines.config.schema import LocalEngineConfig, TrainerConfig
from pipelines.engines import open_engine, processes
from pipelines.engines.local import ThisProcess
from pipelines.engines.processes import WorkerProcesses
from pipelines.errors import UserError
from tests.engines.sweeps import (
    STACKS,
    assert_bit_equal,
    deadly_trial,
    in_order,
    jobs_of,
    run_here,
    run_on,
    run_with_a_pause,
)
from tests.tables import small_table, trial

TRAINER = TrainerConfig(max_epochs=1, batch_size=8, accelerator="auto", precision="32-true", progress=False)


def local(*devices: str) -> LocalEngineConfig:
    return LocalEngineConfig(kind="local", memory_gb=None, devices=devices or None)


def test_this_process_trains_stacks_in_their_order():
    prepared, task = small_table()
    assert [done.number for done in ThisProcess().run(jobs_of(STACKS), prepared, task)] == [0, 1, 2, 3]


def test_this_process_goes_on_where_stacks_paused(tmp_path):
    results = run_with_a_pause(ThisProcess(), tmp_path)
    assert_bit_equal(results[1:], run_here()[1:])
    assert [member.epochs for member in results[0]] == [6, 1]


def test_without_several_gpus_stacks_stay_in_this_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with open_engine(local(), TRAINER) as engine:
        assert isinstance(engine, ThisProcess)


def test_every_gpu_of_several_gets_a_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with open_engine(local(), TRAINER) as engine:
        assert engine.n_places == 3


@pytest.mark.parametrize(("n_gpus", "seen"), [(0, "no GPU"), (1, "cuda:0 alone"), (4, "cuda:0 to cuda:3 alone")])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, n_gpus, seen):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(UserError) as refused, open_engine(local("cuda:7"), TRAINER):
        pass
    assert str(refused.value) == f"engine.devices names cuda:7, but torch sees {seen} here."


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused_in_one_line():
    trainer = TrainerConfig(max_epochs=1, batch_size=8, accelerator="cuda", precision="32-true", progress=False)
    with (
        pytest.raises(UserError, match=r"trainer\.accelerator=cuda, but torch sees no such device here") as refusal,
        open_engine(local(), trainer),
    ):
        pass
    assert "\n" not in str(refusal.value)


def test_processes_on_one_device_share_what_it_has_free(monkeypatch):
    free = {"cuda:0": 900, "cuda:1": 400, "cpu": 3000}
    monkeypatch.setattr(processes, "free_memory", lambda device: free[str(device)])

    def found(*devices: str) -> int:
        return WorkerProcesses(devices).free_bytes()

    assert found("cuda:0", "cuda:0", "cuda:1") == 400
    assert found("cuda:0", "cuda:0", "cuda:0", "cuda:1") == 300
    assert found("cpu", "cpu") == 1500
    assert str(WorkerProcesses(["cuda:1"]).device) == "cuda:1"


@pytest.mark.parametrize("accelerator", ["auto", "mps"])
def test_numbers_that_the_device_here_lacks_are_refused(monkeypatch, accelerator):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    trainer = replace(TRAINER, accelerator=accelerator, precision="64-true")
    with (
        pytest.raises(UserError, match=r"means an mps device here.*use trainer\.accelerator=cpu"),
        open_engine(local(), trainer),
    ):
        pass


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one_and_go_on_where_stacks_paused(tmp_path):
    with open_engine(local("cpu", "cpu"), TRAINER) as engine:
        assert_bit_equal(run_on(engine), run_here())
        assert_bit_equal(
            run_with_a_pause(engine, tmp_path / "there"), run_with_a_pause(ThisProcess(), tmp_path / "here")
        )
    assert not multiprocessing.active_children(), "workers end with the run"


@pytest.mark.slow
def test_an_error_of_a_stack_is_raised_here_and_ends_the_workers():
    with pytest.raises(ValueError, match="A stack needs at least one trial"):
        run_on(WorkerProcesses(["cpu"]), [[trial()], [], [trial(max_epochs=9999)]])
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_worker_that_dies_once_loses_nothing():
    prepared, task = small_table()
    long = [trial(max_epochs=300)]
    stacks = [STACKS[1], long, STACKS[2]]
    with open_engine(local("cpu"), TRAINER) as engine:
        ended = engine.run(jobs_of(stacks), prepared, task)
        first = next(ended)
        (worker,) = multiprocessing.active_children()
        worker.kill()
        results = in_order([first, *ended], 3)
    assert_bit_equal(results, run_here(stacks))


@pytest.mark.slow
def test_a_stack_whose_process_dies_twice_fails_with_a_reason_and_the_others_train():
    stacks = [STACKS[1], [deadly_trial()], STACKS[2]]
    with open_engine(local("cpu"), TRAINER) as engine:
        first, lost, last = run_on(engine, stacks)
    assert_bit_equal([first, last], run_here([STACKS[1], STACKS[2]]))
    (member,) = lost
    assert member.failure is not None
    assert "died 2 times (exit code -9)" in member.failure
    assert "try a smaller engine.memory_gb" in member.failure
