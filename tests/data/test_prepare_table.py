import json
import subprocess
import sys
import warnings
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, strategies as st

from pipelines.data import encode, prepare_table, raw_rows
from pipelines.data.kinds import read_column
from pipelines.errors import UserError
from tests.data.asking import asked, prepared

REAL = Path(__file__).parents[3] / "shared" / "data"


def people(n_rows: int = 60) -> pl.DataFrame:
    """Every kind of column, each with gaps, and a target of two classes."""
    rng = np.random.default_rng(0)
    gaps = rng.random((5, n_rows)) < 0.15
    age = rng.integers(18, 80, n_rows)
    columns = {
        "age": age.tolist(),
        "fare": rng.normal(30, 10, n_rows).round(2).tolist(),
        "member": (rng.random(n_rows) < 0.5).tolist(),
        "port": np.array(["Bern", "Köln", "Oslo, N"])[rng.integers(0, 3, n_rows)].tolist(),
        "joined": [date(2020, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 900, n_rows)],
    }
    with_gaps = {
        name: [None if gap else value for value, gap in zip(values, gaps[place], strict=True)]
        for place, (name, values) in enumerate(columns.items())
    }
    return pl.DataFrame(with_gaps | {"y": np.where(age > 45, "yes", "no")})


def message(frame: pl.DataFrame, folder: Path, **changes) -> str:
    with pytest.raises(UserError) as caught:
        prepared(frame, folder, **changes)
    return str(caught.value).replace(str(folder / "table.parquet"), "FILE")


@pytest.mark.parametrize(
    ("file", "name"), [("houses.v2.csv", "houses"), ("o'brien 50%.csv", "o_brien 50_"), (" .csv", "table")]
)
def test_a_table_is_named_after_its_file_as_a_model_may_be_called(tmp_path, file, name):
    people().write_csv(tmp_path / file)
    assert prepare_table(asked(path=str(tmp_path / file)), "auto").table.name == name


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_a_table_of_every_kind_is_read_divided_and_encoded(tmp_path, ending):
    path = tmp_path / f"people.{ending}"
    getattr(people(), f"write_{ending}")(path)
    found = prepare_table(asked(path=str(path)), "auto")
    assert found.table.name == "people"
    assert [column.kind for column in found.table.columns] == ["numeric", "numeric", "boolean", "categorical", "date"]
    assert found.table.target.classes == ("no", "yes")
    assert found.table.fingerprint == prepared(people(), tmp_path).table.fingerprint
    parts = (found.train, found.validation, found.test)
    assert [len(part.rows) for part in parts] == [36, 12, 12]
    np.testing.assert_array_equal(np.sort(np.concatenate([part.rows for part in parts])), np.arange(60))
    for part in parts:
        assert part.features.numbers.shape == (len(part.rows), found.encoder.n_numbers)
        assert np.isfinite(part.features.numbers).all()
        np.testing.assert_array_equal(part.target, found.table.target_values[part.rows])
    assert abs(found.train.features.numbers[:, :2].mean(axis=0)).max() < 1e-6


