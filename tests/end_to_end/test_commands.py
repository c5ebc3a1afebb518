"""Further commands of the README: a linear model that finds the truth, one's own table, the same numbers twice."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from pipelines.config.schema import DataConfig
from pipelines.data import prepare_table
from pipelines.data.builtin import ICE_CREAM_COEFFICIENTS
from tests.commands import champion, of_kind, run, runs, server, train, write_houses

pytestmark = pytest.mark.slow


def ice_cream() -> DataConfig:
    return DataConfig(
        source="ice_cream",
        name=None,
        drop=(),
        categorical=(),
        numeric=(),
        group=None,
        time=None,
        validation_fraction=0.2,
        test_fraction=0.2,
        calibration_fraction=0.3,
        folds=0,
        split_seed=0,
    )


def test_the_linear_model_finds_the_ice_cream_coefficients(tmp_path: Path) -> None:
    train(tmp_path, "experiment=ice_cream_linear")
    (table,) = tmp_path.glob("var/artifacts/ice_cream/*/artifacts/coefficients.json")
    found = {feature: value for _, feature, value in json.loads(table.read_text())["data"]}
    assert found.keys() == ICE_CREAM_COEFFICIENTS.keys()

    prepared = prepare_table(ice_cream(), "auto")
    rows = prepared.train.rows
    columns = [column.name for column in prepared.table.columns]
    squares = LinearRegression().fit(prepared.table.features[rows].to_numpy(), prepared.train.target)
    least_squares = dict(zip(["intercept", *columns], [squares.intercept_, *squares.coef_], strict=True))
    for name, truth in ICE_CREAM_COEFFICIENTS.items():
        assert found[name] == pytest.approx(truth, rel=0.02)
        assert found[name] == pytest.approx(least_squares[name], rel=0.01)


def test_two_runs_of_one_command_give_the_same_numbers(tmp_path: Path) -> None:
    numbers = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        train(folder, "-m", "data=iris", "optimizer=adam,sgd", "optimizer.lr=0.01,0.1", "trainer.max_epochs=15")
        found = runs(folder, "iris")
        assert len(of_kind(found, "trial")) == 4
        numbers.append(
            sorted(
                (own.info.run_name, sorted((key, value) for key, value in own.data.metrics.items() if key != "seconds"))
                for own in found
            )
        )
    assert numbers[0] == numbers[1]


def test_ones_own_table_is_trained_and_served(tmp_path: Path) -> None:
    write_houses(tmp_path / "houses.csv")
    printed = train(
        tmp_path,
        "-m",
        "data=table",
        "data.path=houses.csv",
        "data.target=price",
        "optimizer=adam,nesterov",
        "optimizer.lr=0.003,0.03",
    )
    assert "houses: 300 rows, 5 columns (180 train, 42 validation, 18 calibration, 60 test)" in printed
    assert champion(runs(tmp_path, "houses")).data.metrics["test/r2"] > 0.9
    row = {"area": None, "rooms": 4, "town": "Berlin", "garden": True, "sold": "2021-05-01"}
    with server(tmp_path) as address:
        for path in ("/predict", "/models/houses/predict"):
            answer = httpx.post(address + path, json={"rows": [row, row | {"area": 150.5, "town": "Köln"}]})
            assert answer.status_code == 200, answer.text
            values = [own["value"] for own in answer.json()["predictions"]]
            assert np.isfinite(values).all()
            assert 100_000 < values[1] < 900_000
        refused = httpx.post(f"{address}/predict", json={"rows": [row | {"sold": None}]})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["path"] == ["rows", 0, "sold"]


def test_a_sweep_in_which_a_trial_diverges_says_so_and_succeeds(tmp_path: Path) -> None:
    train(tmp_path, "-m", "data=diabetes", "optimizer=sgd", "optimizer.lr=0.05,1e30", "trainer.max_epochs=5")
    found = of_kind(runs(tmp_path, "diabetes"), "trial")
    assert sorted(own.info.status for own in found) == ["FAILED", "FINISHED"]
    (failed,) = [own for own in found if own.info.status == "FAILED"]
    assert "learning rate 1e+30" in failed.data.tags["failure"]
    assert "Try a smaller optimizer.lr" in failed.data.tags["failure"]


def test_all_trials_diverging_ends_with_their_reasons(tmp_path: Path) -> None:
    done = run(tmp_path, "pipelines.train", "data=diabetes", "optimizer=sgd", "optimizer.lr=1e30")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Try a smaller optimizer.lr" in done.stderr
    assert {own.info.status for own in runs(tmp_path, "diabetes")} == {"FAILED"}
    assert not (tmp_path / "var/bundles").exists()


def test_a_mistake_in_the_table_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n3\n5,6\n")
    done = run(tmp_path, "pipelines.train", "data=table", "data.path=broken.csv", "data.target=b")
    assert done.returncode == 2
    assert "broken.csv, line 3: 1 fields where the header has 2" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "var/mlflow.db").exists()
