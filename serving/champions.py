"""The models that answer, each the version that its alias names: fetched, proven, swapped in, put back when it fails.

A version that must not be served, or that fails once it is, stays out until somebody asks for it again (`reload`); the
one before it goes on. A store that does not answer changes nothing. Not here: when this happens (`keeper`).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from serving.bundle import BundleError
from serving.models import Served, load_model
from serving.observing import ANSWERS, FAILURES
from serving.store import CHAMPION, AwayError, Found, MissingError, Store
from serving.tally import Counts, Tally

SWAPS = "swaps"  # labels: model, outcome
LEAST_ANSWERS = 20  # before a version's share of errors says something
PROBATION_SECONDS = 600.0  # in which a version may still be put back
Outcome = Literal["swapped", "refused", "put_back", "unreachable"]
Load = Callable[[Found], Served]

logger = logging.getLogger("serving.champions")


@dataclass(frozen=True)
class Swap:
    """A version that took the place of another.

    Attributes:
        previous: still loaded, in case the new one fails.
        when: `time.monotonic()`.
    """

    previous: Served
    when: float


@dataclass(frozen=True)
class Answered:
    """How often a version has answered, in all processes since the server's start.

    Attributes:
        n_answers: of any kind.
        n_failed: those that the version may be to blame for.
    """

    n_answers: float = 0.0
    n_failed: float = 0.0


class Champions(Mapping[str, Served]):
    """Name -> the model that answers; one assignment puts another in its place, between two requests.

    Args:
        store: holds the bundles.
        load: makes a model of a bundle.
        tally: says how often a version failed, and counts what happens here.
        names: to serve; empty: all that have a champion.
        alias: that names the versions; another than champion may be missing.
        max_error_share: of a new version's answers, beyond that of the version before it.
    """

    def __init__(
        self,
        store: Store,
        *,
        load: Load,
        tally: Tally,
        names: Sequence[str] = (),
        alias: str = CHAMPION,
        max_error_share: float = 1.0,
    ) -> None:
        self._store = store
        self._alias = alias
        self._load = load
        self._tally = tally
        self._names = tuple(names)
        self._max_error_share = max_error_share
        self._models: dict[str, Served] = {}
        self._swaps: dict[str, Swap] = {}
        self._before: dict[tuple[str, str], Answered] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._complaints: dict[str, str] = {}
        self._changing = threading.Lock()

    def __getitem__(self, name: str) -> Served:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._models))  # may change meanwhile

    def __len__(self) -> int:
        return len(self._models)

    def refused(self, name: str) -> dict[str, str]:
        """Version -> why it is not served, in words for callers."""
        return dict(self._refused.get(name, {}))

    def names(self) -> Sequence[str]:
        """Models that should be served.

        Raises:
            BundleError: the store cannot be read.
        """
        return self._names or self._store.names()

    def refresh(self) -> None:
        """Look every alias up, and swap in what has changed; whatever goes wrong is logged, once."""
        try:
            for name in self.names():
                self._try(name)
        except AwayError as error:
            self._note_away(error)
            return
        except BundleError as error:
            self._complain("", "The store of models cannot be read", error)
            return
        if self._complaints.pop("", None) is not None:
            logger.warning("The store of models answers again")

    def _try(self, name: str) -> None:
        try:
            self.refresh_one(name)
        except AwayError:
            raise
        except BundleError as error:
            self._complain_of_version(name, error)

    def refresh_one(self, name: str, *, is_asked_for: bool = False) -> None:
        """Look an alias up, and swap in the version that it names, unless that was refused before.

        Args:
            name: of the model.
            is_asked_for: what was refused gets a new chance.

        Raises:
            AwayError: the store does not answer.
            BundleError: there is no champion, or the version must not be served.
        """
        with self._changing:
            if is_asked_for:  # under the lock: or else whoever looks meanwhile refuses it again, and nobody says so
                self._refused.pop(name, None)
            version = self._find_version(name)
            own = self._models.get(name)
            if version is None or version in self._refused.get(name, {}):
                return
            if own is not None and own.version == version:
                return
            try:
                self._put(self._load(self._store.open_version(name, version)))
            except AwayError:
                raise
            except BundleError as error:
                self._refuse(name, version, error.reason)
                raise

    def reload(self, name: str) -> None:
        """As `refresh_one`, with a new chance for a version that was refused.

        Raises:
            AwayError: the store does not answer.
            BundleError: there is no such alias, or the version must not be served.
        """
        try:
            self.refresh_one(name, is_asked_for=True)
        except AwayError as error:
            self._note_away(error)
            raise
        except BundleError as error:
            self._complain_of_version(name, error)
            raise

    def reload_all(self) -> None:
        """As `refresh`, with a new chance for every version."""
        self._refused.clear()
        self.refresh()

    def _find_version(self, name: str) -> str | None:
        """None where there is no shadow, which may be taken away; a champion goes on until there is another."""
        try:
            return self._store.find_version(name, self._alias)
        except MissingError as error:
            if self._alias == CHAMPION:
                raise
            self._models.pop(name, None)
            self._complain(name, "A model has no shadow", error, level=logging.INFO)
            return None

    def put_back_failing(self) -> None:
        """Put the version before back where a new one fails too often; forget it where the new one has not."""
        if not self._swaps:
            return
        counts, _ = self._tally.of_all_processes()
        for name, swap in list(self._swaps.items()):
            own = self._models[name]
            share = self._error_share(own, counts) - self._error_share(swap.previous, counts)
            if share > self._max_error_share:
                with self._changing:
                    reason = f"{share:.0%} more of its answers were errors than of version {swap.previous.version}'s."
                    self._models[name] = swap.previous
                    del self._swaps[name]
                    self._refuse(name, own.version, reason)
                    self._count(name, "put_back")
                logger.error("put back", extra={"fields": {"model": name, "refused": own.version, "reason": reason}})
            elif time.monotonic() - swap.when > PROBATION_SECONDS:
                del self._swaps[name]

    def _error_share(self, own: Served, counts: Counts) -> float:
        """Of the version's answers since it was put in its place; 0 as long as there are few."""
        now, before = _answered(own, counts), self._before.get((own.name, own.version), Answered())
        n_answers = now.n_answers - before.n_answers
        return (now.n_failed - before.n_failed) / n_answers if n_answers >= LEAST_ANSWERS else 0.0

    def _put(self, loaded: Served) -> None:
        previous = self._models.get(loaded.name)
        if previous is not None:  # what it answered when it had its place before is forgiven
            counts, _ = self._tally.of_all_processes()
            self._before[loaded.name, loaded.version] = _answered(loaded, counts)
        self._models[loaded.name] = loaded
        if previous is not None:
            self._swaps[loaded.name] = Swap(previous, time.monotonic())
            self._count(loaded.name, "swapped")
            logger.info("swapped", extra={"fields": {"model": loaded.name, "version": loaded.version}})

    def _refuse(self, name: str, version: str, reason: str) -> None:
        self._refused.setdefault(name, {})[version] = reason
        self._count(name, "refused")

    def _count(self, name: str, outcome: Outcome) -> None:
        if self._alias == CHAMPION:
            self._tally.add(SWAPS, (name, outcome))

    def _note_away(self, error: AwayError) -> None:
        self._count("", "unreachable")
        self._complain("", "The store of models does not answer", error)

    def _complain_of_version(self, name: str, error: BundleError) -> None:
        if self._alias == CHAMPION:
            self._complain(name, "A version is not served", error)
        else:  # the model is served
            self._complain(name, "A version is no shadow", error, level=logging.WARNING)

    def _complain(self, name: str, message: str, error: BundleError, *, level: int = logging.ERROR) -> None:
        """Said once: a store may be away for hours, and is asked every few seconds."""
        if self._complaints.get(name) != str(error):
            self._complaints[name] = str(error)
            fields = {"model": name, "alias": self._alias, "reason": str(error)}
            logger.log(level, message, extra={"fields": fields})


def _answered(own: Served, counts: Counts) -> Answered:
    labels = (own.name, own.version)
    of_version = [count[0] for (name, has), count in counts.items() if name == ANSWERS and has[:2] == labels]
    return Answered(sum(of_version), counts.get((FAILURES, labels), [0.0])[0])


def loader(*, threads: int, max_rows: int) -> Load:
    """A function that makes a model of a bundle, as `load_model` does."""
    return lambda found: load_model(found, threads=threads, max_rows=max_rows)
