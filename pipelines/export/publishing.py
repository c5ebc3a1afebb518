"""The server's folder of models: who may add a version, what lies there, and which version answers.

Nothing half-written is ever seen: folders and files are written beside their place and renamed.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import UserError, unwritable, writing
from pipelines.export.writer import AGAIN
from pipelines.locked import locked
from pipelines.whole import folder_written_whole, written_whole
from serving.bundle import BundleError, Lineage, open_bundle

CHAMPION_FILE = "champion"  # beside the versions; holds the number of the one that answers
LOCK_FILE = ".lock"  # likewise; held by the command that adds a version
ROOM_FOR_BUNDLES = f"Make room there, or choose another folder with tracking.bundles. {AGAIN}"


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
        with writing(folder, otherwise=ROOM_FOR_BUNDLES), folder_written_whole(folder) as unfinished:
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
