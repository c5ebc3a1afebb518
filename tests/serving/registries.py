"""A registry that answers as MLflow's server does, from a folder of bundles, and may be made to misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

Send = Callable[[bytes], object]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Registry:
    """What it holds, and how it behaves.

    Args:
        root: `<root>/<name>/<version>/`, with the champion's number in the file `<root>/<name>/champion`.

    Attributes:
        asked: paths, in order.
        authorizations: headers that came with them.
        send_slowly: sends model files instead of sending them at once.
        moved_to: refers every question to this address.
        sends_head: the head of such an answer is sent as usual.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        self.send_slowly: Callable[[bytes, Send], None] | None = None
        self.moved_to = ""
        self.sends_head = True
        self.address = ""

    def answer(self, path: str, question: dict[str, list[str]]) -> bytes | None:
        if path.startswith(ARTIFACTS):
            file = self.root / unquote(path).removeprefix(ARTIFACTS).replace("/artifacts/bundle/", "/")
            return file.read_bytes() if file.is_file() else None
        method = path.removeprefix("/api/2.0/mlflow/")
        if method == "registered-models/search":
            champions = self.root.glob("[!.]*/champion")
            return told(registered_models=[{"name": p.parent.name, "aliases": [{"alias": p.name}]} for p in champions])
        name = question["name"][0]
        if method == "registered-models/alias":
            file = self.root / name / question["alias"][0]
            return told(model_version={"version": file.read_text().strip()}) if file.is_file() else None
        assert method == "model-versions/get-download-uri", path
        return told(artifact_uri=f"mlflow-artifacts:/{name}/{question['version'][0]}")


def told(**answer: object) -> bytes:
    return json.dumps(answer).encode()


@contextmanager
def registry_of(root: Path) -> Iterator[Registry]:
    """A registry, for the length of the block."""
    registry = Registry(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            registry.asked.append(parts.path)
            registry.authorizations.append(self.headers["Authorization"])
            if registry.moved_to:
                self.send_response(307)
                self.send_header("Location", registry.moved_to + self.path)
                self.end_headers()
                return
            content = registry.answer(parts.path, parse_qs(parts.query))
            send = registry.send_slowly if parts.path.endswith("/model.onnx") else None
            if send is None or registry.sends_head:
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
            with suppress(OSError):  # who asked may have had enough
                if send is not None:
                    send(content or b"", self.wfile.write)
                else:
                    self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        registry.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield registry
        server.shutdown()
