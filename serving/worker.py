"""One process that answers: loads every champion, serves a socket that is listened on already, ends when told to."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from serving.bundle import BundleError
from serving.keys import Key, read_keys
from serving.logs import log_as_json
from serving.models import Served, load_models
from serving.registry import RegistryStore
from serving.settings import Settings, SettingsError, read_settings
from serving.store import FolderStore, Store
from serving.tally import Tally

USER_MISTAKE = 2
FETCHED = ".registry"  # below the folder of bundles; hidden, so that no model is called so
SHARE_SECONDS = 1.0

Announce = Callable[[Mapping[str, str]], None]


def load_champions(settings: Settings) -> dict[str, Served]:
    """Load every champion; one that must not be served is reported and passed over.

    Raises:
        BundleError: there is none, or none can be served.
    """
    store = open_store(settings)
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


def open_store(settings: Settings) -> Store:
    """Where the champions come from."""
    if settings.registry is not None:
        return RegistryStore(settings.registry, settings.bundles / FETCHED)
    return FolderStore(settings.bundles)


def serve(settings: Settings, listening: socket.socket, announce: Announce, *, folder: Path | None = None) -> None:
    """Answer until SIGTERM or Ctrl-C.

    Args:
        settings: of the server.
        listening: socket to accept from.
        announce: is told the version of each model, once they are served.
        folder: where worker processes meet; None: this is the only one.

    Raises:
        BundleError: there is nothing to serve.
        SettingsError: the keys cannot be read.
    """
    keys = read_keys(settings.keys_file) if settings.keys_file is not None else ()
    models = load_champions(settings)
    announce({own.name: own.version for own in models.values()})
    log_as_json(settings.log_level)
    tally = Tally(folder)
    ended = threading.Event()
    sharing = threading.Thread(target=_share, args=(tally, ended), name="share counts", daemon=True)
    if folder is not None:
        sharing.start()
    # When uvicorn has finished what runs, it raises the signal that it was stopped by once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _run(models, settings, listening, keys=keys, tally=tally)
    except KeyboardInterrupt:
        pass
    finally:
        ended.set()
        tally.share()


def _run(
    models: dict[str, Served], settings: Settings, listening: socket.socket, *, keys: Sequence[Key], tally: Tally
) -> None:
    import uvicorn  # noqa: PLC0415  after what may fail: a mistake is answered at once

    from serving.app import create_app  # noqa: PLC0415  likewise
    from serving.draining import DrainingServer  # noqa: PLC0415  likewise

    config = uvicorn.Config(
        create_app(models, settings, keys=keys, tally=tally),
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # `observing` writes a line a request
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    DrainingServer(config).run(sockets=[listening])


def _share(tally: Tally, ended: threading.Event) -> None:
    while not ended.wait(SHARE_SECONDS):
        tally.share()


def main(arguments: Sequence[str]) -> int:
    """What `workers` starts: `python -m serving.worker <listening> <announcing> <parent> <folder>`.

    The first two are open files, the third is a process: when it is no more, this one ends too. The settings are those
    of the environment.
    """
    listening, announcing, parent = map(int, arguments[:3])
    folder = Path(arguments[3])
    threading.Thread(target=_end_with_parent, args=(parent,), name="watch the parent", daemon=True).start()

    def announce(versions: Mapping[str, str]) -> None:
        with os.fdopen(announcing, "w") as pipe:
            json.dump(versions, pipe)

    try:
        serve(read_settings(), socket.socket(fileno=listening), announce, folder=folder)
    except (SettingsError, BundleError) as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    return 0


def _end_with_parent(parent: int) -> None:
    """Nobody would start a worker again, or end it, whose parent was killed."""
    while os.getppid() == parent:
        threading.Event().wait(SHARE_SECONDS)
    logging.getLogger("serving").warning("The parent process is gone")
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
