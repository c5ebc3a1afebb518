"""Settings of the server, from `SERVING_*` environment variables; the command line may override some."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "SERVING_"
LARGEST_PORT = 65_535
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
WHOLE_NUMBER = re.compile(r"[0-9]{1,12}")


class SettingsError(Exception):
    """Variables that cannot be used; the message lists all of them."""


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes:
        host: address to listen on; loopback, so that nothing is open to a network unless asked for.
        port: to listen on; 0 takes a free one.
        bundles: folder of bundles, `<name>/<version>/`, with the file `<name>/champion`.
        registry: address of an MLflow server to fetch champions from; None: the folder alone.
        names: models to serve; empty: all that have a champion.
        max_rows: of one request; 10,000 rows are answered in well under a second.
        max_body_bytes: of one request; 16 MiB hold 10,000 rows of about 80 columns. Reading a body takes up to 20
            times its size in memory.
        threads: of one prediction; 1, since requests run side by side.
        shutdown_seconds: that running requests get after SIGTERM; container engines kill after 10.
        log_level: critical, error, warning, info (a line a request) or debug.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    bundles: Path = Path("var/bundles")
    registry: str | None = None
    names: tuple[str, ...] = ()
    max_rows: int = 10_000
    max_body_bytes: int = 16 * 2**20
    threads: int = 1
    shutdown_seconds: int = 8
    log_level: str = "warning"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables; an empty one counts as not set.

    Raises:
        SettingsError: lists every variable that is unknown or cannot be used.
    """
    known = {PREFIX + own.name.upper(): own.name for own in fields(Settings)}
    values: dict[str, Any] = {}
    wrong = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or text == "":
            continue
        if variable not in known:
            wrong.append(f"{variable}: no such setting (there are {', '.join(known)})")
            continue
        try:
            values[known[variable]] = READERS[known[variable]](text)
        except ValueError as error:
            wrong.append(f"{variable}={text!r}: {error}")
    if wrong:
        raise SettingsError("\n".join(["The server's settings are wrong:", *(f"  {line}" for line in wrong)]))
    return Settings(**values)


def _port(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text) or int(text) > LARGEST_PORT:
        raise ValueError(f"must be a whole number of at most {LARGEST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text) or int(text) < 1:
        raise ValueError("must be a whole number of at least 1")
    return int(text)


def _address(text: str) -> str:
    parts = urlsplit(text)  # a ValueError of its own for a broken one
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be the address of an MLflow server, http://host:port")
    return text.rstrip("/")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


READERS: Mapping[str, Callable[[str], Any]] = {
    "host": str,
    "port": _port,
    "bundles": Path,
    "registry": _address,
    "names": _names,
    "max_rows": _count,
    "max_body_bytes": _count,
    "threads": _count,
    "shutdown_seconds": _count,
    "log_level": _log_level,
}
