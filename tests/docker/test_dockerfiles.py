"""Each role's image: small, not root, at the locked versions, and rebuilt only where something changed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
every_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def _instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) in order, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in joined]


def test_there_is_one_dockerfile_a_role():
    assert [path.name for path in DOCKERFILES] == ["mlflow.Dockerfile", "serve.Dockerfile", "train.Dockerfile"]


@every_dockerfile
def test_the_image_starts_from_a_version_of_python(path: Path):
    origins = [arguments.split()[0] for instruction, arguments in _instructions(path) if instruction == "FROM"]
    assert set(origins) - {"scratch"} == {"python:3.11-slim"}


@every_dockerfile
def test_the_image_runs_as_nobody_in_particular(path: Path):
    users = [arguments for instruction, arguments in _instructions(path) if instruction == "USER"]
    assert users == ["10001"]


@every_dockerfile
def test_packages_are_installed_at_the_locked_versions(path: Path):
    installations = [arguments for instruction, arguments in _instructions(path) if "pip install" in arguments]
    assert len(installations) == 1
    assert "--constraint requirements.lock" in installations[0]


@every_dockerfile
def test_what_is_copied_into_the_image_exists_and_is_sent_to_the_builder(path: Path):
    sent = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [
        source.rstrip("/")
        for instruction, arguments in _instructions(path)
        if instruction == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert source in sent


@every_dockerfile
def test_code_is_copied_after_the_packages_so_that_a_change_of_code_installs_nothing(path: Path):
    instructions = _instructions(path)
    installed = next(place for place, (_, arguments) in enumerate(instructions) if "pip install" in arguments)
    code = [place for place, (name, arguments) in enumerate(instructions) if name == "COPY" and "/ " in arguments]
    assert all(place > installed for place in code)


def test_the_serving_image_carries_nothing_of_training():
    text = (ROOT / "docker" / "serve.Dockerfile").read_text()
    assert "ARG EXTRAS=serve,score,traces\n" in text
    assert '".[$EXTRAS]"' in text
    assert "COPY pipelines" not in text
    assert "COPY conf" not in text
