"""The models that answer beside the champions, unseen: each the version that a second alias names."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from serving.bundle import BundleError, PassingError
from serving.versions.log_once import LogOnce
from serving.versions.served_model import Load, ServedModel
from serving.versions.store import AwayError, MissingError, Store

logger = logging.getLogger("serving.shadow")


class Shadow(Mapping[str, ServedModel]):
    """Name -> the model that answers beside; a model may have none.

    Args:
        store: holds the bundles.
        load: makes a model of a bundle.
        alias: that names the versions.
        names: of models; empty: all that have a champion.
    """

    def __init__(self, store: Store, *, load: Load, alias: str, names: Sequence[str] = ()) -> None:
        self._store = store
        self._load = load
        self._alias = alias
        self._names = tuple(names)
        self._models: dict[str, ServedModel] = {}
        self._refused: dict[str, str] = {}
        self._error_log = LogOnce(logger, alias)

    def __getitem__(self, name: str) -> ServedModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._models))  # may change meanwhile

    def __len__(self) -> int:
        return len(self._models)

    def refresh(self) -> None:
        """Look every alias up, and load what has changed; whatever goes wrong is logged, once."""
        try:
            for name in self._names or self._store.names():
                self._refresh_one(name)
        except BundleError as error:
            self._error_log.log_store_error(error)
        else:
            self._error_log.log_store_answers()

    def _refresh_one(self, name: str) -> None:
        version = self._find_version(name)
        model = self._models.get(name)
        if version is None or version == self._refused.get(name) or (model is not None and model.version == version):
            return
        try:
            self._models[name] = self._load(self._store.open_version(name, version))
        except AwayError:
            raise
        except BundleError as error:
            if not isinstance(error, PassingError):
                self._refused[name] = version
            self._error_log.log(name, "A version is no shadow", error, level=logging.WARNING)

    def _find_version(self, name: str) -> str | None:
        """None where there is none: it may be taken away, where a champion goes on until there is another."""
        try:
            return self._store.find_version(name, self._alias)
        except MissingError as error:
            self._models.pop(name, None)
            self._error_log.log(name, "A model has no shadow", error, level=logging.INFO)
        except AwayError:
            raise
        except BundleError as error:
            self._error_log.log(name, "A version is no shadow", error, level=logging.WARNING)
        return None