def test_parts_go_to_torch_without_a_copy_or_a_warning(tmp_path):
    found = prepared(people(), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in (found.train, found.validation, found.test):
            for array in (part.rows, part.features.numbers, part.features.codes, part.target):
                torch.from_numpy(array)
        torch.from_numpy(found.table.target_values)


def test_raw_rows_survive_json_and_mean_the_same(tmp_path):
    table = prepared(people(), tmp_path).table
    sent = json.loads(json.dumps(raw_rows(table, np.arange(60)), allow_nan=False))
    assert sent[0].keys() == {column.name for column in table.columns}
    for column in table.columns:
        values = pl.Series(column.name, [row[column.name] for row in sent])
        _, read = read_column(values, origin="JSON")
        np.testing.assert_array_equal(read.to_numpy(), table.features[column.name].to_numpy())
    known = [row["age"] for row in sent if row["age"] is not None]
    assert known
    assert all(type(age) is int for age in known)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_values_of_held_out_rows_never_change_the_encoder(tmp_path, part):
    before = prepared(people(), tmp_path)
    rows = set(getattr(before, part).rows.tolist())
    other = {"age": 999, "fare": -1e6, "member": None, "port": "elsewhere", "joined": date(1900, 5, 5)}
    changed = (
        people()
        .with_row_index()
        .with_columns(
            pl.when(pl.col("index").is_in(rows)).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
            for name, value in other.items()
        )
    )
    after = prepared(changed.drop("index"), tmp_path)
    np.testing.assert_array_equal(getattr(after, part).rows, getattr(before, part).rows)
    assert after.encoder == before.encoder
    np.testing.assert_array_equal(after.train.features.numbers, before.train.features.numbers)
    assert after.table.fingerprint != before.table.fingerprint


def test_the_fingerprint_is_the_same_in_another_process(tmp_path):
    here = prepared(people(), tmp_path).table.fingerprint
    program = (
        "import sys; from pipelines.data import prepare_table; from tests.data.asking import asked;"
        "print(prepare_table(asked(path=sys.argv[1]), 'auto').table.fingerprint)"
    )
    there = subprocess.check_output(
        [sys.executable, "-c", program, str(tmp_path / "table.parquet")], text=True, cwd=Path(__file__).parents[2]
    )
    assert there.strip() == here
    assert len(here) == 64


@given(st.integers(0, 59), st.sampled_from(["age", "fare", "member", "port", "joined", "y"]))
def test_one_changed_cell_changes_the_fingerprint(tmp_path_factory, row, name):
    folder = tmp_path_factory.mktemp("cells")
    frame = people()
    old = frame[name][row]
    new = {"age": 17, "fare": 1e-9, "member": not old, "port": "Rom", "joined": date(2030, 1, 1)}.get(
        name, "no" if old == "yes" else "yes"
    )
    changed = frame.with_columns(frame[name].scatter(row, pl.Series([new], dtype=frame.schema[name])))
    assert prepared(changed, folder).table.fingerprint != prepared(frame, folder).table.fingerprint


def test_the_fingerprint_knows_names_kinds_and_missing_values(tmp_path):
    frame = people().fill_null(strategy="forward").drop_nulls()
    prints = {
        prepared(frame, tmp_path).table.fingerprint,
        prepared(frame.rename({"age": "years"}), tmp_path).table.fingerprint,
        prepared(frame, tmp_path, categorical=("age",)).table.fingerprint,
        prepared(frame, tmp_path, drop=("age",)).table.fingerprint,
        prepared(frame.with_columns(pl.col("age").replace(frame["age"][0], None)), tmp_path).table.fingerprint,
    }
    assert len(prints) == 5
    assert prepared(frame, tmp_path, split_seed=5).table.fingerprint in prints


def test_rows_without_a_target_are_left_out_and_rows_are_named_as_in_the_file(tmp_path):
    frame = people().with_columns(y=pl.Series([None, None] + ["a", "b"] * 29))
    found = prepared(frame, tmp_path)
    assert found.table.features.height == len(found.table.target_values) == 58
    assert found.table.target.reason.endswith("2 rows without a target are left out")
    assert found.table.features["age"].to_list()[5] == frame["age"].to_list()[7]
    infinite = frame.with_columns(fare=frame["fare"].scatter(10, float("inf")))
    assert "first in row 11" in message(infinite, tmp_path)


def test_types_of_parquet_that_are_numbers_are_numbers(tmp_path):
    rows = np.arange(40)
    frame = pl.DataFrame(
        {
            "nan": pl.Series([float("nan") if row % 4 == 0 else float(row) for row in rows]),
            "decimal": pl.Series([Decimal(int(row)) / 4 for row in rows], dtype=pl.Decimal(10, 2)),
            "unsigned": pl.Series(rows, dtype=pl.UInt16),
            "short": pl.Series(rows, dtype=pl.Float32),
            "y": rows % 2,
        }
    )
    found = prepared(frame, tmp_path)
    assert {column.kind for column in found.table.columns} == {"numeric"}
    assert [number.indicator for number in found.encoder.numbers] == [True, False, False, False]
    assert found.table.features["decimal"].to_list() == (rows / 4).tolist()


def test_a_nearly_constant_column_stays_in_the_range_of_float32(tmp_path):
    frame = people().with_columns(flat=pl.Series([1e8] * 59 + [1e8 + 1e-7]), tiny=pl.Series([1e-40] * 59 + [0.0]))
    found = prepared(frame, tmp_path)
    elsewhere = found.table.features.with_columns(flat=pl.lit(1e9), tiny=pl.lit(1e6))
    assert np.isfinite(encode(found.encoder, elsewhere).numbers).all()


def test_columns_that_divide_rows_are_no_features_also_when_dropped(tmp_path):
    for drop in ((), ("joined",)):
        frame = people().with_columns(pl.col("joined").fill_null(date(2020, 5, 5)))
        found = prepared(frame, tmp_path, time="joined", drop=drop)
        assert "joined" not in found.table.features.columns
        assert frame["joined"].gather(found.train.rows).max() <= frame["joined"].gather(found.test.rows).min()
    frame = people().with_columns(port=pl.Series([f"group {row // 4}" for row in range(60)]))
    for drop in ((), ("port",)):
        found = prepared(frame, tmp_path, group="port", drop=drop)
        assert "port" not in found.table.features.columns
        groups = [set(frame["port"].gather(part.rows)) for part in (found.train, found.validation, found.test)]
        assert sum(map(len, groups)) == len(set.union(*groups))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("field", ["time", "group"])
def test_a_number_that_is_missing_where_rows_are_divided_is_refused_in_every_kind_of_file(tmp_path, field, ending):
    """Parquet may hold a NaN, which is no null; in CSV it is a word for a missing value."""
    frame = people().with_columns(key=pl.Series([float("nan") if row in (3, 40) else row % 7 / 2 for row in range(60)]))
    path = tmp_path / f"table.{ending}"
    getattr(frame, f"write_{ending}")(path)
    with pytest.raises(UserError) as caught:
        prepare_table(asked(path=str(path), **{field: "key"}), "auto")
    assert str(caught.value) == "Column 'key' divides the rows but has 2 missing values. Fill or drop them."


def test_a_row_without_a_target_may_lack_what_divides_the_others(tmp_path):
    times = [None, *range(1, 60)]
    frame = people().with_columns(key=pl.Series(times), y=pl.Series([None, *(["a", "b", "b"] * 20)[1:]]))
    assert prepared(frame, tmp_path, time="key").test.rows.tolist() == list(range(47, 59))


def test_words_for_numbers_that_are_none_are_missing_times(tmp_path):
    frame = people().with_columns(key=pl.Series(["nan", *map(str, range(1, 60))]))
    assert message(frame, tmp_path, time="key") == (
        "Column 'key' divides the rows but has 1 missing values. Fill or drop them."
    )


def test_a_wrong_time_is_named_by_its_row_in_the_file(tmp_path):
    days = [f"2024-01-{row % 28 + 1:02d}" for row in range(60)]
    days[50] = "2024-02-30"
    frame = people().with_columns(key=pl.Series(days), y=pl.Series([None, *people()["y"][1:]]))
    assert message(frame, tmp_path, time="key") == (
        "data.time, column 'key', row 51: '2024-02-30' is no date of the calendar."
    )


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ([[row] for row in range(60)], "group", "column 'key' holds List(Int64) values, which name no groups."),
        ([[row] for row in range(60)], "time", "column 'key' holds List(Int64) values, which have no order in time."),
        (
            [f"5 Jan {row}" for row in range(2000, 2060)] * 50,
            "time",
            "column 'key' holds labels such as '5 Jan 2000', which have no order in time.",
        ),
        (
            [f"day {row}" for row in range(3000)],
            "time",
            "column 'key' holds labels such as 'day 0', which have no order in time.",
        ),
    ],
)
def test_what_cannot_divide_rows_is_said(tmp_path, values, field, text):
    frame = people(len(values)).with_columns(key=pl.Series(values))
    assert message(frame, tmp_path, **{field: "key"}).startswith(f"data.{field}: {text}")


