"""Rules a linter has no name for."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("pipelines", "serving", "hydra_plugins", "benchmarks")
ROOMS = (*PRODUCT, "tests", "docs")
WORDS_FOR_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".json", ".lock", ".example", ".Dockerfile", ".html", ".css", ".js"}
TEXT_NAMES = {"Makefile", "LICENSE", "run", ".gitignore", ".dockerignore"}
# Written in patterns so that this file does not break its own rules.
REGISTRY = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|download\.pytorch\.org|npmjs\.org|docker\.io|ghcr\.io|quay\.io|gcr\.io|anaconda\.org)\b"
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|tmp|home|Users)/\w")
EXCUSE = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<codes>:?\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[\w\-, ]+\])?(?P<reason>.*)")


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _python_files(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def _written_files() -> list[Path]:
    """Every text file of the project, and not what a user may have laid beside them."""
    at_the_top = list(ROOT.iterdir())
    in_rooms = [path for room in (*ROOMS, "conf", "docker", ".ci") for path in (ROOT / room).rglob("*")]
    return sorted(
        path
        for path in (*at_the_top, *in_rooms)
        if path.is_file() and (path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES)
    )


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last one, without those of the docstring."""
    documented = ast.get_docstring(function) is not None
    docstring = function.body[0] if documented else None
    of_docstring = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - of_docstring


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def test_there_are_files_to_check():
    assert len(_python_files("pipelines")) > 50
    assert len(_python_files("serving")) > 5
    assert len(_python_files("tests")) > 20
    assert len(_written_files()) > 100


@pytest.mark.parametrize("path", _python_files(*PRODUCT), ids=_relative)
def test_files_and_functions_are_short(path: Path):
    assert path.read_text().count("\n") <= 400
    too_long = {function.name: _length(function) for function in _functions(path) if _length(function) > 50}
    assert too_long == {}, "functions of more than 50 lines without their docstring"


def test_every_file_is_named_for_what_is_in_it():
    named_for_nothing = [path for path in _python_files(*ROOMS) if WORDS_FOR_NOTHING & set(path.stem.split("_"))]
    assert [_relative(path) for path in named_for_nothing] == []


def test_hydra_finds_plugins_only_where_no_init_file_closes_the_namespace():
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()


def test_every_package_and_module_says_what_it_is_for():
    silent = [
        path
        for path in _python_files(*PRODUCT)
        if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert [_relative(path) for path in silent] == []


def test_every_silenced_check_has_its_reason_beside_it():
    unexplained = [
        f"{_relative(path)}:{line}: {comment}"
        for path in _python_files(*ROOMS)
        for line, comment in _comments(path)
        if (excuse := EXCUSE.search(comment)) and not (excuse["codes"] and re.search(r"[a-z]{2}", excuse["reason"]))
    ]
    assert unexplained == []


def test_shapes_are_checked_wherever_they_are_written():
    """Annotations that are strings at run time would switch the checking of shapes off, silently."""
    unchecked = [
        path
        for path in _python_files("pipelines")
        if "import annotations" in path.read_text() and "from jaxtyping" in path.read_text()
    ]
    assert [_relative(path) for path in unchecked] == []


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH], ids=["host of a registry", "path of one machine"])
def test_no_file_depends_on_one_place(pattern: re.Pattern[str]):
    found = [
        f"{_relative(path)}:{number}: {line.strip()}"
        for path in _written_files()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []
