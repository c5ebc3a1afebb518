"""A command line is checked whole before Hydra composes it."""

import re
import shlex
from pathlib import Path

import pytest

from pipelines.config.overrides import check_overrides
from pipelines.errors import UserError
from tests.config.composed import CONF

# What is typed after `$ `, and below it what is answered.
TRANSCRIPT = (Path(__file__).parent / "command_lines.txt").read_text()
WRONG = re.findall(r"^\$ (.*)\n((?:[^$].*\n)+)", TRANSCRIPT, re.MULTILINE)


def message(*overrides, **options):
    with pytest.raises(UserError) as caught:
        check_overrides(overrides, CONF, **options)
    return str(caught.value)


def test_no_wrong_command_line_is_overlooked():
    assert len(WRONG) == 42


@pytest.mark.parametrize(("typed", "answer"), WRONG, ids=[typed for typed, _ in WRONG])
def test_every_mistake_is_told_in_one_message_with_the_nearest_right_name(typed, answer):
    assert message(*shlex.split(typed)) == answer.rstrip("\n")


def test_fields_of_a_misspelled_option_may_be_those_of_any_option():
    assert message("optimizer=momentun", "optimizer.momentum=0.5", "optimizer.beta1=2").splitlines()[2:] == [
        "  optimizer.beta1 = 2: must be a number at least 0 and less than 1"
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["hydra.verbose=true", "hydra/launcher=basic"],
        ["optimizer.lr=${seed}"],
        ["sweep=quick", "optimizer=rmsprop", "optimizer.alpha=0.9"],
        ["~model.dropout"],
        ["model.hidden.0=8"],
        ["model.bins=8", "model.numbers=piecewise", "~model.frequencies"],
        ["model=mlp,resnet", "model.bins=8,16"],
        ["data=iris,wine", "tracking.experiment=${data.source}", "trainer.max_epochs=3,4"],
        [
            "sweep=thorough",
            "hydra.sweeper.study=mine",
            "+hydra.sweeper.params.seed='0,1'",
            "~hydra.sweeper.params.schedule",
        ],
        ["hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2"],
        ["hydra/launcher=basic", "tracking.experiment=e1,e2"],
    ],
    ids=" ".join,
)
def test_what_only_composition_can_tell_passes(overrides):
    check_overrides(overrides, CONF)


@pytest.fixture
def own_options(tmp_path):
    for path, text in {
        "optimizer/mine.yaml": "kind: momentum\nlr: 0.2\nmomentum: 0.5\n",
        "experiment/other.yaml": "# @package _global_\ndefaults:\n  - override /optimizer: sgd\n",
    }.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    return tmp_path


def test_options_of_the_users_own_folder_count(own_options):
    check_overrides(["optimizer=mine", "optimizer.momentum=0.3"], CONF, extra_dir=own_options)
    check_overrides(["optimizer=mine,sgd", "optimizer.lr=0.3"], CONF, extra_dir=own_options)
    assert "optimizer=mine: no such option" in message("optimizer=mine")
    assert "optimizer.momentun: no such field of optimizer; did you mean optimizer.momentum?" in message(
        "optimizer=mine", "optimizer.momentun=1", extra_dir=own_options
    )


def test_a_swept_experiment_is_composed_to_see_what_it_chooses(own_options):
    both = "experiment=ice_cream_linear,other"

    check_overrides([both, "optimizer.lr=0.3"], CONF, extra_dir=own_options)
    assert message(both, "optimizer.momentum=0.3", extra_dir=own_options).startswith(
        "1 field is wrong:\n  optimizer.momentum: no such field of optimizer=sgd;"
    )


def test_swept_experiments_share_what_belongs_to_the_command(own_options):
    third = own_options / "experiment/third.yaml"
    third.write_text("# @package _global_\ndefaults:\n  - override /ensemble: none\ntracking: {experiment: c}\n")

    assert message("experiment=other,third", extra_dir=own_options).splitlines()[1:] == [
        "  ensemble.kind (from experiment=other,third): belongs to the command, not to a trial; give one value",
        "  tracking.experiment (from experiment=other,third): belongs to the command, not to a trial; give one value",
    ]
    check_overrides(["experiment=other,third", "ensemble=none", "tracking.experiment=c"], CONF, extra_dir=own_options)