def test_times_may_be_whole_numbers_of_any_length(tmp_path):
    times = pl.Series([10**30 - row for row in range(60)], dtype=pl.Int128)
    found = prepared(people().with_columns(when=times), tmp_path, time="when")
    assert found.test.rows.tolist() == list(range(len(found.test.rows)))


@pytest.mark.parametrize(("n_rows", "said"), [(1, "1 row"), (9, "9 rows")])
def test_a_table_of_too_few_rows_is_named_with_their_number(tmp_path, n_rows, said):
    assert message(people().head(n_rows), tmp_path) == (
        f"FILE has {said}, too few to divide into train, validation and test: give at least 10."
    )


def test_too_few_rows_with_a_target_are_told_likewise(tmp_path):
    frame = people(12).with_columns(y=pl.when(pl.int_range(pl.len()) < 9).then("y"))
    assert message(frame, tmp_path) == (
        "FILE has 9 rows with a target, too few to divide into train, validation and test: give at least 10."
    )


def test_times_with_offsets_are_put_in_their_true_order(tmp_path):
    times = [f"2024-01-01T12:00:00{'+' if hour < 12 else '-'}{abs(12 - hour):02d}:00" for hour in range(24)]
    found = prepared(people(24).with_columns(when=pl.Series(times)), tmp_path, time="when")
    assert found.test.rows.tolist() == [19, 20, 21, 22, 23]


