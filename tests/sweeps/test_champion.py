"""A new version is the champion where it is better than the present one on the same rows, or where nobody can tell."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.export import publish_bundle
from pipelines.sweeps.champion import Candidate, Registered, check_numbers, chosen_by, register
from pipelines.tracking.memory import MemoryRecorder
from pipelines.tracking.recorder import RegisteredVersion, Scored
from serving.bundle import CONTRACT_FILE
from tests.tables import small_table
from tests.tracking.bundles import write_bundle
from tests.tracking.records import make_run

URI = "sqlite:///var/mlflow.db"
REGRESSION, BINARY = (small_table(kind)[1] for kind in ("regression", "binary"))


def bundle_of(run_id: str, folder: Path) -> Path:
    """A small bundle of the trial of this run."""
    contract = write_bundle(folder) / CONTRACT_FILE
    written = json.loads(contract.read_text())
    written["lineage"]["members"] = [{"run_id": run_id, "name": "a trial", "weight": 1.0}]
    contract.write_text(json.dumps(written))
    return folder


class Command:
    """Registers models in one registry, for one folder.

    Args:
        folder: holds what it writes.
        recorder: of the registry.
    """

    def __init__(self, folder: Path, recorder: MemoryRecorder | None = None) -> None:
        self.folder = folder
        self.recorder = recorder or MemoryRecorder()
        self.bundles = folder / "bundles"
        self.task = REGRESSION
        self.told: list[str] = []

    def candidate(self, scored: Scored, *, is_best: bool = True) -> Candidate:
        """A model of a trial of its own."""
        (run_id,) = self.recorder.record([make_run()]).result()
        return Candidate(bundle_of(run_id, self.folder / run_id), "houses", run_id, scored, is_best=is_best)

    def register(self, candidate: Candidate, *, tell: Callable[[str], None] | None = None) -> Registered:
        tell = tell or self.told.append
        return register(candidate, self.task, recorder=self.recorder, root=self.bundles, uri=URI, tell=tell)

    def add(self, value: float, *, metric: str = "rmse", rows: str = "these", is_best: bool = True) -> Registered:
        return self.register(self.candidate(Scored(metric, value, rows), is_best=is_best))

    @property
    def champions(self) -> tuple[str, int | None]:
        """The version that answers from the folder, and the one that has the alias."""
        return (self.bundles / "houses/champion").read_text(), self.recorder.aliases.get("houses")

    def by_hand(self, version: int) -> str:
        return f"write {version} into {self.bundles / 'houses/champion'}, and give it the alias champion in MLflow."


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_the_first_version_is_the_champion(command: Command) -> None:
    registered = command.add(0.5)
    assert registered == (RegisteredVersion("houses", 1, champion=1), "Registered as houses, version 1.", "")
    assert command.champions == ("1\n", 1)


def test_a_worse_one_is_a_version_and_no_more(command: Command) -> None:
    command.add(0.5)
    version, told, who_answers = command.add(0.6)
    assert (version, told) == (RegisteredVersion("houses", 2, champion=1), "Registered as houses, version 2.")
    assert who_answers == (
        "Version 1 stays the champion: its validation rmse is 0.5, that of version 2, on the same rows, 0.6. "
        f"To promote version 2 all the same, {command.by_hand(2)}"
    )
    assert command.champions == ("1\n", 1)
    assert (command.bundles / "houses/2/model.onnx").exists()


def test_a_better_one_is_the_champion(command: Command) -> None:
    command.add(0.5)
    assert command.add(0.4).who_answers == (
        "Version 2 is the champion now: its validation rmse is 0.4, that of version 1, on the same rows, 0.5."
    )
    assert command.champions == ("2\n", 2)


@pytest.mark.parametrize(
    ("values", "champion"),
    [
        ((0.8, 0.9), 2),
        ((0.9, 0.8), 1),
        ((0.9, 0.9 + 1e-9), 1),
        ((float("nan"), 0.1), 2),
        ((0.1, float("nan")), 1),
        ((float("nan"), float("nan")), 1),
    ],
    ids=["greater is better", "less is worse", "alike but for rounding", "was undefined", "is undefined", "both are"],
)
def test_the_metric_says_which_is_better(command: Command, values: tuple[float, float], champion: int) -> None:
    command.task = replace(BINARY, metric="roc_auc")
    for value in values:
        command.add(value, metric="roc_auc")
    assert command.champions == (f"{champion}\n", champion)


@pytest.mark.parametrize("other", [{"rows": "others"}, {"metric": "mae"}], ids=["rows", "metric"])
def test_what_cannot_be_compared_is_the_champion_and_how_to_go_back_is_said(
    command: Command, other: dict[str, str]
) -> None:
    command.add(0.5)
    command.task = replace(REGRESSION, metric="mae") if "metric" in other else REGRESSION
    assert command.add(0.6, **other).who_answers == (
        "Version 2 is the champion now. Version 1 was, chosen on other rows or by another metric, so nobody can tell "
        f"which is better. To go back, {command.by_hand(1)}"
    )
    assert command.champions == ("2\n", 2)


def test_a_champion_that_does_not_say_what_it_was_chosen_by_gives_way(command: Command) -> None:
    """Those of earlier versions of this program, and those that others registered."""
    (run_id,) = command.recorder.record([make_run()]).result()
    command.recorder.settle(
        command.recorder.register(bundle_of(run_id, command.folder / "older"), name="houses", run_id=run_id),
        is_champion=True,
    )
    assert "so nobody can tell which is better" in command.add(0.6).who_answers
    assert command.champions == ("2\n", 2)


def test_of_the_models_of_one_name_the_best_alone_may_be_the_champion(command: Command) -> None:
    assert command.add(0.1, is_best=False) == (
        RegisteredVersion("houses", 1, champion=None),
        "Registered as houses, version 1.",
        "",
    )
    assert not (command.bundles / "houses/champion").exists()
    command.add(0.5, rows="others")
    assert command.champions == ("2\n", 2)


def test_what_was_put_back_by_hand_stays_back_when_the_command_is_typed_again(command: Command) -> None:
    command.add(0.5)
    better = command.candidate(Scored("rmse", 0.4, "these"))
    command.register(better)
    (command.bundles / "houses/champion").write_text("1\n")
    assert command.register(better).told == "Registered as houses, version 2."
    assert command.champions == ("1\n", 2), "the alias says nothing about a folder"
    command.recorder.aliases["houses"] = 1
    assert command.register(better).told == (
        "Registered as houses, version 2. It was before: version 1 is the champion, and stays it."
    )


def test_from_a_folder_without_a_champion_the_new_version_answers(command: Command) -> None:
    command.add(0.5)
    command.bundles = command.folder / "elsewhere"
    said = command.add(0.6).who_answers
    assert said.endswith(f" {command.bundles / 'houses'} had no champion: there version 2 answers.")
    assert command.champions == ("2\n", 1)


class EndsOnTheWay(MemoryRecorder):
    """Its command is killed before anything is settled."""

    def settle(self, version: RegisteredVersion, *, is_champion: bool) -> RegisteredVersion:
        raise KeyboardInterrupt


def test_a_command_that_was_killed_on_the_way_settles_its_version_when_it_is_typed_again(command: Command) -> None:
    command.add(0.5)
    better = command.candidate(Scored("rmse", 0.4, "these"))
    killed = EndsOnTheWay()
    vars(killed).update(vars(command.recorder))
    with pytest.raises(KeyboardInterrupt):
        register(better, REGRESSION, recorder=killed, root=command.bundles, uri=URI, tell=print)
    assert command.champions == ("2\n", 1)
    assert command.register(better).who_answers.startswith("Version 2 is the champion now: ")
    assert command.champions == ("2\n", 2)


def test_a_number_that_another_registry_gave_is_told_before_a_version_is_registered(command: Command) -> None:
    folder = command.bundles / "houses"
    other = command.candidate(Scored("rmse", 0.5, "these"))
    for version in (1, 2):
        publish_bundle(other.bundle, root=command.bundles, name="houses", version=version)
    said = rf"^{folder} holds version 2, registered elsewhere: tracking\.uri={URI} has no model of this name.*{folder}"
    with pytest.raises(UserError, match=said):
        check_numbers(command.recorder, command.bundles, name="houses", uri=URI)
    with pytest.raises(UserError, match=said):
        command.register(other)
    assert command.recorder.registrations == []

    folder.rename(command.folder / "moved away")
    assert command.register(other).version == RegisteredVersion("houses", 1, champion=1)


class Slow(MemoryRecorder):
    """Registers once another command waits."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.other_waits = Event(), Event()

    def register(self, bundle: Path, *, name: str, run_id: str, scored: Scored | None = None) -> RegisteredVersion:
        self.begun.set()
        assert self.other_waits.wait(60)
        return super().register(bundle, name=name, run_id=run_id, scored=scored)


