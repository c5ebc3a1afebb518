"""A sweep whose trials come in several batches: one table of trials, one selection, one leaderboard."""

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pipelines.config.schema import TrialConfig
from pipelines.config.validate import validate_all
from pipelines.errors import UserError
from pipelines.sweep import SweepResult, open_sweep
from pipelines.tracking.memory import MemoryRecorder
from pipelines.tracking.process import RecorderProcess
from pipelines.tracking.recorder import RegisteredVersion, RunRecord
from pipelines.tracking.view import run_color
from tests.config.composed import composed
from tests.sweeps.sweeping import LosesAStack
from tests.tables import custom

with warnings.catch_warnings():  # MLflow warns about its own imports
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  imported for what importing it does
    from mlflow.tracking import MlflowClient


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class MemoryRecorders(RecorderProcess):
    """Keeps the runs of all sweeps in this process, where that they reach MLflow is not asked."""

    def __init__(self) -> None:
        self.kept = MemoryRecorder()

    def open(self, uri, *, experiment, artifacts):
        return self.kept

    def close(self) -> None:
        """There is no process."""

    def of_kind(self, kind: str) -> list[RunRecord]:
        return [run for run in self.kept.runs if run.tags["kind"] == kind]


@pytest.fixture
def recorders() -> MemoryRecorders:
    return MemoryRecorders()


@cache
def _trial(data: str) -> TrialConfig:
    (found,) = validate_all([composed(f"data={data}", "model=linear", "optimizer=sgd", "trainer.max_epochs=3")])
    return found


def trials(*rates: float, data: str = "diabetes") -> list[TrialConfig]:
    """Short trials that differ by their learning rate; one of 1e30 diverges."""
    own = _trial(data)
    return [replace(own, optimizer=replace(own.optimizer, lr=rate)) for rate in rates]


def run_sweep(found: Sequence[TrialConfig], recorders: RecorderProcess, *, tell: Callable[[str], None]) -> SweepResult:
    """A sweep of one batch."""
    with open_sweep(recorders, tell=tell) as sweep:
        sweep.train(found)
        return sweep.finish()


def runs(folder: Path, kind: str = "trial"):
    client = MlflowClient(f"sqlite:///{folder / 'var' / 'mlflow.db'}")
    (number,) = [found.experiment_id for found in client.search_experiments() if found.name == "diabetes"]
    found = client.search_runs([number], f"tags.kind = '{kind}'", order_by=["attributes.start_time ASC"])
    return [own.data.tags | {"status": own.info.status, "name": own.info.run_name} for own in found]


def test_batches_end_as_one_sweep(tmp_path):
    told: list[str] = []
    with closing(RecorderProcess()) as recorders:
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


def test_a_sweep_is_told_from_others_by_its_trials_and_the_rows_of_its_table_before_it_trains(tmp_path):
    (one,) = trials(0.1)
    one = replace(one, data=replace(one.data, source="table", path="rows.csv", target="b"))
    rows = [f"{number},{number * 7 % 40}" for number in range(40)]

    def begun(trial: TrialConfig, *, rows: Sequence[str] = rows) -> str:
        (tmp_path / "rows.csv").write_text("\n".join(["a,b", *rows]))
        with open_sweep(MemoryRecorders(), tell=lambda _: None) as sweep:
            return sweep.begin([trial])

    first = begun(one)
    assert begun(replace(one, ensemble=replace(one.ensemble, kind="mean"))) == first
    assert begun(replace(one, seed=1)) != first
    assert begun(one, rows=[*rows[1:], "0,1"]) != first


def test_a_sweep_knows_which_trials_were_lost_by_no_doing_of_their_own(monkeypatch):
    monkeypatch.setattr("pipelines.sweep.open_engine", lambda *_: nullcontext(LosesAStack(1)))
    with open_sweep(MemoryRecorders(), tell=lambda _: None) as sweep:
        sweep.train(trials(0.1, 1e30))
        assert sweep.lost == []
        assert sweep.train(trials(0.03)) == [None]
        assert sweep.lost == trials(0.03)


