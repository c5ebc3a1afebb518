import gzip
import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from pipelines.data.sources import column_names, read_file
from pipelines.errors import UserError

FRAME = pl.DataFrame(
    {
        "city": ["Bern", None, "São Paulo, SP", 'the "old" town', "two\nlines"],
        "size": [1, 2, None, 4, 5],
        "price": [1.5, None, 2.0, -3.25, 1e9],
        "open": [True, False, None, True, False],
    }
)
WRITERS: dict[str, Callable[[io.BytesIO], None]] = {
    ".csv": FRAME.write_csv,
    ".tsv": lambda stream: FRAME.write_csv(stream, separator="\t"),
    ".parquet": FRAME.write_parquet,
    ".jsonl": FRAME.write_ndjson,
    ".ndjson": FRAME.write_ndjson,
}


def zst(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zst}


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def written_as(folder: Path, extension: str, compression: str) -> Path:
    """`FRAME`, in one of the formats."""
    stream = io.BytesIO()
    WRITERS[extension](stream)
    return written(folder, COMPRESSORS[compression](stream.getvalue()), f"my.table{extension}{compression}")


def message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_file(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("extension", WRITERS)
def test_every_format_and_compression_gives_the_same_table(tmp_path, extension, compression):
    path = written_as(tmp_path, extension, compression)
    assert_frame_equal(read_file(path), FRAME)


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("extension", WRITERS)
def test_every_format_and_compression_tells_the_names_of_its_columns(tmp_path, extension, compression):
    path = written_as(tmp_path, extension, compression)
    assert column_names(path, wanted={"price"}) == FRAME.columns
    assert column_names(path, wanted={"prise"}) == FRAME.columns


def test_names_are_told_without_the_rows(tmp_path):
    broken = 'a,"b ""c"""\n1,2,3\n\xff\n'.encode("latin1")
    long = broken + "".join(f"{row * 7919 % 100_003},{row * 104_729 % 99_991}\n" for row in range(50_000)).encode()
    for name, content in (("t.csv", broken), ("t.csv.gz", gzip.compress(long)[:-1000])):
        assert column_names(written(tmp_path, content, name), wanted={"x"}) == ["a", 'b "c"']
    assert column_names(written(tmp_path, '{"a": 1, "b": 2}\n{"a"', "t.jsonl"), wanted={"a"}) == ["a", "b"]


def test_a_name_that_the_first_of_json_lines_lacks_is_looked_for_in_the_others(tmp_path):
    path = written(tmp_path, '{"a": 1}\n{"b": 2}\n', "t.jsonl")
    assert column_names(path, wanted={"b"}) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "t.csv.gz"),
        (b"", "t.parquet"),
        (b"a,a\n1,2\n", "t.csv"),
        (b"a;b\n1;2\n", "t.csv"),
        ("größe,y\n1,2\n".encode("latin1"), "t.csv"),
        (b"not compressed at all", "t.tsv.zst"),
        (b"not compressed at all", "t.jsonl.gz"),
        (b"{broken", "t.jsonl"),
        (b"broken", "t.parquet"),
    ],
)
def test_names_that_cannot_be_read_are_refused_as_the_whole_file_is(tmp_path, content, name):
    path = written(tmp_path, content, name)
    with pytest.raises(UserError) as caught:
        column_names(path, wanted={"y"})
    assert str(caught.value).replace(str(path), "FILE") == message(path)


@pytest.mark.parametrize("name", ["houses [1].csv", "what?.tsv", "*.parquet", "a[b]*.jsonl"])
def test_a_name_may_hold_signs_of_patterns(tmp_path, name):
    path = tmp_path / name
    stream = io.BytesIO()
    WRITERS[path.suffix](stream)
    path.write_bytes(stream.getvalue())
    assert column_names(path, wanted={"price"}) == FRAME.columns
    assert_frame_equal(read_file(path), FRAME)


def test_the_ending_may_be_in_capitals(tmp_path):
    assert read_file(written(tmp_path, "a\n1\n", "T.CSV")).height == 1


@pytest.mark.parametrize("word", ["", "NA", "NaN", "nan", "N/A", "null", "NULL", "None", "?"])
def test_words_for_missing_are_missing(tmp_path, word):
    frame = read_file(written(tmp_path, f"a,b\n{word},x\n1.5,y\n"))
    assert frame["a"].to_list() == [None, 1.5]


