"""Champions from an MLflow server, over plain HTTP: three questions and two files, without MLflow's client."""

import json
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from serving.bundle import CONTRACT_FILE, MODEL_FILE, BundleError, open_bundle
from serving.store import Found

ALIAS = "champion"
TIMEOUT_SECONDS = 30.0
PROXIED = "mlflow-artifacts:"
BUNDLE_FOLDER = "artifacts/bundle"  # inside a logged model, where training puts the bundle


class RegistryStore:
    """`models:/<name>@champion` of a tracking server that proxies its artifacts.

    Args:
        address: of the server, http://host:port.
        cache: folder that fetched bundles are kept in, `<name>/<version>/`.
    """

    def __init__(self, address: str, *, cache: Path) -> None:
        self._address = address
        self._cache = cache

    def names(self) -> list[str]:
        """Registered models that have a champion.

        Raises:
            BundleError: the server does not answer.
        """
        models = self._ask("registered-models/search", max_results="1000").get("registered_models", [])
        return sorted(own["name"] for own in models if any(alias["alias"] == ALIAS for alias in own.get("aliases", [])))

    def open_champion(self, name: str) -> Found:
        """Fetch the champion's bundle, unless it is there already, and open it.

        Raises:
            BundleError: there is none, it cannot be fetched, or it must not be served.
        """
        version = str(self._ask("registered-models/alias", name=name, alias=ALIAS)["model_version"]["version"])
        folder = self._cache / urllib.parse.quote(name, safe="") / version
        if not folder.exists():
            self._fetch(self._location(name, version), folder)
        return Found(name, version, open_bundle(folder))

    def _location(self, name: str, version: str) -> str:
        """Path of a version's files below the server's artifact proxy."""
        uri = str(self._ask("model-versions/get-download-uri", name=name, version=version)["artifact_uri"])
        if uri.startswith("models:/"):
            uri = str(self._ask(f"logged-models/{uri.rpartition('/')[2]}")["model"]["info"]["artifact_uri"])
        if not uri.startswith(PROXIED):
            raise BundleError(
                f"{name} version {version} lies at {uri}: start the MLflow server with --serve-artifacts."
            )
        return urllib.parse.urlsplit(uri).path.strip("/")

    def _fetch(self, location: str, folder: Path) -> None:
        """Fetch both files to a temporary folder, check them there, and rename it."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            for file in (MODEL_FILE, CONTRACT_FILE):
                path = urllib.parse.quote(f"{location}/{BUNDLE_FOLDER}/{file}")
                (unfinished / file).write_bytes(self._get(f"api/2.0/mlflow-artifacts/artifacts/{path}"))
            open_bundle(unfinished)
            unfinished.replace(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _ask(self, route: str, **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._get(f"api/2.0/mlflow/{route}?{urllib.parse.urlencode(query)}"))
        return answer

    def _get(self, path: str) -> bytes:
        url = f"{self._address}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  settings allow http(s) alone
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace")
            raise BundleError(f"The registry at {self._address} answered {error.code}: {said}") from error
        except OSError as error:
            raise BundleError(
                f"The registry at {self._address} does not answer: {error}. Is SERVING_REGISTRY right?"
            ) from error
