"""`hydra/sweeper=grid`: every combination of the comma lists, handed to the launcher as one batch.

As Hydra's basic sweeper, save that it does not compose each job a second time to see whether it is legal (the
stack launcher checks every trial before it starts any), that a trial which failed does not fail the sweep, and
that it writes nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.utils import JobReturn

from pipelines.errors import UserError

MOST_TRIALS = 10_000  # each one is a run in MLflow; composing as many takes a minute


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
        """Launch every combination; the returns of the one batch.

        Raises:
            UserError: the grid is larger than anyone means it to be, or an interval is not a list.
        """
        if self.hydra_context is None or self.launcher is None:
            raise RuntimeError("Hydra sets a sweeper up before it sweeps.")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        for override in overrides:
            if override.is_interval_sweep():
                raise UserError(f"{override.input_line}: a grid needs single values, such as 0.1,0.2 or range(1,4).")
        _refuse_too_many(overrides)
        [batch] = self.split_arguments(overrides, max_batch_size=None)
        return [self.launcher.launch(batch, initial_job_idx=0)]


def _refuse_too_many(overrides: Sequence[Override]) -> None:
    """Count the grid without making it.

    Raises:
        UserError: it is larger than anyone means it to be.
    """
    lists = {override.get_key_element(): override for override in overrides}
    counts = {key: _n_values(override) for key, override in lists.items() if override.is_sweep_override()}
    n_trials = math.prod(counts.values())
    if n_trials > MOST_TRIALS:
        raise UserError(
            f"The grid has {n_trials:,} trials ({' x '.join(f'{key}: {n:,}' for key, n in counts.items())}); at most "
            f"{MOST_TRIALS:,} are tried. Give shorter lists, or let a search choose among the same values: "
            "hydra/sweeper=optuna hydra.sweeper.n_trials=256."
        )


def _n_values(override: Override) -> int:
    value = override.value()
    if not isinstance(value, RangeSweep):
        return sum(1 for _ in override.sweep_iterator())
    steps = value.range()
    return (
        len(steps)
        if isinstance(steps, range)
        else math.ceil((float(steps.stop) - float(steps.start)) / float(steps.step))
    )
