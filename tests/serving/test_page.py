"""The pages as a visitor uses them, in a headless browser against a server of its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.browser import Page, browsing, needs_chromium
from tests.serving.bundles import publish_patients, publish_sales
from tests.serving.processes import Running, running

pytestmark = needs_chromium
READY = "document.querySelector('#page')?.hidden === false && document.querySelector('#headline').textContent !== ''"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    publish_patients(folder / "bundles")
    publish_sales(folder / "bundles")
    with running(folder, SERVING_BUNDLES="bundles") as own:
        yield own


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browsing(tmp_path) as own:
        yield own
        assert own.troubles == []


def test_the_page_shows_a_model_and_asks_nobody_else(server: Running, page: Page):
    page.open(f"{server.address}/")
    page.wait(READY)
    assert page.run("document.querySelector('h1').textContent") == "ice cream"
    assert {str(httpx.URL(own).copy_with(path="/", fragment=None)) for own in page.asked} == {f"{server.address}/"}
