"""What every recorder must do; each test runs with the one in memory and the one in a process, for MLflow on SQLite."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.tracking.memory import EXPERIMENT_ID, MemoryRecorder
from pipelines.tracking.process import RecorderProcess
from pipelines.tracking.recorder import Recorder, RegisteredVersion, Scored
from tests.tracking.bundles import write_bundle
from tests.tracking.mlflow.readers import read_mlflow
from tests.tracking.records import make_run

ROOT = Path(__file__).resolve().parents[2]
ASKED = """
from threading import Event
from pipelines.tracking.process import MlflowRecorders
MlflowRecorders(Event())
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


@dataclass(frozen=True)
class Read:
    """What a recorder gives back of a run."""

    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True)
class Case:
    recorder: Recorder
    read: Callable[[str], Read]


def memory_case() -> Case:
    recorder = MemoryRecorder()

    def read(run_id: str) -> Read:
        run = recorder.runs[recorder.ids.index(run_id)]
        metrics, tags = dict(run.metrics), dict(run.tags)
        for annotation in recorder.annotations:
            if annotation.run_id == run_id:
                metrics.update(annotation.metrics)
        if run_id in recorder.champions.values():
            tags["champion"] = "true"
        curves = {name: values[-1] for name, values in run.curves.items()}
        params = {name: str(value) for name, value in run.params.items()}
        return Read(run.name, run.status, params, {**curves, **metrics}, tags)

    return Case(recorder, read)


def mlflow_case(recorders: RecorderProcess, uri: str, folder: Path) -> Case:
    recorder = recorders.open(uri, experiment="patients", artifacts=str(folder / "artifacts"))

    def read(run_id: str) -> Read:
        run = read_mlflow(uri, run_id)
        added = ("mlflow.", "identity")  # keys that begin so
        tags = {key: value for key, value in run.data.tags.items() if not key.startswith(added)}
        return Read(run.info.run_name, run.info.status, run.data.params, run.data.metrics, tags)

    return Case(recorder, read)


@pytest.fixture(scope="module")
def recorders() -> Iterator[RecorderProcess]:
    with closing(RecorderProcess()) as process:
        yield process


@pytest.fixture(params=["memory", "mlflow"])
def case(request: pytest.FixtureRequest, recorders: RecorderProcess, tmp_path: Path) -> Iterator[Case]:
    if request.param == "memory":
        made = memory_case()
    else:
        made = mlflow_case(recorders, request.getfixturevalue("uri"), tmp_path)
    yield made
    made.recorder.close()


def test_a_recorder_follows_the_protocol(case: Case):
    assert isinstance(case.recorder, Recorder)


def test_what_is_recorded_can_be_read(case: Case):
    (run_id,) = case.recorder.record([make_run()]).result()
    assert case.read(run_id) == Read(
        name="adam, lr 0.01",
        status="FINISHED",
        params={"optimizer": "adam", "optimizer.lr": "0.01", "seed": "0"},
        metrics={"validation/roc_auc": 0.9, "epochs": 3.0, "train/loss": 1.0},
        tags={"sweep": "s1", "kind": "trial"},
    )


def test_ids_come_in_the_order_of_the_runs(case: Case):
    names = [f"trial {number}" for number in range(5)]
    first = case.recorder.record([make_run(name=name) for name in names[:3]])
    second = case.recorder.record([make_run(name=name) for name in names[3:]])
    ids = first.result() + second.result()
    assert len(set(ids)) == 5
    assert [case.read(run_id).name for run_id in ids] == names


