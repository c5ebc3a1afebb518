"""Writes a bundle once its answers are proven equal to training's, and hands it to the server's folder.

Nothing half-written is ever seen: folders and files are written beside their place and renamed.
"""

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError, unwritable, writing
from pipelines.export.contract import Origin, build_contract
from pipelines.export.onnx_graph import export_model
from pipelines.export.parity import check_parity
from pipelines.export.served import ServedMember, ServedModel, build_served
from pipelines.locked import locked
from pipelines.models import input_facts
from pipelines.tasks.task import Task
from pipelines.whole import written_whole
from serving.bundle import CONTRACT_FILE, MODEL_FILE, BundleError, Calibration, Contract, Lineage, open_bundle

CHAMPION_FILE = "champion"  # beside the versions; holds the number of the one that answers
LOCK_FILE = ".lock"  # likewise; held by the command that adds a version
AGAIN = "The same command then trains nothing twice."
ROOM_FOR_BUNDLES = f"Make room there, or choose another folder with tracking.bundles. {AGAIN}"


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
    with writing(folder, otherwise=room), _replaced(folder) as unfinished:
        (unfinished / MODEL_FILE).write_bytes(model)
        (unfinished / CONTRACT_FILE).write_text(contract.model_dump_json(indent=2), encoding="utf-8")
        check_parity(unfinished, served=served, prepared=prepared, task=task)
    return folder


def check_publishable(root: Path, *, name: str) -> None:
    """Try out what `publish_bundle` will do, and leave everything as it was found.

    Args:
        root: the server's folder of models.
        name: of the registered model.

    Raises:
        UserError: nothing can be written there.
    """
    folder = root / name
    missing: list[Path] = []
    try:
        missing += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable("tracking.bundles", root, error) from error
    finally:
        for path in missing:
            with suppress(OSError):  # it was not even made, or someone uses it by now
                path.rmdir()


@contextmanager
def publishing(root: Path, *, name: str, tell: Callable[[str], None]) -> Iterator[None]:
    """For one command at a time: which version is registered, published and the champion is settled in one go.

    Args:
        root: the server's folder of models.
        name: of the registered model.
        tell: called with a line when another command is at it, which takes seconds.

    Raises:
        UserError: nothing can be written there.
    """
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = locked(folder / LOCK_FILE)
        except BlockingIOError:
            tell(f"{name}: another command registers a version; waiting for it")
            lock = locked(folder / LOCK_FILE, waits=True)
    except OSError as error:
        raise unwritable("tracking.bundles", root, error) from error
    with lock:
        yield


def newest_published(root: Path, *, name: str) -> int:
    """The highest version of a model in the server's folder, 0 where there is none."""
    folder = root / name
    numbers = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    return max(numbers, default=0)


def has_champion(root: Path, *, name: str) -> bool:
    """Whether a version of a model answers from the server's folder."""
    return (root / name / CHAMPION_FILE).exists()


def publish_bundle(bundle: Path, *, root: Path, name: str, version: int) -> Path:
    """Copy a bundle to where the server finds it. A version never changes: one that is there stays as it is.

    Args:
        bundle: folder as `write_bundle` left it.
        root: the server's folder of models.
        name: of the registered model.
        version: of the registered model.

    Returns:
        `<root>/<name>/<version>`.

    Raises:
        UserError: the folder holds another model under this number, or cannot be written; nothing was changed.
    """
    folder = root / name / str(version)
    there, new = _lineage(folder), open_bundle(bundle).contract.lineage
    if there is None:
        with writing(folder, otherwise=ROOM_FOR_BUNDLES), _replaced(folder) as unfinished:
            for file in bundle.iterdir():
                shutil.copyfile(file, unfinished / file.name)
    elif _weights(there) != _weights(new):
        raise UserError(
            f"{folder} holds another model, registered elsewhere under the same number, of sweep {there.sweep}. "
            f"Move {folder.parent} away, or choose another folder with tracking.bundles, and give the same command "
            "again: nothing is trained twice."
        )
    return folder


def publish_champion(*, root: Path, name: str, version: int) -> None:
    """Let a version that was published answer. A server that looks meanwhile sees the old champion or the new one.

    Args:
        root: the server's folder of models.
        name: of the registered model.
        version: of the registered model.

    Raises:
        UserError: it cannot be written; the champion is who it was.
    """
    path = root / name / CHAMPION_FILE
    with writing(path, otherwise=ROOM_FOR_BUNDLES), written_whole(path) as file:
        file.write(f"{version}\n".encode())


def _lineage(folder: Path) -> Lineage | None:
    """Where the model of a bundle comes from; None where there is none that can be read."""
    try:
        return open_bundle(folder).contract.lineage
    except BundleError:
        return None


def _weights(lineage: Lineage) -> list[tuple[str, float]]:
    """The members' runs: what makes a model another one, where later code may export the same one otherwise."""
    return [(member.run_id, member.weight) for member in lineage.members]


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends well, and vanishes when it does not."""
    unfinished = _beside(folder)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        outdated = _beside(folder)
        if folder.exists():  # one rename cannot replace a folder that holds something
            folder.replace(outdated)
        unfinished.replace(folder)
        shutil.rmtree(outdated, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A hidden name on the same file system as `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")
