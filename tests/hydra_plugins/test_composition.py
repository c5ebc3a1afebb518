"""Jobs composed cheaply equal the jobs that Hydra composes."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import Phase, given, settings, strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.sweepstack.composition import JobComposer
from tests.config.composed import CONF

VALUES = {
    "data": ["wine", "table", "nowhere"],
    "model": ["linear", "mlp", "{dropout: 0.5}"],
    "optimizer": ["sgd", "adam", "adamw"],
    "experiment": ["ice_cream_linear"],
    "seed": ["1", "${trainer.batch_size}"],
    "optimizer.lr": ["0.1", "1e-3", "'0.1'", "${optimizer.l2}", "null"],
    "optimizer.momentum": ["0.5"],
    "++optimizer.l1": ["0.2"],
    "++optimizer.extra": ["{a: [1, 2]}"],
    "+model.extra": ["1"],
    "~optimizer.l2": ["0.0"],
    "seed@data": ["1"],
    "model.hidden": ["[8]", "[8,4]"],
    "model.hidden.0": ["7"],
    "data.drop": ["[a,'b c']"],
    "data.name": ["${hydra:job.name}", "a b", "x=y", r"\{z\}"],
}
QUICK = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # to explain a failure takes minutes
jobs = st.lists(st.sampled_from(sorted(VALUES)), max_size=5, unique=True).flatmap(
    lambda keys: st.tuples(*(st.sampled_from(VALUES[key]).map(f"{key}={{}}".format) for key in keys)).map(list)
)


@pytest.fixture(scope="module")
def hydra():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", ["hydra.verbose=true"], run_mode=RunMode.MULTIRUN)


def outcome(compose, overrides):
    """The composed values, or what Hydra says."""
    try:
        config = compose(overrides)
    except HydraException as error:
        return type(error), str(error)
    except ValueError as error:  # Hydra's own for an option that is no word
        return type(error), str(error)
    return OmegaConf.to_container(config, resolve=False), OmegaConf.is_struct(config)


@settings(max_examples=12, phases=QUICK)
@given(batch=st.lists(jobs, min_size=1, max_size=3))
def test_a_batch_equals_what_hydra_composes_for_each_job(hydra, batch):
    loader, master = hydra
    composer = JobComposer(loader, master)

    def by_hydra(overrides):
        config = loader.load_sweep_config(master, overrides)
        OmegaConf.set_readonly(config, value=False)
        with open_dict(config):
            del config["hydra"]
        return config

    for overrides in batch:
        assert outcome(composer.compose, overrides) == outcome(by_hydra, overrides)


class CountingLoader:
    """Hydra's loader, counting how often a job is composed."""

    def __init__(self, loader):
        self.loader = loader
        self.composed = 0

    def load_sweep_config(self, *arguments):
        self.composed += 1
        return self.loader.load_sweep_config(*arguments)

    def get_group_options(self, *arguments, **options):
        return self.loader.get_group_options(*arguments, **options)


def test_hydra_composes_once_for_every_choice_of_options(hydra):
    loader, master = hydra
    counting = CountingLoader(loader)
    composer = JobComposer(counting, master)
    configs = [
        composer.compose([f"optimizer={kind}", f"seed={seed}", f"optimizer.lr={lr}"])
        for kind in ("adam", "sgd")
        for seed in (0, 1)
        for lr in (0.1, 0.2)
    ]

    assert counting.composed == 2
    assert all(isinstance(config, DictConfig) for config in configs)
    assert len({str(config) for config in configs}) == 8


def test_jobs_do_not_share_what_was_composed_once(hydra):
    composer = JobComposer(*hydra)
    first, second = composer.compose(["data.drop=[a]"]), composer.compose([])
    first.data.drop.append("b")

    assert first.data.drop == ["a", "b"]
    assert second.data.drop == []
