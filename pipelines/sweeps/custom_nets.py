"""What is settled about a user's own nets before anything is trained: they work, can be served, share stacks or not."""

import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from pathlib import Path

from torch.onnx import OnnxExporterError

from pipelines.config.schema import CustomConfig, LocalEngineConfig, TrialConfig
from pipelines.config.scopes import without
from pipelines.data.prepare import PreparedTable
from pipelines.errors import UserError
from pipelines.export import BundleError, Origin, ParityError, RowCountError, ServedMember, write_bundle
from pipelines.models import build_net, check_custom_net, input_facts, why_alone
from pipelines.stack.layers import draw_weights_, member_weights
from pipelines.stack.randomness import Purpose, stream_generator
from pipelines.tasks.task import Task
from pipelines.training import check_device, device_here

_known: dict[str, str | None] = {}  # what `why_trained_alone` found, of nets that work: trying one out takes seconds


def check_custom_nets(trials: Sequence[TrialConfig], prepared: PreparedTable, task: Task) -> None:
    """Try out the user's own nets among those of the trials, each once.

    Raises:
        UserError: one cannot be trained or served as it is.
    """
    for trial in trials:
        why_trained_alone(trial, prepared, task)


def why_trained_alone(trial: TrialConfig, prepared: PreparedTable, task: Task) -> str | None:
    """A line that says why trials like this one share no stack; None if they can.

    Raises:
        UserError: its net is the user's own and cannot be trained or served as it is.
    """
    model = trial.model
    if not isinstance(model, CustomConfig):
        return None
    key = json.dumps([without(trial, "member", "sweep"), prepared.table.fingerprint], sort_keys=True)
    if key not in _known:
        if isinstance(trial.engine, LocalEngineConfig):  # a cluster has devices that this machine may lack
            check_device(trial.trainer)
        n_inputs = check_custom_net(
            model,
            prepared,
            n_outputs=task.n_outputs,
            trainer=trial.trainer,
            device=device_here(trial.trainer.accelerator),
        )
        _check_export(model, prepared, task)
        why = why_alone(model, n_inputs=n_inputs, n_outputs=task.n_outputs)
        _known[key] = None if why is None else f"{model.target} trains in stacks of one: {why}"
    return _known[key]


def _check_export(model: CustomConfig, prepared: PreparedTable, task: Task) -> None:
    """Write an untrained net as a bundle: one that cannot be served would end the sweep after all of its training."""
    inputs = input_facts(prepared)
    net = build_net([model], inputs=inputs.of_members([0]), n_outputs=task.n_outputs)
    draw_weights_(net, [stream_generator(0, Purpose.WEIGHTS)])
    member = ServedMember(model, task.loss, member_weights(net.state_dict(), 0), 1.0, run_id="", name="")
    origin = Origin(sweep="", code_version="", created=datetime.now(UTC))
    try:
        with _silenced(), tempfile.TemporaryDirectory() as workshop:
            write_bundle(
                Path(workshop) / "bundle", prepared=prepared, task=task, members=[member], metrics={}, origin=origin
            )
    except RowCountError as error:
        raise UserError(
            f"model.target={model.target} can be trained but not served: {error} torch's ONNX exporter takes what "
            "Python counts for a constant: use x.shape[0] in forward, not len(x) or a loop over rows."
        ) from error
    except (ParityError, BundleError) as error:
        raise UserError(
            f"model.target={model.target} can be trained but not served: ONNX Runtime computes something else than "
            f"torch, tried out on the untrained net. {error}"
        ) from error
    except OnnxExporterError as error:
        reason = next((line for line in str(error.__cause__ or error).splitlines() if line.strip()), "")
        raise UserError(
            f"model.target={model.target} can be trained but not served: torch's ONNX exporter refuses it "
            f"({type(error.__cause__ or error).__name__}: {reason}). In evaluation a net must take one way whatever "
            "its rows hold (torch.where instead of if), of operators that ONNX has."
        ) from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep torch's pages of graphs from a user whose net it refuses; the reason is in the error."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
