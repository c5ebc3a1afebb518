"""The one exception that stands for a user's mistake: its text is all that the user is shown."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEBIBYTE = 2**20


class UserError(Exception):
    """Something the user can put right: a file, a column, an override.

    The message says what is wrong, where (file, column, row, field) and what to do. Entry points
    print it without a traceback and exit with code 2.
    """


def unwritable(setting: str, folder: object, error: OSError) -> UserError:
    """What to say of a folder that a setting names, and in which nothing can be written."""
    return UserError(f"{setting}={folder} cannot be written: {error}. Choose another folder.")


@contextmanager
def writing(path: Path, *, otherwise: str) -> Iterator[None]:
    """A block that writes a file or a folder.

    Args:
        path: of it.
        otherwise: what to do when it cannot be written.

    Raises:
        UserError: it could not be, as on a full disk; says why, and how much room there is.
    """
    try:
        yield
    except OSError as error:
        there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        room = shutil.disk_usage(there).free / MEBIBYTE
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}. Its disk has {room:,.1f} MiB left. {otherwise}"
        ) from error
