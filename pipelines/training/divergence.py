"""A member whose loss is no longer a number ends alone; this says so in words."""

from collections.abc import Sequence

import numpy as np

OTHER_FOLD_DIVERGED = "Another fold of its trial diverged."  # of a member that was well


def describe_divergence(losses: Sequence[float], *, learning_rate: float) -> str:
    """Explain a divergence.

    Args:
        losses: the member's training losses, one an epoch; it diverged in the last one.
        learning_rate: at the last step of that epoch.
    """
    finite = [loss for loss in losses if np.isfinite(loss)]
    last = f"the last finite training loss was {finite[-1]:.4g}" if finite else "the training loss never was finite"
    return (
        f"Diverged in epoch {len(losses) - 1} at learning rate {learning_rate:.4g}: the loss is not finite; {last}. "
        "Try a smaller optimizer.lr."
    )