def test_the_process_sends_nothing_home():
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}  # MLflow is silent where it sees CI or a test
    asked = subprocess.run([sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines()[-1] == "None"


def test_no_runs_have_no_ids(case: Case):
    assert case.recorder.record([]).result() == []


def test_a_failed_member_is_a_failed_run(case: Case):
    run = make_run(status="FAILED", tags={"failure": "the loss is not finite"}, metrics={}, curves={})
    (run_id,) = case.recorder.record([run]).result()
    assert case.read(run_id).status == "FAILED"
    assert case.read(run_id).tags == {"failure": "the loss is not finite"}


def test_a_run_whose_trial_was_lost_is_written_anew(case: Case):
    lost = make_run(identity="a", status="KILLED", tags={"sweep": "s1", "failure": "the node died"}, metrics={})
    (run_id,) = case.recorder.record([lost]).result()
    assert case.read(run_id).status == "KILLED"
    (again,) = case.recorder.record([make_run(identity="a")]).result()
    assert again != run_id
    assert case.read(again).status == "FINISHED"
    assert case.recorder.record([make_run(identity="a")]).result() == [again]


def test_an_annotation_adds_and_overrides(case: Case):
    (run_id,) = case.recorder.record([make_run()]).result()
    case.recorder.annotate(run_id, {"test/roc_auc": 0.88, "validation/roc_auc": 0.95})
    case.recorder.annotate(run_id, {"test/roc_auc": 0.87})
    case.recorder.close()
    read = case.read(run_id)
    assert read.metrics["test/roc_auc"] == 0.87
    assert read.metrics["validation/roc_auc"] == 0.95
    assert read.tags == {"sweep": "s1", "kind": "trial"}


def test_versions_of_a_name_count_from_one(case: Case, tmp_path: Path):
    bundle = write_bundle(tmp_path / "some" / "model")
    first, second = case.recorder.record([make_run(), make_run()]).result()
    asked = (("a", first), ("a", second), ("b", first))
    assert case.recorder.newest_version("a") == 0
    versions = [case.recorder.register(bundle, name=name, run_id=run_id) for name, run_id in asked]
    assert [(own.name, own.version) for own in versions] == [("a", 1), ("a", 2), ("b", 1)]
    assert [case.recorder.newest_version(name) for name in "ab"] == [2, 1]


def test_a_version_is_settled_once(case: Case, tmp_path: Path):
    bundle = write_bundle(tmp_path / "some" / "model")
    first, second, third = case.recorder.record([make_run(), make_run(), make_run()]).result()
    # A run, its version, whether it is to be the champion when it is settled, and who then is.
    for run_id, version, is_champion, champion in (
        (first, 1, False, None),
        (second, 2, True, 2),
        (first, 1, True, 2),
        (third, 3, True, 3),
        (third, 3, False, 3),
    ):
        registered = case.recorder.register(bundle, name="a", run_id=run_id)
        settled = case.recorder.settle(registered, is_champion=is_champion)
        assert settled == RegisteredVersion("a", version, champion)
        assert settled.is_champion == (version == champion)


def test_a_version_says_what_the_champion_was_chosen_by(case: Case, tmp_path: Path):
    bundle = write_bundle(tmp_path / "some" / "model")
    first, second, third = case.recorder.record([make_run(), make_run(), make_run()]).result()
    scored = Scored("rmse", 0.1 + 0.2, rows="these")
    version = case.recorder.register(bundle, name="a", run_id=first, scored=scored)
    assert (version.is_settled, version.champion, version.champion_scored) == (False, None, None)
    case.recorder.settle(version, is_champion=True)
    version = case.recorder.register(bundle, name="a", run_id=second)
    assert version == RegisteredVersion("a", 2, champion=1, is_settled=False, champion_scored=scored)
    case.recorder.settle(version, is_champion=True)
    assert case.recorder.register(bundle, name="a", run_id=third).champion_scored is None


def test_one_run_of_a_sweep_is_marked_as_its_champion(case: Case, tmp_path: Path):
    bundle = write_bundle(tmp_path / "some" / "model")
    other = make_run(tags={"sweep": "s2", "kind": "trial"})
    first, second, elsewhere = case.recorder.record([make_run(), make_run(), other]).result()
    for run_id in (elsewhere, first, second):
        case.recorder.register(bundle, name="a", run_id=run_id)
    assert [case.read(run_id).tags.get("champion") for run_id in (first, second, elsewhere)] == [None, "true", "true"]


def test_a_tagged_experiment_says_its_id(case: Case):
    assert case.recorder.tag_experiment("key", "value") in (EXPERIMENT_ID, "1")


def test_the_memory_recorder_refuses_a_run_it_does_not_have():
    recorder = MemoryRecorder()
    recorder.record([make_run()])
    with pytest.raises(ValueError, match=r"A run that was recorded is needed, got 'run-7'\. Recorded: run-0\."):
        recorder.annotate("run-7", {})


def test_a_run_that_its_sweep_has_already_is_not_written_again(case: Case) -> None:
    first, other = make_run(identity="a"), make_run(identity="b")
    (run_id,) = case.recorder.record([first]).result()
    again = case.recorder.record([other, make_run(identity="a", name="again")]).result()
    assert again[1] == run_id
    assert again[0] != run_id
    assert case.read(run_id).name == first.name
    (elsewhere,) = case.recorder.record([make_run(identity="a", tags={"sweep": "s2"})]).result()
    assert elsewhere != run_id
    case.recorder.close()
