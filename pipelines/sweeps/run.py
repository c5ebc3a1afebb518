"""Trains the trials of one table, stack by stack, and records each as soon as its stack has ended."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine, StackJob
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.records import Period, swept_names, trial_name, trial_record
from pipelines.tasks.task import Task
from pipelines.tracking.recorder import Recorder
from pipelines.training import MemberResult


@dataclass(frozen=True)
class TrialOutcome:
    """A trial when its stack has ended.

    Attributes:
        trial: its configuration.
        name: of its run.
        result: what training left.
        run_id: of its run.
    """

    trial: TrialConfig
    name: str
    result: MemberResult
    run_id: str


def train_trials(
    trials: Sequence[TrialConfig],
    plan: Plan,
    *,
    engine: Engine,
    prepared: PreparedTable,
    task: Task,
    recorder: Recorder,
    tags: Mapping[str, str],
    tell: Callable[[str], None],
) -> list[TrialOutcome]:
    """Train every stack of the plan.

    Args:
        trials: on one table.
        plan: of these trials.
        engine: trains its stacks.
        prepared: the table.
        task: what is predicted.
        recorder: gets one run a trial.
        tags: of every run.
        tell: called with a line when a stack has ended.

    Returns:
        One outcome a trial, in their order.
    """
    swept = swept_names(trials)
    results: dict[int, MemberResult] = {}
    run_ids: dict[int, tuple[Future[list[str]], int]] = {}
    jobs = [StackJob(place, [trials[index] for index in stack.trials]) for place, stack in enumerate(plan.stacks)]
    for done in engine.run(jobs, prepared, task):
        indices = plan.stacks[done.number].trials
        members = [done.state.results[place] for place in range(len(indices))]
        now = time.time()
        records = [
            trial_record(
                trials[index],
                result,
                swept=swept,
                tags={**tags, "stack": str(done.number), "member": str(member)},
                period=Period(now - done.seconds, now),
                prepared=prepared,
                task=task,
            )
            for member, (index, result) in enumerate(zip(indices, members, strict=True))
        ]
        written = recorder.record(records)
        for member, (index, result) in enumerate(zip(indices, members, strict=True)):
            results[index], run_ids[index] = result, (written, member)
        tell(_stack_line(done.number, members, seconds=done.seconds))
    return [
        TrialOutcome(trial, trial_name(trial, swept), results[index], run_ids[index][0].result()[run_ids[index][1]])
        for index, trial in enumerate(trials)
    ]


def _stack_line(place: int, members: Sequence[MemberResult], *, seconds: float) -> str:
    epochs = sorted({member.epochs for member in members})
    spread = f"{epochs[0]} to {epochs[-1]} epochs" if len(epochs) > 1 else f"{epochs[0]} epochs"
    n_failed = sum(member.failure is not None for member in members)
    failed = f", {n_failed} failed" if n_failed else ""
    return f"  stack {place}: trained for {spread}{failed} in {seconds:.1f} s"