def test_a_trial_that_is_asked_for_again_is_answered_from_what_is_known(recorders):
    told: list[str] = []
    asked = [[0.1, 0.3, 0.1], [0.3, 0.03, 0.2], [0.1]]
    with open_sweep(recorders, tell=told.append) as sweep:
        scores = [score for batch in asked for score in sweep.train(trials(*batch))]
        sweep.finish()

    rates = [rate for batch in asked for rate in batch]
    assert all(scores[place] == scores[rates.index(rate)] for place, rate in enumerate(rates))
    assert len(set(scores)) == len(set(rates))
    assert sorted(run.params["optimizer.lr"] for run in recorders.of_kind("trial")) == sorted(set(rates))
    assert [line for line in told if "known already" in line] == [
        "  1 of 3 trials known already: asked for before",
        "  1 of 3 trials known already: asked for before",
        "  1 of 1 trial known already: asked for before",
    ]
    (ensemble,) = recorders.of_kind("ensemble")
    assert sum(ensemble.tables["members.json"]["weight"]) == pytest.approx(1)


def test_only_what_no_earlier_run_has_trained_is_planned(recorders):
    told: list[str] = []
    run_sweep(trials(0.1, 0.3), recorders, tell=lambda _: None)
    with open_sweep(recorders, tell=told.append) as sweep:
        sweep.train(trials(0.1, 0.3))
        sweep.train(trials(0.03))
        sweep.finish()

    told = "\n".join(told).splitlines()
    lines = [line.split()[:4] for line in told if line.startswith(("Plan", "  going on", "  stack"))]
    assert [" ".join(words) for words in lines] == [
        "going on with an",
        "Plan: 1 trial in",
        "stack 1: 1 member",
        "stack 1: trained for",
    ]


class GoneRecorder(MemoryRecorder):
    """Its server is gone when everything is to be written."""

    def close(self) -> None:
        raise UserError("No server answers.")


def test_an_interrupt_is_told_as_such_even_when_the_runs_could_not_be_written(recorders):
    recorders.kept = GoneRecorder()

    def interrupted(*, by: type[BaseException] | None) -> None:
        with open_sweep(recorders, tell=lambda _: None) as sweep:
            sweep.train(trials(0.1))
            if by is not None:
                raise by

    with pytest.raises(KeyboardInterrupt):
        interrupted(by=KeyboardInterrupt)
    with pytest.raises(UserError, match="No server answers"):
        interrupted(by=None)


def test_what_a_search_may_vary_is_in_every_name_and_run_from_the_first_batch_on(recorders):
    (one,) = trials(0.1)
    other = replace(one, seed=9, optimizer=replace(one.optimizer, lr=0.5))
    with open_sweep(recorders, tell=lambda _: None) as sweep:
        sweep.expect([one, other])
        sweep.train([one])
        sweep.train([replace(one, optimizer=replace(one.optimizer, l2=0.01))])
        sweep.finish()

    runs_of_both = recorders.of_kind("trial")
    assert [run.name for run in runs_of_both] == ["lr=0.1 seed=0", "lr=0.1 l2=0.01 seed=0"]
    assert [run.tags["mlflow.runColor"] for run in runs_of_both] == [run_color(0), run_color(1)]


def test_trials_on_other_rows_of_one_table_are_told_apart_by_name(recorders):
    (one,) = trials(0.1)
    (iris,) = trials(0.1, data="iris")
    run_sweep([one, replace(one, data=replace(one.data, split_seed=7)), iris], recorders, tell=lambda _: None)

    assert [run.name for run in recorders.of_kind("trial")] == ["split_seed=0", "split_seed=7", "sgd"]


def test_one_is_no_plural(recorders):
    told: list[str] = []
    (one,) = trials(0.1)
    for _ in range(2):
        run_sweep([replace(one, trainer=replace(one.trainer, max_epochs=1))], recorders, tell=told.append)

    assert "  going on with an earlier run of this sweep: 1 trial had ended, 0 were in training" in told
    assert any(line.startswith("  stack 0: trained for 1 epoch in ") for line in told)
    with pytest.raises(UserError, match=r"^The only trial on diabetes failed"):
        run_sweep(trials(1e30), recorders, tell=told.append)


