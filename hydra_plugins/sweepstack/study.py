"""One search as an Optuna study: opened or continued, asked a batch at a time, told scores.

Trials of a study carry what was proposed for them and the number of their batch, so that a study can be continued as
the sweep that it is: what an interruption left is asked again.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.sweepstack.space import SearchSpace
from hydra_plugins.sweepstack.storage import open_storage
from pipelines.config.schema.search import SearchConfig
from pipelines.errors import UserError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FIXED, SWEEP = "fixed overrides", "sweep"  # attributes of the study
PROPOSED, BATCH, SIZE = "proposed overrides", "batch", "batch size"  # of its trials


@dataclass(frozen=True)
class Asked:
    """A trial that Optuna proposed.

    Attributes:
        number: in the study.
        overrides: what it is trained with.
    """

    number: int
    overrides: list[str]


@contextmanager
def open_search(config: SearchConfig, space: SearchSpace) -> Iterator["Search"]:
    """Open the study that the settings name, for this command alone, or one in memory.

    Raises:
        UserError: the study cannot be opened, was begun with another space or other fixed values, or its database
            fails on the way.
    """
    import optuna  # noqa: PLC0415  Hydra imports this module at every start

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it announces is in our own lines
    if config.study is None:
        yield Search(optuna.create_study(direction="maximize"), config, space)
        return
    with open_storage(config.storage, study=config.study) as storage:
        study = optuna.create_study(storage=storage, study_name=config.study, direction="maximize", load_if_exists=True)
        if study.direction != optuna.study.StudyDirection.MAXIMIZE:
            raise UserError(
                f"The study {config.study!r} is not ours: it minimises. Choose another hydra.sweeper.study."
            )
        yield Search(study, config, space)


class Search:
    """A study in the terms of this project.

    Args:
        study: open; `open_search` closes it.
        config: how trials are proposed.
        space: what is searched.

    Attributes:
        n_asked: trials that the study has; one that was interrupted while it was asked never was a trial of ours.
        differences: in words, what is searched otherwise than before.

    Raises:
        UserError: the study was begun with another space or other fixed values.
    """

    def __init__(self, study: "optuna.Study", config: SearchConfig, space: SearchSpace) -> None:
        self._space = space
        self._config = config
        self._distributions = space.distributions()
        self._study = study
        self._give_up_half_asked()
        self.n_asked = len(self._ours())
        searched = _searched(self._study)
        _refuse_other_space(self._study.study_name, searched, self._distributions)
        _keep_fixed(self._study, space.compared)
        self.differences = list(_differences(searched, self._distributions)) if searched else []

    def keep_sweep(self, identity: str) -> None:
        """The trials of a study are those of one sweep: on the same rows, with the same nets.

        Args:
            identity: what tells the sweep from others.

        Raises:
            UserError: it was another one when the study was begun.
        """
        known = self._study.user_attrs.get(SWEEP)
        if known is None:
            self._study.set_user_attr(SWEEP, identity)
        elif known != identity:
            raise UserError(
                f"The study {self._study.study_name!r} was begun on another table, with another net of your own or "
                "with other values in conf/: its trials would be trained anew, and their scores could not be compared "
                "with those that it has. Begin another study: hydra.sweeper.study=<name>."
            )

    def earlier_batches(self) -> Iterator[list[Asked]]:
        """What a study that is continued has asked until now, in order.

        One that was interrupted while it was asked is asked to its end, with all that was told before.
        """
        batches: dict[int, list[FrozenTrial]] = {}
        for trial in self._ours():
            batches.setdefault(trial.user_attrs[BATCH], []).append(trial)
        for number, trials in sorted(batches.items()):
            size = trials[0].user_attrs.get(SIZE, 0)
            asked = [Asked(trial.number, self._space.overrides(trial.user_attrs[PROPOSED])) for trial in trials]
            yield [*asked, *(self._ask_one(number, size) for _ in range(size - len(asked)))]

    def ask(self, n_trials: int) -> list[Asked]:
        """Propose a batch."""
        number = 1 + max((trial.user_attrs[BATCH] for trial in self._ours()), default=-1)
        return [self._ask_one(number, n_trials) for _ in range(n_trials)]

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Answer a batch.

        Args:
            scores: by the number of the trial, greater is better; None for one that ended without a model.
        """
        from optuna.trial import TrialState  # noqa: PLC0415  Hydra imports this module at every start

        for number, score in scores.items():
            failed = score is None or not math.isfinite(score)
            state = TrialState.FAIL if failed else TrialState.COMPLETE
            # A trial of an earlier run may have been told before an interruption.
            self._study.tell(number, None if failed else score, state=state, skip_if_finished=True)

    def best_overrides(self) -> list[list[str]]:
        """What the best trials have beside the fixed values: of several that score alike each once, the first first.

        Empty when no trial ended with a model.
        """
        told = [(trial.value, trial.user_attrs[PROPOSED]) for trial in self._ours() if trial.value is not None]
        greatest = max((value for value, _ in told), default=None)
        best = dict.fromkeys(tuple(proposed) for value, proposed in told if value == greatest)
        return [list(proposed) for proposed in best]

    def _ours(self) -> "list[FrozenTrial]":
        return [trial for trial in self._study.get_trials(deepcopy=False) if PROPOSED in trial.user_attrs]

    def _give_up_half_asked(self) -> None:
        """An interruption may leave a trial that never was one of ours; as a running one it would sway the sampler."""
        from optuna.trial import TrialState  # noqa: PLC0415  Hydra imports this module at every start

        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if PROPOSED not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _ask_one(self, batch: int, size: int) -> Asked:
        self._study.sampler = _sampler(self._config, place=self.n_asked)
        trial = self._study.ask(self._distributions)
        proposed = self._space.proposed({key: trial.params[key] for key in self._distributions})
        trial.set_user_attr(BATCH, batch)
        trial.set_user_attr(SIZE, size)
        trial.set_user_attr(PROPOSED, proposed)  # last: it makes the trial one of ours
        self.n_asked += 1
        return Asked(trial.number, self._space.overrides(proposed))


