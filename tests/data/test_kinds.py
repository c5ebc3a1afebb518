from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from pipelines.data.kinds import check_names, read_column
from pipelines.data.table import as_numbers
from pipelines.errors import UserError


def read(values, *, forced=None, dtype=None):
    column, raw = read_column(pl.Series("c", values, dtype=dtype), origin="FILE", forced=forced)
    assert column.name == "c"
    return column.kind, raw.to_list() if column.kind == "categorical" else as_numbers(raw).to_list()


def message(values, *, forced=None, dtype=None) -> str:
    with pytest.raises(UserError) as caught:
        read(values, forced=forced, dtype=dtype)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2, 3], pl.Int64),
        ([1, 2, 3], pl.UInt8),
        ([1, 2, 3], pl.UInt64),
        ([1.0, 2.0, 3.0], pl.Float32),
        ([Decimal("1.00"), Decimal(2), Decimal("3.0")], pl.Decimal(10, 2)),
        (["1", " 2 ", "3e0"], pl.String),
    ],
)
def test_numbers_of_every_type_are_numeric(values, dtype):
    assert read(values, dtype=dtype) == ("numeric", [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([1, None], pl.Int32, "numeric"),
        ([1.0, float("nan")], pl.Float64, "numeric"),
        ([1.0, None], pl.Float64, "numeric"),
        ([True, None], pl.Boolean, "boolean"),
        (["TRUE", None], pl.String, "boolean"),
        ([date(1970, 1, 2), None], pl.Date, "date"),
        (["1970-01-02", None], pl.String, "date"),
        (["1970-01-02T00:00", None], pl.String, "date"),
    ],
)
def test_missing_numbers_booleans_and_dates_are_nan(values, dtype, kind):
    found, raw = read(values, dtype=dtype)
    assert found == kind
    np.testing.assert_array_equal(raw, [1.0, np.nan])


@pytest.mark.parametrize("values", [[True, False], ["true", "false"], ["True", "FALSE"]])
def test_booleans_are_one_and_zero(values):
    assert read(values) == ("boolean", [1.0, 0.0])


def test_labels_keep_their_text_and_missing_is_the_empty_one():
    assert read(["a", None, "B c"]) == ("categorical", ["a", "", "B c"])
    assert read(["x", "y"], dtype=pl.Categorical) == ("categorical", ["x", "y"])
    assert read(["x", "y"], dtype=pl.Enum(["y", "x"])) == ("categorical", ["x", "y"])


@pytest.mark.parametrize("stray", ["word", "2024-01-01", "true"])
def test_one_stray_value_after_many_makes_labels(stray):
    assert read([*map(str, range(300)), stray])[0] == "categorical"
    assert read(["2024-01-02"] * 300 + [stray])[0] == ("date" if stray.startswith("2024") else "categorical")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-01", 0.0),
        ("1969-12-31", -1.0),
        ("2000-02-29", 11016.0),
        ("1970-01-02 06:00", 1.25),
        ("1970-01-02T06:00:00", 1.25),
        ("1970-01-02T06:00:00Z", 1.25),
        ("1970-01-02T06:00:00+00:00", 1.25),
        ("1970-01-02T06:00:00+0600", 1.0),
        ("1970-01-01T23:30:00-00:30", 1.0),
        ("1970-01-01T12:00:00.000", 0.5),
    ],
)
def test_dates_are_days_since_1970_in_utc(text, days):
    assert read([text, text]) == ("date", [days, days])


def test_dates_with_and_without_a_time_of_day_mix():
    assert read(["1970-01-02", "1970-01-02 06:00:00"]) == ("date", [1.0, 1.25])


@pytest.mark.parametrize("time_unit", ["ms", "us", "ns"])
def test_typed_moments_are_days_whatever_their_unit_and_zone(time_unit):
    moment = datetime(1970, 1, 2, 6)  # noqa: DTZ001  a moment without a zone is the case
    assert read([moment], dtype=pl.Datetime(time_unit)) == ("date", [1.25])
    aware = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=2)))
    assert read([aware], dtype=pl.Datetime(time_unit, "Europe/Berlin")) == ("date", [1.25])


WAYS_TO_WRITE_MOMENTS = {
    "1970-01-02": 1.0,
    "1970-01-02 06:00": 1.25,
    "1970-01-02T06:00:00": 1.25,
    "1970-01-02 06:00:00.500": 108_000_500 / 86_400_000,
    "1970-01-02T06:00Z": 1.25,
    "1970-01-02 06:00:00Z": 1.25,
    "1970-01-02T06:00:00.500Z": 108_000_500 / 86_400_000,
    "1970-01-02T06:00-06:00": 1.5,
    "1970-01-02 06:00:00+0600": 1.0,
}


