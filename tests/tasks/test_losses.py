import math

import pytest
import torch
from torch.nn import functional

from pipelines.tasks.losses import member_loss
from pipelines.tasks.task import METRICS_OF, Task

MEMBERS, BATCH = 4, 7
CLASSES = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}


def lone_cross_entropy(outputs, target):
    logits = outputs[:, 0]
    return functional.nll_loss(torch.stack([functional.logsigmoid(-logits), functional.logsigmoid(logits)], 1), target)


def lone_hinge(outputs, target):
    return functional.margin_ranking_loss(
        outputs[:, 0], torch.zeros(len(outputs)), torch.where(target == 1, 1.0, -1.0), margin=1.0
    )


def lone_one_versus_rest(outputs, target):
    classes = range(outputs.shape[1])
    return sum(functional.binary_cross_entropy_with_logits(outputs[:, c], (target == c).double()) for c in classes)


# The loss of one model, from torch.nn.functional: outputs [B, O] and target [B] to a scalar.
LONE = {
    ("regression", "mse"): lambda outputs, target: functional.mse_loss(outputs[:, 0], target),
    ("regression", "mae"): lambda outputs, target: functional.l1_loss(outputs[:, 0], target),
    ("regression", "huber"): lambda outputs, target: functional.smooth_l1_loss(outputs[:, 0], target),
    ("binary", "cross_entropy"): lone_cross_entropy,
    ("binary", "hinge"): lone_hinge,
    ("multiclass", "cross_entropy"): functional.cross_entropy,
    ("multiclass", "one_versus_rest"): lone_one_versus_rest,
}
every_loss = pytest.mark.parametrize(("kind", "loss"), LONE, ids=["-".join(key) for key in LONE])
every_streams = pytest.mark.parametrize("streams", [1, MEMBERS], ids=["shared-stream", "own-streams"])


def make(kind, loss):
    return Task(kind=kind, loss=loss, metric=METRICS_OF[kind][0], classes=CLASSES[kind], center=0.0, scale=1.0)


def draw(task, *, streams=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(MEMBERS, BATCH, task.n_outputs, generator=generator, dtype=dtype)
    if task.kind == "regression":
        return outputs, torch.randn(streams, BATCH, generator=generator, dtype=dtype)
    return outputs, torch.randint(len(task.classes), (streams, BATCH), generator=generator)


@every_loss
@every_streams
def test_a_member_has_the_loss_and_the_gradient_of_a_lone_model(kind, loss, streams):
    task = make(kind, loss)
    outputs, target = draw(task, streams=streams)
    outputs.requires_grad_()
    losses = member_loss(task, outputs, target)
    losses.sum().backward()
    assert losses.shape == (MEMBERS,)
    for member in range(MEMBERS):
        lone = outputs[member].detach().requires_grad_()
        expected = LONE[kind, loss](lone, target[member % streams])
        expected.backward()
        torch.testing.assert_close(losses[member], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(outputs.grad[member], lone.grad, rtol=1e-12, atol=1e-12)


@every_loss
def test_a_member_that_is_nan_leaves_the_others_alone(kind, loss):
    task = make(kind, loss)
    outputs, target = draw(task)
    broken = outputs.clone()
    broken[1] = math.nan
    broken.requires_grad_()
    outputs.requires_grad_()
    healthy, mixed = member_loss(task, outputs, target), member_loss(task, broken, target)
    healthy.sum().backward()
    mixed.sum().backward()
    others = [0, 2, 3]
    assert mixed[1].isnan()
    assert torch.equal(mixed[others], healthy[others])
    assert torch.equal(broken.grad[others], outputs.grad[others])


@every_loss
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_outputs_give_finite_losses_and_gradients(kind, loss, size):
    task = make(kind, loss)
    _, target = draw(task, dtype=torch.float32)
    outputs = torch.full((MEMBERS, BATCH, task.n_outputs), size)
    outputs[..., 0] *= 2
    outputs.requires_grad_()
    losses = member_loss(task, outputs, target)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert outputs.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_have_their_loss_in_float32(kind, loss, dtype):
    task = make(kind, loss)
    outputs, target = draw(task, dtype=torch.float32)
    halved = outputs.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = member_loss(task, halved, target)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, member_loss(task, halved.float(), target))


@every_loss
def test_float64_outputs_keep_their_precision_with_a_float32_target(kind, loss):
    task = make(kind, loss)
    outputs, target = draw(task)
    losses = member_loss(task, outputs, target.float() if kind == "regression" else target)
    assert losses.dtype == torch.float64


def test_huber_turns_from_square_to_line_at_one_standard_deviation():
    outputs = torch.tensor([[[0.5]], [[1.0]], [[3.0]]])
    losses = member_loss(make("regression", "huber"), outputs, torch.zeros(1, 1))
    torch.testing.assert_close(losses, torch.tensor([0.125, 0.5, 2.5]))


def test_hinge_is_zero_beyond_the_margin():
    outputs = torch.tensor([[[2.0], [2.0]], [[-3.0], [0.5]]])
    losses = member_loss(make("binary", "hinge"), outputs, torch.tensor([[1, 0]]))
    torch.testing.assert_close(losses, torch.tensor([(0 + 3) / 2, (4 + 1.5) / 2]))
