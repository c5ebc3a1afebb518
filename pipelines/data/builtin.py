"""Tables that need no file: five of scikit-learn's, and two synthetic ones whose truth is known."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from pipelines.config.schema import BuiltinName

# sales = 10 temperature - 2 humidity + 20 discount + 4, in the columns' own units
ICE_CREAM_COEFFICIENTS = {"intercept": 4.0, "temperature": 10.0, "humidity": -2.0, "discount": 20.0}
ICE_CREAM_NOISE = 0.25  # standard deviation, in sales: small enough that 600 rows find even the intercept to 2%
EXAM_COEFFICIENTS = {"intercept": -9.0, "lectures": 0.5, "project_hours": 0.12}  # log-odds of passing


def load_builtin(name: BuiltinName) -> tuple[pl.DataFrame, str]:
    """A table and the name of its target column; the same rows each time."""
    makers: Mapping[str, Callable[[], tuple[pl.DataFrame, str]]] = {
        "diabetes": _diabetes,
        "breast_cancer": lambda: _classes("load_breast_cancer", target="diagnosis"),
        "wine": lambda: _classes("load_wine", target="cultivar"),
        "iris": lambda: _classes("load_iris", target="species"),
        "digits": lambda: _classes("load_digits", target="digit"),
        "ice_cream": _ice_cream,
        "exam": _exam,
    }
    return makers[name]()


def _diabetes() -> tuple[pl.DataFrame, str]:
    from sklearn.datasets import load_diabetes  # noqa: PLC0415  0.8 s that tables from files need not pay

    bunch: Any = load_diabetes(scaled=False)
    return _frame(bunch.data, bunch.feature_names).with_columns(progression=pl.Series(bunch.target)), "progression"


def _classes(loader: str, *, target: str) -> tuple[pl.DataFrame, str]:
    from sklearn import datasets  # noqa: PLC0415  likewise

    bunch: Any = getattr(datasets, loader)()
    labels = np.asarray(bunch.target_names).astype(str)[bunch.target]
    return _frame(bunch.data, bunch.feature_names).with_columns(pl.Series(target, labels)), target


def _frame(values: np.ndarray, names: Iterable[str]) -> pl.DataFrame:
    plain = [re.sub(r"\W+", "_", name).strip("_") for name in names]
    return pl.DataFrame(np.asarray(values, dtype=np.float64), schema=plain)


def _ice_cream() -> tuple[pl.DataFrame, str]:
    """Sales of an ice-cream stand: degrees Celsius, per cent, and a discount in units of money."""
    generator = np.random.default_rng(1)
    columns = {
        "temperature": generator.uniform(15, 38, 1000).round(1),
        "humidity": generator.uniform(20, 90, 1000).round(0),
        "discount": generator.uniform(0, 3, 1000).round(2),
    }
    truth = _linear(columns, ICE_CREAM_COEFFICIENTS)
    return pl.DataFrame(columns | {"sales": truth + generator.normal(0, ICE_CREAM_NOISE, 1000)}), "sales"


def _exam() -> tuple[pl.DataFrame, str]:
    """Passing an exam, by lectures attended (of 15) and hours spent on the project."""
    generator = np.random.default_rng(2)
    columns = {
        "lectures": generator.integers(0, 16, 600).astype(np.float64),
        "project_hours": generator.uniform(0, 80, 600).round(1),
    }
    chance = 1 / (1 + np.exp(-_linear(columns, EXAM_COEFFICIENTS)))
    passed = np.where(generator.random(600) < chance, "pass", "fail")
    return pl.DataFrame(columns | {"result": passed}), "result"


def _linear(columns: Mapping[str, np.ndarray], coefficients: Mapping[str, float]) -> np.ndarray:
    total = np.full(len(next(iter(columns.values()))), coefficients["intercept"])
    for name, values in columns.items():
        total = total + coefficients[name] * values
    return total
