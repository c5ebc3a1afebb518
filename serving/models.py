"""Models that answer: a bundle loaded, proven by its golden rows, and what is needed to read its requests.

An application looks a model up by name for every request, so a new version takes the place of an old one between two
requests, by one assignment.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.bundle import BundleError, Contract
from serving.errors import Detail, InvalidRequestError
from serving.exchange import current_exchange
from serving.predictor import Predictor, Row, check_golden, columns_from_rows
from serving.reading import RequestReader
from serving.schemas import Schemas, make_schemas, to_answer
from serving.store import Found, Store


@dataclass(frozen=True)
class Served:
    """A model that answers."""

    name: str
    version: str
    predictor: Predictor
    schemas: Schemas
    reader: RequestReader

    @property
    def contract(self) -> Contract:
        """What it takes and where it comes from."""
        return self.predictor.contract

    def predict(self, rows: Sequence[Row]) -> np.ndarray:
        """Predictions, [N, P], for rows that fit the contract."""
        predictions = self.predictor.predict(columns_from_rows(self.contract, rows))
        exchange = current_exchange()
        if exchange is not None:
            exchange.rows += len(predictions)
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
        predictions = self.predict(self.reader.read(body))
        finite = np.isfinite(predictions).all(axis=1)
        if not finite.all():
            detail = Detail(
                path=["rows", int(finite.argmin())], message="A number of this row is too large to compute with"
            )
            raise InvalidRequestError("There is no finite prediction.", [detail])
        answer = to_answer(self.contract, name=self.name, version=self.version, predictions=predictions)
        return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Loaded:
    """What came of loading.

    Attributes:
        models: name -> model.
        failures: why each of the others is not served.
    """

    models: dict[str, Served]
    failures: list[str]


def load_models(store: Store, names: Iterable[str], *, threads: int, max_rows: int) -> Loaded:
    """Load the champions of these names; one that must not be served does not keep the others out."""
    loaded = Loaded({}, [])
    for name in names:
        try:
            loaded.models[name] = load_model(store.open_champion(name), threads=threads, max_rows=max_rows)
        except BundleError as error:
            loaded.failures.append(f"{name} is not served: {error}")
    return loaded


def load_model(found: Found, *, threads: int, max_rows: int) -> Served:
    """Load a bundle and replay its golden rows, which also warms it up.

    Raises:
        BundleError: it must not be served.
    """
    predictor = Predictor(found.bundle, threads=threads)
    check_golden(predictor)
    contract = found.bundle.contract
    schemas = make_schemas(contract, max_rows=max_rows)
    reader = RequestReader(contract, schemas.row, max_rows=max_rows)
    return Served(found.name, found.version, predictor, schemas, reader)
