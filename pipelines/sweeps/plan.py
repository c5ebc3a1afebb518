"""Trials to stacks: trials of one architecture train together, as many at once as the memory budget allows."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.config.schema import EngineConfig, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.engines import Engine
from pipelines.sweeps.custom_nets import why_trained_alone
from pipelines.tasks.task import Task
from pipelines.training import Place, StackCost, probe_stack, rows_sitting_out, variety

GIBIBYTE = 2**30
FEWEST_TRIALS = 8  # in a stack that was divided so that more train side by side: smaller ones would gain little
WORTH_TELLING = 0.05  # of a fold's rows, sitting out
MINUTE, HOUR = 60, 3600

# What is known of each architecture, of how many trials: a search asks for the same ones again and again.
_costs: dict[str, tuple[int, StackCost]] = {}


@dataclass(frozen=True)
class PlannedStack:
    """Trials that train together.

    Attributes:
        trials: their indices in the sweep, ascending.
        n_parameters: of one member.
        memory_bytes: of the whole stack at its largest, as measured on small ones.
        seconds: that it takes, about, if no member ends early.
        n_folds: members that each trial is.
    """

    trials: tuple[int, ...]
    n_parameters: int
    memory_bytes: int
    seconds: float
    n_folds: int = 1

    @property
    def n_members(self) -> int:
        """All folds of all trials."""
        return len(self.trials) * self.n_folds


@dataclass(frozen=True)
class Plan:
    """The stacks of a sweep or of one batch of it, the longest first.

    Attributes:
        stacks: in the order in which they begin.
        n_side_by_side: how many train at a time.
        first_number: of the first stack; the others follow.
        notes: on nets that could not be stacked, and on folds of which many rows sit out, a line each.
    """

    stacks: tuple[PlannedStack, ...]
    n_side_by_side: int = 1
    first_number: int = 0
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long all stacks take, about, if no member ends early."""
        free_at = [0.0] * self.n_side_by_side
        for stack in self.stacks:
            free_at.sort()
            free_at[0] += stack.seconds
        return max(free_at)

    def __str__(self) -> str:
        n_trials = sum(len(stack.trials) for stack in self.stacks)
        beside = f", {self.n_side_by_side} side by side" if self.n_side_by_side > 1 else ""
        what = f"{counted(n_trials, 'trial')} in {counted(len(self.stacks), 'stack')}{beside}"
        lines = [f"Plan: {what}; about {_duration(self.seconds)} if none stops early"]
        lines += [
            f"  stack {number}: {counted(stack.n_members, 'member')} x {stack.n_parameters:,} parameters, "
            f"{math.ceil(stack.memory_bytes / 2**20):,} MiB, {_duration(stack.seconds)}"
            for number, stack in enumerate(self.stacks, start=self.first_number)
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def plan_stacks(
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    *,
    budget_bytes: int,
    n_side_by_side: int = 1,
    first_number: int = 0,
    place: Place | None = None,
) -> Plan:
    """Group trials by architecture; divide groups that exceed the budget, or that leave room for more at a time.

    A user's own net that cannot be stacked is planned in stacks of one.

    Which trials share a stack depends on nothing that is measured, as long as all of a group fit into the budget.

    Args:
        trials: on one table and task.
        prepared: the table.
        task: what is predicted.
        budget_bytes: memory that one stack may take; a stack of one is planned even above it.
        n_side_by_side: how many stacks train at a time.
        first_number: of the first stack; earlier batches of the sweep have those below.
        place: where to measure what stacks cost; None: in this process, on what the trials' accelerator means here.

    Raises:
        UserError: a user's own net cannot be trained or served as it is.
    """
    alone = [why_trained_alone(trial, prepared, task) for trial in trials]
    batch_sizes = sorted({trial.trainer.batch_size for trial in trials})
    notes = dict.fromkeys(why for why in alone if why is not None)
    notes |= dict.fromkeys(line for batch_size in batch_sizes for line in _sitting_out(prepared, batch_size))
    groups: dict[tuple[str, int | None], list[int]] = {}
    for index, (trial, why) in enumerate(zip(trials, alone, strict=True)):
        architecture = json.dumps(without(trial, "member", "sweep"), sort_keys=True)
        groups.setdefault((architecture, None if why is None else index), []).append(index)
    n_folds = max(1, len(prepared.folds))
    stacks = []
    for (architecture, _), indices in groups.items():
        alike = [trials[index] for index in indices]
        cost = _cost(architecture, alike, prepared, task, budget_bytes=budget_bytes, place=place)
        n_for_memory = math.ceil(len(alike) / cost.most_members(budget_bytes, len(alike)))
        n_for_speed = min(n_side_by_side // len(groups), len(alike) // FEWEST_TRIALS)
        for part in _even_parts(indices, max(1, n_for_memory, n_for_speed)):
            seconds = cost.seconds([trials[index].trainer.max_epochs for index in part])
            memory_bytes = cost.memory_bytes(len(part))
            stacks.append(PlannedStack(part, cost.n_parameters, memory_bytes, seconds, n_folds))
    longest_first = tuple(sorted(stacks, key=lambda stack: (-stack.seconds, stack.trials)))
    return Plan(longest_first, n_side_by_side, first_number, tuple(notes))


def _sitting_out(prepared: PreparedTable, batch_size: int) -> Iterator[str]:
    """A line where folds are so unequal that more than a few rows of one sit every epoch out."""
    sizes = [len(fold.train) for fold in prepared.folds]
    if not sizes:
        return
    shares = [n_rows / size for n_rows, size in zip(rows_sitting_out(sizes, batch_size), sizes, strict=True)]
    if max(shares) >= WORTH_TELLING:
        fold = shares.index(max(shares))
        yield (
            f"folds are unequal: of the {sizes[fold]:,} rows that fold {fold} trains on, {shares[fold]:.0%} sit each "
            f"epoch out, others every time, as the smallest has {min(sizes):,} and all take as many steps"
        )


def memory_budget_bytes(config: EngineConfig, engine: Engine) -> int:
    """What `engine.memory_gb` says, or half of what a stack finds free where it trains."""
    return engine.free_bytes() // 2 if config.memory_gb is None else int(config.memory_gb * GIBIBYTE)


def _cost(
    architecture: str,
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    *,
    budget_bytes: int,
    place: Place | None,
) -> StackCost:
    """Measure it, unless the same was measured before; of few trials it tells little of the time of many."""
    key = repr((architecture, place, prepared.table.fingerprint, variety(trials), min(len(trials), 3)))
    known = _costs.get(key)
    if known is None or len(trials) > 2 * known[0]:
        cost = probe_stack(trials, prepared, task, budget_bytes=budget_bytes, place=place)
        known = _costs[key] = len(trials), cost
    return known[1]


def _even_parts(indices: Sequence[int], n_parts: int) -> list[tuple[int, ...]]:
    edges = [len(indices) * part // n_parts for part in range(n_parts + 1)]
    return [tuple(indices[start:stop]) for start, stop in pairwise(edges)]


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def counted(count: int, noun: str) -> str:
    """`1 trial` or `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
