"""A study on a real PostgreSQL server."""

from collections.abc import Iterator

import optuna
import pytest

from hydra_plugins.sweepstack.storage import open_storage
from pipelines.errors import UserError
from tests.hydra_plugins.multirun import batches
from tests.postgresql import QUOTED, USER, postgresql
from tests.tracking.servers import free_port

RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def search(*, n_trials, study="mine"):
    settings = [f"hydra.sweeper.{name}" for name in (f"n_trials={n_trials}", f"study={study}", "batch_size=4")]
    batches("hydra/sweeper=optuna", *settings, "data=wine", RATE)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with postgresql() as address:
        yield address


@pytest.mark.slow
def test_a_study_is_kept_and_continued(stand_in, monkeypatch, storage):
    monkeypatch.setenv("OPTUNA_STORAGE", storage)
    search(n_trials=4)
    search(n_trials=8)
    kept = optuna.storages.RDBStorage(storage)
    study = optuna.load_study(study_name="mine", storage=kept)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 8
    kept.remove_session()
    kept.engine.dispose()

    assert [len(batch) for batch in stand_in.batches] == [4, 4, 4]
    assert stand_in.finished == [4, 8]
    assert [trial.optimizer.lr for trial in stand_in.batches[1]] == [
        trial.optimizer.lr for trial in stand_in.batches[0]
    ]


@pytest.mark.slow
def test_a_study_is_one_commands_at_a_time(stand_in, monkeypatch, storage):
    monkeypatch.setenv("OPTUNA_STORAGE", storage)
    with open_storage(storage, study="alone"), pytest.raises(UserError, match=r"^Another command searches by the"):
        search(n_trials=4, study="alone")
    assert stand_in.batches == []
    with open_storage(storage, study="another"):
        search(n_trials=4, study="alone")
    assert len(stand_in.batches) == 1


@pytest.mark.slow
def test_a_server_that_refuses_is_told_without_the_password(stand_in, monkeypatch, storage):
    monkeypatch.setenv("OPTUNA_STORAGE", storage.replace(QUOTED, "wrong"))
    with pytest.raises(UserError, match=rf"postgresql\+psycopg://{USER}:\*\*\*@127\.0\.0\.1:.* cannot be used") as told:
        search(n_trials=4)
    assert "wrong" not in str(told.value)
    assert stand_in.batches == []


def test_a_server_that_is_not_there_is_told(stand_in, monkeypatch):
    monkeypatch.setenv("OPTUNA_STORAGE", f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/none")
    with pytest.raises(UserError, match=r"cannot be used: .*Is the server there") as told:
        search(n_trials=4)
    assert "secret" not in str(told.value)
