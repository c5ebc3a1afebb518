"""Drift: nothing where nothing moved, much where much did, and forgotten when it has passed."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serving.app import create_app
from serving.bundle import BooleanColumn, CategoricalColumn, DateColumn, NumericColumn, Reference, Target
from serving.monitoring.counters import Counters
from serving.monitoring.drift import LEAST_ROWS, count_answers, count_bins, count_states, psi
from serving.request_context import RequestContext, current_request, enter_request
from serving.settings import Settings
from serving.versions.answer_monitor import WINDOW_ROWS, AnswerMonitor
from serving.worker import load_champions
from tests.serving.asking import ask
from tests.serving.bundles import SALES_COLUMNS, SALES_ROW, publish_sales

DECILES = Reference(edges=tuple(np.arange(0.1, 1, 0.1).tolist()), shares=(0.1,) * 10)
AGE = NumericColumn(name="age", nullable=True, minimum=0, maximum=1, integer=False, example=None, reference=DECILES)
CITY = CategoricalColumn(
    name="city", nullable=True, categories=("Basel", "Bern"), example=None, reference=Reference(shares=(0.5, 0.4))
)
DAY = DateColumn(name="day", nullable=True, minimum="1970-01-02", maximum="1970-01-11", example=None)
NEW = BooleanColumn(name="new", nullable=True, example=None)
NAN = np.nan


@pytest.fixture
def answering() -> Iterator[None]:
    """What is predicted meanwhile, is predicted for a caller."""
    before = current_request()
    enter_request(RequestContext("id", "native", 0.0))
    yield
    enter_request(before)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (AGE, [0.5, 0.0, 1.0, NAN, -0.1, 1.1, 9.0], [3, 1, 0, 3]),
        (DAY, [1.0, 10.0, 0.5, 11.0, NAN], [2, 1, 0, 2]),
        (NEW, [0.0, 1.0, NAN], [2, 1, 0, 0]),
        (CITY, ["Bern", "", "Paris", "bern"], [1, 1, 2, 0]),
    ],
    ids=["number", "date", "boolean", "label"],
)
def test_a_value_is_usual_missing_unseen_or_out_of_range(column, values, expected):
    dtype = object if isinstance(column, CategoricalColumn) else float
    assert count_states(column, np.array(values, dtype=dtype)) == expected


def test_a_value_on_an_edge_belongs_to_the_bin_below():
    reference = Reference(edges=(1.0, 2.0), shares=(0.0, 0.0, 0.0))
    column = AGE.model_copy(update={"reference": reference})
    assert count_bins(column, reference, np.array([0.0, 1.0, 1.5, 2.0, 2.5, NAN])) == [2, 2, 1, 6]
    assert count_bins(NEW, Reference(shares=(0.0, 0.0)), np.array([0.0, 1.0, 1.0, NAN])) == [1, 2, 4]
    assert CITY.reference is not None
    assert count_bins(CITY, CITY.reference, np.array(["Bern", "", "Paris"], dtype=object)) == [0, 1, 3]


def test_answers_are_counted_by_value_or_by_the_likeliest_class():
    values = Target(name="y", task="regression", classes=())
    assert count_answers(values, Reference(edges=(0.0,), shares=(0.0, 0.0)), np.array([[-1.0], [0.5], [2.0]])) == [
        1,
        2,
        3,
    ]
    labels = Target(name="y", task="binary", classes=("a", "b"))
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    assert count_answers(labels, Reference(shares=(0.5, 0.5)), answers) == [1, 2, 3]


def test_the_index_is_small_where_nothing_moved_and_large_where_much_did():
    draw = np.random.default_rng(0)
    same = psi(DECILES, count_bins(AGE, DECILES, draw.uniform(size=2_000)))
    moved = psi(DECILES, count_bins(AGE, DECILES, draw.uniform(size=2_000) ** 3))
    gone = psi(DECILES, count_bins(AGE, DECILES, np.full(2_000, NAN)))
    assert same is not None
    assert moved is not None
    assert gone is not None
    assert same < 0.05
    assert 0.25 < moved < gone
    assert psi(DECILES, count_bins(AGE, DECILES, draw.uniform(size=LEAST_ROWS - 1))) is None


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=12).filter(lambda counts: sum(counts) >= LEAST_ROWS))
def test_the_index_is_finite_never_negative_and_zero_for_the_same_shares(counts: list[int]):
    total = float(sum(counts))
    itself = Reference(shares=tuple(count / total for count in counts))
    assert psi(itself, [*map(float, counts), total]) == pytest.approx(0, abs=1e-6)
    uniform = Reference(shares=(1 / len(counts),) * len(counts))
    index = psi(uniform, [*map(float, counts), total])
    assert index is not None
    assert 0 <= index < 20


@pytest.mark.usefixtures("answering")
def test_what_was_answered_is_looked_at_and_old_rows_are_forgotten(tmp_path: Path):
    columns = tuple(
        column.model_copy(update={"reference": Reference(edges=(0.0,), shares=(0.5, 0.5))}) for column in SALES_COLUMNS
    )
    publish_sales(tmp_path, columns=columns)
    counters = Counters()
    champions = load_champions(Settings(bundles=tmp_path), counters)
    monitor = AnswerMonitor(champions, None, counters)
    model = champions["ice cream"]
    monitor.look()
    assert counters.counts == {}, "loading a model is no answer"

    def answer(value: float, n_rows: int) -> list[float]:
        model.predict_finite({column.name: np.full(n_rows, value) for column in SALES_COLUMNS})
        monitor.look()
        windows = [
            count
            for (name, labels), count in counters.counts.items()
            if name == "column_bins_lately" and "humidity" in labels
        ]
        return np.sum(windows, axis=0).tolist()

    assert answer(-1.0, 300) == [300, 0, 300]
    assert answer(1.0, WINDOW_ROWS) == [300, WINDOW_ROWS, WINDOW_ROWS + 300]
    assert answer(1.0, WINDOW_ROWS)[0] == 0, "two windows later nothing is left"
    states = counters.counts["column_states", ("ice cream", "1", "humidity")]
    assert states == [2 * WINDOW_ROWS, 0, 0, 300], "states are counted since the start"


@pytest.mark.usefixtures("answering")
def test_a_flood_of_rows_is_looked_at_in_part(tmp_path: Path):
    publish_sales(tmp_path)
    counters = Counters()
    champions = load_champions(Settings(bundles=tmp_path), counters)
    for _ in range(5):
        columns = {column.name: np.ones(6_000) for column in SALES_COLUMNS}
        champions["ice cream"].predict_finite(columns)
    AnswerMonitor(champions, None, counters).look()
    assert sum(counters.counts["column_states", ("ice cream", "1", "humidity")]) == 10_000


@pytest.mark.parametrize("media", ["application/json", "text/csv"])
def test_rows_that_are_no_traffic_are_answered_and_not_looked_at(tmp_path: Path, media: str):
    publish_sales(tmp_path)
    champions = load_champions(Settings(bundles=tmp_path))
    app = create_app(champions, Settings())
    body = {"application/json": json.dumps({"rows": [SALES_ROW] * 3}), "text/csv": "humidity,Temperatur in °C\n1,2\n"}
    asked = {"content": body[media].encode(), "headers": {"Content-Type": media}}
    made_up = ask(app, "POST", "/predict?traffic=false", **asked)
    assert champions["ice cream"].sample.take() is None
    real = ask(app, "POST", "/predict?traffic=true", **asked)
    answered = champions["ice cream"].sample.take()
    assert answered is not None
    assert (made_up.status_code, made_up.content) == (200, real.content)
    assert ask(app, "POST", "/predict", **asked).content == real.content
    wrong = ask(app, "POST", "/predict?traffic=no", **asked)
    assert wrong.json()["error"]["details"] == [
        {"path": ["query", "traffic"], "message": "Input should be true or false"}
    ]
    metrics = ask(app, "GET", "/metrics").text
    assert f'serving_rows_total{{model="ice cream",version="1"}} {3 * len(answered.predictions):.1f}' in metrics
