"""Writes a bundle, once its answers are proven equal to training's. Handing it to a server is `publishing`'s."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.data.prepare import PreparedTable
from pipelines.errors import writing
from pipelines.export.contract import Origin, build_contract
from pipelines.export.onnx_graph import export_model
from pipelines.export.parity import check_parity
from pipelines.export.served import ServedMember, ServedModel, build_served
from pipelines.models import input_facts
from pipelines.tasks.task import Task
from pipelines.whole import folder_written_whole
from serving.bundle import CONTRACT_FILE, MODEL_FILE, Calibration, Contract

AGAIN = "The same command then trains nothing twice."


def write_bundle(
    folder: Path,
    *,
    prepared: PreparedTable,
    task: Task,
    members: Sequence[ServedMember],
    metrics: Mapping[str, Mapping[str, float]],
    origin: Origin,
    calibration: Calibration | None = None,
) -> Path:
    """Export the members as one model into `folder`, which is replaced if it is there.

    Args:
        folder: gets `model.onnx` and `contract.json`.
        prepared: the table that the members were trained on.
        task: of all members.
        members: with their weights in the average.
        metrics: part ("validation", "test") -> metric -> value, of the model that is written.
        origin: for the contract's lineage.
        calibration: of these members, as `calibrate` found it; None where no rows were set aside for it.

    Returns:
        `folder`.

    Raises:
        ParityError: the written model answers otherwise than the members do; no folder is left.
        UserError: the folder cannot be written, as on a full disk; no half of it is left.
    """
    temperature = calibration.temperature if calibration else 1.0
    served = build_served(members, inputs=input_facts(prepared), task=task, temperature=temperature)
    model = export_model(served, prepared).SerializeToString(deterministic=True)
    contract = build_contract(
        prepared,
        served=served,
        scale=task.scale,
        members=members,
        metrics=metrics,
        origin=origin,
        onnx_sha256=hashlib.sha256(model).hexdigest(),
        calibration=calibration,
    )
    return write_checked(folder, model=model, contract=contract, served=served, prepared=prepared, task=task)


def write_checked(
    folder: Path, *, model: bytes, contract: Contract, served: ServedModel, prepared: PreparedTable, task: Task
) -> Path:
    """Write a bundle's two files, then let the reader prove them; the last step of `write_bundle`.

    Args:
        folder: is replaced if it is there, and left as it is when the proof fails.
        model: the ONNX file.
        contract: that belongs to it.
        served: what the model must answer like.
        prepared: the table whose rows are tried.
        task: of the model.

    Raises:
        ParityError: the model answers otherwise.
        UserError: the folder cannot be written, as on a full disk; no half of it is left.
    """
    room = f"Make room there, or name a folder on another disk in the variable TMPDIR. {AGAIN}"
    with writing(folder, otherwise=room), folder_written_whole(folder) as unfinished:
        (unfinished / MODEL_FILE).write_bytes(model)
        (unfinished / CONTRACT_FILE).write_text(contract.model_dump_json(indent=2), encoding="utf-8")
        check_parity(unfinished, served=served, prepared=prepared, task=task)
    return folder
