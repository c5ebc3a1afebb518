"""A recorder that keeps everything in lists: for tests, which then read what a sweep recorded. Nothing is written."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.tracking.recorder import RegisteredVersion, RunRecord

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
    version: RegisteredVersion


class MemoryRecorder:
    """Carries every call out at once; futures are resolved when they are handed out.

    Attributes:
        runs: in the order of recording.
        ids: of the runs, in the same order.
        annotations: in the order of the calls.
        registrations: likewise; the last of a name is its champion.
        champions: sweep -> the run that is its champion.
        experiment_tags: key -> value.
        closed: whether `close` was called.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.ids: list[str] = []
        self.annotations: list[Annotation] = []
        self.registrations: list[Registration] = []
        self.champions: dict[str | None, str] = {}
        self.experiment_tags: dict[str, str] = {}
        self.closed = False
        self._n_written = 0

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

    def register(self, bundle: Path, *, name: str, run_id: str) -> RegisteredVersion:
        """Count versions of a name from 1, as a registry does."""
        self._require(run_id)
        self.champions[self.runs[self.ids.index(run_id)].tags.get("sweep")] = run_id
        of_name = [registration for registration in self.registrations if registration.version.name == name]
        for registration in of_name:
            if registration.run_id == run_id:
                return replace(registration.version, champion=len(of_name))
        number = len(of_name) + 1
        version = RegisteredVersion(name, number, champion=number)
        self.registrations.append(Registration(bundle, run_id, version))
        return version

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
