"""engine=local: in this process, or in one process a device, with the same numbers."""

import multiprocessing
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest
import torch

from pipelines.config.schema import LocalEngineConfig, TrainerConfig
from pipelines.engines import Engine, Keeping, StackJob, job, open_engine, processes
from pipelines.engines.local import ThisProcess
from pipelines.engines.processes import WorkerProcesses
from pipelines.errors import UserError
from pipelines.training import Place, load_state, save_state
from tests.engines.sweeps import (
    STACKS,
    assert_bit_equal,
    deadly_trial,
    in_order,
    jobs_of,
    raising_trial,
    run_here,
    run_on,
    run_with_a_pause,
    table,
)
from tests.serving.load import eventually
from tests.tables import trial

TRAINER = TrainerConfig(max_epochs=1, batch_size=8, accelerator="auto", precision="32-true", progress=False)


def local(*devices: str) -> LocalEngineConfig:
    return LocalEngineConfig(kind="local", memory_gb=None, devices=devices or None)


@contextmanager
def processes_on(*devices: str) -> Iterator[Engine]:
    """An engine that leaves no process behind."""
    others = set(multiprocessing.active_children())
    with open_engine(local(*devices), TRAINER) as engine:
        yield engine
    assert set(multiprocessing.active_children()) <= others, "workers end with the run"


@pytest.fixture(scope="module")
def two_processes() -> Iterator[Engine]:
    """For all tests that can share them, as one takes seconds to start. The engine replaces those that a test kills."""
    with processes_on("cpu", "cpu") as engine:
        yield engine


def test_this_process_trains_stacks_in_their_order():
    assert [done.number for done in ThisProcess().run(jobs_of(STACKS), *table())] == [0, 1, 2, 3]


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
        assert engine.n_side_by_side == 3


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
    assert str(WorkerProcesses(["cuda:1"]).place.device) == "cuda:1"


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
def test_many_members_in_processes_need_no_more_open_files_than_few(tmp_path):
    prepared, task = table()
    members = [trial(seed=seed, max_epochs=3) for seed in range(200)]
    (paused,) = ThisProcess().run([StackJob(0, members, until_epoch=1)], prepared, task)
    most_ended = StackJob(0, members, state=paused.state, ended=frozenset(range(199)), until_epoch=2)
    (paused,) = ThisProcess().run([most_ended], prepared, task)
    rest = StackJob(0, members, state=paused.state)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with processes_on("cpu", "cpu") as engine:
        resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + 100, hard))
        try:
            (done,) = engine.run([rest], prepared, task)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [done.state.results[place].epochs for place in (0, 199)] == [1, 3]


@pytest.mark.slow
def test_a_worker_that_dies_within_its_answer_loses_nothing(monkeypatch, two_processes):
    start = processes._start

    def start_one_that_dies(device, *_):
        monkeypatch.setattr(processes, "_start", start)
        ours, theirs = multiprocessing.Pipe()
        os.write(theirs.fileno(), b"\0\0\0\x64 of 100 bytes the first")
        theirs.close()
        ends_at_once = multiprocessing.get_context("spawn").Process(target=print)
        ends_at_once.start()
        return processes._Worker(device, ends_at_once, ours)

    two_processes.close()
    monkeypatch.setattr(processes, "_start", start_one_that_dies)
    assert_bit_equal(run_on(two_processes, STACKS[1:3]), run_here(STACKS[1:3]))
    assert processes._start is start, "it was started"


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one_and_go_on_where_stacks_paused(tmp_path, two_processes):
    assert_bit_equal(run_on(two_processes), run_here())
    assert_bit_equal(
        run_with_a_pause(two_processes, tmp_path / "there"), run_with_a_pause(ThisProcess(), tmp_path / "here")
    )


def test_a_stack_that_raises_fails_with_a_reason_and_the_others_train():
    done = list(ThisProcess().run(jobs_of([STACKS[1], [raising_trial()] * 2, STACKS[2]]), *table()))
    assert [own.lost for own in done] == [frozenset(), frozenset({0, 1}), frozenset()]
    for member in done[1].state.results.values():
        assert member.failure.startswith("Training its stack raised RuntimeError: mat1 and mat2 shapes")
    assert "wrong_nets.py" in done[1].traceback
    assert_bit_equal(in_order([done[0], replace(done[2], number=1)], 2), run_here([STACKS[1], STACKS[2]]))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_stack_that_runs_out_of_memory_says_what_to_try(monkeypatch, error):
    def run_out(*_, **__):
        raise error

    monkeypatch.setattr("pipelines.engines.run_job.train_stack", run_out)
    (done,) = ThisProcess().run(jobs_of([STACKS[1]]), *table())
    reason = done.state.results[0].failure
    assert reason.startswith("Out of memory with 2 trials in one stack")
    assert "Try a smaller engine.memory_gb" in reason


def test_a_mistake_that_concerns_all_stacks_ends_the_run():
    with pytest.raises(UserError, match=r"trainer\.accelerator=mps"):
        list(ThisProcess().run(jobs_of([[trial(accelerator="mps")], STACKS[1]]), *table()))


