"""Whether a new version serves as well as the one before it, told by what both have answered."""

import time
from dataclasses import dataclass
from typing import Self

from serving.http.instrumentation import ANSWERS, FAILURES
from serving.monitoring.counters import Counts
from serving.versions.served_model import ServedModel

LEAST_ANSWERS = 20  # before a version's share of errors says something
PROBATION_SECONDS = 600.0  # in which a version may still be put back


@dataclass(frozen=True)
class AnswerCounts:
    """How often a version has answered, in all processes since the server's start.

    Attributes:
        n: of any kind.
        n_failed: those that the version may be to blame for.
    """

    n: float = 0.0
    n_failed: float = 0.0

    @classmethod
    def of(cls, model: ServedModel, counts: Counts) -> Self:
        """Those that are counted."""
        labels = (model.name, model.version)
        of_version = [count[0] for (name, has), count in counts.items() if name == ANSWERS and has[:2] == labels]
        return cls(sum(of_version), counts.get((FAILURES, labels), [0.0])[0])


@dataclass(frozen=True, eq=False)
class ActiveVersion:
    """A version that answers for its model.

    Attributes:
        model: the version, loaded.
        bundle: as the store calls it.
        answers_before: what it had answered when it began to: that is forgiven.
    """

    model: ServedModel
    bundle: str
    answers_before: AnswerCounts

    def has_answered_enough(self, counts: Counts) -> bool:
        """Whether its share of errors says something."""
        return AnswerCounts.of(self.model, counts).n - self.answers_before.n >= LEAST_ANSWERS

    def error_share(self, counts: Counts) -> float:
        """Of its answers since then; 0 as long as they are few."""
        if not self.has_answered_enough(counts):
            return 0.0
        now = AnswerCounts.of(self.model, counts)
        return (now.n_failed - self.answers_before.n_failed) / (now.n - self.answers_before.n)


@dataclass(frozen=True, eq=False)
class Probation:
    """A version on probation.

    Attributes:
        new: the version.
        previous: the last one that was sound, still loaded, in case the new one fails.
        since: `time.monotonic()`.
    """

    new: ActiveVersion
    previous: ActiveVersion
    since: float

    def objection(self, counts: Counts, *, max_error_share: float) -> str | None:
        """Why the version must be put back, if it must: its errors, beyond the share of the previous one's."""
        share = self.new.error_share(counts) - self.previous.error_share(counts)
        if share <= max_error_share:
            return None
        return f"{share:.0%} more of its answers were errors than of version {self.previous.model.version}'s."

    def is_passed(self, counts: Counts) -> bool:
        """Whether the version, to which there was no objection, has answered long enough and often enough."""
        return time.monotonic() - self.since > PROBATION_SECONDS and self.new.has_answered_enough(counts)