@pytest.mark.parametrize("first", WAYS_TO_WRITE_MOMENTS)
def test_moments_are_read_alike_however_others_of_the_column_are_written(first):
    for other, days in WAYS_TO_WRITE_MOMENTS.items():
        kind, found = read([None, first, other])
        assert kind == "date"
        np.testing.assert_allclose(found, [np.nan, WAYS_TO_WRITE_MOMENTS[first], days], rtol=1e-15)


def test_a_day_that_the_calendar_lacks_is_named_by_its_row():
    assert message(["2024-02-29", "2023-02-29"]) == (
        "FILE, column 'c', row 2: '2023-02-29' is no date of the calendar."
    )
    assert "row 2: '2024-01-01T25:00'" in message(["2024-01-01T10:00", "2024-01-01T25:00"])


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([501, 502, None], ["501", "502", ""]),
        ([501.0, 502.0, None], ["501", "502", ""]),
        ([501.0, 502.0, float("nan")], ["501", "502", ""]),
        ([0.5, 1.0, None], ["0.5", "1.0", ""]),
        ([True, False], ["true", "false"]),
        (["2024-01-01", None], ["2024-01-01", ""]),
    ],
)
def test_what_is_forced_to_labels_keeps_its_text(values, labels):
    assert read(values, forced="categorical") == ("categorical", labels)


@pytest.mark.parametrize(("number", "label"), [(1e300, "1e+300"), (float("inf"), "inf")])
def test_a_label_that_is_no_64_bit_number_is_not_missing(number, label):
    assert read([number, 1.0], forced="categorical") == ("categorical", [label, "1.0"])


def test_what_is_forced_to_numbers_must_be_numbers():
    assert read(["1", None], forced="numeric")[0] == "numeric"
    assert read([True, False], forced="numeric") == ("numeric", [1.0, 0.0])
    assert message(["1", "two", "three"], forced="numeric") == (
        "FILE, column 'c': 2 values are not numbers, first 'two' in row 2. Mend them, or use data.categorical=[c]."
    )


@pytest.mark.parametrize("values", [[None, None], [float("nan"), None]])
@pytest.mark.parametrize("forced", [None, "numeric", "categorical"])
def test_a_column_without_a_value_is_refused(values, forced):
    text = message(values, forced=forced, dtype=pl.Float64)
    assert text == "FILE, column 'c': every value is missing. Leave it out with data.drop=[c]."


@pytest.mark.parametrize("values", [[1.0, float("inf"), float("-inf")], ["1", "inf", "-inf"]])
def test_infinite_values_are_named_by_their_row(values):
    assert message(values) == (
        "FILE, column 'c': 2 infinite values, first in row 2. Replace them by a number or leave them empty."
    )


def test_a_hundred_thousand_labels_are_refused():
    assert message([f"label {place}" for place in range(100_000)]) == (
        "FILE, column 'c': 100,000 different labels, more than 1,000. Leave it out with data.drop=[c]."
    )
    assert message(list(range(100_000)), forced="categorical").endswith("or use data.numeric=[c].")


@pytest.mark.parametrize("forced", [None, "categorical", "numeric"])
@pytest.mark.parametrize(
    ("values", "kind"), [([[1], [2]], "List(Int64)"), ([{"a": 1}], "Struct({'a': Int64})"), ([b"\xff"], "Binary")]
)
def test_a_value_that_is_no_single_thing_is_refused(values, kind, forced):
    assert message(values, forced=forced) == (
        f"FILE, column 'c': {kind} values are not understood. Leave it out with data.drop=[c]."
    )


@pytest.mark.parametrize("field", ["data.drop", "data.categorical", "data.numeric", "data.target"])
def test_names_that_are_no_columns_come_with_near_ones(field):
    columns = ["price", "size", "city"]
    check_names(field, ["price", "city"], columns=columns, origin="FILE")
    with pytest.raises(UserError) as caught:
        check_names(field, ["Prise", "city", "zzz"], columns=columns, origin="FILE")
    assert str(caught.value) == (
        f"{field} names no column of FILE: 'Prise' (did you mean 'price'?); 'zzz'. Columns: price, size, city."
    )


def test_of_many_columns_twenty_are_listed():
    with pytest.raises(UserError, match=r"c18, c19, \.\.\.\.$"):
        check_names("data.drop", ["none"], columns=[f"c{place}" for place in range(21)], origin="FILE")
