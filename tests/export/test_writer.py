import hashlib
import math
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pipelines.export import ParityError, publish_bundle
from pipelines.export.writer import write_checked
from serving.bundle import CONTRACT_FILE, MODEL_FILE, Contract
from tests.export.bundles import Written


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


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / MODEL_FILE).write_bytes(b"model")
    (folder / CONTRACT_FILE).write_bytes(b"contract")
    return folder


def test_a_published_bundle_is_the_champion(bundle: Path, tmp_path: Path):
    root = tmp_path / "models"
    assert publish_bundle(bundle, root=root, name="houses", version=3) == root / "houses" / "3"
    assert contents(root) == {
        "houses/3/model.onnx": b"model",
        "houses/3/contract.json": b"contract",
        "houses/champion": b"3\n",
    }


def test_a_newer_version_takes_over_and_the_older_one_stays(bundle: Path, tmp_path: Path):
    root = tmp_path / "models"
    for version in (1, 2):
        publish_bundle(bundle, root=root, name="houses", version=version)
    assert (root / "houses" / "champion").read_text() == "2\n"
    assert sorted(path.name for path in (root / "houses").iterdir()) == ["1", "2", "champion"]


def test_a_version_published_again_is_replaced(bundle: Path, tmp_path: Path):
    root = tmp_path / "models"
    publish_bundle(bundle, root=root, name="houses", version=1)
    (bundle / MODEL_FILE).write_bytes(b"newer")
    publish_bundle(bundle, root=root, name="houses", version=1)
    assert contents(root / "houses" / "1") == {"model.onnx": b"newer", "contract.json": b"contract"}
    assert sorted(path.name for path in (root / "houses").iterdir()) == ["1", "champion"]
