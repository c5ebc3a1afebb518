"""Every command in the README is typed, in the order in which it stands there."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import wait_for, wait_until_gone, write_houses

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# Tests cannot run inside themselves, and the demo has a test file of its own.
TYPED_ELSEWHERE = {"make test": "this very run", "make demo": "tests/end_to_end/test_demo.py"}
SERVERS = {
    "make ui": "http://127.0.0.1:5000/health",
    "make serve": "http://127.0.0.1:8000/ready",
    "SERVING_KEYS_FILE=var/keys.json python -m serving --host 0.0.0.0 --workers 2": "http://127.0.0.1:8000/ready",
}
FLOWERS = """\
sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm
5.1,3.5,1.4,0.2
6.7,3.0,5.2,2.3
"""


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@contextmanager
def running(command: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    # Its own process group: the shell or make starts the server as a child, and Ctrl-C reaches both.
    with subprocess.Popen(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, process_group=0
    ) as process:
        try:
            wait_for(SERVERS[command])
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
            # The shell is gone before the server is, which would answer for the next one on its port.
            wait_until_gone(SERVERS[command])


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    write_houses(tmp_path / "houses.csv")
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    (tmp_path / "my_net.py").write_text(README.partition("```python\n")[2].partition("```")[0])
    venv = Path(sys.executable).parents[1]
    environment = os.environ | {
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        # This environment is the installed one, whoever made it; any file may stand for its stamp.
        "MAKEFLAGS": f"-- VENV={venv} INSTALLED=houses.csv",
    }
    # Made targets run in the user's checkout; here, in a folder that looks like one.
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    typed = 0
    served: list[str] = []
    for command in commands():
        if command in TYPED_ELSEWHERE:
            continue
        if command in SERVERS:
            served.append(command)
            with running(command, tmp_path, environment):
                pass
        elif command.startswith("curl"):
            with running("make serve", tmp_path, environment):
                done = subprocess.run(
                    command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
            assert done.returncode == 0, command
            assert '"error"' not in done.stdout, done.stdout
            assert "iris" in done.stdout
        else:
            done = subprocess.run(
                command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
        typed += 1
    assert typed >= 9
    assert served == list(SERVERS)


def test_the_commands_typed_elsewhere_are_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "$(PY) -m pipelines.demo" in makefile
    assert set(TYPED_ELSEWHERE) <= set(commands())


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)`", README))
    assert len(named) >= 5
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_pictures_and_links_of_the_readme_are_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert len(links) >= 5
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_decision_and_its_options_are_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README, flags=re.MULTILINE))
    groups = [path for path in sorted((ROOT / "conf").iterdir()) if path.is_dir() and path.name != "hydra"]
    assert len(groups) > 10
    assert rows.keys() == {group.name for group in groups}
    for group in groups:
        named = re.findall(r"`(\w+)`", rows[group.name].partition(", with ")[0])
        assert sorted(named) == sorted(path.stem for path in group.glob("*.yaml")), group.name
