"""From members of a sweep to a bundle that is proven to answer as they do."""

from pipelines.export.contract import Origin
from pipelines.export.parity import ParityError
from pipelines.export.served import ServedMember, ServedModel, build_served
from pipelines.export.writer import publish_bundle, write_bundle

__all__ = [
    "Origin",
    "ParityError",
    "ServedMember",
    "ServedModel",
    "build_served",
    "publish_bundle",
    "write_bundle",
]
