"""Hydra's configuration as a plain container."""

import pytest
from omegaconf import OmegaConf

from pipelines.config.plain import plain_values
from pipelines.errors import UserError


def test_interpolations_are_resolved_and_lists_are_plain():
    config = OmegaConf.create({"a": {"b": [1, 2]}, "c": "${a.b}"})

    assert plain_values(config) == {"a": {"b": [1, 2]}, "c": [1, 2]}


def test_a_value_that_must_be_given_stays():
    assert plain_values(OmegaConf.create({"a": "???"})) == {"a": "???"}


def test_an_interpolation_without_an_end_is_told():
    with pytest.raises(UserError, match=r"^tracking\.uri cannot be resolved: .*'NOWHERE' not found.*$"):
        plain_values(OmegaConf.create({"tracking": {"uri": "${oc.env:NOWHERE}"}}))
