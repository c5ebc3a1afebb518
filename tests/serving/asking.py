"""Asks an application as a client does, without a port; an error that the server would log is answered, not raised."""

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from serving.app import create_app
from serving.settings import Settings
from serving.worker import load_champions

JSON = {"Content-Type": "application/json"}


def app_of(bundles: Path, **changes: Any) -> ASGIApp:
    """The application that serves every champion of a folder."""
    settings = Settings(bundles=bundles, **changes)
    return create_app(load_champions(settings), settings)


def ask(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows of the same columns as a body."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
