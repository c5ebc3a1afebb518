"""No request leaves Python garbage to look for: a look stops all other requests, and bodies are kept until then."""

import asyncio
import gc
import json
import socket
from pathlib import Path

import httpx
import pytest

from tests.serving.asking import app_of
from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.http.test_connection import serve_while
from tests.serving.http.test_hostile_wire import NATIVE, read_answer, whole

LARGE = b" " * 2**17  # is read in a thread
REQUESTS = {
    "answered": whole(NATIVE, body=json.dumps({"rows": [SALES_ROW]}).encode()),
    "no JSON": whole(NATIVE, body=b"{no"),
    "no JSON, large": whole(NATIVE, body=b"{no" + LARGE),
    "wrong cells": whole(NATIVE, body=json.dumps({"rows": [{}] * 200}).encode() + LARGE),
    "no path": whole("/nothing", body=b"{}"),
    "a body that is cut off": whole(NATIVE, body=LARGE)[:-10],
    "no HTTP": b"no HTTP\r\n\r\n",
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_leaves_no_garbage(tmp_path: Path, kind: str):
    publish_sales(tmp_path)

    def ask(url: httpx.URL) -> None:
        with socket.create_connection((url.host, url.port or 0)) as client:
            client.sendall(REQUESTS[kind])
            if kind != "a body that is cut off":
                read_answer(client)

    async def main(address: str) -> None:
        for _ in range(3):  # whatever is made once
            await asyncio.to_thread(ask, httpx.URL(address))
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        await asyncio.to_thread(ask, httpx.URL(address))

    try:
        serve_while(app_of(tmp_path), main)
        gc.collect()
        left = {type(thing).__name__ for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left.isdisjoint({"StrictConnection", "RequestResponseCycle", "RequestContext", "frame", "traceback"})
