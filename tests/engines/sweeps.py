"""Stacks to run on every engine, and what equal results are."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from pipelines.config.schema import RayEngineConfig, TrainerConfig, TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine, Keeping, StackJob
from pipelines.engines.local import ThisProcess
from pipelines.tasks.task import Task
from pipelines.training import MemberResult, StackState, load_state
from tests.tables import custom, mlp, small_table, trial

STACKS = [
    [trial(seed=seed, model=mlp(hidden, dropout=0.2), max_epochs=epochs) for seed in (0, 1)]
    for hidden, epochs in [((6, 5), 6), ((4,), 2), ((3,), 4), ((7,), 3)]
]
TRAINER_ON_RAY = TrainerConfig(max_epochs=1, batch_size=8, accelerator="cpu", precision="64-true", progress=False)


def on_ray(**changes) -> RayEngineConfig:
    fields = {"address": None, "cpus_per_stack": 1, "gpus_per_stack": 0.0, "retries": 3, "memory_gb": None}
    return RayEngineConfig(kind="ray", **fields | changes)


@cache
def table() -> tuple[PreparedTable, Task]:
    """The same at every call: for another one an engine starts its processes anew, which takes seconds."""
    return small_table()


def run_on(engine: Engine, stacks=STACKS) -> list[Sequence[MemberResult]]:
    """The members of every stack, in the order of the stacks; each must come exactly once."""
    return in_order(engine.run(jobs_of(stacks), *table()), len(stacks))


def run_with_a_pause(engine: Engine, folder: Path) -> list[Sequence[MemberResult]]:
    """Stacks that are kept after an epoch and go on, the first without a member that is ended there."""
    jobs = [
        replace(job, until_epoch=1, keeping=Keeping(folder / f"{job.number}.pt", 0.0, {"number": job.number}))
        for job in jobs_of(STACKS)
    ]
    paused = {done.number: done.state for done in engine.run(jobs, *table())}
    assert [load_state(folder / f"{number}.pt")[1] for number in range(len(jobs))] == [job.keeping.note for job in jobs]
    rest = [
        replace(job, state=paused[job.number], until_epoch=None, ended=frozenset({1} if job.number == 0 else {}))
        for job in jobs
    ]
    return in_order(engine.run(rest, *table()), len(rest))


def jobs_of(stacks) -> list[StackJob]:
    """Each stack to its end."""
    return [StackJob(number, trials) for number, trials in enumerate(stacks)]


def in_order(ended, n_stacks: int) -> list[Sequence[MemberResult]]:
    """Results by the number of their stack."""
    states: dict[int, StackState] = {}
    for done in ended:
        assert done.number not in states, "a stack must end once"
        assert not done.state.members, "every member must have ended"
        states[done.number] = done.state
    return [
        [states[number].results[place] for place in range(len(states[number].results))] for number in range(n_stacks)
    ]


def run_here(stacks=STACKS) -> list[Sequence[MemberResult]]:
    return run_on(ThisProcess(), stacks)


def assert_bit_equal(results, expected) -> None:
    assert len(results) == len(expected)
    for members, expected_members in zip(results, expected, strict=True):
        assert len(members) == len(expected_members)
        for member, other in zip(members, expected_members, strict=True):
            assert member.failure is None
            assert member.curves == other.curves
            assert member.metrics == other.metrics
            assert member.weights.keys() == other.weights.keys()
            assert all(torch.equal(member.weights[name], other.weights[name]) for name in other.weights)
            assert (member.predictions == other.predictions).all()


class KillsItsProcess(TrialConfig):
    """A trial that ends the process it comes to, as the system does when memory is short."""

    def __reduce__(self):
        return _kill_this_process, ()


def _kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def deadly_trial(**changes) -> TrialConfig:
    """A trial that no process survives."""
    return KillsItsProcess(**vars(trial(**changes)))


def raising_trial(net: str = "Raising") -> TrialConfig:
    """A trial whose net raises an error when it trains."""
    return trial(model=custom(net, module="wrong_nets"))
