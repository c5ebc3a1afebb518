"""What became of versions, kept beyond a process: which was sound last, which chosen last, which were put back.

Each of these is a file of its own, written at one stroke: the processes of a server share them without a lock, and
whoever starts again goes on from them.
"""

import logging
import shutil
from pathlib import Path

from serving.atomic_file import write_atomically

SOUND, CHOSEN = "sound", "chosen"  # files with the name of a bundle
PUT_BACK = "put_back"  # a folder with a file a bundle, which says why

logger = logging.getLogger("serving.verdicts")


class VersionHistory:
    """What became of the versions of each model, by the names of models that `store.check_name` lets pass.

    A bundle is called as its folder is: what a store opens again without asking anybody.

    Args:
        folder: to keep them in, `<folder>/<model>/`; None: nothing is kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._has_failed = False

    def names(self) -> list[str]:
        """Models that have been served."""
        return sorted(path.parent.name for path in self._folder.glob(f"*/{SOUND}")) if self._folder else []

    def sound(self, name: str) -> str:
        """The bundle that was sound last; empty when there is none."""
        return self._read(name, SOUND)

    def bundles(self, name: str) -> list[str]:
        """What served last: the bundle that was sound, then the one chosen since, if another."""
        return list(dict.fromkeys(bundle for kind in (SOUND, CHOSEN) if (bundle := self._read(name, kind))))

    def put_back(self, name: str) -> dict[str, str]:
        """Bundle -> why it was put back."""
        if self._folder is None:
            return {}
        bundles = [path.name for path in (self._folder / name / PUT_BACK).glob("[0-9]*")]
        return {bundle: why for bundle in bundles if (why := self._read(name, PUT_BACK, bundle))}

    def note_sound(self, name: str, bundle: str) -> None:
        """It served well, or there is none before it."""
        self._write(bundle, name, SOUND)

    def note_chosen(self, name: str, bundle: str) -> None:
        """It answers for its model."""
        self._write(bundle, name, CHOSEN)

    def note_put_back(self, name: str, bundle: str, reason: str, *, instead: str) -> None:
        """It failed, and another that was sound before answers instead."""
        self._write(reason, name, PUT_BACK, bundle)
        self._write(instead, name, SOUND)
        self._write(instead, name, CHOSEN)

    def forgive(self, name: str) -> None:
        """Every version of a model gets a new chance."""
        if self._folder is not None:
            shutil.rmtree(self._folder / name / PUT_BACK, ignore_errors=True)

    def _read(self, *parts: str) -> str:
        """Nothing when there is none, or somebody has written it who is none of ours."""
        try:
            return self._folder.joinpath(*parts).read_text(encoding="utf-8") if self._folder else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def _write(self, text: str, *parts: str) -> None:
        if self._folder is None or self._read(*parts) == text:
            return
        path = self._folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
        except OSError as error:  # the server goes on, as long as it runs
            if not self._has_failed:
                fields = {"file": str(path), "reason": error.strerror}
                logger.warning("What became of versions cannot be kept", extra={"fields": fields})
            self._has_failed = True
