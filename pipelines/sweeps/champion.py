"""Registers and publishes what a sweep has chosen on a table, and settles whether it is the champion.

A new version becomes the champion where it is better than the present one on the same rows, or where nobody can tell;
it is registered in any case. One command at a time adds a version to a server's folder; those with other folders
and the same registry do not wait for it, as MLflow has no lock that machines share.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.export import has_champion, newest_published, publish_bundle, publish_champion, publishing
from pipelines.tasks.metrics import score
from pipelines.tasks.task import Task
from pipelines.tracking.recorder import Recorder, RegisteredVersion, Scored

DIGITS = 16  # of what tells rows apart: 64 bits
ROUNDING = 1e-6  # relative: one configuration, trained in stacks of other sizes, may score so differently


@dataclass(frozen=True)
class Candidate:
    """A model that was chosen on a table.

    Attributes:
        bundle: the folder that `write_bundle` left.
        name: of the model.
        run_id: of its run.
        scored: what it was chosen by.
        is_best: of the models of this name in its sweep; the others become versions and no more.
    """

    bundle: Path
    name: str
    run_id: str
    scored: Scored
    is_best: bool


class Registered(NamedTuple):
    """A version, and what a user should read about it; the second may be empty."""

    version: RegisteredVersion
    told: str
    who_answers: str


def chosen_by(metric: str, value: float, prepared: PreparedTable) -> Scored:
    """What a model of this table scored on its validation part, with folds the mean of what each holds out."""
    table = prepared.table
    rows = hashlib.sha256(repr((table.fingerprint, table.target)).encode())
    for places in (prepared.validation.rows, *(fold.held_out for fold in prepared.folds)):
        rows.update(repr(places.tolist()).encode())
    return Scored(metric, value, rows.hexdigest()[:DIGITS])


def check_numbers(recorder: Recorder, root: Path, *, name: str, uri: str) -> None:
    """Will the next version's number be free in the server's folder? Asked before training, and before registering.

    Args:
        recorder: of the registry.
        root: the server's folder of models.
        name: of the model.
        uri: of the registry.

    Raises:
        UserError: versions lie there that the registry does not have.
    """
    published = newest_published(root, name=name)  # asked first: a command that is at it registers before it publishes
    registered = recorder.newest_version(name)
    if published > registered:
        raise UserError(
            f"{root / name} holds version {published}, registered elsewhere: tracking.uri={uri} has "
            f"{f'versions up to {registered}' if registered else 'no model'} of this name, and a new one would get a "
            f"number that is taken. Move {root / name} away, or choose another folder with tracking.bundles; the same "
            "command then trains nothing twice."
        )


def register(
    candidate: Candidate, task: Task, *, recorder: Recorder, root: Path, uri: str, tell: Callable[[str], None]
) -> Registered:
    """Register a model, publish it, and let it answer if it is to be the champion.

    Args:
        candidate: the model.
        task: says which scores are better.
        recorder: of the registry.
        root: the server's folder of models.
        uri: of the registry.
        tell: called with a line when another command has to be waited for.

    Raises:
        UserError: the registry or the folder refused; what had been done is not done again by the same command.
    """
    name = candidate.name
    with publishing(root, name=name, tell=tell):
        check_numbers(recorder, root, name=name, uri=uri)
        version = recorder.register(candidate.bundle, name=name, run_id=candidate.run_id, scored=candidate.scored)
        publish_bundle(candidate.bundle, root=root, name=name, version=version.version)
        wins = not version.is_settled and candidate.is_best and _is_better(candidate.scored, version, task)
        answers_alone = candidate.is_best and not has_champion(root, name=name)
        if wins or answers_alone:
            publish_champion(root=root, name=name, version=version.version)
        settled = recorder.settle(version, is_champion=wins)  # last: what is not settled is done once more
    told = f"Registered as {name}, version {version.version}."
    if version.is_settled:
        return Registered(settled, f"{told}{_was_before(settled)}", "")
    said = _who_answers(candidate, version, wins=wins, folder=root / name) if candidate.is_best else ""
    if answers_alone and not wins:
        said += f" {root / name} had no champion: there version {version.version} answers."
    return Registered(settled, told, said)


def _compares(scored: Scored, champion: Scored | None) -> bool:
    return champion is not None and (champion.metric, champion.rows) == (scored.metric, scored.rows)


def _is_better(scored: Scored, version: RegisteredVersion, task: Task) -> bool:
    """Than the champion; and what nobody can tell counts as better: it has been trained on what is there now."""
    champion = version.champion_scored
    if champion is None or not _compares(scored, champion):
        return True
    new, present = score(task.metric, scored.value), score(task.metric, champion.value)
    if math.isnan(new) or math.isnan(present):  # a metric that these rows leave undefined
        return math.isnan(present) and not math.isnan(new)
    return new > present and not math.isclose(new, present, rel_tol=ROUNDING)


def _was_before(version: RegisteredVersion) -> str:
    if version.is_champion:
        return ""
    champion = "no version" if version.champion is None else f"version {version.champion}"
    return f" It was before: {champion} is the champion, and stays it."


def _who_answers(candidate: Candidate, version: RegisteredVersion, *, wins: bool, folder: Path) -> str:
    """Which of the two versions is the champion, why, and how to have it otherwise."""
    before, new, scored = version.champion, version.version, candidate.scored
    if before is None or before == new:
        return ""

    def by_hand(number: int) -> str:
        return f"write {number} into {folder / 'champion'}, and give it the alias champion in MLflow"

    champion = version.champion_scored
    if champion is None or not _compares(scored, champion):
        return (
            f"Version {new} is the champion now. Version {before} was, chosen on other rows or by another metric, so "
            f"nobody can tell which is better. To go back, {by_hand(before)}."
        )
    winner, loser = (new, before) if wins else (before, new)
    better, worse = (scored, champion) if wins else (champion, scored)
    said = (
        f"its validation {scored.metric} is {better.value:.6g}, that of version {loser}, on the same rows, "
        f"{worse.value:.6g}."
    )
    if wins:
        return f"Version {winner} is the champion now: {said}"
    return f"Version {winner} stays the champion: {said} To promote version {loser} all the same, {by_hand(loser)}."
