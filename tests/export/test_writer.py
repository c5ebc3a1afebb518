import hashlib
import math
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pipelines.errors import UserError
from pipelines.export import ParityError
from pipelines.export.writer import write_checked
from serving.bundle import CONTRACT_FILE, MODEL_FILE, Contract
from tests.export.bundles import Written, contents
from tests.full_disk import files_at_most


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
