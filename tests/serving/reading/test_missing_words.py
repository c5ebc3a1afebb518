"""Words for a missing value in CSV: training, `python -m serving.score` and the API read the same bytes alike."""

import csv
import io
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI

from pipelines.data.kinds import read_column
from pipelines.data.sources import read_file
from serving import score
from serving.bundle import BooleanColumn, CategoricalColumn, DateColumn, NumericColumn
from serving.reading.missing_words import MISSING_WORDS
from tests.serving.asking import app_of, as_csv, ask
from tests.serving.bundles import publish

WORDS_OF_TRAINING = ["", "NA", "NaN", "nan", "N/A", "null", "NULL", "None", "?"]
NO_WORDS = ["n/a", "#N/A", "<NA>", "none", "NAN", "-nan", "-", " NA"]  # that other readers of CSV take for one
ROW = {"size": "1.5", "open": "true", "city": "Bern", "built": "2020-02-29", "code": "NA"}
KINDS = {"size": "numeric", "open": "boolean", "city": "categorical", "built": "date"}
COLUMNS = (
    NumericColumn(name="size", nullable=True, minimum=0, maximum=9, integer=False, example=1.5),
    BooleanColumn(name="open", nullable=True, example=True),
    CategoricalColumn(name="city", nullable=True, categories=("", "Bern", "Zürich"), example="Bern"),
    DateColumn(name="built", nullable=True, minimum="1999-01-01", maximum="2024-12-31", example="2020-02-29"),
    CategoricalColumn(name="code", nullable=True, categories=("", *WORDS_OF_TRAINING[1:], "7"), example="NA"),
)
STRICT = tuple(
    own.model_copy(update={"nullable": False, **({"categories": ("Bern", "Zürich")} if own.name == "city" else {})})
    for own in COLUMNS[:4]
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    known: dict[str, Any] = {"size": 1.5, "open": True, "city": "Bern", "built": "2020-02-29", "code": "NA"}
    publish(folder, name="houses", version=1, columns=COLUMNS, rows=[known])
    known.pop("code")
    publish(folder, name="strict", version=1, columns=STRICT, rows=[known])
    return folder


@pytest.fixture(scope="module")
def app(root: Path) -> FastAPI:
    return app_of(root, max_rows=1000)


def asked_json(app: FastAPI, changes: list[dict[str, Any]]) -> list[float]:
    row = {**ROW, "size": 1.5, "open": True}
    rows = {"rows": [{**row, **change} for change in changes]}
    return [own["value"] for own in ask(app, "POST", "/models/houses/predict", json=rows).json()["predictions"]]


def asked_csv(app: FastAPI, content: bytes, *, model: str = "houses") -> Any:
    return ask(app, "POST", f"/models/{model}/predict", content=content, headers={"Content-Type": "text/csv"})


def scored(root: Path, content: bytes, folder: Path, *, model: str = "houses") -> tuple[int, list[float]]:
    source, output = folder / "rows.csv", folder / "out.parquet"
    source.write_bytes(content)
    code = score.main(["--model", str(root / model), "--input", str(source), "--output", str(output)])
    return code, pl.read_parquet(output)["prediction"].to_list() if code == 0 else []


def trained_on(content: bytes, folder: Path, name: str) -> pl.Series:
    """The values of a column as training has them, null for missing."""
    path = folder / "table.csv"
    path.write_bytes(content)
    column, values = read_column(read_file(path)[name], origin="table")
    assert column.kind == KINDS[name]
    return values.cast(pl.String).replace("", None) if column.kind == "categorical" else values


def test_the_list_is_the_one_that_training_always_had() -> None:
    assert list(MISSING_WORDS) == WORDS_OF_TRAINING


def test_every_word_is_missing_in_every_kind_of_column_wherever_csv_is_read(root, app, tmp_path) -> None:
    cases = list(product(KINDS, WORDS_OF_TRAINING))
    content = as_csv([{**ROW, name: word} for name, word in cases])
    expected = asked_json(app, [{name: None} for name, _ in cases])
    assert len({*expected, *asked_json(app, [{}])}) > len(KINDS), "a missing value is told from a known one"
    answered = [float(own["prediction"]) for own in csv.DictReader(io.StringIO(asked_csv(app, content).text))]
    np.testing.assert_allclose(answered, expected, rtol=1e-6)
    code, predictions = scored(root, content, tmp_path)
    assert code == 0
    np.testing.assert_allclose(predictions, expected, rtol=1e-6)
    for name in KINDS:
        is_missing = trained_on(content, tmp_path, name).is_null().to_list()
        assert is_missing == [changed == name for changed, _ in cases]


def test_a_word_that_the_column_knows_as_a_category_is_that_category(root, app, tmp_path) -> None:
    labels = [*WORDS_OF_TRAINING, "7"]  # of a table that was Parquet
    content = as_csv([{**ROW, "code": label} for label in labels])
    expected = asked_json(app, [{"code": label} for label in labels])
    assert len(set(expected)) == len(labels)
    answered = [float(own["prediction"]) for own in csv.DictReader(io.StringIO(asked_csv(app, content).text))]
    np.testing.assert_allclose(answered, expected, rtol=1e-6)
    assert scored(root, content, tmp_path) == (0, pytest.approx(expected))


@pytest.mark.parametrize("word", NO_WORDS)
@pytest.mark.parametrize("name", KINDS)
def test_no_other_word_is_missing(root, app, tmp_path, name, word) -> None:
    content = as_csv([{**ROW, name: word}, ROW])
    code, predictions = scored(root, content, tmp_path)
    answer = asked_csv(app, content)
    if name == "city":  # a label that training did not see
        expected = asked_json(app, [{"city": "nowhere"}, {}])
        assert (code, predictions) == (0, pytest.approx(expected))
        answered = [float(own["prediction"]) for own in csv.DictReader(io.StringIO(answer.text))]
        np.testing.assert_allclose(answered, expected, rtol=1e-6)
        return
    assert (code, answer.status_code) == (2, 422)


@pytest.mark.parametrize("word", WORDS_OF_TRAINING)
@pytest.mark.parametrize("name", KINDS)
def test_a_word_is_refused_where_training_had_nothing_missing(root, app, tmp_path, *, capsys, name, word) -> None:
    row = {own: text for own, text in ROW.items() if own != "code"}
    content = as_csv([row, {**row, name: word}])
    assert scored(root, content, tmp_path, model="strict") == (2, [])
    assert f"Column {name!r}, row 2: the value is missing" in capsys.readouterr().err
    answer = asked_csv(app, content, model="strict")
    assert answer.status_code == 422
    (detail,) = answer.json()["error"]["details"]
    assert detail["path"] == ["columns", name, 1]
    assert "missing values in training" in detail["message"]


@pytest.mark.parametrize("text", ["1e-99999999999999999999", "0e99999999999999999999", "1e999", "1_0", "٣"])
@pytest.mark.parametrize("categories", [("0", "10", "3"), ("0", "10", "1e99999999999999999999")])
def test_a_number_beyond_all_others_is_a_label_that_training_did_not_see(tmp_path, categories, text) -> None:
    column = CategoricalColumn(name="code", nullable=False, categories=categories, example="0")
    publish(tmp_path / "bundles", name="codes", version=1, columns=[column], rows=[{"code": "0"}])
    answer = asked_csv(app_of(tmp_path / "bundles"), as_csv([{"code": text}, {"code": "nowhere"}]), model="codes")
    assert answer.status_code == 200, answer.text
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert first == second


def test_words_of_json_and_of_parquet_are_words(root, app, tmp_path) -> None:
    rows = [{**ROW, "size": 1.5, "open": True, "city": city} for city in ("NA", "nowhere")]
    assert len(set(asked_json(app, [{"city": "NA"}, {"city": "nowhere"}]))) == 1
    pl.DataFrame(rows).with_columns(pl.col("built").str.to_date()).write_parquet(tmp_path / "rows.parquet")
    arguments = ["--model", root / "houses", "--input", tmp_path / "rows.parquet", "--output", tmp_path / "out.parquet"]
    assert score.main(list(map(str, arguments))) == 0
    assert pl.read_parquet(tmp_path / "out.parquet")["prediction"].n_unique() == 1


@pytest.mark.parametrize(
    ("categories", "texts"),
    [(("1234", "5"), ["01234", "5.0"]), (("1.5", "2.0"), ["1.50", "2"]), (("false", "true"), ["False", "TRUE"])],
)
def test_a_label_that_training_read_as_a_number_or_a_truth_is_found_however_it_is_written(
    tmp_path, categories, texts
) -> None:
    column = CategoricalColumn(name="zip", nullable=False, categories=categories, example=categories[0])
    publish(tmp_path / "bundles", name="zips", version=1, columns=[column], rows=[{"zip": categories[0]}])
    app = app_of(tmp_path / "bundles")
    predictions = []
    for labels in (categories, texts):
        content = as_csv([{"zip": label} for label in labels])
        code, found = scored(tmp_path / "bundles", content, tmp_path, model="zips")
        answered = csv.DictReader(io.StringIO(asked_csv(app, content, model="zips").text))
        predictions += [found, [pytest.approx(float(own["prediction"]), rel=1e-6) for own in answered]]
        assert code == 0
    assert len(set(predictions[0])) == len(categories)
    assert all(own == predictions[0] for own in predictions)
