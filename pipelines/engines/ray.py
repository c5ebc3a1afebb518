"""The engine of a Ray cluster: one plain task a stack; the table goes to the object store once a `run`.

The command's own process alone plans, records and selects; nodes only train.
"""

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import torch

from pipelines.config.schema import RayEngineConfig, TrainerConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines.engine import Engine
from pipelines.engines.free_memory import free_memory
from pipelines.engines.job import DoneJob, StackJob, folder_number, where_its_folder_is
from pipelines.engines.run_job import lost_job, run_or_fail
from pipelines.errors import UserError
from pipelines.interrupts import sigterm_kept
from pipelines.tasks.task import Task
from pipelines.training import Accelerator, Place, device_here, save_state

Returned = TypeVar("Returned")

SECONDS_TO_ANSWER = 5.0
WITHOUT_TASK_EVENTS = {"task_events_report_interval_ms": 0}  # nobody looks at them, and their last flush takes seconds


@contextmanager
def ray_engine(config: RayEngineConfig, trainer: TrainerConfig) -> Iterator[Engine]:
    """Connect to the cluster, or start one on this machine; disconnect, or end it, at the end.

    Raises:
        UserError: Ray is not installed, the address does not answer, no node has what a stack is to get, or that is
            no GPU where stacks are to train on one.
    """
    if trainer.accelerator == "cuda" and config.gpus_per_stack == 0:
        raise UserError(
            "trainer.accelerator=cuda, but engine.gpus_per_stack=0 gives a stack no GPU: set engine.gpus_per_stack=1, "
            "or a fraction to share one."
        )
    ray = _ray()
    own = {} if config.address else {"include_dashboard": False, "_system_config": WITHOUT_TASK_EVENTS}
    if config.address is not None:
        _check_answers(config.address)
    try:
        with sigterm_kept():  # Ray would exit for it, from then on
            ray.init(address=config.address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        room = _count_side_by_side(ray.cluster_resources(), config)
        yield RayTasks(ray, config, trainer.accelerator, n_side_by_side=room)
    finally:
        ray.shutdown()


class RayTasks:
    """Trains as many stacks side by side as the cluster has room for.

    Args:
        ray: the module, connected.
        config: what a stack gets.
        accelerator: of the trials.
        n_side_by_side: how many stacks that makes.
    """

    def __init__(
        self, ray: ModuleType, config: RayEngineConfig, accelerator: Accelerator, *, n_side_by_side: int
    ) -> None:
        self._ray = ray
        self._config = config
        self._call = ray.remote(_call)
        self._trains_on: Accelerator = accelerator if config.gpus_per_stack else "cpu"
        self.n_side_by_side = n_side_by_side
        # A node may have more cores than are here; more threads than those would wait for each other.
        self.place = Place(device_here(self._trains_on), min(config.cpus_per_stack, os.cpu_count() or 1))

    def free_bytes(self) -> int:
        """Of one node, that stands for all: on a GPU the stack's share of it, else its share of the node."""
        ray, config = self._ray, self._config
        ask = self._call.options(num_cpus=config.cpus_per_stack, num_gpus=config.gpus_per_stack)
        free, is_on_gpu = ray.get(ask.remote(_free, self._trains_on))
        if is_on_gpu:
            return int(free * min(1.0, config.gpus_per_stack))
        cores = max(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"])
        return int(free) // max(1, min(self.n_side_by_side, int(cores / config.cpus_per_stack)))

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        ray, config = self._ray, self._config
        train = self._call.options(
            num_cpus=config.cpus_per_stack, num_gpus=config.gpus_per_stack, max_retries=config.retries
        )
        table = ray.put((prepared, task))
        n_threads = config.cpus_per_stack
        pending = {train.remote(_train, _sent(job), table, n_threads): job for job in jobs}
        while pending:
            (ended,), _ = ray.wait(list(pending), num_returns=1)
            yield self._collect(ended, pending.pop(ended))

    def _collect(self, reference: object, job: StackJob) -> DoneJob:
        errors = self._ray.exceptions
        try:
            done: DoneJob = pickle.loads(self._ray.get(reference))  # noqa: S301  our own task wrote it
        except errors.RayTaskError as error:  # raised by the stack itself: shown as if it had been raised here
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except errors.RayError as error:
            first_line = str(error).strip().splitlines()[0]
            reason = f"Lost on the cluster after {self._config.retries} retries: {type(error).__name__}: {first_line}"
            return lost_job(job, reason=reason, is_too_large=isinstance(error, errors.OutOfMemoryError))
        if job.keeping is not None and not done.lost:
            save_state(job.keeping.path, done.state, note=job.keeping.note)
        return done


def _sent(job: StackJob) -> bytes:
    """The job, and which folder is ours: a node may have it, too. Our terminal it has not."""
    keeping = job.keeping
    if keeping is not None:
        keeping.path.parent.mkdir(parents=True, exist_ok=True)
        job = replace(job, keeping=replace(keeping, path=keeping.path.absolute()))
    return pickle.dumps((replace(job, shows_progress=False), folder_number(job)))


def _call(function: Callable[..., Returned], *arguments: object) -> Returned:
    """Every task is this one, so that the first makes it known and no later one asks the cluster's head for anything.

    SIGTERM to all processes of a command ends a head that is its own, too: whoever asks it then waits for 60 seconds,
    deaf to signals, and is ended by Ray itself.
    """
    return function(*arguments)


def _free(accelerator: Accelerator) -> tuple[int, bool]:
    """Bytes that are free where this task runs, on some node, and whether they are a GPU's."""
    device = device_here(accelerator)
    return free_memory(device), device.type == "cuda"


def _train(sent: bytes, table: tuple[PreparedTable, Task], n_threads: int) -> bytes:
    """The task, on some node. Where that has our folder, a stack is kept in training and a retry goes on from there.

    What goes to and fro is pickled here: Ray's own way would hand over arrays that cannot be written to. The table is
    only read, and so is shared by all tasks of a node.
    """
    torch.set_num_threads(n_threads)
    job, folder = pickle.loads(sent)  # noqa: S301  our own process wrote it
    return pickle.dumps(run_or_fail(where_its_folder_is(job, folder), *table))


def _ray() -> ModuleType:
    """The module, told to send nothing home and to leave no token that a later `ray start` would trip over."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        import ray  # noqa: PLC0415  an extra that few install
    except ImportError as error:
        raise UserError(
            "engine=ray needs Ray, which is not installed. In the checkout: pip install -e '.[ray]'"
        ) from error
    module: ModuleType = ray
    return module


def _check_answers(address: str) -> None:
    """Ray itself would wait for minutes, and then end the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise UserError(
            f"engine.address={address} does not answer ({error}). Start the cluster with "
            f"`ray start --head --port={port}`, or use engine.address=null for one on this machine."
        ) from error


def _count_side_by_side(resources: dict[str, float], config: RayEngineConfig) -> int:
    asked = {"CPU": config.cpus_per_stack, "GPU": config.gpus_per_stack}
    has = {name: resources.get(name, 0.0) for name in asked}
    n_side_by_side = min(int(has[name] / amount) for name, amount in asked.items() if amount > 0)
    if n_side_by_side == 0:
        raise UserError(
            f"The cluster has {has['CPU']:g} CPUs and {has['GPU']:g} GPUs, less than a stack is to get: "
            f"engine.cpus_per_stack={config.cpus_per_stack}, engine.gpus_per_stack={config.gpus_per_stack:g}."
        )
    return n_side_by_side
