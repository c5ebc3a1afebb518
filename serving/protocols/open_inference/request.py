"""Bodies of inference requests: JSON, and behind it the bytes of binary tensors, as the columns of a model.

A body is `{"id", "parameters", "inputs": [{"name", "shape", "datatype", "parameters", "data"}], "outputs": [{"name",
"parameters"}]}`. With the header `Inference-Header-Content-Length` only that many bytes of it are JSON; an input with
`parameters.binary_data_size` has its data in what follows, one after the other in the order of the inputs.

Parameters of Triton that say how to compute (`sequence_id`, `priority`, `timeout`) are not looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np

from serving.bundle import Contract
from serving.errors import MOST_NAME, Detail, InvalidRequestError, TooManyRowsError
from serving.http.bodies import declared_bytes
from serving.protocols.open_inference.answer import output_names
from serving.protocols.open_inference.columns import to_column
from serving.protocols.open_inference.tensors import DATATYPES, Tensor, WrongTensorError
from serving.reading.mistakes import check_brackets, parse

FIELDS = ("id", "parameters", "inputs", "outputs")
MOST_SHOWN = 100  # characters of a value that are repeated in an answer
MOST_NAMES = 20  # of columns, for whoever asked for one that is not there
BodyPath = list[str | int]


@dataclass(frozen=True)
class InferRequest:
    """What a body asks.

    Attributes:
        columns: name -> [N], as the predictor takes them.
        outputs: name -> whether it is answered in bytes; in the order that was asked.
        identity: that the caller gave; None: none.
    """

    columns: dict[str, np.ndarray]
    outputs: dict[str, bool]
    identity: str | None


def read_request(body: bytes, header_length: str | None, contract: Contract, *, max_rows: int) -> InferRequest:
    """Read a body.

    Args:
        body: no longer compressed.
        header_length: the header `Inference-Header-Content-Length`; None: all of the body is JSON.
        contract: names the columns and the classes.
        max_rows: of one request.

    Raises:
        InvalidRequestError: it is no request, or does not fit the contract; every input with a mistake is named, with
            its first one.
        TooManyRowsError: it has more rows than allowed.
    """
    header, data = _split(body, header_length)
    # A list, and a bracket in a label such as "[0, 1)", for each value.
    most = (2 * max_rows + 10) * (len(contract.columns) + 1)
    check_brackets(header, most=most, max_rows=max_rows, wrong=_wrong)
    parsed = _parse(header)
    outputs = _read_outputs(parsed, output_names(contract))
    tensors = dict(_read_inputs(parsed["inputs"], data, contract, max_rows=max_rows))
    return InferRequest(_to_columns(contract, tensors), outputs, parsed.get("id"))


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    n_bytes = declared_bytes(header_length.encode())
    if not 0 < n_bytes <= len(body):
        raise _wrong(
            [],
            f"Inference-Header-Content-Length should be the bytes of JSON at the body's start, at most the "
            f"{len(body):,} that there are, not {header_length[:MOST_SHOWN]!r}",
        )
    return body[:n_bytes], memoryview(body)[n_bytes:]


def _parse(header: bytes) -> dict[str, Any]:
    parsed = parse(header, wrong=_wrong)  # takes NaN: a client that sends a float tensor as JSON writes it
    if not isinstance(parsed, dict):
        raise _wrong([], 'Input should be an object: {"inputs": [{"name", "shape", "datatype", "data"}, ...]}')
    unknown = next((name for name in parsed if name not in FIELDS), None)
    if unknown is not None:
        raise _wrong([unknown[:MOST_NAME]], f"There is no such field, only {', '.join(FIELDS)}")
    if not isinstance(parsed.get("id"), str | None):
        raise _wrong(["id"], "Input should be a string")
    if not isinstance(parsed.get("inputs"), list):
        raise _wrong(["inputs"], "Input should be a list of tensors, one for each column")
    return parsed


def _read_outputs(parsed: dict[str, Any], known: tuple[str, ...]) -> dict[str, bool]:
    in_bytes = _flag(_parameters(parsed, []), "binary_data_output", [], default=False)
    wanted = parsed.get("outputs")
    if not wanted and (wanted is None or wanted == []):
        return dict.fromkeys(known, in_bytes)
    if not isinstance(wanted, list):
        raise _wrong(["outputs"], "Input should be a list of outputs")
    outputs: dict[str, bool] = {}
    for index, tensor in enumerate(wanted):
        name = _name(tensor, ["outputs", index])
        if name not in known:
            raise _wrong(["outputs", index], f"There is no output {name[:MOST_NAME]!r}, only {', '.join(known)}")
        if name in outputs:
            raise _wrong(["outputs", index], f"{name!r} is asked for twice")
        parameters = _parameters(tensor, ["outputs", name])
        for extension in ("classification", "shared_memory_region"):
            if parameters.get(extension):
                raise _wrong(["outputs", name], f"{extension} is not supported")
        outputs[name] = _flag(parameters, "binary_data", ["outputs", name], default=in_bytes)
    return outputs


def _read_inputs(
    inputs: list[Any], data: memoryview, contract: Contract, *, max_rows: int
) -> Iterator[tuple[str, Tensor]]:
    known = dict.fromkeys(column.name for column in contract.columns)
    seen: set[str] = set()
    start = n_rows = 0
    for index, tensor in enumerate(inputs):
        name = _name(tensor, ["inputs", index])
        if name not in known:
            near = get_close_matches(name[:MOST_NAME], known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The model has {', '.join(islice(known, MOST_NAMES))}"
            raise _wrong(["inputs", index], f"There is no column {name[:MOST_NAME]!r}. {hint}")
        if name in seen:
            raise _wrong(["inputs", index], f"{name!r} is there twice")
        seen.add(name)
        n_tensor_rows = _n_rows(tensor, ["inputs", name], max_rows=max_rows)
        n_rows = n_rows or n_tensor_rows
        if n_tensor_rows != n_rows:
            raise _wrong(["inputs", name, "shape"], f"{n_tensor_rows:,} rows, and the inputs before it have {n_rows:,}")
        values = _data(tensor, data[start:], ["inputs", name])
        start += len(values) if isinstance(values, memoryview) else 0
        yield name, Tensor(_datatype(tensor, ["inputs", name]), n_rows, values)
    if start != len(data):
        raise _wrong([], f"{len(data) - start:,} bytes follow those that the inputs declare as binary_data_size")


def _to_columns(contract: Contract, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    details = []
    for column in contract.columns:
        tensor = tensors.get(column.name)
        if tensor is None:
            details.append(Detail(path=["inputs", column.name], message="This column is missing"))
            continue
        try:
            columns[column.name] = to_column(column, tensor)
        except WrongTensorError as error:
            path: BodyPath = ["inputs", column.name]
            if error.index is not None:
                path += ["data", error.index]
            details.append(Detail(path=path, message=str(error)))
    if details:
        raise InvalidRequestError(
            f"{len(details)} {'input does' if len(details) == 1 else 'inputs do'} not fit the model's columns.", details
        )
    return columns


def _name(tensor: Any, path: BodyPath) -> str:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise _wrong(path, "Input should be an object with a name")
    name: str = tensor["name"]
    return name


def _n_rows(tensor: dict[str, Any], path: BodyPath, *, max_rows: int) -> int:
    shape: Any = tensor.get("shape")
    is_shape = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not is_shape or shape[1:] not in ([], [1]) or not shape or shape[0] < 1:
        raise _wrong([*path, "shape"], "Input should be [n] or [n, 1], with at least one row")
    if shape[0] > max_rows:
        detail = Detail(path=[*path, "shape"], message=f"More than {max_rows:,} rows")
        raise TooManyRowsError.from_limit(max_rows, detail)
    n_rows: int = shape[0]
    return n_rows


def _datatype(tensor: dict[str, Any], path: BodyPath) -> str:
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _wrong([*path, "datatype"], f"Input should be one of {', '.join(DATATYPES)}")
    return datatype


def _data(tensor: dict[str, Any], rest: memoryview, path: BodyPath) -> list[Any] | memoryview:
    parameters = _parameters(tensor, path)
    if "shared_memory_region" in parameters:
        raise _wrong(path, "shared_memory_region is not supported")
    n_bytes = parameters.get("binary_data_size")
    if n_bytes is None:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise _wrong([*path, "data"], "Input should be a list of values, or bytes declared as binary_data_size")
        return data
    if "data" in tensor:
        raise _wrong(path, "There may be data or binary_data_size, not both")
    if type(n_bytes) is not int or n_bytes < 0:
        raise _wrong([*path, "parameters", "binary_data_size"], "Input should be a number of bytes")
    if n_bytes > len(rest):
        raise _wrong(
            [*path, "parameters", "binary_data_size"],
            f"Of these bytes {len(rest):,} are there. Is Inference-Header-Content-Length the length of the JSON?",
        )
    return rest[:n_bytes]


def _parameters(given: dict[str, Any], path: BodyPath) -> dict[str, Any]:
    parameters = given.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise _wrong([*path, "parameters"], "Input should be an object")
    return parameters


def _flag(parameters: dict[str, Any], name: str, path: BodyPath, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise _wrong([*path, "parameters", name], "Input should be true or false")
    return value


def _wrong(path: BodyPath, message: str) -> InvalidRequestError:
    return InvalidRequestError("The body is not an inference request.", [Detail(path=path, message=message)])
