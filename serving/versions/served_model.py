"""Models that answer: a bundle loaded, proven by its golden rows, and what is needed to read its requests.

An application looks a model up by name for every request, so a new version takes the place of an old one between two
requests, by one assignment.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np

from serving.answers.builder import AnswerBuilder
from serving.answers.json_answers import JsonWriter, RowAnswer
from serving.answers.options import NO_OPTIONS, AnswerOptions
from serving.answers.tables import extra_columns, to_table, write_arrow, write_csv
from serving.bundle import BundleError, Contract
from serving.errors import Detail, InvalidRequestError, NotReadyError, ServingError, UnknownModelError
from serving.event_loop_budget import rows_at_once
from serving.monitoring.row_sample import NoSample, RowSample
from serving.monitoring.traces import model_run
from serving.predictor import Predictor, check_golden
from serving.reading.cells import Cells
from serving.reading.media_types import CSV, JSON
from serving.reading.request_reader import RequestReader, count_of
from serving.request_context import count_rows, current_request
from serving.schemas import Schemas, make_schemas
from serving.versions.store import OpenedVersion

Columns = Mapping[str, np.ndarray]
Splittable = TypeVar("Splittable", np.ndarray, Sequence[RowAnswer])


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that answers.

    Attributes:
        name: of the model.
        version: of it.
        predictor: the loaded bundle.
        schemas: of its requests and answers.
        reader: of its requests.
        quick_reader: the same, for the event loop: it has no time for what takes long.
        builder: of its answers, with what it can say beside predictions.
        json_writer: of its answers in JSON.
        sample: rows that it answered lately, for whoever watches it.
        rows_at_once: that may be answered on the event loop, of one request or of several together.
    """

    name: str
    version: str
    predictor: Predictor
    schemas: Schemas
    reader: RequestReader
    quick_reader: RequestReader
    builder: AnswerBuilder
    json_writer: JsonWriter
    sample: RowSample = field(default_factory=RowSample)
    rows_at_once: int = 0

    @property
    def contract(self) -> Contract:
        """What it takes and where it comes from."""
        return self.predictor.contract

    def predict_finite(self, columns: Columns) -> np.ndarray:
        """Predictions, [N, P], for raw columns, [N] each, of the request under way.

        Small requests share `predict_parts` or `answer_parts` with others instead.

        Raises:
            InvalidRequestError: a prediction is not finite.
        """
        n_rows = count_of(columns)
        with model_run(current_request(), n_rows=n_rows):
            predictions = self._predict_sampled(columns)
        count_rows(n_rows)
        return predictions

    def predict_parts(self, parts: Sequence[Columns]) -> Sequence[np.ndarray]:
        """Predictions, [N, P] each, for the raw columns, [N] each, of several requests; raises as `predict_finite`."""
        return _split(self._predict_sampled(_join(parts)), map(count_of, parts))

    def answer_parts(self, parts: Sequence[Cells]) -> Sequence[bytes | None]:
        """The answers to the cells of several requests, in JSON, to those who ask for no more.

        Args:
            parts: as `RequestReader.cells` finds them.

        Returns:
            None for a part that does not fit the contract; `read` says what is wrong with it.

        Raises:
            InvalidRequestError: a prediction is not finite.
        """
        columns = self.reader.fit_cells(_join_cells(parts))
        if columns is not None:
            return self._write_parts(columns, parts)
        if len(parts) == 1:
            return [None]
        return [self.answer_parts([part])[0] for part in parts]

    def answer_cells(self, cells: Cells) -> bytes | None:
        """As `answer_parts` for one request, which is counted as `predict_finite` does."""
        columns = self.reader.fit_cells(cells)
        return None if columns is None else self._write_json(columns, self.predict_finite(columns), NO_OPTIONS)

    def _write_parts(self, columns: Columns, parts: Sequence[Cells]) -> Sequence[bytes]:
        options = self.builder.with_defaults(NO_OPTIONS)
        answers = self.builder.build(columns, self._predict_sampled(columns), options)
        rows = _split(self.json_writer.answer_rows(answers), [len(part[0]) for part in parts])
        return [self.json_writer.write(part, answers) for part in rows]

    def _predict_sampled(self, columns: Columns) -> np.ndarray:
        """Whoever watches sees these rows; they are counted by nobody."""
        predictions = self.predictor.predict(columns)
        _check_finite(predictions)
        self.sample.add(columns, predictions)
        return predictions

    def unsampled(self) -> "ServedModel":
        """It, for rows that are no traffic: none of them is sampled."""
        return replace(self, sample=NoSample())

    def note(self) -> None:
        """Write down that this model was asked, for the headers, the log and the metrics of the request under way."""
        context = current_request()
        if context is not None:
            context.model, context.version = self.name, self.version

    def write_answer(
        self, columns: Columns, predictions: np.ndarray, *, media_type: str, options: AnswerOptions
    ) -> bytes:
        """What is answered of raw columns, [N] each.

        Args:
            columns: of which can be said what is asked.
            predictions: for them, [N, P].
            media_type: of the answer, one of `media_types.MEDIA`.
            options: what is asked for beside predictions.

        Raises:
            InvalidRequestError: an explanation is not finite.
        """
        if media_type == JSON:
            return self._write_json(columns, predictions, options)
        table = to_table(self.contract, predictions)
        if options.coverage is not None or options.explain:
            table |= extra_columns(self.contract, self.builder.build(columns, predictions, options))
        if media_type == CSV:
            return write_csv(table)
        return write_arrow(table, {"model": self.name, "version": self.version})

    def answer_columns(self, columns: Columns) -> dict[str, Any]:
        """The answer to raw columns, [N] each, as JSON has it; nobody asked, so it is counted nowhere."""
        written = self._write_json(columns, self.predictor.predict(columns), NO_OPTIONS)
        answer: dict[str, Any] = msgspec.json.decode(written)
        return answer

    def _write_json(self, columns: Columns, predictions: np.ndarray, options: AnswerOptions) -> bytes:
        answers = self.builder.build(columns, predictions, self.builder.with_defaults(options))
        return self.json_writer.write(self.json_writer.answer_rows(answers), answers)


