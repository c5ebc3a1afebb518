"""Nets with one mistake each, as users make them; `model.target` names them by their place in this file."""

import random

import torch
from torch import Tensor, nn

NOT_A_CLASS = 3


class NoModule:
    """Learns nothing."""


class Base(nn.Module):
    """What would be right."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.only = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x)


class OnlyInputs(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.only = nn.Linear(inputs, 1)


class BadWidth(Base):
    def __init__(self, inputs: int, outputs: int, width: int = -1) -> None:
        super().__init__(inputs, outputs)
        if width < 0:
            raise ValueError("width must be positive")


class Lazy(Base):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.only = nn.LazyLinear(outputs)


class NoParameters(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.outputs]


class OwnDice(Base):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.scale = nn.Parameter(torch.tensor([random.random()]))


class OneOutput(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x).sum(1)


class Pair(Base):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, self.only(x)


class Detached(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x).detach()


class Raising(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x[:, :-1])


class ChangingInputs(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x.mul_(2))


class NoGradient(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.only(x)).mul_(2)


class LooksAtOtherRows(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x - x.mean(0))


class AlwaysDrops(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(nn.functional.dropout(x, 0.5))


class OwnMemory(Base):
    """Learns the middle of its inputs outside of parameters and buffers: nothing keeps it with the weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.middle = torch.zeros(inputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.middle = 0.99 * self.middle + 0.01 * x.mean(0)
        return self.only(x - self.middle)


class Counting(Base):
    """Likewise, a number of Python's own."""

    n_steps = 0

    def forward(self, x: Tensor) -> Tensor:
        self.n_steps += self.training
        return self.only(x) * (1 + self.n_steps / 100)


class OwnConstants(Base):
    """Other numbers in every process, and beside the weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.shift = random.random()

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x + self.shift)


class CountsRows(Base):
    """An exporter takes the number of rows that it tries for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x) + torch.zeros(len(x), 1)


class AnswersTwoRows(Base):
    """Likewise: as many rows come out as were tried, however many go in."""

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x[torch.arange(len(x))])


class BranchesWhenServed(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(x if float(x[0, 0]) > -1e9 else -x)


class Logarithm(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.only(torch.log(x))


class Chaotic(Base):
    """Small differences of rounding, as between two libraries, become large ones."""

    def forward(self, x: Tensor) -> Tensor:
        return self.only(torch.sin(1e7 * torch.sin(1e3 * self.only(x)).sum(1, keepdim=True) * x))


class OwnError(Exception):
    """Cannot be sent to another process."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.handle = lambda: code


class Unpicklable(Base):
    def forward(self, x: Tensor) -> Tensor:
        raise OwnError("no way to send this", code=1)


class CountsThreads(Base):
    """Fails, and says how many threads computed for it."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError(f"{torch.get_num_threads()} threads")
