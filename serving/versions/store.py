"""Where bundles come from: a folder that training publishes to, or an MLflow registry (`registry`)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.bundle import Bundle, BundleError, PassingError, open_bundle

CHAMPION = "champion"
# One component of a path, and none that is hidden or leads upwards.
SAFE_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
VERSION = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class OpenedVersion:
    """A bundle and the version that it is."""

    name: str
    version: str
    bundle: Bundle


class AwayError(PassingError):
    """The store does not answer, nor would it for another model."""


class MissingError(BundleError):
    """The store has none of that name."""


class Store(Protocol):
    """Holds bundles, and names one version of each model with an alias."""

    def names(self) -> list[str]:
        """Models that have a champion.

        Raises:
            BundleError: the store cannot be read.
        """
        ...

    def find_version(self, name: str, alias: str = CHAMPION) -> str:
        """The version that has an alias; cheap, so that it may be asked often.

        Raises:
            AwayError: the store does not answer.
            MissingError: there is none.
            BundleError: what has the alias is no version.
        """
        ...

    def open_version(self, name: str, version: str) -> OpenedVersion:
        """Open a version's bundle.

        Raises:
            AwayError: the store does not answer.
            PassingError: this machine cannot read or keep it now.
            BundleError: it must not be served.
        """
        ...

    def open_kept(self, name: str, bundle: str) -> OpenedVersion:
        """Open a bundle that was opened before, by the name of its folder, without asking anybody.

        Raises:
            BundleError: it is not here any more, or must not be served.
        """
        ...

    def tidy(self, name: str, needed: Collection[str]) -> None:
        """Remove bundles that were kept, but for the newest ones and those that are needed."""
        ...


class FolderStore:
    """`<root>/<name>/<version>/` with the number of the serving version in the file `<root>/<name>/champion`.

    Any other alias is a file beside it.

    Args:
        root: the folder; one that is not there holds no models.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self._root.glob(f"*/{CHAMPION}"))

    def find_version(self, name: str, alias: str = CHAMPION) -> str:
        check_name(name)
        path = self._root / name / alias
        try:
            version = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            kind = MissingError if isinstance(error, FileNotFoundError) else BundleError
            raise kind(f"{path}: cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: is no text.") from error
        if not VERSION.fullmatch(version):
            raise BundleError(f"{path}: holds {version[:20]!r} instead of the number of a version.")
        return version

    def open_version(self, name: str, version: str) -> OpenedVersion:
        """As every store's; its models are registered under the names in their contracts."""
        folder = self._root / name / version
        bundle = open_bundle(folder)
        if bundle.contract.name != name:
            said = f"is a version of {bundle.contract.name!r}, not of {name!r}."
            raise BundleError(f"{folder}: {said} Keep it in a folder of its model's name.", reason=f"It {said}")
        return OpenedVersion(name, version, bundle)

    def open_kept(self, name: str, bundle: str) -> OpenedVersion:
        return self.open_version(name, bundle)

    def tidy(self, name: str, needed: Collection[str]) -> None:
        """Nothing to do: it holds what training published."""


def open_champion(store: Store, name: str) -> OpenedVersion:
    """Open the bundle that a store calls the champion.

    Raises:
        BundleError: there is none, or it must not be served.
    """
    return store.open_version(name, store.find_version(name))


def check_name(name: str) -> None:
    """Refuse what would not stay one folder.

    Raises:
        BundleError: it is no name of a model.
    """
    if not SAFE_NAME.fullmatch(name):
        raise BundleError(f"{name[:100]!r} is no name of a model.")
