"""What a benchmark claims and what it measured, printed side by side and kept as JSON.

Not here: how anything is measured; each benchmark does that in its own file.
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Claim:
    """One promise of the project beside its figure.

    Attributes:
        claim: what is measured, in words.
        target: what was promised, with its unit.
        measured: what was found, in the same unit.
        met: whether the promise holds.
    """

    claim: str
    target: str
    measured: str
    met: bool


def write_results(name: str, claims: Sequence[Claim], *, command: str) -> Path:
    """Print the claims as a table and write `results/<name>.json`, whole or not at all.

    Args:
        name: of the file, without its ending.
        claims: in the order in which they are shown.
        command: what a reader types to measure again.
    """
    _print_table(claims)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "claims": [asdict(claim) | {"met": bool(claim.met)} for claim in claims],  # numpy's truth is no JSON
        "machine": _machine(),
        "command": command,
        "commit": _commit(),
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def _print_table(claims: Sequence[Claim]) -> None:
    header = ("claim", "target", "measured", "met")
    rows = [header, *((claim.claim, claim.target, claim.measured, "yes" if claim.met else "NO") for claim in claims)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(header))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _machine() -> str:
    cores, memory_gb = os.cpu_count(), psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {cores} cores, {memory_gb:.0f} GiB, Python {platform.python_version()}"


def _commit() -> str:
    """The commit that was measured, with a word when files differ from it."""
    root = Path(__file__).parents[1]
    try:
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
        changed = subprocess.check_output(["git", "status", "--porcelain"], cwd=root, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} with changes" if changed else commit
