"""Training a stack in Lightning. The doors are `fit`, to the end, and `train_stack`, from one epoch to another."""

from pipelines.training.batches import rows_sitting_out
from pipelines.training.checkpoint import Checkpoint
from pipelines.training.device import Accelerator, Place, check_device, device_here, place_here
from pipelines.training.divergence import OTHER_FOLD_DIVERGED
from pipelines.training.fit import fit, train_stack
from pipelines.training.probe import StackCost, probe_stack, variety
from pipelines.training.progress import Progress, ProgressLine
from pipelines.training.result import MemberResult
from pipelines.training.state import (
    ROOM_FOR_CHECKPOINTS,
    StackState,
    UnreadableStateError,
    load_state,
    save_state,
    state_of_trials,
)
from pipelines.training.timing import Timing

__all__ = [
    "OTHER_FOLD_DIVERGED",
    "ROOM_FOR_CHECKPOINTS",
    "Accelerator",
    "Checkpoint",
    "MemberResult",
    "Place",
    "Progress",
    "ProgressLine",
    "StackCost",
    "StackState",
    "Timing",
    "UnreadableStateError",
    "check_device",
    "device_here",
    "fit",
    "load_state",
    "place_here",
    "probe_stack",
    "rows_sitting_out",
    "save_state",
    "state_of_trials",
    "train_stack",
    "variety",
]
