"""`python -m serving`: load every champion, say what is served where, answer until SIGTERM or Ctrl-C."""

import argparse
import dataclasses
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.bundle import BundleError
from serving.predictor import Predictor, check_golden
from serving.protocols.native import Served
from serving.registry import RegistryStore
from serving.settings import Settings, SettingsError, read_settings
from serving.store import FolderStore

USER_MISTAKE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; the exit code is 0 after a normal end, 2 when there is nothing to serve or a setting is wrong."""
    try:
        settings = _settings(arguments)
        models = load_models(settings)
    except (SettingsError, BundleError) as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    import uvicorn  # noqa: PLC0415  after what may fail: a mistake is answered at once

    from serving.app import create_app  # noqa: PLC0415  likewise

    for own in models:
        print(
            f"{own.name} version {own.version}: POST http://{settings.host}:{settings.port}/models/{own.name}/predict"
        )
    print(f"Try it: http://{settings.host}:{settings.port}/docs", flush=True)
    config = uvicorn.Config(
        create_app(models, settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again when it has finished; by then there is nothing left to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        server.run()
    except SystemExit:  # uvicorn has said why, e.g. that the port is taken
        return USER_MISTAKE
    return 0


def load_models(settings: Settings) -> list[Served]:
    """Load every champion; one that must not be served is reported and passed over.

    Raises:
        BundleError: there is none, or none can be served.
    """
    # Fetched bundles stay apart from those that training publishes here.
    store = (
        FolderStore(settings.bundles)
        if settings.registry is None
        else RegistryStore(settings.registry, cache=settings.bundles / ".fetched")
    )
    names = settings.names or store.names()
    if not names:
        raise BundleError(
            f"There is no model to serve in {settings.registry or settings.bundles}. Train one first: "
            "python -m pipelines.train data=breast_cancer"
        )
    models = []
    for name in names:
        try:
            found = store.open_champion(name)
            predictor = Predictor(found.bundle, threads=settings.threads)
            check_golden(predictor)
            models.append(Served(name, found.version, predictor))
        except BundleError as error:
            print(f"Not served: {name}: {error}", file=sys.stderr)
    if not models:
        raise BundleError(f"None of the {len(names)} models can be served.")
    return models


def _settings(arguments: Sequence[str] | None) -> Settings:
    settings = read_settings()
    parser = argparse.ArgumentParser("python -m serving", description="Serve registered champions over HTTP.")
    parser.add_argument("--host", default=settings.host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=settings.port, type=int, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--bundles", default=settings.bundles, type=Path, help="folder of bundles (default: %(default)s)"
    )
    return dataclasses.replace(settings, **vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
