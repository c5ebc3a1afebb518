"""Whether the steps of a stack go through a recorded step changes no bit; here with a graph that does it all again.

What a CUDA graph adds is tested in tests/gpu.
"""

import dataclasses

import pytest
import torch

from pipelines.training import fit, module, step_graph
from tests.folds import folded_trial, in_folds, raw_table
from tests.tables import early, linear, mlp, optimizers, small_table, trial


class Again:
    """Records work, and does it again on the tensors that it was recorded on."""

    n_recorded = 0
    n_replayed = 0

    def record(self, work):
        self._work = work
        work()
        Again.n_recorded += 1

    def replay(self):
        self._work()
        Again.n_replayed += 1


class Scarce(Again):
    def record(self, work):
        work()
        raise RuntimeError("memory is scarce")


class Idle(Again):
    """Does in a replay nothing of what it did when it was recorded."""

    def replay(self):
        Again.n_replayed += 1


@pytest.fixture
def graphs_of(monkeypatch):
    def use(kind):
        Again.n_recorded = Again.n_replayed = 0
        monkeypatch.setattr(module, "has_graphs", lambda _: True)
        monkeypatch.setattr(step_graph, "new_graph", lambda _: kind())

    return use


def mixed_stack(**changes):
    return [
        trial(optimizer=own, seed=place % 3, **changes)
        for place, own in enumerate((*optimizers().values(), *optimizers(l2=1e-2, clip_norm=0.5).values()))
    ]


STACKS = {
    "dropout": mixed_stack(model=mlp(dropout=0.3), max_epochs=3),
    "one stream": [dataclasses.replace(own, seed=0) for own in mixed_stack(model=mlp(dropout=0.3), max_epochs=3)],
    "float32": mixed_stack(model=mlp(dropout=0.2), max_epochs=3, precision="32-true"),
    "mixed precision": mixed_stack(model=mlp(dropout=0.2), max_epochs=3, precision="bf16-mixed"),
    "linear": mixed_stack(model=linear(), max_epochs=3),
    "members that end": [
        trial(model=mlp(dropout=0.2), stopping=early(1), max_epochs=epochs) for epochs in (1, 2, 3, 9)
    ],
}


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_whose_steps_are_replayed_comes_out_to_the_bit(graphs_of, name):
    prepared, task = small_table("multiclass")
    plain = fit(STACKS[name], prepared, task)
    graphs_of(Again)
    replayed = fit(STACKS[name], prepared, task)
    assert Again.n_replayed > Again.n_recorded
    for one, other in zip(plain, replayed, strict=True):
        assert one.curves == other.curves
        assert all(torch.equal(one.weights[weight], other.weights[weight]) for weight in one.weights)


def test_a_stack_is_recorded_again_when_members_have_left_it(graphs_of):
    graphs_of(Again)
    fit(STACKS["members that end"], *small_table())
    assert Again.n_recorded >= 2


@pytest.mark.parametrize("kind", [Scarce, Idle])
def test_a_stack_that_cannot_be_recorded_takes_plain_steps(graphs_of, kind):
    prepared, task = small_table()
    plain = fit(STACKS["dropout"], prepared, task)
    graphs_of(kind)
    unrecorded = fit(STACKS["dropout"], prepared, task)
    assert Again.n_replayed <= 1
    assert [one.curves for one in plain] == [other.curves for other in unrecorded]


@pytest.mark.parametrize("n_rows", [60, 58], ids=["equal folds", "unequal folds"])
def test_folds_come_out_to_the_bit_too(graphs_of, n_rows):
    prepared, task = in_folds(raw_table("multiclass", n_rows=n_rows))
    trials = [folded_trial(model=mlp(dropout=0.2), seed=seed) for seed in range(2)]
    plain = fit(trials, prepared, task)
    graphs_of(Again)
    assert [one.curves for one in plain] == [other.curves for other in fit(trials, prepared, task)]
    assert Again.n_replayed > Again.n_recorded
