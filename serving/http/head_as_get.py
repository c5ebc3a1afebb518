"""HEAD wherever there is GET (RFC 9110, 9.1): ASGI middleware, since FastAPI's routes take the methods they are told.

Not here: that no body is sent, which is the HTTP server's to see to. `errors` names HEAD beside GET in `Allow`.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Asks the application behind it for what GET would be answered.

    The request itself stays what it is to whoever stands around it: logs, spans, and the HTTP server.

    Args:
        app: behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
