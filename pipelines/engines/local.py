"""The engine of this machine: this process, or one process a device."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import torch

from pipelines.config.schema import LocalEngineConfig, TrainerConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines.engine import Engine
from pipelines.engines.free_memory import free_memory
from pipelines.engines.job import DoneJob, StackJob
from pipelines.engines.processes import WorkerProcesses
from pipelines.engines.run_job import run_or_fail
from pipelines.errors import UserError
from pipelines.tasks.task import Task
from pipelines.training import Accelerator, check_device, place_here


class ThisProcess:
    """Trains one stack after the other.

    Args:
        accelerator: of the trials.
    """

    n_side_by_side = 1

    def __init__(self, accelerator: Accelerator = "auto") -> None:
        self.place = place_here(accelerator)

    def free_bytes(self) -> int:
        return free_memory(self.place.device)

    def run(self, jobs: Sequence[StackJob], prepared: PreparedTable, task: Task) -> Iterator[DoneJob]:
        for job in jobs:
            yield run_or_fail(job, prepared, task)


@contextmanager
def local_engine(config: LocalEngineConfig, trainer: TrainerConfig) -> Iterator[Engine]:
    """Stay in this process unless devices are named or there are several GPUs.

    Raises:
        UserError: there is no such device.
    """
    check_device(trainer)
    devices = _devices(config, trainer)
    if not devices:
        yield ThisProcess(trainer.accelerator)
        return
    with closing(WorkerProcesses(devices)) as engine:
        yield engine


def _devices(config: LocalEngineConfig, trainer: TrainerConfig) -> Sequence[str]:
    """Of the processes; none to stay in this one."""
    n_gpus = torch.cuda.device_count()
    if config.devices is None:
        if trainer.accelerator == "cpu" or n_gpus <= 1:
            return ()
        return [f"cuda:{index}" for index in range(n_gpus)]
    for device in config.devices:
        if device != "cpu" and int(device.removeprefix("cuda:")) >= n_gpus:
            seen = {0: "no GPU", 1: "cuda:0 alone"}.get(n_gpus, f"cuda:0 to cuda:{n_gpus - 1} alone")
            raise UserError(f"engine.devices names {device}, but torch sees {seen} here.")
    return config.devices
