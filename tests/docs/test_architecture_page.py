"""docs/architecture.md names every module of the two halves."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# Packages whose name alone says what is in them.
NAMED_WHOLE = {"pipelines/config/schema", "pipelines/tracking/mlflow", "serving/batch"}


def test_every_module_is_named() -> None:
    modules = [
        path
        for half in ("pipelines", "serving")
        for path in sorted((ROOT / half).rglob("*.py"))
        if path.name != "__init__.py" and path.parent.relative_to(ROOT).as_posix() not in NAMED_WHOLE
    ]
    assert len(modules) > 100
    named = set(re.findall(r"\w+\.py\b", PAGE))
    assert [path.relative_to(ROOT).as_posix() for path in modules if path.name not in named] == []
