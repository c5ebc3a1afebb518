"""Keeps Python's garbage collector from looking for garbage among half a million objects of imported modules.

By default it does so again and again while torch, Lightning and MLflow are imported and a net is exported, and once
more when the process ends: 10 of the 29 s that training one small net took.
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 100_000  # between two looks at the newest; Python's default is 700, since when memory was scarce


def spare_modules() -> None:
    """Look for garbage seldom from now on, and not when the process ends: its memory goes back whole."""
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)  # what is frozen is not looked at


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Inside the block garbage is looked for among what has come to be there, which takes milliseconds."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
