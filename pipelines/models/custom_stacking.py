"""Whether a user's net can be stacked: tried out on a few made-up rows, once, before anything is trained.

`vmap` computes any module whose way does not depend on values, and refuses to draw random numbers; those of dropout
come from the members' streams. What it computes is compared with the members one by one.
"""

import json
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.config.schema import CustomConfig
from pipelines.models.custom_class import build_custom
from pipelines.stack.functional import StackedModule
from pipelines.stack.randomness import DropoutNoise, Purpose, Streams, stream_generator

N_ROWS = 8
CLOSE = 1e-3  # of the largest number, in float32: far above rounding, far below what another meaning would change
IN_WORDS = {
    "data-dependent control flow": "which way it takes depends on the values of its rows",
    "random operation": (
        "it draws random numbers other than those of nn.Dropout, be it in dropout of another kind (of attention, "
        "dropout1d, AlphaDropout)"
    ),
}

_known: dict[str, str | None] = {}  # a process imports a class once


def why_alone(config: CustomConfig, *, n_inputs: int, n_outputs: int) -> str | None:
    """Why these nets train one by one, or None if they can share a stack.

    Raises:
        UserError: the net cannot be built.
    """
    key = json.dumps([config.target, config.arguments, n_inputs, n_outputs], sort_keys=True)
    if key not in _known:
        build = partial(build_custom, config, n_inputs=n_inputs, n_outputs=n_outputs)
        shared, apart = _rows(1, n_inputs), _rows(2, n_inputs)
        together = StackedModule(build, n_members=2, by_vmap=True)
        _draw_(together, [0, 1])
        alone = [StackedModule(build, n_members=1, by_vmap=False) for _ in range(2)]
        for member, module in enumerate(alone):
            _draw_(module, [member])
        _known[key] = _compared(together, alone, shared, [0, 0]) or _compared(together, alone, apart, [0, 1])
    return _known[key]


def _rows(n_streams: int, n_inputs: int) -> Float[Tensor, "streams rows inputs"]:
    return torch.randn(n_streams, N_ROWS, n_inputs, generator=torch.Generator("cpu").manual_seed(n_streams))


def _draw_(module: StackedModule, seeds: Sequence[int]) -> None:
    for member, seed in enumerate(seeds):
        module.draw_member_(member, stream_generator(seed, Purpose.WEIGHTS))


def _compared(
    together: StackedModule, alone: Sequence[StackedModule], rows: Tensor, seeds: Sequence[int]
) -> str | None:
    try:
        stacked = _numbers(together, rows, seeds)
        each = [
            _numbers(module, rows[member % len(rows)][None], [seeds[member]]) for member, module in enumerate(alone)
        ]
    except Exception as error:  # noqa: BLE001  torch refuses in as many ways as there are nets
        text = " ".join(str(error).split())
        told = next((words for sign, words in IN_WORDS.items() if sign in text), None)
        return told or f"torch.func.vmap answers {type(error).__name__}: {text[:200]}"
    for place, numbers in enumerate(zip(*each, strict=True)):
        expected = torch.cat(numbers)
        largest = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        if not torch.allclose(stacked[place], expected, rtol=0, atol=CLOSE * largest, equal_nan=True):
            return "computed together its members give other numbers than each by itself"
    return None


def _numbers(module: StackedModule, rows: Tensor, seeds: Sequence[int]) -> list[Tensor]:
    """Outputs in training, gradients, buffers, outputs in evaluation; [members, ...] each."""
    noise = DropoutNoise(Streams(seeds, device=rows.device), dtype=rows.dtype)
    noise.start_epoch(0)
    outputs = module(rows, noise)
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(outputs.square().sum(), parameters, allow_unused=True, materialize_grads=True)
    with torch.inference_mode():
        evaluated = module(rows, None).clone()
    buffers = [buffer.detach().clone().float() for buffer in module.buffers()]
    return [outputs.detach(), *gradients, *buffers, evaluated]
