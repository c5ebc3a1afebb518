"""The server keeps its own description: schemathesis makes requests from it, with every check on.

`make proofs` makes more than 5,000 of them.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving.keys import add_key
from tests.serving.answers.test_builder import calibration, publish_task, rows_of
from tests.serving.processes import environment, running
from tests.serving.proofs import IS_WHOLE, amount

LEAST_CASES = 5_000
HOOKS = "tests.serving.schemathesis_hooks"
# 413 is not among those that schemathesis takes for a refusal of invalid data; so many rows are, here.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 404, 405, 406, 413, 415, 422]
"""


@pytest.mark.slow
def test_the_server_keeps_its_description(tmp_path: Path):
    publish_task(tmp_path, "risk", calibration=calibration("risk"), background=tuple(rows_of("risk")))
    key = add_key(tmp_path / "keys.json", name="tester", role="admin")
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with running(tmp_path, "--bundles", str(tmp_path), SERVING_KEYS_FILE=str(tmp_path / "keys.json")) as server:
        command = ["-m", "schemathesis.cli", "run", f"{server.address}/openapi.json", "--checks", "all", "--no-color"]
        limits = ["--max-examples", str(amount(usual=25, whole=700)), "--generation-database", "none"]
        seed = [] if IS_WHOLE else ["--seed", "0"]  # the same requests every time, but where there are many
        ended = subprocess.run(
            [sys.executable, *command, *limits, *seed, "--header", f"Authorization: Bearer {key}"],
            cwd=tmp_path,
            env=environment(SCHEMATHESIS_HOOKS=HOOKS),
            capture_output=True,
            text=True,
            check=False,
        )
        assert server.stop() == 0
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    generated = re.search(r"([\d,]+) generated, [\d,]+ passed", ended.stdout)
    assert generated is not None, ended.stdout
    assert int(generated[1].replace(",", "")) >= (LEAST_CASES if IS_WHOLE else 300)
    assert "Internal Server Error" not in (tmp_path / "stderr.log").read_text()
