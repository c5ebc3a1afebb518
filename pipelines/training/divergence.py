"""A member whose loss is no longer a number ends alone; this says so in words."""

from collections.abc import Sequence

import numpy as np

OTHER_FOLD_DIVERGED = "Another fold of its trial diverged."  # of a member that was well


def describe_divergence(training: Sequence[float], validation: Sequence[float], *, learning_rate: float) -> str:
    """Explain a divergence.

    Args:
        training: the member's training losses, one an epoch; it diverged in the last one.
        validation: its validation losses, likewise.
        learning_rate: at the last step of that epoch.
    """
    # What diverges in training, which comes first, has no validation loss either.
    part, losses = ("validation", validation) if np.isfinite(training[-1]) else ("training", training)
    finite = [loss for loss in losses if np.isfinite(loss)]
    last = f"the last finite one was {finite[-1]:.4g}" if finite else "it never was"
    return (
        f"Diverged in epoch {len(losses) - 1} at learning rate {learning_rate:.4g}: the {part} loss is not finite; "
        f"{last}. "
        "Try a smaller optimizer.lr."
    )
