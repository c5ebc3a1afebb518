"""A collector of OpenTelemetry traces: takes what an exporter sends over HTTP, and decodes it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.listening import listening


@dataclass(frozen=True)
class Span:
    """A span as it came; ids in hexadecimal."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    nanoseconds: tuple[int, int]
    service: str


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """Its address, and the list that spans come into."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            spans.extend(_decoded(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with listening(Handler) as address:
        yield address, spans


def _decoded(body: bytes) -> Iterator[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        (service,) = (own.value.string_value for own in resource.resource.attributes if own.key == "service.name")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    {own.key: getattr(own.value, own.value.WhichOneof("value")) for own in span.attributes},
                    (span.start_time_unix_nano, span.end_time_unix_nano),
                    service,
                )
