"""A seed's randomness: one independent generator for each purpose and epoch.

Streams belong to seeds, not to members: whatever else is in the stack, and from whichever epoch training goes
on, a seed draws the same initial weights, the same batch order and the same dropout noise.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Purpose(IntEnum):
    """What a generator is for; part of its seed, so that no two purposes share numbers."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2
    STEP = 3


def stream_generator(
    seed: int, purpose: Purpose, *, epoch: int = 0, layer: int = 0, device: torch.device | None = None
) -> torch.Generator:
    """The generator of one seed for one purpose in one epoch, and where it matters in one layer.

    `numpy.random.SeedSequence` mixes the numbers, so neighbouring seeds, epochs and layers are unrelated.
    """
    (state,) = np.random.SeedSequence([seed, purpose, epoch, layer]).generate_state(1, np.uint64)
    # torch wants a signed 64-bit seed on some devices: keep 63 bits.
    return torch.Generator(device or "cpu").manual_seed(int(state) >> 1)


class Streams:
    """The distinct seeds of a stack, and which of them each member uses.

    Attributes:
        seeds: S distinct ones.
        places: index into `seeds`, one a member.
        of_member: the same, on the device.
    """

    def __init__(self, seed_of_member: Sequence[int], *, device: torch.device) -> None:
        self.device = device
        self._assign(seed_of_member)

    def _assign(self, seed_of_member: Sequence[int]) -> None:
        self.seeds = tuple(dict.fromkeys(seed_of_member))
        self.places = tuple(self.seeds.index(seed) for seed in seed_of_member)
        self.of_member: Int[Tensor, " members"] = torch.tensor(self.places, device=self.device)

    def take_(self, members: Int[Tensor, " kept"]) -> None:
        """Keep these members; a seed that none of them uses is drawn no more."""
        self._assign([self.seeds[self.places[member]] for member in members.tolist()])

    def spread(self, of_streams: Tensor) -> Tensor:
        """From one slice a stream, [S, ...], to one a member, [K, ...]; a single stream stays one shared slice."""
        return of_streams if len(self.seeds) == 1 else of_streams[self.of_member]


class DropoutNoise:
    """Uniform numbers of the current epoch, one tensor a stream and layer, whatever the number of members.

    A layer's numbers come from a generator of its own, row after row: on a CPU a batch that is longer by a few rows,
    which not all members have, gives all others what they would get without them.

    The one thing that differs between kinds of devices: each draws where it trains, by its own generator. Weights and
    orders are drawn on the CPU; to draw noise there too would copy as many numbers a step as there are activations.

    Args:
        streams: of the stack.
        dtype: of the numbers.
    """

    def __init__(self, streams: Streams, *, dtype: torch.dtype) -> None:
        self._streams = streams
        self._dtype = dtype
        self._epoch = 0
        self._counted: Tensor | None = None
        self._layer = 0  # whose numbers are drawn next
        self._generators: list[list[torch.Generator]] = []  # of each layer, one a stream
        self._steppers: dict[int, torch.Generator] = {}  # of each seed
        self._step_seeds: dict[int, int] = {}  # of each seed in this step

    def start_epoch(self, epoch: int) -> None:
        """Begin the numbers of an epoch; they do not depend on how many the last one used."""
        self._epoch = epoch
        self._generators.clear()
        self._steppers.clear()
        self.start_step()

    def start_step(self, counted: Float[Tensor, "members rows"] | None = None) -> None:
        """The next numbers are those of the first layer.

        Args:
            counted: 0 for rows of the batch that only fill a member's up; None when all count.
        """
        self._counted = counted
        self._layer = 0
        self._step_seeds.clear()

    def own_rows(self) -> list[int] | None:
        """How many rows of this step's batch are each member's own, the first ones; None when all are.

        Not before somebody asks, who then waits for the device.
        """
        if self._counted is None:
            return None
        return [int(n_rows) for n_rows in self._counted.sum(dim=1).tolist()]

    def step_seed(self, member: int) -> int:
        """A seed of this step and of a member's stream, for what draws numbers by itself."""
        seed = self._streams.seeds[self._streams.places[member]]
        if seed not in self._step_seeds:
            if seed not in self._steppers:
                self._steppers[seed] = stream_generator(seed, Purpose.STEP, epoch=self._epoch)
            self._step_seeds[seed] = int(torch.randint(2**62, (), generator=self._steppers[seed]))
        return self._step_seeds[seed]

    def uniform(self, n_rows: int, width: int) -> Float[Tensor, "members_or_one rows width"]:
        """Draw the next layer's numbers in [0, 1): one slice a member, or one for all when they share a stream."""
        return self._streams.spread(self.of_streams(n_rows, width))

    def of_streams(self, n_rows: int, width: int) -> Float[Tensor, "streams rows width"]:
        """Draw them, one slice a stream."""
        shape = len(self._streams.seeds), n_rows, width
        return self.draw_(torch.empty(shape, dtype=self._dtype, device=self._streams.device))

    def draw_(self, into: Float[Tensor, "streams rows width"]) -> Float[Tensor, "streams rows width"]:
        """Draw them into a tensor of the caller's."""
        for of_stream, generator in zip(into, self._of_next_layer(), strict=True):
            of_stream.uniform_(generator=generator)
        return into

    def _of_next_layer(self) -> list[torch.Generator]:
        layer, device = self._layer, self._streams.device
        if layer == len(self._generators):
            self._generators.append(
                [
                    stream_generator(seed, Purpose.DROPOUT, epoch=self._epoch, layer=layer, device=device)
                    for seed in self._streams.seeds
                ]
            )
        self._layer += 1
        return self._generators[layer]

    def held(self) -> "HeldNoise":
        """For steps that find their numbers where this one finds them."""
        return HeldNoise(self, self._streams, dtype=self._dtype)

    @property
    def stream_of_member(self) -> tuple[int, ...]:
        """Which slice is whose."""
        return self._streams.places


class HeldNoise(DropoutNoise):
    """Numbers that stay in the same tensors, for one step after another, of the shapes of the first.

    Args:
        noise: that draws them.
        streams: of the stack.
        dtype: of the numbers.
    """

    def __init__(self, noise: DropoutNoise, streams: Streams, *, dtype: torch.dtype) -> None:
        super().__init__(streams, dtype=dtype)
        self._noise = noise
        self._held: list[Tensor] = []  # of each layer, [S, B, H]

    def draw_step_(self) -> None:
        """Put the noise's next step in the place of the last one."""
        for held in self._held:
            self._noise.draw_(held)

    def of_streams(self, n_rows: int, width: int) -> Float[Tensor, "streams rows width"]:
        """The numbers of the next layer, drawn the first time that it asks."""
        if self._layer == len(self._held):
            self._held.append(self._noise.of_streams(n_rows, width))
        self._layer += 1
        return self._held[self._layer - 1]
