"""`python -m serving.score`: the answers of the server, for whole files."""

import json
import signal
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from serving import score
from serving.answers.conformal import label_sets
from serving.bundle import Calibration, CategoricalColumn, Conformal
from tests.serving.bundles import PATIENT_COLUMNS, publish, publish_patients, publish_sales, run_directly

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(("inside", "model"), [(".", "."), ("1", "."), ("1", ".."), (".", "1/..")])
def test_a_model_is_named_from_within_its_folder_too(tmp_path, monkeypatch, inside, model) -> None:
    folder = publish_patients(tmp_path / "bundles").parent
    source = written(patients(3), tmp_path / "rows.csv")
    monkeypatch.chdir(folder / inside)
    assert run(Path(model), source, tmp_path / "out.csv") == 0


def test_a_link_to_a_folder_of_versions_has_its_own_name(tmp_path) -> None:
    folder = publish_patients(tmp_path / "bundles").parent
    moved, link = folder.rename(tmp_path / "elsewhere"), folder
    link.symlink_to(moved)
    assert run(link, written(patients(3), tmp_path / "rows.csv"), tmp_path / "out.csv") == 0


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
        ({"joined": "some day"}, "Column 'joined', row 3: the value is no ISO 8601 date or date-time"),
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


@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("smoker", pl.Series([0, 1, 5]), 3),
        ("smoker", pl.Series([0.0, 0.5, 1.0]), 2),
        ("joined", pl.Series([20200630, 20200701, 20200702]), 1),
    ],
)
def test_a_number_is_no_other_truth_than_0_and_1_and_no_date(tmp_path, capsys, *, column, values, row) -> None:
    frame = patients(3).with_columns(values.alias(column))
    source, folder = written(frame, tmp_path / "rows.parquet"), publish_patients(tmp_path / "bundles")
    assert run(folder, source, tmp_path / "out.parquet") == 2
    assert f"Column {column!r}, row {row}: the value is " in capsys.readouterr().err


def test_text_of_parquet_is_read_as_in_csv_and_moments_to_the_microsecond(tmp_path) -> None:
    folder, frame = publish_patients(tmp_path / "bundles"), patients(6)
    texts = frame.with_columns(
        joined=pl.Series([f"{day}{'T00:00:00+02:00' * (place % 2)}" for place, day in enumerate(frame["joined"])]),
        age=pl.format(" {}", "age"),
        smoker=frame["smoker"].cast(pl.Int8),
        left=frame["left"].cast(pl.Datetime("ns")) + pl.duration(nanoseconds=999),
    )
    for name in ("rows.parquet", "rows.csv"):
        assert run(folder, written(texts, tmp_path / name), tmp_path / f"{name}.parquet") == 0
    by_parquet, by_csv = (read(tmp_path / f"rows.{suffix}.parquet") for suffix in ("parquet", "csv"))
    assert by_parquet.equals(by_csv)


def test_a_label_that_is_a_number_is_found_whatever_the_portion_makes_of_its_type(tmp_path) -> None:
    column = CategoricalColumn(name="litres", nullable=True, categories=("", "1.0", "1e-6", "2.5"), example="1.0")
    folder = publish(tmp_path / "bundles", name="cars", version=1, columns=[column], rows=[{"litres": "1.0"}])
    truth = run_directly((folder / "model.onnx").read_bytes(), [column], [{"litres": own} for own in column.categories])
    litres = pl.Series("litres", [None, 1.0, 1e-6, 2.5])
    whole = pl.Series("litres", [None, 1], dtype=pl.Int8)
    for values, expected_values in [(litres, truth), (litres.cast(pl.Float32), truth), (whole, truth[:2])]:
        source = written(values.to_frame().with_columns(id=1), tmp_path / "rows.parquet")
        assert run(folder, source, tmp_path / "out.parquet") == 0
        np.testing.assert_array_equal(read(tmp_path / "out.parquet")["prediction"], expected_values[:, 0])


