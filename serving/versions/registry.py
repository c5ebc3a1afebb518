"""Models of an MLflow registry by alias, over plain HTTP: three questions and two files, no MLflow client.

The server must hand out its artifacts itself (`mlflow server` does, unless told `--no-serve-artifacts`).
"""

import base64
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from serving.bundle import CONTRACT_FILE, MODEL_FILE, Bundle, BundleError, PassingError, open_bundle
from serving.versions.download import RefusedError, TooLargeError, fetch
from serving.versions.store import CHAMPION, VERSION, AwayError, MissingError, OpenedVersion, check_name

HEADER = re.compile(r"[\x21-\x7e]+")
BUNDLE_PATH = "artifacts/bundle"  # where training logs the two files below a model's location
PAGE = 1000  # models a question, the most that MLflow allows
UNAUTHORIZED = 401
SERVER_FAILED = 500  # HTTP's statuses from here on, and these, say nothing about what was asked
SAYS_NOTHING = (UNAUTHORIZED, 403, 407, 408, 429)
MISSING = (400, 404)  # of an alias, and of a model, that is not there
ANSWER_SECONDS, ANSWER_BYTES = 30.0, 64 * 2**20  # of an answer, or a contract
N_UNUSED = 3  # of a model's bundles that are kept beside those that serve
LEFT_SECONDS = 86_400.0  # after which what lies half fetched is nobody's: its process was killed
TOKEN, USERNAME, PASSWORD = (f"MLFLOW_TRACKING_{kind}" for kind in ("TOKEN", "USERNAME", "PASSWORD"))
CREDENTIALS = f"{USERNAME} and {PASSWORD}, or {TOKEN}, say who is asking"
MODEL_SECONDS, MODEL_BYTES = 600.0, 2 * 2**30  # of a model; a larger one ONNX cannot hold in one file


