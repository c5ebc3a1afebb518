"""`python -m serving.score`: predictions for every row of a file, in constant memory, without a server.

An interrupted run goes on: finished portions lie beside the output until all are there. The answers are those of the
server, under the names of MLflow's scoring: `prediction`, and `probability_<class>` for classes. `--coverage` adds
`lower` and `upper`, or `in_set_<class>`, and `rules`.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.answers.builder import AnswerBuilder
from serving.answers.options import NO_OPTIONS, AnswerOptions, read_share
from serving.answers.tables import class_columns, extra_columns, to_table
from serving.bundle import CONTRACT_FILE, Bundle, BundleError, Contract, open_bundle
from serving.errors import InvalidRequestError
from serving.predictor import Predictor
from serving.startup_interrupt import INTERRUPTED, restore_interrupt
from serving.versions.store import FolderStore, MissingError, open_champion

USER_MISTAKE = 2
PORTION_ROWS = 65_536  # of one file beside the output: what an interruption loses at most
ROWS_AT_ONCE = 2048  # through the model: its activations stay in a core's cache
WHAT_MODEL_IS = "Give a bundle, or a folder of versions with a champion."

try:
    import pyarrow as pa
    import pyarrow.parquet

    from serving.batch.files import (
        check_suffix,
        check_writable,
        column_names,
        count_rows,
        is_csv,
        nearest_name,
        open_writer,
        read_portions,
    )
    from serving.batch.mistakes import ScoringError, check_names, check_once, with_nearest
    from serving.batch.parts import PORTIONS, open_parts
    from serving.batch.texts import kept_texts, read_texts
    from serving.reading.arrow_columns import WrongCellError, read_columns
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    print("python -m serving.score reads and writes with pyarrow: pip install pyarrow", file=sys.stderr)
    raise SystemExit(USER_MISTAKE) from None


@dataclass(frozen=True)
class Job:
    """What is scored.

    Attributes:
        bundle: the model.
        source: file of rows.
        output: file of predictions.
        keep: columns of the source that go along.
        threads: of one prediction.
        options: what is asked for beside predictions.
    """

    bundle: Bundle
    source: Path
    output: Path
    keep: tuple[str, ...]
    threads: int
    options: AnswerOptions = NO_OPTIONS

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the source, that are read."""
        return tuple(dict.fromkeys([*self.keep, *(column.name for column in self.bundle.contract.columns)]))

    @property
    def identity(self) -> str:
        """The same for the same model, rows and columns: only then do finished portions count."""
        state = self.source.stat()
        source = [str(self.source.resolve()), state.st_size, state.st_mtime_ns]
        return json.dumps([self.bundle.contract.onnx_sha256, source, self.keep, PORTION_ROWS, self.options.coverage])


def main(arguments: Sequence[str] | None = None) -> int:
    """Score; the exit code is 0 after a normal end, 2 when something about the files or the model is wrong."""
    try:
        restore_interrupt()
        job = _job(_parse(arguments))
        n_rows = score(job)
    except (ScoringError, BundleError) as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    except InvalidRequestError as error:
        print(f"--coverage: {error.details[0].message}.", file=sys.stderr)
        return USER_MISTAKE
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where it was.", file=sys.stderr)
        return INTERRUPTED
    print(f"{n_rows:,} predictions in {job.output}")
    return 0


def score(job: Job) -> int:
    """Score every portion that is not there yet, then put the output together; return its rows.

    Raises:
        ScoringError: something about the files is wrong.
        BundleError: the model cannot be run.
        InvalidRequestError: the model has no such coverage.
    """
    contract = job.bundle.contract
    names = column_names(job.source)
    check_names(contract, names, where=str(job.source))
    if unknown := [name for name in job.keep if name not in names]:
        hints = [with_nearest(name, names) for name in unknown]
        raise ScoringError(f"--keep names no column of {job.source}: {', '.join(hints)}.")
    check_once(job.columns, names, where=str(job.source))
    predictor = Predictor(job.bundle, threads=job.threads)
    builder = AnswerBuilder(predictor)
    builder.check(job.options, n_rows=0)
    with open_parts(job.output, identity=job.identity) as parts:
        bar = _Bar(count_rows(job.source))
        portions = read_portions(job.source, columns=job.columns, n_rows=PORTION_ROWS)
        for index, portion in enumerate(portions):
            path = parts / f"{index:06}.parquet"
            if not path.exists():
                answers = _answers(predictor, builder, portion, first_row=index * PORTION_ROWS, job=job)
                pyarrow.parquet.write_table(answers, path.with_suffix(".unfinished"))
                path.with_suffix(".unfinished").replace(path)
            bar.advance(len(portion))
        bar.close()
        return _put_together(parts, job)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m serving.score", description="Predict every row of a file.")
    parser.add_argument("--model", required=True, type=Path, help="a bundle, or a folder of versions with a champion")
    parser.add_argument("--input", required=True, type=Path, help="rows: Parquet or CSV")
    parser.add_argument(
        "--output", required=True, type=Path, help="predictions: Parquet or CSV; replaces one of this name"
    )
    parser.add_argument("--keep", default="", help="columns of the input to write too, as they stand, e.g. id,day")
    parser.add_argument("--coverage", help="of intervals or sets of labels to write too, e.g. 0.9")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of one prediction (default: all)")
    return parser.parse_args(arguments)


