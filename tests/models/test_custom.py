"""A user's own net: found, tried out, stacked where that gives the same numbers, or refused in words."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import CustomConfig
from pipelines.errors import UserError
from pipelines.models import source_version
from pipelines.sweeps.custom_nets import why_trained_alone
from pipelines.sweeps.folder import trial_identities
from pipelines.sweeps.plan import plan_stacks
from tests.folds import in_folds, raw_table, with_n_folds
from tests.tables import custom, linear, small_table, trial

PREPARED, TASK = small_table("multiclass")  # 6 inputs: three numbers, three labels one-hot


def tried(target: str, **arguments: Any) -> str | None:
    model = CustomConfig(kind="custom", target=target, arguments=arguments or None)
    return why_trained_alone(trial(model=model), PREPARED, TASK)


@pytest.mark.parametrize("net", ["Perceptron", "Normalised", "BatchNormalised", "Dropping", "Attending"])
def test_a_net_whose_way_depends_on_no_value_is_stacked(net: str) -> None:
    assert why_trained_alone(trial(model=custom(net)), PREPARED, TASK) is None


@pytest.mark.parametrize(
    ("net", "why"),
    [
        ("Branching", "which way it takes depends on the values of its rows"),
        ("Noisy", "it draws random numbers other than those of nn.Dropout, be it in dropout of another kind"),
        (
            "DroppingAttention",
            "it draws random numbers other than those of nn.Dropout, be it in dropout of another kind",
        ),
        ("Recurrent", "torch.func.vmap answers RuntimeError: Batching rule not implemented for aten::lstm"),
    ],
)
def test_a_net_that_cannot_be_stacked_is_planned_alone_and_the_plan_says_why(net: str, why: str) -> None:
    trials = [trial(model=model, seed=seed) for model in (custom(net), custom("Perceptron")) for seed in (0, 1)]
    plan = plan_stacks(trials, PREPARED, TASK, budget_bytes=10**9)
    assert sorted(stack.trials for stack in plan.stacks) == [(0,), (1,), (2, 3)]
    (note,) = str(plan).splitlines()[4:]
    assert note.startswith(f"  tests.models.user_nets.{net} trains in stacks of one: {why}")


def test_arguments_that_differ_make_stacks_of_their_own() -> None:
    trials = [trial(model=custom("Perceptron", width=width), seed=seed) for seed in (0, 1) for width in (3, 4)]
    plan = plan_stacks(trials, PREPARED, TASK, budget_bytes=10**9)
    assert sorted(stack.trials for stack in plan.stacks) == [(0, 2), (1, 3)]
    assert {stack.n_parameters for stack in plan.stacks} == {6 * 3 + 3 + 3 * 3 + 3, 6 * 4 + 4 + 4 * 3 + 3}


WRONG = "tests.models.wrong_nets"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such.Net", "there is no module no_such in "),
        ("tests.models.no_such.Net", "there is no module tests.models.no_such in "),
        ("tests.models.broken_net.Net", "importing tests.models.broken_net raised RuntimeError: no weights here ("),
        ("tests.models.user_nets.Perceptrn", "has no Perceptrn; did you mean tests.models.user_nets.Perceptron?"),
        ("tests.models.user_nets.Zzz", "user_nets.py has no Zzz."),
        (f"{WRONG}.NoModule", "must be a class derived from torch.nn.Module; NoModule is another class."),
        (f"{WRONG}.NOT_A_CLASS", "must be a class derived from torch.nn.Module; NOT_A_CLASS is a value of type int."),
        (f"{WRONG}.OnlyInputs", "must be a class that is called as OnlyInputs(6, 3): too many positional arguments"),
        (f"{WRONG}.BadWidth", "BadWidth(6, 3) raised ValueError: width must be positive ("),
        (f"{WRONG}.Lazy", "it has lazy layers; give them their sizes"),
        (f"{WRONG}.NoParameters", "it has no parameters to train."),
        (f"{WRONG}.OwnDice", "scale differs between two nets built under the same torch.manual_seed"),
        (
            f"{WRONG}.OneOutput",
            "OneOutput.forward on 8 rows of 6 inputs in training must return the shape (8, 3), got (8,).",
        ),
        (f"{WRONG}.Pair", "must return a tensor, got tuple."),
        (f"{WRONG}.Detached", "its answers depend on no parameter that can learn."),
        (f"{WRONG}.Raising", "Raising.forward on 8 rows of 6 inputs in training raised RuntimeError: "),
        (f"{WRONG}.ChangingInputs", "in training changes its inputs in place."),
        (f"{WRONG}.NoGradient", "its gradient raised RuntimeError: one of the variables needed for gradient"),
        (f"{WRONG}.LooksAtOtherRows", "in evaluation a row alone gives ["),
        (f"{WRONG}.AlwaysDrops", "It must not look at other rows nor draw numbers then"),
        (f"{WRONG}.OwnMemory", "a net built anew with its parameters and buffers answers [-0."),
        (f"{WRONG}.Counting", "a net built anew with its parameters and buffers answers [-0."),
        (f"{WRONG}.OwnConstants", "a net built anew with its parameters and buffers answers ["),
        (f"{WRONG}.Chaotic", "ONNX Runtime computes something else than torch, tried out on the untrained net. The"),
        (
            f"{WRONG}.Logarithm",
            "in training, untrained, must return finite numbers, got [nan, nan, nan] for",
        ),
        (f"{WRONG}.CountsRows", "not served: The bundle cannot answer 32 rows at once: [ONNXRuntimeError]"),
        (f"{WRONG}.CountsRows", "use x.shape[0] in forward, not len(x) or a loop over rows"),
        (f"{WRONG}.AnswersTwoRows", "not served: The bundle gives 2 answers to 32 rows. Nothing was written. torch's"),
        (f"{WRONG}.BranchesWhenServed", "can be trained but not served: torch's ONNX exporter refuses it ("),
    ],
)
def test_a_mistake_is_told_with_what_and_where(target: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as raised:
        tried(target)
    message = str(raised.value)
    assert message.startswith(f"model.target={target}")
    assert told in message
    assert "\n" not in message
    assert not message.endswith("?."), "one mark ends a sentence"
    assert capfd.readouterr().err == "", "a refusal is one message"


@pytest.mark.parametrize("net", ["Mixing", "MixingAlone"])
def test_a_net_that_cannot_take_a_step_in_bfloat16_is_refused_where_it_is_to_train_so(net: str) -> None:
    why_trained_alone(trial(model=custom(net), precision="32-true"), PREPARED, TASK)
    with pytest.raises(UserError) as raised:
        why_trained_alone(trial(model=custom(net), precision="bf16-mixed"), PREPARED, TASK)
    message = str(raised.value)
    assert message.startswith(
        f"model.target=tests.models.user_nets.{net}: a step with trainer.precision=bf16-mixed, but not with 32-true, "
        "raised RuntimeError: "
    )
    assert "user_nets.py, line " in message


def test_a_net_that_takes_steps_in_bfloat16_only_with_others_is_refused_where_folds_have_unequal_batches() -> None:
    wanted = trial(model=custom("MixingSums"), precision="bf16-mixed")
    assert why_trained_alone(wanted, PREPARED, TASK) is None
    prepared, task = in_folds(raw_table("multiclass", n_rows=61), n_folds=3)
    with pytest.raises(UserError, match="=bf16-mixed, but not with 32-true"):
        why_trained_alone(with_n_folds(wanted, 3), prepared, task)


@pytest.mark.parametrize("net", ["Perceptron", "BatchNormalised", "NormalisedAndDropping", "Attending", "Recurrent"])
def test_a_net_of_torch_s_layers_takes_steps_in_bfloat16(net: str) -> None:
    why_trained_alone(trial(model=custom(net), precision="bf16-mixed"), PREPARED, TASK)


def test_an_argument_that_the_class_does_not_take_is_told_with_the_call() -> None:
    with pytest.raises(UserError) as raised:
        tried("tests.models.user_nets.Perceptron", width=4, depth=2)
    assert "Perceptron(6, 3, width=4, depth=2): got an unexpected keyword argument 'depth'" in str(raised.value)


def test_other_models_are_not_looked_at() -> None:
    assert why_trained_alone(trial(model=linear()), PREPARED, TASK) is None
    assert source_version(linear()) == ""


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.only = nn.Linear(inputs, outputs)  # {remark}
"""


@pytest.fixture
def written_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], CustomConfig]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(module: str, remark: str) -> CustomConfig:
        (tmp_path / f"{module}.py").write_text(NET.format(remark=remark))
        return CustomConfig(kind="custom", target=f"{module}.Net", arguments=None)

    return write


def test_a_trial_is_known_by_the_file_of_its_net_too(written_net: Callable[[str, str], CustomConfig]) -> None:
    first, changed, same = (written_net(f"net_{place}", remark) for place, remark in enumerate(("a", "b", "a")))
    versions = [source_version(model) for model in (first, changed, same)]
    assert versions[0] == versions[2] != versions[1]
    names = [trial_identities([trial(model=model)], fingerprint="x")[0] for model in (first, changed, same)]
    assert len(set(names)) == 3
    assert names[0] == trial_identities([replace(trial(), model=first)], fingerprint="x")[0]
