"""Batches for a stack: the table lies on the device once, every stream reads it in its own order."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from pipelines.data.prepare import Part
from pipelines.stack.randomness import Purpose, Streams, stream_generator
from pipelines.tasks.task import Task


@dataclass(frozen=True)
class DeviceRows:
    """Encoded rows on the device; the target as the loss wants it (standardised, or class codes)."""

    numbers: Float[Tensor, "rows numbers"]
    codes: Int[Tensor, "rows columns"]
    target: Num[Tensor, " rows"]

    def __len__(self) -> int:
        return len(self.target)


class Batch(NamedTuple):
    """Rows of every member, or 1 slice that all members share. A tuple, since Lightning rebuilds batches."""

    numbers: Float[Tensor, "streams rows numbers"]
    codes: Int[Tensor, "streams rows columns"]
    target: Num[Tensor, "streams rows"]


def to_device(part: Part, *, task: Task, dtype: torch.dtype, device: torch.device) -> DeviceRows:
    """Copy a part to the device, once."""
    target = torch.from_numpy(part.target)
    learned = task.standardise(target).to(dtype) if task.kind == "regression" else target
    return DeviceRows(
        numbers=torch.from_numpy(part.features.numbers).to(device, dtype),
        codes=torch.from_numpy(part.features.codes).to(device, torch.int64),
        target=learned.to(device),
    )


class StreamBatches:
    """One epoch of batches each time it is iterated, every stream in its own order.

    The last batch of an epoch holds what is left. The order of epoch e depends on the seed and e alone.

    Args:
        rows: the training part.
        streams: of the stack.
        batch_size: rows in a batch.
        first_epoch: which one is read first.
    """

    def __init__(self, rows: DeviceRows, *, streams: Streams, batch_size: int, first_epoch: int = 0) -> None:
        self._rows = rows
        self._streams = streams
        self._batch_size = batch_size
        self._next_epoch = first_epoch

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(self._next_epoch)
        self._next_epoch += 1
        for start in range(0, len(self._rows), self._batch_size):
            rows = self._streams.spread(order[:, start : start + self._batch_size])  # [1 or K, B]
            yield Batch(self._rows.numbers[rows], self._rows.codes[rows], self._rows.target[rows])

    def _order(self, epoch: int) -> Int[Tensor, "streams rows"]:
        generators = (stream_generator(seed, Purpose.ORDER, epoch=epoch) for seed in self._streams.seeds)
        orders = [torch.randperm(len(self._rows), generator=generator) for generator in generators]
        return torch.stack(orders).to(self._streams.device)


class WholeBatches:
    """Consecutive batches of one part, shared by all members: for evaluation."""

    def __init__(self, rows: DeviceRows, *, batch_size: int) -> None:
        self._rows = rows
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows = self._rows
        for start in range(0, len(rows), self._batch_size):
            place = slice(start, start + self._batch_size)
            yield Batch(rows.numbers[None, place], rows.codes[None, place], rows.target[None, place])
