import numpy as np
import polars as pl
import pytest

from pipelines.data.profile import ColumnProfile, iso_date, profile_columns, raw_value
from pipelines.data.table import Column, Table, Target

NAN = float("nan")


def profile(kind, values, *, n_train=None) -> ColumnProfile:
    dtype = pl.String if kind == "categorical" else pl.Float64
    features = pl.DataFrame({"c": pl.Series(values, dtype=dtype)})
    table = Table("t", (Column("c", kind),), features, Target("y", "regression", (), ""), np.zeros(len(values)))
    (only,) = profile_columns(table, np.arange(n_train or len(values)))
    return only


def described(kind, **changes) -> ColumnProfile:
    plain = {"nullable": False, "minimum": None, "maximum": None, "integer": False, "categories": (), "example": None}
    return ColumnProfile(name="c", kind=kind, **plain | changes)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (
            "numeric",
            [NAN, 2.0, -1.0],
            {"nullable": True, "minimum": -1.0, "maximum": 2.0, "integer": True, "example": 2},
        ),
        ("numeric", [2.5, 3.0], {"minimum": 2.5, "maximum": 3.0, "example": 2.5}),
        ("boolean", [NAN, 1.0], {"nullable": True, "integer": True, "example": True}),
        (
            "date",
            [1.0, 0.0],
            {"minimum": "1970-01-01", "maximum": "1970-01-02", "integer": True, "example": "1970-01-02"},
        ),
        ("categorical", ["", "b", "a"], {"nullable": True, "categories": ("a", "b"), "example": "b"}),
        ("categorical", ["b", "a"], {"categories": ("a", "b"), "example": "b"}),
    ],
)
def test_a_column_is_described_by_what_is_known_of_it(kind, values, expected):
    assert profile(kind, values) == described(kind, **expected)


@pytest.mark.parametrize("kind", ["numeric", "boolean", "date"])
def test_a_column_that_training_never_saw_filled_has_no_example(kind):
    found = profile(kind, [NAN, NAN, 3.0], n_train=2)
    assert found.nullable
    assert (found.minimum, found.maximum, found.example) == (None, None, None)


def test_held_out_rows_are_not_described():
    assert profile("numeric", [1.0, 2.0, 99.5], n_train=2) == profile("numeric", [1.0, 2.0])
    assert profile("categorical", ["a", "b", "z", ""], n_train=2) == profile("categorical", ["a", "b"])


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0.0, "1970-01-01"),
        (-1.0, "1969-12-31"),
        (19723.25, "2024-01-01T06:00:00.000+00:00"),
        (19723.416666666668, "2024-01-01T10:00:00.000+00:00"),
    ],
)
def test_days_are_written_as_iso_dates(days, text):
    assert iso_date(days) == text


@pytest.mark.parametrize(
    ("kind", "value", "integer", "expected"),
    [
        ("numeric", 2.0, True, 2),
        ("numeric", 2.0, False, 2.0),
        ("numeric", NAN, True, None),
        ("boolean", 0.0, True, False),
        ("boolean", NAN, True, None),
        ("categorical", "a", False, "a"),
        ("categorical", "", False, None),
        ("date", NAN, False, None),
        ("date", 1.0, True, "1970-01-02"),
    ],
)
def test_a_raw_value_is_what_a_client_would_send(kind, value, integer, expected):
    sent = raw_value(kind, value, integer=integer)
    assert sent == expected
    assert type(sent) is type(expected)
