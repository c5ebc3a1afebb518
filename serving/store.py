"""Where bundles come from: a folder that training publishes to."""

import re
from dataclasses import dataclass
from pathlib import Path

from serving.bundle import Bundle, BundleError, open_bundle

CHAMPION_FILE = "champion"
SAFE_NAME = re.compile(r"[\w][\w .-]*")


@dataclass(frozen=True)
class Found:
    """A bundle and the version that it is."""

    name: str
    version: str
    bundle: Bundle


class FolderStore:
    """`<root>/<name>/<version>/` with the number of the serving version in `<root>/<name>/champion`.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Models that have a champion."""
        return sorted(path.parent.name for path in self._root.glob(f"*/{CHAMPION_FILE}"))

    def open_champion(self, name: str) -> Found:
        """Open the champion's bundle.

        Raises:
            BundleError: there is none, or it must not be served.
        """
        if not SAFE_NAME.fullmatch(name):
            raise BundleError(f"{name!r} is no name of a model.")
        path = self._root / name / CHAMPION_FILE
        try:
            version = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}.") from error
        if not version.isdecimal():
            raise BundleError(f"{path}: holds {version[:20]!r} instead of the number of a version.")
        return Found(name, version, open_bundle(self._root / name / version))