def test_mistakes_in_the_command_are_told_in_a_line(tmp_path, capsys) -> None:
    folder = publish_patients(tmp_path / "bundles")
    rows = written(patients(3), tmp_path / "rows.parquet")
    lacking = written(patients(3).rename({"age": "Age"}), tmp_path / "lacking.parquet")
    taken = written(patients(3).with_columns(prediction=pl.lit(1.0)), tmp_path / "taken.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    out, a_folder = tmp_path / "out.parquet", tmp_path / "folder.csv"
    a_folder.mkdir()
    for arguments, said in [
        ((folder, tmp_path / "none.parquet", out), "is no file"),
        ((folder, tmp_path / "row.parquet", out), "row.parquet is no file. Did you mean rows.parquet?"),
        ((folder, lacking, out), "lacks 1 columns that the model takes: 'age' (did you mean 'Age'?)"),
        ((folder, broken, out), "cannot be read"),
        ((folder, rows, tmp_path / "out.xlsx"), "the name must end in .parquet or .csv"),
        ((folder, rows, tmp_path / "no" / "out.csv"), "there is no folder"),
        ((folder, rows, a_folder), "is a folder. Give the name of a file."),
        ((folder, rows, out, "--keep", "name"), "--keep names no column"),
        (
            (folder, rows, out, "--keep", "ID,ages"),
            f"--keep names no column of {rows}: 'ID', 'ages' (did you mean 'age'?)",
        ),
        ((folder, taken, out, "--keep", "id,prediction"), "--keep prediction: the answers have columns of these names"),
        ((folder, rows, out, "--coverage", "90"), "--coverage 90: must be a number above 0 and below 1, such as 0.9."),
        ((folder, rows, out, "--coverage", "0.9"), "--coverage: This version of the model was exported without"),
    ]:
        assert run(*arguments) == 2
        message = capsys.readouterr().err
        assert said in message
        assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("bundles/patient", "{bundles}/patient is no folder. Did you mean patients?"),
        ("bundle/patients", "{bundle} is no folder. Did you mean bundles?"),
        ("bundles/nobody", "{bundles}/nobody is no folder. Give a bundle, or a folder of versions with a champion."),
        ("bundles", "{bundles} is a folder of models. Give one of them: ice cream, patients."),
        ("bundles/patients/1/model.onnx", "{bundles}/patients/1/model.onnx is no folder. Give a bundle"),
        (".", "{here} holds no bundle and no champion. Give a bundle, or a folder of versions with a champion."),
    ],
)
def test_a_model_that_is_not_there_is_told_with_the_nearest_that_is(tmp_path, capsys, model, said) -> None:
    publish_patients(tmp_path / "bundles")
    publish_sales(tmp_path / "bundles")
    source = written(patients(3), tmp_path / "rows.csv")
    assert run(tmp_path / model, source, tmp_path / "out.csv") == 2
    told = said.format(here=tmp_path, bundle=tmp_path / "bundle", bundles=tmp_path / "bundles")
    assert capsys.readouterr().err.startswith(f"--model {told}")


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("way", ["path", "symbolic link", "hard link"])
def test_the_rows_are_never_replaced_by_their_predictions(tmp_path, capsys, way) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source = written(patients(), tmp_path / "rows.csv")
    before, output = source.read_bytes(), tmp_path / "out.csv"
    if way == "path":
        output = tmp_path / "bundles" / ".." / "rows.csv"
    elif way == "hard link":
        output.hardlink_to(source)
    else:
        output.symlink_to(source)
    assert run(folder, source, output) == 2
    assert capsys.readouterr().err == f"--output {output} is the file of --input. Give another name.\n"
    assert source.read_bytes() == before
    assert hidden(tmp_path) == []


