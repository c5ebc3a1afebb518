"""Trials to stacks: trials of one architecture train together, as many at once as the memory budget allows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch

from pipelines.config.schema import TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.models import build_net
from pipelines.stack.layers import StackedLinear
from pipelines.tasks.task import Task
from pipelines.training.fit import VALIDATION_BATCH_ROWS

GIBIBYTE = 2**30
# Weights, gradients, two moments, the best copy and one temporary.
COPIES_OF_A_PARAMETER = 6
# A layer's output, what activation and dropout keep of it, and their gradients.
COPIES_OF_AN_ACTIVATION = 6


@dataclass(frozen=True)
class PlannedStack:
    """Trials that train together.

    Attributes:
        trials: their indices in the sweep, ascending.
        n_parameters: of one member.
        memory_bytes: estimated, of the whole stack.
        work: parameters times rows times epochs, of the whole stack: orders stacks by how long they take.
    """

    trials: tuple[int, ...]
    n_parameters: int
    memory_bytes: int
    work: int


@dataclass(frozen=True)
class Plan:
    """The stacks of a sweep or of one batch of it, the longest first.

    Attributes:
        stacks: in the order in which they train.
        first_number: of the first stack; the others follow.
    """

    stacks: tuple[PlannedStack, ...]
    first_number: int = 0

    def __str__(self) -> str:
        n_trials = sum(len(stack.trials) for stack in self.stacks)
        lines = [f"Plan: {_counted(n_trials, 'trial')} in {_counted(len(self.stacks), 'stack')}"]
        lines += [
            f"  stack {number}: {_counted(len(stack.trials), 'member')} x {stack.n_parameters:,} parameters, "
            f"about {stack.memory_bytes / 2**20:,.0f} MiB"
            for number, stack in enumerate(self.stacks, start=self.first_number)
        ]
        return "\n".join(lines)


def plan_stacks(
    trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task, *, budget_bytes: int, first_number: int = 0
) -> Plan:
    """Group trials by architecture and split groups that exceed the budget.

    Args:
        trials: on one table and task.
        prepared: the table.
        task: what is predicted.
        budget_bytes: memory that one stack may take; a stack of one is planned even above it.
        first_number: of the first stack; earlier batches of the sweep have those below.
    """
    groups: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        groups.setdefault(json.dumps(without(trial, "member", "sweep"), sort_keys=True), []).append(index)
    stacks = []
    for indices in groups.values():
        n_parameters, member_bytes = _member_cost(trials[indices[0]], prepared, task)
        n_members = max(1, budget_bytes // member_bytes)
        for start in range(0, len(indices), n_members):
            own = tuple(indices[start : start + n_members])
            epochs = sum(trials[index].trainer.max_epochs for index in own)
            work = n_parameters * len(prepared.train.rows) * epochs
            stacks.append(PlannedStack(own, n_parameters, member_bytes * len(own), work))
    return Plan(tuple(sorted(stacks, key=lambda stack: -stack.work)), first_number)


def memory_budget_bytes(trial: TrialConfig) -> int:
    """What `engine.memory_gb` says, or half of the memory that is free on the device a stack will train on."""
    if trial.engine.memory_gb is not None:
        return int(trial.engine.memory_gb * GIBIBYTE)
    if trial.trainer.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        free_bytes, _ = torch.cuda.mem_get_info()
        return free_bytes // 2
    return int(psutil.virtual_memory().available) // 2


def _member_cost(trial: TrialConfig, prepared: PreparedTable, task: Task) -> tuple[int, int]:
    """Parameters of one member, and the bytes it adds to a stack."""
    with torch.device("meta"):
        net = build_net(
            [trial.model],
            n_numbers=prepared.encoder.n_numbers,
            cardinalities=prepared.encoder.cardinalities,
            n_outputs=task.n_outputs,
        )
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    widths = [layer.weight.shape[1] for layer in net.modules() if isinstance(layer, StackedLinear)]
    n_rows = len(prepared.validation.rows)
    activations = max(
        COPIES_OF_AN_ACTIVATION * trial.trainer.batch_size * sum(widths),
        # In evaluation a layer's input, its output and the activation's are alive at once.
        3 * min(n_rows, VALIDATION_BATCH_ROWS) * max(widths),
    )
    # The outputs, predictions and best predictions of the whole validation part.
    predictions = n_rows * (2 * task.n_outputs + 2 * task.n_predictions)
    item_bytes = 8 if trial.trainer.precision == "64-true" else 4
    return n_parameters, item_bytes * (COPIES_OF_A_PARAMETER * n_parameters + activations + predictions)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
