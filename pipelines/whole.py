"""A file that is there whole or not at all, after a power cut too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` at the end of the block; one process at a time.

    Of a block that fails nothing is left.
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
