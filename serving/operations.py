"""Routes for whoever runs the server: metrics, and a new look at a model's alias. Health is part of each protocol."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from serving.bundle import BundleError
from serving.errors import ErrorAnswer, ForbiddenError, NotReloadedError, StoreAwayError, UnknownModelError
from serving.keeper import Keeper
from serving.models import Served
from serving.store import AwayError
from serving.tally import Tally

OPEN_METRICS = "application/openmetrics-text"  # which Prometheus asks for


class Reloaded(BaseModel):
    """Which version of a model answers after a new look at its alias."""

    model: str
    version: str


def operations_router(
    models: Mapping[str, Served], tally: Tally, *, keeper: Keeper | None, may_reload: bool
) -> APIRouter:
    """Routes of operations.

    Args:
        models: name -> model; looked up for every request.
        tally: of this process; knows those of the others.
        keeper: looks aliases up; None: models stay as they are, and there is no route to reload them.
        may_reload: somebody has seen to it that only admins get so far.
    """
    router = APIRouter(tags=["operations"])

    @router.get("/metrics", summary="Counts for Prometheus", response_class=Response, responses=METRICS)
    def show(request: Request) -> Response:
        from serving.exposition import show_metrics  # noqa: PLC0415  many servers are never asked

        is_open = OPEN_METRICS in request.headers.get("accept", "")
        text, media = show_metrics(tally, models, is_open=is_open)
        return Response(text, headers={"content-type": media})

    if keeper is not None:
        _add_reload(router, models, keeper, may_reload=may_reload)
    return router


def _add_reload(router: APIRouter, models: Mapping[str, Served], keeper: Keeper, *, may_reload: bool) -> None:
    @router.post("/models/{name}/reload", summary="Look up the champion now", responses=REFUSALS)
    def reload(name: str) -> Reloaded:
        if not may_reload:
            raise ForbiddenError("Models are reloaded with an admin's key only, and this server asks for none.")
        if name not in models:
            raise UnknownModelError.from_name(name, models)
        try:
            keeper.reload(name)
        except AwayError as error:
            raise StoreAwayError("The store of models does not answer. The version before goes on.") from error
        except BundleError as error:
            raise NotReloadedError(f"{error.reason} Version {models[name].version} goes on.") from error
        models[name].note()
        return Reloaded(model=name, version=models[name].version)


TEXT = {"schema": {"type": "string"}}
METRICS: dict[int | str, dict[str, object]] = {200: {"content": {"text/plain": TEXT, OPEN_METRICS: TEXT}}}
REFUSALS: dict[int | str, dict[str, object]] = {status: {"model": ErrorAnswer} for status in (403, 404, 409, 502)}
