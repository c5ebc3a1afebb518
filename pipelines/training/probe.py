"""What a stack costs on this device, found out by training small ones for an epoch: bytes, and seconds by `timing`.

A stack's memory at any one place of the code is a fixed part and a part a member, but where it is largest changes with
the number of members. So the peak of every function is measured on its own (`tensor_memory`), and a larger stack's is
the largest of them all.
"""

import dataclasses
import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils._pytree import tree_leaves

from pipelines.config.schema import CustomConfig, LinearConfig, ModelConfig, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.garbage import only_new_garbage
from pipelines.models import build_net, input_facts
from pipelines.tasks.task import Task
from pipelines.training.device import Place, computing_with, place_here
from pipelines.training.fit import train_stack
from pipelines.training.state import dropout_rate
from pipelines.training.tensor_memory import TensorMemory
from pipelines.training.timing import Timing, first_rows, rows_of_an_epoch, seconds_of, time_stacks, unlearning

SMALL, LARGE = 2, 4  # members; a stack of one takes shorter ways in places
FEW, MANY = 1, 4  # batches
MARGIN = 1.3  # for what kernels take for a moment

Point = tuple[int, int]  # members, training rows


@dataclass(frozen=True)
class StackCost:
    """What a stack costs by its number of trials; "member" means all folds of a trial here, which stay together.

    Attributes:
        n_parameters: of one member.
        peaks: bytes, (fixed, a member), of every place of the code.
        timings: of stacks of ascending size.
    """

    n_parameters: int
    peaks: tuple[tuple[float, float], ...]
    timings: tuple[Timing, ...]

    def memory_bytes(self, n_members: int) -> int:
        """The most that a stack of so many members holds at once."""
        return math.ceil(MARGIN * max(fixed + per_member * n_members for fixed, per_member in self.peaks))

    def seconds(self, epochs: Sequence[int]) -> float:
        """How long a stack takes whose members train for so many epochs each, about."""
        return seconds_of(self.timings, epochs)

    def most_members(self, budget_bytes: int, n_members: int) -> int:
        """How many members, at most `n_members`, fit into the budget; one even if it does not."""
        budget = budget_bytes / MARGIN
        fitting = [(budget - fixed) / per_member for fixed, per_member in self.peaks if per_member > 0]
        most = int(max(1, min([*fitting, n_members])))
        while most > 1 and self.memory_bytes(most) > budget_bytes:  # rounding
            most -= 1
        return most


def probe_stack(
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    *,
    budget_bytes: int,
    place: Place | None = None,
) -> StackCost:
    """Measure what a stack of these trials costs.

    Args:
        trials: of one architecture.
        prepared: the table; a few batches of its training part are trained on, and its whole validation part scored.
        task: what is predicted.
        budget_bytes: the probe itself stays below it if two members do.
        place: where to measure; None: in this process, on what the trials' accelerator means here.
    """
    place = place or place_here(trials[0].trainer.accelerator)
    peaks_at = partial(_peaks, trials=trials, prepared=prepared, task=task, device=place.device)
    small, large = _sizes(len(trials))
    whole = rows_of_an_epoch(prepared)
    few, many = (min(n * trials[0].trainer.batch_size, whole) for n in (FEW, MANY))
    few = many if many == whole else few  # nothing more is to be found out
    with only_new_garbage(), computing_with(place.n_threads):
        at_small = {model: peaks_at(model, (small, few)) for model in _models(trials)}
        model = max(at_small, key=lambda model: max(at_small[model].values()))
        if large > SMALL and max(at_small[model].values()) * large > budget_bytes * small:
            small, large = 1, 2
        points = sorted({(n_members, n_rows) for n_members in (small, large) for n_rows in (few, many)})
        known = {(_sizes(len(trials))[0], few): at_small[model]}
        peaks = {point: known.get(point) or peaks_at(model, point) for point in points}
        names = sorted({name for at_point in peaks.values() for name in at_point})
        of_functions = [{point: peaks[point].get(name, 0.0) for point in points} for name in names]
        lines = tuple(_line(values, n_rows=whole) for values in of_functions)
        untimed = StackCost(_count_parameters(model, prepared, task), lines, timings=())
        most = untimed.most_members(budget_bytes, len(trials))
        timings = time_stacks(trials, prepared, task, most=most, device=place.device)
    return dataclasses.replace(untimed, timings=tuple(timings))


