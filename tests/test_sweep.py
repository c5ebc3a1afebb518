"""A sweep whose trials come in several batches: one table of trials, one selection, one leaderboard."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.config.schema import TrialConfig
from pipelines.config.validate import validate_all
from pipelines.errors import UserError
from pipelines.sweep import SweepResult, open_sweep
from pipelines.tracking.process import RecorderProcess
from tests.config.composed import composed

with warnings.catch_warnings():  # MLflow warns about its own imports
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  imported for what importing it does
    from mlflow.tracking import MlflowClient


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recorders(_own_folder) -> Iterator[RecorderProcess]:
    with closing(RecorderProcess()) as process:
        yield process


def trials(*rates: float, data: str = "diabetes") -> list[TrialConfig]:
    """Short trials that differ by their learning rate; one of 1e30 diverges."""
    found = validate_all([composed(f"data={data}", "model=linear", "optimizer=sgd", "trainer.max_epochs=3")])
    return [replace(found[0], optimizer=replace(found[0].optimizer, lr=rate)) for rate in rates]


def run_sweep(found: Sequence[TrialConfig], recorders: RecorderProcess, *, tell: Callable[[str], None]) -> SweepResult:
    """A sweep of one batch."""
    with open_sweep(recorders, tell=tell) as sweep:
        sweep.train(found)
        return sweep.finish()


def runs(folder: Path, experiment: str = "diabetes", kind: str = "trial"):
    client = MlflowClient(f"sqlite:///{folder / 'var' / 'mlflow.db'}")
    (number,) = [found.experiment_id for found in client.search_experiments() if found.name == experiment]
    found = client.search_runs([number], f"tags.kind = '{kind}'", order_by=["attributes.start_time ASC"])
    return [own.data.tags | {"status": own.info.status, "name": own.info.run_name} for own in found]


def test_batches_end_as_one_sweep(tmp_path, recorders):
    told: list[str] = []
    with open_sweep(recorders, tell=told.append) as sweep:
        scores = [sweep.train(trials(0.1, 0.03)), sweep.train(trials(1e30)), sweep.train(trials(0.3))]
        result = sweep.finish()

    together = run_sweep(trials(0.1, 0.03, 1e30, 0.3), recorders, tell=lambda _: None)
    assert result.scores == [score for batch in scores for score in batch]
    assert [score is None for score in result.scores] == [False, False, True, False]
    for one, other in zip(result.scores, together.scores, strict=True):
        assert one == other or one == pytest.approx(other, rel=1e-6)  # float32, in stacks of other sizes
    assert [version.version for version in (*result.registered, *together.registered)] == [1, 2]

    text = "\n".join(told)
    assert text.count("diabetes: 442 rows") == 1, "the table is read once"
    assert text.count("ranked by rmse") == text.count("Registered as diabetes") == 1
    for part in ("trained for", "parameters"):
        assert [line.split()[1] for line in text.splitlines() if part in line] == ["0:", "1:", "2:"]

    own = [run for run in runs(tmp_path) if run["sweep"] == runs(tmp_path)[0]["sweep"]]
    assert sorted((run["stack"], run["member"], run["status"]) for run in own) == [
        ("0", "0", "FINISHED"),
        ("0", "1", "FINISHED"),
        ("1", "0", "FAILED"),
        ("2", "0", "FINISHED"),
    ]
    assert {run["name"] for run in own} == {"lr=0.1", "lr=0.03", "lr=1e+30", "lr=0.3"}
    assert len(runs(tmp_path, kind="baseline")) == 2 * len({run["name"] for run in runs(tmp_path, kind="baseline")})


def test_a_sweep_without_any_model_says_why_and_registers_nothing(tmp_path, recorders):
    with open_sweep(recorders, tell=lambda _: None) as sweep:
        assert sweep.train(trials(1e30)) == [None]
        assert sweep.train(trials(2e30)) == [None]
        with pytest.raises(UserError, match=r"^All 2 trials on diabetes failed, so there is no model to serve:\n"):
            sweep.finish()

    assert [run["status"] for run in runs(tmp_path)] == ["FAILED", "FAILED"]
    assert not (tmp_path / "var/bundles").exists()


def test_a_table_without_a_model_does_not_keep_the_others_from_theirs(recorders):
    told: list[str] = []
    result = run_sweep([*trials(1e30), *trials(0.1, data="iris"), *trials(1e30)], recorders, tell=told.append)

    assert [score is None for score in result.scores] == [True, False, True]
    assert [version.name for version in result.registered] == ["iris"]
    assert told[-1].startswith("\nAll 2 trials on diabetes failed, so there is no model to serve:")


def test_a_mistake_in_a_later_table_is_told_before_anything_trains(tmp_path, recorders):
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n3\n5,6\n")
    (right,) = trials(0.1)
    broken = replace(right, data=replace(right.data, source="table", path="broken.csv", target="b"))

    told: list[str] = []
    with open_sweep(recorders, tell=told.append) as sweep, pytest.raises(UserError, match=r"broken\.csv, line 3"):
        sweep.train([right, broken])
    assert not any("Plan" in line for line in told)
