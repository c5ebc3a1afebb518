"""`hydra/sweeper=grid`: every combination of the comma lists, handed to the launcher as one batch.

As Hydra's basic sweeper, save that it does not compose each job a second time to see whether it is legal (the
stack launcher checks every trial before it starts any), that a trial which failed does not fail the sweep, and
that it writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn

from pipelines.errors import UserError


@dataclass
class GridSweeperConf:
    """What `hydra/sweeper=grid` sets.

    Attributes:
        params: lists beside those of the command line, as conf/sweep holds them: name -> `0.1,0.01`.
    """

    _target_: str = "hydra_plugins.sweepstack.sweeper.GridSweeper"
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="sweepstack")


class GridSweeper(BasicSweeper):
    """The whole grid as one batch: split up, its trials could not share stacks nor an ensemble."""

    def __init__(self, params: Mapping[str, str] | None) -> None:
        super().__init__(max_batch_size=None, params=None if params is None else dict(params))

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch every combination; the returns of the one batch."""
        if self.hydra_context is None or self.launcher is None:
            raise RuntimeError("Hydra sets a sweeper up before it sweeps.")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        for override in overrides:
            if override.is_interval_sweep():
                raise UserError(f"{override.input_line}: a grid needs single values, such as 0.1,0.2 or range(1,4).")
        [batch] = self.split_arguments(overrides, max_batch_size=None)
        return [self.launcher.launch(batch, initial_job_idx=0)]
