"""engine=ray on a cluster of several nodes, one of which is lost."""

from contextlib import contextmanager

import pytest

from pipelines.engines import open_engine
from tests.engines.sweeps import TRAINER_ON_RAY, assert_bit_equal, in_order, jobs_of, on_ray, run_here
from tests.tables import small_table, trial

MEBIBYTE = 2**20


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


@pytest.mark.slow
def test_a_node_killed_in_mid_sweep_loses_no_trial(monkeypatch):
    stacks = [[trial(max_epochs=2, seed=0)], *([trial(max_epochs=150, seed=seed)] for seed in range(1, 6))]
    with (
        two_nodes(monkeypatch) as (cluster, nodes),
        open_engine(on_ray(address=cluster.address), TRAINER_ON_RAY) as engine,
    ):
        assert engine.n_side_by_side == 2
        ended = engine.run(jobs_of(stacks), *small_table())
        first = next(ended)  # both nodes are at work now
        cluster.remove_node(nodes[0], allow_graceful=False)
        results = in_order([first, *ended], len(stacks))
    assert_bit_equal(results, run_here(stacks))
