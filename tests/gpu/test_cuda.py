"""What holds on a CUDA device; needs torch, Lightning and what reads a configuration, no tracking and no search.

`python -m pytest tests/gpu` where there is one; elsewhere every test is skipped and says so.
"""

import dataclasses
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.config.schema import EarlyStoppingConfig
from pipelines.engines.job import StackJob
from pipelines.engines.local import ThisProcess
from pipelines.engines.processes import WorkerProcesses
from pipelines.engines.run_job import run_job
from pipelines.stack.randomness import Streams
from pipelines.sweeps.plan import memory_budget_bytes, plan_stacks
from pipelines.training import fit
from pipelines.training.batches import Batches, StreamBatches, fold_places, to_device
from pipelines.training.folds import MemberFolds
from pipelines.training.module import StackModule
from pipelines.training.step_graph import CUDAGraph
from tests.tables import linear, mlp, optimizers, small_table, trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; torch sees none here"),
]
KINDS: list[Any] = ["regression", "binary", "multiclass"]


def on_cuda(trials):
    return [dataclasses.replace(own, trainer=dataclasses.replace(own.trainer, accelerator="cuda")) for own in trials]


def every_optimizer(**changes):
    regularised = optimizers(l1=1e-3, l2=1e-2, weight_decay=0.1)
    return [trial(optimizer=own, **changes) for own in (*optimizers().values(), *regularised.values())]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_no_step_waits_for_the_device(monkeypatch, kind, n_seeds):
    """From the second step of the second epoch to its last: batches, forward, backward and the optimizer."""
    watched = 0
    train = StackModule.training_step

    def watch(module, batches, index):
        nonlocal watched
        train(module, Batches(batches._make, batches._starts[:1]), index)
        if module.current_epoch == 1:
            torch.cuda.set_sync_debug_mode("error")
            watched += 1
        train(module, Batches(batches._make, batches._starts[1:]), index)
        torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(StackModule, "training_step", watch)
    prepared, task = small_table(kind, n_rows=4000)  # 500 batches in two epochs: the schedule is looked up twice
    trials = [
        dataclasses.replace(own, seed=place % n_seeds)
        for place, own in enumerate(every_optimizer(model=mlp(dropout=0.2), max_epochs=2, precision="32-true"))
    ]
    try:
        fit(on_cuda(trials), prepared, task)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watched >= 6  # times 32 steps


@pytest.mark.parametrize("kind", KINDS)
def test_float64_gives_the_numbers_of_the_cpu(kind):
    prepared, task = small_table(kind)
    trials = [dataclasses.replace(own, seed=place % 3) for place, own in enumerate(every_optimizer())]
    for member, other in zip(fit(on_cuda(trials), prepared, task), fit(trials, prepared, task), strict=True):
        assert (member.failure, member.best_epoch) == (other.failure, other.best_epoch)
        for name, weight in other.weights.items():
            torch.testing.assert_close(member.weights[name], weight, rtol=1e-7, atol=1e-9)


def test_members_that_stop_early_leave_the_device_as_they_leave_the_cpu():
    prepared, task = small_table()
    adam = optimizers()["adam"]
    trials = [
        trial(
            optimizer=dataclasses.replace(adam, lr=lr),
            stopping=EarlyStoppingConfig(kind="early", patience=2, min_delta=0.0),
            max_epochs=epochs,
        )
        for lr, epochs in [(0.3, 30), (0.01, 3), (0.1, 12), (0.03, 1), (0.02, 20)]
    ]
    ends = [member.epochs for member in fit(on_cuda(trials), prepared, task)]
    assert ends == [member.epochs for member in fit(trials, prepared, task)]
    assert len(set(ends)) >= 3


def test_two_runs_give_the_same_bits():
    prepared, task = small_table("binary")
    trials = on_cuda([trial(seed=seed, model=mlp(dropout=0.4), precision="32-true") for seed in (0, 1)])
    for one, other in zip(fit(trials, prepared, task), fit(trials, prepared, task), strict=True):
        assert one.curves == other.curves
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_trial_alone_equals_itself_in_a_stack_with_dropout():
    prepared, task = small_table("multiclass")
    trials = on_cuda([trial(seed=seed % 2, model=mlp(dropout=rate)) for seed, rate in enumerate((0.0, 0.3, 0.3, 0.5))])
    for own, member in zip(trials, fit(trials, prepared, task), strict=True):
        (alone,) = fit([own], prepared, task)
        for name, weight in alone.weights.items():
            torch.testing.assert_close(member.weights[name], weight, rtol=0, atol=1e-9)


