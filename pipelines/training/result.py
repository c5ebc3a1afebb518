"""What training leaves of a member: its best weights, its curves and its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.config.schema import MetricName


@dataclass(frozen=True)
class MemberResult:
    """A member when it has ended.

    Attributes:
        failure: None, or why the member ended without a model (epoch, learning rate, last finite loss, what to try).
        epochs: how many it trained.
        best_epoch: from 0; the epoch whose weights are kept.
        weights: of the best epoch, on the CPU: state_dict name -> tensor without the members axis. Empty on failure.
        curves: name -> one value an epoch (`train/loss`, `validation/loss`, `validation/<metric>`, and
            `learning_rate`: of the epoch's last step).
        metrics: every metric of the task on the validation part, best weights, without the prefix `validation/`.
        predictions: on the validation part, best weights, [N, P]. Empty on failure.
    """

    failure: str | None
    epochs: int
    best_epoch: int
    weights: Mapping[str, Tensor]
    curves: Mapping[str, Sequence[float]]
    metrics: Mapping[MetricName, float]
    predictions: np.ndarray


def result_to_plain(result: MemberResult) -> dict[str, Any]:
    """A result as a dictionary of plain values and tensors, for a checkpoint."""
    curves = {name: list(values) for name, values in result.curves.items()}
    mappings = {"weights": dict(result.weights), "curves": curves, "metrics": dict(result.metrics)}
    return vars(result) | mappings | {"predictions": torch.from_numpy(result.predictions)}


def result_from_plain(plain: Mapping[str, Any]) -> MemberResult:
    """Undo `result_to_plain`."""
    return MemberResult(**{**plain, "predictions": plain["predictions"].numpy()})
