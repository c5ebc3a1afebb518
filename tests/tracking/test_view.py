"""The saved comparison: its tag holds what MLflow's UI unpacks, and losing it costs nothing else."""

import base64
import json
import zlib
from typing import Any

from pipelines.errors import UserError
from pipelines.tracking.memory import MemoryRecorder
from pipelines.tracking.view import TAG_PREFIX, Comparison, run_color, save_comparison_view, view_tag

COMPARISON = Comparison(
    sweep="s1",
    params=["optimizer.lr", "model.dropout"],
    metric="validation/rmse",
    best="lowest",
    curves=["train/loss", "validation/loss", "validation/rmse"],
)


def unpacked(tag: str) -> dict[str, Any]:
    kind, packed = json.loads(tag)["state"].split(";")
    assert kind == "deflate"
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def test_the_view_shows_what_was_swept_against_the_metric_and_every_curve() -> None:
    state = unpacked(view_tag(COMPARISON))
    parallel, *lines = state["compareRunCharts"]
    assert parallel["type"] == "PARALLEL"
    assert parallel["selectedParams"] == ["optimizer.lr", "model.dropout"]
    assert parallel["selectedMetrics"] == ["validation/rmse"]
    assert [line["metricKey"] for line in lines] == ["train/loss", "validation/loss", "validation/rmse"]
    assert state["searchFilter"] == "tags.sweep = 's1'"
    assert state["orderByAsc"] is True


def test_losses_are_drawn_over_powers_of_ten_so_that_one_that_explodes_hides_no_other() -> None:
    _, *lines = unpacked(view_tag(COMPARISON))["compareRunCharts"]
    assert [line["scaleType"] for line in lines] == ["log", "log", "linear"]


def test_as_many_runs_as_are_drawn_have_colours_of_their_own() -> None:
    assert unpacked(view_tag(COMPARISON))["runsHiddenMode"] == "FIRST_20_RUNS"
    assert len({run_color(place) for place in range(100, 120)}) == 20


def test_the_address_leads_to_the_view_that_was_saved() -> None:
    recorder = MemoryRecorder()
    address = save_comparison_view(recorder, COMPARISON)
    assert address == save_comparison_view(recorder, COMPARISON), "the same sweep keeps its address"
    key = address.partition("viewStateShareKey=")[2].partition("&")[0]
    assert key
    assert TAG_PREFIX + key in str(vars(recorder))


def test_a_view_that_cannot_be_saved_leads_to_the_uis_own_charts() -> None:
    class Refusing(MemoryRecorder):
        def tag_experiment(self, key: str, value: str) -> str:
            raise UserError("no")

    assert save_comparison_view(Refusing(), COMPARISON) == "#/experiments"
