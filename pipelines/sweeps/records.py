"""What a sweep writes down: trials, the ensemble and the baselines as run records."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipelines.config.schema import MetricName, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.selection.baselines import BaselineResult
from pipelines.sweeps.coefficients import coefficient_table
from pipelines.sweeps.trial_names import flat_params, trial_name
from pipelines.sweeps.trial_result import TrialResult
from pipelines.tasks.task import Task
from pipelines.tracking.recorder import RunRecord

# Shown for every run, swept or not: what a reader of a single run looks for.
ALWAYS_SHOWN = ("model.kind", "optimizer.kind", "optimizer.lr", "trainer.max_epochs", "trainer.batch_size", "seed")
DIGITS = 16  # of an ensemble's identity: 64 bits
MILLISECONDS_A_SECOND = 1000


@dataclass(frozen=True)
class Period:
    """When something ran, in seconds since 1970, UTC."""

    started: float
    ended: float

    @property
    def start_ms(self) -> int:
        """As a run record has it."""
        return int(self.started * MILLISECONDS_A_SECOND)

    @property
    def end_ms(self) -> int:
        """Likewise."""
        return int(self.ended * MILLISECONDS_A_SECOND)


def trial_record(
    trial: TrialConfig,
    result: TrialResult,
    *,
    identity: str,
    swept: Sequence[str],
    tags: Mapping[str, str],
    period: Period,
    prepared: PreparedTable,
    task: Task,
) -> RunRecord:
    """The run of one trial; FAILED, with the reason, when it diverged, KILLED when it was lost."""
    flat = flat_params(trial)
    shown = [name for name in dict.fromkeys((*ALWAYS_SHOWN, *swept)) if name in flat]
    failed = result.failure is not None
    tables = {}
    if trial.model.kind == "linear" and not failed:
        tables["coefficients.json"] = coefficient_table([member.weights for member in result.members], prepared, task)
    if prepared.folds and not failed:
        tables["folds.json"] = _fold_table(result)
    return RunRecord(
        name=trial_name(trial, swept),
        identity=identity,
        status="KILLED" if result.is_lost else "FAILED" if failed else "FINISHED",
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        params={name: flat[name] for name in shown},
        tags={"kind": "trial", **tags, **({"failure": result.failure} if result.failure else {})},
        metrics=_trial_metrics(result),
        curves=result.curves,
        texts={"config.json": json.dumps(without(trial), indent=2)},
        tables=tables,
    )


def _trial_metrics(result: TrialResult) -> dict[str, float]:
    """With folds `validation/rmse` is the mean over them, `_std` and `_se` how far they lie apart, `fold_0/rmse` one's.

    A trial that failed in one fold has no mean.
    """
    spread = {f"{name}_std": value for name, value in result.deviations.items()}
    spread |= {f"{name}_se": value for name, value in result.standard_errors.items()}
    metrics = _validation(result.metrics) | _validation(spread)
    if result.deviations:
        for fold, member in enumerate(result.members):
            metrics |= prefixed(f"fold_{fold}", member.metrics)
    return metrics | {"epochs": result.epochs, "best_epoch": result.best_epoch}


def _fold_table(result: TrialResult) -> dict[str, list[str | float | int]]:
    """One row a fold: how long its member trained, and what it scores on the rows that it never saw."""
    columns: dict[str, list[str | float | int]] = {
        "fold": list(range(len(result.members))),
        "epochs": [member.epochs for member in result.members],
        "best_epoch": [member.best_epoch for member in result.members],
    }
    return columns | {name: [member.metrics[name] for member in result.members] for name in result.metrics}


class EnsembleMember(NamedTuple):
    """A member of an ensemble: its run, its trial's identity, which is the same in every store, and its weight."""

    run_id: str
    identity: str
    weight: float


def ensemble_record(
    members: Sequence[EnsembleMember],
    metrics: Mapping[MetricName, float],
    *,
    tags: Mapping[str, str],
    period: Period,
) -> RunRecord:
    """The run of an ensemble; a sweep that is continued, or chooses otherwise, may have several.

    Args:
        members: of it.
        metrics: on the validation part.
        tags: of the sweep.
        period: of its selection.
    """
    content = json.dumps(sorted((member.identity, member.weight) for member in members))
    return RunRecord(
        name=f"ensemble of {len(members)}",
        identity=f"ensemble {hashlib.sha256(content.encode()).hexdigest()[:DIGITS]}",
        status="FINISHED",
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        params={"n_members": len(members)},
        tags={"kind": "ensemble", **tags},
        metrics=_validation(metrics),
        tables={
            "members.json": {
                "member": [member.run_id for member in members],
                "weight": [member.weight for member in members],
            }
        },
    )


def baseline_record(baseline: BaselineResult, *, tags: Mapping[str, str], period: Period) -> RunRecord:
    """The run of a baseline, with its one look at the test part."""
    return RunRecord(
        name=baseline.name,
        identity=f"baseline {baseline.name}",
        status="FINISHED",
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        params={"model.kind": baseline.name},
        tags={"kind": "baseline", **tags},
        metrics=_validation(baseline.validation) | prefixed("test", baseline.test) | {"seconds": baseline.seconds},
    )


def prefixed(part: str, metrics: Mapping[Any, float]) -> dict[str, float]:
    """Metric names as they are recorded: `test/rmse`."""
    return {f"{part}/{name}": value for name, value in metrics.items()}


def _validation(metrics: Mapping[Any, float]) -> dict[str, float]:
    return prefixed("validation", metrics)