def _job(given: argparse.Namespace) -> Job:
    check_suffix(given.input, "--input")
    check_suffix(given.output, "--output")
    if not given.input.is_file():
        raise ScoringError(f"--input {given.input} is no file.{nearest_name(given.input)}")
    _check_output(given.output, source=given.input)
    if given.threads < 1:
        raise ScoringError(f"--threads {given.threads}: must be a whole number of at least 1.")
    keep = tuple(name.strip() for name in given.keep.split(",") if name.strip())
    coverage = read_share(given.coverage) if given.coverage is not None else None
    if given.coverage is not None and coverage is None:
        raise ScoringError(f"--coverage {given.coverage}: must be a number above 0 and below 1, such as 0.9.")
    return Job(_open(given.model), given.input, given.output, keep, given.threads, AnswerOptions(coverage))


def _check_output(output: Path, *, source: Path) -> None:
    if not output.parent.is_dir():
        raise ScoringError(f"--output {output}: there is no folder {output.parent}.")
    if output.is_dir():
        raise ScoringError(f"--output {output} is a folder. Give the name of a file.")
    if output.exists() and output.samefile(source):
        raise ScoringError(f"--output {output} is the file of --input. Give another name.")


def _open(folder: Path) -> Bundle:
    if folder.name in ("", ".."):  # only then: a link has a name of its own
        folder = folder.resolve()
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            raise ScoringError(f"--model {path} is no folder.{nearest_name(path) or f' {WHAT_MODEL_IS}'}")
    if (folder / CONTRACT_FILE).exists():
        return open_bundle(folder)
    try:
        return open_champion(FolderStore(folder.parent), folder.name).bundle
    except MissingError:
        models = FolderStore(folder).names()
        if not models:
            raise ScoringError(f"--model {folder} holds no bundle and no champion. {WHAT_MODEL_IS}") from None
        raise ScoringError(f"--model {folder} is a folder of models. Give one of them: {', '.join(models)}.") from None


def _answers(
    predictor: Predictor, builder: AnswerBuilder, portion: "pa.RecordBatch", *, first_row: int, job: Job
) -> "pa.Table":
    contract = job.bundle.contract
    try:
        columns, kept = _read(portion, first_row=first_row, job=job)
    except WrongCellError as error:
        raise ScoringError(str(error)) from None
    parts = [
        predictor.predict({name: values[start : start + ROWS_AT_ONCE] for name, values in columns.items()})
        for start in range(0, len(portion), ROWS_AT_ONCE)
    ]
    predictions = np.concatenate(parts)  # [N, P]
    finite = np.isfinite(predictions).all(axis=1)
    if not finite.all():
        raise ScoringError(f"Row {first_row + int(finite.argmin()) + 1}: a number is too large to compute with.")
    is_plain = job.options == NO_OPTIONS
    extra = {} if is_plain else extra_columns(contract, builder.build(columns, predictions, job.options))
    answers = {**_name(contract, predictions), **extra}
    if taken := sorted(kept.keys() & answers.keys()):
        raise ScoringError(f"--keep {','.join(taken)}: the answers have columns of these names. Rename them.")
    return pa.table({**kept, **answers})


def _read(
    portion: "pa.RecordBatch", *, first_row: int, job: Job
) -> tuple[dict[str, np.ndarray], dict[str, "pa.Array"]]:
    """The model's raw columns, and the columns that go along."""
    contract = job.bundle.contract
    if is_csv(job.source):
        columns = read_texts(contract, portion, first_row=first_row)
        return columns, kept_texts(job.keep, portion, contract, columns, first_row=first_row)
    columns = read_columns(contract, portion, first_row=first_row)
    kept = {name: portion.column(name) for name in job.keep}
    check_writable(kept, job.output)
    return columns, kept


def _name(contract: Contract, predictions: np.ndarray) -> dict[str, Any]:
    """As `tables.to_table`; labels are made by Arrow, which is faster."""
    classes = contract.target.classes
    if not classes:
        return to_table(contract, predictions)
    labels = pa.array(classes).take(pa.array(predictions.argmax(axis=1)))
    return dict(zip(class_columns(contract), (labels, *predictions.T), strict=True))


def _put_together(parts: Path, job: Job) -> int:
    """One file of all portions, whole or not at all."""
    paths = sorted(parts.glob(PORTIONS))
    if not paths:
        raise ScoringError(f"{job.source} has no rows.")
    n_rows = 0
    unfinished = parts / f"whole{job.output.suffix}"
    writer = open_writer(unfinished, pyarrow.parquet.read_schema(paths[0]))
    try:
        for table in _tables(paths):
            writer.write_table(table)
            n_rows += len(table)
    finally:
        writer.close()
    unfinished.replace(job.output)
    return n_rows


def _tables(paths: Sequence[Path]) -> Iterator["pa.Table"]:
    for path in paths:
        yield pyarrow.parquet.read_table(path)


class _Bar:
    """How far it is, over one line of a terminal; quiet in a pipe."""

    def __init__(self, n_rows: int | None) -> None:
        self._n_rows = n_rows
        self._done = 0
        self._started = time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def advance(self, n_rows: int) -> None:
        self._done += n_rows
        if not self._is_shown:
            return
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        share = "" if self._n_rows is None else f" of {self._n_rows:,} ({self._done / max(self._n_rows, 1):.0%})"
        print(f"\r\033[K{self._done:,}{share} rows, {rate:,.0f} rows/s", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._is_shown:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
