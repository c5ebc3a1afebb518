from pathlib import Path

import pytest

from serving.bundle import BundleError
from serving.versions.store import FolderStore, open_champion
from tests.serving.bundles import publish_patients, publish_sales

NO_VERSIONS = {"empty": b"", "a word": b"latest", "upwards": b"../1", "negative": b"-1", "other digits": "٣".encode()}


def test_models_are_those_that_have_a_champion(tmp_path: Path):
    publish_patients(tmp_path)
    publish_sales(tmp_path, name="Müller's ice")
    (tmp_path / "no champion" / "1").mkdir(parents=True)
    (tmp_path / "a file").write_text("")
    assert FolderStore(tmp_path).names() == ["Müller's ice", "patients"]


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path):
    assert FolderStore(tmp_path / "nowhere").names() == []


def test_the_champion_is_the_version_that_the_file_names(tmp_path: Path):
    publish_sales(tmp_path, version=2)
    publish_sales(tmp_path, version=10)
    store = FolderStore(tmp_path)
    assert open_champion(store, "ice cream").version == "10"
    (tmp_path / "ice cream" / "champion").write_text("2")
    found = open_champion(store, "ice cream")
    assert (found.name, found.version, found.bundle.folder) == ("ice cream", "2", tmp_path / "ice cream" / "2")


@pytest.mark.parametrize("name", ["", ".", "..", "../patients", "/etc", "a/b", "a\\b", ".hidden", "a\0b"])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str):
    publish_patients(tmp_path)
    with pytest.raises(BundleError, match="is no name of a model"):
        open_champion(FolderStore(tmp_path), name)


@pytest.mark.parametrize("content", NO_VERSIONS.values(), ids=NO_VERSIONS)
def test_a_champion_that_is_no_version_is_refused(tmp_path: Path, content: bytes):
    publish_patients(tmp_path)
    (tmp_path / "patients" / "champion").write_bytes(content)
    with pytest.raises(BundleError, match="instead of the number of a version"):
        open_champion(FolderStore(tmp_path), "patients")


def test_a_champion_that_is_no_text_is_refused(tmp_path: Path):
    publish_patients(tmp_path)
    (tmp_path / "patients" / "champion").write_bytes(b"\xff")
    with pytest.raises(BundleError, match="champion: is no text"):
        open_champion(FolderStore(tmp_path), "patients")


def test_a_model_without_champion_or_without_its_version_is_named(tmp_path: Path):
    publish_patients(tmp_path)
    store = FolderStore(tmp_path)
    with pytest.raises(BundleError, match="nobody/champion: cannot be read: No such file"):
        open_champion(store, "nobody")
    (tmp_path / "patients" / "champion").write_text("7")
    with pytest.raises(BundleError, match=r"patients/7/contract\.json: cannot be read: No such file"):
        open_champion(store, "patients")


def test_a_bundle_of_another_model_is_refused(tmp_path: Path):
    publish_sales(tmp_path)
    publish_patients(tmp_path / "elsewhere").rename(tmp_path / "ice cream" / "2")
    store = FolderStore(tmp_path)
    assert open_champion(store, "ice cream").version == "1"
    with pytest.raises(BundleError, match=r"ice cream/2: is a version of 'patients', not of 'ice cream'") as refused:
        store.open_version("ice cream", "2")
    assert refused.value.reason == "It is a version of 'patients', not of 'ice cream'."
