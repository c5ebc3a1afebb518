"""Where runs are kept is opened, or refused with what is wrong about it."""

import pytest

from pipelines.errors import UserError
from pipelines.tracking.mlflow.store import open_store


@pytest.mark.parametrize("folder", ["/proc/nowhere", "a_file", "holds_a_file"])
def test_a_folder_of_artifacts_that_cannot_be_written_is_named(tmp_path, monkeypatch, uri, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    (tmp_path / "holds_a_file").mkdir()
    (tmp_path / "holds_a_file/diabetes").touch()
    with pytest.raises(UserError) as refused:
        open_store(uri, experiment="diabetes", artifacts=folder)
    assert str(refused.value).startswith(f"tracking.artifacts={folder} cannot be written: ")
    assert open_store(uri, experiment="diabetes", artifacts="a_folder"), "nor does it stand in the way"
