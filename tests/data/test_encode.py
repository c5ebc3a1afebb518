import math
from importlib import import_module

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from pipelines.data.encode import (
    YEAR_DAYS,
    CategoryEncoding,
    CycleEncoding,
    Encoder,
    Features,
    NumberEncoding,
    encode,
    encode_parts,
    fit_encoder,
)
from pipelines.data.table import Column, Table, Target

KINDS = {"size": "numeric", "open": "boolean", "day": "date", "city": "categorical"}
NAN = float("nan")
NUMBERS = st.floats(-1e6, 1e6) | st.just(NAN)
ROWS = st.lists(
    st.tuples(NUMBERS, st.sampled_from([0.0, 1.0, NAN]), st.integers(0, 20_000).map(float), st.sampled_from("abcé ")),
    min_size=4,
    max_size=40,
)


def table(rows) -> Table:
    features = pl.DataFrame(
        {name: [row[place] for row in rows] for place, name in enumerate(KINDS)},
        schema={name: pl.String if kind == "categorical" else pl.Float64 for name, kind in KINDS.items()},
    )
    columns = tuple(Column(name, kind) for name, kind in KINDS.items())
    return Table("t", columns, features, Target("y", "regression", (), ""), np.zeros(len(rows)))


def of(kind: str, values: list, train: list[int]) -> Encoder:
    dtype = pl.String if kind == "categorical" else pl.Float64
    features = pl.DataFrame({"c": pl.Series(values, dtype=dtype)})
    only = Table("t", (Column("c", kind),), features, Target("y", "regression", (), ""), np.zeros(len(values)))
    return fit_encoder(only, np.array(train))


def encoded(encoder: Encoder, values: list) -> np.ndarray:
    return encode(encoder, pl.DataFrame({"c": pl.Series(values, strict=False)})).numbers


