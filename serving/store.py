"""Where bundles come from: a folder that training publishes to, or an MLflow registry (`registry`)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.bundle import Bundle, BundleError, open_bundle

CHAMPION_FILE = "champion"
# One component of a path, and none that is hidden or leads upwards.
SAFE_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
VERSION = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Found:
    """A bundle and the version that it is."""

    name: str
    version: str
    bundle: Bundle


class Store(Protocol):
    """Holds the champions' bundles."""

    def names(self) -> list[str]:
        """Models that have a champion.

        Raises:
            BundleError: the store cannot be read.
        """
        ...

    def open_champion(self, name: str) -> Found:
        """Open the champion's bundle.

        Raises:
            BundleError: there is none, or it must not be served.
        """
        ...


class FolderStore:
    """`<root>/<name>/<version>/` with the number of the serving version in `<root>/<name>/champion`.

    Args:
        root: the folder; one that is not there holds no models.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self._root.glob(f"*/{CHAMPION_FILE}"))

    def open_champion(self, name: str) -> Found:
        check_name(name)
        path = self._root / name / CHAMPION_FILE
        try:
            version = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: is no text.") from error
        if not VERSION.fullmatch(version):
            raise BundleError(f"{path}: holds {version[:20]!r} instead of the number of a version.")
        return Found(name, version, open_bundle(self._root / name / version))


def check_name(name: str) -> None:
    """Refuse what would not stay one folder.

    Raises:
        BundleError: it is no name of a model.
    """
    if not SAFE_NAME.fullmatch(name):
        raise BundleError(f"{name[:100]!r} is no name of a model.")
