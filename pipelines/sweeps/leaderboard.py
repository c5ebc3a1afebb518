"""The table that a sweep ends with: the best trials, the ensemble and the baselines, side by side.

Not here: how they were chosen (`selection`); this only prints what it is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.config.schema import METRICS_OF, MetricName
from pipelines.tasks.task import Task

SHOWN_METRICS = 3


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        name: of the model's run.
        kind: trial, ensemble or baseline.
        validation: metrics on the part that chose between trials.
        test: metrics on the part that nothing was chosen by; empty for a model that was not chosen.
        is_champion: this one is served.
        errors: standard errors of validation metrics, where these are means over folds.
    """

    name: str
    kind: str
    validation: Mapping[MetricName, float]
    test: Mapping[MetricName, float]
    is_champion: bool = False
    errors: Mapping[MetricName, float] = field(default_factory=dict)


def render_leaderboard(title: str, rows: Sequence[Row], task: Task) -> str:
    """Rows as aligned text, the primary metric first; `*` marks the champion."""
    metrics = [task.metric, *(name for name in METRICS_OF[task.kind] if name != task.metric)][:SHOWN_METRICS]
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
        [title, body[0], "-" * len(body[0]), *body[1:], "* is served; test is looked at once, for it and the baselines"]
    )


def _shown(value: float | None, *, error: float | None = None) -> str:
    if value is None:
        return "-"
    digits = ".4f" if abs(value) < 1000 else ",.1f"  # noqa: PLR2004  four digits
    return f"{value:{digits}}" if error is None else f"{value:{digits}} ± {error:{digits}}"
