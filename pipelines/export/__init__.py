"""From members of a sweep to a bundle that is proven to answer as they do, and to the folder that is served."""

from pipelines.export.calibration import calibrate, held_out_coverage
from pipelines.export.contract import Origin
from pipelines.export.onnx_graph import export_model
from pipelines.export.parity import ParityError, RowCountError
from pipelines.export.publishing import (
    check_publishable,
    has_champion,
    newest_published,
    publish_bundle,
    publish_champion,
    publishing,
)
from pipelines.export.served import ServedMember, ServedModel, build_served
from pipelines.export.writer import write_bundle
from serving.bundle import BundleError, Calibration

__all__ = [
    "BundleError",
    "Calibration",
    "Origin",
    "ParityError",
    "RowCountError",
    "ServedMember",
    "ServedModel",
    "build_served",
    "calibrate",
    "check_publishable",
    "export_model",
    "has_champion",
    "held_out_coverage",
    "newest_published",
    "publish_bundle",
    "publish_champion",
    "publishing",
    "write_bundle",
]