@pytest.mark.parametrize(
    "text",
    ["\ufeffa,b\n1,x\n2,y\n", "a,b\r\n1,x\r\n2,y\r\n", '"a","b"\n1,"x"\n2,"y"', "a,b\n1,x\n2,y"],
    ids=["byte order mark", "Windows line ends", "quotes", "no last line end"],
)
def test_ways_of_writing_the_same_csv_are_read_alike(tmp_path, text):
    assert_frame_equal(read_file(written(tmp_path, text)), pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}))


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n"1,5\nand ""more""",\n2,y\n',  # a quoted separator, line end and quotes beside a missing last value
        "a,b\r\n1,\r\n2,y\r\n",
        "a,b\n1,\n\n2,y\n",
        "a,b\n1,\n2,y\n\n\n",
        "a\n\n2\n",
        'a,b\n"x",\n"y,",""\n',
        "\ufeffa,b\n1,\n",
    ],
)
def test_a_whole_table_with_gaps_in_its_last_column_is_not_called_broken(tmp_path, text):
    assert read_file(written(tmp_path, text)).height >= 1


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
def test_doubled_quotes_in_the_name_of_a_column_are_one(tmp_path, start, separator):
    names = ['a.b["c"]', 'q"', 'two\n"lines"', "plain", 'c""d']
    cells = ['"a.b[""c""]"', '"q"""', '"two\n""lines"""', "plain", 'c""d']
    text = start + separator.join(cells) + "\n" + separator.join("12345") + "\n"
    frame = read_file(written(tmp_path, text, "t.csv" if separator == "," else "t.tsv"))
    assert frame.columns == names
    assert frame.row(0) == (1, 2, 3, 4, 5)


def test_an_open_quote_in_the_header_ends_in_a_message(tmp_path):
    assert message(written(tmp_path, 'a "b,c\n1,2\n')).startswith("FILE")


def test_quotes_and_separators_are_told_apart_across_portions_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.data.sources.PORTION_BYTES", 3)
    whole = 'a,b,c\n"1,""5",x,\n2,"y,y",z\n'
    assert read_file(written(tmp_path, whole)).shape == (2, 3)
    assert "line 3: 2 fields" in message(written(tmp_path, whole.replace(",z", ",z\n9,9").replace('2,"y,y",z\n', "")))


def test_a_number_after_ten_thousand_whole_ones_may_have_a_fraction_or_be_a_word(tmp_path):
    whole = "\n".join(map(str, range(11_000)))
    assert read_file(written(tmp_path, f"a\n{whole}\n0.5\n"))["a"].dtype == pl.Float64
    assert read_file(written(tmp_path, f"a\n{whole}\nword\n"))["a"].dtype == pl.String


def test_a_missing_file_is_answered_with_near_names(tmp_path):
    written(tmp_path, "a\n1\n", "houses.csv")
    assert message(tmp_path / "house.csv") == "FILE does not exist. Did you mean houses.csv?"
    assert message(tmp_path / "zebra.parquet") == "FILE does not exist. Check data.path."
    assert message(tmp_path / "nowhere" / "a.csv") == "FILE does not exist. Check data.path."


@pytest.mark.parametrize("extension", WRITERS)
@pytest.mark.parametrize("compression", COMPRESSORS)
def test_an_empty_file_is_refused(tmp_path, extension, compression):
    text = message(written(tmp_path, COMPRESSORS[compression](b""), f"t{extension}{compression}"))
    assert text == "FILE is empty. Give a file with a header line and rows."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1\x15\x04", "is Parquet. Let its name end in .parquet."),
        (
            b"PK\x03\x04\x14\x00",
            "is a ZIP archive, as Excel's .xlsx are. Save the sheet as CSV, or unpack the archive.",
        ),
        (gzip.compress(b"a,b\n1,2\n"), "is compressed by gzip. Let its name end in .gz."),
        (zst(b"a,b\n1,2\n"), "is compressed by zstd. Let its name end in .zst."),
        ("a,b\n1,2\n".encode("utf-16"), "is encoded as UTF-16. Save it as UTF-8, e.g. iconv -f utf-16 -t utf-8."),
    ],
    ids=["Parquet", "Excel", "gzip", "zstd", "UTF-16"],
)
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.csv.gz"])
def test_a_file_of_another_kind_than_its_name_says_is_told_for_what_it_is(tmp_path, content, said, name):
    assert (
        message(written(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)) == f"FILE {said}"
    )


def test_a_column_may_be_called_as_parquet_begins(tmp_path):
    assert read_file(written(tmp_path, "PAR1,b\n1,2\n")).columns == ["PAR1", "b"]


def test_lines_that_end_in_carriage_returns_alone_are_told(tmp_path):
    assert message(written(tmp_path, "a,b\r1,2\r3,4\r")) == (
        "FILE: its lines end in carriage returns alone. Save it with line feeds, as UTF-8 text."
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1}\n{"a":\n', "line 2 is no JSON (Expecting value: line 2 column 1 (char 6))"),
        ("a,b\n1,2\n", "line 1 is no JSON (Expecting value: line 1 column 1 (char 0))"),
        ('[{"a": 1}, {"a": 2}]\n', "line 1 is no JSON object"),
    ],
    ids=["cut off", "CSV", "one array"],
)
def test_what_is_no_row_of_json_lines_is_named_by_its_line(tmp_path, text, line):
    said = 'Every line must be one row, such as {"size": 3, "price": 1.5}.'
    assert message(written(tmp_path, text, "t.jsonl")) == f"FILE cannot be read as JSON lines: {line}. {said}"


