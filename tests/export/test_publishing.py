import json
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.export import publish_bundle, publish_champion
from serving.bundle import CONTRACT_FILE, MODEL_FILE
from tests.export.bundles import contents
from tests.full_disk import files_at_most
from tests.tracking.bundles import write_bundle


def bundle_of(run_id: str, folder: Path, *, code_version: str = "c0de") -> Path:
    """A small bundle whose one member is the trial of this run."""
    write_bundle(folder)
    contract = json.loads((folder / CONTRACT_FILE).read_text())
    contract["lineage"] |= {
        "members": [{"run_id": run_id, "name": "a trial", "weight": 1.0}],
        "code_version": code_version,
    }
    (folder / CONTRACT_FILE).write_text(json.dumps(contract))
    return folder


def test_a_published_bundle_answers_once_it_is_the_champion(tmp_path: Path):
    bundle, root = bundle_of("r1", tmp_path / "bundle"), tmp_path / "models"
    assert publish_bundle(bundle, root=root, name="houses", version=3) == root / "houses" / "3"
    expected = {f"houses/3/{name}": content for name, content in contents(bundle).items()}
    assert contents(root) == expected
    publish_champion(root=root, name="houses", version=3)
    assert contents(root) == {**expected, "houses/champion": b"3\n"}


def test_a_newer_version_takes_over_and_the_older_one_stays(tmp_path: Path):
    root = tmp_path / "models"
    for version in (1, 2):
        publish_bundle(bundle_of(f"r{version}", tmp_path / f"{version}"), root=root, name="houses", version=version)
        publish_champion(root=root, name="houses", version=version)
    assert (root / "houses" / "champion").read_text() == "2\n"
    assert sorted(path.name for path in (root / "houses").iterdir()) == ["1", "2", "champion"]


def test_a_version_that_is_there_stays_as_it_is(tmp_path: Path):
    bundle, root = bundle_of("r1", tmp_path / "bundle"), tmp_path / "models"
    again = bundle_of("r1", tmp_path / "again", code_version="newer")
    for own in (bundle, again):
        publish_bundle(own, root=root, name="houses", version=1)
    assert contents(root / "houses/1") == contents(bundle)


def test_another_model_is_not_published_under_the_number_of_one_that_is_there(tmp_path: Path):
    bundle, root = bundle_of("r1", tmp_path / "bundle"), tmp_path / "models"
    publish_bundle(bundle, root=root, name="houses", version=1)
    with pytest.raises(UserError, match=rf"^{root}/houses/1 holds another model, .* s1\. Move {root}/houses away"):
        publish_bundle(bundle_of("r2", tmp_path / "other"), root=root, name="houses", version=1)
    assert contents(root / "houses/1") == contents(bundle)


def test_a_version_that_cannot_be_read_is_replaced(tmp_path: Path):
    bundle, root = bundle_of("r1", tmp_path / "bundle"), tmp_path / "models"
    (publish_bundle(bundle, root=root, name="houses", version=1) / MODEL_FILE).write_bytes(b"")
    publish_bundle(bundle, root=root, name="houses", version=1)
    assert contents(root) == {f"houses/1/{name}": content for name, content in contents(bundle).items()}


def test_a_version_that_does_not_fit_the_disk_is_told_and_published_when_there_is_room(tmp_path: Path):
    bundle, root = bundle_of("r1", tmp_path / "bundle"), tmp_path / "models"
    with (
        files_at_most(100),
        pytest.raises(UserError, match=rf"^{root}/houses/1 cannot be written: File too large\. .* tracking\.bundles"),
    ):
        publish_bundle(bundle, root=root, name="houses", version=1)
    assert list((root / "houses").iterdir()) == []
    publish_bundle(bundle, root=root, name="houses", version=1)
    assert contents(root / "houses/1") == contents(bundle)


def test_a_champion_that_does_not_fit_the_disk_is_told_and_stays_who_it_was(tmp_path: Path):
    root = tmp_path / "models"
    (root / "houses").mkdir(parents=True)
    publish_champion(root=root, name="houses", version=1)
    with (
        files_at_most(1),
        pytest.raises(UserError, match=rf"^{root}/houses/champion cannot be written: File too large"),
    ):
        publish_champion(root=root, name="houses", version=2)
    assert contents(root) == {"houses/champion": b"1\n"}
