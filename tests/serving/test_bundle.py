import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import BundleError, open_bundle
from tests.serving.bundles import PATIENT_COLUMNS, publish_patients

Contract = dict[str, Any]


def repeat_a_column(contract: Contract) -> None:
    contract["columns"].append(contract["columns"][0])


def forget_the_classes(contract: Contract) -> None:
    contract["target"]["classes"] = []


def forget_a_golden_cell(contract: Contract) -> None:
    del contract["golden"][0]["row"]["age"]


def forget_a_golden_probability(contract: Contract) -> None:
    contract["golden"][0]["prediction"].pop()


def take_another_version(contract: Contract) -> None:
    contract["format_version"] = 4


def add_a_field(contract: Contract) -> None:
    contract["columns"][0]["unit"] = "years"


def take_another_kind(contract: Contract) -> None:
    contract["columns"][0]["kind"] = "picture"


def forget_a_share(contract: Contract) -> None:
    (city,) = [column for column in contract["columns"] if column["name"] == "city"]
    city["reference"] = {"shares": [1.0] * (len(city["categories"]) - 1)}


BROKEN: dict[str, tuple[Callable[[Contract], None], str]] = {
    "another format version": (take_another_version, "format_version: Input should be 1, 2 or 3"),
    "a column twice": (repeat_a_column, "two columns have one name"),
    "no classes": (forget_the_classes, "a multiclass with 0 classes"),
    "a golden row without a column": (forget_a_golden_cell, "golden row 0 has other columns"),
    "a golden row of two probabilities": (forget_a_golden_probability, "golden row 0 has 2 predictions"),
    "a field of another version": (add_a_field, r"columns\.0\.numeric\.unit: Extra inputs are not permitted"),
    "a category without a share": (forget_a_share, r"categorical: Value error, \d+ shares of \d+ categories"),
    "an unknown kind of column": (take_another_kind, r"columns\.0: Input tag 'picture'"),
}


def test_a_bundle_that_was_written_is_opened(tmp_path: Path):
    folder = publish_patients(tmp_path)
    bundle = open_bundle(folder)
    assert bundle.folder == folder
    assert bundle.contract.columns == PATIENT_COLUMNS
    assert bundle.model == (folder / "model.onnx").read_bytes()


@pytest.mark.parametrize(("break_it", "said"), BROKEN.values(), ids=BROKEN)
def test_a_contract_that_cannot_be_right_is_refused(tmp_path: Path, break_it: Callable[[Contract], None], said: str):
    path = publish_patients(tmp_path) / "contract.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    break_it(contract)
    path.write_text(json.dumps(contract))
    with pytest.raises(BundleError, match=rf"contract\.json: .*{said}"):
        open_bundle(path.parent)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_contract_that_is_none_is_refused(tmp_path: Path, content: bytes):
    path = publish_patients(tmp_path) / "contract.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"contract\.json: .* It was written by another version, or is broken"):
        open_bundle(path.parent)


@pytest.mark.parametrize("file", ["contract.json", "model.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, file: str):
    folder = publish_patients(tmp_path)
    (folder / file).unlink()
    with pytest.raises(BundleError, match=rf"{file}: cannot be read: No such file or directory"):
        open_bundle(folder)


@pytest.mark.parametrize("change", [lambda model: model + b"\0", lambda model: model[:-1], lambda model: b""])
def test_a_model_that_was_changed_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]):
    path = publish_patients(tmp_path) / "model.onnx"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleError, match=r"model\.onnx: its sha256 is not the one in contract\.json"):
        open_bundle(path.parent)
