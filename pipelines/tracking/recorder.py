"""What is recorded of a trial, and the protocol of whoever records it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One finished run, whole: it is written in one go, so no run is ever left half-written.

    Attributes:
        name: shown in the tracking UI.
        identity: tells it from the other runs of its sweep, whose name is the tag `sweep`.
        status: FAILED for a trial that diverged, KILLED for one that was lost and may yet end well, which a later
            record of the same identity replaces; the reason is the tag `failure`.
        start_ms: milliseconds since 1970, UTC.
        end_ms: likewise.
        params: what was swept and a few fixed ones.
        tags: sweep, stack, member, data fingerprint, code version, kind of run.
        metrics: final values, e.g. `validation/roc_auc`.
        curves: one value an epoch, counted from 0, e.g. `train/loss`.
        texts: artifact path -> text (the resolved configuration, a report).
        tables: artifact path (.json) -> column name -> values, shown as tables in the tracking UI.
    """

    name: str
    identity: str
    status: RunStatus
    start_ms: int
    end_ms: int
    params: Mapping[str, str | int | float]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Sequence[str | float | int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the model registry.

    Attributes:
        name: of the model.
        version: its number.
        champion: the version of this name that carries the alias `champion`; None when that was taken away by hand.
    """

    name: str
    version: int
    champion: int | None

    @property
    def is_champion(self) -> bool:
        """It is this one."""
        return self.version == self.champion


@runtime_checkable
class Recorder(Protocol):
    """Keeps runs. Calls return at once and are carried out in order; `close` waits for all of them."""

    def record(self, runs: Sequence[RunRecord]) -> Future[list[str]]:
        """Write runs; the future holds their ids, in order.

        One that its sweep has already is not written again, unless it was KILLED.
        """
        ...

    def annotate(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run written before, unless it has them."""
        ...

    def register(self, bundle: Path, *, name: str, run_id: str) -> RegisteredVersion:
        """Log the bundle as a model of the run, register it and move the alias `champion` to it; waits.

        A run whose bundle is registered under this name already keeps that version, and the alias stays where it is.
        Of the runs of a sweep the last that was registered has the tag `champion`.
        """
        ...

    def tag_experiment(self, key: str, value: str) -> str:
        """Tag the experiment that holds all runs; waits, and returns the experiment's id."""
        ...

    def close(self) -> None:
        """Wait until everything is written; raise what went wrong."""
        ...