def test_the_order_of_an_epoch_is_that_of_the_cpu():
    prepared, task = small_table()

    def targets(device: str) -> list[torch.Tensor]:
        where = torch.device(device)
        rows = to_device(prepared.train, task=task, dtype=torch.float64, device=where)
        batches = StreamBatches(
            rows,
            fold_places(prepared, device=where),
            folds=MemberFolds([0, 0], [False, False], task=task, dtype=torch.float64, device=where),
            streams=Streams([3, 5], device=where),
            batch_size=8,
        )
        return [batch.target.cpu() for some in batches for batch in some]

    assert all(torch.equal(ours, theirs) for ours, theirs in zip(targets("cuda"), targets("cpu"), strict=True))


def test_auto_means_the_gpu_and_mixed_precision_comes_close():
    prepared, task = small_table("regression", n_rows=400)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    errors = {}
    for precision in ("32-true", "bf16-mixed"):
        (member,) = fit([trial(accelerator="auto", precision=precision, max_epochs=30)], prepared, task)
        assert member.failure is None
        errors[precision] = member.metrics["rmse"]
    assert torch.cuda.max_memory_allocated() > before
    spread = float(np.std(prepared.validation.target))
    assert abs(errors["bf16-mixed"] - errors["32-true"]) < 0.1 * spread


@pytest.mark.parametrize("n_seeds", [1, 64])
def test_a_planned_stack_stays_within_its_figure(n_seeds):
    prepared, task = small_table("binary", n_rows=40_000)
    trials = on_cuda(
        [
            trial(seed=seed % n_seeds, model=mlp((128, 128), dropout=0.1), batch_size=256, precision="32-true")
            for seed in range(64)
        ]
    )
    budget_bytes = memory_budget_bytes(trials[0].engine, ThisProcess())
    (stack,) = plan_stacks(trials, prepared, task, budget_bytes=budget_bytes).stacks
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run_job(StackJob(0, trials), prepared, task)
    grown = torch.cuda.max_memory_allocated() - before
    assert grown <= stack.memory_bytes <= 2 * grown


def test_a_budget_that_binds_divides_a_stack_and_every_part_keeps_it():
    prepared, task = small_table(n_rows=2000)
    trials = on_cuda([trial(model=mlp((64, 64)), batch_size=256, precision="32-true")] * 40)
    (whole,) = plan_stacks(trials, prepared, task, budget_bytes=10**10).stacks
    for stack in plan_stacks(trials, prepared, task, budget_bytes=whole.memory_bytes * 2 // 3).stacks:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run_job(StackJob(0, [trials[index] for index in stack.trials]), prepared, task)
        assert torch.cuda.max_memory_allocated() - before <= whole.memory_bytes * 2 // 3


@pytest.mark.slow
def test_two_processes_on_a_gpu_give_the_numbers_of_this_process():
    prepared, task = small_table()
    models = [mlp((6, 5), dropout=0.2), mlp((4,)), linear()]
    jobs = [StackJob(number, on_cuda([trial(model=model, seed=0)])) for number, model in enumerate(models)]
    here = {done.number: done.state.results[0] for done in ThisProcess().run(jobs, prepared, task)}
    with closing(WorkerProcesses(["cuda:0"] * 2)) as engine:
        there = {done.number: done.state.results[0] for done in engine.run(jobs, prepared, task)}
    assert here.keys() == there.keys()
    for number, member in here.items():
        assert member.curves == there[number].curves
        assert all(torch.equal(member.weights[name], there[number].weights[name]) for name in member.weights)


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_of_a_stack_are_a_graph_which_changes_no_bit(monkeypatch, kind):
    prepared, task = small_table(kind, n_rows=400)
    trials = on_cuda([trial(seed=seed % 2, model=mlp(dropout=0.3), precision="32-true") for seed in range(8)])
    n_replayed = 0
    replay = CUDAGraph.replay

    def watch(graph):
        nonlocal n_replayed
        n_replayed += 1
        replay(graph)

    monkeypatch.setattr(CUDAGraph, "replay", watch)
    graphed = fit(trials, prepared, task)
    assert n_replayed > 20
    monkeypatch.setattr("pipelines.training.module.has_graphs", lambda _: False)
    for one, other in zip(graphed, fit(trials, prepared, task), strict=True):
        assert one.curves == other.curves
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
