"""Which refusals a route of the API may answer with, described: what `errors` says of all, for each route.

Not here: 405 and 500, which are no part of any route, and what other protocols answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from serving.http.auth import OPEN_PATHS
from serving.reading.media_types import JSON

SECURITY = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, as `python -m serving.keys` makes it."},
    "browser": {"type": "http", "scheme": "basic", "description": "Any name, and an API key as the password."},
}
RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
CHALLENGE = {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}}
HEADERS: Mapping[str, Any] = {"401": CHALLENGE, "429": RETRY, "503": RETRY}
OF_EVERY_BODY = {
    "400": "The body has two lengths: Content-Length and Transfer-Encoding.",
    "408": "The body did not come in time.",
    "413": "More rows, or more bytes, than the server takes.",
    "503": "As many requests are in work as there may be, or no model is loaded.",
    "504": "There was no answer in time.",
}
OF_PREDICTIONS = {
    "404": "There is no such model.",
    "406": "The answer cannot be written in a media type that Accept asks for.",
    "415": "The body is of no media type or encoding that is read.",
    "422": "The body is not what it is declared as, does not fit the columns, or has no finite prediction, or the "
    "query asks for what the model cannot say; `details` has the path to each wrong value.",
}
OF_RELOADING = {
    "403": "An admin's key is needed, sent as Authorization: Bearer. Where no key is asked for, web pages may not."
}
OF_KEYS = {"401": "There is no valid API key."}
OF_KEYS_AND_BODIES = {"429": "As many requests with this key are in work as there may be."}


def refusals_of_predictions(error: Mapping[str, Any], *, guarded: bool) -> dict[str, Any]:
    """Responses by their status.

    Args:
        error: schema of the body of each.
        guarded: API keys are asked for.
    """
    said = OF_EVERY_BODY | OF_PREDICTIONS | (OF_KEYS | OF_KEYS_AND_BODIES if guarded else {})
    return {status: refusal(status, said[status], error) for status in sorted(said)}


def add_refusals(paths: Mapping[str, Any], error: Mapping[str, Any], *, guarded: bool) -> None:
    """Say of FastAPI's own routes what stands around them, and unsay what does not: it validates nothing.

    Args:
        paths: of the description.
        error: schema of the body of a refusal.
        guarded: API keys are asked for.
    """
    for path, method, operation in _operations(paths):
        said = OF_EVERY_BODY | OF_RELOADING if method == "post" else {}
        if guarded and path not in OPEN_PATHS:
            said = said | OF_KEYS | (OF_KEYS_AND_BODIES if method == "post" else {})
        responses = {status: each for status, each in operation["responses"].items() if status != "422"}
        responses |= {status: refusal(status, text, error) for status, text in said.items()}
        operation["responses"] = {status: responses[status] for status in sorted(responses)}


def add_security(described: dict[str, Any]) -> None:
    """Say which operations need a key."""
    described["components"]["securitySchemes"] = SECURITY
    for path, _, operation in _operations(described["paths"]):
        if path not in OPEN_PATHS:
            operation["security"] = [{name: []} for name in SECURITY]


def refusal(status: str, text: str, error: Mapping[str, Any]) -> dict[str, Any]:
    """One response."""
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": text, "content": {JSON: {"schema": dict(error)}}, **headers}


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            yield path, method, operation
