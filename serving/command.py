"""`python -m serving`: load every champion, say what is served where, answer until SIGTERM or Ctrl-C."""

import argparse
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from serving.bundle import BundleError
from serving.settings import Settings, SettingsError, read_settings
from serving.worker import USER_MISTAKE, serve
from serving.workers import Workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; the exit code is 0 after a normal end, 2 when there is nothing to serve or a setting is wrong."""
    try:
        environment = _environment(arguments)
        settings = read_settings(environment)
        listening = listen(settings)
        if settings.workers > 1:
            return Workers(settings, listening, environment).run(lambda served: _announce(served, listening))
        serve(settings, listening, lambda served: _announce(served, listening))
    except (SettingsError, BundleError) as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    return 0


def _environment(arguments: Sequence[str] | None) -> dict[str, str]:
    """What the command line names takes the place of the variable, and is checked as it is."""
    parser = argparse.ArgumentParser("python -m serving", description="Serve registered champions over HTTP.")
    parser.add_argument("--bundles", metavar="DIR", help="folder of bundles (SERVING_BUNDLES, default var/bundles)")
    parser.add_argument("--host", help="address to listen on (SERVING_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (SERVING_PORT, default 8000)")
    parser.add_argument("--workers", metavar="N", help="processes that answer (SERVING_WORKERS, default 1)")
    given = vars(parser.parse_args(arguments))
    overrides = {f"SERVING_{name.upper()}": value for name, value in given.items() if value is not None}
    return {**os.environ, **overrides}


def listen(settings: Settings) -> socket.socket:
    """Take the port, so that what is announced holds.

    Raises:
        SettingsError: it is taken, or the address is not one of this machine.
    """
    is_ipv6 = ":" in settings.host
    try:
        listening = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=2048,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),  # "::" is every address, those of IPv4 too
        )
    except OSError as error:
        raise SettingsError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}. "
            "Choose another with --port or --host."
        ) from error
    # Connections inherit it. Without it an answer's body waits 40 ms until the client has confirmed its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _announce(served: Mapping[str, str], listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    for name, version in served.items():
        print(f"{name} version {version}: POST {address}/models/{quote(name)}/predict")
    print(f"Try it: {address}/", flush=True)
