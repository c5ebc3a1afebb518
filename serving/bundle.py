"""The bundle format: a folder with `model.onnx` and `contract.json`, and the one function that opens it.

The reader owns the format, so the serving image needs nothing of training. No pickle, no external data.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

# 1 has no reference distributions, 2 no calibration, no background and no rules; both are still read.
FORMAT_VERSION: Literal[3] = 3
MODEL_FILE = "model.onnx"
CONTRACT_FILE = "contract.json"

Json = str | int | float | bool | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(_Part):
    """How values were distributed in training, to tell when they no longer are.

    Numbers and dates are counted in bins `(-inf, edges[0]], ..., (edges[-1], inf)`, dates as days since 1970-01-01;
    booleans as false and true, labels one by one, in the order of `categories` or of the target's `classes`.
    """

    edges: tuple[float, ...] = ()  # ascending
    shares: tuple[float, ...]  # of all rows, one a bin; what is missing here was missing there


class Rules(_Part):
    """What becomes of a value that is missing, or a label that training did not see.

    A missing value is `filled` with `fill`; or it counts as a category of its own, for training had such rows; or it
    is `refused`, for training had none. `flagged`: the model is told that it was filled. A label that training did
    not see counts as `unknown`, the same for all such labels; columns without labels have no such rule.
    """

    missing: Literal["filled", "category", "refused"]
    fill: Json = None  # a date as ISO 8601; 0.5 of a boolean, midway; None: each member has its own
    flagged: bool = False
    unseen: Literal["unknown"] | None = None


class NumericColumn(_Part):
    """A number; ONNX input `name`: float64 [N, 1], NaN for missing."""

    kind: Literal["numeric"] = "numeric"
    name: str
    nullable: bool  # missing values were seen in training, so null is accepted
    minimum: float  # of the training part
    maximum: float
    integer: bool  # every training value was a whole number
    example: float | None
    reference: Reference | None = None  # none in format 1
    rules: Rules | None = None  # none before format 3


class BooleanColumn(_Part):
    """True or false; ONNX input: float64 [N, 1] of 0 and 1, NaN for missing."""

    kind: Literal["boolean"] = "boolean"
    name: str
    nullable: bool
    example: bool | None
    reference: Reference | None = None
    rules: Rules | None = None


class CategoricalColumn(_Part):
    """One of some labels; ONNX input: string [N, 1], "" for missing. A label not in `categories` counts as unseen."""

    kind: Literal["categorical"] = "categorical"
    name: str
    nullable: bool
    categories: tuple[str, ...]
    example: str | None
    reference: Reference | None = None
    rules: Rules | None = None

    @model_validator(mode="after")
    def _has_a_share_a_category(self) -> Self:
        if self.reference and len(self.reference.shares) != len(self.categories):
            raise ValueError(f"{len(self.reference.shares)} shares of {len(self.categories)} categories")
        return self


class DateColumn(_Part):
    """An ISO 8601 date or date-time, UTC when it has no offset.

    ONNX input: float64 [N, 1] of days since 1970-01-01 with a fraction for the time of day, NaN for missing.
    """

    kind: Literal["date"] = "date"
    name: str
    nullable: bool
    minimum: str
    maximum: str
    example: str | None
    reference: Reference | None = None
    rules: Rules | None = None


Column = Annotated[NumericColumn | BooleanColumn | CategoricalColumn | DateColumn, Field(discriminator="kind")]


class Target(_Part):
    """What is predicted. The ONNX output `prediction` is float32 [N, P]: P = 1, or one probability a class."""

    name: str
    task: Literal["regression", "binary", "multiclass"]
    classes: tuple[str, ...]  # empty for regression
    scale: float | None = Field(default=None, gt=0)  # standard deviation in training; 1 for classes; none in format 1
    reference: Reference | None = None  # predictions for the validation part: of values, or of the likeliest class

    @property
    def n_predictions(self) -> int:
        """P: 1 for regression, one a class otherwise."""
        return len(self.classes) or 1


class Conformal(_Part):
    """Scores of split conformal prediction (Vovk et al. 2005), of rows that fitted and chose nothing.

    `absolute_residual`: |value - prediction| (Lei et al. 2018). `lac`: 1 - the probability of the true class, as it
    was before the temperature, which was chosen by the same rows (Sadinle, Lei and Wasserman 2019).
    Of more rows than `scores` only so many are kept: `scores[i - 1]` is the one of rank ceil(i * rows / len(scores)).
    """

    method: Literal["absolute_residual", "lac"]
    rows: int = Field(ge=1)
    scores: tuple[float, ...] = Field(min_length=1)  # ascending

    @model_validator(mode="after")
    def _is_ascending(self) -> Self:
        if list(self.scores) != sorted(self.scores) or len(self.scores) > self.rows:
            raise ValueError("the scores are not ascending, or more than the rows")
        return self


class Calibration(_Part):
    """How probabilities, intervals and sets of labels were calibrated.

    `temperature` is in the ONNX graph already: what comes out of it is softmax(log p / temperature) of the members'
    mean probabilities p (Guo et al. 2017). The log losses are those of the calibration rows.
    """

    conformal: Conformal
    temperature: float = Field(default=1.0, gt=0)
    log_loss_before: float | None = None  # none of a regression
    log_loss_after: float | None = None


class Member(_Part):
    """A trial that is part of the model, with its weight in the average."""

    run_id: str
    name: str
    weight: float


class Lineage(_Part):
    """Where the model comes from."""

    sweep: str
    data_fingerprint: str
    code_version: str
    created: str  # ISO 8601, UTC
    members: tuple[Member, ...]


class Golden(_Part):
    """A real row and the training side's answer for it: what a reader replays before it trusts a bundle."""

    row: dict[str, Json]
    prediction: tuple[float, ...]  # [P]