def test_another_file_of_that_name_is_replaced_and_help_says_so(tmp_path, capsys) -> None:
    folder = publish_patients(tmp_path / "bundles")
    (tmp_path / "out.csv").write_text("of yesterday")
    assert run(folder, written(patients(3), tmp_path / "rows.csv"), tmp_path / "out.csv") == 0
    assert len(read(tmp_path / "out.csv")) == 3
    with pytest.raises(SystemExit):
        score.main(["--help"])
    assert "replaces one of this name" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_twice_is_refused_where_it_is_used(tmp_path, capsys, suffix) -> None:
    folder, out = publish_patients(tmp_path / "bundles"), tmp_path / "out.csv"
    frame = patients(3).with_columns(note=pl.lit("a"))
    once, source = frame.to_arrow(), tmp_path / f"rows.{suffix}"
    for name, keep, code in [("age", "id", 2), ("note", "note", 2), ("note", "id", 0)]:
        twice = once.append_column(name, once[name])
        pa.csv.write_csv(twice, source) if suffix == "csv" else pa.parquet.write_table(twice, source)
        assert run(folder, source, out, "--keep", keep) == code
        said = f"{source}: there is more than one column of the name '{name}'. Rename all but one.\n"
        assert capsys.readouterr().err == (said if code else "")


def test_two_runs_on_one_output_are_one_and_a_refusal(tmp_path, capsys, monkeypatch) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source, out = written(patients(), tmp_path / "rows.parquet"), tmp_path / "out.parquet"
    answer, codes = score._answers, []

    def meanwhile(*arguments, **more):
        if not codes:
            codes.append(2)
            codes[0] = run(folder, source, out)
        return answer(*arguments, **more)

    monkeypatch.setattr(score, "_answers", meanwhile)
    assert run(folder, source, out) == 0
    assert codes == [2]
    assert f"--output {out}: another run is writing it" in capsys.readouterr().err
    assert len(read(out)) == N_ROWS
    assert hidden(tmp_path) == []


def test_a_killed_run_locks_nobody_out(tmp_path) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source, out = written(patients(), tmp_path / "rows.parquet"), tmp_path / "out.parquet"
    dies = (
        "import os, signal, sys\nfrom serving import score\nscore.PORTION_ROWS = 64\nanswer = score._answers\n"
        "def dying(*a, **k):\n    k['first_row'] and os.kill(os.getpid(), signal.SIGKILL)\n    return answer(*a, **k)\n"
        "score._answers = dying\nscore.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", dies, "--model", folder, "--input", source, "--output", out]
    killed = subprocess.run(list(map(str, command)), cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / ".out.parquet.parts").iterdir()) == [
        "000000.parquet",
        "job.json",
        "lock",
    ]
    assert run(folder, source, out) == 0
    assert len(read(out)) == N_ROWS
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("threads", ["0", "-3"])
def test_no_threads_are_refused(tmp_path, capsys, threads) -> None:
    source = written(patients(3), tmp_path / "rows.csv")
    assert run(publish_patients(tmp_path / "bundles"), source, tmp_path / "o.csv", "--threads", threads) == 2
    assert capsys.readouterr().err == f"--threads {threads}: must be a whole number of at least 1.\n"


@pytest.mark.parametrize(
    ("column", "value", "row"), [("age", None, 0), ("age", "old", 0), ("ward", "", 299), ("age", "old", 299)]
)
@pytest.mark.usefixtures("small_portions")
def test_a_refused_run_leaves_nothing_behind(tmp_path, column, value, row) -> None:
    folder, frame = publish_patients(tmp_path / "bundles"), patients().cast({"age": pl.String})
    frame[row, column] = value
    assert run(folder, written(frame, tmp_path / "rows.csv"), tmp_path / "out.csv") == 2
    assert run(folder, written(frame.head(0), tmp_path / "rows.csv"), tmp_path / "out.csv") == 2
    assert run(folder, tmp_path / "rows.csv", tmp_path / "out.csv", "--keep", "age") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundles", "rows.csv"]


@pytest.mark.usefixtures("small_portions")
def test_what_a_full_disk_interrupts_goes_on(tmp_path, monkeypatch, capsys) -> None:
    folder = publish_patients(tmp_path / "bundles")
    source, out, write = written(patients(), tmp_path / "rows.csv"), tmp_path / "out.csv", pa.parquet.write_table

    def full(table, path):
        if path.stem == "000002":
            raise OSError(28, "No space left on device")
        write(table, path)

    monkeypatch.setattr(pa.parquet, "write_table", full)
    assert run(folder, source, out) == 2
    assert f"{out} cannot be written: [Errno 28] No space left on device" in capsys.readouterr().err
    assert len(list((tmp_path / ".out.csv.parts").glob("*.parquet"))) == 2
    monkeypatch.undo()
    assert run(folder, source, out) == 0


