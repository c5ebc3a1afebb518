"""The plugins are tested with a stand-in for `pipelines.sweep`, in a folder of their own."""

import pytest

from tests.hydra_plugins.fake_sweep import stand_in_for_training


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """What the plugins hand trials to; it scores each by its learning rate, None from 1 on."""
    monkeypatch.chdir(tmp_path)
    return stand_in_for_training(monkeypatch)
