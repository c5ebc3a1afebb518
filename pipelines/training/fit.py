"""`fit`: the one call that trains a stack. A single trial is a stack of one; there is no second path."""

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytorch_lightning as pl
import torch

from pipelines.config.schema import TrainerConfig, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.models import build_net
from pipelines.stack.layers import draw_weights_
from pipelines.stack.randomness import Purpose, Streams, stream_generator
from pipelines.tasks.task import Task
from pipelines.training.batches import StreamBatches, WholeBatches, to_device
from pipelines.training.members import StackMembers
from pipelines.training.module import StackModule
from pipelines.training.result import MemberResult

VALIDATION_BATCH_ROWS = 4096


def fit(trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task) -> list[MemberResult]:
    """Train trials of one architecture at the same time.

    Args:
        trials: they may differ in what the schema declares per member alone.
        prepared: the table; trained on its training part, stopped and scored on its validation part.
        task: what is predicted.

    Returns:
        What every trial left, in the order given. A trial that diverged has a `failure` instead of weights.

    Raises:
        ValueError: there are no trials, or they are not of one architecture.
    """
    _check_one_architecture(trials)
    # Each kind of optimizer updates one slice of the stack.
    order = sorted(range(len(trials)), key=lambda place: trials[place].optimizer.kind)
    members = _fit_sorted([trials[place] for place in order], prepared, task)
    results = dict(zip(order, members, strict=True))
    return [results[place] for place in range(len(trials))]


def _fit_sorted(trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task) -> list[MemberResult]:
    settings = trials[0].trainer
    with _quiet_lightning():
        trainer = _trainer(settings, max_epochs=max(trial.trainer.max_epochs for trial in trials))
        device = trainer.strategy.root_device
        dtype = torch.float64 if settings.precision == "64-true" else torch.float32
        train = to_device(prepared.train, task=task, dtype=dtype, device=device)
        validation = to_device(prepared.validation, task=task, dtype=dtype, device=device)
        raw_target = torch.from_numpy(prepared.validation.target)
        if device.type != "mps":  # metrics need float64, which it lacks
            raw_target = raw_target.to(device)
        net = build_net(
            [trial.model for trial in trials],
            n_numbers=prepared.encoder.n_numbers,
            cardinalities=prepared.encoder.cardinalities,
            n_outputs=task.n_outputs,
        )
        draw_weights_(net, [stream_generator(trial.seed, Purpose.WEIGHTS) for trial in trials])
        streams = Streams([trial.seed for trial in trials], device=device)
        members = StackMembers(trials, task=task, target=raw_target)
        batches = StreamBatches(train, streams=streams, batch_size=settings.batch_size)
        module = StackModule(
            net,
            trials,
            task=task,
            members=members,
            streams=streams,
            validation=validation,
            raw_target=raw_target,
            steps_per_epoch=len(batches),
            dtype=dtype,
        )
        with _interrupts_raised():
            trainer.fit(module, batches, WholeBatches(validation, batch_size=VALIDATION_BATCH_ROWS))
    return members.results


def _check_one_architecture(trials: Sequence[TrialConfig]) -> None:
    if not trials:
        raise ValueError("A stack needs at least one trial, got trials=[].")
    architectures = [without(trial, "member", "sweep") for trial in trials]
    for place, architecture in enumerate(architectures):
        if architecture != architectures[0]:
            raise ValueError(
                f"Trials 0 and {place} cannot share a stack: {architectures[0]} and {architecture} differ."
            )


def _trainer(settings: TrainerConfig, *, max_epochs: int) -> pl.Trainer:
    # Barebones: no logger, checkpoints, bars or sanity steps; a stack has its own.
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=1,
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
    """Let Ctrl-C be Ctrl-C: Lightning answers it with `exit(1)` and leaves it ignored from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
