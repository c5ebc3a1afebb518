"""Who may ask what: API keys, roles, browsers, other origins, and the headers of every answer."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from serving.app import create_app
from serving.background import BackgroundThreads
from serving.http.auth import HEALTH_PATHS
from serving.http.security_headers import DEFAULTS
from serving.keys import KeyFile, add_key
from serving.monitoring.counters import Counters
from serving.settings import Settings
from serving.versions.answer_monitor import AnswerMonitor
from serving.worker import load_champions
from tests.serving.asking import app_of, ask
from tests.serving.bundles import SALES_ROW, publish_sales

GUARDED = ("/models", "/models/ice%20cream", "/openapi.json", "/metrics", "/nothing", "/live/", "http://server//live")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "keys.json"
    return {role: add_key(path, name=f"the-{role}", role=role) for role in ("reader", "admin")}


@pytest.fixture
def app(tmp_path: Path, keys: dict[str, str]) -> ASGIApp:
    publish_sales(tmp_path / "bundles")
    settings, counters = Settings(bundles=tmp_path / "bundles"), Counters()
    champions = load_champions(settings, counters)
    background = BackgroundThreads(champions, AnswerMonitor(champions, None, counters), counters, poll_seconds=60)
    return create_app(champions, settings, keys=KeyFile(tmp_path / "keys.json"), background=background)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{key}".encode()).decode()}


def test_only_health_is_told_without_a_key(app: ASGIApp):
    for path in HEALTH_PATHS:
        answer = ask(app, "GET", path)
        assert answer.status_code == 200, path
        assert "ice cream" not in answer.text, path
    assert ask(app, "GET", "/ready").json() == {"status": "ready"}
    for path in GUARDED:
        answer = ask(app, "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "ice cream" not in answer.text
    assert ask(app, "POST", "/predict", json={"rows": [SALES_ROW]}).status_code == 401


def test_every_key_may_predict(app: ASGIApp, keys: dict[str, str]):
    for key in keys.values():
        for header in (bearer(key), {"Authorization": f"bearer  {key} "}, basic(key)):
            assert ask(app, "POST", "/predict", json={"rows": [SALES_ROW]}, headers=header).status_code == 200


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic ???", "Basic /w==", "Digest x", "swk_", "Bearer é", "Basic"],
)
def test_what_is_no_key_is_refused(app: ASGIApp, keys: dict[str, str], sent: str):
    header = {"Authorization": sent.encode("utf-8")}
    assert ask(app, "GET", "/models", headers=header).status_code == 401
    assert ask(app, "GET", "/models", headers={"Authorization": keys["reader"]}).status_code == 401


@pytest.mark.parametrize("path", ["/models/ice%20cream/reload", "/models/ice%20cream/reload%0A"])
def test_reloading_needs_an_admins_key_that_no_browser_sends_on_its_own(app: ASGIApp, keys: dict[str, str], path: str):
    for header in (bearer(keys["reader"]), basic(keys["reader"]), basic(keys["admin"])):
        answer = ask(app, "POST", path, headers=header)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert ask(app, "POST", path, headers=bearer(keys["admin"])).status_code == 200


def test_a_browser_is_asked_for_a_password(app: ASGIApp):
    answer = ask(app, "GET", "/openapi.json", headers={"Accept": "text/html,*/*"})
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_every_answer_has_the_headers_that_browsers_obey(app: ASGIApp, keys: dict[str, str], tmp_path: Path):
    own = load_champions(Settings(bundles=tmp_path / "bundles"))["ice cream"]
    broken = create_app({"ice cream": replace(own, predictor=object())}, Settings())
    answers = [
        ask(app, "GET", "/live"),
        ask(app, "GET", "/models"),
        ask(app, "GET", "/nothing", headers=bearer(keys["reader"])),
        ask(app, "POST", "/predict", json={"rows": [SALES_ROW]}, headers=bearer(keys["reader"])),
        ask(broken, "POST", "/predict", json={"rows": [SALES_ROW]}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 200, 500]
    for answer in answers:
        for name, value in DEFAULTS.items():
            assert answer.headers.get_list(name.decode()) == [value.decode()]


def test_no_other_origin_may_read_answers_unless_it_is_named(tmp_path: Path):
    publish_sales(tmp_path)
    asked = {"Origin": "https://one.example", "Access-Control-Request-Method": "POST"}
    closed = ask(app_of(tmp_path), "OPTIONS", "/predict", headers=asked)
    assert closed.status_code == 405
    assert "Access-Control-Allow-Origin" not in closed.headers
    opened = app_of(tmp_path, cors_origins=("https://one.example",))
    assert ask(opened, "OPTIONS", "/predict", headers=asked).headers["Access-Control-Allow-Origin"] == asked["Origin"]
    answer = ask(opened, "POST", "/predict", json={"rows": [SALES_ROW]}, headers={"Origin": "https://one.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://one.example"
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"Retry-After", "X-Model-Version", "X-Request-ID"}
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    other = ask(opened, "POST", "/predict", json={"rows": [SALES_ROW]}, headers={"Origin": "https://two.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
