"""How number columns become pixels and steps, and what is said where they cannot."""

import numpy as np
import pytest
import torch

from pipelines.config.schema import ModelConfig
from pipelines.errors import UserError
from pipelines.models import InputFacts, build_net
from pipelines.models.cnn import grid_of
from pipelines.stack.randomness import DropoutNoise, Streams
from tests.tables import cnn, gru


def facts(n_numbers: int) -> InputFacts:
    return InputFacts(n_numbers, (), np.zeros((4, n_numbers), dtype=np.float32))


@pytest.mark.parametrize(
    ("model", "n_numbers", "told"),
    [
        (cnn(grid=None), 65, "65 of them are no square. Say model.grid=[rows,columns]"),
        (cnn(grid=None), 0, "0 of them are no square"),
        (cnn(grid=(8, 8)), 63, "model.grid = [8, 8] holds 64 pixels, and the table gives 63 number features"),
        (gru(steps=4), 10, "10 of them do not make 4 steps"),
    ],
)
def test_numbers_that_do_not_fit_are_told_with_what_to_do(model: ModelConfig, n_numbers: int, told: str) -> None:
    with pytest.raises(UserError) as raised:
        build_net([model], inputs=facts(n_numbers), n_outputs=1)
    assert told in str(raised.value)
    assert "data.drop=[...], or use model=mlp" in str(raised.value)


def test_a_table_without_numbers_has_no_steps() -> None:
    with pytest.raises(UserError) as raised:
        build_net([gru()], inputs=facts(0), n_outputs=1)
    assert str(raised.value) == (
        "model=gru reads number features as the steps of a sequence, and this table has none. Use model=mlp."
    )


def test_a_grid_is_a_square_unless_it_is_given() -> None:
    assert grid_of(None, n_numbers=64) == (8, 8)
    assert grid_of((4, 16), n_numbers=64) == (4, 16)


def test_a_step_is_made_of_neighbouring_numbers_and_time_runs_with_the_columns() -> None:
    net = build_net([gru(steps=3, layers=1)], inputs=facts(6), n_outputs=1)
    seen = []
    (layer,) = net.get_submodule("recurrent").children()
    layer.register_forward_hook(lambda module, inputs, outputs: seen.append(inputs[0]))
    net(torch.arange(6.0)[None, None], torch.zeros(1, 1, 0, dtype=torch.int64))
    assert seen[0].tolist() == [[[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]]]


def test_behind_the_last_layer_only_the_state_that_is_read_is_dropped() -> None:
    n_rows, n_steps, width = 4, 3, 4
    net = build_net([gru(dropout=0.5, layers=2)], inputs=facts(n_steps), n_outputs=1)
    first, last = net.get_submodule("recurrent").children()
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter, -1, 1, generator=torch.Generator().manual_seed(parameter.numel()))

    def noise() -> DropoutNoise:
        begun = DropoutNoise(Streams([0], device=torch.device("cpu")), dtype=torch.float32)
        begun.start_epoch(0)
        return begun

    def dropped(x: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        return x * (uniform.view(x.shape) >= 0.5) / 0.5

    numbers, drawn = torch.rand(1, n_rows, n_steps), noise()
    states = dropped(first(numbers[..., None]), drawn.uniform(n_rows, n_steps * width))
    expected = net.get_submodule("output")(dropped(last(states)[:, :, -1], drawn.uniform(n_rows, width)))
    torch.testing.assert_close(net(numbers, torch.zeros(1, n_rows, 0, dtype=torch.int64), noise()), expected)
