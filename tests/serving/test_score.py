"""`python -m serving.score`: the answers of the server, for whole files."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from serving import score
from serving.bundle import Calibration, Conformal
from serving.conformal import label_sets
from tests.serving.bundles import PATIENT_COLUMNS, publish_patients, publish_sales, run_directly

N_ROWS = 300
NOON = datetime(2021, 5, 6, 12)  # noqa: DTZ001  a table's own times have no zone


def patients(n_rows: int = N_ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "id": np.arange(n_rows),
            "age": rng.integers(1, 90, n_rows),
            "blood pressure": [None if missing else 80.5 for missing in rng.random(n_rows) < 0.2],
            "smoker": rng.random(n_rows) < 0.5,
            "city": rng.choice(["7", "Bern", "Zürich", "nowhere"], n_rows),
            "ward": rng.choice(["A", "B"], n_rows),
            "joined": [date(2020, 1, 1) + timedelta(days=int(days)) for days in rng.integers(0, 999, n_rows)],
            "left": [None if missing else NOON for missing in rng.random(n_rows) < 0.5],
        }
    )


def expected(frame: pl.DataFrame, folder: Path) -> np.ndarray:
    rows = [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items() if name != "id"}
        for row in frame.iter_rows(named=True)
    ]
    return run_directly((folder / "model.onnx").read_bytes(), PATIENT_COLUMNS, rows)


def written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)


def run(model: Path, source: Path, output: Path, *more: str) -> int:
    return score.main(["--model", str(model), "--input", str(source), "--output", str(output), *more])


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "PORTION_ROWS", 64)
    monkeypatch.setattr(score, "ROWS_AT_ONCE", 10)


@pytest.mark.parametrize(("source", "output"), [("rows.parquet", "out.parquet"), ("rows.csv", "out.csv")])
@pytest.mark.usefixtures("small_portions")
def test_every_row_is_answered_in_order_as_the_model_answers_it(tmp_path, capsys, source, output) -> None:
    folder = publish_patients(tmp_path / "bundles")
    frame = patients()
    assert run(folder, written(frame, tmp_path / source), tmp_path / output, "--keep", "id") == 0
    assert capsys.readouterr().out == f"{N_ROWS} predictions in {tmp_path / output}\n"
    found = read(tmp_path / output)
    assert found.columns == ["id", "prediction", "probability_low", "probability_middling", "probability_high"]
    assert found["id"].to_list() == list(range(N_ROWS))
    truth = expected(frame, folder)
    np.testing.assert_allclose(found.select(pl.selectors.starts_with("probability")).to_numpy(), truth, atol=1e-6)
    labels = np.array(["low", "middling", "high"])[truth.argmax(axis=1)]
    assert found["prediction"].to_list() == labels.tolist()
    left = [path.name for path in tmp_path.iterdir()]
    assert sorted(left) == sorted(["bundles", source, output]), "nothing else is left behind"


def test_a_folder_of_versions_stands_for_its_champion_and_a_regression_is_one_number(tmp_path) -> None:
    publish_sales(tmp_path / "bundles", version=2)
    frame = pl.DataFrame({"Temperatur in °C": [20.0, 30.5], "humidity": [None, 40]})
    source = written(frame, tmp_path / "rows.parquet")
    assert run(tmp_path / "bundles" / "ice cream", source, tmp_path / "out.parquet") == 0
    assert read(tmp_path / "out.parquet").schema == {"prediction": pl.Float32}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.usefixtures("small_portions")
def test_with_a_coverage_sets_of_labels_and_the_rules_used_are_written(tmp_path, suffix) -> None:
    conformal = Conformal(method="lac", rows=99, scores=tuple(np.linspace(0.5, 0.9, 99)))
    calibration = Calibration(conformal=conformal)
    folder = publish_patients(tmp_path / "bundles", calibration=calibration)
    source, out = written(patients(), tmp_path / "rows.parquet"), tmp_path / f"out.{suffix}"
    before = run(folder, source, out), read(out)
    assert run(folder, source, out, "--coverage", "0.5") == 0
    found = read(out)
    assert found.columns == [*before[1].columns, "in_set_low", "in_set_middling", "in_set_high", "rules"]
    sets = found.select(pl.selectors.starts_with("in_set")).to_numpy()
    probabilities = found.select(pl.selectors.starts_with("probability")).to_numpy()
    np.testing.assert_array_equal(sets, label_sets(calibration, probabilities, 0.5))
    assert 0 < sets.mean() < 1
    first = patients().row(0, named=True)
    missing = [f"{name}: missing" for name in ("blood pressure", "left") if first[name] is None]
    unseen = ["city: unseen"] if first["city"] == "nowhere" else []
    assert sorted(filter(None, (found["rules"][0] or "").split("; "))) == sorted([*missing, *unseen])


@pytest.mark.usefixtures("small_portions")
def test_with_a_coverage_a_value_has_an_interval(tmp_path) -> None:
    conformal = Conformal(method="absolute_residual", rows=9, scores=tuple(np.arange(1.0, 10.0)))
    publish_sales(tmp_path / "bundles", calibration=Calibration(conformal=conformal))
    frame = pl.DataFrame({"Temperatur in °C": [20.0, 30.5], "humidity": [None, 40]})
    source, out = written(frame, tmp_path / "rows.parquet"), tmp_path / "out.parquet"
    assert run(tmp_path / "bundles" / "ice cream", source, out, "--coverage", "0.8") == 0
    found = read(out)
    np.testing.assert_allclose(found["upper"] - found["lower"], 16, rtol=1e-6)
    assert found["rules"].to_list() == ["humidity: missing", ""]


@pytest.mark.usefixtures("small_portions")
def test_an_interrupted_run_goes_on_and_scores_no_portion_twice(tmp_path, monkeypatch, capsys) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source = written(patients(), tmp_path / "rows.parquet")
    answer, calls = score._answers, []

    def counting(*arguments, first_row, **more):
        if first_row == 128 and not any(own == "interrupted" for own in calls):
            calls.append("interrupted")
            raise KeyboardInterrupt
        calls.append(first_row)
        return answer(*arguments, first_row=first_row, **more)

    monkeypatch.setattr(score, "_answers", counting)
    assert run(folder, source, tmp_path / "out.parquet") == 130
    assert "goes on where it was" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
    assert run(folder, source, tmp_path / "out.parquet") == 0
    assert calls == [0, 64, "interrupted", 128, 192, 256]
    assert len(read(tmp_path / "out.parquet")) == N_ROWS


@pytest.mark.usefixtures("small_portions")
def test_portions_of_other_rows_or_another_model_do_not_count(tmp_path) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source = written(patients(), tmp_path / "rows.parquet")
    parts = tmp_path / ".out.parquet.parts"
    parts.mkdir()
    (parts / "job.json").write_text(json.dumps(["another"]))
    (parts / "000000.parquet").write_bytes(b"stale")
    assert run(folder, source, tmp_path / "out.parquet") == 0
    assert len(read(tmp_path / "out.parquet")) == N_ROWS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"age": None}, "Column 'age', row 3: the value is missing, and the column had no missing values in training"),
        ({"age": "old"}, "Column 'age', row 3: the value is no numeric value"),
        ({"joined": "some day"}, "Column 'joined', row 3: the value is no date value"),
        ({"ward": ""}, "Column 'ward', row 3: the value is missing"),
        ({"age": float("inf")}, "Column 'age', row 3: the value is infinite"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(tmp_path, capsys, change, said) -> None:
    folder = publish_patients(tmp_path / "bundles")
    ((name, value),) = change.items()
    values = patients(5)[name].to_list()
    if isinstance(value, str):
        values = [str(own) for own in values]
    values[2] = value
    frame = patients(5).with_columns(pl.Series(name, values, strict=False))
    assert run(folder, written(frame, tmp_path / "rows.parquet"), tmp_path / "out.parquet") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()


def test_mistakes_in_the_command_are_told_in_a_line(tmp_path, capsys) -> None:
    folder = publish_patients(tmp_path / "bundles")
    rows = written(patients(3), tmp_path / "rows.parquet")
    lacking = written(patients(3).rename({"age": "Age"}), tmp_path / "lacking.parquet")
    taken = written(patients(3).with_columns(prediction=pl.lit(1.0)), tmp_path / "taken.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    out = tmp_path / "out.parquet"
    for arguments, said in [
        ((folder, tmp_path / "none.parquet", out), "is no file"),
        ((folder, lacking, out), "lacks 1 columns that the model takes: 'age' (did you mean 'Age'?)"),
        ((folder, broken, out), "cannot be read"),
        ((folder, rows, tmp_path / "out.xlsx"), "the name must end in .parquet or .csv"),
        ((folder, rows, tmp_path / "no" / "out.csv"), "there is no folder"),
        ((folder, rows, out, "--keep", "name"), "--keep names no column"),
        ((folder, taken, out, "--keep", "id,prediction"), "--keep prediction: the answers have columns of these names"),
        ((tmp_path / "bundles" / "nobody", rows, out), "cannot be read"),
        ((folder, rows, out, "--coverage", "90"), "--coverage 90: must be a number above 0 and below 1, such as 0.9."),
        ((folder, rows, out, "--coverage", "0.9"), "--coverage: This version of the model was exported without"),
    ]:
        assert run(*arguments) == 2
        message = capsys.readouterr().err
        assert said in message
        assert message.count("\n") == 1
