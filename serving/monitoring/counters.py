"""Counts of this process, and of all worker processes together.

A count is a list of numbers under a name and labels; two processes' counts are added number by number. With several
workers each writes its counts to a file of a common folder about once a second and reads the others' when it is asked:
counting itself costs a dictionary look-up, and a worker that is killed takes at most a second of counts with it.
Not here: what is counted (`http.instrumentation`, `versions`) and how it is shown (`protocols.native.prometheus`).
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import add
from pathlib import Path

from serving.atomic_file import write_atomically

Labels = tuple[str, ...]
Counts = dict[tuple[str, Labels], list[float]]
DEPARTED = "departed.json"
OF_EACH = "_of_each"  # ends the name of what happens once and every process counts: the largest count is the server's
LATELY = "_lately"  # ends the name of what is no count since the start: it goes with its process


class Counters:
    """Counts of one process.

    Args:
        folder: where the processes of one server meet; None: there is one process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.counts: Counts = {}
        self.n_running = 0
        self._folder = folder

    def add(self, name: str, labels: Labels, amounts: Iterable[float] = (1.0,)) -> None:
        """Add to a count, number by number."""
        added = list(amounts)
        count = self.counts.get((name, labels))
        if count is None:
            count = self.counts.setdefault((name, labels), [0.0] * len(added))
        for index, amount in enumerate(added):
            count[index] += amount

    def forget(self, names: Iterable[str], *, first: Labels, last: str) -> None:
        """Drop counts of these names whose labels begin and end so."""
        for name, labels in list(self.counts):
            if name in names and labels[: len(first)] == first and labels[-1] == last:
                del self.counts[name, labels]

    def share(self) -> None:
        """Let the other processes see what was counted."""
        if self._folder is not None:
            _write(self._folder / f"{os.getpid()}.json", _File(self.counts, n_running=self.n_running))

    def of_all_processes(self) -> tuple[Counts, int]:
        """Counts of all processes since the server's start, and how many requests are under way."""
        total = {key: list(count) for key, count in list(self.counts.items())}
        n_running = self.n_running
        if self._folder is not None:
            self.share()  # so that whoever is asked next knows no less than what is shown now
            for file in _of_others(self._folder):
                _add(total, file.counts)
                n_running += file.n_running
        return total, n_running


def keep_counts_of(folder: Path, process_id: int) -> None:
    """Keep the counts of a process that has ended; only the parent of all may call it."""
    path = folder / f"{process_id}.json"
    total = _read(folder / DEPARTED).counts
    _add(total, {key: count for key, count in _read(path).counts.items() if not key[0].endswith(LATELY)})
    _write(folder / DEPARTED, _File(total, last_kept=process_id))
    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _File:
    """What lies in a file.

    Attributes:
        counts: of one process, or of all that have ended.
        n_running: requests under way in it.
        last_kept: the process whose counts were added last: if its own file is still there, it counts no more.
    """

    counts: Counts
    n_running: int = 0
    last_kept: int = 0


def _of_others(folder: Path) -> list[_File]:
    """Those who have ended are read last: a file that has gone meanwhile is part of theirs."""
    alive = {int(path.stem): _read(path) for path in folder.glob("[0-9]*.json") if path.stem != str(os.getpid())}
    departed = _read(folder / DEPARTED)
    alive.pop(departed.last_kept, None)
    return [*alive.values(), departed]


def _add(total: Counts, more: Counts) -> None:
    for key, count in more.items():
        known = total.get(key)
        join: Callable[[float, float], float] = max if key[0].endswith(OF_EACH) else add
        total[key] = count if known is None else [join(a, b) for a, b in zip(known, count, strict=True)]


def _write(path: Path, file: _File) -> None:
    rows = [[name, labels, count] for (name, labels), count in list(file.counts.items())]
    write_atomically(path, json.dumps({"running": file.n_running, "last_kept": file.last_kept, "counts": rows}))


def _read(path: Path) -> _File:
    """Empty when there is none: its process has counted nothing yet, or has just ended and its counts are kept."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return _File({})
    counts = {(name, tuple(labels)): count for name, labels, count in content["counts"]}
    return _File(counts, content["running"], content["last_kept"])
