"""Registers a bundle: a logged model of its run, a version in the registry and, if so decided, the alias `champion`.

The bundle's two files lie at `artifacts/bundle/` in the logged model, where a reader without MLflow can fetch them.
"""

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType

from pipelines.errors import UserError
from pipelines.tracking.mlflow.runs import mark_champion
from pipelines.tracking.mlflow.store import Store, quiet, reason
from pipelines.tracking.recorder import RegisteredVersion, Scored

CHAMPION = "champion"
NOT_YET = "not yet the champion"  # tag of a version that is not settled
METRIC, VALUE, ROWS = "chosen by", "chosen with", "chosen on"  # tags of a version: what `Scored` holds
AGAIN = "Nothing is lost: the same command registers what it has trained, and trains nothing twice."
SCORING_FILE = Path(__file__).with_name("scoring_model.py")
WAITING = "mlflow.store.model_registry.abstract_store"  # tells that it may wait, which no server makes it do
TRIALS_DESCRIBED = 20
DESCRIPTION_CHARACTERS = 5000  # that PostgreSQL has room for; SQLite does not count
SCORING_PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas")


def newest_version(store: Store, name: str) -> int:
    """The highest version of a model, 0 where there is none.

    Raises:
        UserError: MLflow refused.
    """
    try:
        found = store.client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
    except MlflowException as error:
        raise UserError(f"The versions of {name!r} could not be read from {store.uri}: {reason(error)}") from error
    return max((int(version.version) for version in found), default=0)


def register_bundle(
    store: Store, bundle: Path, *, name: str, run_id: str, scored: Scored | None = None
) -> RegisteredVersion:
    """Log the bundle as a model of the run and register it as a new version of `name`.

    A run that has a version of this name already keeps it.

    Raises:
        UserError: MLflow or the disk refused.
    """
    contract = json.loads((bundle / "contract.json").read_text(encoding="utf-8"))
    try:
        version = _version_of_run(store, name, run_id)
        if version is None:
            version = _new_version(store, bundle, contract=contract, name=name, run_id=run_id, scored=scored)
        mark_champion(store, run_id)
        champion = _champion(store, name)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"The model {name!r} could not be registered in {store.uri}: {reason(error)}\n{AGAIN}"
        ) from error
    return RegisteredVersion(
        name,
        int(version.version),
        None if champion is None else int(champion.version),
        is_settled=NOT_YET not in version.tags,
        champion_scored=None if champion is None else _scored(champion),
    )


def settle_version(store: Store, version: RegisteredVersion, *, is_champion: bool) -> RegisteredVersion:
    """Move the alias to a version or leave it where it is; one that was settled before stays as it is.

    Raises:
        UserError: MLflow refused; the version is not settled.
    """
    client, name, number = store.client, version.name, str(version.version)
    try:
        if not version.is_settled:
            if is_champion:
                client.set_registered_model_alias(name, CHAMPION, number)
            client.delete_model_version_tag(name, number, NOT_YET)
        champion = _champion(store, name)
    except MlflowException as error:
        raise UserError(
            f"Version {number} of {name!r} is registered in {store.uri}, but whether it is the champion could not be "
            f"written: {reason(error)}\n{AGAIN}"
        ) from error
    return RegisteredVersion(name, version.version, None if champion is None else int(champion.version))


def _champion(store: Store, name: str) -> ModelVersion | None:
    number = store.client.get_registered_model(name).aliases.get(CHAMPION)
    return None if number is None else store.client.get_model_version(name, str(number))


def _scored(version: ModelVersion) -> Scored | None:
    """What a version was chosen by; older ones, and those of others, do not say."""
    tags = version.tags
    if not tags.keys() >= {METRIC, VALUE, ROWS}:
        return None
    return Scored(tags[METRIC], float(tags[VALUE]), tags[ROWS])


def _version_of_run(store: Store, name: str, run_id: str) -> ModelVersion | None:
    """The version that was made of a run before."""
    versions = [
        version for version in store.client.search_model_versions(f"run_id = '{run_id}'") if version.name == name
    ]
    return max(versions, key=lambda version: int(version.version), default=None)


def _new_version(
    store: Store, bundle: Path, *, contract: dict[str, Any], name: str, run_id: str, scored: Scored | None
) -> ModelVersion:
    """A version that says of itself that it is not settled, should the command not come to do it."""
    logged = _log_model(store, bundle, contract=contract, name=name, run_id=run_id)
    _make_sure_of_name(store, name)
    with quiet(WAITING):
        return store.client.create_model_version(
            name,
            source=_source(store, logged),
            run_id=run_id,
            tags={**_version_tags(contract), **_scored_tags(scored), NOT_YET: "true"},
            description=_description(contract),
            model_id=logged.model_id,
        )


