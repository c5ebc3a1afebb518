"""Models that answer: a bundle loaded, proven by its golden rows, and what is needed to read its requests.

An application looks a model up by name for every request, so a new version takes the place of an old one between two
requests, by one assignment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from serving.answering import Answering
from serving.asked import NOTHING, Asked
from serving.bundle import BundleError, Contract
from serving.errors import Detail, InvalidRequestError, ServingError
from serving.exchange import current_exchange
from serving.media import CSV, JSON
from serving.media_tables import extra_columns, to_table, write_arrow, write_csv
from serving.predictor import Predictor, check_golden
from serving.reading import RequestReader
from serving.sample import Sample
from serving.schemas import Schemas, make_schemas
from serving.store import Found
from serving.traces import model_run
from serving.wording import to_answer


@dataclass(frozen=True, eq=False)
class Served:
    """A model that answers.

    Attributes:
        name: of the model.
        version: of it.
        predictor: the loaded bundle.
        schemas: of its requests and answers.
        reader: of its requests.
        more: what it can say beside predictions.
        sample: rows that it answered lately, for whoever watches it.
    """

    name: str
    version: str
    predictor: Predictor
    schemas: Schemas
    reader: RequestReader
    more: Answering
    sample: Sample = field(default_factory=Sample)

    @property
    def contract(self) -> Contract:
        """What it takes and where it comes from."""
        return self.predictor.contract

    def predict_finite(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predictions, [N, P], for raw columns, [N] each: the door through which requests are answered.

        Small ones go through `together`.

        Raises:
            InvalidRequestError: a prediction is not finite.
        """
        exchange = current_exchange()
        n_rows = len(next(iter(columns.values())))
        with model_run(exchange, n_rows=n_rows):
            predictions = self.predict_sampled(columns)
        if exchange is not None:
            exchange.rows += n_rows
        return predictions

    def predict_sampled(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """As `predict_finite`, for rows of any requests: whoever watches sees them, and they are counted by nobody."""
        predictions = self.predictor.predict(columns)
        _check_finite(predictions)
        self.sample.add(columns, predictions)
        return predictions

    def note(self) -> None:
        """Write down that this model was asked, for the headers, the log and the metrics of the request under way."""
        exchange = current_exchange()
        if exchange is not None:
            exchange.model, exchange.version = self.name, self.version

    def answer(self, body: bytes, *, sent: str = JSON, wanted: str = JSON, asked: Asked = NOTHING) -> bytes:
        """The answer to a body.

        Args:
            body: of a request.
            sent: its media type, one of `media.MEDIA`.
            wanted: that of the answer, likewise.
            asked: beside predictions.

        Raises:
            ServingError: the body does not fit, or the model cannot say what is asked.
        """
        columns = self.read(body, sent=sent, asked=asked)
        return self.word(columns, self.predict_finite(columns), wanted=wanted, asked=asked)

    def read(self, body: bytes, *, sent: str, asked: Asked) -> Mapping[str, np.ndarray]:
        """The raw columns of a body, [N] each, of which can be said what is asked; raises as `answer` does."""
        columns = self.reader.read(body, sent)
        if asked is not NOTHING:
            self.more.check(asked, len(next(iter(columns.values()))))
        return columns

    def word(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray, *, wanted: str, asked: Asked) -> bytes:
        """What is answered of raw columns whose predictions, [N, P], are known; raises as `answer` does."""
        if wanted == JSON:
            answers = self.more.complete(columns, predictions, self.more.usual(asked))
            return orjson.dumps(to_answer(self.contract, answers, name=self.name, version=self.version))
        table = to_table(self.contract, predictions)
        if asked is not NOTHING:
            table |= extra_columns(self.contract, self.more.complete(columns, predictions, asked))
        return write_csv(table) if wanted == CSV else write_arrow(table, {"model": self.name, "version": self.version})

    def answer_columns(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The answer to raw columns, [N] each, as JSON has it; nobody asked, so it is counted nowhere."""
        answers = self.more.complete(columns, self.predictor.predict(columns), self.more.usual(NOTHING))
        return to_answer(self.contract, answers, name=self.name, version=self.version)


def load_model(found: Found, *, threads: int, max_rows: int) -> Served:
    """Load a bundle, replay its golden rows, and warm it up with its own example.

    Raises:
        BundleError: it must not be served.
    """
    predictor = Predictor(found.bundle, threads=threads)
    check_golden(predictor)
    contract = found.bundle.contract
    schemas = make_schemas(contract, max_rows=max_rows)
    reader = RequestReader(contract, schemas.row, max_rows=max_rows)
    own = Served(found.name, found.version, predictor, schemas, reader, Answering(predictor))
    _warm(own)
    return own


def _check_finite(predictions: np.ndarray) -> None:
    finite = np.isfinite(predictions)
    if not finite.all():
        row = int(finite.all(axis=1).argmin())
        detail = Detail(path=["rows", row], message="A number of this row is too large to compute with")
        raise InvalidRequestError("There is no finite prediction.", [detail])


def _warm(own: Served) -> None:
    """Whatever is made at the first request is made before it: a model that cannot answer never gets one."""
    try:
        own.answer_columns(own.reader.read(orjson.dumps(own.schemas.example)))
    except ServingError as error:
        said = "its own example is refused"
        raise BundleError(f"{own.name}: {said}: {error}", reason=f"{said.capitalize()}: {error}") from error