@pytest.mark.parametrize(("column", "keep"), [("city", ""), ("age", ""), ("city", "city"), ("id", "id")])
def test_text_that_is_not_utf8_is_called_so_with_its_place(tmp_path, capsys, column, keep) -> None:
    frame = patients(5).cast({"id": pl.String, "age": pl.String}).with_columns(city=pl.lit("Bern"))
    frame[2, column] = "Zürich"
    source = tmp_path / "rows.csv"
    source.write_bytes(frame.write_csv().encode("latin-1"))
    assert run(publish_patients(tmp_path / "bundles"), source, tmp_path / "out.csv", "--keep", keep) == 2
    said = f"Column '{column}', row 3: the value is not UTF-8 (0xfc). Save the file as UTF-8, e.g. iconv"
    assert capsys.readouterr().err.startswith(said)


def test_a_header_that_is_not_utf8_is_called_so(tmp_path, capsys) -> None:
    folder, source = publish_patients(tmp_path / "bundles"), tmp_path / "rows.csv"
    source.write_bytes(patients(3).rename({"id": "Fürth"}).write_csv().encode("latin-1"))
    assert run(folder, source, tmp_path / "out.csv") == 2
    said = "byte 2: not UTF-8 (0xfc). Save the file as UTF-8, e.g. iconv -f latin1 -t utf-8."
    assert capsys.readouterr().err == f"{source}, line 1, {said}\n"


@pytest.mark.parametrize("order", ["le", "be"])
def test_csv_in_utf16_is_told_for_what_it_is(tmp_path, capsys, order) -> None:
    folder, source = publish_patients(tmp_path / "bundles"), tmp_path / "rows.csv"
    source.write_bytes(f"\ufeff{patients(3).write_csv()}".encode(f"utf-16-{order}"))
    assert run(folder, source, tmp_path / "out.csv") == 2
    said = "is encoded as UTF-16. Save it as UTF-8, e.g. iconv -f utf-16 -t utf-8."
    assert capsys.readouterr().err == f"{source} {said}\n"


@pytest.mark.parametrize("written_first", ["", "1", "word"])
def test_what_a_cell_of_csv_is_does_not_depend_on_the_rows_before_it(tmp_path, written_first) -> None:
    """A megabyte of one sort of cells, and then another sort."""
    column, last = {"": ("blood pressure", 80.5), "1": ("age", 1.5), "word": ("city", "7")}[written_first]
    frame = pl.concat([patients(5)] * 12_000).with_columns(
        pl.lit(written_first or None, pl.String).alias(column), id=pl.lit("two\nlines")
    )
    frame[-1, column] = str(last)
    folder, out = publish_patients(tmp_path / "bundles"), tmp_path / "out.csv"
    assert run(folder, written(frame, tmp_path / "rows.csv"), out) == 0
    assert len(read(out)) == len(frame)
    truth = expected(patients(5).tail(1).with_columns(pl.lit(last).alias(column)), folder)
    np.testing.assert_allclose(read(out)[-1, 1:].to_numpy(), truth, atol=1e-6)


