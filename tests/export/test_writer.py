import hashlib
import json
import math
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pipelines.errors import UserError
from pipelines.export import ParityError, publish_bundle, publish_champion
from pipelines.export.writer import write_checked
from serving.bundle import CONTRACT_FILE, MODEL_FILE, Contract
from tests.export.bundles import Written
from tests.full_disk import files_at_most
from tests.tracking.bundles import write_bundle


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_one_weight_changed(model: bytes) -> bytes:
    proto = onnx.load_from_string(model)
    floats = [own for own in proto.graph.initializer if own.data_type == onnx.TensorProto.FLOAT]
    weights = max(floats, key=lambda own: math.prod(own.dims))
    changed = numpy_helper.to_array(weights).copy()
    changed.flat[0] += 1.0
    weights.CopyFrom(numpy_helper.from_array(changed, weights.name))
    return proto.SerializeToString()


def write_tampered(folder: Path, written: Written) -> None:
    model = with_one_weight_changed((written.folder / MODEL_FILE).read_bytes())
    contract = Contract.model_validate_json((written.folder / CONTRACT_FILE).read_text(encoding="utf-8"))
    contract = contract.model_copy(update={"onnx_sha256": hashlib.sha256(model).hexdigest()})
    write_checked(
        folder,
        model=model,
        contract=contract,
        served=written.served,
        prepared=written.prepared,
        task=written.task,
    )


def test_a_bundle_is_two_files(written: Written):
    assert set(contents(written.folder)) == {MODEL_FILE, CONTRACT_FILE}


def test_a_changed_weight_is_noticed_and_leaves_no_bundle(written: Written, tmp_path: Path):
    with pytest.raises(ParityError, match=r"differ from training's in \d+ of \d+ rows"):
        write_tampered(tmp_path / "bundle", written)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_bundle_leaves_the_older_one_as_it_was(written: Written, tmp_path: Path):
    older = tmp_path / "bundle"
    older.mkdir()
    (older / "older").write_text("older")
    with pytest.raises(ParityError):
        write_tampered(older, written)
    assert contents(tmp_path) == {"bundle/older": b"older"}


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


def test_a_bundle_that_does_not_fit_the_disk_is_told_and_leaves_nothing(written: Written, tmp_path: Path):
    model = (written.folder / MODEL_FILE).read_bytes()
    contract = Contract.model_validate_json((written.folder / CONTRACT_FILE).read_text(encoding="utf-8"))
    with (
        files_at_most(100),
        pytest.raises(UserError, match=rf"^{tmp_path}/bundle cannot be written: File too large\. .* TMPDIR"),
    ):
        write_checked(
            tmp_path / "bundle",
            model=model,
            contract=contract,
            served=written.served,
            prepared=written.prepared,
            task=written.task,
        )
    assert list(tmp_path.iterdir()) == []


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
