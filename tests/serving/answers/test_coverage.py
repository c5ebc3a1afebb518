"""Coverage is what was promised: intervals and sets of an exported model, from the server, for rows new to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.config.schema import TaskKind
from pipelines.data.prepare import PreparedTable, raw_rows
from pipelines.export import calibrate, publish_bundle, publish_champion, write_bundle
from tests.export.bundles import METRICS, MODELS, ORIGIN
from tests.export.tables import drawn_members, mixed_table, task_of
from tests.serving.asking import app_of, ask

N_ROWS = 8000  # a quarter calibrates, a quarter is asked


def export_calibrated(root: Path, kind: TaskKind) -> PreparedTable:
    table = mixed_table(kind, n_rows=N_ROWS)
    prepared = replace(table, calibration=table.validation)  # it chose nothing: these members are not trained
    members, task = drawn_members(prepared, MODELS[kind]), task_of(prepared)
    bundle = write_bundle(
        root / "workshop",
        prepared=prepared,
        task=task,
        members=members,
        metrics=METRICS,
        origin=ORIGIN,
        calibration=calibrate(members, prepared=prepared, task=task),
    )
    publish_bundle(bundle, root=root / "bundles", name="mixed", version=1)
    publish_champion(root=root / "bundles", name="mixed", version=1)
    return prepared


@pytest.mark.parametrize("kind", MODELS)
def test_new_rows_are_covered_as_often_as_was_asked(kind: TaskKind, tmp_path: Path):
    prepared = export_calibrated(tmp_path, kind)
    app = app_of(tmp_path / "bundles")
    assert prepared.calibration is not None
    n_calibrated, n_tested = len(prepared.calibration.rows), len(prepared.test.rows)
    request = {"rows": raw_rows(prepared.table, prepared.test.rows)}
    truth = prepared.test.target
    for coverage in (0.8, 0.9, 0.95):
        answer = ask(app, "POST", f"/models/mixed/predict?coverage={coverage}", json=request).json()
        assert answer["coverage"] == coverage
        if kind == "regression":
            ends = np.array([list(own["interval"].values()) for own in answer["predictions"]])
            held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        else:
            labels = np.array(prepared.table.target.classes)[truth]
            sets = [own["label_set"] for own in answer["predictions"]]
            held = np.array([label in labels for label, labels in zip(labels, sets, strict=True)])
        # That of the calibration (a beta distribution), and that of the count on new rows.
        deviation = np.sqrt(coverage * (1 - coverage) * (1 / (n_calibrated + 2) + 1 / n_tested))
        assert abs(held.mean() - coverage) <= 2 * deviation
