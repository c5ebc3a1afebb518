"""A line of the log is JSON, whatever is in it, and none is lost."""

import json
import logging
from pathlib import Path

import pytest

from serving.monitoring.logs import JsonFormatter


def line_of(message: object, *, fields: dict[str, object] | None = None) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": message, "levelname": "ERROR", "name": "mine", "fields": fields or {}})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    line.encode()
    parsed: dict[str, object] = json.loads(line)
    return parsed


@pytest.mark.parametrize("name", ["f\udcfcr", "\ud800", "a\nb", 'a"b', "é", "\x00"])
def test_a_path_that_is_no_utf8_loses_no_line(name: str):
    shown = name.encode("utf-8", "backslashreplace").decode()
    line = line_of(f"{name} is gone", fields={"path": name, "file": Path("x"), name: 1, "rows": 3})
    assert line["message"] == f"{shown} is gone"
    assert line["path"] == shown
    assert line["file"] == "x"
    assert line[shown] == 1
    assert line["rows"] == 3
    assert line["level"] == "error"
