"""The table that a sweep ends with: the best trials, the ensemble and the baselines, side by side.

Not here: how they were chosen (`selection`); this only prints what it is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.config.schema import METRICS_OF, MetricName
from pipelines.selection.baselines import BaselineResult
from pipelines.selection.scores import tie_break_metric
from pipelines.sweeps.finalists import Finalist, Finalists
from pipelines.sweeps.run import TrialOutcome
from pipelines.tasks.metrics import HIGHER_IS_BETTER, score
from pipelines.tasks.task import Task

SHOWN_METRICS = 3
SHOWN_TRIALS = 5
LEAST_PLAIN, MOST_PLAIN = 1e-3, 1e9  # beyond them a value's digits, and not its zeros, are shown


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        name: of the model's run.
        kind: trial, ensemble or baseline.
        validation: metrics on the part that chose between trials.
        test: metrics on the part that nothing was chosen by; empty for a model that was not chosen.
        is_champion: this one becomes a version of the model.
        errors: standard errors of validation metrics, where these are means over folds.
    """

    name: str
    kind: str
    validation: Mapping[MetricName, float]
    test: Mapping[MetricName, float]
    is_champion: bool = False
    errors: Mapping[MetricName, float] = field(default_factory=dict)


def leaderboard_rows(
    finalists: Finalists,
    outcomes: Sequence[TrialOutcome],
    baselines: Sequence[BaselineResult],
    *,
    test: Mapping[MetricName, float],
    task: Task,
) -> list[Row]:
    """The ensemble, the best trials and the baselines; what the champion scores on the test part."""

    def test_of(finalist: Finalist) -> Mapping[MetricName, float]:
        return test if finalist is finalists.champion else {}

    trained = [outcome for outcome in outcomes if outcome.result.failure is None]
    metrics = (task.metric, tie_break_metric(task))

    def quality(outcome: TrialOutcome) -> tuple[float, ...]:
        return tuple(score(metric, outcome.result.metrics[metric]) for metric in metrics)

    ranked = sorted(trained, key=quality, reverse=True)
    (best,) = finalists.best.members
    rows = []
    if (ensemble := finalists.ensemble) is not None:
        name = f"ensemble of {len(ensemble.members)}"
        is_champion = ensemble is finalists.champion
        rows.append(Row(name, "ensemble", ensemble.selection.metrics, test_of(ensemble), is_champion=is_champion))
    for outcome in [outcomes[best], *(other for other in ranked if other is not outcomes[best])][:SHOWN_TRIALS]:
        is_best = outcome is outcomes[best]
        on_test = test_of(finalists.best) if is_best else {}
        is_champion = is_best and finalists.champion is finalists.best
        result = outcome.result
        errors = result.standard_errors
        rows.append(Row(outcome.name, "trial", result.metrics, on_test, is_champion=is_champion, errors=errors))
    return rows + [Row(baseline.name, "baseline", baseline.validation, baseline.test) for baseline in baselines]


def render_leaderboard(name: str, rows: Sequence[Row], task: Task) -> str:
    """Rows as aligned text below the table's name, the primary metric first; `*` marks the champion."""
    better = "higher" if HIGHER_IS_BETTER[task.metric] else "lower"
    title = f"{name}: {task.kind}, ranked by {task.metric} ({better} is better)"
    metrics = [task.metric, *(other for other in METRICS_OF[task.kind] if other != task.metric)][:SHOWN_METRICS]
    header = ["", "model", "kind", *(f"validation {name}" for name in metrics), *(f"test {name}" for name in metrics)]
    lines = [header]
    lines += [
        [
            "*" if row.is_champion else "",
            row.name,
            row.kind,
            *(_shown(row.validation.get(name), error=row.errors.get(name)) for name in metrics),
            *(_shown(row.test.get(name)) for name in metrics),
        ]
        for row in rows
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(
        [title, body[0], "-" * len(body[0]), *body[1:], "* is chosen; test is looked at once, for it and the baselines"]
    )


def _shown(value: float | None, *, error: float | None = None) -> str:
    if value is None:
        return "-"
    size = abs(value)
    if size != 0 and not LEAST_PLAIN <= size < MOST_PLAIN:  # also infinity, and what is not a number
        return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"
    digits = ".4f" if size < 1000 else ",.1f"  # noqa: PLR2004  four digits
    return f"{value:{digits}}" if error is None else f"{value:{digits}} ± {error:{digits}}"
