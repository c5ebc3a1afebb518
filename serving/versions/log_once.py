"""What goes wrong again and again, said once: a store may be away for hours, and is asked every few seconds."""

import logging

from serving.bundle import BundleError
from serving.versions.store import AwayError

STORE = ""  # what an error is about, when it is no model


class LogOnce:
    """Logs errors of the models that an alias names, and of their store.

    Args:
        logger: to log to.
        alias: that names the versions.
    """

    def __init__(self, logger: logging.Logger, alias: str) -> None:
        self._logger = logger
        self._alias = alias
        self._logged: dict[str, str] = {}

    def log(self, about: str, message: str, error: BundleError, *, level: int = logging.ERROR) -> None:
        """Log an error, unless it is the one that was logged last about the same model."""
        if self._logged.get(about) != str(error):
            self._logged[about] = str(error)
            fields = {"model": about, "alias": self._alias, "reason": str(error)}
            self._logger.log(level, message, extra={"fields": fields})

    def log_store_error(self, error: BundleError) -> None:
        """Log why the store cannot be asked."""
        said = "does not answer" if isinstance(error, AwayError) else "cannot be read"
        self.log(STORE, f"The store of models {said}", error)

    def log_store_answers(self) -> None:
        """Log so if it was logged that it does not."""
        if self._logged.pop(STORE, None) is not None:
            self._logger.warning("The store of models answers again")
