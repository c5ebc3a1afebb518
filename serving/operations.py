"""Routes for whoever runs the server: metrics. Health is part of each protocol."""

from collections.abc import Mapping

from fastapi import APIRouter, Response

from serving.models import Served
from serving.tally import Tally


def operations_router(models: Mapping[str, Served], tally: Tally) -> APIRouter:
    """Routes of operations.

    Args:
        models: name -> model; looked up for every request.
        tally: of this process; knows those of the others.
    """
    router = APIRouter()

    @router.get("/metrics", tags=["operations"], summary="Counts for Prometheus", response_class=Response)
    def show() -> Response:
        from serving.exposition import CONTENT_TYPE, show_metrics  # noqa: PLC0415  many servers are never asked

        return Response(show_metrics(tally, models), media_type=CONTENT_TYPE)

    return router
