"""What a user's net must be like before it is trained, tried out on rows of the table; each mistake says what came.

Not here: whether it can be stacked (`custom_stacking`), and whether it can be exported (`export`).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from pipelines.config.schema import CustomConfig, TrainerConfig
from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.models.custom_class import build_custom, of_user
from pipelines.models.custom_stacking import why_alone
from pipelines.models.inputs import input_facts
from pipelines.models.net import weights_dtype
from pipelines.models.stem import TableStem
from pipelines.stack.functional import StackedModule, built_with_seed
from pipelines.stack.randomness import DropoutNoise, Purpose, Streams, stream_generator

CLOSE = 1e-3  # of the largest number
ROUNDING = 1e-6  # likewise: the same numbers, computed twice
ROWS_ALONE = 8  # a net that draws numbers may answer one row alike twice, but not all of these


def check_custom_net(
    config: CustomConfig,
    prepared: PreparedTable,
    *,
    n_outputs: int,
    trainer: TrainerConfig,
    device: torch.device,
) -> int:
    """Build a net, train it on the first batch and on one as small as an epoch's last, let it answer.

    Args:
        config: names its class.
        prepared: the table.
        n_outputs: that it must have.
        trainer: has the rows of a batch, and the precision that it trains in.
        device: that it trains on.

    Returns:
        How many inputs the net has.

    Raises:
        UserError: the net cannot be built, fails, answers in another shape, cannot learn, answers otherwise to a row
            in other company, keeps what it learns outside of its parameters and buffers, or cannot take a step in
            bfloat16 where it is to train so.
    """
    dtype = weights_dtype(trainer)
    rows = _net_rows(prepared, n_rows=trainer.batch_size, dtype=dtype).to(device)
    build = partial(build_custom, config, n_inputs=rows.shape[1], n_outputs=n_outputs)
    net, anew = (built_with_seed(build, 0) for _ in range(2))
    _check_weights(config.target, net, anew)
    net.to(device, dtype)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)  # what is told of a net that draws is told again
        batches = rows, rows[: _last_batch(prepared, trainer.batch_size)]
        for batch in batches:
            outputs = _answer(config.target, net.train(), batch, n_outputs)
            if not outputs.requires_grad:
                raise _mistake(config.target, "its answers depend on no parameter that can learn.")
            of_user(outputs.sum().backward, config.target, "its gradient")
        _check_answers(config.target, net.eval(), rows, n_outputs)
        _check_memory(config.target, net, anew.to(device, dtype), rows, n_outputs)
    if trainer.precision == "bf16-mixed":
        by_vmap = why_alone(config, n_inputs=rows.shape[1], n_outputs=n_outputs) is None
        steps = partial(_step_in_bf16, build, batches, by_vmap=by_vmap, last_is_filled=_is_last_filled(prepared))
        of_user(steps, config.target, "a step with trainer.precision=bf16-mixed, but not with 32-true,")
    return int(rows.shape[1])


def _step_in_bf16(
    build: Callable[[], nn.Module], batches: Sequence[Tensor], *, by_vmap: bool, last_is_filled: bool
) -> None:
    """As a stack of one trains: torch takes bfloat16 for some operators, and others refuse what these return."""
    device = batches[0].device
    module = StackedModule(build, n_members=1, by_vmap=by_vmap)
    module.draw_member_(0, stream_generator(0, Purpose.WEIGHTS))
    module.to(device)
    noise = DropoutNoise(Streams([0], device=device), dtype=batches[0].dtype)
    noise.start_epoch(0)
    with torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False):
        for rows in batches:
            is_filled = last_is_filled and rows is batches[-1]
            noise.start_step(torch.ones(1, len(rows), device=device) if is_filled else None)
            module(rows[None], noise).sum().backward()
        with torch.inference_mode():
            module(batches[0][None], None)


def _net_rows(prepared: PreparedTable, *, n_rows: int, dtype: torch.dtype) -> Float[Tensor, "rows inputs"]:
    """The first rows of the training part, as the net gets them."""
    features = prepared.train.features
    numbers, codes = (
        torch.from_numpy((values[0] if prepared.folds else values)[None, :n_rows])  # [1, B, F]
        for values in (features.numbers, features.codes)
    )
    rows: Tensor = TableStem(input_facts(prepared), n_members=1)(numbers.to(dtype), codes)
    return rows[0]


def _last_batch(prepared: PreparedTable, batch_size: int) -> int:
    """Rows of an epoch's last batch; of unequal folds the largest fills it."""
    sizes = [len(fold.train) for fold in prepared.folds] or [len(prepared.train.rows)]
    before = (math.ceil(min(sizes) / batch_size) - 1) * batch_size
    return min(max(sizes) - before, batch_size)


def _is_last_filled(prepared: PreparedTable) -> bool:
    """Whether some members have fewer rows than others in an epoch's last batch: each is then computed by itself."""
    return len({len(fold.train) for fold in prepared.folds}) > 1


def _check_weights(target: str, net: nn.Module, again: nn.Module) -> None:
    parameters = list(net.parameters())
    if any(is_lazy(tensor) for tensor in (*parameters, *net.buffers())):
        raise _mistake(target, "it has lazy layers; give them their sizes: the net is told how many inputs there are.")
    if not any(parameter.requires_grad for parameter in parameters):
        raise _mistake(target, "it has no parameters to train.")
    for name, tensor in net.state_dict().items():
        if not torch.equal(tensor, again.state_dict()[name]):
            raise _mistake(
                target,
                f"{name} differs between two nets built under the same torch.manual_seed, so no trial could be "
                "repeated. Draw initial weights by torch alone.",
            )


@torch.no_grad()
def _check_answers(target: str, net: nn.Module, rows: Tensor, n_outputs: int) -> None:
    """A server puts rows together as they come, so a row's answer must be its own."""
    together = _answer(target, net, rows, n_outputs)
    largest = max(1.0, float(together.abs().max()))
    for row in range(min(len(rows), ROWS_ALONE)):
        alone = _answer(target, net, rows[row : row + 1], n_outputs)
        if not torch.allclose(together[row], alone[0], rtol=0, atol=CLOSE * largest, equal_nan=True):
            raise _mistake(
                target,
                f"in evaluation a row alone gives {alone[0].tolist()}, and among {len(rows)} rows "
                f"{together[row].tolist()}. It must not look at other rows nor draw numbers then "
                "(self.training is False).",
            )


@torch.no_grad()
def _check_memory(target: str, net: nn.Module, anew: nn.Module, rows: Tensor, n_outputs: int) -> None:
    """What a trial leaves is its parameters and buffers: with them another net must answer as this one does.

    A mean that training moves is easily kept in a plain attribute, and is then as at the start when the net is served.
    """
    here = _answer(target, net, rows, n_outputs)
    kept = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    again: Tensor = of_user(lambda: functional_call(anew.eval(), kept, (rows,)), target, "a net built anew")
    largest = max(1.0, float(here.abs().max()))
    for row in range(len(rows)):
        if not torch.allclose(here[row], again[row], rtol=0, atol=ROUNDING * largest, equal_nan=True):
            raise _mistake(
                target,
                f"in evaluation, after two steps in training, it answers {here[row].tolist()}, and a net built anew "
                f"with its parameters and buffers answers {again[row].tolist()} to the same row. Nothing else is kept "
                "with a model: hold what training changes by self.register_buffer, and draw constants by torch alone.",
            )


def _answer(target: str, net: nn.Module, rows: Tensor, n_outputs: int) -> Tensor:
    mode = "training" if net.training else "evaluation"
    name = f"{target.rpartition('.')[2]}.forward on {len(rows)} rows of {rows.shape[1]} inputs in {mode}"
    before = rows.clone()
    outputs = of_user(lambda: net(rows), target, name)
    if not torch.equal(rows, before):
        raise _mistake(target, f"{name} changes its inputs in place. Make new tensors: others read the same rows.")
    if not isinstance(outputs, Tensor):
        raise _mistake(target, f"{name} must return a tensor, got {type(outputs).__name__}.")
    expected = (len(rows), n_outputs)
    if tuple(outputs.shape) != expected:
        raise _mistake(target, f"{name} must return the shape {expected}, got {tuple(outputs.shape)}.")
    if not outputs.is_floating_point():
        raise _mistake(target, f"{name} must return real numbers, got {outputs.dtype}.")
    is_finite = outputs.isfinite().all(dim=1)
    if not is_finite.all():
        row = int(is_finite.int().argmin())
        raise _mistake(
            target,
            f"{name}, untrained, must return finite numbers, got {outputs[row].tolist()} for the inputs "
            f"{rows[row].tolist()}. Inputs are standardised, so some are negative and many near zero.",
        )
    return outputs


def _mistake(target: str, what: str) -> UserError:
    return UserError(f"model.target={target}: {what}")
