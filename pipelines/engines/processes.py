"""One worker process a device: each takes the next stack when its last one has ended.

Plain processes and pipes: a pool of the standard library gives up all of its stacks when one process dies.
"""

import multiprocessing
import os
import pickle
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

import torch

from pipelines.data.prepare import PreparedTable
from pipelines.engines.free_memory import free_memory
from pipelines.engines.job import DoneJob, StackJob, resumed
from pipelines.engines.run_job import lost_job, run_or_fail
from pipelines.errors import UserError
from pipelines.garbage import spare_modules
from pipelines.interrupts import interrupts_held_back
from pipelines.tasks.task import Task
from pipelines.training import Place

ATTEMPTS = 2  # a process may die by chance once; a second time it is the stack's own doing


@dataclass
class _Worker:
    """A process on its device, and the place of the job that it does."""

    device: str
    process: BaseProcess
    connection: Connection
    place: int | None = None

    def end(self) -> None:
        """Stop it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@dataclass
class _Queue:
    """Places of jobs that wait, and how often each has been begun."""

    waiting: deque[int]
    begun: dict[int, int] = field(default_factory=dict)

    def next_place(self) -> int:
        place = self.waiting.popleft()
        self.begun[place] = self.begun.get(place, 0) + 1
        return place


class WorkerProcesses:
    """Trains as many stacks side by side as there are devices, in processes that live until `close`.

    Args:
        devices: `cpu` or `cuda:N`, a process each; processes on the CPU divide its cores.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = devices
        self._n_threads = max(1, (os.cpu_count() or 1) // len(devices))
        self._workers: list[_Worker] = []
        self._table: tuple[PreparedTable, Task] | None = None

    @property
    def n_side_by_side(self) -> int:
        return len(self._devices)

    @property
    def place(self) -> Place:
        device = torch.device(self._devices[0])
        return Place(device, self._n_threads if device.type == "cpu" else torch.get_num_threads())

    def free_bytes(self) -> int:
        return min(free_memory(torch.device(device)) // count for device, count in Counter(self._devices).items())

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        if self._table is None or self._table[0] is not prepared or self._table[1] is not task:
            self.close()
            self._table = prepared, task
        for device in self._devices[len(self._workers) : len(jobs)]:
            self._workers.append(_start(device, self._n_threads, prepared, task))
        try:
            yield from self._run(jobs, prepared, task)
        finally:
            if any(worker.place is not None for worker in self._workers):
                self.close()  # it was broken off: nobody wants what they still do

    def _run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        queue, workers = _Queue(deque(range(len(jobs)))), self._workers
        while queue.waiting or any(worker.place is not None for worker in workers):
            _give_work(workers, queue, jobs)
            for worker in _ready(workers):
                done = _answer_of(worker)
                if done is None:
                    worker.end()
                    workers[workers.index(worker)] = _start(worker.device, self._n_threads, prepared, task)
                    done = _begin_again_or_give_up(worker, queue, jobs)
                if done is not None:
                    yield done

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()


def _start(device: str, n_threads: int, prepared: PreparedTable, task: Task) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, device, n_threads, prepared, task), daemon=True)
    with interrupts_held_back():
        process.start()
    theirs.close()  # so that the death of the process closes the pipe
    return _Worker(device, process, ours)


def _begin_again_or_give_up(dead: _Worker, queue: _Queue, jobs: Sequence[StackJob]) -> DoneJob | None:
    """The stack of a dead worker goes back to the front, or ends as lost when it has had its attempts."""
    place = dead.place
    if place is None:
        return None
    if queue.begun[place] < ATTEMPTS:
        queue.waiting.appendleft(place)
        return None
    reason = (
        f"The process that trained this stack on {dead.device} died {ATTEMPTS} times "
        f"(exit code {dead.process.exitcode}). Out of memory is the common cause: try a smaller engine.memory_gb."
    )
    return lost_job(jobs[place], reason=reason, is_too_large=dead.process.exitcode == -signal.SIGKILL)


def _give_work(workers: Sequence[_Worker], queue: _Queue, jobs: Sequence[StackJob]) -> None:
    for worker in workers:
        if worker.place is None and queue.waiting:
            worker.place = queue.next_place()
            job = jobs[worker.place] if queue.begun[worker.place] == 1 else resumed(jobs[worker.place])
            try:
                _send(worker.connection, replace(job, shows_progress=False))  # lines would mix
            except BrokenPipeError:
                continue  # it is dead; `_ready` reports that


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait until a busy worker has an answer, or has died."""
    busy = [worker for worker in workers if worker.place is not None]
    ready = wait([worker.connection for worker in busy])
    return [worker for worker in busy if worker.connection in ready]


def _answer_of(worker: _Worker) -> DoneJob | None:
    """The stack that has ended, or None when the worker has died.

    Raises:
        UserError: the one that the stack raised over there.
    """
    try:
        answer = _receive(worker.connection)
    except (EOFError, OSError):  # the latter where it died within an answer
        return None
    if isinstance(answer, UserError):
        raise answer
    worker.place = None
    if not isinstance(answer, DoneJob):
        raise TypeError(f"A worker answers with a stack that has ended, got {type(answer).__name__}.")
    return answer


def _work(connection: Connection, device: str, n_threads: int, prepared: PreparedTable, task: Task) -> None:
    """What a worker process does: train what it is sent until the other end of the pipe closes."""
    spare_modules()
    Thread(target=_end_with_parent, daemon=True).start()
    _settle_on(device, n_threads)
    while True:
        try:
            job: StackJob = _receive(connection)
        except EOFError:
            return
        _send(connection, _answer(job, prepared, task))


def _end_with_parent() -> None:
    """Nobody waits for what is still under way when the process that asked was killed."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _answer(job: StackJob, prepared: PreparedTable, task: Task) -> DoneJob | UserError:
    try:
        return run_or_fail(job, prepared, task)
    except UserError as error:  # it is raised again in the process that asked
        return error
    finally:
        torch.cuda.empty_cache()  # who plans the next stacks asks the device what is free


def _send(connection: Connection, sent: StackJob | DoneJob | UserError) -> None:
    """Pickled here: the connection's own way hands over every tensor as an open file of shared memory."""
    connection.send_bytes(pickle.dumps(sent))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())  # noqa: S301  our own process wrote it


def _settle_on(device: str, n_threads: int) -> None:
    """Let this process see one device alone, before CUDA starts in it."""
    if device == "cpu":
        torch.set_num_threads(n_threads)
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    index = int(device.removeprefix("cuda:"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[index] if visible else str(index)
