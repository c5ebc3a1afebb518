"""What goes wrong again and again, said once: a store may be away for hours, and is asked every few seconds."""

import logging

from serving.bundle import BundleError
from serving.versions.store import AwayError

STORE = ""  # what is complained about, when it is no model


class Complaints:
    """Complaints about models that an alias names, and about their store.

    Args:
        logger: to say them to.
        alias: that names the versions.
    """

    def __init__(self, logger: logging.Logger, alias: str) -> None:
        self._logger = logger
        self._alias = alias
        self._said: dict[str, str] = {}

    def say(self, about: str, message: str, error: BundleError, *, level: int = logging.ERROR) -> None:
        """Say why, unless it was said of the same model before."""
        if self._said.get(about) != str(error):
            self._said[about] = str(error)
            fields = {"model": about, "alias": self._alias, "reason": str(error)}
            self._logger.log(level, message, extra={"fields": fields})

    def of_store(self, error: BundleError) -> None:
        """Say why the store cannot be asked."""
        said = "does not answer" if isinstance(error, AwayError) else "cannot be read"
        self.say(STORE, f"The store of models {said}", error)

    def store_answers(self) -> None:
        """Say so if it was said that it does not."""
        if self._said.pop(STORE, None) is not None:
            self._logger.warning("The store of models answers again")
