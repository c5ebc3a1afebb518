"""Rules between fields, each with the whole line that a user reads."""

import pytest

from pipelines.config import rules
from pipelines.tasks import task

TABLE = {"data.source": "table", "data.path": "a.csv", "data.target": "y"}


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {"data.source": "table", "data.path": None, "data.target": None},
            [
                "data.path: must be given for data=table, e.g. data.path=houses.csv",
                "data.target: must be given for data=table, e.g. data.target=price",
            ],
        ),
        (
            {"data.source": "table", "data.path": "", "data.target": "y"},
            ["data.path: must be given for data=table, e.g. data.path=houses.csv"],
        ),
        (
            {"data.source": "iris", "data.path": "a.csv"},
            ["data.path = 'a.csv': data=iris is built in and takes none; use data=table for a file"],
        ),
        *[
            (
                {"data.source": "iris", "data.name": name},
                [f"data.name = {name!r}: a model's name is not blank and has none of / \\ : . % \" '"],
            )
            for name in ("houses.v2", "a/b", "50%", "o'brien", " ")
        ],
        (
            {"data.categorical": ("a", "b", "c"), "data.numeric": ("c", "b")},
            ["data.numeric = ['b', 'c']: data.categorical names them too; a column is one or the other"],
        ),
        (
            {**TABLE, "data.drop": ("y", "g"), "data.group": "g"},
            ["data.drop = ['y']: data.target needs this column", "data.drop = ['g']: data.group needs this column"],
        ),
        (
            {"data.drop": ("a",), "data.numeric": ("a",)},
            ["data.drop = ['a']: data.categorical or data.numeric keeps them; name them once"],
        ),
        (
            {"model.grid": (64,), "model.kernel": 4},
            [
                "model.grid = [64]: must be rows and columns, e.g. model.grid=[8,8]",
                "model.kernel = 4: must be odd, so that a filter has a middle",
            ],
        ),
        (
            {"model.target": "Net"},
            ["model.target = 'Net': must be a module and a class in it, e.g. my_net.Net"],
        ),
        (
            {"data.validation_fraction": 0.5, "data.test_fraction": 0.5},
            [
                (
                    "data.test_fraction = 0.5: with data.validation_fraction = 0.5 nothing is left to train on; "
                    "their sum must be less than 1"
                )
            ],
        ),
        (
            {"data.group": "patient", "data.time": "day"},
            ["data.time = 'day': rows are divided by time or by group, not both; data.group is 'patient'"],
        ),
        ({"data.folds": 1}, ["data.folds = 1: must be 0 (one validation part) or at least 2; 5 is usual"]),
        (
            {"data.folds": 5, "data.time": "day"},
            [
                (
                    "data.folds = 5: folds would train on rows newer than those they are tested on, and data.time is "
                    "'day'; use data.folds=0, whose validation part is the newest rows before the test part"
                )
            ],
        ),
        (
            {"data.folds": 0, "ensemble.kind": "bagging"},
            ["ensemble.kind = 'bagging': needs the folds of a trial, e.g. data.folds=5"],
        ),
        (
            {"data.folds": 5, "ensemble.kind": "none"},
            [
                (
                    "ensemble.kind = 'none': would serve one net, and a trial on 5 folds is 5 of them; use "
                    "ensemble=bagging, the mean of the best trial's folds"
                )
            ],
        ),
        (
            {"task.kind": "binary", "task.loss": "mse", "task.metric": "rmse"},
            [
                "task.loss = 'mse': task=binary takes one of auto, cross_entropy, hinge",
                (
                    "task.metric = 'rmse': task=binary takes one of "
                    "auto, log_loss, roc_auc, average_precision, accuracy, f1, brier"
                ),
            ],
        ),
        (
            {"task.kind": "auto", "task.loss": "huber", "task.metric": "accuracy"},
            ["task.metric = 'accuracy': no task has it together with task.loss = 'huber'"],
        ),
        (
            {"trainer.accelerator": "mps", "trainer.precision": "64-true"},
            ["trainer.precision = '64-true': an mps device has no 64-bit numbers; use trainer.accelerator=cpu"],
        ),
        (
            {"tracking.kind": "sqlite", "tracking.uri": "var/mlflow.db"},
            ["tracking.uri = 'var/mlflow.db': tracking=sqlite needs one that begins with sqlite:///"],
        ),
        (
            {"tracking.kind": "server", "tracking.uri": "localhost:5000"},
            ["tracking.uri = 'localhost:5000': tracking=server needs one that begins with http:// or https://"],
        ),
        (
            {"engine.devices": ("gpu",)},
            ["engine.devices = ['gpu']: each must be cpu or a GPU, e.g. engine.devices=[cuda:0]"],
        ),
        (
            {"engine.devices": (), "trainer.accelerator": "cpu"},
            ["engine.devices = []: each must be cpu or a GPU, e.g. engine.devices=[cuda:0]"],
        ),
        (
            {"engine.devices": ("cuda:0",), "trainer.accelerator": "cpu"},
            ["engine.devices = ['cuda:0']: trainer.accelerator is 'cpu'; leave it auto"],
        ),
        (
            {"stopping.min_epochs": 5, "trainer.max_epochs": 5},
            [
                (
                    "stopping.min_epochs = 5: nothing would be halved before training ends; must be less than "
                    "trainer.max_epochs = 5"
                )
            ],
        ),
        (
            {"engine.address": "ray://head"},
            ["engine.address = 'ray://head': must be host:port, as `ray start --head` prints it"],
        ),
        (
            {"engine.gpus_per_stack": 1.5},
            ["engine.gpus_per_stack = 1.5: must be whole above 1; Ray shares one GPU, not several"],
        ),
    ],
)
def test_a_broken_rule_is_told(values, lines):
    assert [str(mistake) for mistake in rules.broken_rules(values)] == lines


@pytest.mark.parametrize(
    "values",
    [
        {},
        TABLE,
        {"data.source": "iris", "data.path": None, "data.target": None},
        {"data.validation_fraction": 0.5, "data.test_fraction": 0.4},
        {"data.validation_fraction": 0.9},
        {"data.source": "table"},
        {"task.kind": "auto", "task.loss": "hinge", "task.metric": "roc_auc"},
        {"task.kind": "auto", "task.loss": "huber"},
        {"task.loss": "huber", "task.metric": "accuracy"},
        {"trainer.accelerator": "auto", "trainer.precision": "64-true"},
        {"engine.devices": ("cuda:0", "cuda:1"), "trainer.accelerator": "cuda"},
        {"engine.devices": ("cpu", "cpu")},
        {"engine.address": "10.0.0.1:6379", "engine.gpus_per_stack": 0.5},
        {"tracking.uri": "anything"},
        {"tracking.kind": "server", "tracking.uri": "https://mlflow.example"},
    ],
    ids=str,
)
def test_a_kept_rule_says_nothing_nor_does_one_whose_fields_are_wrong_themselves(values):
    assert list(rules.broken_rules(values)) == []


def test_losses_and_metrics_are_those_of_the_tasks():
    assert rules.LOSSES_OF == task.LOSSES_OF
    assert rules.METRICS_OF == task.METRICS_OF
