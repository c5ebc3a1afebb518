"""What a field takes, in words, and whether it takes a value."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt, MinLen
from hypothesis import given, strategies as st

from pipelines.config import fields
from pipelines.config.schema import AdamConfig, DataConfig, SGDConfig


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[float, Gt(0)], "a number greater than 0"),
        (Annotated[float, Ge(0), Lt(1)], "a number at least 0 and less than 1"),
        (Annotated[int, Ge(1), Le(9)], "a whole number at least 1 and at most 9"),
        (Annotated[float, Gt(0)] | None, "a number greater than 0 or null"),
        (str, "text"),
        (str | None, "text or null"),
        (Literal["a", "b", "c"], "one of a, b, c"),
        (Literal["a"], "a"),
        (tuple[str, ...], "a list of texts"),
        (Mapping[str, Any] | None, "names and values, e.g. {width: 64} or null"),
        (Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)], "a list of 1 or more whole numbers, each at least 1"),
    ],
)
def test_a_field_is_described_in_words(annotation, words):
    assert fields.described(annotation) == words


@pytest.mark.parametrize("group", fields.groups())
def test_every_field_of_the_schema_has_words(group):
    described = [
        fields.described(taken) for owner in fields.groups()[group] for taken in fields.fields_of(owner).values()
    ]

    assert len(described) >= 1
    assert all(described)


@pytest.mark.parametrize(
    ("annotation", "value", "kept"),
    [
        (float, 1, 1.0),
        (int, 3, 3),
        (tuple[str, ...], ["a", "b"], ("a", "b")),
        (tuple[str, ...], [], ()),
        (str | None, None, None),
        (float | None, 2, 2.0),
    ],
)
def test_a_right_value_is_kept(annotation, value, kept):
    checked = fields.checked(annotation, value)

    assert checked == kept
    assert type(checked) is type(kept)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, "1"),
        (float, True),
        (float, float("nan")),
        (float, float("inf")),
        (float, None),
        (int, 1.0),
        (int, False),
        (int, "1"),
        (str, 1),
        (str, None),
        (tuple[str, ...], "ab"),
        (tuple[str, ...], [1]),
        (tuple[int, ...], {"a": 1}),
        (Literal["a"], "b"),
        (Annotated[float, Gt(0)], 0),
        (Annotated[tuple[int, ...], MinLen(1)], []),
    ],
)
def test_a_wrong_value_is_refused(annotation, value):
    with pytest.raises(fields.WrongValueError):
        fields.checked(annotation, value)


@given(value=st.floats() | st.integers(-5, 5) | st.booleans() | st.text(max_size=3) | st.none())
def test_a_rate_is_a_number_from_zero_to_below_one(value):
    is_rate = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
    try:
        fields.checked(Annotated[float, Ge(0), Lt(1)], value)
    except fields.WrongValueError:
        assert not is_rate
    else:
        assert is_rate


def test_a_kind_chooses_the_class_of_its_group():
    assert fields.class_of("optimizer", "adam") is AdamConfig
    assert fields.class_of("optimizer", "adma") is None
    assert fields.class_of("data", "anything") is DataConfig


def test_fields_come_in_the_order_of_the_schema():
    assert list(fields.fields_of(SGDConfig)) == ["lr", "l1", "l2", "clip_norm", "weight_decay", "kind"]


def test_groups_come_in_the_order_of_a_trial():
    assert list(fields.groups()) == [
        "data", "task", "model", "optimizer", "schedule", "stopping", "trainer", "ensemble", "tracking", "engine",
    ]  # fmt: skip
