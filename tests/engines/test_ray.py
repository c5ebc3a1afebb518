"""engine=ray: the numbers of engine=local, whatever happens to the nodes."""

import builtins
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from pipelines.engines import Engine, Keeping, StackJob, open_engine
from pipelines.engines.local import ThisProcess
from pipelines.engines.ray import RayTasks
from pipelines.errors import UserError
from pipelines.training import load_state, save_state
from tests.engines.sweeps import (
    STACKS,
    TRAINER_ON_RAY,
    assert_bit_equal,
    deadly_trial,
    on_ray,
    raising_trial,
    run_here,
    run_on,
    run_with_a_pause,
)
from tests.serving.load import eventually
from tests.tables import small_table, trial


def ray_is_running() -> bool:
    for own in psutil.Process().children(recursive=True):
        try:
            if own.name() in {"raylet", "gcs_server"} and own.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:  # ended meanwhile
            continue
    return False


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Engine]:
    """For all tests that need one: it takes seconds to start, and it is to leave nothing behind."""
    with open_engine(on_ray(retries=1), TRAINER_ON_RAY) as engine:
        yield engine
    eventually(lambda: not ray_is_running())
    assert not (Path.home() / ".ray" / "auth_token").exists()


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without_ray(name, *args, **kwargs):
        if name == "ray":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UserError, match=r"pip install -e '\.\[ray\]'"), open_engine(on_ray(), TRAINER_ON_RAY):
        pass


def test_an_address_that_does_not_answer_is_told_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(UserError, match=f"engine.address={address} does not answer"),
            open_engine(on_ray(address=address), TRAINER_ON_RAY),
        ):
            pass


def test_a_stack_without_a_gpu_of_its_own_is_measured_on_the_cpu_whatever_is_here(monkeypatch):
    import ray  # noqa: PLC0415  slow

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert RayTasks(ray, on_ray(), "auto", n_side_by_side=1).place.device.type == "cpu"
    assert RayTasks(ray, on_ray(gpus_per_stack=0.5), "auto", n_side_by_side=1).place.device.type == "cuda"


def test_a_stack_that_is_to_train_on_a_gpu_and_gets_none_is_refused():
    trainer = replace(TRAINER_ON_RAY, accelerator="cuda")
    with (
        pytest.raises(UserError, match=r"engine\.gpus_per_stack=0 gives a stack no GPU"),
        open_engine(on_ray(), trainer),
    ):
        pass


@pytest.mark.slow
def test_a_cluster_of_its_own_gives_the_numbers_of_this_process(tmp_path, own_cluster):
    assert own_cluster.n_side_by_side == os.cpu_count()
    free = psutil.virtual_memory().available / own_cluster.n_side_by_side
    assert own_cluster.free_bytes() == pytest.approx(free, rel=0.2)
    results = run_on(own_cluster)
    assert_bit_equal(
        run_with_a_pause(own_cluster, tmp_path / "there"), run_with_a_pause(ThisProcess(), tmp_path / "here")
    )
    first, (lost,), (failed,), (counted,) = run_on(
        own_cluster, [STACKS[1], [deadly_trial()], [raising_trial()], [raising_trial("CountsThreads")]]
    )
    assert_bit_equal([*results, first], run_here([*STACKS, STACKS[1]]))
    assert failed.failure is not None
    assert "Training its stack raised RuntimeError: mat1 and mat2 shapes" in failed.failure
    assert counted.failure is not None
    assert counted.failure.endswith(f"RuntimeError: {own_cluster.place.n_threads} threads")
    assert lost.failure is not None
    assert "Lost on the cluster after 1 retries: WorkerCrashedError" in lost.failure


@pytest.mark.slow
def test_a_stack_goes_on_from_its_file_where_the_cluster_has_our_folder(tmp_path, own_cluster):
    path = tmp_path / "stack.pt"
    asked = StackJob(0, [trial(max_epochs=10**9)], keeping=Keeping(path, 0.0, {"number": 0}))
    list(ThisProcess().run([replace(asked, until_epoch=2)], *small_table()))
    state, note = load_state(path)
    state.stopping.max_epochs[:] = 5  # who begins anew does not end
    save_state(path, state, note=note)
    (done,) = own_cluster.run([asked], *small_table())
    assert done.state.results[0].epochs == 5


def test_a_stack_that_no_node_has_room_for_is_refused(monkeypatch):
    import ray  # noqa: PLC0415  slow

    called = []
    monkeypatch.setattr(ray, "init", lambda **_: called.append("init"))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 8.0, "memory": 1e9})
    monkeypatch.setattr(ray, "shutdown", lambda: called.append("shutdown"))
    said = r"^The cluster has 4 CPUs and 8 GPUs, less than a stack is to get: .* engine\.gpus_per_stack=9\.$"
    with pytest.raises(UserError, match=said), open_engine(on_ray(gpus_per_stack=9.0), TRAINER_ON_RAY):
        pass
    assert called == ["init", "shutdown"], "the cluster ends with the mistake"
