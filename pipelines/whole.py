"""Files and folders that are there whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` at the end of the block; one process at a time.

    Of a block that fails nothing is left. A power cut leaves the old file or the new one.
    """
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the name without what belongs to it
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
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
