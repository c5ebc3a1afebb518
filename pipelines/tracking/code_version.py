"""Which code made a run: a git commit, or the package's version where there is no git."""

import subprocess
from importlib import metadata
from pathlib import Path

PACKAGE = "sweepstack"
GIT_SECONDS = 10.0


def code_version(module_file: Path = Path(__file__)) -> str:
    """Name the version of the code that contains `module_file`; never fails.

    Returns:
        The commit's 40 digits, with `-dirty` when tracked files were changed since; outside git
        `sweepstack-<version>` of the installed package, or `unknown`.
    """
    return _commit(module_file) or _installed_version()


def _commit(module_file: Path) -> str | None:
    # A package installed into a virtual environment inside somebody else's checkout is not that checkout's code.
    if _git(module_file.parent, "ls-files", "--error-unmatch", module_file.name) is None:
        return None
    return _git(module_file.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when git is missing, refuses or takes too long."""
    try:
        answer = subprocess.run(  # noqa: S603  a fixed program, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607  the user's own git, wherever it is
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _installed_version() -> str:
    try:
        return f"{PACKAGE}-{metadata.version(PACKAGE)}"
    except metadata.PackageNotFoundError:
        return "unknown"
