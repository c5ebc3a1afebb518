"""What can be wrong with a file of rows, and whether it has the columns that are needed."""

from collections.abc import Iterable
from difflib import get_close_matches

from serving.bundle import Contract

SAVE_AS_UTF8 = "Save the file as UTF-8, e.g. iconv -f latin1 -t utf-8."


class ScoringError(Exception):
    """Something about a file that its owner can put right; the text is all that is shown."""


class FileAwayError(ScoringError):
    """A file that could not be read or written this time, such as on a full disk: what was finished stays good."""


def check_names(contract: Contract, names: list[str], *, where: str) -> None:
    """Raise a ScoringError that lists every column the model needs and the file lacks, with the nearest names."""
    missing = [column.name for column in contract.columns if column.name not in names]
    if not missing:
        return
    hints = [with_nearest(name, names) for name in missing]
    raise ScoringError(f"{where} lacks {len(missing)} columns that the model takes: {', '.join(hints)}.")


def with_nearest(name: str, names: list[str]) -> str:
    """The name of a column that is not there, and of these the nearest, where one is near."""
    near = get_close_matches(name, names, n=1)
    return f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def check_once(used: Iterable[str], names: list[str], *, where: str) -> None:
    """Raise a ScoringError that lists every column of these that the file has more than once."""
    twice = [repr(name) for name in used if names.count(name) > 1]
    if twice:
        raise ScoringError(
            f"{where}: there is more than one column of the name {', '.join(twice)}. Rename all but one."
        )
