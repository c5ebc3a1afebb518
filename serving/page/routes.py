"""Two pages for people, the try-it page at `/` and the description of the API at `/docs`, from files that lie here.

A browser fetches them, and nothing else, from this server alone: the policy says so. They know no model; what they show
they ask of the routes that every client asks, with the visitor's own API key where one is needed.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import PurePosixPath

from fastapi import APIRouter, Response

# No name from a request ever becomes the name of a file.
PAGES = {"/": "try.html", "/docs": "docs.html"}
PARTS = (
    "style.css",
    "icon.svg",
    "try.js",
    "docs.js",
    "answer.js",
    "asking.js",
    "columns.js",
    "curve.js",
    "elements.js",
    "key.js",
    "snippets.js",
)
FILES = PAGES | {f"/page/{name}": name for name in PARTS}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # Names of models, columns and labels come from tables: no text may ever become markup.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def page_router() -> APIRouter:
    """Routes of the pages and of the files they are made of, which are read once, here."""
    router = APIRouter()
    for path, name in FILES.items():
        router.add_api_route(path, _show(name), include_in_schema=False)
    return router


def _show(name: str) -> Callable[[], Awaitable[Response]]:
    content = files(__package__).joinpath(name).read_bytes()
    media_type = TYPES[PurePosixPath(name).suffix]

    async def show() -> Response:
        return Response(content, media_type=media_type, headers={"Content-Security-Policy": POLICY})

    return show
