"""Where a sweep ends by sending its user, who has a browser and is not in the network of the containers."""

from dataclasses import replace

import pytest

from tests.test_sweep import MemoryRecorders, run_sweep, trials


@pytest.mark.parametrize(
    ("environment", "address"),
    [({}, "http://mlflow:5000"), ({"SWEEPSTACK_UI": "https://runs.example.org/"}, "https://runs.example.org")],
    ids=["tracking.uri", "the environment"],
)
def test_the_comparison_is_where_a_browser_finds_the_server(tmp_path, monkeypatch, environment, address):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPSTACK_UI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (own,) = trials(0.1)
    told: list[str] = []
    server = replace(own.tracking, kind="server", uri="http://mlflow:5000")
    run_sweep([replace(own, tracking=server)], MemoryRecorders(), tell=told.append)
    assert f" Compare the runs: {address}/#/" in told[-1]
