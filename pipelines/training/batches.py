"""Batches for a stack: the table lies on the device once, every stream reads it in its own order.

Lightning is handed several at once: what it does around a batch takes as long as a step of a small stack.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from pipelines.data.prepare import Part, PreparedTable
from pipelines.stack.randomness import Purpose, Streams, stream_generator
from pipelines.tasks.task import Task
from pipelines.training.folds import MemberFolds

BATCHES_AT_ONCE = 32  # between two of Lightning's looks at signals


@dataclass(frozen=True)
class DeviceRows:
    """Encoded rows on the device; the target as the loss wants it (standardised, or class codes)."""

    numbers: Float[Tensor, "rows numbers"]
    codes: Int[Tensor, "rows columns"]
    target: Num[Tensor, " rows"]

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Int[Tensor, "streams batch"], *, counted: Tensor | None) -> "Batch":
        """These rows; a plain selection takes half as long as indexing by more than one dimension."""
        flat = rows.flatten()
        numbers, codes, target = (
            values.index_select(0, flat).view(*rows.shape, *values.shape[1:])
            for values in (self.numbers, self.codes, self.target)
        )
        return Batch(numbers, codes, target, counted)


class Batch(NamedTuple):
    """Rows of every member, or 1 slice that all members share."""

    numbers: Float[Tensor, "streams rows numbers"]
    codes: Int[Tensor, "streams rows columns"]
    target: Num[Tensor, "streams rows"]
    counted: Float[Tensor, "streams rows"] | None = None  # 0 where a row only fills a batch up; None when all count


class Batches:
    """Neighbouring batches of an epoch, made one by one as they are iterated; Lightning passes it on untouched.

    Args:
        make: a batch, from the place of its first row in the epoch.
        starts: those places.
    """

    def __init__(self, make: Callable[[int], Batch], starts: Sequence[int]) -> None:
        self._make = make
        self._starts = starts

    def __iter__(self) -> Iterator[Batch]:
        return map(self._make, self._starts)


def to_device(part: Part, *, task: Task, dtype: torch.dtype, device: torch.device) -> DeviceRows:
    """Copy a part to the device, once: with folds as often as they encode it differently, fold after fold."""
    target = torch.from_numpy(part.target)
    tasks = task.folds or (task,)
    learned = [fold.standardise(target).to(dtype) if task.kind == "regression" else target for fold in tasks]
    numbers, codes = (torch.from_numpy(values) for values in (part.features.numbers, part.features.codes))
    return DeviceRows(
        numbers=numbers.flatten(0, -2).to(device, dtype),
        codes=codes.flatten(0, -2).to(device, torch.int64),
        target=torch.cat(learned).to(device),
    )


def fold_places(prepared: PreparedTable, *, device: torch.device) -> list[Int[Tensor, " _train"]]:
    """Where each fold's training rows lie in `to_device`'s; without folds the whole training part is one."""
    n_rows = len(prepared.train.rows)
    if not prepared.folds:
        return [torch.arange(n_rows, device=device)]
    return [number * n_rows + torch.from_numpy(fold.train).to(device) for number, fold in enumerate(prepared.folds)]


def rows_sitting_out(sizes: Sequence[int], batch_size: int) -> list[int]:
    """How many of each fold's training rows sit every epoch out, so that all folds take as many steps."""
    n_rows = _n_steps(sizes, batch_size) * batch_size
    return [max(0, size - n_rows) for size in sizes]


def _n_steps(sizes: Sequence[int], batch_size: int) -> int:
    return min(math.ceil(size / batch_size) for size in sizes)


class StreamBatches:
    """One epoch of batches each time it is iterated, `BATCHES_AT_ONCE` at once, every stream in its own order.

    The last batch of an epoch holds what is left. The order of epoch e depends on the seed and e alone. Folds of
    unequal size train for the same number of steps: the last batch of a smaller one is filled up with rows that do
    not count, and of one that would need more steps some rows, others every time, sit an epoch out: a few, or many
    where one fold is much larger than another (`rows_sitting_out`).

    Args:
        rows: of the training part.
        places: in `rows`, of each fold's training rows.
        folds: of the members.
        streams: of the stack.
        batch_size: rows in a batch.
        first_epoch: which one is read first.

    Attributes:
        n_steps: batches in an epoch.
    """

    def __init__(
        self,
        rows: DeviceRows,
        places: Sequence[Int[Tensor, " _train"]],
        *,
        folds: MemberFolds,
        streams: Streams,
        batch_size: int,
        first_epoch: int = 0,
    ) -> None:
        self._rows = rows
        self._places = places
        self._folds = folds
        self._streams = streams
        self._batch_size = batch_size
        self._next_epoch = first_epoch
        self.n_steps = _n_steps([len(of_fold) for of_fold in places], batch_size)

    def __len__(self) -> int:
        return math.ceil(self.n_steps / BATCHES_AT_ONCE)

    def __iter__(self) -> Iterator[Batches]:
        of_member = list(zip(self._streams.places, self._folds.places, strict=True))
        lanes = list(dict.fromkeys(of_member))  # a stream on a fold each
        order, counted = self._order(lanes, self._next_epoch)
        self._next_epoch += 1
        lane_of_slice: slice | Tensor = slice(None)
        if len(lanes) > 1:
            lane_of_slice = torch.tensor([lanes.index(lane) for lane in of_member], device=order.device)

        def make(start: int) -> Batch:
            place = slice(start, start + self._batch_size)
            rows = order[lane_of_slice, place]  # [1 or K, B]
            is_last = place.stop >= order.shape[1]
            count = counted[lane_of_slice, place] if counted is not None and is_last else None
            return self._rows.take(rows, counted=count)

        starts = range(0, order.shape[1], self._batch_size)
        for first in range(0, len(starts), BATCHES_AT_ONCE):
            yield Batches(make, starts[first : first + BATCHES_AT_ONCE])

    def _order(
        self, lanes: Sequence[tuple[int, int]], epoch: int
    ) -> tuple[Int[Tensor, "lanes rows"], Float[Tensor, "lanes rows"] | None]:
        """Rows in the order of each lane, and which of them count; None when all do."""
        orders = []
        for stream, fold in lanes:
            places = self._places[fold]
            generator = stream_generator(self._streams.seeds[stream], Purpose.ORDER, epoch=epoch)
            order = torch.randperm(len(places), generator=generator)[: self.n_steps * self._batch_size]
            orders.append(places[order.to(places.device)])
        sizes = [len(order) for order in orders]
        longest = max(sizes)
        filled = torch.stack([torch.cat([order, order[-1:].expand(longest - len(order))]) for order in orders])
        if min(sizes) == longest:
            return filled, None
        counted = torch.arange(longest) < torch.tensor(sizes)[:, None]
        return filled, counted.to(self._rows.numbers)
