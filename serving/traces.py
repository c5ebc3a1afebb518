"""OpenTelemetry traces: FastAPI sends a span a request when an endpoint is set and the exporter is installed."""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "opentelemetry.exporter.otlp.proto.http"

logger = logging.getLogger("serving.traces")


def is_traced(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether traces are asked for and can be sent; says so when they cannot."""
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    try:
        is_there = find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # of a package above it
        is_there = False
    if not is_there:
        logger.warning("No traces are sent: install fastapi[opentelemetry]")
    return is_there


def telemetry(*, traced: bool) -> TelemetryConfig:
    """What `FastAPI(telemetry=...)` is told: a span a request and nothing else, or nothing at all.

    Without it FastAPI would look for a tracer at every request. Metrics and logs are our own.
    """
    return {
        "tracing": traced,
        "auto_configure": traced,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
    }