@pytest.mark.parametrize(
    ("changes", "frame", "text"),
    [
        ({"target": "Y"}, people(), "data.target names no column of FILE: 'Y'"),
        ({"drop": ("agee",)}, people(), "data.drop names no column of FILE: 'agee' (did you mean 'age'"),
        (
            {"categorical": ("prot",)},
            people(),
            "data.categorical names no column of FILE: 'prot' (did you mean 'port'?)",
        ),
        ({"numeric": ("far",)}, people(), "data.numeric names no column of FILE: 'far' (did you mean 'fare'"),
        ({"group": "ports"}, people(), "data.group names no column of FILE: 'ports' (did you mean 'port'?)"),
        ({"time": "join"}, people(), "data.time names no column of FILE: 'join' (did you mean 'joined'?)"),
        ({"time": "y"}, people(), "data.time names the target, 'y'. Rows are divided by another column than that."),
        ({"group": "y"}, people(), "data.group names the target, 'y'. Rows are divided by another column than that."),
        ({"time": "joined"}, people(), "Column 'joined' divides the rows but has"),
        ({"time": "port"}, people().fill_null(strategy="forward").drop_nulls(), "holds labels such as"),
        ({"drop": ("age", "fare", "member", "port", "joined")}, people(), "FILE: no column is left to learn from."),
        ({"group": "member"}, people().with_columns(pl.col("member").fill_null(value=True)), "at least 3"),
        (
            {"validation_fraction": 0.499, "test_fraction": 0.5},
            people(),
            "data.test_fraction=0.5 and data.validation_fraction=0.499 of 60 rows are 30 and 30: none is left",
        ),
        ({}, people().with_columns(y=pl.lit("same")), "FILE, column 'y': the target has one value only, 'same'."),
        ({}, people().with_columns(y=pl.lit(None, dtype=pl.Int64)), "every value of the target is missing"),
        ({}, people().with_columns(gone=pl.lit(None)), "FILE, column 'gone': every value is missing."),
        (
            {},
            people().with_columns(prediction=pl.lit(1.0)),
            "FILE, column 'prediction': a served model's answer has this name. Rename it, or use data.drop.",
        ),
    ],
)
def test_what_the_user_can_put_right_is_said(tmp_path, changes, frame, text):
    assert text in message(frame, tmp_path, **changes)


def test_a_dropped_column_may_be_called_prediction(tmp_path):
    found = prepared(people().with_columns(prediction=pl.lit(1.0)), tmp_path, drop=("prediction",))
    assert "prediction" not in found.table.features.columns


def test_a_class_that_is_only_in_the_test_part_is_named(tmp_path):
    frame = people().with_columns(when=pl.int_range(60), y=pl.Series(["a", "b"] * 29 + ["c", "c"]))
    assert message(frame, tmp_path, time="when") == (
        "Column 'y': no row of the training part has class 'c' (2 in the test part). "
        "Add rows of it, leave it out, or change data.split_seed."
    )


def test_a_table_needs_its_path_and_its_target():
    for changes in ({"path": None}, {"path": "a.csv", "target": None}):
        with pytest.raises(UserError, match=r"data=table needs data\.path and data\.target"):
            prepare_table(asked(**changes), "auto")


def test_a_table_of_labels_alone_has_codes_and_no_numbers(tmp_path):
    found = prepared(people().select("port", "y"), tmp_path)
    assert found.train.features.numbers.shape == (36, 0)
    assert found.train.features.codes.shape == (36, 1)


@pytest.mark.parametrize(
    ("name", "target", "kind", "n_rows", "categorical"),
    [
        ("titanic.csv", "Survived", "binary", 891, {"Name", "Sex", "Ticket", "Cabin", "Embarked"}),
        (
            "adult.csv",
            "income",
            "binary",
            48842,
            {
                "workclass",
                "education",
                "marital-status",
                "occupation",
                "relationship",
                "race",
                "gender",
                "native-country",
            },
        ),
    ],
)
def test_tables_as_people_have_them_are_read(name, target, kind, n_rows, categorical):
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not beside this checkout; `people` covers the same kinds of columns")
    found = prepare_table(asked(path=str(REAL / name), target=target), "auto")
    assert (found.table.target.kind, found.table.features.height) == (kind, n_rows)
    assert {column.name for column in found.table.columns if column.kind == "categorical"} == categorical
    for part in (found.train, found.validation, found.test):
        assert np.isfinite(part.features.numbers).all()
        assert abs(part.target.mean() - found.table.target_values.mean()) < 0.005
