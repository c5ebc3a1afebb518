"""The README's tables of figures say what benchmarks/results/ holds, hits and misses."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(header: str) -> list[list[str]]:
    """The rows below this header, without the line of dashes."""
    below = README.partition(f"\n{header}\n")[2].splitlines()
    end = below.index("")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in below[1:end]]


def claims(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["claims"]
    return found


def figure(claim: dict[str, Any]) -> str:
    """What was measured, without what it was computed from."""
    return str(claim["measured"]).partition(" (")[0]


def test_the_servers_figures_are_those_measured() -> None:
    rows = table("| what | aim | measured |")
    assert len(rows) > 10
    assert rows == [
        [claim["claim"], claim["target"], figure(claim) + ("" if claim["met"] else ", missed")]
        for claim in claims("serving")
    ]


def test_the_stacks_figures_are_those_measured() -> None:
    rows = table("| beside | 32 units a layer | 128 units |")
    assert len(rows) > 5
    for column, size in ((1, "H=32: "), (2, "H=128: ")):
        assert [row[column] for row in rows] == [
            figure(claim) + ("" if claim["met"] else f" (aim: {claim['target'].removeprefix('at most ')})")
            for claim in claims("sweep")
            if claim["claim"].startswith((f"{size}time a trial", f"{size}the whole command"))
        ]
