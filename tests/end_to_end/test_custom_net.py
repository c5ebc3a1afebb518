"""A net of one's own, as the README says: written in a file, trained by a typed command, served over HTTP."""

from pathlib import Path

import pytest

from tests.commands import of_kind, runs, server, train

pytestmark = pytest.mark.slow

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, outputs, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, outputs)
        )

    def forward(self, x):
        return self.layers(x)
"""
ROW = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
SWEEP = (
    "-m",
    "data=iris",
    "model=custom",
    "model.target=my_net.Net",
    "+model.arguments.width=4,16",
    "optimizer.lr=0.01,0.1",
    "trainer.max_epochs=15",
)


def test_ones_own_net_is_swept_and_served(tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(NET)
    printed = train(tmp_path, *SWEEP)
    assert "Plan: 4 trials in 2 stacks" in printed
    assert "stacks of one" not in printed
    trials = of_kind(runs(tmp_path, "iris"), "trial")
    assert {own.info.run_name for own in trials} == {f"width={w} lr={lr}" for w in (4, 16) for lr in (0.01, 0.1)}
    assert {own.info.status for own in trials} == {"FINISHED"}

    with server(tmp_path) as served:
        answer = served.post("/predict", json={"rows": [ROW]})
        assert answer.status_code == 200, answer.text
        (predicted,) = answer.json()["predictions"]
        assert predicted["label"] == "setosa"