def test_a_sweep_without_any_model_says_why_and_registers_nothing(tmp_path, recorders):
    with open_sweep(recorders, tell=lambda _: None) as sweep:
        assert sweep.train(trials(1e30)) == [None]
        assert sweep.train(trials(2e30)) == [None]
        with pytest.raises(UserError, match=r"^All 2 trials on diabetes failed, so there is no model to serve:\n"):
            sweep.finish()

    assert [run.status for run in recorders.of_kind("trial")] == ["FAILED", "FAILED"]
    assert not (tmp_path / "var/bundles").exists()


def test_a_table_without_a_model_does_not_keep_the_others_from_theirs(recorders):
    told: list[str] = []
    result = run_sweep([*trials(1e30), *trials(0.1, data="iris"), *trials(2e30)], recorders, tell=told.append)

    assert [score is None for score in result.scores] == [True, False, True]
    assert [version.name for version in result.registered] == ["iris"]
    assert told[-1].startswith("\nAll 2 trials on diabetes failed, so there is no model to serve:")


@pytest.mark.parametrize("folder", ["/proc/nowhere", "a_file", "holds_a_file"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_trains(tmp_path, recorders, folder):
    (tmp_path / "a_file").touch()
    (tmp_path / "holds_a_file").mkdir()
    (tmp_path / "holds_a_file/diabetes").touch()
    (right,) = trials(0.1)
    wrong = replace(right, tracking=replace(right.tracking, bundles=folder))

    told: list[str] = []
    with open_sweep(recorders, tell=told.append) as sweep, pytest.raises(UserError) as refused:
        sweep.train([wrong])
    assert str(refused.value).startswith(f"tracking.bundles={folder} cannot be written: ")
    assert not any("Plan" in line for line in told)
    assert not (tmp_path / "var").exists(), "a mistake leaves nothing"
    assert run_sweep([right], recorders, tell=told.append).registered, "nor does it stand in the way"


class UnopenedRecorders(MemoryRecorders):
    """Where they keep runs is a mistake of the user."""

    def open(self, uri, *, experiment, artifacts):
        raise UserError("tracking.artifacts=nowhere cannot be written")


def test_a_store_that_cannot_be_opened_is_told_before_anything_trains(recorders):
    told: list[str] = []
    with open_sweep(UnopenedRecorders(), tell=told.append) as sweep, pytest.raises(UserError, match=r"^tracking\."):
        sweep.train(trials(0.1))
    assert not any("Plan" in line for line in told)
    assert run_sweep(trials(0.1), recorders, tell=told.append).registered, "nor does it stand in the way"


def test_a_mistake_in_a_later_table_is_told_before_anything_trains(tmp_path, recorders):
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n3\n5,6\n")
    (right,) = trials(0.1)
    broken = replace(right, data=replace(right.data, source="table", path="broken.csv", target="b"))

    told: list[str] = []
    with open_sweep(recorders, tell=told.append) as sweep, pytest.raises(UserError, match=r"broken\.csv, line 3"):
        sweep.train([right, broken])
    assert not any("Plan" in line for line in told)


def test_a_mistake_in_a_table_or_in_a_net_leaves_nothing(tmp_path):
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n3\n5,6\n")
    (right,) = trials(0.1)
    table = replace(right, data=replace(right.data, source="table", path="broken.csv", target="b"))
    net = replace(right, model=custom("OneOutput", module="wrong_nets"))
    for wrong, said in ((table, r"broken\.csv, line 3"), (net, "must return the shape")):
        with open_sweep(UnopenedRecorders(), tell=lambda _: None) as sweep, pytest.raises(UserError, match=said):
            sweep.train([wrong])
    assert not (tmp_path / "var").exists()


def test_a_registry_that_refuses_keeps_nobody_from_the_leaderboard(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise UserError("the registry is away")

    recorders, told = MemoryRecorders(), list[str]()
    monkeypatch.setattr(recorders.kept, "register", refuse)
    with pytest.raises(UserError, match="the registry is away"):
        run_sweep(trials(0.1, 0.03), recorders, tell=told.append)
    assert "ranked by rmse" in told[-1]


def with_task(own: TrialConfig, **changes: str) -> TrialConfig:
    return replace(own, task=replace(own.task, **changes))


def test_trials_of_other_losses_and_class_weights_are_ranked_and_served_together(recorders):
    (plain,) = trials(0.1, data="iris")
    asked = [
        with_task(own, loss=loss, class_weights=weights)
        for own in (plain, replace(plain, seed=1))
        for loss in ("cross_entropy", "one_versus_rest")
        for weights in ("none", "balanced")
    ]
    asked = [replace(own, ensemble=replace(own.ensemble, kind="mean", max_members=8)) for own in asked]
    told: list[str] = []
    result = run_sweep(asked, recorders, tell=told.append)

    text = "\n".join(told)
    assert text.count("ranked by log_loss") == 1
    assert "8 trials in 2 stacks" in text, "a stack has one loss, and class weights of each member"
    assert [(version.name, version.version) for version in result.registered] == [("iris", 1)]
    assert {"one_versus_rest balanced", "cross_entropy none"} <= {
        f"{run.params['task.loss']} {run.params['task.class_weights']}" for run in recorders.of_kind("trial")
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"metric": "log_loss"}, {"metric": "accuracy"}], "ranked by two metrics: log_loss and, with task.loss=auto"),
        ([{}, {"loss": "hinge"}], "ranked by two metrics: log_loss and, with task.loss=hinge and task.metric=auto"),
        ([{}, {"kind": "binary"}], r"two tasks: task=auto and task=binary"),
        ([{}, {"loss": "mse"}], "task.loss=mse does not belong to a binary task"),
    ],
)
def test_trials_that_cannot_be_ranked_together_are_refused_before_any_is_trained(recorders, changes, said):
    (plain,) = trials(0.1, data="breast_cancer")
    told: list[str] = []
    with open_sweep(recorders, tell=told.append) as sweep, pytest.raises(UserError, match=said):
        sweep.train([with_task(plain, **own) for own in changes])
    assert not any("Plan" in line for line in told)


