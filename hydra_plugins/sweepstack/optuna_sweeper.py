"""`hydra/sweeper=optuna`: trials are asked of an Optuna study a batch at a time; all batches are one sweep.

What may be set, and why, stands in conf/hydra/sweeper/optuna.yaml. The sweeper published for Hydra needs Optuna 2.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.sweepstack.launcher import StackLauncher
from hydra_plugins.sweepstack.space import SearchSpace, read_space
from hydra_plugins.sweepstack.study import Asked, Search, open_search
from pipelines.config import fields
from pipelines.config.mistakes import refuse, wrong_value
from pipelines.config.schema.search import SearchConfig
from pipelines.config.sweepers import unknown_setting


class OptunaSweeper(Sweeper):
    """Asks, launches and tells, until the study has its trials.

    Args:
        params: lists and intervals beside those of the command line.
        settings: the fields of `SearchConfig`, checked when the sweep begins.
    """

    def __init__(self, params: Mapping[str, Any] | None, **settings: Any) -> None:
        self._params = dict(params or {})
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._loader = hydra_context.config_loader
        self._launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch batch after batch; the returns of each.

        Raises:
            UserError: a setting or the space is wrong, or no trial ended with a model.
        """
        config = _checked(self._settings)
        space = self._space(arguments)
        if isinstance(self._launcher, StackLauncher):
            self._launcher.expect(space.corners())
        with open_search(config, space) as search:
            if search.n_asked:
                print(f"Search: study {config.study} goes on; it has {search.n_asked} trials.")
            if search.differences:
                print(f"Search: its space is not as it began: {'; '.join(search.differences)}.")
            returns = self._launched(search, config)
            print(_last_words(search, config, n_trials=sum(len(batch) for batch in returns)))
        return returns

    def _launched(self, search: Search, config: SearchConfig) -> list[Sequence[JobReturn]]:
        """The returns of all batches, which are one sweep."""
        returns: list[Sequence[JobReturn]] = []
        with self._one_sweep(search):
            for asked in _batches(search, config):
                n_before = sum(len(batch) for batch in returns)
                batch = self._launcher.launch([trial.overrides for trial in asked], initial_job_idx=n_before)
                search.tell(_scores(asked, batch))
                returns.append(batch)
        return returns

    def _space(self, arguments: Sequence[str]) -> SearchSpace:
        parser = OverridesParser.create(config_loader=self._loader)
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in self._params.items()), *arguments])
        return read_space(overrides, lambda key: bool(self._loader.get_group_options(key, results_filter=None)))

    def _one_sweep(self, search: Search) -> AbstractContextManager[None]:
        if isinstance(self._launcher, StackLauncher):
            return self._launcher.one_sweep(on_begin=search.keep_sweep)
        return nullcontext()


def _checked(settings: Mapping[str, Any]) -> SearchConfig:
    """The settings as the schema has them.

    Raises:
        UserError: lists every wrong one.
    """
    mistakes, right = [], {}
    for name, annotation in fields.fields_of(SearchConfig).items():
        try:
            right[name] = fields.checked(annotation, settings[name])
        except fields.WrongValueError:
            mistakes.append(wrong_value(f"hydra.sweeper.{name}", settings[name], annotation))
    # A command line has been checked already; a file has not.
    unknown = [name for name in settings if name not in fields.fields_of(SearchConfig)]
    refuse([*mistakes, *(unknown_setting(name, sweeper="optuna") for name in unknown)])
    return SearchConfig(**right)


def _batches(search: Search, config: SearchConfig) -> Iterator[list[Asked]]:
    """Those of an earlier run first: they belong to the sweep, and stacks that are kept do not train again."""
    n_trials = 0
    for asked in search.earlier_batches():
        n_trials += len(asked)
        yield asked
    while n_trials < config.n_trials:
        asked = search.ask(min(config.batch_size, config.n_trials - n_trials))
        n_trials += len(asked)
        yield asked


def _scores(asked: Sequence[Asked], batch: Sequence[JobReturn]) -> dict[int, float | None]:
    """By the number of the trial; what was lost has none yet, since the same command trains it again."""
    return {
        trial.number: None if job.status is JobStatus.FAILED else float(job.return_value)
        for trial, job in zip(asked, batch, strict=True)
        if job.status is not JobStatus.UNKNOWN
    }


def _last_words(search: Search, config: SearchConfig, *, n_trials: int) -> str:
    best, *others = search.best_overrides() or [[]]
    alike = f", the first of {1 + len(others)} that score alike" if others else ""  # the leaderboard parts them
    if config.study is None:
        further = "a search that is to be continued needs a name: hydra.sweeper.study=<name>"
    else:
        further = f"to go on, type the command again with hydra.sweeper.n_trials={2 * n_trials}"
    return f"Search: best of {n_trials} trials{alike}: {' '.join(best)}; {further}"
