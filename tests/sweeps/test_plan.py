"""Plans: which trials share a stack, how large it may grow, and that the figures are true."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, strategies as st

from pipelines.config.schema import LocalEngineConfig
from pipelines.engines.free_memory import free_memory
from pipelines.engines.local import ThisProcess
from pipelines.sweeps import plan
from pipelines.sweeps.plan import GIBIBYTE, Plan, PlannedStack, memory_budget_bytes, plan_stacks
from pipelines.training import Place, StackCost, Timing, probe, probe_stack, timing
from tests.tables import custom, linear, mlp, optimizers, small_table, trial

MODELS = [mlp((6, 5)), mlp((9,)), linear()]
PREPARED, TASK = small_table()


def planned(trials, *, budget_bytes=10**9, n_side_by_side=1) -> Plan:
    return plan_stacks(trials, PREPARED, TASK, budget_bytes=budget_bytes, n_side_by_side=n_side_by_side)


@given(
    models=st.lists(st.sampled_from(MODELS), min_size=1, max_size=40),
    budget_bytes=st.integers(1, 400_000),
    n_side_by_side=st.integers(1, 5),
)
def test_no_stack_exceeds_the_budget_and_every_trial_is_in_one(models, budget_bytes, n_side_by_side):
    trials = [trial(model=model) for model in models]
    stacks = planned(trials, budget_bytes=budget_bytes, n_side_by_side=n_side_by_side).stacks

    assert all(stack.memory_bytes <= budget_bytes or len(stack.trials) == 1 for stack in stacks)
    assert sorted(index for stack in stacks for index in stack.trials) == list(range(len(trials)))
    assert all(len({trials[index].model for index in stack.trials}) == 1 for stack in stacks)
    assert [stack.seconds for stack in stacks] == sorted((stack.seconds for stack in stacks), reverse=True)


costs = st.builds(
    StackCost,
    n_parameters=st.just(1),
    peaks=st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e8)), min_size=1, max_size=4).map(tuple),
    timings=st.just((Timing(1, 0.0, 0.0),)),
)


@example(cost=StackCost(1, ((0.0, 0.5),), (Timing(1, 0.0, 0.0),)), budget_bytes=1, n_members=2)
@given(cost=costs, budget_bytes=st.integers(1, 10**10), n_members=st.integers(1, 500))
def test_the_most_members_are_as_many_as_fit_and_no_more(cost, budget_bytes, n_members):
    most = cost.most_members(budget_bytes, n_members)
    assert 1 <= most <= n_members
    assert most == 1 or cost.memory_bytes(most) <= budget_bytes
    assert most == n_members or cost.memory_bytes(most + 2) > budget_bytes  # rounding may cost one


def test_all_trials_of_an_architecture_share_a_stack_while_memory_allows():
    trials = [
        trial(model=MODELS[place % 2], seed=place, optimizer=own) for place, own in enumerate(optimizers().values())
    ]
    assert sorted(stack.trials for stack in planned(trials).stacks) == [(0, 2, 4, 6), (1, 3, 5, 7)]


def test_a_group_that_is_too_large_is_divided_evenly():
    trials = [trial()] * 10
    (whole,) = planned(trials).stacks
    parts = planned(trials, budget_bytes=whole.memory_bytes - 1).stacks
    assert sorted(stack.trials for stack in parts) == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]


def test_a_large_group_is_divided_so_that_no_place_is_empty_and_a_small_one_is_not():
    sizes = [len(stack.trials) for stack in planned([trial()] * 34, n_side_by_side=4).stacks]
    assert sorted(sizes) == [8, 8, 9, 9]
    assert len(planned([trial()] * 15, n_side_by_side=4).stacks) == 1
    assert len(planned([trial(model=model) for model in MODELS[:2] for _ in range(20)], n_side_by_side=2).stacks) == 2


def test_the_stack_that_takes_longest_begins():
    trials = [*[trial(max_epochs=2, model=linear())] * 2, *[trial(max_epochs=50)] * 20]
    assert [len(stack.trials) for stack in planned(trials).stacks] == [20, 2]


def test_an_architecture_is_measured_once(monkeypatch):
    monkeypatch.setattr(plan, "_costs", {})
    probed = []
    cost = StackCost(n_parameters=7, peaks=((0.0, 1000.0),), timings=(Timing(1, 0.0, 1.5),))
    monkeypatch.setattr(plan, "probe_stack", lambda trials, *_, **__: probed.append(len(trials)) or cost)
    for lr in (0.1, 0.2):
        faster = dataclasses.replace(optimizers()["adam"], lr=lr)
        planned([trial(optimizer=faster)] * 5 + [trial(model=linear())])
    assert probed == [5, 1]
    for n_trials in (10, 11, 4):
        planned([trial()] * n_trials)
    assert probed == [5, 1, 11], "few tell little of the time of many"


def test_a_stack_is_measured_with_the_threads_that_it_will_train_with(monkeypatch):
    counted = set()
    train_stack = probe.train_stack

    def train(*arguments, **named):
        counted.add(torch.get_num_threads())
        return train_stack(*arguments, **named)

    monkeypatch.setattr(plan, "_costs", {})
    for measuring in (probe, timing):
        monkeypatch.setattr(measuring, "train_stack", train)
    before = torch.get_num_threads()
    for n_threads in (before, before + 1):
        plan_stacks([trial()] * 3, PREPARED, TASK, budget_bytes=10**9, place=Place(torch.device("cpu"), n_threads))
    assert counted == {before, before + 1}
    assert torch.get_num_threads() == before


def test_trials_whose_stack_costs_something_else_are_measured_anew(monkeypatch):
    monkeypatch.setattr(plan, "_costs", {})
    probed = []
    cost = StackCost(n_parameters=7, peaks=((0.0, 1000.0),), timings=(Timing(1, 0.0, 1.5),))
    monkeypatch.setattr(plan, "probe_stack", lambda trials, *_, **__: probed.append(trials) or cost)
    for rates in ([0.0] * 3, [0.2] * 3, [0.1, 0.2, 0.3], [0.0, 0.5, 0.4], [0.1] * 3):
        planned([trial(model=mlp(dropout=rate)) for rate in rates])
    assert [sorted({own.model.dropout for own in trials}) for trials in probed] == [[0.0], [0.2], [0.1, 0.2, 0.3]]


def test_trials_that_diverge_at_once_are_measured_as_far_as_they_come():
    """What is tried out before is a batch; a net may meet a row that it has no number for later on."""
    trials = [trial(model=custom("Logarithm", module="wrong_nets"), seed=seed) for seed in (0, 1)]
    cost = probe_stack(trials, PREPARED, TASK, budget_bytes=10**9)
    assert cost.memory_bytes(2) > 0
    assert cost.seconds([10, 10]) > 0


def test_a_plan_says_how_much_and_how_long():
    stacks = (PlannedStack((0, 2), 1234, 3 * 2**20, 200.0), PlannedStack((1,), 5, 100, 0.2))
    assert str(Plan(stacks, n_side_by_side=1)).splitlines() == [
        "Plan: 3 trials in 2 stacks; about 3 min if none stops early",
        "  stack 0: 2 members x 1,234 parameters, 3 MiB, 3 min",
        "  stack 1: 1 member x 5 parameters, 1 MiB, 1 s",
    ]
    assert str(Plan(stacks, n_side_by_side=2)).startswith("Plan: 3 trials in 2 stacks, 2 side by side; about 3 min")


def test_the_time_of_a_plan_is_that_of_the_place_which_ends_last():
    stacks = tuple(PlannedStack((place,), 1, 1, seconds) for place, seconds in enumerate([5.0, 4.0, 3.0, 2.0]))
    assert Plan(stacks, n_side_by_side=2).seconds == 7.0
    assert Plan(stacks, n_side_by_side=1).seconds == 14.0


def test_the_budget_is_what_is_asked_for_or_half_of_what_the_engine_finds_free():
    engine = ThisProcess("cpu")
    asked = LocalEngineConfig(kind="local", memory_gb=1.5, devices=None)
    assert memory_budget_bytes(asked, engine) == 1.5 * GIBIBYTE
    half = memory_budget_bytes(dataclasses.replace(asked, memory_gb=None), engine)
    assert half == pytest.approx(free_memory(torch.device("cpu")) / 2, rel=0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_trials_for_a_gpu_elsewhere_are_measured_on_what_is_here():
    (stack,) = plan_stacks(
        [trial(accelerator="cuda")] * 3, PREPARED, TASK, budget_bytes=10**9, place=Place(torch.device("cpu"), 1)
    ).stacks
    assert stack.memory_bytes > 0


TRAIN_AND_MEASURE = """
import dataclasses, gc, json, pathlib, psutil
from pipelines.engines.job import StackJob
from pipelines.engines.run_job import run_job
from pipelines.sweeps.plan import plan_stacks
from tests.tables import mlp, optimizers, small_table, trial

