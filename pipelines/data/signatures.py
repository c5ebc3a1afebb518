"""What a file is by its first bytes, where its name says that it is text.

Not here: reading it (`sources`).
"""

_UTF_16 = "is encoded as UTF-16. Save it as UTF-8, e.g. iconv -f utf-16 -t utf-8."
_SIGNATURES = {
    b"PAR1\x15": "is Parquet. Let its name end in .parquet.",  # a column of a CSV file may be called PAR1
    b"ARROW1\x00": "is an Arrow file. Save it as Parquet.",
    b"PK\x03\x04": "is a ZIP archive, as Excel's .xlsx are. Save the sheet as CSV, or unpack the archive.",
    b"\xd0\xcf\x11\xe0": "is a file of Excel's. Save the sheet as CSV.",
    b"SQLite format 3\x00": "is a SQLite database. Save the table as CSV.",
    b"\x1f\x8b": "is compressed by gzip. Let its name end in .gz.",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd. Let its name end in .zst.",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
LONGEST = max(map(len, _SIGNATURES))


def what_it_is(start: bytes) -> str | None:
    """What to say of a file that begins so; None where it may well be text.

    Args:
        start: its first `LONGEST` bytes, or fewer if it has no more.
    """
    return next((said for signature, said in _SIGNATURES.items() if start.startswith(signature)), None)