@given(ROWS, st.data())
def test_encoding_a_choice_of_rows_is_that_choice_of_the_encoding(rows, data):
    whole = table(rows)
    encoder = fit_encoder(whole, np.arange(len(rows) // 2))
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    everything = encode(encoder, whole.features)
    assert everything.numbers.dtype == np.float32
    assert everything.codes.dtype == np.int32
    assert_encodes(encode(encoder, whole.features[chosen]), everything, chosen)


@given(ROWS, st.data())
def test_parts_of_one_pass_are_those_choices_of_the_encoding(rows, data):
    whole = table(rows)
    encoder = fit_encoder(whole, np.arange(len(rows) // 2))
    choice = st.lists(st.integers(0, len(rows) - 1)).map(lambda places: np.array(sorted(places), dtype=np.int64))
    parts = data.draw(st.lists(choice, max_size=3))
    everything = encode(encoder, whole.features)
    encoded = encode_parts(encoder, whole.features, parts)
    assert len(encoded) == len(parts)
    for part, chosen in zip(encoded, parts, strict=True):
        assert_encodes(part, everything, chosen)


def assert_encodes(part: Features, everything: Features, chosen: np.ndarray) -> None:
    np.testing.assert_allclose(part.numbers, everything.numbers[chosen], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(part.codes, everything.codes[chosen])
    assert part.numbers.flags.writeable
    assert part.codes.flags.writeable


def test_rows_of_a_part_must_ascend():
    whole = table([(1.0, 0.0, 10.0, "a")] * 4)
    with pytest.raises(ValueError, match="ascending"):
        encode_parts(fit_encoder(whole, np.arange(4)), whole.features, [np.array([2, 1])])


def test_portions_of_a_large_table_are_put_together_in_order(monkeypatch):
    rows = [(float(place), float(place % 2), float(place), "abc"[place % 3]) for place in range(50)]
    whole = table(rows)
    encoder = fit_encoder(whole, np.arange(30))
    at_once = encode(encoder, whole.features)
    parts = [np.arange(0, 50, 3), np.arange(20, 28), np.empty(0, dtype=np.int64)]
    # The package gives its function `encode` the name of this module.
    monkeypatch.setattr(import_module("pipelines.data.encode"), "PORTION_ROWS", 7)
    found = [encode(encoder, whole.features), *encode_parts(encoder, whole.features, parts)]
    for part, chosen in zip(found, (np.arange(50), *parts), strict=True):
        np.testing.assert_array_equal(part.numbers, at_once.numbers[chosen])
        np.testing.assert_array_equal(part.codes, at_once.codes[chosen])


def test_numbers_are_divided_as_polars_divides_a_column():
    values = np.random.default_rng(0).normal(3.0, 7.0, 1000)
    encoder = of("numeric", values.tolist(), list(range(500)))
    (number,) = encoder.numbers
    column = pl.Series("c", values)
    expected = ((column - number.center) / number.scale).cast(pl.Float32).to_numpy()
    np.testing.assert_array_equal(encode(encoder, column.to_frame()).numbers[:, 0], expected)


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_held_out_rows_never_change_the_encoder(train, held_out, random):
    train_rows = np.arange(len(train))
    alone = fit_encoder(table(train), train_rows)
    assert fit_encoder(table(train + held_out), train_rows) == alone
    places = list(range(len(train) + len(held_out)))
    random.shuffle(places)
    shuffled = table([(train + held_out)[place] for place in places])
    where = np.array([places.index(place) for place in range(len(train))])
    again = fit_encoder(shuffled, where)
    assert (again.cycles, again.categories) == (alone.cycles, alone.categories)
    for number, expected in zip(again.numbers, alone.numbers, strict=True):  # sums round in the order of the rows
        assert (number.column, number.indicator) == (expected.column, expected.indicator)
        found, known = ((own.fill, own.center, own.scale) for own in (number, expected))
        assert found == pytest.approx(known, rel=1e-9, abs=1e-9)


@given(ROWS)
def test_every_feature_is_finite_whatever_is_missing(rows):
    whole = table(rows)
    features = encode(fit_encoder(whole, np.arange(2)), whole.features)
    assert np.isfinite(features.numbers).all()


def test_numbers_are_standardised_by_the_training_rows_alone():
    encoder = of("numeric", [1.0, 3.0, NAN, 1000.0], [0, 1])
    assert encoder.numbers == (NumberEncoding("c", fill=2.0, center=2.0, scale=1.0, indicator=False),)
    assert encoded(encoder, [0.0, 5.0, None, NAN]).tolist()[:2] == [[-2.0], [3.0]]


def test_missing_numbers_become_the_mean_and_an_indicator():
    encoder = of("numeric", [2.0, 6.0, NAN, 4.0], [0, 1, 2])
    assert encoder.numbers == (NumberEncoding("c", fill=4.0, center=4.0, scale=2.0, indicator=True),)
    assert encoder.n_numbers == 2
    assert encoded(encoder, [NAN, 8.0]).tolist() == [[0.0, 1.0], [2.0, 0.0]]


def test_missing_numbers_that_training_never_saw_become_the_mean():
    assert encoded(of("numeric", [2.0, 6.0], [0, 1]), [NAN]).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("numeric", [5.0, 5.0, 5.0]),
        ("numeric", [0.1] * 7),
        ("numeric", [1e9, 1e9 + 1e-6]),
        ("numeric", [1e-40, 3e-40]),
        ("date", [20_000.1] * 7),
    ],
)
def test_what_training_saw_one_value_of_tells_nothing_whatever_comes_later(kind, values):
    encoder = of(kind, values, list(range(len(values))))
    assert encoded(encoder, [*values, 0.0, 1e6, NAN]).tolist() == [[0.0]] * (len(values) + 3)


@pytest.mark.parametrize("kind", ["numeric", "boolean", "date"])
def test_a_column_that_training_never_saw_filled_tells_nothing_whatever_comes_later(kind):
    assert encoded(of(kind, [NAN, NAN, 1.0], [0, 1]), [NAN, 0.0, 1.0]).tolist() == [[0.0]] * 3


@pytest.mark.parametrize("kind", ["numeric", "boolean", "date"])
def test_of_one_value_and_missing_ones_the_indicator_alone_tells(kind):
    assert encoded(of(kind, [1.0, NAN, 0.0], [0, 1]), [NAN, 1.0, 0.0]).tolist() == [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_boolean_that_training_saw_one_value_of_tells_nothing():
    assert encoded(of("boolean", [1.0, 1.0, 0.0], [0, 1]), [0.0, NAN, 1.0]).tolist() == [[0.0]] * 3


def test_a_time_that_is_always_the_same_place_in_a_cycle_is_no_feature_of_it():
    mondays_at_eight = [4 + 7 * week + 1 / 3 for week in range(2600, 2640)]
    assert of("date", mondays_at_eight, list(range(40))).cycles == (CycleEncoding("c", YEAR_DAYS),)


def test_booleans_are_minus_one_zero_when_missing_and_one():
    assert encoded(of("boolean", [0.0, 1.0], [0, 1]), [0.0, NAN, 1.0]).tolist() == [[-1], [0], [1]]
    encoder = of("boolean", [0.0, NAN, 1.0], [0, 1, 2])
    assert encoded(encoder, [0.0, NAN, 1.0]).tolist() == [[-1, 0], [0, 1], [1, 0]]


def test_numbers_that_leave_float32_are_infinite_without_a_warning():
    assert encoded(of("numeric", [0.0, 2.0], [0, 1]), [1e60, -1e60]).tolist() == [[math.inf], [-math.inf]]


def test_days_have_a_place_in_the_year_and_the_week():
    encoder = of("date", [0.0, 8.0], [0, 1])
    assert encoder.cycles == (CycleEncoding("c", YEAR_DAYS), CycleEncoding("c", 7.0))
    year, week = 2 * math.pi * 3 / 365.2425, 2 * math.pi * 3 / 7
    expected = [(3 - 4) / 4, math.sin(year), math.cos(year), math.sin(week), math.cos(week)]
    np.testing.assert_allclose(encoded(encoder, [3.0])[0], expected, rtol=1e-6)
    np.testing.assert_allclose(encoded(encoder, [3.0 + 7])[0, 3:], expected[3:], atol=1e-6)


def test_moments_have_a_place_in_the_day_too():
    encoder = of("date", [0.0, 1.25], [0, 1])
    assert [cycle.period_days for cycle in encoder.cycles] == [YEAR_DAYS, 7.0, 1.0]
    np.testing.assert_allclose(encoded(encoder, [10.25])[0, -2:], [1.0, 0.0], atol=1e-6)


def test_missing_dates_are_nowhere_in_a_cycle():
    encoder = of("date", [0.0, 1.0, NAN], [0, 1, 2])
    assert encoded(encoder, [NAN]).tolist() == [[0, 1, 0, 0, 0, 0]]


def test_features_stand_in_the_order_numbers_indicators_cycles():
    whole = table([(1.0, 0.0, 10.0, "a"), (NAN, NAN, 12.0, "b"), (3.0, 1.0, 11.0, "a")])
    encoder = fit_encoder(whole, np.arange(3))
    assert [number.column for number in encoder.numbers] == ["size", "open", "day"]
    assert encoder.n_numbers == 3 + 2 + 4
    row = encode(encoder, whole.features).numbers[1]
    np.testing.assert_allclose(row[:5], [0, 0, math.sqrt(1.5), 1, 1], rtol=1e-6)
    np.testing.assert_allclose(row[5], math.sin(2 * math.pi * 12 / YEAR_DAYS), rtol=1e-6)


def test_labels_have_codes_from_one_and_unseen_ones_zero():
    encoder = of("categorical", ["b", "a", "b", "c", ""], [0, 1, 2])
    assert encoder.categories == (CategoryEncoding("c", ("a", "b")),)
    assert encoder.cardinalities == (2,)
    codes = encode(encoder, pl.DataFrame({"c": ["a", "b", "c", "", "b"]})).codes
    assert codes.tolist() == [[1], [2], [0], [0], [2]]


def test_a_missing_label_is_a_label_when_training_saw_it():
    encoder = of("categorical", ["b", "", "b"], [0, 1, 2])
    assert encoder.categories[0].categories == ("", "b")
    assert encode(encoder, pl.DataFrame({"c": ["", "b"]})).codes.tolist() == [[1], [2]]
