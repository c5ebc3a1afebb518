"""The model that MLflow loads and serves: raw columns in, predictions out.

MLflow copies this file beside the bundle and runs the copy ("models from code"). There, neither `pipelines` nor
`serving` is installed: it needs mlflow, numpy, onnxruntime and pandas, and the bundle's two files.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

# Read at its import: or else it tells its makers, by way of a database in the user's folder, what it is used for.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

EPOCH = pd.Timestamp("1970-01-01", tz="UTC")
DAY = pd.Timedelta(days=1)


class ScoringModel(PythonModel):
    """Predicts from the columns that the bundle's contract names; further columns are ignored."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle that MLflow has put at `context.artifacts["bundle"]`."""
        bundle = Path(context.artifacts["bundle"])
        self.contract = json.loads((bundle / "contract.json").read_text(encoding="utf-8"))
        self.session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])

    # The one hint stops MLflow from asking for hints; from any other it would make a schema of its own.
    def predict(self, context, model_input: pd.DataFrame, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return one row a row.

        `prediction` is the value or the label of the likeliest class; for classes, `probability_<class>` follows
        for each.

        Raises:
            ValueError: a column is missing, has a value of another type, or a missing value that training never saw.
        """
        inputs = {column["name"]: _values(column, model_input) for column in self.contract["columns"]}
        (predictions,) = self.session.run(["prediction"], inputs)  # [N, P]
        classes = self.contract["target"]["classes"]
        if not classes:
            return pd.DataFrame({"prediction": predictions[:, 0]}, index=model_input.index)
        labels = np.asarray(classes, dtype=object)[predictions.argmax(axis=1)]
        probabilities = {f"probability_{label}": predictions[:, place] for place, label in enumerate(classes)}
        return pd.DataFrame({"prediction": labels, **probabilities}, index=model_input.index)


def _values(column: dict[str, Any], table: pd.DataFrame) -> np.ndarray:
    """Turn a column into what the ONNX graph takes: float64 or string, [N, 1]."""
    name = column["name"]
    if name in table:
        given = table[name]
    elif column["nullable"]:
        given = pd.Series([None] * len(table), dtype=object)
    else:
        raise ValueError(f"Column {name!r} is missing.")
    if not column["nullable"] and given.isna().any():
        raise ValueError(f"Column {name!r} has missing values; there were none in training.")
    try:
        return CONVERSIONS[column["kind"]](given).reshape(-1, 1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {name!r} must be {column['kind']}: {error}") from error


def _numbers(given: pd.Series) -> np.ndarray:
    return pd.to_numeric(given.astype(object)).to_numpy(dtype=np.float64, na_value=np.nan)


def _truths(given: pd.Series) -> np.ndarray:
    truths = given.astype(object).map({True: 1.0, False: 0.0})
    if (strange := given[truths.isna() & given.notna()]).size:
        raise ValueError(f"{strange.iloc[0]!r} is neither true nor false")
    return truths.to_numpy(dtype=np.float64, na_value=np.nan)


def _labels(given: pd.Series) -> np.ndarray:
    return np.asarray(["" if missing else str(label) for label, missing in zip(given, given.isna(), strict=True)])


def _days(given: pd.Series) -> np.ndarray:
    """Days since 1970-01-01 with a fraction for the time of day; UTC where no offset is given."""
    moments = pd.to_datetime(given.astype(object), utc=True, format="ISO8601")
    return ((moments - EPOCH) / DAY).to_numpy(dtype=np.float64, na_value=np.nan)


CONVERSIONS = {"numeric": _numbers, "boolean": _truths, "categorical": _labels, "date": _days}

set_model(ScoringModel())
