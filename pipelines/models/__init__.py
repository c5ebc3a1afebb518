"""Architectures, one a file, built only from `pipelines.stack.layers`."""

from pipelines.models.build import build_net
from pipelines.models.net import StackedNet

__all__ = ["StackedNet", "build_net"]