def test_dates_of_csv_may_have_offsets_or_not_and_numbers_blanks_around_them(tmp_path) -> None:
    folder, frame = publish_patients(tmp_path / "bundles"), patients(6)
    texts = frame.with_columns(
        joined=pl.Series([f"{day}{' 00:00:00Z' * (place % 2)}" for place, day in enumerate(frame["joined"])]),
        left=frame["left"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        age=pl.format(" {} ", "age"),
    )
    assert run(folder, written(texts, tmp_path / "rows.csv"), tmp_path / "out.parquet") == 0
    found = read(tmp_path / "out.parquet").select(pl.selectors.starts_with("probability")).to_numpy()
    np.testing.assert_allclose(found, expected(frame, folder), atol=1e-6)


def test_columns_of_csv_that_go_along_keep_their_text_and_their_numbers(tmp_path) -> None:
    folder = publish_patients(tmp_path / "bundles")
    frame = patients(4).with_columns(id=pl.Series(["NA", "?", None, "a,b"]))
    source = written(frame, tmp_path / "rows.csv")
    assert run(folder, source, tmp_path / "out.parquet", "--keep", "id,age,blood pressure,joined,city") == 0
    found = read(tmp_path / "out.parquet").select("id", "age", "blood pressure", "joined", "city")
    assert found.rows() == frame.select(found.columns).cast({"joined": pl.String}).rows()


@pytest.mark.parametrize("identifier", ["00123", "12345678901234567890", "TRUE", "2024-05-31T00"])
@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_an_identifier_in_csv_goes_along_as_it_stands(tmp_path, output, identifier) -> None:
    """Whatever it looks like, and whatever stands a megabyte before it."""
    ids = [*[identifier] * 20_000, "A12"]
    frame = (
        patients(5).select(pl.all().gather([place % 5 for place in range(len(ids))])).with_columns(id=pl.Series(ids))
    )
    folder, source = publish_patients(tmp_path / "bundles"), written(frame, tmp_path / "rows.csv")
    assert source.stat().st_size > 2**20
    assert run(folder, source, tmp_path / output, "--keep", "id") == 0
    out = tmp_path / output
    found = pl.read_csv(out, infer_schema=False) if out.suffix == ".csv" else read(out)
    assert found["id"].to_list() == ids


@pytest.mark.parametrize(("column", "first", "last"), [("age", "1", 1.5), ("smoker", "true", False)])
def test_numbers_and_truths_that_go_along_are_those_that_the_model_takes(tmp_path, column, first, last) -> None:
    frame = pl.concat([patients(5)] * 12_000).with_columns(pl.lit(first).alias(column), id=pl.lit("two\nlines"))
    frame[-1, column] = str(last).lower()
    folder, source = publish_patients(tmp_path / "bundles"), written(frame, tmp_path / "rows.csv")
    assert run(folder, source, tmp_path / "out.parquet", "--keep", column) == 0
    found = read(tmp_path / "out.parquet")[column]
    assert [found[0], found[-1]] == [True if first == "true" else 1, last]


def test_columns_of_parquet_that_go_along_keep_their_types(tmp_path) -> None:
    folder, frame = publish_patients(tmp_path / "bundles"), patients(4)
    source = written(frame, tmp_path / "rows.parquet")
    assert run(folder, source, tmp_path / "out.parquet", "--keep", ",".join(frame.columns)) == 0
    assert read(tmp_path / "out.parquet").select(frame.columns).equals(frame)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pl.Series([["a"], [], None]), "Unsupported Type:large_list"),
        (pl.Series([{"a": 1}, {"a": 2}, None]), "Unsupported Type:struct"),
        (pl.Series([b"a", b"\xff", None]), "Invalid UTF8 payload"),
    ],
)
def test_a_column_that_csv_cannot_hold_is_named_before_a_row_is_scored(
    tmp_path, monkeypatch, capsys, *, values, said
) -> None:
    folder, frame = publish_patients(tmp_path / "bundles"), patients(3).with_columns(values.alias("tags"))
    source = written(frame, tmp_path / "rows.parquet")
    assert run(folder, source, tmp_path / "out.parquet", "--keep", "id,tags") == 0
    assert read(tmp_path / "out.parquet")["tags"].to_list() == values.to_list()
    capsys.readouterr()
    monkeypatch.setattr(score.Predictor, "predict", None)
    assert run(folder, source, tmp_path / "out.csv", "--keep", "id,tags") == 2
    message = capsys.readouterr().err
    assert message.startswith(f"--keep tags: its values cannot be written to CSV: {said}")
    assert message.endswith(". Let --output end in .parquet, or leave the column out.\n")
    assert hidden(tmp_path) == []
