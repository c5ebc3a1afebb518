"""`python -m serving`: load every champion, say what is served where, answer until SIGTERM or Ctrl-C."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from urllib.parse import quote

from serving.bundle import BundleError
from serving.models import Served, load_models
from serving.registry import RegistryStore
from serving.settings import Settings, SettingsError, read_settings
from serving.store import FolderStore, Store

USER_MISTAKE = 2
FETCHED = ".registry"  # below the folder of bundles; hidden, so that no model is called so


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; the exit code is 0 after a normal end, 2 when there is nothing to serve or a setting is wrong."""
    try:
        settings = _settings(arguments)
        models = load_champions(settings)
        listening = listen(settings)
    except (SettingsError, BundleError) as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    _announce(models, listening)
    # When uvicorn has finished what runs, it raises the signal that it was stopped by once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _serve(models, settings, listening)
    except KeyboardInterrupt:
        return 0
    return 0


def load_champions(settings: Settings) -> dict[str, Served]:
    """Load every champion; one that must not be served is reported and passed over.

    Raises:
        BundleError: there is none, or none can be served.
    """
    store: Store = FolderStore(settings.bundles)
    if settings.registry is not None:
        store = RegistryStore(settings.registry, settings.bundles / FETCHED)
    names = settings.names or store.names()
    if not names:
        raise BundleError(
            f"There is no model to serve in {settings.registry or settings.bundles}. Train one first: "
            "python -m pipelines.train -m data=breast_cancer sweep=quick"
        )
    loaded = load_models(store, names, threads=settings.threads, max_rows=settings.max_rows)
    for failure in loaded.failures:
        print(failure, file=sys.stderr)
    if not loaded.models:
        raise BundleError(f"None of {len(names)} models can be served.")
    return loaded.models


def _settings(arguments: Sequence[str] | None) -> Settings:
    """What the command line names takes the place of the variable, and is checked as it is."""
    parser = argparse.ArgumentParser("python -m serving", description="Serve registered champions over HTTP.")
    parser.add_argument("--bundles", metavar="DIR", help="folder of bundles (SERVING_BUNDLES, default var/bundles)")
    parser.add_argument("--host", help="address to listen on (SERVING_HOST, default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (SERVING_PORT, default 8000)")
    given = vars(parser.parse_args(arguments))
    overrides = {f"SERVING_{name.upper()}": value for name, value in given.items() if value is not None}
    return read_settings({**os.environ, **overrides})


def listen(settings: Settings) -> socket.socket:
    """Take the port, so that what is announced holds.

    Raises:
        SettingsError: it is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}. "
            "Choose another with --port or --host."
        ) from error
    # Connections inherit it. Without it an answer's body waits 40 ms until the client has confirmed its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _announce(models: dict[str, Served], listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    for own in models.values():
        print(f"{own.name} version {own.version}: POST {address}/models/{quote(own.name)}/predict")
    print(f"Try it: {address}/docs", flush=True)


def _serve(models: dict[str, Served], settings: Settings, listening: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415  after what may fail: a mistake is answered at once

    from serving.app import create_app  # noqa: PLC0415  likewise

    config = uvicorn.Config(
        create_app(models, settings),
        log_level=settings.log_level,
        access_log=settings.log_level in ("info", "debug"),
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(main())
