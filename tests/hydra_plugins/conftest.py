"""The plugins are tested with a stand-in for `pipelines.sweep`, in a folder of their own."""

import sys

import pytest

from tests.hydra_plugins.fake_sweep import FakeModule


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """What the plugins hand trials to; it scores each by its learning rate, None from 1 on."""
    module = FakeModule()
    monkeypatch.setitem(sys.modules, "pipelines.sweep", module)
    monkeypatch.chdir(tmp_path)
    return module
