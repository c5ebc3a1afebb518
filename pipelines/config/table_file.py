"""Whether there is a file of a known sort where `data.path` says; nothing of it is read."""

from difflib import get_close_matches
from pathlib import Path

from pipelines.errors import UserError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
SEPARATORS = {".csv": ",", ".tsv": "\t"}
EXTENSIONS = (*SEPARATORS, ".parquet", ".jsonl", ".ndjson")


def known_extension(path: Path) -> str:
    """The extension that says how to read, without that of the compression.

    Raises:
        UserError: there is no file, or its ending is of no known sort.
    """
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, names, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else " Check data.path."
        raise UserError(f"{path} does not exist.{hint}")
    if path.is_dir():
        raise UserError(f"{path} is a folder. Give one file as data.path.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    extension = suffixes[-1] if suffixes else ""
    if extension not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise UserError(f"{path} has an unknown ending. Known are {known}, each also with .gz or .zst behind it.")
    return extension
