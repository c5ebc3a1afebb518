"""Bytes of binary tensors that do not fit what is declared, or the model."""

import json
import struct
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from tests.serving.asking import app_of
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients
from tests.serving.inference import (
    AGE,
    CITY,
    HEADER_LENGTH,
    PRESSURE,
    SMOKER,
    WARD,
    Change,
    good,
    inputs_of,
    post,
    put,
    said,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return app_of(root)


def binary(change: Change = lambda _: None, data: Callable[[bytes], bytes] = bytes) -> tuple[bytes, bytes]:
    """JSON that declares all inputs as binary, and their bytes."""
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW] * 2)
    body = {"inputs": [own._get_tensor() for own in inputs]}
    change(body)
    return json.dumps(body).encode(), data(b"".join(own._get_binary_data() for own in inputs))


def send(app: FastAPI, header: bytes, data: bytes, length: object = None) -> httpx.Response:
    return post(app, "patients", header + data, {HEADER_LENGTH: str(len(header) if length is None else length)})


def size(place: int, n_bytes: object) -> Change:
    return lambda body: body["inputs"][place]["parameters"].update(binary_data_size=n_bytes)


NUMBER_OF_BYTES = "['binary_data_size']: Input should be a number of bytes"
BINARY: list[tuple[str, tuple[bytes, bytes], str]] = [
    ("cut off", binary(data=lambda data: data[:-1]), "['left']['parameters']['binary_data_size']: Of these bytes 7"),
    ("no data", binary(data=lambda _: b""), "['age']['parameters']['binary_data_size']: Of these bytes 0 are"),
    ("a byte more", binary(data=lambda data: data + b"x"), "1 bytes follow those that the inputs declare"),
    ("a huge size", binary(size(AGE, 10**30)), "['age']['parameters']['binary_data_size']: Of these bytes 1"),
    ("a negative size", binary(size(AGE, -8)), NUMBER_OF_BYTES),
    ("a size that is text", binary(size(AGE, "16")), NUMBER_OF_BYTES),
    ("a size that is a bool", binary(size(AGE, n_bytes=True)), NUMBER_OF_BYTES),
    ("a size that is a fraction", binary(size(AGE, 16.0)), NUMBER_OF_BYTES),
    ("a size too small", binary(size(AGE, 8)), "bytes follow those that the inputs declare"),
    ("data and bytes", binary(put(AGE, data=[1, 2])), "inputs['age']: There may be data or binary_data_size, not both"),
    (
        "a datatype of another size",
        binary(put(AGE, datatype="FP32")),
        "inputs['age']: 2 values of FP32 are 8 bytes, and binary_data_size is 16",
    ),
    (
        "integers of another size for a label",
        binary(put(CITY, datatype="INT64")),
        "inputs['city']: 2 values of INT64 are 16 bytes, and binary_data_size is 22",
    ),
]  # fmt: skip


def test_the_binary_request_that_all_others_are_made_of_is_a_good_one(app: FastAPI):
    assert send(app, *binary()).status_code == 200


@pytest.mark.parametrize(("parts", "message"), [own[1:] for own in BINARY], ids=[own[0] for own in BINARY])
def test_bytes_that_do_not_fit_are_named(app: FastAPI, parts: tuple[bytes, bytes], message: str):
    assert message in said(send(app, *parts), 422)


@pytest.mark.parametrize("length", ["", "0", "-1", "x", "1.5", "9" * 5_000, "9" * 18, "٣", "+5", "5"])
def test_the_length_of_the_json_must_be_right(app: FastAPI, length: str):
    header, data = binary()
    answer = post(app, "patients", header + data, {HEADER_LENGTH: length.encode()})
    assert said(answer, 422).startswith("The body is not an inference request. ")


def test_bytes_without_the_length_of_the_json_are_refused(app: FastAPI):
    header, data = binary()
    assert "Invalid JSON" in said(post(app, "patients", header + data, {}), 422)
    answer = said(post(app, "patients", header, {}), 422)
    assert answer.endswith("Is Inference-Header-Content-Length the length of the JSON?")


def lengths(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lengths(b"A"), "['data'][1]: The shape has 2 values, and the bytes end before this one"),
        (lengths(b"A") + b"\x01\x00", "['data'][1]: The shape has 2 values, and the bytes end before this one"),
        (lengths(b"A", b"B", b"C"), ": The shape has 2 values, and 5 bytes follow them"),
        (lengths(b"A") + b"\xff\xff\xff\xffB", "['data'][1]: Its length is 4,294,967,295 bytes, and 1 follow"),
        (lengths(b"A", b"\xff\xfe"), "['data'][1]: Input should be UTF-8"),
        (lengths(b"A", b"\xed\xa0\x80"), "['data'][1]: Input should be UTF-8"),
        (lengths(b"A", b""), "['data'][1]: A missing value is not accepted"),
        (b"", "['data'][0]: The shape has 2 values, and the bytes end before this one"),
    ],
)
def test_texts_in_bytes_are_checked(app: FastAPI, data: bytes, message: str):
    body = good()
    del body["inputs"][WARD]["data"]
    body["inputs"][WARD]["parameters"] = {"binary_data_size": len(data)}
    assert f"inputs['ward']{message}" in said(send(app, json.dumps(body).encode(), data), 422)


@pytest.mark.parametrize(
    ("place", "datatype", "values", "message"),
    [
        (AGE, "FP64", np.array([1, np.nan]), "inputs['age']['data'][1]: A missing value is not accepted"),
        (AGE, "FP32", np.array([1, np.nan], "<f4"), "inputs['age']['data'][1]: A missing value is not accepted"),
        (PRESSURE, "FP64", np.array([np.nan, np.inf]), "['data'][1]: Input should be a finite number"),
        (PRESSURE, "FP16", np.array([-np.inf, 1], "<f2"), "['data'][0]: Input should be a finite number"),
        (SMOKER, "BOOL", np.array([1, 2], "u1"), "['data'][1]: Input should be true or false, 1 or 0"),
        (SMOKER, "FP64", np.array([1, 0.5]), "['data'][1]: Input should be true or false, 1 or 0"),
    ],
)
def test_numbers_in_bytes_are_checked(app: FastAPI, place: int, datatype: str, values: np.ndarray, message: str):
    body = good()
    del body["inputs"][place]["data"]
    body["inputs"][place] |= {"datatype": datatype, "parameters": {"binary_data_size": values.nbytes}}
    assert message in said(send(app, json.dumps(body).encode(), values.tobytes()), 422)
