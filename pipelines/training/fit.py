"""`train_stack`: the one call that trains a stack, from any epoch to any other; `fit` trains it to the end.

A single trial is a stack of one; there is no second path.
"""

import logging
import signal
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext

import pytorch_lightning as pl
import torch

from pipelines.config.schema import TrainerConfig, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.models import StackedNet, build_net, input_facts, weights_dtype
from pipelines.stack.layers import draw_weights_
from pipelines.stack.randomness import Purpose, Streams, stream_generator
from pipelines.tasks.task import Task
from pipelines.training.batches import StreamBatches, fold_places, to_device
from pipelines.training.checkpoint import Checkpoint
from pipelines.training.device import check_device, device_here
from pipelines.training.folds import MemberFolds
from pipelines.training.held_out import HeldOutBatches, hold_out
from pipelines.training.members import StackMembers
from pipelines.training.memory import keep_freed_memory
from pipelines.training.module import StackModule
from pipelines.training.progress import Progress
from pipelines.training.result import MemberResult
from pipelines.training.state import StackState, count_folds, untrained

VALIDATION_BATCH_ROWS = 1024


def fit(trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task) -> list[MemberResult]:
    """Train trials of one architecture at the same time, to the end.

    Args:
        trials: they may differ in what the schema declares per member alone.
        prepared: the table; trained on its training part, stopped and scored on its validation part.
        task: what is predicted; the trials say by which loss.

    Returns:
        What every member left: one a trial in the order given, or with folds one a fold of each. A member that
        diverged has a `failure` instead of weights.

    Raises:
        ValueError: there are no trials, they are not of one architecture, or the table is of other folds.
        UserError: the accelerator is not there.
    """
    state = train_stack(trials, prepared, task)
    return [state.results[number] for number in range(len(state.results))]


def train_stack(
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    *,
    state: StackState | None = None,
    ended: Collection[int] = (),
    until_epoch: int | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    device: torch.device | None = None,
) -> StackState:
    """Train a stack from one epoch to another; `fit` says what the first three arguments are.

    Args:
        trials: of one architecture.
        prepared: the table.
        task: what is predicted.
        state: where to go on; None to begin.
        ended: places of trials that train no further, whatever they might have become.
        until_epoch: pause after so many epochs; None trains every member to its own end.
        checkpoint: where the stack is kept on the way.
        progress: told of every epoch.
        device: where to train; None: what the trials' accelerator means here.

    Returns:
        The stack when it paused; without members once all have ended.

    Raises:
        ValueError: there are no trials, they are not of one architecture, the table is of other folds than they, or
            `until_epoch` is past already.
        UserError: the device is not there or lacks the precision, or the trials' loss does not belong to the task.
    """
    _check_one_architecture(trials)
    task = task.learned_by(trials[0].task)
    if len(prepared.folds) != trials[0].data.folds:
        raise ValueError(f"Trials of {trials[0].data.folds} folds need a table of as many, got {len(prepared.folds)}.")
    if device is None:
        check_device(trials[0].trainer)
        device = device_here(trials[0].trainer.accelerator)
    state = state or untrained(trials)
    if until_epoch is not None and until_epoch <= state.epoch:
        raise ValueError(f"The stack has trained {state.epoch} epochs already, got until_epoch={until_epoch}.")
    keep_freed_memory()
    with _quiet_lightning():
        n_epochs = _last_epoch(trials, state, until_epoch) - state.epoch
        trainer = _trainer(trials[0].trainer, device, max_epochs=n_epochs)
        module, batches, validation = _assemble(
            trials,
            prepared,
            task,
            state=state,
            checkpoint=checkpoint,
            progress=progress,
            device=trainer.strategy.root_device,
        )
        module.end(ended)
        if module.n_training and n_epochs:
            with _interrupts_raised(), closing(progress) if progress else nullcontext():
                trainer.fit(module, batches, validation)
        return module.state()


def _assemble(
    trials: Sequence[TrialConfig],
    prepared: PreparedTable,
    task: Task,
    *,
    state: StackState,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
    device: torch.device,
) -> tuple[StackModule, StreamBatches, HeldOutBatches]:
    """The stack as it was, and what it reads."""
    n_folds = count_folds(trials[0])
    members = [trials[number // n_folds] for number in state.members]
    settings = trials[0].trainer
    dtype = weights_dtype(settings)
    train = to_device(prepared.train, task=task, dtype=dtype, device=device)
    # With folds the validation part is the training part, row for row.
    validation = train if prepared.folds else to_device(prepared.validation, task=task, dtype=dtype, device=device)
    folds = MemberFolds(
        [number % n_folds for number in state.members],
        [trial.task.class_weights == "balanced" for trial in members],
        task=task,
        dtype=dtype,
        device=device,
    )
    held_out = hold_out(prepared, validation, folds=folds, task=task, device=device)
    streams = Streams([trial.seed for trial in members], device=device)
    batches = StreamBatches(
        train,
        fold_places(prepared, device=device),
        folds=folds,
        streams=streams,
        batch_size=settings.batch_size,
        first_epoch=state.epoch,
    )
    module = StackModule(
        _net(members, folds.places, prepared, task, state=state, dtype=dtype),
        members,
        task=task,
        members=StackMembers(state, task=task, held_out=held_out, device=device),
        streams=streams,
        folds=folds,
        held_out=held_out,
        steps_per_epoch=batches.n_steps,
        dtype=dtype,
        start=state,
        checkpoint=checkpoint,
        progress=progress,
    )
    return module, batches, held_out.batches(batch_size=VALIDATION_BATCH_ROWS)


def _net(
    members: Sequence[TrialConfig],
    folds: Sequence[int],
    prepared: PreparedTable,
    task: Task,
    *,
    state: StackState,
    dtype: torch.dtype,
) -> StackedNet:
    """The net of these members, with the weights of the state or, before the first epoch, with drawn ones."""
    net = build_net(
        [trial.model for trial in members],
        inputs=input_facts(prepared).of_members(folds),
        n_outputs=task.n_outputs,
    )
    if state.epoch == 0:
        draw_weights_(net, [stream_generator(trial.seed, Purpose.WEIGHTS) for trial in members])
        return net.to(dtype)
    net.to(dtype).load_state_dict(dict(state.weights))
    return net


def _last_epoch(trials: Sequence[TrialConfig], state: StackState, until_epoch: int | None) -> int:
    n_folds = count_folds(trials[0])
    longest = max((trials[number // n_folds].trainer.max_epochs for number in state.members), default=state.epoch)
    return longest if until_epoch is None else min(longest, until_epoch)


def _check_one_architecture(trials: Sequence[TrialConfig]) -> None:
    if not trials:
        raise ValueError("A stack needs at least one trial, got trials=[].")
    architectures = [without(trial, "member", "sweep") for trial in trials]
    for place, architecture in enumerate(architectures):
        if architecture != architectures[0]:
            raise ValueError(
                f"Trials 0 and {place} cannot share a stack: {architectures[0]} and {architecture} differ."
            )


def _trainer(settings: TrainerConfig, device: torch.device, *, max_epochs: int) -> pl.Trainer:
    # Barebones: no logger, checkpoints, bars or sanity steps; a stack has its own.
    return pl.Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision=settings.precision,
        max_epochs=max_epochs,
        barebones=True,
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's lines about devices and its advice about loaders: batches are tensors already."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _interrupts_raised() -> Iterator[None]:
    """Let an interrupt be one: Lightning answers it with `exit(1)` and leaves Ctrl-C ignored from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(interrupt := stop.__context__, KeyboardInterrupt):
            raise interrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
