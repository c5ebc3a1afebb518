"""Two commands at once for one model, in a folder where there is nothing yet: neither loses what it has trained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.mlflow.readers import client_of

pytestmark = pytest.mark.slow

N_COMMANDS = 3


def test_each_registers_a_version_and_the_best_of_them_is_the_champion(tmp_path: Path) -> None:
    fixed = ["data=iris", "model=linear", "trainer.max_epochs=20"]
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "pipelines.train", *fixed, f"seed={seed}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(N_COMMANDS)
    ]
    ended = [process.communicate(timeout=600) for process in commands]
    assert [(process.returncode, errors) for process, (_, errors) in zip(commands, ended, strict=True)] == [
        (0, "")
    ] * N_COMMANDS
    lines = [line for printed, _ in ended for line in printed.splitlines()]
    told = sorted(line.partition(".")[0] for line in lines if line.startswith("Registered as"))
    assert told == [f"Registered as iris, version {number}" for number in range(1, N_COMMANDS + 1)]

    bundles = tmp_path / "var" / "bundles" / "iris"
    contracts = {own.parent.name: json.loads(own.read_text()) for own in bundles.glob("*/contract.json")}
    registry = client_of(f"sqlite:///{tmp_path / 'var' / 'mlflow.db'}")
    for number, contract in contracts.items():
        members = contract["lineage"]["members"]
        assert [own["run_id"] for own in members] == [registry.get_model_version("iris", number).run_id]
    best = min(contracts, key=lambda number: contracts[number]["metrics"]["validation"]["log_loss"])
    assert (bundles / "champion").read_text() == f"{best}\n"
    assert str(registry.get_model_version_by_alias("iris", "champion").version) == best
