"""The README's command for folds: cross-validation in one stack, and all folds of the best trial behind HTTP."""

from pathlib import Path

import numpy as np
import pytest

from serving.bundle import open_bundle
from tests.commands import champion, of_kind, runs, server, train, write_houses

pytestmark = pytest.mark.slow
N_FOLDS = 5


def test_a_sweep_on_folds_is_recorded_with_its_spread_and_served_whole(tmp_path: Path) -> None:
    write_houses(tmp_path / "houses.csv")
    command = ["-m", "data=table", "data.path=houses.csv", "data.target=price", f"data.folds={N_FOLDS}"]
    command += ["ensemble=bagging", "seed=0,1", "optimizer.lr=0.003,0.03", "trainer.max_epochs=40"]
    printed = train(tmp_path, *command)
    assert "in 5 folds" in printed
    assert "Plan: 4 trials in 1 stack" in printed
    assert "stack 0: 20 members" in printed
    assert " ± " in printed

    found = runs(tmp_path, "houses")
    trials = of_kind(found, "trial")
    assert len(trials) == 4
    for own in trials:
        of_folds = [own.data.metrics[f"fold_{fold}/rmse"] for fold in range(N_FOLDS)]
        assert own.data.metrics["validation/rmse"] == pytest.approx(np.mean(of_folds))
        assert own.data.metrics["validation/rmse_std"] == pytest.approx(np.std(of_folds, ddof=1))
    best = champion(found)
    assert best.data.metrics["validation/rmse"] == min(own.data.metrics["validation/rmse"] for own in trials)
    assert best.data.metrics["test/r2"] > 0.9

    contract = open_bundle(tmp_path / "var/bundles/houses/1").contract
    assert [member.run_id for member in contract.lineage.members] == [best.info.run_id] * N_FOLDS
    row = {"area": None, "rooms": 4, "town": "Berlin", "garden": True, "sold": "2021-05-01"}
    with server(tmp_path) as served:
        answer = served.post("/predict", json={"rows": [row, row | {"area": 150.5, "town": "Köln"}]})
        assert answer.status_code == 200, answer.text
        assert np.isfinite([own["value"] for own in answer.json()["predictions"]]).all()
