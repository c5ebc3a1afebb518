"""Models that answer: a bundle loaded, proven by its golden rows, and what is needed to read its requests.

An application looks a model up by name for every request, so a new version takes the place of an old one between two
requests, by one assignment.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.bundle import BundleError, Contract
from serving.errors import Detail, InvalidRequestError, ServingError
from serving.exchange import current_exchange
from serving.predictor import Predictor, Row, check_golden, columns_from_rows
from serving.reading import RequestReader
from serving.sample import Sample
from serving.schemas import Schemas, make_schemas, to_answer
from serving.store import Found


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Attributes:
        name: of the model.
        version: of it.
        predictor: the loaded bundle.
        schemas: of its requests and answers.
        reader: of its requests.
        sample: rows that it answered lately, for whoever watches it.
    """

    name: str
    version: str
    predictor: Predictor
    schemas: Schemas
    reader: RequestReader
    sample: Sample = field(default_factory=Sample)

    @property
    def contract(self) -> Contract:
        """What it takes and where it comes from."""
        return self.predictor.contract

    def predict(self, rows: Sequence[Row]) -> np.ndarray:
        """Predictions, [N, P], for rows that fit the contract."""
        return self.predict_columns(columns_from_rows(self.contract, rows))

    def predict_columns(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predictions, [N, P], for raw columns, [N] each: the one door through which requests are answered."""
        predictions = self.predictor.predict(columns)
        exchange = current_exchange()
        if exchange is not None:
            exchange.rows += len(predictions)
            self.sample.add(columns, predictions)
        return predictions

    def predict_finite(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predictions, [N, P], that can be worded.

        Raises:
            InvalidRequestError: one is not finite.
        """
        predictions = self.predict_columns(columns)
        finite = np.isfinite(predictions).all(axis=1)
        if not finite.all():
            detail = Detail(
                path=["rows", int(finite.argmin())], message="A number of this row is too large to compute with"
            )
            raise InvalidRequestError("There is no finite prediction.", [detail])
        return predictions

    def note(self) -> None:
        """Write down that this model was asked, for the headers, the log and the metrics of the request under way."""
        exchange = current_exchange()
        if exchange is not None:
            exchange.model, exchange.version = self.name, self.version

    def answer(self, body: bytes) -> bytes:
        """The JSON answer to a JSON body.

        Raises:
            ServingError: the body does not fit.
        """
        predictions = self.predict_finite(columns_from_rows(self.contract, self.reader.read(body)))
        answer = to_answer(self.contract, name=self.name, version=self.version, predictions=predictions)
        return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


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
    own = Served(found.name, found.version, predictor, schemas, reader)
    _warm(own)
    return own


def _warm(own: Served) -> None:
    """Whatever is made at the first request is made before it: a model that cannot answer never gets one."""
    try:
        rows = own.reader.read(json.dumps(own.schemas.example).encode())
        predictions = own.predictor.predict(columns_from_rows(own.contract, rows))
        to_answer(own.contract, name=own.name, version=own.version, predictions=predictions)
    except ServingError as error:
        raise BundleError(f"{own.name}: its own example is refused: {error}") from error
