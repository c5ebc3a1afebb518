"""Where stacks run: what belongs to the machines, and changes no trial."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Count, Group, NotNegative, Positive, Times


@dataclass(frozen=True, kw_only=True)
class EngineBase(Group):
    """What every engine has."""

    memory_gb: Positive | None  # budget of one stack in GiB; None: half of what the device has free


@dataclass(frozen=True, kw_only=True)
class LocalEngineConfig(EngineBase):
    """This machine: in this process, or in one process a device."""

    kind: Literal["local"]
    devices: tuple[str, ...] | None  # `cuda:0` or `cpu`, a process each; None: this process, or every GPU of several


@dataclass(frozen=True, kw_only=True)
class RayEngineConfig(EngineBase):
    """A Ray cluster: one task a stack."""

    kind: Literal["ray"]
    address: str | None  # host:port of the cluster; None: one on this machine, for as long as the command runs
    cpus_per_stack: Count
    gpus_per_stack: NotNegative  # a fraction lets stacks share a GPU
    retries: Times  # of a stack whose node or process is lost


EngineConfig = LocalEngineConfig | RayEngineConfig
