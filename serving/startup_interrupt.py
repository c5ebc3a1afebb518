"""Ctrl-C while a command still imports what it needs: it ends with exit code 130, and without a traceback.

Half a second of every command is that. Both halves begin so, as soon as Python has found the package that holds the
command.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT


def end_quietly_on_interrupt() -> None:
    """Answer Ctrl-C so from now on, if this package is imported for `python -m` to run a module of it.

    Where a shell has had it ignored, as for what it runs in the background, it stays ignored.
    """
    while_it_is_looked_for = "-m"
    if sys.argv[:1] == [while_it_is_looked_for] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def restore_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: the command has an answer to it."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """At once: an exception might be lost in what is imported, and there is nothing yet to be put in order."""
    os._exit(INTERRUPTED)
