"""The pages as files: all of them are served, to everybody, under a policy that lets nothing else in."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

import serving.page.routes
from serving.app import create_app
from serving.keys import KeyFile, add_key
from serving.page.routes import FILES, PAGES
from serving.settings import Settings
from serving.worker import load_champions
from tests.serving.asking import ask
from tests.serving.bundles import publish_patients

FOLDER = Path(serving.page.routes.__file__).parent
WRITTEN = sorted(path for path in FOLDER.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """A server that wants a key."""
    root = tmp_path_factory.mktemp("page")
    publish_patients(root / "bundles")
    add_key(root / "keys.json", name="somebody", role="reader")
    settings = Settings(bundles=root / "bundles")
    return create_app(load_champions(settings), settings, keys=KeyFile(root / "keys.json"))


def test_every_file_of_the_folder_is_served_and_nothing_else(guarded: FastAPI):
    assert sorted(FILES.values()) == [path.name for path in WRITTEN]
    for path in ("/page/routes.py", "/page/", "/page", "/page/../app.py", "/page/%2e%2e/app.py", "/page/try.html"):
        assert ask(guarded, "GET", path).status_code in (401, 404), path


@pytest.mark.parametrize("path", FILES)
def test_whoever_has_no_key_gets_the_files_and_the_policy_and_no_word_of_a_model(guarded: FastAPI, path: str):
    answer = ask(guarded, "GET", path)
    assert answer.status_code == 200
    assert answer.content == (FOLDER / FILES[path]).read_bytes()
    directives = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert directives["default-src"] == "'none'"
    assert {directives[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "patients" not in answer.text


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_no_file_names_another_place_or_carries_code_within_markup(path: Path):
    text = path.read_text(encoding="utf-8")
    names_of_standards = text.replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+|\bdata:|@import|\burl\(", names_of_standards) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
    if path.suffix == ".html":
        assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fetches_only_files_that_are_served(guarded: FastAPI, path: str):
    fetched = re.findall(r'(?:src|href)="(page/[^"]+)"', ask(guarded, "GET", path).text)
    assert fetched
    assert {f"/{own}" for own in fetched} <= FILES.keys()
