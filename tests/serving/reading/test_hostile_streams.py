"""Arrow streams made to hurt: bombs of every kind, and streams with bytes changed at random, are answered 422."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI
from hypothesis import given, settings, strategies as st

from serving.reading.media_types import ARROW
from tests.serving.asking import app_of, ask
from tests.serving.bundles import PATIENT_ROW, publish_patients
from tests.serving.reading.test_media_types import as_stream

N_ROWS = 10_000
VALID = as_stream(pa.table({name: [value] * 3 for name, value in PATIENT_ROW.items()}))
COMPRESSED = as_stream(pa.table({name: [value] * 50 for name, value in PATIENT_ROW.items()}), compression="zstd")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return app_of(root)


def send(app: FastAPI, content: bytes) -> Any:
    return ask(app, "POST", "/predict", content=content, headers={"Content-Type": ARROW})


def with_labels(labels: pa.Array) -> pa.Table:
    others = {name: [value] * len(labels) for name, value in PATIENT_ROW.items() if name != "city"}
    return pa.table({**others, "city": labels})


def test_a_compressed_bomb_is_refused_by_what_it_says_it_becomes(app: FastAPI):
    content = as_stream(with_labels(pa.array(["x" * 200_000] * 1_000)), compression="zstd")
    assert len(content) < 2**20
    answer = send(app, content)
    assert answer.status_code == 422
    assert "It would become more than 134,217,728 bytes" in answer.text


@pytest.mark.parametrize("kind", ["dictionary", "views"])
def test_a_long_text_that_is_meant_many_times_is_refused(app: FastAPI, kind: str):
    text = "x" * 2_000_000
    if kind == "dictionary":
        labels = pa.DictionaryArray.from_arrays(pa.array(np.zeros(N_ROWS, dtype=np.int8)), pa.array([text]))
    else:
        view = pa.array([text], pa.string_view())
        repeated = pa.py_buffer(view.buffers()[1].to_pybytes() * N_ROWS)
        labels = pa.Array.from_buffers(pa.string_view(), N_ROWS, [None, repeated, *view.buffers()[2:]])
    answer = send(app, as_stream(with_labels(labels)))
    assert answer.status_code == 422
    assert "It would become more than 134,217,728 bytes" in answer.text


def test_a_missing_text_that_points_nowhere_is_missing(app: FastAPI):
    """Nothing validates it, and pyarrow's own cast follows it out of the process's memory."""
    nowhere = np.array([100, 0, 2**30, 2**30], dtype=np.int32).tobytes()
    labels = pa.Array.from_buffers(pa.string_view(), 1, [pa.py_buffer(b"\0"), pa.py_buffer(nowhere)])
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), labels)
    for given_labels in (labels, dictionary):
        assert send(app, as_stream(with_labels(given_labels))).status_code == 200


def test_a_dictionary_without_any_text_has_missing_values(app: FastAPI):
    """Its offsets may be left out, for which Arrow itself has always written some."""
    empty = pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    labels = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), empty)
    assert send(app, as_stream(with_labels(labels))).status_code == 200


def test_very_many_batches_are_refused(app: FastAPI):
    table = pa.table({name: [value] for name, value in PATIENT_ROW.items()})
    content = as_stream(pa.concat_tables([table] * 1_500))
    assert "There are more than 1,000 batches" in send(app, content).text


def test_offsets_out_of_bounds_are_found_before_they_are_followed(app: FastAPI):
    content = as_stream(with_labels(pa.array(["x" * 12_345])))
    start, end = (number.to_bytes(4, "little") for number in (0, 12_345))
    before, found, after = content.rpartition(start + end)
    assert found
    answer = send(app, before + start + (2**30).to_bytes(4, "little") + after)
    assert answer.status_code == 422
    assert "out of bounds: 1073741824 > 12345" in answer.text


@pytest.mark.parametrize("content", [VALID, COMPRESSED], ids=["plain", "compressed"])
@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=100)
def test_bytes_changed_at_random_are_answered(app: FastAPI, content: bytes, places: list[tuple[int, int]]):
    changed = bytearray(content)
    for place, value in places:
        changed[place % len(content)] = value
    answer = send(app, bytes(changed))
    assert answer.status_code in (200, 413, 422), answer.text
    assert Path(__file__).parts[1] not in answer.text
