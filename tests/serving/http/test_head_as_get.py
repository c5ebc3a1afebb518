"""HEAD is answered wherever GET is, with the same headers and no body."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from serving.page.routes import FILES
from tests.serving.asking import app_of, ask
from tests.serving.bundles import publish_sales
from tests.serving.processes import SECONDS, running

NAME = "ice cream"
RESOURCES = [
    *FILES,
    *("/live", "/ready", "/models", f"/models/{NAME}", "/metrics", "/openapi.json"),
    *("/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/{NAME}", f"/v2/models/{NAME}/ready"),
    *("/ping", "/health", "/version"),
]
PREDICTIONS = ["/predict", f"/models/{NAME}/predict", "/invocations", f"/v2/models/{NAME}/infer"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> ASGIApp:
    root = tmp_path_factory.mktemp("bundles")
    publish_sales(root)
    return app_of(root, cors_origins=("https://one.example",))


@pytest.mark.parametrize("path", RESOURCES)
def test_head_is_answered_as_get(app: ASGIApp, path: str):
    get, head = (ask(app, method, path, headers={"X-Request-ID": "mine"}) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
    assert {**head.headers, "content-length": ""} == {**get.headers, "content-length": ""}
    assert ask(app, "DELETE", path).headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", PREDICTIONS)
def test_predictions_are_asked_for_by_post_alone(app: ASGIApp, path: str):
    answer = ask(app, "HEAD", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_head_is_in_no_description(app: ASGIApp):
    paths = ask(app, "GET", "/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"get", "post"}


def test_another_origin_may_ask_by_head(app: ASGIApp):
    asked = {"Origin": "https://one.example", "Access-Control-Request-Method": "HEAD"}
    assert ask(app, "OPTIONS", "/ready", headers=asked).status_code == 200


def test_a_real_server_sends_no_body_and_goes_on(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), SERVING_LOG_LEVEL="info") as server:
        with httpx.Client(base_url=server.address, timeout=SECONDS, verify=False) as client:
            page = client.get("/")
            for _ in range(3):
                answer = client.head("/")
                assert (answer.status_code, answer.content) == (200, b"")
                assert answer.headers["Content-Length"] == str(len(page.content))
            assert client.get("/").content == page.content
        raw = asyncio.run(_raw(server.address))
        assert server.stop() == 0
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.endswith(b"\r\n\r\n"), "a body would be taken for the next answer"
    assert raw.count(b"\r\n\r\n") == 1
    assert '"method":"HEAD"' in (tmp_path / "stderr.log").read_text()


async def _raw(address: str) -> bytes:
    host, port = address.removeprefix("http://").split(":")
    reading, writing = await asyncio.open_connection(host, int(port))
    writing.write(b"HEAD /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    raw = await reading.read()
    writing.close()
    await writing.wait_closed()
    return raw
