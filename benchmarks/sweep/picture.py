"""The cost of a step by the number of members, as a picture for docs/."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def draw_growth(growth: Mapping[int, float], path: Path) -> None:
    """Milliseconds a step, and a step a member, over the members of a stack; both axes logarithmic."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    members = list(growth)
    axes.loglog(members, list(growth.values()), "o-", label="a step of the whole stack")
    axes.loglog(members, [step / count for count, step in growth.items()], "s-", label="a step, a member")
    axes.set_xticks(members, [str(count) for count in members])
    axes.minorticks_off()
    axes.set_xlabel("members of the stack")
    axes.set_ylabel("milliseconds")
    axes.set_title("Two hidden layers of 32, batches of 256 rows, 20 columns")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path)