prepared, task = small_table("binary", n_rows=16_000)
optimizer = optimizers()["adamw"]
trials = [trial(optimizer=optimizer, max_epochs=2, precision="32-true", OWN) for place in range(COUNT)]
(stack,) = plan_stacks(trials, prepared, task, budget_bytes=10**10).stacks
gc.collect()
before = psutil.Process().memory_info().rss
run_job(StackJob(0, trials), prepared, task)
# Not getrusage: a new process inherits the peak of the one that started it.
status = pathlib.Path("/proc/self/status").read_text().split()
peak = int(status[status.index("VmHWM:") + 1]) * 1024
print(json.dumps({"planned": stack.memory_bytes, "grown": peak - before}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the process in kilobytes, as Linux gives it")
@pytest.mark.parametrize(
    ("count", "own"),
    [
        (80, "model=mlp((64, 64), dropout=0.1), batch_size=256"),
        (80, "model=mlp((64, 64), dropout=0.1), batch_size=256, seed=place"),
        (16, "model=mlp((32,) * 4, dropout=place / 20, activation='relu'), batch_size=2048"),
    ],
    ids=["all alike", "seeds of their own", "rates of their own"],
)
def test_a_planned_stack_stays_within_its_figure(count, own):
    """The process grows by no more than was planned, and by enough that the figure says something."""
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_MEASURE.replace("COUNT", str(count)).replace("OWN", own)],
        cwd=root,
        # A heap keeps what was freed between tensors that live; the plan counts tensors.
        env=os.environ | {"PYTHONPATH": str(root), "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert figures["grown"] <= figures["planned"] <= 2 * figures["grown"], figures