Load = Callable[[OpenedVersion], ServedModel]


def load_model(opened: OpenedVersion, *, threads: int, max_rows: int) -> ServedModel:
    """Load a bundle, replay its golden rows, and warm it up with its own example.

    Raises:
        BundleError: it must not be served.
    """
    predictor = Predictor(opened.bundle, threads=threads)
    check_golden(predictor)
    contract = opened.bundle.contract
    schemas = make_schemas(contract, max_rows=max_rows)
    reader = RequestReader(contract, schemas.row, max_rows=max_rows)
    quick_reader = RequestReader(contract, schemas.row, max_rows=max_rows, has_time=False)
    json_writer = JsonWriter(contract, name=opened.name, version=opened.version)
    model = ServedModel(
        opened.name, opened.version, predictor, schemas, reader, quick_reader, AnswerBuilder(predictor), json_writer
    )
    return replace(model, rows_at_once=_warm_up(model))


def find_model(models: Mapping[str, ServedModel], name: str) -> ServedModel:
    """The model of a name, written down as the one that was asked.

    Raises:
        UnknownModelError: there is none.
    """
    model = models.get(name)
    if model is None:
        raise UnknownModelError.from_name(name, models)
    model.note()
    return model


def only_model(models: Mapping[str, ServedModel]) -> ServedModel:
    """The only model, written down as the one that was asked.

    Raises:
        NotReadyError: there is none.
        UnknownModelError: there are several.
    """
    if not models:
        raise NotReadyError("No model is loaded.")
    if len(models) > 1:
        raise UnknownModelError(f"Several models are served. Ask /models/<name>/predict: {', '.join(sorted(models))}.")
    model = next(iter(models.values()))
    model.note()
    return model


def loader(*, threads: int, max_rows: int) -> Load:
    """A function that makes a model of a bundle, as `load_model` does."""
    return lambda opened: load_model(opened, threads=threads, max_rows=max_rows)


def _join(parts: Sequence[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _join_cells(parts: Sequence[Cells]) -> Cells:
    if len(parts) == 1:
        return parts[0]
    return [list(chain.from_iterable(columns)) for columns in zip(*parts, strict=True)]


def _split(rows: Splittable, lengths: Iterable[int]) -> list[Splittable]:
    """What is of each part: so many rows after those of the parts before it."""
    return [rows[start:stop] for start, stop in pairwise(accumulate(lengths, initial=0))]


def _check_finite(predictions: np.ndarray) -> None:
    finite = np.isfinite(predictions)
    if not finite.all():
        row = int(finite.all(axis=1).argmin())
        detail = Detail(path=["rows", row], message="A number of this row is too large to compute with")
        raise InvalidRequestError("There is no finite prediction.", [detail])


def _warm_up(model: ServedModel) -> int:
    """Whatever is made at the first request is made before it: a model that cannot answer never gets one.

    Golden rows do not tell as much: there are none where every row of the test part lacks what training always had.

    Returns:
        how many rows may be answered at once.
    """
    expected = (1, model.contract.target.n_predictions)
    try:
        columns = model.reader.read(msgspec.json.encode(model.schemas.example))
        shape = model.predictor.predict(columns).shape
        if shape == expected:
            model.answer_columns(columns)
            n_rows = rows_at_once(lambda n_rows: model.answer_columns(_repeated(columns, n_rows)))
    except ServingError as error:
        raise _unfit(model, f"is refused: {error}") from error
    except Exception as error:  # as of golden rows: a class a cause, without a common base
        raise _unfit(model, "cannot be answered.", cause=str(error)) from error
    if shape != expected:
        raise _unfit(model, f"is answered in the shape {shape}, not {expected}.")
    return n_rows


def _repeated(columns: Columns, n_rows: int) -> Columns:
    return {name: values.repeat(n_rows) for name, values in columns.items()}


def _unfit(model: ServedModel, said: str, *, cause: str = "") -> BundleError:
    return BundleError(f"{model.name}: its own example {said} {cause}".rstrip(), reason=f"Its own example {said}")
