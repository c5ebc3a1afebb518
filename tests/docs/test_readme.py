"""Every command in the README is typed, in the order in which it stands there, and leaves what the README says."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from pipelines.data import prepare_table
from pipelines.data.builtin import ICE_CREAM_COEFFICIENTS
from serving.settings import Settings
from tests.commands import champion, runs, server, write_houses
from tests.data.asking import asked
from tests.serving.load import SECONDS, eventually
from tests.tracking.servers import free_port

pytestmark = pytest.mark.slow
MOST_SECONDS = 600  # that a command may take on a slow machine
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# Tests cannot run inside themselves, and the demo has a test file of its own.
TYPED_ELSEWHERE = {"make test": "this very run", "make demo": "tests/end_to_end/test_demo.py"}
# Commands that do not end by themselves: the variable by which each takes another port than the README's, which is
# somebody else's on this machine, maybe, and what is answered there as soon as it is ready.
SERVERS = {
    "make ui": ("UI_PORT", "/health"),
    "make serve": ("SERVING_PORT", "/ready"),
    "SERVING_KEYS_FILE=var/keys.json python -m serving --host 0.0.0.0 --workers 2": ("SERVING_PORT", "/ready"),
}
SERVED = "http://127.0.0.1:8000"  # as the README says
FLOWERS = """\
sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm
5.1,3.5,1.4,0.2
6.7,3.0,5.2,2.3
"""


@dataclass(frozen=True)
class Typed:
    """What the README's commands left, typed in one folder.

    Attributes:
        folder: the folder.
        printed: a command that ends by itself -> what it printed.
        served: the commands that do not, in order.
    """

    folder: Path
    printed: dict[str, str]
    served: list[str]


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@contextmanager
def running(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """A server, until the block ends; its address."""
    variable, path = SERVERS[command]
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    # Its own process group: the shell or make starts the server as a child, and Ctrl-C reaches both.
    with subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        env=environment | {variable: str(port)},
        stdout=subprocess.DEVNULL,
        process_group=0,
    ) as process:
        try:
            eventually(lambda: process.poll() is not None or answers(f"{address}{path}"))
            assert process.poll() is None, "the server ended by itself"
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(SECONDS)
            eventually(lambda: not is_listening(port))  # the shell is gone before the server is


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=SECONDS, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
    except OSError:
        return False
    return True


def type_in(folder: Path, command: str | list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    folder = tmp_path_factory.mktemp("readme")
    write_houses(folder / "houses.csv")
    (folder / "flowers.csv").write_text(FLOWERS)
    (folder / "my_net.py").write_text(README.partition("```python\n")[2].partition("```")[0])
    venv = Path(sys.executable).parents[1]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        # This environment is the installed one, whoever made it; any file may stand for its stamp.
        "MAKEFLAGS": f"-- VENV={venv} INSTALLED=houses.csv",
    }
    # Made targets run in the user's checkout; here, in a folder that looks like one.
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    typed, address = Typed(folder, {}, []), ""
    with ExitStack() as serving:  # the server started last, for those who ask it
        for command in commands():
            if command in TYPED_ELSEWHERE:
                continue
            if command.startswith("curl"):
                assert SERVED in command
                typed.printed[command] = type_in(folder, command.replace(SERVED, address), environment)
                continue
            serving.close()
            if command in SERVERS:
                typed.served.append(command)
                address = serving.enter_context(running(command, folder, environment))
            else:
                typed.printed[command] = type_in(folder, command.split(), environment)
    return typed


def test_every_command_of_the_readme_works(typed: Typed) -> None:
    assert len(typed.printed) >= 9
    assert typed.served == list(SERVERS)
    answers = [printed for command, printed in typed.printed.items() if command.startswith("curl")]
    assert answers
    for answer in answers:
        assert '"error"' not in answer
        assert "iris" in answer


def test_the_linear_model_finds_the_ice_cream_coefficients(typed: Typed) -> None:
    (table,) = typed.folder.glob("var/artifacts/ice_cream/*/artifacts/coefficients.json")
    found = {feature: value for _, feature, value in json.loads(table.read_text())["data"]}
    assert found.keys() == ICE_CREAM_COEFFICIENTS.keys()

    prepared = prepare_table(asked(source="ice_cream", target=None, calibration_fraction=0.3), "auto")
    rows = prepared.train.rows
    columns = [column.name for column in prepared.table.columns]
    squares = LinearRegression().fit(prepared.table.features[rows].to_numpy(), prepared.train.target)
    least_squares = dict(zip(["intercept", *columns], [squares.intercept_, *squares.coef_], strict=True))
    for name, truth in ICE_CREAM_COEFFICIENTS.items():
        assert found[name] == pytest.approx(truth, rel=0.02)
        assert found[name] == pytest.approx(least_squares[name], rel=0.01)


def test_ones_own_table_is_trained_and_served(typed: Typed) -> None:
    (printed,) = [printed for command, printed in typed.printed.items() if "data.path=houses.csv" in command]
    assert "houses: 300 rows, 5 columns (180 train, 42 validation, 18 calibration, 60 test)" in printed
    assert champion(runs(typed.folder, "houses")).data.metrics["test/r2"] > 0.9
    row = {"area": None, "rooms": 4, "town": "Berlin", "garden": True, "sold": "2021-05-01"}
    with server(typed.folder) as served:
        predict = "/models/houses/predict"
        answer = served.post(predict, json={"rows": [row, row | {"area": 150.5, "town": "Köln"}]})
        assert answer.status_code == 200, answer.text
        values = [own["value"] for own in answer.json()["predictions"]]
        assert np.isfinite(values).all()
        assert 100_000 < values[1] < 900_000
        refused = served.post(predict, json={"rows": [row | {"sold": None}]})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["path"] == ["rows", 0, "sold"]


def test_the_commands_typed_elsewhere_are_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "$(PY) -m pipelines.demo" in makefile
    assert set(TYPED_ELSEWHERE) <= set(commands())


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)`", README))
    assert len(named) >= 5
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_servers_are_where_the_readme_says() -> None:
    assert f"http://{Settings().host}:{Settings().port}" == SERVED
    assert f"on {SERVED}." in README
    (port,) = re.findall(r"^UI_PORT \?= (\d+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert f"on http://127.0.0.1:{port}." in README


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
