"""Architectures, one a file, built only from the layers of `pipelines.stack`."""

from pipelines.models.build import build_net
from pipelines.models.inputs import InputFacts, input_facts
from pipelines.models.net import StackedNet

__all__ = ["InputFacts", "StackedNet", "build_net", "input_facts"]
