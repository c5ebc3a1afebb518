"""A real PostgreSQL server for tests: made in a temporary folder, on a free port, and gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.tracking.servers import free_port

SECONDS = 120  # a loaded machine may take its time
NO_SERVER = "no PostgreSQL server on this machine (Debian, Ubuntu: the package postgresql)"
USER, PASSWORD = "tester", "a secret/@"
QUOTED = "a%20secret%2F%40"


def _programs() -> Path | None:
    """The folder of `initdb` and `postgres`: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _server_user() -> str | None:
    """Whom to become: PostgreSQL does not run as root. None for nobody else."""
    return "postgres" if os.geteuid() == 0 else None


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server for the length of the block; skip the test where there can be none.

    Yields:
        The address of an empty database, as SQLAlchemy reads it.
    """
    programs, user = _programs(), _server_user()
    if programs is None:
        pytest.skip(NO_SERVER)
    if user is not None and not any(own.pw_name == user for own in pwd.getpwall()):
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {user} to become")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if user is not None:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        own = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        initdb = [programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "scram-sha-256", "--no-sync"]
        subprocess.run([*initdb, f"--pwfile={folder / 'password'}"], check=True, capture_output=True, cwd=folder, **own)
        with _started(programs, folder, own) as port:
            yield f"postgresql+psycopg://{USER}:{QUOTED}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


@contextmanager
def _started(programs: Path, folder: Path, own: dict[str, object]) -> Iterator[int]:
    port = free_port()
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    command = [programs / "postgres", "-D", folder / "data", "-p", str(port)]
    command += [word for setting in settings for word in ("-c", setting)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **own)
        try:
            _wait(server, port, folder / "log")
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # the fast way: open connections are closed
            server.wait(SECONDS)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    address = f"postgresql://{USER}:{QUOTED}@127.0.0.1:{port}/postgres"
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(address, connect_timeout=SECONDS).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"PostgreSQL did not answer:\n{log.read_text()[-3000:]}")