def _log_model(store: Store, bundle: Path, *, contract: dict[str, Any], name: str, run_id: str) -> LoggedModel:
    """Write the model's files and tie them to the run; `mlflow.pyfunc.log_model` does so through global state."""
    client = store.client
    params = client.get_run(run_id).data.params
    logged = client.create_logged_model(
        store.experiment_id, name=name, source_run_id=run_id, params=params, tags=_version_tags(contract)
    )
    status = LoggedModelStatus.FAILED
    try:
        with tempfile.TemporaryDirectory() as folder:
            description = Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id)
            client.log_model_artifacts(logged.model_id, str(_save(bundle, Path(folder), contract, description)))
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        status = LoggedModelStatus.READY
    finally:
        client.finalize_logged_model(logged.model_id, status)
    return logged


def _source(store: Store, logged: LoggedModel) -> str:
    """Where the version's files lie. Beside a SQLite file MLflow would look up `models:/` in its global store."""
    return str(logged.artifact_location) if store.is_file else f"models:/{logged.model_id}"


def _save(bundle: Path, folder: Path, contract: dict[str, Any], description: Model) -> Path:
    # MLflow keeps the name of the folder it is given; readers look for `artifacts/bundle`.
    copied = shutil.copytree(bundle, folder / "bundle")
    model = folder / "model"
    with quiet("mlflow.pyfunc"):
        mlflow.pyfunc.save_model(
            model,
            python_model=str(SCORING_FILE),
            artifacts={"bundle": str(copied)},
            # Given, because MLflow needs 2.5 s to find them out.
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in SCORING_PACKAGES],
            signature=_signature(contract),
            input_example=pd.DataFrame([{column["name"]: column["example"] for column in contract["columns"]}]),
            mlflow_model=description,
        )
    return model


def _signature(contract: dict[str, Any]) -> ModelSignature:
    """Declare names and which columns may be left out; the scoring model checks the types itself.

    MLflow's own check refuses whole numbers for a `double`, missing values for a `boolean` and pandas' categories for
    a `string`.
    """
    any_type = AnyType()  # type: ignore[no-untyped-call]  # mlflow left its __init__ bare
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(any_type, column["name"], required=not column["nullable"]) for column in contract["columns"]
    ]
    classes = contract["target"]["classes"]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string if classes else DataType.float, "prediction")]
    outputs += [ColSpec(DataType.float, f"probability_{label}") for label in classes]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _make_sure_of_name(store: Store, name: str) -> None:
    try:
        store.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version_tags(contract: dict[str, Any]) -> dict[str, str]:
    lineage = contract["lineage"]
    scores = {
        f"{part}/{metric}": f"{value:.6g}"
        for part, metrics in contract["metrics"].items()
        for metric, value in metrics.items()
    }
    return {
        "task": contract["target"]["task"],
        "target": contract["target"]["name"],
        "sweep": lineage["sweep"],
        "data_fingerprint": lineage["data_fingerprint"],
        "code_version": lineage["code_version"],
        **scores,
    }


def _scored_tags(scored: Scored | None) -> dict[str, str]:
    if scored is None:
        return {}
    return {METRIC: scored.metric, VALUE: repr(scored.value), ROWS: scored.rows}


def _description(contract: dict[str, Any]) -> str:
    """Write what a reader of the registry wants to know first, in Markdown."""
    target, lineage = contract["target"], contract["lineage"]
    weights: dict[tuple[str, str], float] = {}
    for member in lineage["members"]:  # a trial with folds has one each
        trial = (member["run_id"], member["name"])
        weights[trial] = weights.get(trial, 0.0) + member["weight"]
    trials = [f"- trial {name}, weight {weight:.3g}" for (_, name), weight in weights.items()]
    kind = "one trial" if len(trials) == 1 else f"an ensemble of {len(trials)} trials"
    if len(trials) > TRIALS_DESCRIBED:
        trials[TRIALS_DESCRIBED:] = [f"- and {len(trials) - TRIALS_DESCRIBED} trials more"]
    lines = [f"Predicts `{target['name']}` ({target['task']}) from {len(contract['columns'])} columns; {kind}.", ""]
    lines += [
        f"- {part}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in metrics.items())
        for part, metrics in contract["metrics"].items()
    ]
    lines += [f"- sweep {lineage['sweep']}, data {lineage['data_fingerprint']}, code {lineage['code_version']}"]
    return "\n".join([*lines, *trials])[:DESCRIPTION_CHARACTERS]
