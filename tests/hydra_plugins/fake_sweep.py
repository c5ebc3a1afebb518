"""A stand-in for `pipelines.sweep` that trains nothing: for tests of what hands trials to it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipelines import train
from pipelines.errors import UserError

WITHOUT_MODEL = "All trials failed, so there is no model to serve."


class FakeModule(ModuleType):
    """What `pipelines.sweep` offers, and what reached it.

    Attributes:
        batches: of all sweeps, in order.
        trials: of all batches.
        expected: what each sweep was told of its search.
        finished: how many trials each finished sweep had.
        identity: what tells the next sweep from others.
        loses: learning rates above it are lost.
    """

    def __init__(self) -> None:
        super().__init__("pipelines.sweep")
        self.batches: list[Sequence[Any]] = []
        self.trials: list[Any] = []
        self.expected: list[Sequence[Any]] = []
        self.finished: list[int] = []
        self.identity = "first"
        self.loses = float("inf")

    @contextmanager
    def open_sweep(self, _recorders: object) -> Iterator["FakeSweep"]:
        yield FakeSweep(self)


class NoRecorders:
    """A stand-in for the process that imports MLflow, where nothing is recorded."""

    def close(self) -> None:
        """There is no process."""


def stand_in_for_training(monkeypatch: pytest.MonkeyPatch) -> FakeModule:
    """Put a stand-in where a command of this process looks for what trains."""
    module = FakeModule()
    monkeypatch.setitem(sys.modules, "pipelines.sweep", module)
    monkeypatch.setattr(train, "RecorderProcess", NoRecorders)
    return module


class FakeSweep:
    """Scores each trial by its learning rate, lower is better, None from 1 on."""

    def __init__(self, seen: FakeModule) -> None:
        self.seen = seen
        self.scores: list[float | None] = []
        self.lost: list[Any] = []

    def expect(self, trials: Sequence[Any]) -> None:
        self.seen.expected.append(trials)

    def begin(self, _trials: Sequence[Any]) -> str:
        return self.seen.identity

    def train(self, trials: Sequence[Any]) -> list[float | None]:
        self.seen.batches.append(trials)
        self.seen.trials.extend(trials)
        rates = [trial.optimizer.lr for trial in trials]
        self.lost += [trial for trial in trials if trial.optimizer.lr > self.seen.loses]
        scores = [None if rate >= 1 or rate > self.seen.loses else -rate for rate in rates]
        self.scores += scores
        return scores

    def finish(self) -> SimpleNamespace:
        self.seen.finished.append(len(self.scores))
        if all(score is None for score in self.scores):
            raise UserError(WITHOUT_MODEL)
        return SimpleNamespace(scores=self.scores)
