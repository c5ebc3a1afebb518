"""Every net, trained for a moment and exported: over HTTP it answers what its modules answer."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.config.schema import ModelConfig
from pipelines.export import ServedMember, publish_bundle, publish_champion, write_bundle
from pipelines.models import build_net, input_facts
from pipelines.training import fit
from tests.export.bundles import METRICS, ORIGIN
from tests.serving.asking import app_of, ask
from tests.tables import cnn, custom, gru, linear, mlp, resnet, small_table, trial

NETS: Mapping[str, Any] = {
    "linear": linear,
    "mlp": mlp,
    "resnet": partial(resnet, dropout=0.2),
    "resnet of embeddings": partial(resnet, numbers="periodic", categories="embedding"),
    "cnn": partial(cnn, dropout=0.2),
    "gru": partial(gru, dropout=0.2),
    "mlp of periodic numbers": partial(mlp, numbers="periodic"),
    "mlp of piecewise numbers": partial(mlp, numbers="piecewise"),
    "mlp of embedded categories": partial(mlp, categories="embedding"),
    "a user's perceptron": partial(custom, "Perceptron", width=4),
    "a user's, with tied, frozen and unused weights": partial(custom, "Normalised"),
    "a user's, with running statistics": partial(custom, "BatchNormalised"),
    "a user's, with dropout": partial(custom, "Dropping"),
    "a user's attention": partial(custom, "Attending"),
    "a user's LSTM, in stacks of one": partial(custom, "Recurrent"),
}


def trained(model: ModelConfig) -> list[ServedMember]:
    """Two members, of a quarter and of three quarters of the answer."""
    prepared, task = small_table("multiclass")
    results = [fit([trial(model=model, seed=seed, max_epochs=2)], prepared, task)[0] for seed in (0, 1)]
    return [
        ServedMember(model, task.loss, result.weights, share, f"run-{share}", f"trial {share}")
        for result, share in zip(results, (0.25, 0.75), strict=True)
    ]


@torch.no_grad()
def by_hand(members: list[ServedMember]) -> np.ndarray:
    """Each member's own net, alone, in the precision that it was trained in; then the average. [N, P]"""
    prepared, task = small_table("multiclass")
    features = prepared.test.features
    answer = torch.zeros(len(prepared.test.rows), task.n_predictions, dtype=torch.float64)
    for member in members:
        net = build_net([member.model], inputs=input_facts(prepared), n_outputs=task.n_outputs).double().eval()
        net.load_state_dict({name: weight[None] for name, weight in member.weights.items()})
        numbers, codes = torch.from_numpy(features.numbers).double(), torch.from_numpy(features.codes).long()
        answer += member.weight * task.link(net(numbers[None], codes[None]))[0]
    return answer.numpy()


@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
def test_over_http_a_net_answers_what_its_modules_answer(net: Any, tmp_path: Path) -> None:
    prepared, task = small_table("multiclass")
    members = trained(net())
    bundle = write_bundle(
        tmp_path / "bundle", prepared=prepared, task=task, members=members, metrics=METRICS, origin=ORIGIN
    )
    publish_bundle(bundle, root=tmp_path / "bundles", name="small", version=1)
    publish_champion(root=tmp_path / "bundles", name="small", version=1)

    rows = prepared.table.features[prepared.test.rows].to_dicts()
    answer = ask(app_of(tmp_path / "bundles"), "POST", "/models/small/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    answered = np.array([[own["probabilities"][label] for label in task.classes] for own in predictions])
    expected = by_hand(members)
    assert answered.std() > 1e-3, "a model that always says the same equals too much"
    np.testing.assert_allclose(answered, expected, rtol=1e-4, atol=1e-5)