def test_stacks_are_measured_where_and_with_the_threads_with_which_they_train(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert WorkerProcesses(["cpu"] * 3).place == Place(torch.device("cpu"), 4)
    assert WorkerProcesses(["cpu"] * 20).place == Place(torch.device("cpu"), 1)
    assert ThisProcess("cpu").place == Place(torch.device("cpu"), torch.get_num_threads())


def assert_trains_with_the_threads_that_it_tells(engine: Engine) -> None:
    ((member,),) = run_on(engine, [[raising_trial("CountsThreads")]])
    assert member.failure.endswith(f"RuntimeError: {engine.place.n_threads} threads")


@pytest.mark.slow
def test_one_of_two_processes_trains_with_the_threads_that_the_engine_tells(two_processes):
    assert_trains_with_the_threads_that_it_tells(two_processes)


@pytest.mark.slow
def test_a_single_process_trains_with_the_threads_that_the_engine_tells():
    with processes_on("cpu") as engine:
        assert_trains_with_the_threads_that_it_tells(engine)


@pytest.mark.slow
def test_an_error_of_a_stack_comes_back_from_its_process_whatever_it_is(two_processes):
    there = run_on(two_processes, [STACKS[1], [raising_trial("Unpicklable")], STACKS[2]])
    assert [members[0].failure for members in there] == [
        None,
        "Training its stack raised OwnError: no way to send this",
        None,
    ]


def kill_both() -> None:
    """The processes that wait are killed with those that train."""
    both = multiprocessing.active_children()
    assert len(both) == 2
    for process in both:
        process.kill()
        process.join()


@pytest.mark.slow
def test_workers_that_die_once_lose_nothing(two_processes):
    stacks = [STACKS[1], [trial(max_epochs=300)], STACKS[2]]
    ended = two_processes.run(jobs_of(stacks), *table())
    first = next(ended)
    kill_both()
    assert_bit_equal(in_order([first, *ended], 3), run_here(stacks))


@pytest.mark.slow
def test_a_stack_whose_process_dies_goes_on_from_its_file(tmp_path, two_processes):
    path = tmp_path / "stack.pt"
    long = StackJob(1, [trial(max_epochs=10**9)], keeping=Keeping(path, 0.0, {"number": 1}))
    ended = two_processes.run([StackJob(0, STACKS[1]), long, StackJob(2, STACKS[2])], *table())
    next(ended)
    eventually(path.exists)
    kill_both()
    state, note = load_state(path)
    state.stopping.max_epochs[:] = state.epoch + 3  # who begins anew does not end
    save_state(path, state, note=note)
    results = {done.number: done.state.results for done in ended}
    assert results[1][0].epochs == state.epoch + 3


@pytest.mark.parametrize("until", [2, None])
def test_a_stack_of_which_only_the_answer_was_lost_is_not_trained_again(tmp_path, until):
    keeping = Keeping(tmp_path / "stack.pt", 0.0, {"number": 0})
    asked = StackJob(0, [trial(max_epochs=3)], until_epoch=until, keeping=keeping)
    (done,) = ThisProcess().run([asked], *table())
    (again,) = ThisProcess().run([job.resumed(asked)], *table())
    assert again.state.curves == done.state.curves
    assert again.state.members == done.state.members


def test_a_file_that_cannot_be_read_is_not_gone_on_from(tmp_path):
    asked = StackJob(0, [trial()], keeping=Keeping(tmp_path / "stack.pt", 0.0, {"number": 0}))
    asked.keeping.path.write_bytes(b"PK\3\4 and no more")
    assert job.resumed(asked) == asked


def test_elsewhere_a_stack_is_kept_and_gone_on_with_where_its_folder_is(tmp_path):
    keeping = Keeping(tmp_path / "ours" / "stack.pt", 0.0, {"number": 0})
    asked = StackJob(0, [trial(max_epochs=3)], until_epoch=2, keeping=keeping)
    list(ThisProcess().run([asked], *table()))
    ours = job.folder_number(asked)
    here = job.where_its_folder_is(asked, ours)
    assert (here.keeping, here.state.epoch) == (keeping, 2)

    (tmp_path / "ours").rename(tmp_path / "moved")
    assert job.where_its_folder_is(asked, ours) == replace(asked, keeping=None)
    (tmp_path / "ours").mkdir()  # of the same name, on another disk
    assert job.where_its_folder_is(asked, ours) == replace(asked, keeping=None)


@pytest.mark.slow
def test_a_stack_whose_process_dies_twice_fails_with_a_reason_and_the_others_train(two_processes):
    first, lost, last = run_on(two_processes, [STACKS[1], [deadly_trial()], STACKS[2]])
    assert_bit_equal([first, last], run_here([STACKS[1], STACKS[2]]))
    (member,) = lost
    assert member.failure is not None
    assert "died 2 times (exit code -9)" in member.failure
    assert "try a smaller engine.memory_gb" in member.failure
