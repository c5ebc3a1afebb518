"""What a bad table gets: a message that names file, column and line, and says what to do."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.config.schema import TaskKind
from pipelines.data import prepare_table
from pipelines.errors import UserError
from tests.data.files import mixed_frame, table_config


def refused(path: Path, target: str = "price", kind: TaskKind | Any = "auto", **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepare_table(table_config(path, target, **changes), kind)
    return str(caught.value)


def written(folder: Path, content: str | bytes, name: str = "houses.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ROWS = "a,b,price\n" + "".join(f"{row},{row % 3},{row * 1.5}\n" for row in range(30))

FILES: list[tuple[str, str | bytes, str, str]] = [
    ("empty", "", "houses.csv", "houses.csv is empty"),
    ("header only", "a,b,price\n", "houses.csv", "has a header but no rows"),
    ("two columns of one name", "a,a,price\n1,2,3\n", "houses.csv", "line 1: more than one column is called 'a'"),
    ("a row too long", ROWS + "1,2,3,4\n", "houses.csv", "line 32: 4 fields where the header has 3"),
    ("a row too short", ROWS + "1,2\n", "houses.csv", "line 32: 2 fields where the header has 3"),
    ("latin-1", "a,price\nKöln,1\n".encode("latin-1"), "houses.csv", "line 2, byte 2: not UTF-8 (0xf6)"),
    ("unknown ending", ROWS, "houses.xlsx", "unknown ending. Known are .csv, .tsv, .parquet"),
    ("broken gzip", b"\x1f\x8b rubbish", "houses.csv.gz", "cannot be decompressed as gzip"),
    ("broken parquet", b"PAR1 rubbish", "houses.parquet", "cannot be read as Parquet"),
    ("broken JSON lines", '{"price": 1}\n{"price"\n', "houses.jsonl", "cannot be read as JSON lines"),
]


@pytest.mark.parametrize(("content", "name", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str | bytes, name: str, message: str) -> None:
    path = written(tmp_path, content, name)
    said = refused(path)
    assert str(path) in said
    assert message in said


def test_a_missing_file_is_offered_its_nearest_names(tmp_path: Path) -> None:
    written(tmp_path, ROWS)
    assert "Did you mean houses.csv?" in refused(tmp_path / "house.csv")
    assert "is a folder" in refused(tmp_path)


COLUMNS: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], dict[str, Any], str]] = [
    (
        "all missing",
        lambda f: f.with_columns(void=pl.lit(None, pl.Float64)),
        {},
        "column 'void': every value is missing",
    ),
    (
        "infinite",
        lambda f: f.with_columns(size=pl.when(pl.int_range(pl.len()) == 6).then(float("inf")).otherwise("size")),
        {},
        "column 'size': 1 infinite values, first in row 7",
    ),
    (
        "many labels",
        lambda f: pl.concat([f] * 20).with_row_index("key").with_columns(key=pl.format("k{}", "key")),
        {},
        "column 'key': 1,200 different labels, more than 1,000",
    ),
    ("target unknown", lambda f: f.rename({"price": "prize"}), {}, "'price' (did you mean 'prize'?)"),
    ("target constant", lambda f: f.with_columns(price=pl.lit(3.0)), {}, "the target has one value only, 3.0"),
    (
        "target missing",
        lambda f: f.with_columns(price=pl.lit(None, pl.Float64)),
        {},
        "every value of the target is missing",
    ),
    ("few rows", lambda f: f.head(6), {}, "has 6 rows, too few"),
    ("drop unknown", lambda f: f, {"drop": ("sise",)}, "data.drop names no column of"),
    ("words forced to numbers", lambda f: f, {"numeric": ("town",)}, "values are not numbers, first 'Bonn' in row 1"),
    ("group of one", lambda f: f.with_columns(who=pl.lit("x")), {"group": "who"}, "three parts need at least 3"),
    ("time missing", lambda f: f, {"time": "size"}, "'size' divides the rows but has"),
    ("nothing left", lambda f: f.select("size", "price"), {"drop": ("size",)}, "no column is left"),
    (
        "a column without a name",
        lambda f: f.rename({"rooms": ""}),
        {},
        "column 2 has no name. Name it, or leave it out",
    ),
    ("a column like the answer", lambda f: f.rename({"size": "prediction"}), {}, "column 'prediction'"),
]


@pytest.mark.parametrize(
    ("change", "settings", "message"), [case[1:] for case in COLUMNS], ids=[case[0] for case in COLUMNS]
)
def test_a_bad_column_is_named(tmp_path: Path, change: Any, settings: dict[str, Any], message: str) -> None:
    path = tmp_path / "houses.parquet"
    change(mixed_frame()).write_parquet(path)
    assert message in refused(path, **settings)


def test_a_nameless_index_is_refused_with_what_leaves_it_out(tmp_path: Path) -> None:
    """As pandas writes its index, unless it is told not to."""
    header, *rows = ROWS.splitlines()
    text = "\n".join([f",{header}", *(f"{number},{row}" for number, row in enumerate(rows))])
    path = written(tmp_path, text)
    assert refused(path) == (
        f"{path}: column 1 has no name. Name it, or leave it out with 'data.drop=[\"\"]' "
        "(pandas writes its index so unless told to_csv(index=False))."
    )
    table = prepare_table(table_config(path, "price", drop=("",)), "auto").table
    assert [column.name for column in table.columns] == ["a", "b"]


@pytest.mark.parametrize(
    ("separator", "name", "advice"),
    [
        (";", "houses.csv", "seems to be separated by ';': save it with ',' instead."),
        ("\t", "houses.csv", "seems to be separated by tabs: name it .tsv."),
        (",", "houses.tsv", "seems to be separated by ',': name it .csv."),
    ],
)
def test_a_file_of_another_separator_is_told_so(tmp_path: Path, separator: str, name: str, advice: str) -> None:
    path = written(tmp_path, ROWS.replace(",", separator), name)
    header = separator.join(["a", "b", "price"])
    assert refused(path) == f"{path}, line 1: one column only, {header!r}. The file {advice}"


def test_a_class_that_only_the_test_part_has_is_named(tmp_path: Path) -> None:
    frame = mixed_frame().with_columns(
        price=pl.when(pl.int_range(pl.len()) == 59).then(pl.lit("rare")).otherwise(pl.lit("cheap")),
        when=pl.int_range(pl.len()),
    )
    frame = frame.with_columns(price=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("dear")).otherwise("price"))
    frame.write_parquet(path := tmp_path / "houses.parquet")
    assert "no row of the training part has class 'rare' (1 in the test part)" in refused(path, time="when")


def test_more_classes_than_half_the_rows_are_too_many(tmp_path: Path) -> None:
    frame = mixed_frame().with_columns(price=pl.format("c{}", pl.int_range(pl.len())))
    frame.write_parquet(path := tmp_path / "houses.parquet")
    assert "60 classes in 60 rows are too many to learn" in refused(path)
    assert "regression needs finite numbers, found 'c0' in row 1" in refused(path, kind="regression")
    assert "task=binary needs 2 classes, found 60" in refused(path, kind="binary")


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(ROWS.encode())
    assert "Is the file whole?" in refused(written(tmp_path, packed[: len(packed) // 2], "houses.csv.gz"))
