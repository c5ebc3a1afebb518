"""What tells the trials of a sweep apart: parameters by name, those that were swept, a short name for each trial."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.config.schema import TrialConfig
from pipelines.config.scopes import without


def flat_params(trial: TrialConfig) -> dict[str, str | int | float]:
    """A trial's configuration as `group.field` -> value, without what belongs to the sweep."""
    flat: dict[str, str | int | float] = {}

    def descend(prefix: str, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, dict):
                descend(f"{prefix}{name}.", value)
            else:
                flat[prefix + name] = value if isinstance(value, str | int | float) else _spelled(value)

    descend("", without(trial, "sweep"))
    return flat


def swept_names(trials: Sequence[TrialConfig]) -> list[str]:
    """Parameters that differ between the trials that have them; the constants of one optimizer alone do not count."""
    flats = [flat_params(trial) for trial in trials]
    names = dict.fromkeys(name for flat in flats for name in flat)
    return [name for name in names if len({flat[name] for flat in flats if name in flat}) > 1]


def swept_beside(trial: TrialConfig, trials: Sequence[TrialConfig]) -> list[str]:
    """`swept_names` of those that are recorded beside this trial: on the same source, however it is divided."""
    return swept_names([other for other in trials if _source(other) == _source(trial)])


def trial_name(trial: TrialConfig, swept: Sequence[str]) -> str:
    """A short name that tells a trial from its neighbours: `adam lr=0.01 dropout=0.2`."""
    flat = flat_params(trial)
    fields = Counter(_field(name) for name in swept)
    parts = [
        str(flat[name])
        if name.endswith(".kind")
        else f"{_field(name) if fields[_field(name)] == 1 else name}={_short(flat[name])}"
        for name in swept
        if name in flat and name != "optimizer.kind"
    ]
    return " ".join([trial.optimizer.kind, *parts] if "optimizer.kind" in swept or not parts else parts)


def _source(trial: TrialConfig) -> tuple[str | None, ...]:
    return trial.data.name, trial.data.source, trial.data.path


def _field(name: str) -> str:
    return name.rpartition(".")[2]


def _spelled(value: Sequence[Any] | None) -> str:
    """As it is typed."""
    return "null" if value is None else str(list(value))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)  # what a search proposes has 17 digits
