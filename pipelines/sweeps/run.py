"""Trains the trials of one table, stack by stack, and records each as soon as its stack has ended.

Training goes from rung to rung of `halving`; without it there is one stretch. What an earlier run of the same sweep
left in its folder is not trained again. A stack that finds too little memory goes on as two.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.config.schema import TrialConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import DoneJob, StackJob
from pipelines.errors import writing
from pipelines.sweeps.folder import KeptStack, SweepFolder
from pipelines.sweeps.halving import losers, rungs
from pipelines.sweeps.plan import Plan, counted
from pipelines.sweeps.records import Period, trial_record
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.trial_names import trial_name
from pipelines.sweeps.trial_result import TrialResult, trial_result
from pipelines.tracking.view import RUN_COLOR, run_color
from pipelines.training import ROOM_FOR_CHECKPOINTS, StackState, state_of_trials
from pipelines.whole import written_whole


@dataclass(frozen=True)
class TrialOutcome:
    """A trial when its stack has ended.

    Attributes:
        trial: its configuration.
        identity: of it, wherever and whenever it is trained.
        name: of its run.
        result: what it left.
        recorded: ids of the runs of its stack, once they are written.
        member: which of them is its own.
    """

    trial: TrialConfig
    identity: str
    name: str
    result: TrialResult
    recorded: Future[list[str]]
    member: int

    @property
    def run_id(self) -> str:
        """Of its run; waits until it is written.

        Raises:
            UserError: one of its stack could not be.
        """
        return self.recorded.result()[self.member]


@dataclass
class _Stack:
    """A stack on its way.

    Attributes:
        number: in the sweep.
        places: of its trials in the sweep.
        state: how far it is; None when it has not begun.
        seconds: that it took.
        lost: members, by number, that its engine lost.
        traceback: where that of the error is which it raised.
    """

    number: int
    places: tuple[int, ...]
    state: StackState | None
    seconds: float = 0.0
    lost: frozenset[int] = frozenset()
    traceback: Path | None = None

    def trains_before(self, epoch: int | None) -> bool:
        """Whether there is something to train up to this epoch, or at all."""
        if self.state is None:
            return True
        return bool(self.state.members) and (epoch is None or self.state.epoch < epoch)

    def numbers(self, state: StackState) -> Iterator[range]:
        """Of the members of each trial: one, or one a fold."""
        n_folds = len(state.curves) // len(self.places)
        for trial in range(len(self.places)):
            yield range(trial * n_folds, (trial + 1) * n_folds)

    @property
    def training(self) -> list[int]:
        """Which of its trials still train, in their order: all of a stack that has not begun."""
        if self.state is None:
            return list(range(len(self.places)))
        members = set(self.state.members)
        return [trial for trial, numbers in enumerate(self.numbers(self.state)) if not members.isdisjoint(numbers)]

    @property
    def curves(self) -> Iterator[Sequence[Mapping[str, Sequence[float]]]]:
        """What the members of each trial have shown."""
        if self.state is not None:
            for numbers in self.numbers(self.state):
                yield [self.state.curves[number] for number in numbers]

    def take_in(self, done: DoneJob, folder: SweepFolder) -> None:
        """What a stretch has brought."""
        self.state = done.state
        self.seconds += done.seconds
        self.lost = done.lost
        if done.traceback:
            self.traceback = folder.path / f"stack-{self.number}.traceback"
            with writing(self.traceback, otherwise=ROOM_FOR_CHECKPOINTS), written_whole(self.traceback) as file:
                file.write(done.traceback.encode())

    def halves(self, trials: Sequence[TrialConfig], new_number: Callable[[], int]) -> "list[_Stack]":
        """Its trials as two stacks that go on from where it was, each with half of those that train; none of one."""
        training = self.training
        if len(training) < 2:  # noqa: PLR2004  that is what halves are
            return []
        second = training[(len(training) + 1) // 2 :]
        first = [place for place in range(len(self.places)) if place not in second]
        configs = [trials[place] for place in self.places]
        return [
            _Stack(
                new_number(),
                tuple(self.places[place] for place in half),
                None if self.state is None else state_of_trials(self.state, configs, half),
                self.seconds,
            )
            for half in (first, second)
        ]

    def results(self, prepared: PreparedTable) -> Iterator[TrialResult]:
        """What every trial left; the stack must have ended."""
        if self.state is not None:
            for numbers in self.numbers(self.state):
                result = trial_result([self.state.results[number] for number in numbers], prepared)
                yield replace(result, is_lost=not self.lost.isdisjoint(numbers))


def train_trials(
    trials: Mapping[str, TrialConfig],
    plan: Plan,
    setup: TableSetup,
    *,
    n_before: int,
    kept: Sequence[KeptStack],
    swept: Sequence[str],
    new_number: Callable[[], int],
    tell: Callable[[str], None],
) -> list[TrialOutcome]:
    """Train every stack to its end.

    Args:
        trials: by their identities.
        plan: of those that no kept stack has, in their order.
        setup: their table, and where they are trained, kept and recorded.
        n_before: trials of the sweep's earlier batches.
        kept: stacks of these trials that an earlier run left.
        swept: names of the parameters that differ between the sweep's trials.
        new_number: of a stack that is not planned.
        tell: called with a line when a stack has ended, or is divided.

    Returns:
        One outcome a trial, in their order; their runs may still be on their way.
    """
    identities, configs = list(trials), list(trials.values())
    stacks = _stacks(plan, identities, kept, tell=tell)
    results: dict[int, TrialResult] = {}
    recorded: dict[int, tuple[Future[list[str]], int]] = {}

    def record(stack: _Stack) -> None:
        now = time.time()
        results.update(zip(stack.places, stack.results(setup.prepared), strict=True))
        records = [
            trial_record(
                configs[place],
                results[place],
                identity=identities[place],
                swept=swept,
                tags={
                    **setup.tags,
                    "stack": str(stack.number),
                    "member": str(member),
                    RUN_COLOR: run_color(n_before + place),
                },
                period=Period(now - stack.seconds, now),
                prepared=setup.prepared,
                task=setup.task,
            )
            for member, place in enumerate(stack.places)
        ]
        future = setup.recorder.record(records)
        recorded.update({place: (future, member) for member, place in enumerate(stack.places)})

    for stack in stacks:
        if not stack.trains_before(None):
            record(stack)
    for stack in _train(stacks, trials, setup, new_number=new_number, tell=tell):
        record(stack)
        tell(_stack_line(stack, [results[place] for place in stack.places]))
    return [
        TrialOutcome(trial, identity, trial_name(trial, swept), results[place], *recorded[place])
        for place, (identity, trial) in enumerate(trials.items())
    ]


def _stacks(
    plan: Plan, identities: Sequence[str], kept: Sequence[KeptStack], *, tell: Callable[[str], None]
) -> list[_Stack]:
    """The stacks that an earlier run left, as they were, and those of the plan."""
    place_of = {identity: place for place, identity in enumerate(identities)}
    stacks = [
        _Stack(stack.number, tuple(place_of[identity] for identity in stack.trials), stack.state) for stack in kept
    ]
    if stacks:
        n_training = sum(len(stack.training) for stack in stacks)
        n_ended = sum(len(stack.places) for stack in stacks) - n_training
        ended, training = counted(n_ended, "trial"), "was" if n_training == 1 else "were"
        tell(f"  going on with an earlier run of this sweep: {ended} had ended, {n_training} {training} in training")
    known = {place for stack in stacks for place in stack.places}
    new = [place for place in range(len(identities)) if place not in known]
    for number, planned in enumerate(plan.stacks, start=plan.first_number):
        stacks.append(_Stack(number, tuple(new[trial] for trial in planned.trials), None))
    return stacks


def _train(
    stacks: list[_Stack],
    trials: Mapping[str, TrialConfig],
    setup: TableSetup,
    *,
    new_number: Callable[[], int],
    tell: Callable[[str], None],
) -> Iterator[_Stack]:
    """Train all stacks from rung to rung; yield each when its last trial has ended. `stacks` gets those divided."""
    ended: set[int] = set()
    named, configs = list(trials.items()), list(trials.values())
    pauses = rungs(configs)
    for rung, until in zip([None, *pauses], [*pauses, None], strict=True):
        if rung is not None:
            ended |= losers(rung, configs, _curves(stacks, len(trials)), setup.task)
        waiting = {stack.number: stack for stack in stacks if stack.trains_before(until)}
        while waiting:
            jobs = [_job(stack, named, setup.folder, ended=ended, until=until) for stack in waiting.values()]
            divided: dict[int, _Stack] = {}
            for done in setup.engine.run(jobs, setup.prepared, setup.task):
                stack = waiting[done.number]
                if done.is_too_large and (halves := stack.halves(configs, new_number)):
                    tell(_division_line(stack, halves))
                    setup.folder.forget(stack.number)
                    stacks[:] = [other for other in stacks if other is not stack] + halves
                    divided |= {half.number: half for half in halves}
                    continue
                stack.take_in(done, setup.folder)
                if not done.state.members:
                    yield stack
            waiting = divided


def _job(
    stack: _Stack,
    trials: Sequence[tuple[str, TrialConfig]],
    folder: SweepFolder,
    *,
    ended: Collection[int],
    until: int | None,
) -> StackJob:
    """Of a stack and all trials, each with its identity."""
    identities, configs = zip(*(trials[place] for place in stack.places), strict=True)
    return StackJob(
        stack.number,
        configs,
        state=stack.state,
        ended=frozenset(member for member, place in enumerate(stack.places) if place in ended),
        until_epoch=until,
        keeping=folder.keeping(
            stack.number,
            identities,
            every_seconds=configs[0].tracking.checkpoint_seconds,
        ),
        shows_progress=configs[0].trainer.progress and sys.stderr.isatty(),
    )


def _curves(stacks: Sequence[_Stack], n_trials: int) -> list[Sequence[Mapping[str, Sequence[float]]]]:
    """Of the members of each trial."""
    curves: list[Sequence[Mapping[str, Sequence[float]]]] = [[] for _ in range(n_trials)]
    for stack in stacks:
        for place, of_trial in zip(stack.places, stack.curves, strict=False):  # none of a stack that has not begun
            curves[place] = of_trial
    return curves


def _division_line(stack: _Stack, halves: Sequence[_Stack]) -> str:
    numbers = " and ".join(str(half.number) for half in halves)
    sizes = " and ".join(counted(len(half.places), "trial") for half in halves)
    n_trials = len(stack.places)
    return f"  stack {stack.number}: out of memory with {n_trials} trials; again as stacks {numbers}, of {sizes}"


def _stack_line(stack: _Stack, results: Sequence[TrialResult]) -> str:
    epochs = sorted({member.epochs for result in results for member in result.members})
    spread = f"{epochs[0]} to {epochs[-1]} epochs" if len(epochs) > 1 else counted(epochs[0], "epoch")
    lost = sum(result.is_lost for result in results)
    diverged = sum(result.failure is not None for result in results) - lost
    ways = ((diverged, "diverged"), (lost, "lost" if stack.traceback is None else "failed"))
    failed = "".join(f", {count} {how}" for count, how in ways if count)
    line = f"  stack {stack.number}: trained for {spread}{failed} in {stack.seconds:.1f} s"
    if stack.traceback is None:
        return line
    reason = next(result.failure for result in results if result.failure and result.is_lost).removesuffix(".")
    return f"{line}\n    {reason}. The traceback is in {stack.traceback}."