@pytest.mark.parametrize("order", [(0.1, 1e-6), (1e-6, 0.1)])
def test_of_tables_with_one_name_the_best_is_what_answers(tmp_path, recorders, order):
    asked = [
        replace(own, data=replace(own.data, split_seed=seed)) for seed, own in enumerate(trials(*order, data="iris"))
    ]
    told: list[str] = []
    result = run_sweep(asked, recorders, tell=told.append)

    assert [version.version for version in result.registered] == [1, 2]
    assert told[-1] == "iris: version 2 answers, whose validation score is the best of the 2"
    best = max(result.scores, key=lambda own: own if own is not None else float("-inf"))
    assert result.scores.index(best) == order.index(0.1)
    contract = json.loads((tmp_path / "var/bundles/iris/2/contract.json").read_text())
    assert contract["metrics"]["validation"]["log_loss"] == pytest.approx(-best, rel=1e-4)


def test_another_ensemble_of_a_sweep_is_a_version_of_its_own(tmp_path, recorders):
    asked = [replace(own, seed=seed) for seed in range(6) for own in trials(0.1)]
    greedy = replace(asked[0].ensemble, kind="greedy")
    told: list[str] = []

    def versions(most_members: int) -> list[RegisteredVersion]:
        ensemble = replace(greedy, max_members=most_members)
        return run_sweep([replace(own, ensemble=ensemble) for own in asked], recorders, tell=told.append).registered

    def served(version: int) -> str:
        return (tmp_path / f"var/bundles/diabetes/{version}/contract.json").read_text()

    assert versions(2) == [RegisteredVersion("diabetes", 1, champion=1)]
    first = served(1)
    assert versions(20) == [RegisteredVersion("diabetes", 2, champion=2)], "the better one"
    assert served(1) == first, "a version never changes"
    n_first, n_members = (len(json.loads(contract)["lineage"]["members"]) for contract in (first, served(2)))
    assert n_first == 2 < n_members
    runs = dict(zip(recorders.kept.ids, recorders.kept.runs, strict=True))
    assert len(recorders.of_kind("ensemble")) == 2
    assert [runs[run_id].name for run_id in recorders.kept.champions.values()] == [f"ensemble of {n_members}"]

    assert versions(2) == [RegisteredVersion("diabetes", 1, champion=2)], "typed again"
    assert (tmp_path / "var/bundles/diabetes/champion").read_text() == "2\n"
    assert told[-1].startswith(
        "Registered as diabetes, version 1. It was before: version 2 is the champion, and stays it. Compare the runs: "
    )
