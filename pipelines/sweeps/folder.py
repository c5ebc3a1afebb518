"""Where a sweep keeps its stacks, so that the same command goes on after whatever ended it.

A stack's file holds its state, when the stack has ended as well as on the way. Which runs MLflow has already is
MLflow's to say (`pipelines.tracking`); nothing of it is kept here.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.config.schema import TrialConfig
from pipelines.config.scopes import without
from pipelines.engines import Keeping
from pipelines.errors import UserError, unwritable, writing
from pipelines.locked import locked
from pipelines.models import source_version
from pipelines.training import ROOM_FOR_CHECKPOINTS, StackState, UnreadableStateError, load_state
from pipelines.whole import written_whole

DIGITS = 16  # of a trial's identity: 64 bits


@dataclass(frozen=True)
class KeptStack:
    """A stack that an earlier run of this sweep left.

    Attributes:
        number: of the stack.
        trials: identities of its trials, in the order of the stack.
        state: as it was last.
    """

    number: int
    trials: tuple[str, ...]
    state: StackState


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep.

    Attributes:
        path: of the folder.
        created: when the sweep was first begun.
        name: of the sweep, as all of its runs carry it.
        kept: what an earlier run left to go on from, by number.
    """

    path: Path
    created: datetime
    name: str
    kept: Sequence[KeptStack]

    @property
    def next_number(self) -> int:
        """Of the first stack that an earlier run did not leave."""
        return 1 + max((stack.number for stack in self.kept), default=-1)

    def kept_of(self, trials: Collection[str]) -> list[KeptStack]:
        """The kept stacks of which all trials are among these (identities)."""
        return [stack for stack in self.kept if all(trial in trials for trial in stack.trials)]

    def keeping(self, number: int, trials: Sequence[str], *, every_seconds: float) -> Keeping:
        """Where a stack of these trials (identities) is kept."""
        note = {"number": number, "trials": list(trials)}
        return Keeping(self._file(number), every_seconds, note)

    def forget(self, number: int) -> None:
        """What a stack has trained, whose trials train anew."""
        self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.path / f"stack-{number}.pt"


def trial_identities(trials: Sequence[TrialConfig], *, fingerprint: str) -> list[str]:
    """One name a trial: the hash of its resolved configuration, of the data and of the user's own net, if it has one.

    Equal trials have one name.

    Raises:
        UserError: there is no such net.
    """
    names = []
    for trial in trials:
        source = [version] if (version := source_version(trial.model)) else []
        content = json.dumps([without(trial, "sweep"), fingerprint, *source], sort_keys=True)
        names.append(hashlib.sha256(content.encode()).hexdigest()[:DIGITS])
    return names


@contextmanager
def open_sweep_folder(
    root: Path, identities: Sequence[str], *, resume: bool, tell: Callable[[str], None]
) -> Iterator[SweepFolder]:
    """The folder of the sweep that begins with these trials, for one process at a time.

    Args:
        root: holds the folders of all sweeps.
        identities: of the trials.
        resume: False forgets what an earlier run left.
        tell: called with a line for each file that cannot be read; it counts as not there.

    Raises:
        UserError: another process trains this sweep, or the folder cannot be written.
    """
    identity = hashlib.sha256(" ".join(identities).encode()).hexdigest()[:DIGITS]
    path = root / identity
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = locked(path / "lock")
    except BlockingIOError:
        raise UserError(
            f"Another process trains this very sweep now (it holds {path}). Wait for it, or change a value."
        ) from None
    except OSError as error:
        raise unwritable("tracking.checkpoints", root, error) from error
    with lock:
        if not resume:
            _forget(path)
        yield _read_or_begin(path, identity, tell=tell)


def _forget(path: Path) -> None:
    for file in path.iterdir():
        if file.name != "lock":
            file.unlink()


def _read_or_begin(path: Path, identity: str, *, tell: Callable[[str], None]) -> SweepFolder:
    description = path / "sweep.json"
    try:
        created = datetime.fromisoformat(json.loads(description.read_text(encoding="utf-8"))["created"])
    except (FileNotFoundError, ValueError, LookupError) as error:
        if not isinstance(error, FileNotFoundError):
            tell(f"  {description} cannot be read ({error}): the sweep is recorded as another one")
        created = datetime.now(UTC)
        _begin(description, created)
    return SweepFolder(path, created, f"{created:%Y%m%d-%H%M%S}-{identity[:6]}", _kept_stacks(path, tell=tell))


def _begin(description: Path, created: datetime) -> None:
    with writing(description, otherwise=ROOM_FOR_CHECKPOINTS), written_whole(description) as file:
        file.write(json.dumps({"created": created.isoformat()}).encode())


def _kept_stacks(path: Path, *, tell: Callable[[str], None]) -> list[KeptStack]:
    kept = []
    for file in sorted(path.glob("stack-*.pt")):
        try:
            state, note = load_state(file)
        except UnreadableStateError as error:
            tell(f"  {file} cannot be read ({error}): what its stack has trained is trained again")
            file.replace(file.with_suffix(".unreadable"))
            continue
        kept.append(KeptStack(note["number"], tuple(note["trials"]), state))
    return sorted(kept, key=lambda stack: stack.number)
