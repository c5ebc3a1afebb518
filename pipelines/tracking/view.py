"""A saved view of a sweep for MLflow's UI: parallel coordinates of what was swept, and the curves below.

MLflow's UI makes no parallel coordinates by itself. A saved view is an experiment tag in a format of the UI's own
(read in MLflow 3.17: `mlflow.sharedViewState.<id>`). A UI that no longer knows it shows its usual charts.
"""

import base64
import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.errors import UserError
from pipelines.tracking.recorder import Recorder

TAG_PREFIX = "mlflow.sharedViewState."
RUN_COLOR = "mlflow.runColor"  # tag of a run; left alone, the UI draws colours by lot, and of six runs three have one
# Of Tableau, as many as there are runs in the curves: strong ones first, then the same in pale.
COLORS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
    *("#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7", "#dbdb8d", "#9edae5"),
)
RUNS_SHOWN = "FIRST_20_RUNS"  # in the curves; the parallel coordinates show all
CHARTS_A_ROW = {"Sweep": 1, "Curves": 3}  # in the sections, in their order on the page


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a view compares.

    Attributes:
        sweep: the value of the runs' tag `sweep`.
        params: names of the swept parameters, as recorded.
        metric: the primary metric, as recorded, e.g. `validation/roc_auc`.
        best: which values of it are better.
        curves: names of curves, drawn over the epochs.
    """

    sweep: str
    params: Sequence[str]
    metric: str
    best: Literal["highest", "lowest"]
    curves: Sequence[str]


def run_color(place: int) -> str:
    """Of the trial at this place in its sweep; no two of twenty neighbours have the same.

    Args:
        place: from 0.
    """
    return COLORS[place % len(COLORS)]


def save_comparison_view(recorder: Recorder, comparison: Comparison) -> str:
    """Save the view in the experiment and return the part of the UI's address after `/`.

    A view that cannot be saved costs nothing else: the address then leads to the UI's own charts.
    """
    view_id = _stable_id("view", comparison.sweep)[:16]
    try:
        experiment = recorder.tag_experiment(TAG_PREFIX + view_id, view_tag(comparison))
    except UserError:
        return "#/experiments"
    return (
        f"#/experiments/{experiment}/runs"
        f"?viewStateShareKey={view_id}&compareRunsMode=CHART&workflowType=machine_learning"
    )


def view_tag(comparison: Comparison) -> str:
    """Write the tag's value: the view's name and times, and its state, packed as the UI packs it."""
    now = time.time_ns() // 1_000_000
    packed = base64.b64encode(zlib.compress(json.dumps(_state(comparison)).encode())).decode()
    return json.dumps(
        {"name": f"Sweep {comparison.sweep}", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    )


def _stable_id(*words: str) -> str:
    # The same sweep saved again replaces its view, and its address stays.
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _state(comparison: Comparison) -> dict[str, Any]:
    sections = {name: _uuid(comparison, "section", name) for name in CHARTS_A_ROW}
    return {
        "searchFilter": f"tags.sweep = '{comparison.sweep}'",
        "orderByKey": f"metrics.`{comparison.metric}`",
        "orderByAsc": comparison.best == "lowest",
        "selectedColumns": [f"metrics.`{comparison.metric}`", *(f"params.`{name}`" for name in comparison.params)],
        "runsHiddenMode": RUNS_SHOWN,
        "compareRunCharts": [
            _parallel_chart(comparison, sections["Sweep"]),
            *(_line_chart(comparison, curve, sections["Curves"]) for curve in comparison.curves),
        ],
        "compareRunSections": [
            {"uuid": section, "name": name, "display": True, "isReordered": True, "columns": CHARTS_A_ROW[name]}
            for name, section in sections.items()
        ],
        "isAccordionReordered": True,
    }


def _parallel_chart(comparison: Comparison, section: str) -> dict[str, Any]:
    return {
        "type": "PARALLEL",
        "uuid": _uuid(comparison, "chart", "parallel"),
        "metricSectionId": section,
        "deleted": False,
        "selectedParams": list(comparison.params),
        "selectedMetrics": [comparison.metric],
        "showAllRuns": True,
    }


def _line_chart(comparison: Comparison, curve: str, section: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "uuid": _uuid(comparison, "chart", curve),
        "metricSectionId": section,
        "deleted": False,
        "metricKey": curve,
        "displayPoints": False,
        "lineSmoothness": 0,
        # A loss falls, or explodes, by powers of ten: one that does would press all others onto the axis.
        "scaleType": "log" if curve.endswith("loss") else "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _uuid(comparison: Comparison, *words: str) -> str:
    return str(uuid.UUID(_stable_id(comparison.sweep, *words)[:32]))
