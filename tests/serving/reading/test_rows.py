from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serving.bundle import open_bundle
from serving.reading.rows import columns_from_rows, days_since_1970
from tests.serving.bundles import PATIENT_ROW, publish_patients

MIDNIGHT = {"1970-01-01": 0.0, "1969-12-31": -1.0, "2000-03-01": 11_017.0, "2024-05-31T00:00:00Z": 19_874.0}


@pytest.mark.parametrize(("text", "days"), MIDNIGHT.items())
def test_a_date_is_days_since_1970(text: str, days: float):
    assert days_since_1970(text) == days


def test_an_offset_is_taken_off_and_without_one_a_time_is_utc():
    assert days_since_1970("1970-01-02T02:00:00+02:00") == days_since_1970("1970-01-02T00:00:00") == 1.0
    assert days_since_1970("1970-01-01T06:00:00") == 0.25


@given(st.datetimes())
def test_any_moment_is_days_since_1970_as_numpy_counts_them(moment):
    expected = (np.datetime64(moment) - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    assert days_since_1970(moment.isoformat()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("text", ["", "yesterday", "2023-02-29", "12", "2024-05-31 noon"])
def test_what_is_no_date_is_refused(text: str):
    with pytest.raises(ValueError):
        days_since_1970(text)


def test_rows_become_columns_with_missing_values_as_the_model_wants_them(tmp_path: Path):
    contract = open_bundle(publish_patients(tmp_path)).contract
    columns = columns_from_rows(contract, [PATIENT_ROW | {"smoker": True, "city": 7}, PATIENT_ROW | {"city": None}])
    assert columns["city"].tolist() == ["7", ""]
    assert columns["smoker"].tolist() == [1.0, 0.0]
    assert np.isnan(columns["blood pressure"]).all()
    assert np.isnan(columns["left"]).all()
    assert {name: own.dtype.kind for name, own in columns.items() if own.dtype.kind != "f"} == {
        "city": "O",
        "ward": "O",
    }
