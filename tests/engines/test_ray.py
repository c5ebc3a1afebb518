"""engine=ray: the numbers of engine=local, whatever happens to the nodes."""

import builtins
import os
import socket
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from pipelines.config.schema import RayEngineConfig, TrainerConfig
from pipelines.engines import Keeping, StackJob, open_engine
from pipelines.engines.local import ThisProcess
from pipelines.engines.ray import RayTasks
from pipelines.errors import UserError
from pipelines.training import load_state, save_state
from tests.engines.sweeps import (
    STACKS,
    assert_bit_equal,
    deadly_trial,
    in_order,
    jobs_of,
    raising_trial,
    run_here,
    run_on,
    run_with_a_pause,
)
from tests.serving.load import eventually
from tests.tables import small_table, trial

TRAINER = TrainerConfig(max_epochs=1, batch_size=8, accelerator="cpu", precision="64-true", progress=False)
MEBIBYTE = 2**20


def on_ray(**changes) -> RayEngineConfig:
    fields = {"address": None, "cpus_per_stack": 1, "gpus_per_stack": 0.0, "retries": 3, "memory_gb": None}
    return RayEngineConfig(kind="ray", **fields | changes)


def ray_is_running() -> bool:
    for own in psutil.Process().children(recursive=True):
        try:
            if own.name() in {"raylet", "gcs_server"} and own.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:  # ended meanwhile
            continue
    return False


@contextmanager
def two_nodes(monkeypatch):
    """A head without cores and two nodes with one each, all on this machine."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster  # noqa: PLC0415  it reads these settings when it is imported

    small = {"object_store_memory": 100 * MEBIBYTE}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        yield cluster, [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
    finally:
        cluster.shutdown()


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without_ray(name, *args, **kwargs):
        if name == "ray":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UserError, match=r"pip install -e '\.\[ray\]'"), open_engine(on_ray(), TRAINER):
        pass


def test_an_address_that_does_not_answer_is_told_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(UserError, match=f"engine.address={address} does not answer"),
            open_engine(on_ray(address=address), TRAINER),
        ):
            pass


def test_a_stack_without_a_gpu_of_its_own_is_measured_on_the_cpu_whatever_is_here(monkeypatch):
    import ray  # noqa: PLC0415  slow

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert RayTasks(ray, on_ray(), "auto", n_side_by_side=1).place.device.type == "cpu"
    assert RayTasks(ray, on_ray(gpus_per_stack=0.5), "auto", n_side_by_side=1).place.device.type == "cuda"


def test_a_stack_that_is_to_train_on_a_gpu_and_gets_none_is_refused():
    trainer = replace(TRAINER, accelerator="cuda")
    with (
        pytest.raises(UserError, match=r"engine\.gpus_per_stack=0 gives a stack no GPU"),
        open_engine(on_ray(), trainer),
    ):
        pass


@pytest.mark.slow
def test_a_cluster_of_its_own_gives_the_numbers_of_this_process_and_leaves_nothing(tmp_path):
    with open_engine(on_ray(retries=1), TRAINER) as engine:
        assert engine.n_side_by_side == os.cpu_count()
        free = psutil.virtual_memory().available / engine.n_side_by_side
        assert engine.free_bytes() == pytest.approx(free, rel=0.2)
        results = run_on(engine)
        assert_bit_equal(
            run_with_a_pause(engine, tmp_path / "there"), run_with_a_pause(ThisProcess(), tmp_path / "here")
        )
        first, (lost,), (failed,), (counted,) = run_on(
            engine, [STACKS[1], [deadly_trial()], [raising_trial()], [raising_trial("CountsThreads")]]
        )
    assert_bit_equal([*results, first], run_here([*STACKS, STACKS[1]]))
    assert failed.failure is not None
    assert "Training its stack raised RuntimeError: mat1 and mat2 shapes" in failed.failure
    assert counted.failure is not None
    assert counted.failure.endswith(f"RuntimeError: {engine.place.n_threads} threads")
    assert lost.failure is not None
    assert "Lost on the cluster after 1 retries: WorkerCrashedError" in lost.failure
    eventually(lambda: not ray_is_running())
    assert not (Path.home() / ".ray" / "auth_token").exists()


@pytest.mark.slow
def test_a_stack_goes_on_from_its_file_where_the_cluster_has_our_folder(tmp_path):
    path = tmp_path / "stack.pt"
    asked = StackJob(0, [trial(max_epochs=10**9)], keeping=Keeping(path, 0.0, {"number": 0}))
    list(ThisProcess().run([replace(asked, until_epoch=2)], *small_table()))
    state, note = load_state(path)
    state.stopping.max_epochs[:] = 5  # who begins anew does not end
    save_state(path, state, note=note)
    with open_engine(on_ray(), TRAINER) as engine:
        (done,) = engine.run([asked], *small_table())
    assert done.state.results[0].epochs == 5


def test_a_stack_that_no_node_has_room_for_is_refused(monkeypatch):
    import ray  # noqa: PLC0415  slow

    called = []
    monkeypatch.setattr(ray, "init", lambda **_: called.append("init"))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 8.0, "memory": 1e9})
    monkeypatch.setattr(ray, "shutdown", lambda: called.append("shutdown"))
    said = r"^The cluster has 4 CPUs and 8 GPUs, less than a stack is to get: .* engine\.gpus_per_stack=9\.$"
    with pytest.raises(UserError, match=said), open_engine(on_ray(gpus_per_stack=9.0), TRAINER):
        pass
    assert called == ["init", "shutdown"], "the cluster ends with the mistake"


@pytest.mark.slow
def test_a_node_killed_in_mid_sweep_loses_no_trial(monkeypatch):
    stacks = [[trial(max_epochs=2, seed=0)], *([trial(max_epochs=150, seed=seed)] for seed in range(1, 6))]
    prepared, task = small_table()
    with (
        two_nodes(monkeypatch) as (cluster, nodes),
        open_engine(on_ray(address=cluster.address), TRAINER) as engine,
    ):
        assert engine.n_side_by_side == 2
        ended = engine.run(jobs_of(stacks), prepared, task)
        first = next(ended)  # both nodes are at work now
        cluster.remove_node(nodes[0], allow_graceful=False)
        results = in_order([first, *ended], len(stacks))
    assert_bit_equal(results, run_here(stacks))
