"""From a file to encoded parts: every format reads equal, kinds are recognised, nothing leaks, raw rows come back."""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from pipelines.data import encode, fit_encoder, prepare_table, raw_rows
from pipelines.data.prepare import PreparedTable
from pipelines.data.splits import split_groups, split_rows, split_time
from tests.data.files import mixed_frame, table_config

SHARED = Path(__file__).parents[3] / "shared" / "data"
FORMATS = [
    f"{base}{packed}" for base in (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")
]


def write(frame: pl.DataFrame, path: Path) -> None:
    base = path.suffixes[0]
    content = io.BytesIO()
    if base in (".csv", ".tsv"):
        frame.write_csv(content, separator="," if base == ".csv" else "\t")
    elif base == ".parquet":
        frame.write_parquet(content)
    else:
        frame.write_ndjson(content)
    packing = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if packing is None:
        path.write_bytes(content.getvalue())
        return
    with pa.CompressedOutputStream(str(path), packing) as stream:
        stream.write(content.getvalue())


def prepared(folder: Path, frame: pl.DataFrame, name: str = "houses.parquet", **changes: Any) -> PreparedTable:
    write(frame, folder / name)
    return prepare_table(table_config(folder / name, "price", **changes), "auto")


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_table(tmp_path: Path, ending: str) -> None:
    expected = prepared(tmp_path, mixed_frame())
    found = prepared(tmp_path, mixed_frame(), f"houses{ending}")
    assert found.table.columns == expected.table.columns
    assert found.table.fingerprint == expected.table.fingerprint
    assert found.table.name == "houses"


def test_kinds_are_recognised_and_can_be_forced(tmp_path: Path) -> None:
    table = prepared(tmp_path, mixed_frame()).table
    assert {column.name: column.kind for column in table.columns} == {
        "size": "numeric",
        "rooms": "numeric",
        "town": "categorical",
        "garden": "boolean",
        "sold": "date",
    }
    assert table.target.reason == "regression: 'price' holds numbers with fractions"
    forced = prepared(tmp_path, mixed_frame(), categorical=("rooms",), drop=("town",))
    assert forced.encoder.categories[0].categories == ("0", "1", "2", "3", "4")
    assert [column.name for column in forced.table.columns] == ["size", "rooms", "garden", "sold"]


def test_whole_numbers_with_gaps_are_the_same_labels(tmp_path: Path) -> None:
    frame = mixed_frame().with_columns(rooms=pl.col("rooms").cast(pl.Float64))
    assert prepared(tmp_path, frame, categorical=("rooms",)).encoder.categories[0].categories[0] == "0"


def test_numbers_are_encoded_as_by_hand(tmp_path: Path) -> None:
    own = prepared(tmp_path, mixed_frame())
    size = own.table.features.get_column("size").to_numpy()[own.train.rows]
    known = size[~np.isnan(size)]
    expected = (np.where(np.isnan(size), known.mean(), size) - known.mean()) / known.std()
    np.testing.assert_allclose(own.train.features.numbers[:, 0], expected, rtol=1e-6, atol=1e-6)
    assert set(own.train.features.numbers[:, 2]) == {-1.0, 1.0}, "a boolean is -1 or +1"


def test_a_label_that_training_did_not_hold_has_code_zero(tmp_path: Path) -> None:
    own = prepared(tmp_path, mixed_frame())
    strange = own.table.features.head(2).with_columns(town=pl.lit("Atlantis"))
    assert encode(own.encoder, strange).codes.tolist() == [[0], [0]]


@given(rows=st.lists(st.integers(0, 59), min_size=1, max_size=30))
def test_encoding_some_rows_gives_these_rows_of_the_whole(rows: list[int]) -> None:
    own = WHOLE
    some = encode(own.encoder, own.table.features[rows])
    whole = encode(own.encoder, own.table.features)
    np.testing.assert_array_equal(some.numbers, whole.numbers[rows])
    np.testing.assert_array_equal(some.codes, whole.codes[rows])


@given(seed=st.integers(0, 1000))
def test_held_out_values_never_reach_the_encoder(seed: int) -> None:
    own = WHOLE
    rng = np.random.default_rng(seed)
    held_out = np.concatenate([own.validation.rows, own.test.rows])
    size = own.table.features.get_column("size").to_numpy().copy()
    size[held_out] = rng.normal(1e6, 1e6, len(held_out))
    town = own.table.features.get_column("town").to_list()
    for row in held_out:
        town[row] = f"new {rng.integers(1000)}"
    changed = own.table.features.with_columns(size=pl.Series(size), town=pl.Series(town))
    table = type(own.table)(**vars(own.table) | {"features": changed})
    assert fit_encoder(table, own.train.rows) == own.encoder


def test_raw_rows_survive_json(tmp_path: Path) -> None:
    own = prepared(tmp_path, mixed_frame())
    rows = json.loads(json.dumps(raw_rows(own.table, np.arange(60))))
    assert rows[5]["size"] is None
    assert rows[7]["town"] is None
    assert rows[0] == {"size": 0, "rooms": 0, "town": "Bonn", "garden": True, "sold": "2024-01-31"} | {
        "size": rows[0]["size"]
    }
    assert isinstance(rows[3]["rooms"], int)


def test_the_fingerprint_is_of_the_contents(tmp_path: Path) -> None:
    own = prepared(tmp_path, mixed_frame()).table.fingerprint
    changed = mixed_frame().with_columns(rooms=pl.when(pl.int_range(pl.len()) == 9).then(3).otherwise("rooms"))
    assert prepared(tmp_path, changed).table.fingerprint != own
    write(mixed_frame(), tmp_path / "again.parquet")
    code = (
        "from pathlib import Path; from tests.data.files import table_config; from pipelines.data import prepare_table;"
        f"config = table_config(Path({str(tmp_path / 'again.parquet')!r}), 'price');"
        "print(prepare_table(config, 'auto').table.fingerprint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == own


@given(
    n_rows=st.integers(10, 300),
    n_classes=st.integers(1, 4),
    validation=st.floats(0.1, 0.3),
    test=st.floats(0.1, 0.3),
    seed=st.integers(0, 50),
)
def test_parts_are_disjoint_complete_and_stratified(
    n_rows: int, n_classes: int, validation: float, test: float, seed: int
) -> None:
    strata = np.arange(n_rows) % n_classes
    split = split_rows(n_rows, strata=strata, validation_fraction=validation, test_fraction=test, seed=seed)
    parts = (split.train, split.validation, split.test)
    assert sorted(np.concatenate(parts)) == list(range(n_rows))
    assert all(len(part) for part in parts)
    for part in parts:
        counts = np.bincount(strata[part], minlength=n_classes)
        expected = np.bincount(strata) * len(part) / n_rows
        assert np.abs(counts - expected).max() <= 2
    again = split_rows(n_rows, strata=strata, validation_fraction=validation, test_fraction=test, seed=seed)
    assert all(np.array_equal(one, two) for one, two in zip(vars(split).values(), vars(again).values(), strict=True))


@given(
    groups=st.lists(st.integers(0, 12), min_size=10, max_size=200).filter(lambda own: len(set(own)) >= 3),
    seed=st.integers(0, 20),
)
def test_a_group_is_in_one_part_alone(groups: list[int], seed: int) -> None:
    values = np.array(groups)
    split = split_groups(values, validation_fraction=0.2, test_fraction=0.2, seed=seed)
    parts = (split.train, split.validation, split.test)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    assert sum(len(set(values[part])) for part in parts) == len(set(groups))


@given(times=st.lists(st.integers(0, 50), min_size=10, max_size=200))
def test_nothing_is_trained_on_that_is_newer_than_the_test_part(times: list[int]) -> None:
    values = np.array(times)
    split = split_time(values, validation_fraction=0.2, test_fraction=0.2)
    assert values[split.train].max() <= values[split.validation].min()
    assert values[split.validation].max() <= values[split.test].min()


@pytest.mark.skipif(not SHARED.exists(), reason="the real tables lie beside the repository, not in it")
@pytest.mark.parametrize(("name", "target", "kind"), [("titanic", "Survived", "binary"), ("adult", "income", "binary")])
def test_real_tables_are_read(name: str, target: str, kind: str) -> None:
    own = prepare_table(
        table_config(SHARED / f"{name}.csv", target, drop=("Name",) if name == "titanic" else ()), "auto"
    )
    assert own.table.target.kind == kind
    assert np.isfinite(own.train.features.numbers).all()
    assert min(len(part.rows) for part in (own.train, own.validation, own.test)) > 100


def _whole() -> PreparedTable:
    with tempfile.TemporaryDirectory() as folder:
        return prepared(Path(folder), mixed_frame())


WHOLE = _whole()
