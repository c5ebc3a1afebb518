"""Which table, which columns, which rows."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.schema.ranges import Fraction, Group, Rate, Seed, Times

BuiltinName = Literal["diabetes", "breast_cancer", "wine", "iris", "digits", "ice_cream", "exam"]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Group):
    """Which table, which columns, and how its rows are divided."""

    source: BuiltinName | Literal["table"]
    name: str | None  # of the experiment and the registered model; None: the source, or the file's stem
    path: str | None = None  # of the user's own file, for source=table
    target: str | None = None
    drop: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    group: str | None  # rows that share a value stay in one part
    time: str | None  # the newest rows are the test part
    folds: Times  # of the rows beside the test part, each held out once; 0: one validation part
    validation_fraction: Fraction
    test_fraction: Fraction
    calibration_fraction: Rate  # of the validation part
    split_seed: Seed
