"""Trains the trials of one table, stack by stack, and records each as soon as its stack has ended."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import run_stacks
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
    started = time.time()
    stacks = [[trials[index] for index in stack.trials] for stack in plan.stacks]
    for place, members in enumerate(run_stacks(stacks, prepared, task)):
        indices = plan.stacks[place].trials
        period = Period(started, time.time())
        records = [
            trial_record(
                trials[index],
                result,
                swept=swept,
                tags={**tags, "stack": str(place), "member": str(member)},
                period=period,
                prepared=prepared,
                task=task,
            )
            for member, (index, result) in enumerate(zip(indices, members, strict=True))
        ]
        written = recorder.record(records)
        for member, (index, result) in enumerate(zip(indices, members, strict=True)):
            results[index], run_ids[index] = result, (written, member)
        tell(_stack_line(place, members, seconds=period.ended - period.started))
        started = period.ended
    return [
        TrialOutcome(trial, trial_name(trial, swept), results[index], run_ids[index][0].result()[run_ids[index][1]])
        for index, trial in enumerate(trials)
    ]


def _stack_line(place: int, members: Sequence[MemberResult], *, seconds: float) -> str:
    epochs = sorted({member.epochs for member in members})
    spread = f"{epochs[0]} to {epochs[-1]} epochs" if len(epochs) > 1 else f"{epochs[0]} epochs"
    failed = sum(member.failure is not None for member in members)
    diverged = f", {failed} diverged" if failed else ""
    return f"  stack {place}: trained for {spread}{diverged} in {seconds:.1f} s"
