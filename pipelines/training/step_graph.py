"""A stack's losses and gradients as one CUDA graph: most of a small stack's step is launching kernels, one by one.

Outside the graph stay what a step begins with, the batch and dropout's numbers, and the optimizer at its end: both
depend on which step it is, and are copied to where the graph reads. A graph is kept where it gives the very bits of
the plain step, so that whether there is one changes no trial. Not here: what is differentiated (`module`).
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pipelines.axes import PerMember
from pipelines.optim import take_gradient
from pipelines.stack.randomness import DropoutNoise
from pipelines.training.batches import Batch

log = logging.getLogger(__name__)

WARM_UPS = 3  # as torch's notes on graphs have it: libraries choose their kernels in the first calls

Differentiate = Callable[[Batch, DropoutNoise], PerMember]
"""Leaves gradients in the parameters and gives every member's loss."""


@runtime_checkable
class Graph(Protocol):
    """Work on a device that is recorded once and replayed."""

    def record(self, work: Callable[[], None]) -> None:
        """Take in what `work` does, on the tensors that it does it to.

        Raises:
            RuntimeError: it cannot be recorded, or there is no memory for it.
        """
        ...

    def replay(self) -> None:
        """Do it again."""
        ...


class CUDAGraph:
    """A graph of torch's, with its own memory.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graph = torch.cuda.CUDAGraph()

    def record(self, work: Callable[[], None]) -> None:
        """Warm up beside the present stream, as torch asks for, and capture.

        Raises:
            RuntimeError: as `Graph.record`; a graph's memory serves nothing else, so it must be plentiful.
        """
        free, _ = torch.cuda.mem_get_info(self._device)
        if free < 2 * torch.cuda.memory_reserved(self._device):
            raise RuntimeError("memory is scarce")
        present = torch.cuda.current_stream(self._device)
        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves it without types
        aside.wait_stream(present)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
        present.wait_stream(aside)
        with torch.cuda.graph(self._graph):
            work()

    def replay(self) -> None:
        self._graph.replay()


def has_graphs(device: torch.device) -> bool:
    """Whether work on it can be recorded."""
    return device.type == "cuda"


def new_graph(device: torch.device) -> Graph:
    """Of this device."""
    return CUDAGraph(device)


class StepGraph:
    """A step that has been taken, and may be recorded for the ones after it.

    Args:
        batch: of that step; all of its rows count.
        differentiate: what a step does.
        parameters: of the stack, without gradients.
        noise: at the beginning of the step.
    """

    def __init__(
        self, batch: Batch, differentiate: Differentiate, parameters: Sequence[nn.Parameter], noise: DropoutNoise
    ) -> None:
        self._batch = Batch(batch.numbers.clone(), batch.codes.clone(), batch.target.clone())
        self._noise = noise.held()
        self._differentiate = differentiate
        self._parameters = parameters
        self._graph: Graph | None = None
        self._outcome = self._compute()

    def record(self, graph: Graph) -> bool:
        """Whether the graph gives what the step gave, to the bit; only then it is kept.

        Raises:
            RuntimeError: as `Graph.record`.
        """
        recorded = [torch.empty_like(plain) for plain in self._outcome]

        def work() -> None:
            for into, new in zip(recorded, self._compute(), strict=True):
                into.copy_(new)

        graph.record(work)
        for into in recorded:
            into.fill_(torch.nan)  # what comes now is the replay's
        graph.replay()
        if not all(map(torch.equal, recorded, self._outcome)):
            return False
        self._graph, self._outcome = graph, recorded
        return True

    def fits(self, batch: Batch) -> bool:
        """Whether the batch has the shape of the recorded one, and all of its rows count."""
        return batch.counted is None and batch.numbers.shape == self._batch.numbers.shape

    def replay(self, batch: Batch) -> None:
        """Take the step of a batch that fits, at its beginning.

        Raises:
            RuntimeError: no step was recorded.
        """
        if self._graph is None:
            raise RuntimeError("A step is recorded before it is replayed.")
        for held, new in zip(self._batch[:3], batch[:3], strict=True):
            held.copy_(new)
        self._noise.draw_step_()
        self._graph.replay()

    def hand_over(self) -> PerMember:
        """Give the parameters their gradients; return the losses."""
        losses, *gradients = self._outcome
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return losses

    def _compute(self) -> list[Tensor]:
        """Losses, and the gradient of each parameter; zero where the losses do not depend on it."""
        self._noise.start_step()
        losses = self._differentiate(self._batch, self._noise)
        return [losses, *map(take_gradient, self._parameters)]


class GraphedSteps:
    """Differentiates batch after batch, by a graph where there can be one.

    Args:
        differentiate: what a step does.
        parameters: of the stack.
        noise: of dropout; begun before each step.
        device: of the stack.
    """

    def __init__(
        self,
        differentiate: Differentiate,
        parameters: Iterable[nn.Parameter],
        noise: DropoutNoise,
        device: torch.device,
    ) -> None:
        self._differentiate = differentiate
        self._parameters = list(parameters)
        self._noise = noise
        self._device = device
        self._recorded: StepGraph | None = None
        self._is_tried = False

    def begin_anew(self) -> None:
        """The stack's tensors are others from now on."""
        self._recorded, self._is_tried = None, False

    def differentiate(self, batch: Batch) -> PerMember:
        """Leave gradients in the parameters and return every member's loss."""
        if self._recorded is not None and self._recorded.fits(batch):
            self._recorded.replay(batch)
            return self._recorded.hand_over()
        if self._is_tried or batch.counted is not None:
            return self._differentiate(batch, self._noise)
        return self._record(batch)

    def _record(self, batch: Batch) -> PerMember:
        self._is_tried = True
        step = StepGraph(batch, self._differentiate, self._parameters, self._noise)
        try:
            if step.record(new_graph(self._device)):
                self._recorded = step
        except RuntimeError as error:
            log.info("The steps of this stack are taken without a CUDA graph: %s", error)
        return step.hand_over()
