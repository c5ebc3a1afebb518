"""A headless Chromium, spoken to over a pipe in its own protocol (DevTools): no driver, no port, no network."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SECONDS = 120.0  # a loaded machine may take its time; only what hangs takes so long
# What the browser would ask of others by itself.
QUIET = (
    "background-networking",
    "component-update",
    "sync",
    "default-apps",
    "extensions",
    "gpu",
    "quic",
    "dev-shm-usage",
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class NoAnswerError(Exception):
    """The browser could not do what it was told."""


class Browser:
    """Takes an order at a time; one for a tab names its session."""

    def __init__(self, send: Callable[[bytes], object], receive: Callable[[], bytes]) -> None:
        self._send, self._receive = send, receive
        self._number = 0

    def call(
        self,
        method: str,
        *,
        session: str | None = None,
        note: Callable[[dict[str, Any]], object] = lambda _: None,
        **parameters: Any,
    ) -> Any:
        """Do something, and answer what came of it; `note` is told what else happens meanwhile."""
        self._number += 1
        to = {} if session is None else {"sessionId": session}
        self._send(json.dumps({"id": self._number, "method": method, "params": parameters, **to}).encode() + b"\0")
        while (said := json.loads(self._receive())).get("id") != self._number:
            note(said)
        if "error" in said:
            raise NoAnswerError(said["error"])
        return said["result"]

    @contextmanager
    def tab(self) -> Iterator["Page"]:
        """A tab that shares nothing with those before it: no storage, no cookies, nothing that was fetched."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            yield Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Page:
    """What a tab shows.

    Attributes:
        troubles: what it wrote to its console as an error, or threw, or was refused by the page's policy.
        asked: address of every request it made, in order.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.troubles: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Do something, and answer what came of it."""
        return self._browser.call(method, session=self._session, note=self._note, **parameters)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> Any:
        """Until an expression is true; its value."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(NoAnswerError):  # while one page takes the place of another, there is none to ask
                if value := self.run(script):
                    return value
            time.sleep(0.02)
        raise AssertionError(f"never true: {script}\n{self.run('document.body.innerText')}\n{self.troubles}")

    def press(self, key: str, *, times: int = 1) -> None:
        text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", " ") else {}
        for _ in range(times):
            code = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
            self.call("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Into what has the focus, in place of what is there."""
        self.run("document.activeElement.select?.()")
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def picture(self, path: Path) -> None:
        """Of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, said: dict[str, Any]) -> None:
        if said.get("sessionId") != self._session:  # of a tab that was closed
            return
        method, told = said.get("method"), said.get("params", {})
        if method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.troubles.append(told["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.troubles.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.troubles.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser, for the length of the block."""
    assert CHROMIUM is not None
    to_browser, own_writing = os.pipe()
    own_reading, from_browser = os.pipe()
    options = ["--headless", "--no-sandbox", "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    quiet = [f"--disable-{feature}" for feature in QUIET]
    # The browser reads its orders from file 3 and answers into file 4.
    script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        ["bash", "-c", script, CHROMIUM, *options, *quiet],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    with process, os.fdopen(own_writing, "wb", buffering=0) as orders, os.fdopen(own_reading, "rb") as answers:
        try:
            yield Browser(orders.write, _messages(answers))
        finally:
            process.kill()


def _messages(answers: Any) -> Callable[[], bytes]:
    """Messages end with a zero byte."""
    rest = bytearray()

    def receive() -> bytes:
        while (end := rest.find(b"\0")) < 0:
            read = answers.read1(1 << 16)
            assert read, "the browser has ended"
            rest.extend(read)
        message = bytes(rest[:end])
        del rest[: end + 1]
        return message

    return receive
