"""docs/serving.md names all that there is, with the values that hold, and its questions are answered."""

import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from serving.answers.shapley import MOST_ROWS as MOST_EXPLAINED
from serving.app import create_app
from serving.bundle import NumericColumn
from serving.errors import HUNG_UP, ServingError
from serving.http.auth import HEALTH_PATHS
from serving.monitoring.drift import LEAST_ROWS, STATES
from serving.monitoring.row_sample import MOST_ROWS as MOST_SAMPLED
from serving.settings import PREFIX, Settings
from serving.versions.answer_monitor import WINDOW_ROWS
from serving.worker import load_champions
from tests.serving.answers.test_builder import calibration
from tests.serving.asking import ask
from tests.serving.bundles import publish, publish_patients
from tests.serving.processes import running

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
OF_HTTP = {(404, "not_found"), (405, "method_not_allowed"), (HUNG_UP, ""), (500, "internal")}
FLOWER = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    columns = [
        NumericColumn(name=name, nullable=False, minimum=0, maximum=9, integer=False, example=value)
        for name, value in FLOWER.items()
    ]
    classes = ("setosa", "versicolor", "virginica")
    publish(
        root, name="iris", version=1, columns=columns, rows=[FLOWER], classes=classes, calibration=calibration("iris")
    )
    return root


def _shown(value: object) -> str:
    return "" if value in (None, ()) else f"`{value}`"


def test_every_setting_is_there_with_its_default() -> None:
    said = [(row[0], row[1]) for row in ROWS if row[0].startswith(f"`{PREFIX}")]
    assert said == [(f"`{PREFIX}{own.name.upper()}`", _shown(own.default)) for own in fields(Settings)]


def test_every_refusal_is_there_with_its_status() -> None:
    said = {(int(row[0]), row[1].strip("`")) for row in ROWS if row[0].isdigit()}
    assert said == {(own.status, own.code) for own in ServingError.__subclasses__()} | OF_HTTP


def test_every_metric_is_there_with_its_labels(bundles: Path) -> None:
    app = create_app(load_champions(Settings(bundles=bundles)), Settings())
    ask(app, "POST", "/predict", json={"rows": [FLOWER]})
    text = ask(app, "GET", "/metrics").text
    said = {row[0].strip("`"): row[1] for row in ROWS if row[0].startswith("`serving_")}
    assert set(said) == set(re.findall(r"^# TYPE (\w+) ", text, flags=re.MULTILINE))
    for name, labels in re.findall(r"^(serving_\w+?)(?:_bucket)?\{(.+)\}", text, flags=re.MULTILINE):
        if name in said:
            assert set(said[name].split(", ")) == set(re.findall(r'(\w+)="', labels)) - {"le"}


def test_every_route_is_there(bundles: Path) -> None:
    app = create_app(load_champions(Settings(bundles=bundles)), Settings())
    paths = ask(app, "GET", "/openapi.json").json()["paths"]
    for path in {path.replace("iris", "{name}") for path in paths} | HEALTH_PATHS:
        assert re.search(rf"[` ]{re.escape(path)}`", PAGE), path


def test_numbers_are_those_that_hold() -> None:
    assert f"of the last {WINDOW_ROWS:,} to {2 * WINDOW_ROWS:,} rows of each process" in PAGE
    assert f"from {LEAST_ROWS} rows on" in PAGE
    assert f"at most {MOST_SAMPLED:,} are looked at" in PAGE
    assert f"of at most {MOST_EXPLAINED} rows" in PAGE
    assert all(f"`{state}`" in PAGE for state in STATES)


def test_every_question_is_answered(tmp_path: Path, bundles: Path) -> None:
    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) if "curl" in block]
    questions = block.split("curl -s ")[1:]
    assert len(questions) == 3
    (names,) = re.findall(r"^SERVING_NAMES=(\S+) make serve$", PAGE, flags=re.MULTILINE)
    beside_others = tmp_path / "bundles"
    shutil.copytree(bundles, beside_others, symlinks=True)
    publish_patients(beside_others)
    with running(tmp_path, SERVING_BUNDLES=str(beside_others), SERVING_NAMES=names) as server:
        for question in questions:
            typed = "curl -s " + question.replace("http://127.0.0.1:8000", server.address)
            said = json.loads(subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True).stdout)
            assert {"predictions", "outputs"} & said.keys(), said


def test_the_readme_leads_here() -> None:
    assert "(docs/serving.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