def variety(trials: Sequence[TrialConfig]) -> tuple[object, ...]:
    """What of the differences between trials of one architecture the cost of their stack depends on."""
    kinds = sorted({trial.optimizer.kind for trial in trials})
    rates = {dropout_rate(trial) for trial in trials}
    return kinds, len({trial.seed for trial in trials}) > 1, len(rates) > 1, max(rates) > 0


def _sizes(n_trials: int) -> tuple[int, int]:
    """How many members the two probes have: never more than there are trials, if that can be."""
    if n_trials == 1:
        return 1, 1
    return (1, 2) if n_trials == SMALL else (SMALL, LARGE)


def _models(trials: Sequence[TrialConfig]) -> list[TrialConfig]:
    """One trial a kind of optimizer, the one with the most that is switched on: state and work depend on these."""
    most: dict[str, TrialConfig] = {}
    for trial in trials:
        known = most.get(trial.optimizer.kind)
        if known is None or _count_switched_on(trial) > _count_switched_on(known):
            most[trial.optimizer.kind] = trial
    return list(most.values())


def _count_switched_on(trial: TrialConfig) -> int:
    return sum(bool(value) for value in tree_leaves(without(dataclasses.replace(trial, seed=0), "sweep")))


def _members(model: TrialConfig, trials: Sequence[TrialConfig], n_members: int) -> list[TrialConfig]:
    """Members like the model; with streams, and rates of dropout, of their own if the trials have several."""
    alike = unlearning(model, n_epochs=2)
    seeds, rates = {trial.seed for trial in trials}, {dropout_rate(trial) for trial in trials}
    return [
        dataclasses.replace(
            alike,
            seed=alike.seed + (place if len(seeds) > 1 else 0),
            model=_with_rate(alike.model, max(rates) * (place + 1) / n_members) if len(rates) > 1 else alike.model,
        )
        for place in range(n_members)
    ]


def _with_rate(model: ModelConfig, rate: float) -> ModelConfig:
    return model if isinstance(model, LinearConfig | CustomConfig) else dataclasses.replace(model, dropout=rate)


def _line(values: Mapping[Point, float], *, n_rows: int) -> tuple[float, float]:
    """The fixed part and the part a member, for the whole training part."""
    sizes = sorted({n_members for n_members, _ in values})
    portions = sorted({rows for _, rows in values})

    def at(n_members: int) -> float:
        few, many = portions[0], portions[-1]
        least, most = values[n_members, few], values[n_members, many]
        if few == many:
            return least
        return most + max(0.0, most - least) / (many - few) * (n_rows - many)

    small, large = sizes[0], sizes[-1]
    if small == large:
        return at(small), 0.0
    per_member = max(0.0, at(large) - at(small)) / (large - small)
    return max(0.0, at(large) - per_member * large), per_member


def _peaks(
    model: TrialConfig,
    point: Point,
    *,
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    device: torch.device,
) -> dict[str, float]:
    """Bytes at most in every function, from the first step over a pause to the end."""
    members, prepared = _members(model, trials, point[0]), first_rows(prepared, point[1])
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device) if on_cuda else 0
    with TensorMemory(device.type) as memory:
        paused = train_stack(members, prepared, task, until_epoch=1, device=device)
        gc.collect()  # Lightning's objects hold each other, and with them the stack: the next one would be beside it
        if paused.members:  # of a net that gives no numbers none is left
            train_stack(members, prepared, task, state=paused, device=device)
    gc.collect()
    overhead = 0
    if on_cuda:  # workspaces of kernels, and what is rounded up
        overhead = max(0, torch.cuda.max_memory_allocated(device) - before - max(memory.peaks.values()))
        torch.cuda.empty_cache()
    return {name: float(peak + overhead) for name, peak in memory.peaks.items()}


def _count_parameters(trial: TrialConfig, prepared: PreparedTable, task: Task) -> int:
    with torch.device("meta"):
        net = build_net(
            [trial.model],
            inputs=input_facts(prepared).of_members([0]),
            n_outputs=task.n_outputs,
        )
    return sum(parameter.numel() for parameter in net.parameters())
