"""Settings of the server, from `SERVING_*` environment variables; the command line may override some."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PREFIX = "SERVING_"
LARGEST_PORT = 65_535


class SettingsError(Exception):
    """Variables that cannot be used; the message lists all of them."""


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes:
        host: address to listen on; loopback, so that nothing is open to a network unless asked for.
        port: to listen on.
        bundles: folder of bundles, `<name>/<version>/`, with the file `<name>/champion`.
        registry: address of an MLflow server to fetch champions from; None: the folder alone.
        names: models to serve; empty: all that have a champion.
        max_rows: of one request; 10,000 rows are answered in well under a second.
        max_body_bytes: of one request; 16 MiB hold 10,000 rows of about 80 columns.
        threads: of one prediction; 1, since requests run side by side.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    bundles: Path = Path("var/bundles")
    registry: str | None = None
    names: tuple[str, ...] = ()
    max_rows: int = 10_000
    max_body_bytes: int = 16 * 2**20
    threads: int = 1


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables.

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
            values[known[variable]] = _read(known[variable], text)
        except ValueError as error:
            wrong.append(f"{variable}={text!r}: {error}")
    if wrong:
        raise SettingsError("\n".join(["The server's settings are wrong:", *(f"  {line}" for line in wrong)]))
    return Settings(**values)


def _read(name: str, text: str) -> Any:
    if name in ("port", "max_rows", "max_body_bytes", "threads"):
        most = LARGEST_PORT if name == "port" else None
        if not text.isdecimal() or int(text) < 1 or (most is not None and int(text) > most):
            raise ValueError(f"must be a whole number of at least 1{f' and at most {most}' if most else ''}")
        return int(text)
    if name == "registry":
        if not text.startswith(("http://", "https://")):
            raise ValueError("must be the address of an MLflow server, http://...")
        return text.rstrip("/")
    if name == "names":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if name == "bundles" else text
