"""A recorder that keeps everything in lists: for tests, which then read what a sweep recorded. Nothing is written."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pipelines.tracking.recorder import RegisteredVersion, RunRecord, Scored

EXPERIMENT_ID = "memory"


@dataclass(frozen=True)
class Annotation:
    """What was added to a run after it was recorded."""

    run_id: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Registration:
    """A bundle that was registered."""

    bundle: Path
    run_id: str
    name: str
    version: int
    scored: Scored | None


class MemoryRecorder:
    """Carries every call out at once; futures are resolved when they are handed out.

    Attributes:
        runs: in the order of recording.
        ids: of the runs, in the same order.
        annotations: in the order of the calls.
        registrations: likewise.
        aliases: name of a model -> the version that is its champion.
        champions: sweep -> the run that is its champion.
        experiment_tags: key -> value.
        closed: whether `close` was called.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.ids: list[str] = []
        self.annotations: list[Annotation] = []
        self.registrations: list[Registration] = []
        self.aliases: dict[str, int] = {}
        self.champions: dict[str | None, str] = {}
        self.experiment_tags: dict[str, str] = {}
        self.closed = False
        self._n_written = 0
        self._settled: set[tuple[str, int]] = set()

    def record(self, runs: Sequence[RunRecord]) -> Future[list[str]]:
        """Keep the runs that are new; ids count from `run-0`."""
        future: Future[list[str]] = Future()
        future.set_result([self._id_of(run) for run in runs])
        return future

    def _id_of(self, run: RunRecord) -> str:
        for run_id, known in zip(self.ids, self.runs, strict=True):
            if (known.tags.get("sweep"), known.identity) == (run.tags.get("sweep"), run.identity):
                if known.status != "KILLED":
                    return run_id
                self.ids.remove(run_id)
                self.runs.remove(known)
                break
        self.runs.append(run)
        self.ids.append(f"run-{self._n_written}")
        self._n_written += 1
        return self.ids[-1]

    def annotate(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Keep the annotation, once."""
        self._require(run_id)
        annotation = Annotation(run_id, dict(metrics))
        if annotation not in self.annotations:
            self.annotations.append(annotation)

    def newest_version(self, name: str) -> int:
        """How many there are."""
        return len(self._of_name(name))

    def register(self, bundle: Path, *, name: str, run_id: str, scored: Scored | None = None) -> RegisteredVersion:
        """Count versions of a name from 1, as a registry does."""
        self._require(run_id)
        self.champions[self.runs[self.ids.index(run_id)].tags.get("sweep")] = run_id
        known = [registration.version for registration in self._of_name(name) if registration.run_id == run_id]
        version = max(known, default=self.newest_version(name) + 1)
        if not known:
            self.registrations.append(Registration(bundle, run_id, name, version, scored))
        champion = self.aliases.get(name)
        return RegisteredVersion(
            name,
            version,
            champion,
            is_settled=(name, version) in self._settled,
            champion_scored=None if champion is None else self._of_name(name)[champion - 1].scored,
        )

    def settle(self, version: RegisteredVersion, *, is_champion: bool) -> RegisteredVersion:
        """Move the alias, or leave it."""
        if not version.is_settled:
            self._settled.add((version.name, version.version))
            if is_champion:
                self.aliases[version.name] = version.version
        return RegisteredVersion(version.name, version.version, self.aliases.get(version.name))

    def _of_name(self, name: str) -> list[Registration]:
        return [registration for registration in self.registrations if registration.name == name]

    def tag_experiment(self, key: str, value: str) -> str:
        """Keep the tag."""
        self.experiment_tags[key] = value
        return EXPERIMENT_ID

    def close(self) -> None:
        """Nothing is pending."""
        self.closed = True

    def _require(self, run_id: str) -> None:
        if run_id not in self.ids:
            raise ValueError(f"A run that was recorded is needed, got {run_id!r}. Recorded: {', '.join(self.ids)}.")
