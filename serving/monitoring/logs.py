"""The server's log: one JSON object a line on standard error, with the id of the request that it is about."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from serving.request_context import current_request


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what a record's `fields` hold is shown beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = current_request()
        if context is not None:
            line["request_id"] = context.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except UnicodeEncodeError:  # a path may hold what is no UTF-8, which is no reason to lose the line
            return msgspec.json.encode({_escaped(name): _escaped(value) for name, value in line.items()}).decode()


def _escaped(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()


def log_as_json(level: str) -> None:
    """Let all loggers of this process, uvicorn's too, write to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
