import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.serving.load import LoadError, ask_for, ask_once, latencies

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Scripted:
    """A server that answers every request alike, in two pieces, after a while."""

    def __init__(self, answer: bytes, *, seconds: float = 0.0) -> None:
        self.answer, self.seconds = answer, seconds
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                own, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(own,), daemon=True).start()

    def _serve(self, own: socket.socket) -> None:
        with own:
            try:
                while own.recv(10_000):
                    time.sleep(self.seconds)
                    for piece in (self.answer[:-3], self.answer[-3:]):
                        own.sendall(piece)
                        time.sleep(0.001)
            except OSError:
                return  # the client has gone

    def stop(self) -> None:
        self._listening.close()


def answer(body: bytes, *, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Iterator[Scripted]:
    server = Scripted(**request.param)
    yield server
    server.stop()


@pytest.mark.parametrize("scripted", [{"answer": answer(b"[0.25]")}], indirect=True)
def test_answers_that_come_in_pieces_are_whole(scripted: Scripted):
    assert ask_once(scripted.port, REQUEST) == (200, b"[0.25]")
    rate = ask_for(scripted.port, REQUEST, b"[0.25]", times=50, n_connections=4)
    assert rate.per_second > 0
    assert 0 <= rate.busy <= 1.5  # the clocks differ a little


@pytest.mark.parametrize(
    ("scripted", "said"),
    [
        ({"answer": answer(b"[0.75]")}, "0.75"),
        ({"answer": answer(b"more [0.25]")}, "more"),  # ends as it should
        ({"answer": answer(b"[0.25]", status=b"503 Service Unavailable")}, "503"),
        ({"answer": b"HTTP/1.1 200 OK\r\n\r\n[0.2]"}, "Content-Length"),
    ],
    indirect=["scripted"],
    ids=["another body", "a longer body", "another status", "no length"],
)
def test_a_wrong_answer_ends_the_measurement(scripted: Scripted, said: str):
    with pytest.raises(LoadError, match=said):
        ask_for(scripted.port, REQUEST, b"[0.25]", times=50, n_connections=2)
    with pytest.raises(LoadError, match=said):
        latencies(scripted.port, REQUEST, b"[0.25]", per_second=100, seconds=0.1, n_connections=2)


@pytest.mark.parametrize("scripted", [{"answer": answer(b"[0.25]"), "seconds": 0.05}], indirect=True)
def test_latency_counts_from_when_a_request_was_due(scripted: Scripted):
    waits = latencies(scripted.port, REQUEST, b"[0.25]", per_second=100, seconds=0.2, n_connections=1)
    assert len(waits) == 20
    # One connection answers 20 a second at most: whoever is due later waits for all before.
    assert waits.min() >= 0.05
    assert waits.max() > 10 * 0.05 - 0.2
    assert np.all(np.diff(waits) > 0)
