"""The launcher and the sweeper, driven by `python -m pipelines.train` in this process.

What they hand the trials to, `pipelines.sweep.Sweep`, is stood in for: its own tests train.
"""

import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

from pipelines import train
from pipelines.errors import UserError
from tests.hydra_plugins.fake_sweep import WITHOUT_MODEL, FakeSweep
from tests.hydra_plugins.multirun import batches


@pytest.fixture
def sweep(stand_in):
    """The trials that reached the stand-in for `pipelines.sweep`."""
    return stand_in.trials


def multirun(*overrides, task=train.train_trial):
    """The returns of the one batch."""
    [returns] = batches(*overrides, task=task)
    return returns


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_hydra_finds_the_plugins():
    assert "StackLauncher" in {found.__name__ for found in Plugins.instance().discover(Launcher)}
    assert {"GridSweeper", "OptunaSweeper"} <= {found.__name__ for found in Plugins.instance().discover(Sweeper)}


def test_a_sweep_is_handed_over_whole_and_in_order(sweep):
    returns = multirun("data=iris", "optimizer=adam,sgd", "optimizer.lr=0.1,0.2", "seed=range(0,3)")

    assert len(sweep) == 12
    assert [(trial.optimizer.kind, trial.optimizer.lr, trial.seed) for trial in sweep] == [
        (kind, lr, seed) for kind in ("adam", "sgd") for lr in (0.1, 0.2) for seed in range(3)
    ]
    assert [found.return_value for found in returns] == [-trial.optimizer.lr for trial in sweep]
    assert returns[4].overrides == ["data=iris", "optimizer=adam", "optimizer.lr=0.2", "seed=1"]
    assert (returns[4].cfg.seed, returns[4].task_name, returns[4].working_dir) == (1, "train", str(Path.cwd()))


def test_a_search_space_needs_no_flag_and_yields_to_the_command_line(sweep, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "data=wine", "sweep=quick", "optimizer=adam", "optimizer.lr=0.5"])
    train.main()

    assert [(trial.model.dropout, trial.optimizer.l2) for trial in sweep] == [
        (0, 0),
        (0, 0.001),
        (0.2, 0),
        (0.2, 0.001),
    ]


def test_a_sweep_leaves_one_file_of_hydra_and_a_trial_alone_none(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "data=wine"])
    train.main()
    assert written(tmp_path) == []

    multirun("data=wine", "seed=0,1")
    [kept] = tmp_path.rglob("*.yaml")
    assert len(written(tmp_path)) == len(kept.relative_to(tmp_path).parts)
    assert kept.relative_to(tmp_path).parts[:2] == ("var", "hydra")
    assert yaml.safe_load(kept.read_text())["hydra"]["overrides"]["task"] == ["data=wine", "seed=0,1"]


def test_a_trial_that_failed_is_a_failed_return_and_the_sweep_goes_on(sweep):
    returns = multirun("data=wine", "optimizer.lr=0.1,10,0.2")

    assert [found.status for found in returns] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    with pytest.raises(UserError, match=r"^Trial 1 \(data=wine optimizer\.lr=10\) ended without a model; its"):
        _ = returns[1].return_value


def test_a_sweep_without_any_model_is_an_error(sweep):
    with pytest.raises(UserError, match=f"^{WITHOUT_MODEL}$"):
        multirun("data=wine", "optimizer.lr=1,10")


def test_mistakes_of_all_trials_are_told_before_anything_is_made(sweep, tmp_path):
    with pytest.raises(UserError) as caught:
        multirun("data=wine,table", "optimizer.lr=0.1,fast", "trainer.batch_size=0")

    assert str(caught.value).splitlines() == [
        "4 fields are wrong:",
        "  trainer.batch_size = 0: must be a whole number at least 1",
        "  optimizer.lr = 'fast': must be a number greater than 0 (2 of 4 trials, first in trial 1)",
        "  data.path: must be given for data=table, e.g. data.path=houses.csv (2 of 4 trials, first in trial 2)",
        "  data.target: must be given for data=table, e.g. data.target=price (2 of 4 trials, first in trial 2)",
    ]
    assert sweep == []
    assert written(tmp_path) == []


def test_a_table_that_cannot_be_read_leaves_no_file_of_hydra(sweep, tmp_path, monkeypatch):
    def unreadable(_sweep, _trials):
        raise UserError("houses.csv, line 3: 1 fields where the header has 2.")

    monkeypatch.setattr(FakeSweep, "begin", unreadable)
    with pytest.raises(UserError, match=r"^houses\.csv, line 3"):
        multirun("data=wine", "seed=0,1")
    assert written(tmp_path) == []


def test_a_folder_of_hydra_that_cannot_be_written_is_told_before_anything_trains(sweep):
    with pytest.raises(UserError, match=r"^hydra\.sweep\.dir=/proc/x cannot be written: .* Choose another folder\.$"):
        multirun("data=wine", "seed=0,1", "hydra.sweep.dir=/proc/x")
    assert sweep == []


def test_an_override_that_hydra_refuses_is_told_by_hydra(sweep):
    with pytest.raises(HydraException, match=r"Could not override 'optimizer\.momentum'"):
        multirun("optimizer.momentum=0.5,0.6")


def test_a_grid_needs_single_values(sweep):
    with pytest.raises(UserError, match=r"^optimizer\.lr=interval\(0,1\): a grid needs single values, "):
        multirun("optimizer.lr=interval(0,1)")


def test_a_grid_that_nobody_means_is_counted_and_refused_before_it_is_composed(sweep, tmp_path):
    with pytest.raises(UserError) as caught:
        multirun("seed=range(0,1000000000)", "optimizer.lr=range(0.1,0.9,0.1)", "model.dropout=0,0.5")

    assert str(caught.value) == (
        "The grid has 16,000,000,000 trials (seed: 1,000,000,000 x optimizer.lr: 8 x model.dropout: 2); at most 10,000 "
        "are tried. Give shorter lists, or let a search choose among the same values: "
        "hydra/sweeper=optuna hydra.sweeper.n_trials=256."
    )
    assert sweep == []
    assert written(tmp_path) == []


def test_the_launcher_runs_no_other_task(sweep):
    def other(config):
        return 1.0

    with pytest.raises(UserError, match=r"can run no other task; use hydra/launcher=basic for this one\.$"):
        multirun("seed=0,1", task=other)


def test_hydras_own_launcher_and_sweeper_still_work(sweep):
    [returns] = [multirun("data=wine", "seed=0,1", "hydra/launcher=basic", "hydra/sweeper=basic")]

    assert [trial.seed for trial in sweep] == [0, 1]
    assert [found.return_value for found in returns] == [-0.001, -0.001]
