"""Tables: read, recognise, divide, encode. The door is `prepare_table`."""

from pipelines.data.encode import Encoder, Features, encode, fit_encoder
from pipelines.data.prepare import Part, PreparedTable, check_columns, prepare_table, raw_rows
from pipelines.data.table import Column, Table, Target

__all__ = [
    "Column",
    "Encoder",
    "Features",
    "Part",
    "PreparedTable",
    "Table",
    "Target",
    "check_columns",
    "encode",
    "fit_encoder",
    "prepare_table",
    "raw_rows",
]
