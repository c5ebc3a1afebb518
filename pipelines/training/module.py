"""The LightningModule of a stack: one step for all members, one look at validation an epoch.

What an epoch means for each member is in `members`; putting a stack together is in `fit`.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from pipelines.axes import PerMember
from pipelines.config.schema import TrialConfig
from pipelines.models import StackedNet
from pipelines.optim import MemberSchedule, StackOptimizer
from pipelines.stack.layers import take_members_
from pipelines.stack.randomness import DropoutNoise, Streams
from pipelines.stack.roles import is_decayed
from pipelines.tasks.task import Task
from pipelines.training.batches import Batch, Batches
from pipelines.training.checkpoint import Checkpoint
from pipelines.training.folds import MemberFolds
from pipelines.training.held_out import HeldOut
from pipelines.training.members import EpochReport, StackMembers, is_half_gone
from pipelines.training.progress import Progress
from pipelines.training.state import StackState
from pipelines.training.step_graph import GraphedSteps, has_graphs


class MeanLoss:
    """Of every member, over the rows of an epoch."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._n_rows: Tensor | int = 0

    def add(self, losses: PerMember, n_rows: Tensor | int) -> None:
        """Take in a step: mean losses over so many rows, of all members or of each."""
        self._sum = self._sum + losses * n_rows
        self._n_rows = self._n_rows + n_rows

    def value(self) -> PerMember:
        """After one step at least."""
        return torch.as_tensor(self._sum / self._n_rows)


