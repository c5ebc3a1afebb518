"""From plain values to a trial, or to one message."""

from copy import deepcopy
from dataclasses import asdict, is_dataclass

import pytest

from pipelines.config.schema import AdamConfig, MLPConfig, TrialConfig
from pipelines.config.validate import validate, validate_all
from pipelines.errors import UserError
from tests.config.composed import composed


@pytest.fixture(scope="module")
def right():
    return composed("data=iris", "optimizer=momentum")


def changed(values, **fields):
    """A copy with fields set: `optimizer__lr=1`; `...` removes one."""
    copy = deepcopy(values)
    for path, value in fields.items():
        *groups, name = path.split("__")
        place = copy
        for group in groups:
            place = place[group]
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return copy


def message(values):
    with pytest.raises(UserError) as caught:
        validate(values)
    return str(caught.value)


def test_right_values_become_a_trial():
    trial = validate(composed("data=iris", "optimizer=adam", "model.hidden=[8,4]", "seed=3", "optimizer.lr=1"))

    assert isinstance(trial, TrialConfig)
    assert isinstance(trial.optimizer, AdamConfig)
    assert isinstance(trial.model, MLPConfig)
    assert trial.model.hidden == (8, 4)
    assert trial.seed == 3
    assert isinstance(trial.optimizer.lr, float)


def test_a_trial_read_again_is_the_same_trial(right):
    trial = validate(right)

    assert is_dataclass(trial)
    assert validate(asdict(trial)) == trial


def test_what_a_configuration_may_leave_out_is_none(right):
    trial = validate(changed(right, data__path=..., data__target=...))

    assert (trial.data.path, trial.data.target) == (None, None)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"optimizer__lr": "fast"}, "optimizer.lr = 'fast': must be a number greater than 0"),
        ({"optimizer__lr": "0.1"}, "optimizer.lr = '0.1': must be a number greater than 0"),
        ({"optimizer__lr": True}, "optimizer.lr = true: must be a number greater than 0"),
        ({"optimizer__lr": float("inf")}, "optimizer.lr = inf: must be a number greater than 0"),
        ({"optimizer__lr": None}, "optimizer.lr = null: must be a number greater than 0"),
        ({"model__dropout": 1}, "model.dropout = 1: must be a number at least 0 and less than 1"),
        ({"seed": -1}, "seed = -1: must be a whole number at least 0"),
        ({"trainer__batch_size": 0.5}, "trainer.batch_size = 0.5: must be a whole number at least 1"),
        (
            {"model__activation": "rleu"},
            "model.activation = 'rleu': must be one of relu, tanh, sigmoid, gelu, silu, none; did you mean relu?",
        ),
        ({"model__hidden": []}, "model.hidden = []: must be a list of 1 or more whole numbers, each at least 1"),
        (
            {"model__hidden": 64},
            "model.hidden = 64: must be a list of 1 or more whole numbers, each at least 1; write model.hidden=[64]",
        ),
        ({"data__drop": "id"}, "data.drop = 'id': must be a list of texts; write data.drop=[id]"),
        (
            {"data__target": 2020},
            "data.target = 2020: must be text or null; between quotes it is text: \"data.target='2020'\"",
        ),
        (
            {"optimizer__momentun": 0.9},
            (
                "optimizer.momentun: no such field of optimizer=momentum; did you mean optimizer.momentum? "
                "(has: lr, l1, l2, clip_norm, weight_decay, momentum, dampening)"
            ),
        ),
        (
            {"optimizer__beta1": 0.9},
            (
                "optimizer.beta1: no such field of optimizer=momentum; optimizer=adam|adamw have it "
                "(has: lr, l1, l2, clip_norm, weight_decay, momentum, dampening)"
            ),
        ),
        (
            {"engine__memory": 2},
            "engine.memory: no such field of engine=local; did you mean engine.memory_gb? (has: memory_gb, devices)",
        ),
        (
            {"model__depth": 2},
            (
                "model.depth: no such field of model=mlp (has: numbers, frequencies, frequency_scale, number_width, "
                "bins, categories, embedding_width, activation, dropout, hidden)"
            ),
        ),
        (
            {"schedule__gamma": 2},
            (
                "schedule.gamma: no such field of schedule=constant; schedule=step|exponential have it "
                "(has: warmup_epochs)"
            ),
        ),
        (
            {"optimizer__kind": "adma"},
            (
                "optimizer.kind = 'adma': must be one of sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, "
                "adamw; did you mean adam?"
            ),
        ),
        ({"optimizer": 3}, "optimizer = 3: must be a group of fields"),
        ({"optimizer__lr": ...}, "optimizer.lr: is missing"),
        ({"model": ...}, "model: is missing"),
        ({"data__name": "???"}, "data.name: must be given, as data.name=<text or null>"),
        (
            {"sead": 1},
            (
                "sead = 1: no such field; did you mean seed? "
                "(has: data, task, model, optimizer, schedule, stopping, trainer, seed, ensemble, tracking, engine)"
            ),
        ),
    ],
    ids=str,
)
def test_a_mistake_is_told_with_what_is_allowed(right, fields, line):
    assert message(changed(right, **fields)) == f"1 field is wrong:\n  {line}"


def test_every_mistake_is_in_one_message(right):
    values = changed(right, optimizer__lr="fast", optimizer__momentun=0.9, data__group="a", data__time="b", seed=1.5)

    assert message(values).splitlines() == [
        "4 fields are wrong:",
        "  optimizer.lr = 'fast': must be a number greater than 0",
        (
            "  optimizer.momentun: no such field of optimizer=momentum; did you mean optimizer.momentum? "
            "(has: lr, l1, l2, clip_norm, weight_decay, momentum, dampening)"
        ),
        "  seed = 1.5: must be a whole number at least 0",
        "  data.time = 'b': rows are divided by time or by group, not both; data.group is 'a'",
    ]


def test_a_mistake_of_some_trials_says_how_many_make_it(right):
    trials = [right, changed(right, seed=-1), changed(right, seed=-1), changed(right, seed=-2)]

    with pytest.raises(UserError) as caught:
        validate_all([changed(trial, optimizer__lr=0) for trial in trials])

    assert str(caught.value).splitlines() == [
        "3 fields are wrong:",
        "  optimizer.lr = 0: must be a number greater than 0",
        "  seed = -1: must be a whole number at least 0 (2 of 4 trials, first in trial 1)",
        "  seed = -2: must be a whole number at least 0 (1 of 4 trials, first in trial 3)",
    ]


def test_trials_come_in_their_order(right):
    assert [trial.seed for trial in validate_all([changed(right, seed=seed) for seed in (3, 1, 2)])] == [3, 1, 2]
