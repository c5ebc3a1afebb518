"""The product's server and what it must answer; and two servers asked in turns."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.cores import on_core
from benchmarks.serving.effort import Effort
from benchmarks.serving.load import Rate, ask_for
from benchmarks.serving.model import ROOT, Columns, Model, draw_columns, feed, open_session
from benchmarks.serving.processes import Server, free_port, running
from benchmarks.serving.questions import Question, prove

WARM_SHARE = 0.2  # of a turn
ASKED_SEED = 2


@dataclass(frozen=True)
class Bench:
    """What is measured, how much of it, and where.

    Attributes:
        model: that is served.
        effort: how long and how often.
        server_core: of all servers.
        load_core: of the load.
    """

    model: Model
    effort: Effort
    server_core: int
    load_core: int

    @contextmanager
    def product(self) -> Iterator[Server]:
        """`python -m serving` with this model alone."""
        port = free_port()
        command = [sys.executable, "-m", "serving", "--bundles", str(self.model.bundles), "--port", str(port)]
        with running(
            command,
            port=port,
            ready="/ready",
            core=self.server_core,
            folder=self.model.folder,
            variables={"PYTHONPATH": str(ROOT)},
        ) as server:
            yield server

    @property
    def last_class(self) -> str:
        """Whose probability is compared."""
        return self.model.classes[-1]

    def columns(self, n_rows: int) -> Columns:
        """What is asked: rows that training has not seen."""
        return draw_columns(n_rows, seed=ASKED_SEED)

    def expected(self, columns: Columns) -> np.ndarray:
        """Probabilities of the last class, [N], by bare ONNX Runtime."""
        predictions: np.ndarray = open_session(self.model.onnx, threads=1).run(None, feed(columns))[0]
        return predictions[:, -1]

    def turn(self, server: Server, question: Question, columns: Columns) -> "Turn":
        """Ask a question once and look at the predictions; later answers must be the same."""
        return Turn(server.port, question.request, prove(server.port, question, self.expected(columns)))

    def rates(self, *turns: "Turn") -> list[list[Rate]]:
        """Rounds in which all have their turn, one after the other."""
        with on_core(self.load_core):
            for own in turns:
                own.run(self.effort.seconds * WARM_SHARE)
            return [[own.run(self.effort.seconds) for own in turns] for _ in range(self.effort.rounds)]


@dataclass(frozen=True)
class Turn:
    """One server, asked one question.

    Attributes:
        port: of the server.
        request: head and body.
        answer: body that every answer must have.
    """

    port: int
    request: bytes
    answer: bytes

    def run(self, seconds: float) -> Rate:
        """Ask for so long."""
        return ask_for(self.port, self.request, self.answer, seconds=seconds)
