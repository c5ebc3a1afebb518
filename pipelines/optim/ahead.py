"""Values that depend on the step alone, made for a few hundred steps at once."""

from collections.abc import Callable, Sequence

from torch import Tensor

N_STEPS = 256


class StepsAhead:
    """What each step finds made already: a handful of numbers a member would cost as many calls as all its weights.

    Args:
        make: the values of steps, [steps, ...], from the first of them and their number.
    """

    def __init__(self, make: Callable[[int, int], Tensor]) -> None:
        self._make = make
        self._first_step = 0
        self._values: Sequence[Tensor] = ()

    def at(self, step: int) -> Tensor:
        """The values of a step."""
        if not 0 <= step - self._first_step < len(self._values):
            self._first_step = step
            self._values = self._make(step, N_STEPS).unbind()
        return self._values[step - self._first_step]
