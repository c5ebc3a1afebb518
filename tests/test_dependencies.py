"""What is imported is declared, what is declared is locked, and the lock installs anywhere."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = {"pipelines", "serving", "hydra_plugins", "benchmarks", "tests"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
PEERS = ROOT / "benchmarks" / "serving" / "services"  # run in an environment of their own
PINS = dict(line.split()[0].split("==") for line in LOCK if not line.startswith("#"))


def _declared(extra: str) -> list[Requirement]:
    """The requirements of an extra and of the extras it names."""
    requirements = [Requirement(line) for line in EXTRAS[extra]]
    inner = [name for one in requirements if one.name == "sweepstack" for name in one.extras]
    return [one for one in requirements if one.name != "sweepstack"] + [
        one for name in inner for one in _declared(name)
    ]


def _imported(*rooms: str) -> set[str]:
    """The top-level modules imported anywhere in these rooms, save by peers, that are neither ours nor Python's."""
    return _imported_by(path for room in rooms for path in (ROOT / room).rglob("*.py") if path.parent != PEERS)


def _imported_by(paths: Iterable[Path]) -> set[str]:
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - OURS - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("extra", "rooms"),
    [
        ("score", ["serving"]),  # what the server needs, and what files need
        ("train", ["hydra_plugins"]),
        ("ray", ["pipelines"]),  # what training needs, and Ray
        ("dev", ["tests", "benchmarks"]),
    ],
)
def test_what_a_room_imports_is_declared_for_its_role(extra: str, rooms: list[str]):
    imported = _imported(*rooms)
    assert imported, "nothing is imported: is the room empty?"
    declared = {canonicalize_name(requirement.name) for requirement in _declared(extra)}
    providers = packages_distributions()
    undeclared = {
        name
        for name in imported
        if not declared & {canonicalize_name(provider) for provider in providers.get(name, [])}
    }
    assert undeclared == set()


def test_the_lock_is_one_that_pyproject_allows():
    requirements = _declared("dev")
    assert len(requirements) > 20
    for requirement in requirements:
        pinned = PINS.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is not in requirements.lock: run 'make lock'"
        assert requirement.specifier.contains(pinned, prereleases=True), (
            f"{requirement} but locked {pinned}: run 'make lock'"
        )


def test_the_lock_installs_anywhere():
    assert len(PINS) > 100
    for name, version in PINS.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}: {version} is a build of one place"
        assert not name.startswith(("nvidia-", "cuda-")), f"{name} is for machines with one kind of device"


def test_only_the_engine_of_a_cluster_needs_ray():
    places = [path for path in (ROOT / "pipelines").rglob("*.py") if re.search(r"import ray\b", path.read_text())]
    assert places == [ROOT / "pipelines" / "engines" / "ray.py"]


def test_the_server_starts_without_arrow():
    files = [
        "score.py",
        *("reading/arrow.py", "reading/arrow_columns.py"),
        *(f"batch/{path.name}" for path in (ROOT / "serving" / "batch").glob("*.py")),
    ]
    others = set((ROOT / "serving").rglob("*.py")) - {ROOT / "serving" / name for name in files}
    needs_arrow = re.compile(r"^(import|from) (pyarrow|serving\.(score|reading\.arrow|batch))", re.MULTILINE)
    assert [path for path in others if needs_arrow.search(path.read_text())] == []


def test_what_peers_import_is_pinned_for_their_environment_with_the_same_onnx_runtime():
    lines = (PEERS.parent / "peers.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    imported = _imported_by(PEERS.glob("*.py"))
    assert {"bentoml", "litserve", "mlserver"} < imported
    assert imported <= set(pins)
    assert pins["onnxruntime"] == PINS["onnxruntime"]