def test_two_commands_at_once_register_one_after_the_other(tmp_path: Path) -> None:
    """So that the second is compared with the first, and the folder and the registry have one champion."""
    registry = Slow()
    command = Command(tmp_path, registry)
    better, worse = (command.candidate(Scored("rmse", value, "these")) for value in (0.4, 0.5))
    waiting: list[str] = []

    def tell(line: str) -> None:
        waiting.append(line)
        registry.other_waits.set()

    with ThreadPoolExecutor() as threads:
        first = threads.submit(command.register, better)
        assert registry.begun.wait(60)
        second = threads.submit(command.register, worse, tell=tell)
        assert first.result().version == RegisteredVersion("houses", 1, champion=1)
        assert second.result().version == RegisteredVersion("houses", 2, champion=1)
    assert waiting == ["houses: another command registers a version; waiting for it"]
    assert command.champions == ("1\n", 1)


def test_scores_are_compared_on_the_same_rows_of_the_same_table_alone() -> None:
    prepared, _ = small_table()
    own = chosen_by("rmse", 0.5, prepared)
    assert chosen_by("rmse", 0.6, small_table()[0]) == replace(own, value=0.6)
    validation = replace(prepared.validation, rows=np.roll(prepared.validation.rows, 1))
    others = [small_table(seed=1)[0], small_table("binary")[0], replace(prepared, validation=validation)]
    assert len({own.rows, *(chosen_by("rmse", 0.5, other).rows for other in others)}) == 4