@pytest.mark.parametrize("digits", [20, 39, 60, 300])
def test_whole_numbers_of_any_length_are_read(tmp_path, digits):
    frame = read_file(written(tmp_path, f"a,b\n1,x\n{'9' * digits},y\n"))
    assert frame["a"].cast(pl.Float64).to_list() == [1.0, float("9" * digits)]


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "a,b\r\n"])
def test_a_header_alone_is_refused(tmp_path, text):
    assert message(written(tmp_path, text)) == "FILE has a header but no rows."


def test_a_file_of_blank_lines_is_empty(tmp_path):
    assert message(written(tmp_path, "\n\n")) == "FILE is empty. Give a file with a header line and rows."


def test_a_folder_is_refused(tmp_path):
    assert message(tmp_path) == "FILE is a folder. Give one file as data.path."


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.gz", "table.csv.zip"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    assert message(written(tmp_path, "a\n1\n", name)) == (
        "FILE has an unknown ending. Known are .csv, .tsv, .parquet, .jsonl, .ndjson, "
        "each also with .gz or .zst behind it."
    )


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_duplicate_column_names_are_refused(tmp_path, name):
    content = b"a,b,a,c,c\n1,2,3,4,5\n"
    path = written(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert message(path) == "FILE, line 1: more than one column is called 'a', 'c'. Rename them."


def test_columns_without_a_name_are_refused(tmp_path):
    assert message(written(tmp_path, "a,,\n1,2,3\n")) == (
        "FILE, line 1: columns 2, 3 have no name. Is the first line a header?"
    )


@pytest.mark.parametrize(
    ("row", "count"), [("3,4,5,6", 4), ("3,4", 2), ("3", 1), ('3,"4,5"', 2)], ids=["long", "short", "one", "quoted"]
)
@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_broken_row_is_named_by_its_line(tmp_path, row, count, compression):
    content = f'a,b,c\n1,"two\nlines",3\n{row}\n7,8,9\n'.encode()
    assert message(written(tmp_path, COMPRESSORS[compression](content), f"t.csv{compression}")) == (
        f"FILE, line 4: {count} fields where the header has 3. "
        "Mend the line; a value that holds the separator must be in double quotes."
    )


def test_a_broken_row_of_a_tsv_is_named_by_its_line(tmp_path):
    assert "line 3: 1 fields where the header has 2" in message(written(tmp_path, "a\tb\n1,5\t2\n3\n", "t.tsv"))


def test_text_behind_a_closing_quote_is_named_by_its_line(tmp_path):
    text = message(written(tmp_path, 'a,b\n1,x\n2,"y"z\n'))
    assert text == "FILE, line 3: ',' expected after '\"'. Mend the quotes of this line."


def test_a_lone_quote_inside_a_value_is_explained(tmp_path):
    assert "double quote inside a value must be doubled" in message(written(tmp_path, 'a,b\n1,5" pipe\n2,z\n'))


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize(
    ("text", "place"),
    [("city,y\nBern,1\nOrléans,2\n", "line 3, byte 4"), ("année,y\n1,2\n", "line 1, byte 4")],
    ids=["row", "header"],
)
def test_a_wrong_encoding_is_named_by_line_and_byte(tmp_path, compression, text, place):
    content = text.encode("latin1")
    assert message(written(tmp_path, COMPRESSORS[compression](content), f"t.csv{compression}")) == (
        f"FILE, {place}: not UTF-8 (0xe9). Save the file as UTF-8, e.g. iconv -f latin1 -t utf-8."
    )


@pytest.mark.parametrize(("ending", "kind"), [(".gz", "gzip"), (".zst", "zstd")])
def test_a_broken_compressed_file_is_refused(tmp_path, ending, kind):
    whole = COMPRESSORS[ending](b"a,b\n" + b"1,2\n" * 1000)
    for content in (b"not compressed at all", whole[: len(whole) // 2]):
        text = message(written(tmp_path, content, f"t.csv{ending}"))
        assert text.startswith(f"FILE cannot be decompressed as {kind}:")
        assert text.endswith("Is the file whole?")


@pytest.mark.parametrize(("extension", "kind"), [(".parquet", "Parquet"), (".jsonl", "JSON lines")])
def test_a_broken_binary_file_is_refused(tmp_path, extension, kind):
    assert message(written(tmp_path, "{broken", f"t{extension}")).startswith(f"FILE cannot be read as {kind}: ")
