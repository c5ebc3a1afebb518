"""`hydra/launcher=stack`: composes and checks the whole sweep, then trains it in one call.

Other launchers run a task function once a job. Here the jobs become stacks that train together, so the only task
it can run is that of `pipelines.train`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.sweepstack.composition import JobComposer
from pipelines.errors import UserError, unwritable

if TYPE_CHECKING:
    from pipelines.config.schema import TrialConfig
    from pipelines.sweep import Sweep


@dataclass
class StackLauncherConf:
    """What `hydra/launcher=stack` sets."""

    _target_: str = "hydra_plugins.sweepstack.launcher.StackLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="stack", node=StackLauncherConf, provider="sweepstack")


class StackLauncher(Launcher):
    """Runs all jobs of a batch as one sweep, or those of several batches, launched inside `one_sweep`."""

    def __init__(self) -> None:
        self._sweep: Sweep | None = None
        self._expected: list[TrialConfig] = []
        self._leaving: ExitStack | None = None  # ends the sweep; set inside `one_sweep`
        self._on_begin: Callable[[str], None] | None = None

    @contextmanager
    def one_sweep(self, *, on_begin: Callable[[str], None] | None = None) -> Iterator[None]:
        """Every batch launched inside the block belongs to one sweep, which ends with it.

        Args:
            on_begin: called with what tells the sweep from others before any of it trains; may refuse it.

        Raises:
            UserError: none of its trials ended with a model.
        """
        with ExitStack() as leaving:
            self._leaving, self._on_begin = leaving, on_begin
            try:
                yield
                if self._sweep is not None:
                    self._sweep.finish()
            finally:
                self._sweep = self._leaving = self._on_begin = None
                self._expected = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the batch; one return a job, in order, its value the score (greater is better).

        A trial that ended without a model is a FAILED return, and an UNKNOWN one where its process or its stack was
        lost: that is no failure of the sweep, so nothing is raised here, and `hydra/sweeper=grid` goes on.

        Raises:
            UserError: a trial is wrongly configured, or none ended with a model; or the task is not ours.
            HydraException: Hydra refuses the overrides of a job.
        """
        if self._leaving is None:
            with self.one_sweep():
                return self.launch(job_overrides, initial_job_idx)
        configs, trials = self._composed(job_overrides)
        sweep = self._begun(self._leaving, trials)
        scores = sweep.train(trials)
        statuses = [_status(score, is_lost=trial in sweep.lost) for trial, score in zip(trials, scores, strict=True)]
        return [
            _job_return(config, overrides, status, score, number=number)
            for number, (config, overrides, status, score) in enumerate(
                zip(configs, job_overrides, statuses, scores, strict=True), start=initial_job_idx
            )
        ]

    def expect(self, job_overrides: Sequence[Sequence[str]]) -> None:
        """Compose and check jobs that span what a search may ask for, and launch none.

        The next sweep shows in every run what differs between them.

        Raises:
            UserError: a trial is wrongly configured, or the task is not ours.
            HydraException: Hydra refuses the overrides of a job.
        """
        _, self._expected = self._composed(job_overrides)

    def _composed(self, job_overrides: Sequence[Sequence[str]]) -> "tuple[list[DictConfig], list[TrialConfig]]":
        """What Hydra makes of the jobs, and the trials that they are."""
        from pipelines import train  # noqa: PLC0415  # the entry point imports Hydra, which imports this module

        if self.task_function is not train.train_trial:
            raise UserError(
                "hydra/launcher=stack trains the trials of `python -m pipelines.train` and can run no other task; "
                "use hydra/launcher=basic for this one."
            )
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        HydraConfig.instance().set_config(self.config)  # for interpolations such as ${hydra:runtime.cwd}
        composer = JobComposer(self.hydra_context.config_loader, self.config)
        configs = [composer.compose(overrides) for overrides in job_overrides]
        return configs, train.checked_trials(configs)

    def _begun(self, leaving: ExitStack, trials: "Sequence[TrialConfig]") -> "Sweep":
        """The sweep of this block; begun with the first batch that is right, so that a mistake leaves nothing."""
        if self._sweep is None:
            from pipelines import train  # noqa: PLC0415  # the entry point imports Hydra, which imports this module

            self._sweep = leaving.enter_context(train.begun_sweep())
            self._sweep.expect(self._expected)
            identity = self._sweep.begin(trials)
            if self._on_begin is not None:
                self._on_begin(identity)
            self._keep_command()
        return self._sweep

    def _keep_command(self) -> None:
        """Write what the command line meant."""
        folder = Path(str(self.config.hydra.sweep.dir))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self.config, folder / "multirun.yaml")
        except OSError as error:
            raise unwritable("hydra.sweep.dir", folder, error) from error


def _status(score: float | None, *, is_lost: bool) -> JobStatus:
    if score is not None:
        return JobStatus.COMPLETED
    return JobStatus.UNKNOWN if is_lost else JobStatus.FAILED


def _job_return(
    config: DictConfig, overrides: Sequence[str], status: JobStatus, score: float | None, *, number: int
) -> JobReturn:
    what = " ".join(filter_overrides(overrides))
    failed = UserError(f"Trial {number} ({what}) ended without a model; its FAILED run in MLflow says why.")
    return JobReturn(
        overrides=list(overrides),
        cfg=config,
        working_dir=str(Path.cwd()),
        task_name=JobRuntime.instance().get("name"),
        status=status,
        _return_value=failed if score is None else score,
    )
