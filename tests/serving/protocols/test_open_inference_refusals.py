"""Every bad inference request has its status, and says in one text what is wrong and where."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.serving.asking import app_of
from tests.serving.bundles import publish_patients
from tests.serving.inference import AGE, CITY, JOINED, SMOKER, WARD, Change, good, post, put, said, top


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return root


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return app_of(folder, max_rows=5, max_body_bytes=20_000)


SHAPE = "['shape']: Input should be [n] or [n, 1], with at least one row"
CHANGES: list[tuple[str, Change, str]] = [
    # names
    ("a near name", put(AGE, name="agee"), "inputs[0]: There is no column 'agee'. Did you mean 'age'?"),
    ("another name", put(CITY, name="?"), "inputs[3]: There is no column '?'. The model has age, blood pressure, "),
    ("a long name", put(AGE, name="x" * 5000), f"There is no column '{'x' * 100}'."),
    ("no name", put(AGE, name=None), "inputs[0]: Input should be an object with a name"),
    ("a name that is a number", put(AGE, name=3), "inputs[0]: Input should be an object with a name"),
    ("an input twice", lambda body: body["inputs"].append(body["inputs"][0]), "inputs[7]: 'age' is there twice"),
    ("an input too few", lambda body: body["inputs"].pop(), "inputs['left']: This column is missing"),
    ("no input", top(inputs=[]), "7 inputs do not fit the model's columns. inputs['age']: This column is missing; "),
    ("inputs that are null", top(inputs=None), "inputs: Input should be a list of tensors, one for each column"),
    ("inputs that are an object", top(inputs={}), "inputs: Input should be a list of tensors"),
    ("an input that is text", top(inputs=["age"]), "inputs[0]: Input should be an object with a name"),
    ("another field", top(output=[]), "output: There is no such field, only id, parameters, inputs, outputs"),
    *((f"an id that is {own}", top(id=own), "id: Input should be a string") for own in (7, 0, False, [], {})),
    # shapes
    *((f"shape {shape}", put(AGE, shape=shape), f"inputs['age']{SHAPE}") for shape in (
        [], [0], [-1], [-1, 1], [2, 2], [2, 1, 1], [1, 2], [2.0], ["2"], [True], [[2]], 2, "2", {}, [None]
    )),
    ("no shape", put(AGE, shape=None), f"inputs['age']{SHAPE}"),
    ("3 rows after 2", put(WARD, shape=[3], data=["A"] * 3), "3 rows, and the inputs before it have 2"),
    ("1 value for 2 rows", put(AGE, data=[1]), "inputs['age']: The shape has 2 values, and data 1"),
    ("3 values for 2 rows", put(WARD, data=["A"] * 3), "inputs['ward']: The shape has 2 values, and data 3"),
    ("both values in one row", put(AGE, data=[[1, 2]]), "inputs['age']: The shape has 2 values, and data 1"),
    ("rows of two values", put(AGE, data=[[1, 2], [3, 4]]), "inputs['age']['data'][0]: Input should be a number"),
    ("lists in lists", put(AGE, data=[[[1]], [[2]]]), "inputs['age']['data'][0]: Input should be a number"),
    ("no data", put(AGE, data=None), "Input should be a list of values, or bytes declared as"),
    ("data that is a number", put(AGE, data=41), "inputs['age']['data']: Input should be a list of values"),
    ("data that is text", put(WARD, data="AB"), "inputs['ward']['data']: Input should be a list of values"),
    # datatypes
    ("an unknown datatype", put(AGE, datatype="FP8"), "['age']['datatype']: Input should be one of BYTES, BOOL, "),
    ("BF16", put(AGE, datatype="BF16"), "inputs['age']['datatype']: Input should be one of "),
    ("a datatype in small letters", put(AGE, datatype="fp64"), "['datatype']: Input should be one of "),
    ("a datatype that is a list", put(AGE, datatype=["FP64"]), "['datatype']: Input should be one of "),
    ("no datatype", put(AGE, datatype=None), "inputs['age']['datatype']: Input should be one of "),
    ("text for numbers", put(AGE, datatype="BYTES", data=["1", "2"]), "BYTES does not fit a numeric column: send BOOL"),
    ("text for a bool", put(SMOKER, datatype="BYTES", data=["1", "2"]), "BYTES does not fit a boolean column"),
    ("floats for a label", put(CITY, datatype="FP32", data=[1, 2]), "FP32 does not fit a categorical column: send"),
    ("bools for a label", put(CITY, datatype="BOOL", data=[True] * 2), "BOOL does not fit a categorical column"),
    ("days for a date", put(JOINED, datatype="FP64", data=[1, 2]), "FP64 does not fit a date column: send BYTES"),
    # values
    ("text in a number", put(AGE, data=[1, "2"]), "['age']['data'][1]: Input should be a number, as FP64"),
    ("a bool in a number", put(AGE, data=[True, 2]), "inputs['age']['data'][0]: Input should be a number"),
    ("a fraction in INT32", put(AGE, datatype="INT32", data=[1, 2.5]), "[1]: Input should be a whole number, as INT32"),
    ("300 in INT8", put(AGE, datatype="INT8", data=[1, 300]), "[1]: Input should be between -128 and 127, as INT8"),
    ("-1 in UINT64", put(AGE, datatype="UINT64", data=[-1, 3]), "[0]: Input should be between 0 and 1844674407370955"),
    ("a number in BOOL", put(SMOKER, data=[True, 1]), "['data'][1]: Input should be true or false, as BOOL says"),
    ("a number in BYTES", put(WARD, data=["A", 7]), "['ward']['data'][1]: Input should be a string, as BYTES"),
    ("2 for a bool", put(SMOKER, datatype="INT8", data=[0, 2]), "['data'][1]: Input should be true or false, 1 or 0"),
    ("400 digits", put(AGE, data=[1, 10**400]), "inputs['age']: A number is too large"),
    ("no date", put(JOINED, data=["2020-01-01", "soon"]), "['joined']['data'][1]: Input should be an ISO 8601 date"),
    ("no day of the calendar", put(JOINED, data=["2023-02-30"] * 2), "['joined']['data'][0]: Input should be an ISO"),
    # missing values, where there were none in training
    ("null", put(AGE, data=[1, None]), "inputs['age']['data'][1]: A missing value is not accepted"),
    ("null for a bool", put(SMOKER, data=[None, True]), "inputs['smoker']['data'][0]: A missing value is not accepted"),
    ("null for a label", put(WARD, data=["A", None]), "inputs['ward']['data'][1]: A missing value is not accepted"),
    ("an empty label", put(WARD, data=["A", ""]), "inputs['ward']['data'][1]: A missing value is not accepted"),
    ("an empty date", put(JOINED, data=["", ""]), "inputs['joined']['data'][0]: A missing value is not accepted"),
    # outputs and parameters
    ("another output", top(outputs=[{"name": "value"}]), "There is no output 'value', only label, probabilities"),
    ("an output twice", top(outputs=[{"name": "label"}] * 2), "outputs[1]: 'label' is asked for twice"),
    ("outputs that are text", top(outputs="label"), "outputs: Input should be a list of outputs"),
    ("outputs that are false", top(outputs=False), "outputs: Input should be a list of outputs"),
    ("an output without a name", top(outputs=[{}]), "outputs[0]: Input should be an object with a name"),
    (
        "classification",
        top(outputs=[{"name": "label", "parameters": {"classification": 2}}]),
        "outputs['label']: classification is not supported",
    ),
    (
        "an output in shared memory",
        top(outputs=[{"name": "label", "parameters": {"shared_memory_region": "x"}}]),
        "outputs['label']: shared_memory_region is not supported",
    ),
    (
        "an input in shared memory",
        put(AGE, data=None, parameters={"shared_memory_region": "x"}),
        "inputs['age']: shared_memory_region is not supported",
    ),
    ("parameters that are a list", top(parameters=[1]), "parameters: Input should be an object"),
    ("parameters of an input", put(AGE, parameters=3), "inputs['age']['parameters']: Input should be an object"),
    (
        "binary_data_output that is a number",
        top(parameters={"binary_data_output": 1}),
        "parameters['binary_data_output']: Input should be true or false",
    ),
    (
        "binary_data that is text",
        top(outputs=[{"name": "label", "parameters": {"binary_data": "no"}}]),
        "outputs['label']['parameters']['binary_data']: Input should be true or false",
    ),
]  # fmt: skip


def test_the_request_that_all_others_are_made_of_is_a_good_one(app: FastAPI):
    assert post(app, "patients", json.dumps(good()).encode(), {}).status_code == 200


@pytest.mark.parametrize(("change", "message"), [own[1:] for own in CHANGES], ids=[own[0] for own in CHANGES])
def test_what_does_not_fit_is_named(app: FastAPI, change: Change, message: str):
    body = good()
    change(body)
    assert message in said(post(app, "patients", json.dumps(body).encode(), {}), 422)


def test_infinity_is_no_number(app: FastAPI):
    body = json.dumps(good()).encode()
    for token in (b"Infinity", b"-Infinity", b"1e400"):
        answer = post(app, "patients", body.replace(b"41.0", token, 1), {})
        assert "inputs['age']['data'][0]: Input should be a finite number" in said(answer, 422)
    assert "['data'][0]: A missing value" in said(post(app, "patients", body.replace(b"41.0", b"NaN", 1), {}), 422)


def test_every_input_with_a_mistake_is_named_with_its_first(app: FastAPI):
    body = good()
    put(AGE, data=["x", "y"])(body)
    put(JOINED, data=["x", "y"])(body)
    error = said(post(app, "patients", json.dumps(body).encode(), {}), 422)
    assert error.startswith("2 inputs do not fit the model's columns. inputs['age']['data'][0]: ")
    assert "; inputs['joined']['data'][0]: " in error


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"3", b"[]", b"{}", b"age=40", b'{"inputs": [', b"[" * 10_000, b'{"inputs":' * 1_000, b"\x00",
        b'{"id": "\xff"}', b'{"id": "\\ud800"}', b'{"inputs": []} x', '{"inputs": []}'.encode("utf-16"), b"9" * 5_000,
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_request_is_refused(app: FastAPI, body: bytes):
    assert said(post(app, "patients", body, {}), 422).startswith("The body is not an inference request. ")


def test_more_brackets_than_rows_could_need_are_not_parsed(folder: Path):
    app = app_of(folder, max_rows=5, max_body_bytes=10**8)
    answer = post(app, "patients", b'{"inputs": [' + b"[]," * 10**6 + b"[]]}", {})
    assert "More lists and objects than 5 rows can have" in said(answer, 422)
