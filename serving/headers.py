"""Headers that browsers obey, on every answer: nothing is guessed, framed, cached or fetched from elsewhere."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An answer that needs more, as a page does, sends its own and keeps it.
DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class SecurityHeaders:
    """Adds the headers that an answer does not have.

    Args:
        app: behind it.
        is_shared: pages of other origins may read answers, as `SERVING_CORS_ORIGINS` says.
    """

    def __init__(self, app: ASGIApp, *, is_shared: bool = False) -> None:
        self._app = app
        policy = {b"cross-origin-resource-policy": b"cross-origin"} if is_shared else {}
        self._defaults = list((DEFAULTS | policy).items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                present = {name for name, _ in own}  # ASGI has names in lower case
                message["headers"] = own + [pair for pair in self._defaults if pair[0] not in present]
            await send(message)

        await self._app(scope, receive, with_headers)