class Contract(_Part):
    """All that a reader must know about a model."""

    format_version: Literal[1, 2, 3] = FORMAT_VERSION
    name: str
    columns: tuple[Column, ...]
    target: Target
    metrics: dict[str, dict[str, float]]  # part ("validation", "test") -> metric -> value
    lineage: Lineage
    golden: tuple[Golden, ...]
    calibration: Calibration | None = None  # none before format 3, and where no rows were set aside for it
    background: tuple[dict[str, Json], ...] = ()  # real rows of the training part that contributions are told against
    onnx_sha256: str
    opset: int
    notes: dict[str, Any] = {}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("two columns have one name")
        if (self.target.task == "regression") != (not self.target.classes):
            raise ValueError(f"a {self.target.task} with {len(self.target.classes)} classes")
        if self.calibration and (self.calibration.conformal.method == "lac") != bool(self.target.classes):
            raise ValueError(f"a {self.target.task} calibrated by {self.calibration.conformal.method}")
        if any(row.keys() != set(names) for row in self.background):
            raise ValueError("a background row has other columns than the model")
        for index, golden in enumerate(self.golden):
            if golden.row.keys() != set(names):
                raise ValueError(f"golden row {index} has other columns than the model")
            if len(golden.prediction) != self.target.n_predictions:
                raise ValueError(f"golden row {index} has {len(golden.prediction)} predictions")
        return self


class BundleError(Exception):
    """A bundle that must not be served; the message says which file and why, for the log.

    Attributes:
        reason: why, for callers: without a path of this machine.
    """

    def __init__(self, message: str, *, reason: str = "It cannot be read. The server's log says why.") -> None:
        super().__init__(message)
        self.reason = reason


class PassingError(BundleError):
    """A fault of this machine, such as a full disk, which says nothing about a bundle: it may be tried again."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    Attributes:
        folder: where it lies.
        contract: checked.
        model: bytes of the ONNX file, whose hash the contract confirms.
    """

    folder: Path
    contract: Contract
    model: bytes


def open_bundle(folder: Path) -> Bundle:
    """Read and check a bundle.

    Weights in files beside the ONNX file (external data) are no part of the format, and no hash guards them:
    `predictor` sees to it that ONNX Runtime follows none.

    Raises:
        PassingError: this machine cannot read a file that is there.
        BundleError: a file is missing, of another format version, or not the one the contract names.
    """
    path = folder / CONTRACT_FILE
    try:
        contract = Contract.model_validate_json(path.read_bytes())
        model = (folder / MODEL_FILE).read_bytes()
    except OSError as error:
        kind = BundleError if isinstance(error, FileNotFoundError | NotADirectoryError) else PassingError
        raise kind(f"{error.filename or folder}: cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "contents"
        said = f"{where}: {first['msg']}. It was written by another version, or is broken."
        raise BundleError(f"{path}: {said}", reason=f"The contract: {said}") from error
    if hashlib.sha256(model).hexdigest() != contract.onnx_sha256:
        said = f"its sha256 is not the one in {CONTRACT_FILE}. It was changed or cut off."
        raise BundleError(f"{folder / MODEL_FILE}: {said}", reason=f"The model file: {said}")
    return Bundle(folder, contract, model)
