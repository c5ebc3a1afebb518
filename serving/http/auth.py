"""Who may ask: ASGI middleware that wants an API key, and writes down what its role may do.

What an admin's key is needed for is refused where it would be done (`operations`): a path is written in several ways.

A program sends `Authorization: Bearer <key>`. A browser cannot, so it is asked for a password, which is a key too. The
browser sends it along on its own, also when another site makes it ask: so it never has an admin's rights.
"""

import base64
import binascii

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import UnauthorizedError, error_answer
from serving.keys import KeyFile
from serving.page.routes import FILES
from serving.request_context import current_request

# Whoever watches the process has no key, and the pages ask for one themselves. Where keys are asked for, none of these
# tells of a model.
HEALTH_PATHS = frozenset({"/live", "/ready", "/ping", "/health", "/version", "/v2/health/live", "/v2/health/ready"})
OPEN_PATHS = HEALTH_PATHS | FILES.keys()


class Authentication:
    """Answers 401 without a valid key.

    Args:
        app: behind it.
        keys: that are valid.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyFile) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            self._authenticate(Headers(scope=scope))
        except UnauthorizedError as error:
            await error_answer(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _authenticate(self, headers: Headers) -> None:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        is_browser = scheme.lower() == "basic"
        presented = _password(credentials) if is_browser else credentials
        key = self._keys.find(presented.strip()) if scheme.lower() in ("bearer", "basic") else None
        if key is None:
            raise _unauthorized(headers)
        context = current_request()
        if context is not None:
            context.caller, context.is_admin = key.name, key.role == "admin" and not is_browser


def _unauthorized(headers: Headers) -> UnauthorizedError:
    asked_by_browser = "text/html" in headers.get("accept", "")
    challenge = 'Basic realm="sweepstack: any name, and an API key as the password"' if asked_by_browser else "Bearer"
    error = UnauthorizedError("A valid API key is needed, sent as Authorization: Bearer <key>.")
    error.headers["WWW-Authenticate"] = challenge
    return error


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
