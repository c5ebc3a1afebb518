"""API keys: the file that keeps their hashes, and `python -m serving.keys` that adds, lists and removes them.

A key is 256 random bits, so one round of SHA-256 guards it: there is nothing to guess. The key itself is shown once
and kept nowhere. Not here: what a request with a key may do (`auth`).
"""

import argparse
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from serving.settings import SettingsError

Role = Literal["reader", "admin"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # is logged and counted
PREFIX = "swk_"  # a key that leaks into a log or a repository can be searched for
DEFAULT_FILE = Path("var/keys.json")
LOOK_SECONDS = 1.0  # between two looks at whether the file has changed
USER_MISTAKE = 2

logger = logging.getLogger("serving.keys")


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Attributes:
        name: of who has it.
        role: a reader asks for predictions; an admin also reloads models.
        sha256: of the key, hexadecimal.
        created: ISO 8601, UTC.
    """

    name: str
    role: Role
    sha256: str
    created: str


FILE: TypeAdapter[dict[Literal["keys"], tuple[Key, ...]]] = TypeAdapter(dict[Literal["keys"], tuple[Key, ...]])


def find_key(keys: Sequence[Key], presented: str) -> Key | None:
    """The key that was presented. Takes the same time whichever it is, and for none."""
    digest = hash_key(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def hash_key(key: str) -> str:
    """SHA-256 of a key, hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class KeyFile:
    """The keys of a file, which is read again when it has changed: a server that runs obeys it.

    One that cannot be read any more changes nothing, and is told in the log.

    Args:
        path: of the file.

    Raises:
        SettingsError: it cannot be read, or holds none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state, self._looked = _state(path), time.monotonic()
        self._keys = read_keys(path)
        if not self._keys:
            raise SettingsError(f"{path}: holds no key. {_how_to_make(path)}")

    def find(self, presented: str) -> Key | None:
        """The key that was presented, as `find_key` finds it."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        return find_key(self._keys, presented)

    def _look(self) -> None:
        before, self._state, self._looked = self._state, _state(self._path), time.monotonic()
        if self._state == before:
            return
        try:
            self._keys = read_keys(self._path)
        except SettingsError as error:
            logger.error("The keys stay as they were: %s", error)  # noqa: TRY400  its trace says nothing more


def _state(path: Path) -> tuple[int, int, int] | None:
    """What a file has no longer when it is written or replaced, or may be read by others; None: it is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_ctime_ns, state.st_size  # within a tick of the clock many systems show one time


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return FILE.validate_json(path.read_bytes()).get("keys", ())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}. {_how_to_make(path)}") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: is no file of keys. {_how_to_make(path)}") from error


def add_key(path: Path, *, name: str, role: Role) -> str:
    """Make a key and keep its hash.

    Returns:
        the key, which nothing can show again.

    Raises:
        SettingsError: the name is taken or is none, or the file cannot be used.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is no name: letters, digits, '.', '_' and '-', at most 64.")
    keys = read_keys(path) if path.exists() else ()
    if name in [key.name for key in keys]:
        raise SettingsError(f"{path}: there is a key of {name} already. Remove it first, or take another name.")
    key = PREFIX + secrets.token_urlsafe(32)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    _write(path, (*keys, Key(name=name, role=role, sha256=hash_key(key), created=created)))
    return key


def remove_key(path: Path, *, name: str) -> None:
    """Forget a key.

    Raises:
        SettingsError: there is none of that name, or the file cannot be used.
    """
    keys = read_keys(path)
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        held = f"only of {', '.join(key.name for key in keys)}" if keys else "it holds none"
        raise SettingsError(f"{path}: there is no key of {name}, {held}.")
    _write(path, kept)


def _write(path: Path, keys: Sequence[Key]) -> None:
    """Whole or not at all, for its owner alone."""
    text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n"
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        unfinished.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}.") from error


def _how_to_make(path: Path) -> str:
    return f"Make one: python -m serving.keys add NAME --file {path}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code is 2 when it cannot be done."""
    given = _parser().parse_args(arguments)
    try:
        _run(given)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    return 0


def _run(given: argparse.Namespace) -> None:
    if given.command == "add":
        made = add_key(given.file, name=given.name, role=given.role)
        print(f"The key of {given.name} ({given.role}). It is shown this once; send it as\n", file=sys.stderr)
        print(f"Authorization: Bearer {made}")
    elif given.command == "remove":
        remove_key(given.file, name=given.name)
    else:
        for key in read_keys(given.file):
            print(f"{key.name}\t{key.role}\t{key.created}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m serving.keys", description="API keys of the server.")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key and show it once")
    add.add_argument("--role", choices=get_args(Role), default="reader", help="an admin may also reload models")
    remove = commands.add_parser("remove", help="forget a key")
    for named in (add, remove):
        named.add_argument("name", help="of who gets the key")
    file = Path(os.environ.get("SERVING_KEYS_FILE") or DEFAULT_FILE)
    for command in (add, remove, commands.add_parser("list", help="names, roles and dates")):
        command.add_argument("--file", type=Path, default=file, help="of keys (SERVING_KEYS_FILE, else %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