def _sampler(config: SearchConfig, *, place: int) -> "optuna.samplers.BaseSampler":
    """Who proposes the trial at this place of the study: the same, whatever was interrupted before."""
    from numpy.random import SeedSequence  # noqa: PLC0415  Hydra imports this module at every start
    from optuna.samplers import RandomSampler, TPESampler  # noqa: PLC0415  Hydra imports this module at every start

    seed = int(SeedSequence([config.seed, place]).generate_state(1)[0])
    if config.sampler == "qmc":
        return _qmc_sampler(config.seed, place=place, independent=RandomSampler(seed=seed))
    return RandomSampler(seed=seed) if config.sampler == "random" else TPESampler(seed=seed)


def _qmc_sampler(seed: int, *, place: int, independent: "optuna.samplers.BaseSampler") -> "optuna.samplers.BaseSampler":
    """One that takes the point of its sequence that belongs to this place; the first trial is the other sampler's.

    Optuna counts points in the study as it draws them, so that a trial which is interrupted then would use one up.
    """
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415  Hydra imports this module at every start
    from optuna.samplers import QMCSampler  # noqa: PLC0415  likewise

    class PlacedQMCSampler(QMCSampler):
        def _find_sample_id(self, *_: object) -> int:
            return max(0, place - 1)

    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return PlacedQMCSampler(
            seed=seed, scramble=True, independent_sampler=independent, warn_independent_sampling=False
        )


def _searched(study: "optuna.Study") -> dict[str, "BaseDistribution"]:
    """What the trials of a study were drawn from, each value as it was first searched."""
    searched: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        searched = {**trial.distributions, **searched}
    return searched


def _refuse_other_space(
    study: str, searched: Mapping[str, "BaseDistribution"], distributions: Mapping[str, "BaseDistribution"]
) -> None:
    """Optuna can move the bounds of a study, and cannot exchange its choices.

    What is searched no longer would be a fixed value that earlier trials do not share; what is searched from now on
    had one value until now, and may vary.
    """
    from optuna.distributions import check_distribution_compatibility  # noqa: PLC0415  Hydra imports this at every start

    other = "or begin another study: hydra.sweeper.study=<name>."
    if missing := sorted(searched.keys() - distributions.keys()):
        raise UserError(
            f"The study {study!r} has searched {', '.join(missing)}, and this command does not: the trials of "
            "a study share all that is not searched, so that their scores can be compared. "
            f"Search it as well, {other}"
        )
    for key, before in searched.items():
        try:
            check_distribution_compatibility(before, distributions[key])
        except ValueError as error:
            raise UserError(
                f"The study {study!r} was begun with another list of values for {key}. Search the same list, {other}"
            ) from error


def _differences(
    searched: Mapping[str, "BaseDistribution"], distributions: Mapping[str, "BaseDistribution"]
) -> Iterator[str]:
    for key, now in sorted(distributions.items()):
        if key not in searched:
            yield f"{key} is new, until now it was as configured"
        elif searched[key] != now:
            yield f"{key} was {_range(searched[key])}, is {_range(now)}"


def _range(distribution: Any) -> str:
    """The bounds of numbers: lists of values cannot differ."""
    by = "" if distribution.step in (None, 1) else f" by {distribution.step}"
    return f"{distribution.low} to {distribution.high}{by}"


def _keep_fixed(study: "optuna.Study", fixed: list[str]) -> None:
    """A study's scores can be compared only if all of its trials share everything that is not searched."""
    known: Any = study.user_attrs.get(FIXED)
    if known is None:
        study.set_user_attr(FIXED, list(fixed))
    elif known != fixed:
        raise UserError(
            f"The study {study.study_name!r} was begun with {' '.join(known) or 'no other values'}, not with "
            f"{' '.join(fixed) or 'none'}: its scores could not be compared. "
            "Begin another study: hydra.sweeper.study=<name>."
        )
