"""Architectures, one a file, built only from the layers of `pipelines.stack`."""

from pipelines.models.build import build_net
from pipelines.models.custom_check import check_custom_net
from pipelines.models.custom_class import source_version
from pipelines.models.custom_stacking import why_alone
from pipelines.models.inputs import InputFacts, input_facts
from pipelines.models.net import StackedNet, weights_dtype

__all__ = [
    "InputFacts",
    "StackedNet",
    "build_net",
    "check_custom_net",
    "input_facts",
    "source_version",
    "weights_dtype",
    "why_alone",
]
