"""Settings of the server, from `SERVING_*` environment variables; the command line may override some."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "SERVING_"
LARGEST_PORT = 65_535
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
SHARE = re.compile(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?")
ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # of a registry; in a folder, a file that is no version
# What Kubernetes tells every container of services called `serving`, `serving-canary` and so on, as Docker's links did.
OF_KUBERNETES = re.compile(
    r"SERVING_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?=.*|=\w+://.*))"
)
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
        max_body_bytes: of one request; 16 MiB hold 10,000 rows of about 80 columns. Reading a body takes up to 25
            times its size in memory.
        threads: of one prediction; 1, since requests run side by side.
        workers: processes that answer; each loads every model.
        poll_seconds: between two looks at which version is the champion, a fifth more or less.
        shadow: alias of versions that answer the same requests, unseen by callers, to be compared; None: none do.
        max_error_share: of a new version's answers that may be errors, beyond its predecessor's share; with more of
            them the predecessor is put back.
        shutdown_seconds: that running requests get after SIGTERM; container engines kill after 10.
        log_level: critical, error, warning, info (a line a request) or debug.
        keys_file: of API keys, as `python -m serving.keys` writes it; None: nobody is asked for one.
        auth: "none" opens an address that others can reach to everybody, save for reloading models; None: such an
            address needs a keys_file.
        cors_origins: pages of these origins may ask from a browser; empty: of no other than the server's own.
        max_concurrent: requests in work at once, in one process; the next is answered 503. Each may hold a whole body.
        max_concurrent_per_key: of these, with one API key; the next is answered 429.
        request_seconds: that one request may take, its body included; its head; and reading its answer.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    bundles: Path = Path("var/bundles")
    registry: str | None = None
    names: tuple[str, ...] = ()
    max_rows: int = 10_000
    max_body_bytes: int = 16 * 2**20
    threads: int = 1
    workers: int = 1
    poll_seconds: int = 10
    shadow: str | None = None
    max_error_share: float = 0.2
    shutdown_seconds: int = 8
    log_level: str = "warning"
    keys_file: Path | None = None
    auth: str | None = None
    cors_origins: tuple[str, ...] = ()
    max_concurrent: int = 256
    max_concurrent_per_key: int = 128
    request_seconds: int = 30


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables; an empty one counts as not set.

    Raises:
        SettingsError: lists every variable that is unknown or cannot be used; or the address is open to others and
            nothing says who may ask.
    """
    known = {PREFIX + setting.name.upper(): setting.name for setting in fields(Settings)}
    values: dict[str, Any] = {}
    wrong = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or text == "" or OF_KUBERNETES.fullmatch(f"{variable}={text}"):
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
    settings = Settings(**values)
    _check_access(settings)
    return settings


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_access(settings: Settings) -> None:
    if settings.auth == "none" and settings.keys_file is not None:
        raise SettingsError("SERVING_AUTH=none and SERVING_KEYS_FILE contradict each other. Leave one of them out.")
    if settings.keys_file is None and settings.auth is None and not is_loopback(settings.host):
        raise SettingsError(
            f"{settings.host} can be reached from other machines, and no API key is asked for. Make a key and name "
            "its file:\n  python -m serving.keys add NAME --file keys.json\n  SERVING_KEYS_FILE=keys.json\n"
            "Or say that something in front of the server asks who is calling: SERVING_AUTH=none"
        )


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


def _share(text: str) -> float:
    if not SHARE.fullmatch(text):
        raise ValueError("must be a share between 0 and 1, such as 0.2")
    return float(text)


def _alias(text: str) -> str:
    if not ALIAS.fullmatch(text) or text == "champion":
        raise ValueError("must be an alias of a registered model other than champion, such as challenger")
    return text


def _auth(text: str) -> str:
    if text != "none":
        raise ValueError("must be none, or not set")
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = _names(text)
    for origin in origins:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"must be origins such as https://example.com, not {origin!r}")
    return origins


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
    "workers": _count,
    "poll_seconds": _count,
    "shadow": _alias,
    "max_error_share": _share,
    "shutdown_seconds": _count,
    "log_level": _log_level,
    "keys_file": Path,
    "auth": _auth,
    "cors_origins": _origins,
    "max_concurrent": _count,
    "max_concurrent_per_key": _count,
    "request_seconds": _count,
}
