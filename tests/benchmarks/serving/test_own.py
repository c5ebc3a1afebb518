"""The product as the benchmark serves and asks it: what is compared must be what it answers."""

import os

import pytest

from benchmarks.serving.cores import two_cores
from benchmarks.serving.effort import QUICK
from benchmarks.serving.load import LoadError
from benchmarks.serving.model import Model, train_linear
from benchmarks.serving.own import Bench
from benchmarks.serving.questions import ask_arrow, ask_columns, ask_rows, prove

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="the benchmark keeps server and load on a core each, which takes Linux and two of them",
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train_linear(tmp_path_factory.mktemp("served") / "linear")


def test_every_form_of_question_gets_what_bare_onnx_runtime_predicts(model: Model):
    server_core, load_core = two_cores()
    bench = Bench(model, QUICK, server_core=server_core, load_core=load_core)
    columns = bench.columns(10)
    expected = bench.expected(columns)
    with bench.product() as product:
        assert product.resident_mb > 10
        for ask in (ask_rows, ask_columns, ask_arrow):
            assert prove(product.port, ask(columns, last_class=bench.last_class), expected)
        ((rate,),) = bench.rates(bench.turn(product, ask_rows(columns, last_class=bench.last_class), columns))
        assert rate.per_second > 0
        # Another prediction than the expected one is no figure.
        with pytest.raises(LoadError, match="in place of"):
            prove(product.port, ask_rows(columns, last_class=bench.last_class), expected + 0.01)
