"""The folder beside an output where finished portions wait until all are there, for one run at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from serving.batch.mistakes import FileAwayError, ScoringError

LOCK = "lock"
NOTE = "job.json"
PORTIONS = "[0-9]*.parquet"


@contextmanager
def open_parts(output: Path, *, identity: str) -> Iterator[Path]:
    """The folder, holding only portions that a run of the same identity has finished.

    It is removed at the end, and after a mistake, for what is mended has another identity. Whatever else ends the run
    leaves it, if a portion is finished.

    Raises:
        ScoringError: another run writes this output.
        FileAwayError: something cannot be written.
    """
    folder = output.with_name(f".{output.name}.parts")
    try:
        with _lock(folder, output):
            is_needed = True
            try:
                _begin_or_go_on(folder, identity)
                yield folder
                is_needed = False
            except FileAwayError:
                raise
            except ScoringError:
                is_needed = False
                raise
            finally:
                if not is_needed or not any(folder.glob(PORTIONS)):
                    _remove(folder)
    except OSError as error:
        raise FileAwayError(f"{output} cannot be written: {str(error).partition(chr(10))[0]}.") from error


def _lock(folder: Path, output: Path) -> TextIO:
    """An open file that the system unlocks when the process ends, however it does."""
    while True:
        folder.mkdir(exist_ok=True)
        with ExitStack() as opened:
            try:
                lock = opened.enter_context((folder / LOCK).open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat()):
                    opened.pop_all()
                    return lock
            except FileNotFoundError:
                continue  # the run that held it has just ended and removed it
            except BlockingIOError:
                raise ScoringError(f"--output {output}: another run is writing it. Wait for its end.") from None


def _begin_or_go_on(folder: Path, identity: str) -> None:
    note = folder / NOTE
    if note.exists() and note.read_text(encoding="utf-8") == identity:
        return
    _clear(folder)
    note.write_text(identity, encoding="utf-8")


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink()


def _remove(folder: Path) -> None:
    _clear(folder)
    (folder / LOCK).unlink()
    with suppress(OSError):  # another run has begun in it
        folder.rmdir()
