"""A stack between two epochs: everything that training goes on from, and its file.

A state holds the members that still train, and what those that have ended left. It says nothing of the trials'
configurations: whoever goes on brings them again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch
from torch import Tensor

from pipelines.axes import take_members
from pipelines.config.schema import TrialConfig
from pipelines.errors import writing
from pipelines.optim import state_of_members
from pipelines.training.result import MemberResult, result_from_plain, result_to_plain
from pipelines.training.stopping import StoppingState, start_stopping
from pipelines.whole import written_whole

ROOM_FOR_CHECKPOINTS = "Make room there, or choose another folder as tracking.checkpoints."
FORMAT = 3  # of the file; another number for whatever would read it otherwise


class UnreadableStateError(Exception):
    """A file that is broken, or that another version wrote."""


@dataclass(frozen=True)
class StackState:
    """A stack after so many epochs. All tensors are on the CPU.

    Attributes:
        epoch: how many are done.
        members: which still train, by number, in the stack's order. Without folds a member's number is its trial's
            place in the list given to `train_stack`; with n folds those of the trial at place t begin at t * n.
        curves: of every member by number, name -> one value an epoch.
        results: what ended members left, by number.
        stopping: of `members`.
        weights: of `members`, name -> [K, ...].
        optimizer: state of theirs, plain.
        best_weights: of each member's best epoch, name -> [K, ...].
        best_predictions: theirs on the validation part, [K, N, P].
    """

    epoch: int
    members: tuple[int, ...]
    curves: tuple[dict[str, list[float]], ...]
    results: Mapping[int, MemberResult]
    stopping: StoppingState
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    best_predictions: Tensor = field(default_factory=lambda: torch.empty(0))


def count_folds(trial: TrialConfig) -> int:
    """How many members a trial is."""
    return max(1, trial.data.folds)


def dropout_rate(trial: TrialConfig) -> float:
    """Of a net that we drop units of; a net without dropout, or the user's own, has none."""
    return float(getattr(trial.model, "dropout", 0.0))


def untrained(trials: Sequence[TrialConfig]) -> StackState:
    """The state before the first epoch; the trials are of one table, so of as many folds.

    Members are sorted by optimizer, since each kind updates one slice of the stack, and then by dropout, since
    neighbours with one rate share a mask.
    """
    of_number = [trial for trial in trials for _ in range(count_folds(trial))]

    def neighbours(number: int) -> tuple[str, float, int]:
        trial = of_number[number]
        return trial.optimizer.kind, dropout_rate(trial), trial.seed

    members = tuple(sorted(range(len(of_number)), key=neighbours))
    stopping = start_stopping(
        [of_number[number].stopping for number in members],
        max_epochs=[of_number[number].trainer.max_epochs for number in members],
    )
    return StackState(epoch=0, members=members, curves=tuple({} for _ in of_number), results={}, stopping=stopping)


def state_of_trials(state: StackState, trials: Sequence[TrialConfig], places: Sequence[int]) -> StackState:
    """What a stack of some of a stack's trials goes on from.

    Args:
        state: of the stack.
        trials: all of them, as given to `train_stack`.
        places: of those that are kept, as they will be given to it.
    """
    n_folds = count_folds(trials[0])
    numbers = [place * n_folds + fold for place in places for fold in range(n_folds)]
    new = {number: own for own, number in enumerate(numbers)}
    kept = torch.tensor([own for own, number in enumerate(state.members) if number in new], dtype=torch.int64)
    optimizers = [trials[number // n_folds].optimizer for number in state.members]
    return StackState(
        epoch=state.epoch,
        members=tuple(new[state.members[own]] for own in kept.tolist()),
        curves=tuple(state.curves[number] for number in numbers),
        results={new[number]: result for number, result in state.results.items() if number in new},
        stopping=state.stopping.take(kept.numpy()),
        weights=take_members(dict(state.weights), kept),
        optimizer=state_of_members(state.optimizer, optimizers, kept) if state.optimizer else {},
        best_weights=take_members(dict(state.best_weights), kept),
        best_predictions=state.best_predictions[kept],
    )


def save_state(path: Path, state: StackState, *, note: Mapping[str, Any]) -> None:
    """Write a state whole or not at all.

    Args:
        path: of the file; replaced when it is there.
        state: of the stack.
        note: plain values of the caller's, which `load_state` gives back.

    Raises:
        UserError: it cannot be written, as on a full disk; what was there stays.
    """
    plain = vars(state) | {
        "results": {place: result_to_plain(result) for place, result in state.results.items()},
        "stopping": {name: torch.from_numpy(values) for name, values in vars(state.stopping).items()},
    }
    with writing(path, otherwise=f"{ROOM_FOR_CHECKPOINTS} The same command goes on from what is kept."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            _save({"format": FORMAT, "state": plain, "note": dict(note)}, file)


def _save(saved: Mapping[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(saved, file)
    except RuntimeError as error:  # of torch's writer, which miscounts when the file does not take it all
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load_state(path: Path) -> tuple[StackState, dict[str, Any]]:
    """Read a state and the note that it was saved with; no code is run from the file.

    Raises:
        UnreadableStateError: there is no state in it.
    """
    try:
        saved = torch.load(path, weights_only=True)
        if saved.get("format") != FORMAT:
            raise UnreadableStateError("another version of this program wrote it")
        plain = saved["state"]
        state = plain | {
            "results": {place: result_from_plain(result) for place, result in plain["results"].items()},
            "stopping": StoppingState(**{name: values.numpy() for name, values in plain["stopping"].items()}),
        }
        return StackState(**state), saved["note"]
    except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError, ValueError) as error:
        raise UnreadableStateError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
