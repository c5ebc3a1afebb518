"""OpenTelemetry traces: a span a request, by FastAPI, and within it one a run of a model, when an endpoint is set.

A caller's `traceparent` is continued. Spans are sent in the background, as the standard's variables `OTEL_*` say, over
HTTP (the extra `traces`).
"""

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

from serving.request_context import RequestContext

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
# What is not sent yet is sent at the end, and container engines kill after 10 s: its own 10 s would be too long.
PATIENCE = ("OTEL_EXPORTER_OTLP_TIMEOUT", "2")  # seconds
SERVICE = ("OTEL_SERVICE_NAME", "sweepstack")
REQUEST_ID = "request.id"
NO_SPAN: AbstractContextManager[object] = nullcontext()

logger = logging.getLogger("serving.traces")
_tracer = trace.get_tracer("sweepstack.serving")  # of nobody, until FastAPI has set an exporter up


def is_traced(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether traces are asked for and can be sent; says so when they cannot."""
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    try:
        is_there = find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # of a package above it
        is_there = False
    if not is_there:
        logger.warning("No traces are sent: no exporter is installed. In the checkout: pip install -e '.[traces]'")
    return is_there


def telemetry(*, traced: bool) -> TelemetryConfig:
    """What `FastAPI(telemetry=...)` is told: a span a request and nothing else, or nothing at all.

    Without it FastAPI would look for a tracer at every request. Metrics and logs are our own.
    """
    if traced:
        os.environ.setdefault(*PATIENCE)
        if not _has_service_name(os.environ):
            os.environ.update([SERVICE])
    return {
        "tracing": traced,
        "auto_configure": traced,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
    }


def model_run(context: RequestContext | None, *, n_rows: int) -> AbstractContextManager[object]:
    """A span of what is done inside, with the request's model, version and id; nothing where no request is traced."""
    if context is None or not trace.get_current_span().is_recording():
        return NO_SPAN
    attributes: Mapping[str, str | int] = {
        "model.name": context.model,
        "model.version": context.version,
        "model.rows": n_rows,
        REQUEST_ID: context.request_id,
    }
    return _tracer.start_as_current_span("model run", attributes=attributes)


def identify_request(request_id: str) -> None:
    """Give the span of a request its id, by which its answer and the log know it."""
    trace.get_current_span().set_attribute(REQUEST_ID, request_id)


def name_request(method: str, route: str) -> None:
    """Name the span of a request whose route FastAPI does not know, as FastAPI names the others."""
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)


def _has_service_name(environment: Mapping[str, str]) -> bool:
    attributes = environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    named = any(attribute.partition("=")[0].strip() == "service.name" for attribute in attributes)
    return named or bool(environment.get("OTEL_SERVICE_NAME"))
