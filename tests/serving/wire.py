"""A wire between a server and what it asks, which can be cut: connections are then refused, or meet silence."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Wire:
    """Passes bytes on to an address, until it is cut.

    Args:
        target: `http://host:port` of the other end.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.target = (parts.hostname or "", parts.port or 0)
        self.is_cut = self.is_silent = False
        self.n_refused = 0
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire.pass_on(self.request)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def cut(self, *, silently: bool) -> None:
        self.is_cut, self.is_silent = True, silently

    def mend(self) -> None:
        self.is_cut = self.is_silent = False

    def pass_on(self, near: socket.socket) -> None:
        while self.is_cut and self.is_silent:  # accepts, and says nothing
            time.sleep(0.05)
        if self.is_cut:
            self.n_refused += 1
            return
        with suppress(OSError), socket.create_connection(self.target) as far:
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()


@contextmanager
def wire_to(target: str) -> Iterator[Wire]:
    """A wire to an address, for the length of the block."""
    wire = Wire(target)
    with wire.server:
        threading.Thread(target=wire.server.serve_forever, daemon=True).start()
        yield wire
        wire.server.shutdown()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65_536):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
