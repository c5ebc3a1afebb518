"""Every file under conf/ composes to a right trial and says what it is."""

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipelines.config import fields
from pipelines.config.overrides import check_overrides
from pipelines.config.validate import validate
from tests.config.composed import CONF, composed

OPTIONS = sorted(path for path in CONF.rglob("*.yaml") if path.parent != CONF and "hydra" not in path.parts)
GRIDS = {"quick": 24, "default": 64, "linear": 24}
TABLE = ("data=table", "data.path=houses.csv", "data.target=price")
MUST_BE_GIVEN = {"table": TABLE[1:], "custom": ("model.target=my_net.Net",), "bagging": ("data.folds=5",)}


def name(path: Path) -> str:
    return f"{path.parent.name}={path.stem}"


def test_no_file_is_overlooked():
    assert len(OPTIONS) >= 41
    assert {path.parent.name for path in OPTIONS} == {*fields.groups(), "sweep", "experiment"}
    assert {path.stem for path in OPTIONS if path.parent.name == "sweep"} == {*GRIDS, "none", "thorough"}


@pytest.mark.parametrize("path", OPTIONS, ids=name)
def test_an_option_composes_to_a_right_trial(path):
    validate(composed(name(path), *MUST_BE_GIVEN.get(path.stem, ())))


@pytest.mark.parametrize("path", [CONF / "config.yaml", *OPTIONS, CONF / "hydra" / "help" / "train.yaml"], ids=name)
def test_a_file_says_first_what_it_is(path):
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert first.startswith("# ")
    assert first.rstrip()[-1] in ".:"


@pytest.mark.parametrize("path", [path for path in OPTIONS if path.parent.name in fields.groups()], ids=name)
def test_an_option_has_the_name_of_its_kind(path):
    values = yaml.safe_load(path.read_text())
    field = {"data": "source", "trainer": None}.get(path.parent.name, "kind")
    if field is not None:
        assert values[field] == path.stem


@pytest.mark.parametrize("group", fields.groups())
def test_every_kind_of_the_schema_is_an_option(group):
    assert set(fields.by_kind(group)) <= {path.stem for path in OPTIONS if path.parent.name == group}


@pytest.mark.parametrize(("sweep", "trials"), GRIDS.items())
def test_a_search_space_has_as_many_trials_as_it_says(sweep, trials):
    text = (CONF / "sweep" / f"{sweep}.yaml").read_text()
    params = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    grid = 1
    for override in overrides:
        grid *= len(list(override.sweep_iterator()))

    assert grid == trials
    assert f"# {trials} trials" in text


CONSTANTS = {  # our name -> torch.optim's, where they differ
    "sgd": (torch.optim.SGD, {}),
    "adagrad": (torch.optim.Adagrad, {"initial_accumulator": "initial_accumulator_value"}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_of_an_optimizer_are_those_of_torch(kind):
    reference, renamed = CONSTANTS[kind]
    defaults = {key: parameter.default for key, parameter in inspect.signature(reference).parameters.items()}
    if "betas" in defaults:
        defaults["beta1"], defaults["beta2"] = defaults["betas"]
    values = composed(f"optimizer={kind}")["optimizer"]
    compared = [key for key in values if renamed.get(key, key) in defaults and key != "lr"]

    assert len(compared) >= 1
    assert {key: values[key] for key in compared} == {key: defaults[renamed.get(key, key)] for key in compared}


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=breast_cancer", "optimizer=adam", "optimizer.lr=0.01"],
        [*TABLE, "optimizer=adam,sgd", "optimizer.lr=0.001,0.01"],
        [*TABLE, "data.drop=[id]", "data.categorical=[postcode,'2']", "data.numeric=[age]", "data.group=patient"],
        [*TABLE, "data.time=day", "data.validation_fraction=0.1", "data.test_fraction=0.3", "data.split_seed=1"],
        ["task=auto,regression"],
        ["task=regression", "task.loss=mse,mae,huber", "task.metric=rmse,mae,r2"],
        ["task=binary", "task.loss=cross_entropy,hinge"],
        ["task=binary", "task.metric=log_loss,roc_auc,average_precision,accuracy,f1,brier"],
        ["task=multiclass", "task.loss=cross_entropy,one_versus_rest", "task.metric=log_loss,accuracy,macro_f1"],
        ["model=linear,mlp,resnet,cnn,gru"],
        ["model=cnn", "model.grid=[8,8]", "model.channels=[8],[16,32]"],
        ["model=gru", "model.steps=4,8"],
        ["model=custom", "model.target=my_net.Net", "+model.arguments.width=4,16"],
        ["model=custom", "model.target=my_net.Net", "model.arguments={width: 4, names: [a, b]},null"],
        ["model.numbers=plain,periodic,piecewise", "model.categories=onehot,embedding", "model.bins=8,32"],
        ["model.hidden=[128,128]", "model.activation=relu,tanh,sigmoid,gelu,silu,none", "model.dropout=0.2"],
        ["model.hidden=[64],[128,128]", "model.dropout=0,0.5"],
        ["optimizer=sgd,momentum,nesterov,adagrad,rmsprop,adadelta,adam,adamw", "optimizer.lr=1"],
        ["optimizer=glob(*)", "optimizer.l1=0,0.1", "optimizer.l2=1e-3", "optimizer.weight_decay=0.01"],
        ["schedule=constant,step,exponential,cosine,one_cycle"],
        ["stopping=early", "stopping.patience=5"],
        ["stopping=early,none"],
        ["ensemble=greedy", "ensemble.max_members=4"],
        ["ensemble=mean"],
        ["ensemble=none"],
        ["trainer.max_epochs=10", "trainer.batch_size=range(32,128,32)", "trainer.accelerator=auto,cpu"],
        ["trainer.precision=32-true,bf16-mixed,64-true"],
        ["seed=range(0,4)"],
        ["seed=choice(0,1)", "++optimizer.lr=0.1", "optimizer={l1: 0.1}", "data.name=${data.source}"],
        ["sweep=quick"],
        ["sweep=default", "model.dropout=0.5"],
        ["model=linear", "sweep=linear"],
        ["sweep=thorough", "hydra.sweeper.n_trials=8"],
        ["sweep=quick", "hydra/sweeper=optuna", "hydra.sweeper.sampler=qmc", "optimizer.lr=interval(0.1,0.2)"],
        ["tracking=server", "tracking.uri=http://127.0.0.1:5001"],
        ["engine=local", "engine.memory_gb=2.5"],
        ["engine.devices=[cuda:0,cuda:1]"],
        ["engine=ray", "engine.address=10.0.0.1:6379", "engine.cpus_per_stack=2", "engine.gpus_per_stack=0.5"],
        ["experiment=ice_cream_linear", "optimizer.momentum=0.8"],
    ],
    ids=" ".join,
)
def test_an_override_of_the_manual_is_accepted(overrides):
    check_overrides(overrides, CONF)
    single = [override for override in overrides if "," not in override.replace("[64],", "") and "(" not in override]

    validate(composed(*single))


def test_a_server_is_found_by_the_variable_of_mlflow(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert composed("tracking=server")["tracking"]["uri"] == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    assert composed("tracking=server")["tracking"]["uri"] == "http://mlflow.example:5000"


def test_values_that_options_share_yield_to_an_option_of_their_own():
    assert composed("optimizer=adam")["optimizer"]["weight_decay"] == 0
    assert composed("optimizer=adamw")["optimizer"]["weight_decay"] == 0.01
