"""A bundle and everything it was made of, for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.config.schema import TaskKind
from pipelines.data.prepare import PreparedTable
from pipelines.export import Origin, ServedMember, ServedModel, build_served, write_bundle
from pipelines.models import input_facts
from pipelines.tasks.task import Task
from tests.export.tables import LINEAR, MLP, drawn_members, mixed_table, task_of

MODELS = {"regression": (MLP, LINEAR), "binary": (LINEAR,), "multiclass": (MLP, LINEAR, MLP)}
METRICS = {"validation": {"one": 0.5}, "test": {"one": 0.25, "undefined": float("nan")}}
ORIGIN = Origin(sweep="sweep-1", code_version="abc", created=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))


@dataclass(frozen=True)
class Written:
    """What lies in a folder, and what it must answer like."""

    folder: Path
    prepared: PreparedTable
    task: Task
    members: list[ServedMember]
    served: ServedModel


def write(folder: Path, kind: TaskKind) -> Written:
    """A model of a kind; regression and multiclass are ensembles of two architectures."""
    prepared = mixed_table(kind)
    task = task_of(prepared)
    members = drawn_members(prepared, MODELS[kind])
    write_bundle(folder, prepared=prepared, task=task, members=members, metrics=METRICS, origin=ORIGIN)
    return Written(folder, prepared, task, members, build_served(members, inputs=input_facts(prepared), task=task))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