class RegistryStore:
    """`models:/<name>@<alias>` of an MLflow server.

    Bundles are kept in `<folder>/<name>/<version>-<hash of the contract>/`: a version that has been fetched before is
    not fetched again, and one of another registry is never mistaken for it.

    Args:
        address: of the server, `http://host:port`.
        folder: keeps what was fetched.
        authorization: sent with every question, as the header of that name; None: nobody asks for one.
    """

    def __init__(self, address: str, folder: Path, *, authorization: str | None = None) -> None:
        self._address = address.rstrip("/")
        self._folder = folder
        self._headers = {} if authorization is None else {"Authorization": authorization}

    def names(self) -> list[str]:
        models: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._ask("registered-models/search", max_results=PAGE, page_token=token)
            models += page.get("registered_models", [])
            token = page.get("next_page_token", "")
            if not token:
                break
        return sorted(
            model["name"] for model in models if CHAMPION in [alias["alias"] for alias in model.get("aliases", [])]
        )

    def find_version(self, name: str, alias: str = CHAMPION) -> str:
        check_name(name)
        version = self._look_up("registered-models/alias", "model_version", "version", name=name, alias=alias)
        if not VERSION.fullmatch(version):
            raise BundleError(f"{self._address}: {name} has the version {version[:20]!r}, which is no number.")
        return version

    def open_version(self, name: str, version: str) -> OpenedVersion:
        location = self._locate(name, version)
        contract = self._get(f"{location}/{CONTRACT_FILE}")
        folder = self._folder / name / f"{version}-{hashlib.sha256(contract).hexdigest()[:12]}"
        try:
            return OpenedVersion(name, version, open_bundle(folder))
        except BundleError:
            pass  # not fetched yet, or damaged since
        try:
            shutil.rmtree(folder, ignore_errors=True)
            return OpenedVersion(name, version, self._fetch(location, contract, folder))
        except OSError as error:
            raise PassingError(f"{folder}: cannot be written: {error.strerror}.") from error

    def open_kept(self, name: str, bundle: str) -> OpenedVersion:
        return OpenedVersion(name, bundle.partition("-")[0], open_bundle(self._folder / name / bundle))

    def tidy(self, name: str, needed: Collection[str]) -> None:
        folder = self._folder / name
        with suppress(OSError):  # another process tidies, too; what is left is removed next time
            unused = [path for path in folder.glob("[0-9]*-*") if path.name not in needed]
            for path in sorted(unused, key=_written)[:-N_UNUSED]:
                with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
                    path.rename(Path(temporary) / "bundle")  # nobody sees half of it
            for path in folder.glob(".*"):
                if time.time() - _written(path) > LEFT_SECONDS:
                    shutil.rmtree(path)

    def _locate(self, name: str, version: str) -> str:
        """The path of a version's bundle on the server."""
        uri = self._look_up("model-versions/get-download-uri", "artifact_uri", name=name, version=version)
        parts = urlsplit(uri)
        if parts.scheme == "models":
            model_id = parts.path.strip("/")
            uri = self._look_up(f"logged-models/{quote(model_id, safe='')}", "model", "info", "artifact_uri")
            parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise BundleError(
                f"{self._address}: version {version} of {name} lies at {uri}, which the server does not hand out. "
                "Register models through the server, and let it serve artifacts."
            )
        return f"api/2.0/mlflow-artifacts/artifacts/{quote(parts.path.strip('/'))}/{BUNDLE_PATH}"

    def _fetch(self, location: str, contract: bytes, folder: Path) -> Bundle:
        """Complete and checked before it gets its name: nobody ever sees half a bundle."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", ignore_cleanup_errors=True) as temporary:
            unfinished = Path(temporary) / "bundle"
            unfinished.mkdir()
            (unfinished / CONTRACT_FILE).write_bytes(contract)
            model = self._get(f"{location}/{MODEL_FILE}", most_seconds=MODEL_SECONDS, most_bytes=MODEL_BYTES)
            (unfinished / MODEL_FILE).write_bytes(model)
            bundle = open_bundle(unfinished)
            try:
                unfinished.rename(folder)
            except OSError:
                if not folder.exists():  # otherwise another process that shares the folder was faster
                    raise
        return replace(bundle, folder=folder)

    def _look_up(self, question: str, *keys: str, **parameters: str | int) -> str:
        """The text under these keys in the answer."""
        found: Any = self._ask(question, **parameters)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, str):
            raise BundleError(f"{self._address}: {question} is not answered as an MLflow server does.")
        return found

    def _ask(self, question: str, **parameters: str | int) -> dict[str, Any]:
        path = f"api/2.0/mlflow/{question}?{urlencode(parameters)}"
        try:
            answer = json.loads(self._get(path))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BundleError(f"{self._address}: {question} is not answered as an MLflow server does.")
        return answer

    def _get(self, path: str, *, most_seconds: float = ANSWER_SECONDS, most_bytes: int = ANSWER_BYTES) -> bytes:
        url = f"{self._address}/{path}"
        try:
            return fetch(url, headers=self._headers, most_seconds=most_seconds, most_bytes=most_bytes)
        except RefusedError as error:
            hint = f" ({CREDENTIALS})" if error.status == UNAUTHORIZED else ""
            raise _kind(error.status)(f"{url}: {error}{_mlflow_message(error.body)}{hint}") from error
        except (OSError, HTTPException) as error:  # URLError is an OSError
            raise AwayError(f"{url}: {getattr(error, 'reason', error)}") from error
        except TooLargeError as error:
            raise BundleError(f"{url}: it is too large, {error}.", reason=f"A file is too large, {error}.") from error


def read_authorization(environment: Mapping[str, str]) -> str | None:
    """What MLflow's own variables say, read as its client reads them: a user with a password goes before a token.

    Raises:
        ValueError: no header can hold it.
    """
    username, password, token = (environment.get(variable, "") for variable in (USERNAME, PASSWORD, TOKEN))
    if username and password:
        return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    if not token:
        return None
    if not HEADER.fullmatch(token):
        raise ValueError(f"{TOKEN} holds a character that no header may have, such as the end of a line.")
    return f"Bearer {token}"


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _kind(status: int) -> type[BundleError]:
    if status >= SERVER_FAILED or status in SAYS_NOTHING:
        return AwayError
    return MissingError if status in MISSING else BundleError


def _mlflow_message(body: bytes) -> str:
    try:
        return f": {json.loads(body)['message']}"
    except (ValueError, KeyError, TypeError):
        return ""