class StackModule(pl.LightningModule):
    """Trains a stack.

    Args:
        net: of all members.
        trials: one a member, neighbours where the optimizer's kind is the same.
        task: loss and link.
        members: the bookkeeping; told of every epoch.
        streams: the members' randomness.
        folds: of the members.
        held_out: the rows that every epoch ends with.
        steps_per_epoch: batches in an epoch.
        dtype: of parameters and of dropout's noise.
        start: the state that `net` and `members` were made of.
        checkpoint: written after epochs, when it is due.
        progress: told of every epoch.
    """

    def __init__(
        self,
        net: StackedNet,
        trials: Sequence[TrialConfig],
        *,
        task: Task,
        members: StackMembers,
        streams: Streams,
        folds: MemberFolds,
        held_out: HeldOut,
        steps_per_epoch: int,
        dtype: torch.dtype,
        start: StackState,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # its closures and hooks cost as much as the step of a small stack
        self.net = net
        self._trials = trials
        self._task = task
        self._members = members
        self._streams = streams
        self._folds = folds
        self._held_out = held_out
        self._steps_per_epoch = steps_per_epoch
        self._start = start
        self._checkpoint = checkpoint
        self._progress = progress
        self._epochs = start.epoch  # done
        self._stack_optimizer: StackOptimizer | None = None
        smoothing = [trial.task.label_smoothing for trial in trials]
        self._smoothing = torch.tensor(smoothing, dtype=dtype, device=streams.device) if any(smoothing) else None
        self._noise = DropoutNoise(streams, dtype=dtype)
        self._graphed: GraphedSteps | None = None
        # A user's net may draw numbers and look at them: what it did in one step says nothing of the next.
        if has_graphs(streams.device) and trials[0].model.kind != "custom":
            self._graphed = GraphedSteps(self._differentiate, self.net.parameters(), self._noise, streams.device)
        self._mean_loss = MeanLoss()
        self._outputs: list[Tensor] = []

    def configure_optimizers(self) -> StackOptimizer:
        """Build the optimizer, now that parameters are on their device and in their precision."""
        schedules = [
            MemberSchedule(trial.schedule, trial.trainer.max_epochs * self._steps_per_epoch, self._steps_per_epoch)
            for trial in self._trials
        ]
        optimizers = [trial.optimizer for trial in self._trials]
        parameters = list(self.net.parameters())
        optimizer = StackOptimizer(parameters, optimizers, schedules=schedules, decayed=is_decayed(self.net))
        if self._start.epoch:
            optimizer.load_state_dict(dict(self._start.optimizer))
        self._stack_optimizer = optimizer
        self._drop_ended()  # whom the caller ended before this first step
        return optimizer

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's dropout noise and its mean loss."""
        self._noise.start_epoch(self._epochs)
        self._mean_loss = MeanLoss()

    def training_step(self, batches: Batches, index: int) -> None:
        """Take a step a batch."""
        for batch in batches:
            self.step(batch)

    def step(self, batch: Batch) -> None:
        """Step all members down the sum of their losses: no member's gradient depends on how many others there are."""
        self._noise.start_step(batch.counted)
        graphed = self._graphed
        losses = self._differentiate(batch, self._noise) if graphed is None else graphed.differentiate(batch)
        n_rows = batch.target.shape[1] if batch.counted is None else batch.counted.sum(dim=1)  # of all, or of each
        self._mean_loss.add(losses, n_rows)
        self._optimizer().update_()

    def _differentiate(self, batch: Batch, noise: DropoutNoise) -> PerMember:
        """Leave gradients in the parameters and return the losses, [K]."""
        outputs = self.net(batch.numbers, batch.codes, noise)
        losses = self._folds.loss(outputs, batch.target, smoothing=self._smoothing, counted=batch.counted)
        # Of their sum, without a call to take it; no precision of ours scales the loss, which `manual_backward` is for.
        torch.autograd.backward(losses, torch.ones_like(losses))
        # Lightning's context for mixed precision holds many steps, and torch may keep copies of weights as long.
        torch.clear_autocast_cache()
        return losses.detach()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect outputs; they are scored together, since ranking metrics need all rows."""
        with torch.inference_mode():  # while it fits, Lightning has no gradients and no more
            self._outputs.append(self.net(batch.numbers, batch.codes))

    def on_train_epoch_end(self) -> None:
        """Tell the bookkeeping; drop members from memory once half the stack has ended."""
        report = self._report()
        self._epochs += 1
        self._members.observe(report, self.net.state_dict())
        if self._stack_optimizer is not None:
            self._stack_optimizer.observe(self._members.scores(report))
        if self._progress is not None:
            values = report.values[f"validation/{self._task.metric}"]
            self._progress.epoch_ended(
                self._epochs, values=values[self._members.training], n_steps=self._steps_per_epoch
            )
        if self.n_training == 0:
            self.trainer.should_stop = True
        elif is_half_gone(self.n_training, len(self._members.training)):
            self._drop_ended()
        if self._checkpoint is not None and self._checkpoint.is_due:
            self._checkpoint.write(self.state())

    @property
    def n_training(self) -> int:
        """How many members still train."""
        return int(self._members.training.sum())

    def end(self, trials: Collection[int]) -> None:
        """End these trials before the first step."""
        self._members.end(trials)

    def state(self) -> StackState:
        """The stack as it is between two epochs, without the members that have ended."""
        self._drop_ended()
        optimizer = self._stack_optimizer.state_dict() if self._stack_optimizer else {}
        return self._members.state(self._epochs, weights=self.net.state_dict(), optimizer=optimizer)

    def _optimizer(self) -> StackOptimizer:
        if self._stack_optimizer is None:
            raise RuntimeError("Lightning configures optimizers before the first epoch.")
        return self._stack_optimizer

    def _report(self) -> EpochReport:
        outputs = torch.cat(self._outputs, dim=1).to(self._held_out.rows.numbers.dtype)  # [K, N, O]
        self._outputs.clear()
        predictions = self._folds.link(outputs)
        metric = self._task.metric
        values = {
            "train/loss": self._mean_loss.value(),
            "validation/loss": self._held_out.losses(outputs),
            f"validation/{metric}": self._held_out.metrics(predictions, self._folds.places, [metric])[metric],
            "learning_rate": self._optimizer().stepped_rates,
        }
        # The one moment of an epoch at which the device is waited for.
        arrays = {name: tensor.cpu().numpy().astype(np.float64) for name, tensor in values.items()}
        return EpochReport(self._epochs, arrays, predictions)

    def _drop_ended(self) -> None:
        if self.n_training == len(self._members.training):
            return
        places = np.flatnonzero(self._members.training)
        kept = torch.from_numpy(places)
        take_members_(self.net, kept)
        self._streams.take_(kept)
        self._folds.take_(kept)
        self._members.take_(places)
        if self._smoothing is not None:
            self._smoothing = self._smoothing[kept]
        if self._stack_optimizer is not None:
            self._stack_optimizer.take_(kept)
        if self._graphed is not None:
            self._graphed.begin_anew()
