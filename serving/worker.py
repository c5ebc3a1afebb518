"""One process that answers: loads every champion, serves a socket that is listened on already, ends when told to."""

import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from serving.background import BackgroundThreads
from serving.bundle import BundleError
from serving.keys import KeyFile
from serving.monitoring.counters import Counters
from serving.monitoring.logs import log_as_json
from serving.monitoring.traces import is_traced
from serving.settings import Settings, SettingsError, read_settings
from serving.startup_interrupt import restore_interrupt
from serving.versions.answer_monitor import AnswerMonitor
from serving.versions.champions import Champions
from serving.versions.history import VersionHistory
from serving.versions.registry import CREDENTIALS, RegistryStore, read_authorization
from serving.versions.served_model import loader
from serving.versions.shadow import Shadow
from serving.versions.store import AwayError, FolderStore, Store

USER_MISTAKE = 2
FETCHED = ".registry"  # below the folder of bundles; hidden, so that no model is called so
SERVED = ".served"  # likewise, or `.served-<folder>` beside it: what became of versions, for each source of them
PARENT_SECONDS = 1.0
# Between two looks for garbage, of which requests for predictions leave none. Each that is under way has a hundred: a
# look after 700, as Python has it, came just when many requests waited, found nothing, and made more of them wait.
NEW_OBJECTS = 50_000

Announce = Callable[[Mapping[str, str]], None]

logger = logging.getLogger("serving.worker")


def load_champions(
    settings: Settings, counters: Counters | None = None, history: VersionHistory | None = None
) -> Champions:
    """Load every champion; one that must not be served is reported, and what was sound before it goes on.

    Raises:
        BundleError: there is none, or none can be served.
        SettingsError: the registry cannot be asked with these settings.
    """
    history = history or VersionHistory()
    champions = Champions(
        open_store(settings),
        load=loader(threads=settings.threads, max_rows=settings.max_rows),
        counters=counters or Counters(),
        history=history,
        names=settings.names,
        max_error_share=settings.max_error_share,
    )
    try:
        names = asked = champions.names()
    except BundleError as error:  # away; or an ingress answers in its place
        names, asked = history.names(), []
        if not names:
            raise
        logger.warning("%s", error)
    if not names:
        raise BundleError(
            f"There is no model to serve in {settings.registry or settings.bundles}. Train one first: "
            "python -m pipelines.train -m data=breast_cancer sweep=quick"
        )
    for name, reason in _load(champions, names, asked):
        model = champions.get(name)
        said = f"{name}: {reason} Version {model.version} goes on." if model else f"{name} is not served: {reason}"
        logger.error("%s", said)
    if not champions:
        raise BundleError(f"None of {len(names)} models can be served.")
    return champions


def _load(champions: Champions, names: Sequence[str], asked: Sequence[str]) -> list[tuple[str, BundleError]]:
    """Load what served before, then what the aliases of those models that are asked for name; what went wrong."""
    errors = [(name, error) for name in names for error in champions.resume(name)]
    for name in asked:
        try:
            champions.refresh_one(name)
        except AwayError as error:
            return [*errors, (name, error)]  # nor would it answer for the others
        except BundleError as error:
            errors.append((name, error))
    return errors


def open_history(settings: Settings, folder: Path | None) -> VersionHistory:
    """What became of versions before: in the folder of bundles, or beside it, or else among the workers alone."""
    bundles = settings.bundles.absolute()
    candidates = [bundles / SERVED, bundles.parent / f"{SERVED}-{bundles.name}"]
    for candidate in candidates:
        nearest = next(path for path in (candidate, *candidate.parents) if path.exists())
        if nearest.is_dir() and os.access(nearest, os.W_OK):
            source = settings.registry or "folder"
            return VersionHistory(candidate / quote(source, safe=""))
    said = "can be written: when the server starts again it does not know which versions failed."
    logger.warning("Neither %s nor %s %s", *candidates, said)
    return VersionHistory(folder / SERVED if folder is not None else None)


def open_store(settings: Settings) -> Store:
    """Where the champions come from.

    Raises:
        SettingsError: the registry's address tells a secret, or what says who is asking cannot be sent.
    """
    if settings.registry is None:
        return FolderStore(settings.bundles)
    if "@" in urlsplit(settings.registry).netloc:
        raise SettingsError(
            "SERVING_REGISTRY: a user's name and password in an address would be shown in logs. "
            f"Leave them out: {CREDENTIALS}."
        )
    try:
        authorization = read_authorization(os.environ)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return RegistryStore(settings.registry, settings.bundles / FETCHED, authorization=authorization)


def serve(settings: Settings, listening: socket.socket, announce: Announce, *, folder: Path | None = None) -> None:
    """Answer until SIGTERM or Ctrl-C.

    Args:
        settings: of the server.
        listening: socket to accept from.
        announce: is told the version of each model, once they are served.
        folder: where worker processes meet; None: this is the only one.

    Raises:
        BundleError: there is nothing to serve.
        SettingsError: the keys cannot be read, or the registry not be asked with these settings.
    """
    log_as_json(settings.log_level)
    # Models may be long in coming. And when uvicorn has finished what runs, it raises what it was stopped by once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt, SystemExit):  # told to end
        restore_interrupt()
        _load_and_run(settings, listening, announce, folder)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which a parent sends that Ctrl-C has reached, too
    from serving.scheduling.thread_pool import end_process_with_threads  # noqa: PLC0415  after what may fail, as `_run` does

    end_process_with_threads()


def _load_and_run(settings: Settings, listening: socket.socket, announce: Announce, folder: Path | None) -> None:
    keys = KeyFile(settings.keys_file) if settings.keys_file is not None else None
    counters = Counters(folder)
    champions = load_champions(settings, counters, open_history(settings, folder))
    monitor = AnswerMonitor(champions, open_shadow(settings), counters)
    background = BackgroundThreads(champions, monitor, counters, poll_seconds=settings.poll_seconds, folder=folder)
    announce({model.name: model.version for model in champions.values()})
    background.start()
    try:
        _run(champions, settings, listening, keys=keys, background=background)
    finally:
        background.stop()


def open_shadow(settings: Settings) -> Shadow | None:
    """The models that answer beside the champions, unseen; loaded in the background, since nobody waits for them."""
    if settings.shadow is None:
        return None
    load = loader(threads=settings.threads, max_rows=settings.max_rows)
    return Shadow(open_store(settings), load=load, alias=settings.shadow, names=settings.names)


def _run(
    champions: Champions,
    settings: Settings,
    listening: socket.socket,
    *,
    keys: KeyFile | None,
    background: BackgroundThreads,
) -> None:
    # After what may fail: a mistake is answered at once.
    from serving.app import create_app  # noqa: PLC0415  as said
    from serving.http.server import DrainingServer, server_config  # noqa: PLC0415  as said
    from serving.scheduling.thread_pool import ThreadPool  # noqa: PLC0415  as said

    # FastAPI would load all of Pydantic's version 1 only to see that no model of ours is of it: 40 ms.
    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]  # as Python's import system has it for "there is none"
    traced = is_traced()
    pool = ThreadPool()
    app = create_app(champions, settings, keys=keys, background=background, traced=traced, pool=pool)
    gc.freeze()  # what is here stays: a look through all of it for garbage takes tens of milliseconds
    gc.set_threshold(NEW_OBJECTS)
    try:
        DrainingServer(server_config(app, settings, traced=traced), settings).run(sockets=[listening])
    finally:
        pool.end()


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
        threading.Event().wait(PARENT_SECONDS)
    logger.warning("The parent process is gone")
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
