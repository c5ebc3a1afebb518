"""The models that answer, each the version that its alias names: fetched, proven, swapped in, put back when it fails.

A version that must not be served, or that fails once it is, stays out until somebody asks for it again (`reload`); the
last one that was sound goes on, after a restart too. A store that does not answer changes nothing, nor does a fault of
this machine. Not here: when this happens (`background`).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from serving.bundle import BundleError, PassingError
from serving.monitoring.counters import OF_EACH, Counters
from serving.versions.history import VersionHistory
from serving.versions.log_once import LogOnce
from serving.versions.probation import ActiveVersion, AnswerCounts, Probation
from serving.versions.served_model import Load, ServedModel
from serving.versions.store import CHAMPION, AwayError, OpenedVersion, Store

SWAPS = f"swaps{OF_EACH}"  # labels: model, version, outcome
Outcome = Literal["swapped", "refused", "put_back", "unreachable"]

logger = logging.getLogger("serving.champions")


class Champions(Mapping[str, ServedModel]):
    """Name -> the model that answers; one assignment puts another in its place, between two requests.

    Args:
        store: holds the bundles.
        load: makes a model of a bundle.
        counters: says how often a version failed, and counts what happens here.
        history: of versions, in all processes and before this one.
        names: to serve; empty: all that have a champion.
        max_error_share: of a new version's answers, beyond that of the version before it.
    """

    def __init__(
        self,
        store: Store,
        *,
        load: Load,
        counters: Counters,
        history: VersionHistory | None = None,
        names: Sequence[str] = (),
        max_error_share: float = 1.0,
    ) -> None:
        self._store = store
        self._load = load
        self._counters = counters
        self._history = history or VersionHistory()
        self._names = tuple(names)
        self._max_error_share = max_error_share
        self._active: dict[str, ActiveVersion] = {}
        self._probations: dict[str, Probation] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._resumed: set[str] = set()  # models of which nobody has asked whether a version is what it was
        self._error_log = LogOnce(logger, CHAMPION)
        self._store_lock = threading.Lock()  # held while a store is asked: no version is loaded twice
        self._state_lock = threading.Lock()  # never held for long

    def __getitem__(self, name: str) -> ServedModel:
        return self._active[name].model

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._active))  # may change meanwhile

    def __len__(self) -> int:
        return len(self._active)

    def refused(self, name: str) -> dict[str, str]:
        """Version -> why it is not served, in words for callers."""
        return dict(self._refused.get(name, {}))

    def names(self) -> Sequence[str]:
        """Models that should be served.

        Raises:
            BundleError: the store cannot be read.
        """
        return self._names or self._store.names()

    def knows(self, name: str) -> bool:
        """Whether a model is, or should be, served.

        Raises:
            BundleError: the store cannot be read.
        """
        return name in self._active or name in self._refused or name in self.names()

    def resume(self, name: str) -> list[BundleError]:
        """Go on as before a restart: with the version that was sound, then, on probation, the one chosen since.

        Nothing is noted: meanwhile other processes go on, and judge.

        Returns:
            why any of them cannot be served any more.
        """
        errors = []
        for bundle in self._history.bundles(name):
            try:
                self._set_active(self._as_active(self._load(self._store.open_kept(name, bundle)), bundle))
                self._resumed.add(name)
            except BundleError as error:
                errors.append(error)
        return errors

    def refresh(self) -> None:
        """Look every alias up, and swap in what has changed; whatever goes wrong is logged, once."""
        try:
            for name in self.names():
                self._refresh_or_log(name)
        except BundleError as error:
            self._log_store_error(error)
        else:
            self._error_log.log_store_answers()

    def _refresh_or_log(self, name: str) -> None:
        try:
            self.refresh_one(name)
        except AwayError:
            raise
        except BundleError as error:
            self._log_refused(name, error)

    def refresh_one(self, name: str) -> None:
        """Look an alias up, and swap in the version that it names, unless that was refused before.

        Raises:
            AwayError: the store does not answer.
            BundleError: there is no champion, or the version must not be served.
        """
        with self._store_lock:
            self._look_up(name)

    def reload(self, name: str, *, tell: Callable[[str], None] | None = None) -> None:
        """As `refresh_one`, with a new chance for a version that was refused.

        Args:
            name: of the model.
            tell: the other processes that its versions have a new chance; None: one of them has told this one.

        Raises:
            AwayError: the store does not answer.
            BundleError: there is no such alias, or the version must not be served.
        """
        try:
            with self._store_lock:  # forgiven with the look: or else whoever looks meanwhile refuses it again
                if tell is not None:
                    self._store.find_version(name)  # while it is away nothing is forgiven
                    self._history.forgive(name)
                    tell(name)  # whatever comes of it: what is forgiven here is tried again, there too
                self._refused.pop(name, None)
                self._look_up(name)
        except AwayError as error:
            self._log_store_error(error)
            raise
        except BundleError as error:
            self._log_refused(name, error)
            raise

    def _look_up(self, name: str) -> None:
        version = self._store.find_version(name)
        active = self._active.get(name)
        is_known = active is not None and active.model.version == version and name not in self._resumed
        if is_known or version in self._refused.get(name, {}):
            return
        try:
            opened = self._store.open_version(name, version)
            self._resumed.discard(name)
            if active is not None and (active.bundle == opened.bundle.folder.name or self._was_put_back(opened)):
                return
            loaded = self._load(opened)
        except PassingError:
            raise
        except BundleError as error:
            self._refused.setdefault(name, {})[version] = error.reason
            self._count(name, version, "refused")
            raise
        self._activate(self._as_active(loaded, opened.bundle.folder.name))
        self._store.tidy(name, self._needed(name))
        if active is not None:
            self._count(name, version, "swapped")
            logger.info("swapped", extra={"fields": {"model": name, "version": version}})

    def _was_put_back(self, opened: OpenedVersion) -> bool:
        """By another process, or before this one. Asked only where something answers: it is better than nothing."""
        reason = self._history.put_back(opened.name).get(opened.bundle.folder.name)
        if reason is not None:
            self._refused.setdefault(opened.name, {})[opened.version] = reason
        return reason is not None

    def _as_active(self, model: ServedModel, bundle: str) -> ActiveVersion:
        counts, _ = self._counters.of_all_processes()
        return ActiveVersion(model, bundle, AnswerCounts.of(model, counts))

    def _activate(self, new: ActiveVersion) -> None:
        """Let a version answer for its model, and note it for whoever starts."""
        name = new.model.name
        with self._state_lock:
            if name not in self._active:
                self._history.note_sound(name, new.bundle)
            self._set_active(new)
            self._history.note_chosen(name, new.bundle)

    def _set_active(self, new: ActiveVersion) -> None:
        """On probation if there is another version to go back to."""
        name = new.model.name
        probation = self._probations.pop(name, None)
        # A version that is itself on probation is none to go back to.
        previous = probation.previous if probation is not None else self._active.get(name)
        self._active[name] = new
        if previous is not None and previous.bundle != new.bundle:
            self._probations[name] = Probation(new, previous, time.monotonic())

    def _needed(self, name: str) -> set[str]:
        """Bundles that answer, or would again after a restart."""
        probation = self._probations.get(name)
        previous = [probation.previous.bundle] if probation is not None else []
        return {self._active[name].bundle, *previous, *self._history.bundles(name)}

    def put_back_failing(self) -> None:
        """Put the last sound version back where a new one fails too often; one that has answered long enough is sound.

        Any process's verdict holds for all.
        """
        if not self._probations:
            return
        counts, _ = self._counters.of_all_processes()
        for name, probation in list(self._probations.items()):
            known = self._history.put_back(name).get(probation.new.bundle)
            reason = known or probation.objection(counts, max_error_share=self._max_error_share)
            if reason is not None:
                self._end(name, probation, reason)
            elif probation.is_passed(counts) or self._history.sound(name) == probation.new.bundle:
                self._end(name, probation, None)

    def _end(self, name: str, probation: Probation, objection: str | None) -> None:
        with self._state_lock:
            if self._probations.get(name) is not probation:  # another version answers meanwhile
                return
            del self._probations[name]
            if objection is None:
                self._history.note_sound(name, probation.new.bundle)
                return
            self._active[name] = probation.previous
            version = probation.new.model.version
            self._history.note_put_back(name, probation.new.bundle, objection, instead=probation.previous.bundle)
            self._refused.setdefault(name, {})[version] = objection
        self._count(name, version, "put_back")
        logger.error("put back", extra={"fields": {"model": name, "refused": version, "reason": objection}})

    def _count(self, name: str, version: str, outcome: Outcome) -> None:
        self._counters.add(SWAPS, (name, version, outcome))

    def _log_refused(self, name: str, error: BundleError) -> None:
        self._error_log.log(name, "A version is not served", error)

    def _log_store_error(self, error: BundleError) -> None:
        if isinstance(error, AwayError):
            self._count("", "", "unreachable")
        self._error_log.log_store_error(error)
