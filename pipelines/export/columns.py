"""The encoding of raw columns as an ONNX graph: the arithmetic of `pipelines.data.encode`, all columns at once.

Not here: the nets behind it (`onnx_graph`), and fitting the encoder (`pipelines.data.encode`).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from pipelines.data.encode import CategoryEncoding, CycleEncoding, Encoder, NumberEncoding
from pipelines.data.folds import known_codes, number_places

OPSET = 20
IR_VERSION = 10  # what torch's exporter writes for opset 20; two graphs merge only when they agree
ML_DOMAIN = "ai.onnx.ml"  # has LabelEncoder
ML_OPSET = 3


def input_columns(encoder: Encoder) -> tuple[str, ...]:
    """Names of the columns that the encoder reads, each once: the inputs of the graph."""
    return (*_number_columns(encoder), *(category.column for category in encoder.categories))


def column_graph(encoder: Encoder, folds: Sequence[Encoder] = (), *, prefix: str) -> ModelProto:
    """A model from raw columns to encoded rows; with folds once by the statistics of each, folds first.

    Inputs, named as the columns, each [N, 1]: float64 with NaN for missing, or string with "" for missing.
    Outputs: `<prefix>numbers` float32 [N, n_numbers] and `<prefix>codes` int64 [N, n_categorical].

    Args:
        encoder: what becomes of each column; a column that it does not name is no input. With folds the layout alone.
        folds: statistics of each fold, for the outputs [folds, N, ...].
        prefix: of every name in the graph but the inputs'; no column's name may start with it.

    Raises:
        ValueError: the encoder reads no column.
    """
    if not input_columns(encoder):
        raise ValueError("A column graph needs at least one column, got an encoder that reads none.")
    graph = _Graph(prefix, n_folds=len(folds))
    numbers = _number_features(graph, encoder, folds)
    codes = [_category_codes(graph, category) for category in encoder.categories]
    if folds:
        tables = zip(*(known_codes(fold, encoder) for fold in folds), strict=True)
        codes = [graph.look_up(code, np.stack(table)) for code, table in zip(codes, tables, strict=True)]
    graph.output("numbers", numbers, kind=TensorProto.FLOAT, width=encoder.n_numbers)
    graph.output("codes", codes, kind=TensorProto.INT64, width=len(codes))
    return graph.model()


class _Graph:
    """Nodes in the order of computation; every method that adds one returns the name of its result."""

    def __init__(self, prefix: str, *, n_folds: int) -> None:
        self._prefix = prefix
        self._leading = [n_folds] if n_folds else []  # axes before those of rows and columns
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def input(self, column: str, *, kind: int) -> str:
        self._inputs.append(helper.make_tensor_value_info(column, kind, ["batch", 1]))
        return column

    def constant(self, values: Any, *, dtype: type[np.generic]) -> str:
        name = f"{self._prefix}constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(values, dtype=dtype), name))
        return name

    def row(self, values: Sequence[float]) -> str:
        return self.constant(values, dtype=np.float64)

    def fold_rows(self, values: Sequence[Sequence[float]]) -> str:
        """One row for all, [C], or one a fold, [folds, 1, C]."""
        return self.constant(np.array(values)[:, None] if self._leading else values[0], dtype=np.float64)

    def look_up(self, codes: str, tables: np.ndarray) -> str:
        """Of each fold's table [folds, codes] the entries at `codes` [N, 1]: [folds, N, 1]."""
        table = self.constant(tables, dtype=np.int64)
        rows = self.apply("Squeeze", codes, self.constant([1], dtype=np.int64))
        return self.apply("Unsqueeze", self.apply("Gather", table, rows, axis=1), self.constant([2], dtype=np.int64))

    def apply(self, operator: str, *inputs: str, **attributes: Any) -> str:
        result = f"{self._prefix}{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [result], name=result, **attributes))
        return result

    def columns(self, blocks: Sequence[str]) -> str:
        return self.apply("Concat", *blocks, axis=-1) if len(blocks) > 1 else blocks[0]

    def take(self, matrix: str, places: Sequence[int]) -> str:
        return self.apply("Gather", matrix, self.constant(places, dtype=np.int64), axis=1)

    def output(self, name: str, blocks: Sequence[str], *, kind: int, width: int) -> None:
        joined = self.columns(blocks) if blocks else self._no_columns(kind)
        self._nodes.append(helper.make_node("Identity", [joined], [self._prefix + name], name=self._prefix + name))
        self._outputs.append(helper.make_tensor_value_info(self._prefix + name, kind, [*self._leading, "batch", width]))

    def _no_columns(self, kind: int) -> str:
        """Shape [N, 0], or [folds, N, 0], with N from any input."""
        n_rows = self.apply("Shape", self._inputs[0].name, start=0, end=1)
        before = [self.constant(self._leading, dtype=np.int64)] if self._leading else []
        shape = self.apply("Concat", *before, n_rows, self.constant([0], dtype=np.int64), axis=0)
        return self.apply("ConstantOfShape", shape, value=helper.make_tensor("zero", kind, [1], [0]))

    def model(self) -> ModelProto:
        graph = helper.make_graph(self._nodes, "columns", self._inputs, self._outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _number_columns(encoder: Encoder) -> tuple[str, ...]:
    names = [number.column for number in encoder.numbers] + [cycle.column for cycle in encoder.cycles]
    return tuple(dict.fromkeys(names))  # a date column has a number and cycles


def _number_features(graph: _Graph, encoder: Encoder, folds: Sequence[Encoder]) -> list[str]:
    """Blocks of number features, float32, in the encoder's order; none when it has no numbers."""
    columns = _number_columns(encoder)
    if not columns:
        return []
    raw = graph.columns([graph.input(column, kind=TensorProto.DOUBLE) for column in columns])
    missing = graph.apply("IsNaN", raw)
    place = {column: index for index, column in enumerate(columns)}
    blocks = []
    if encoder.numbers:
        numbers = [fold.numbers for fold in folds] or [encoder.numbers]
        blocks.append(_scaled(graph, numbers, raw=raw, missing=missing, place=place))
    places = [number_places(fold, encoder) for fold in folds]
    n_scaled = len(encoder.numbers)
    indicators = [place[number.column] for number in encoder.numbers if number.indicator]
    if indicators:
        known = slice(n_scaled, n_scaled + len(indicators))
        blocks.append(_of_folds(graph, graph.take(missing, indicators), known, places))
    if encoder.cycles:
        waves = _waves(graph, encoder.cycles, raw=raw, missing=missing, place=place)
        known = slice(n_scaled + len(indicators), encoder.n_numbers)
        blocks.append(_of_folds(graph, waves, known, places))
    return [graph.apply("Cast", block, to=TensorProto.FLOAT) for block in blocks]


def _of_folds(graph: _Graph, block: str, features: slice, places: Sequence[np.ndarray]) -> str:
    """Number features [N, C] that are the same in every fold which has them, and zero in the others: [folds, N, C]."""
    if not places:
        return block
    has = [np.isin(np.arange(features.start, features.stop), of_fold).astype(float).tolist() for of_fold in places]
    return graph.apply("Mul", graph.apply("Cast", block, to=TensorProto.DOUBLE), graph.fold_rows(has))


def _scaled(
    graph: _Graph, folds: Sequence[Sequence[NumberEncoding]], *, raw: str, missing: str, place: dict[str, int]
) -> str:
    """By the statistics of each fold; one for a table without folds."""
    places = [place[number.column] for number in folds[0]]
    fill = graph.fold_rows([[number.fill for number in fold] for fold in folds])
    if places != list(range(len(place))):  # for a row every operator costs, also one that changes nothing
        missing, raw = graph.take(missing, places), graph.take(raw, places)
    filled = graph.apply("Where", missing, fill, raw)
    centered = graph.apply("Sub", filled, graph.fold_rows([[number.center for number in fold] for fold in folds]))
    return graph.apply("Div", centered, graph.fold_rows([[number.scale for number in fold] for fold in folds]))


def _waves(graph: _Graph, cycles: Sequence[CycleEncoding], *, raw: str, missing: str, place: dict[str, int]) -> str:
    """Sine and cosine of each cycle beside each other, 0 where missing.

    The cosine is the sine a quarter of a turn later: one operator for both, and they come out interleaved.
    """
    places = [place[cycle.column] for cycle in cycles for _ in range(2)]
    turns = graph.apply("Mul", graph.take(raw, places), graph.row([2 * math.pi]))
    angles = graph.apply("Div", turns, graph.row([cycle.period_days for cycle in cycles for _ in range(2)]))
    phases = graph.row([0.0, math.pi / 2] * len(cycles))
    waves = graph.apply("Sin", graph.apply("Add", angles, phases))
    return graph.apply("Where", graph.take(missing, places), graph.row([0.0]), waves)


def _category_codes(graph: _Graph, category: CategoryEncoding) -> str:
    return graph.apply(
        "LabelEncoder",
        graph.input(category.column, kind=TensorProto.STRING),
        domain=ML_DOMAIN,
        keys_strings=list(category.categories),
        values_int64s=list(range(1, len(category.categories) + 1)),
        default_int64=0,
    )
