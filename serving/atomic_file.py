"""Atomic writes: a text file that is there whole or not at all."""

import threading
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a file: a reader sees the old one or a new one, whoever else writes it meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{threading.get_native_id()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
