"""Mixed precision: every step computes with the weights that the step before it left."""

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision

from pipelines.training import MemberResult, batches, fit
from tests.tables import custom, small_table, trial


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_bare_parameter_is_read_anew_in_every_step(monkeypatch: pytest.MonkeyPatch, n_members: int) -> None:
    """Torch keeps the copy that a net multiplies by for a context's length, and Lightning's is of many steps.

    Some releases of Lightning switch that off, others do not.
    """
    monkeypatch.setattr(
        MixedPrecision, "autocast_context_manager", lambda _: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    prepared, task = small_table("multiclass", n_rows=120)

    def train() -> list[MemberResult]:
        trials = [
            trial(model=custom("Bare"), seed=seed, precision="bf16-mixed", max_epochs=2) for seed in range(n_members)
        ]
        return fit(trials, prepared, task)

    many_steps_a_context = train()
    monkeypatch.setattr(batches, "BATCHES_AT_ONCE", 1)
    for member, expected in zip(many_steps_a_context, train(), strict=True):
        assert member.curves == expected.curves
