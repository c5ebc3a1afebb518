"""Routes that are asked thousands of times a second: ASGI middleware that answers them past FastAPI's router.

FastAPI looks at every route for every request and solves its dependencies: for a row that is more work than answering.
What these routes take and answer is described by hand (`openapi`), so FastAPI need not know them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import REFUSALS, answer_to
from serving.monitoring.traces import name_request

Answer = tuple[bytes, str]  # the body and its `Content-Type`
Handler = Callable[[Scope, Receive], Awaitable[Answer]]
PARAMETER = re.compile(r"\\{(\w+)\\}")  # as `re.escape` leaves it


class DirectRoutes:
    """Answers some routes, and leaves the others to the application behind it.

    Args:
        app: behind it.
        routes: path such as `/models/{name}/predict` -> what answers a POST to it, with `path_params` in its scope, or
            raises one of `errors.REFUSALS`.
        traced: each request has a span, which gets the path's name.
    """

    def __init__(self, app: ASGIApp, *, routes: Mapping[str, Handler], traced: bool) -> None:
        self._app = app
        self._plain = {path: handler for path, handler in routes.items() if "{" not in path}
        self._patterns = tuple((_pattern(path), path, routes[path]) for path in routes if "{" in path)
        self._traced = traced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, handler = found
        if self._traced:
            name_request(scope["method"], route)
        try:
            if scope["method"] != "POST":
                raise HTTPException(405, headers={"Allow": "POST"})
            body, media = await handler(scope, receive)
        except REFUSALS as error:
            await answer_to(error)(scope, receive, send)
            return
        headers = [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _find(self, scope: Scope) -> tuple[str, Handler] | None:
        path: str = scope["path"]
        plain = self._plain.get(path)
        if plain is not None:
            scope["path_params"] = {}
            return path, plain
        for pattern, route, handler in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                scope["path_params"] = match.groupdict()
                return route, handler
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(path)))
