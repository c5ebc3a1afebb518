"""One ONNX graph from raw columns to predictions: the column graph, and behind it the nets by torch's exporter."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import torch
from onnx import ModelProto, compose

from pipelines.data.prepare import PreparedTable
from pipelines.export.columns import OPSET, column_graph, input_columns
from pipelines.export.served import ServedModel

PREDICTION = "prediction"


def export_model(served: ServedModel, prepared: PreparedTable) -> ModelProto:
    """Write the served model as a graph over raw columns, encoded as the prepared table is.

    Inputs are the encoder's columns, as `column_graph` says; the output is `prediction`, float32 [N, P].
    The same model gives the same bytes.

    Raises:
        ValueError: the encoder reads no column.
    """
    names = input_columns(prepared.encoder)
    prefix = _free_prefix(names)
    columns = column_graph(prepared.encoder, [fold.encoder for fold in prepared.folds], prefix=prefix)
    nets = compose.add_prefix(_export_nets(served, prepared), prefix, rename_outputs=False)
    passed_on = [(output.name, output.name) for output in columns.graph.output]
    model = compose.merge_models(columns, nets, io_map=passed_on, producer_name="sweepstack")
    del model.opset_import[:]  # the merge lists a domain that both halves use twice
    model.opset_import.extend(columns.opset_import)
    onnx.checker.check_model(model, full_check=True)
    return model


def _free_prefix(columns: Sequence[str]) -> str:
    """A prefix that no column has, so that a column may have the name of anything inside the graph."""
    prefix = "~"
    while any(column.startswith(prefix) for column in columns):
        prefix += "~"
    return prefix


def _export_nets(served: ServedModel, prepared: PreparedTable) -> ModelProto:
    """The graph from `numbers` and `codes` to `prediction`."""
    n_rows = 2  # any number but 1, which the exporter would take for a constant
    rows_of_folds = (len(prepared.folds), n_rows) if prepared.folds else (n_rows,)
    numbers = torch.zeros(*rows_of_folds, prepared.encoder.n_numbers)
    codes = torch.zeros(*rows_of_folds, len(prepared.encoder.categories), dtype=torch.int64)
    rows = {len(rows_of_folds) - 1: torch.export.Dim("batch")}
    with _quiet_exporter():
        program = torch.onnx.export(
            served,
            (numbers, codes),
            input_names=["numbers", "codes"],
            output_names=[PREDICTION],
            dynamic_shapes={"numbers": rows, "codes": rows},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:  # only with a file name, which is not given
        raise RuntimeError("torch's exporter returned no program.")
    return _without_traces(program.model_proto)


def _without_traces(model: ModelProto) -> ModelProto:
    """Remove what the exporter notes on every node: file names of this machine, twice the size of the node."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what torch 2.13's exporter says about itself on every call, and nothing else."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")  # "torchvision is not installed"
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", message="_check_is_size will be removed", category=FutureWarning)
            warnings.filterwarnings("ignore", message="# The axis name: batch will not be used", category=UserWarning)
            yield
    finally:
        registration.setLevel(level)
