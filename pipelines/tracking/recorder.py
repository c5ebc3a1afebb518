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
class Scored:
    """What a model was chosen by: two of them can be compared when all but the value is equal.

    Attributes:
        metric: on the validation part.
        value: of it.
        rows: what tells the validation rows, and their table, from others.
    """

    metric: str
    value: float
    rows: str


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the model registry.

    Attributes:
        name: of the model.
        version: its number.
        champion: the version of this name that carries the alias `champion`; None when there is none, or when that was
            taken away by hand.
        is_settled: whether it has been said of this version if it is to be the champion.
        champion_scored: what the champion was chosen by; None where it does not say.
    """

    name: str
    version: int
    champion: int | None
    is_settled: bool = True
    champion_scored: Scored | None = None

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

    def newest_version(self, name: str) -> int:
        """The highest version of a model, 0 where there is none; waits."""
        ...

    def register(self, bundle: Path, *, name: str, run_id: str, scored: Scored | None = None) -> RegisteredVersion:
        """Log the bundle as a model of the run and register it; waits. No alias is moved.

        A run whose bundle is registered under this name already keeps that version.
        Of the runs of a sweep the last that was registered has the tag `champion`.
        """
        ...

    def settle(self, version: RegisteredVersion, *, is_champion: bool) -> RegisteredVersion:
        """Move the alias `champion` to a version, or leave it where it is, once and for all; waits.

        One that was settled before stays as it is.
        """
        ...

    def tag_experiment(self, key: str, value: str) -> str:
        """Tag the experiment that holds all runs; waits, and returns the experiment's id."""
        ...

    def close(self) -> None:
        """Wait until everything is written; raise what went wrong."""
        ...
