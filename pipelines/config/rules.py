"""What fields mean together: rules that no field can be checked for alone.

A rule sees only fields that are right by themselves, so it may be missing some and then says nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.config.mistakes import Mistake, assigned
from pipelines.config.schema import LOSSES_OF, METRICS_OF

Values = Mapping[str, Any]  # dotted path -> value, e.g. "data.path"

UNNAMEABLE = re.compile(r"[/:.%\"'\\\x00-\x1f\x7f]")  # of MLflow's models, or of the server's folders

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_DEVICE = re.compile(r"cpu|cuda:\d+")
_ADDRESS = re.compile(r"[\w.-]+:\d+")
_SCHEMES = {"sqlite": ("sqlite:///",), "server": ("http://", "https://")}


def broken_rules(values: Values) -> Iterator[Mistake]:
    """Every rule that these values break."""
    rules = (
        _source,
        _columns,
        _parts,
        _folds,
        _loss_and_metric_of_kind,
        _metric_of_loss,
        _halving,
        _precision,
        _tracking,
        _engine,
        _model,
    )
    for rule in rules:
        yield from rule(values)


def _source(values: Values) -> Iterator[Mistake]:
    source = values.get("data.source")
    for path, example in (("data.path", "houses.csv"), ("data.target", "price")):
        value = values.get(path)
        if source == "table" and path in values and not value:
            yield Mistake(path, f"must be given for data=table, e.g. {path}={example}")
        if source not in (None, "table") and value is not None:
            yield Mistake(assigned(path, value), f"data={source} is built in and takes none; use data=table for a file")
    name = values.get("data.name")
    if name is not None and (not name.strip() or UNNAMEABLE.search(name)):
        yield Mistake(assigned("data.name", name), "a model's name is not blank and has none of / \\ : . % \" '")


def _columns(values: Values) -> Iterator[Mistake]:
    categorical, numeric, drop = (set(values.get(f"data.{name}", ())) for name in ("categorical", "numeric", "drop"))
    if both := sorted(categorical & numeric):
        yield Mistake(assigned("data.numeric", both), "data.categorical names them too; a column is one or the other")
    for name, column in ((name, values.get(f"data.{name}")) for name in ("target", "group", "time")):
        if column in drop:
            yield Mistake(assigned("data.drop", [column]), f"data.{name} needs this column")
    if forced := sorted(drop & (categorical | numeric)):
        yield Mistake(assigned("data.drop", forced), "data.categorical or data.numeric keeps them; name them once")


def _parts(values: Values) -> Iterator[Mistake]:
    validation, test = values.get("data.validation_fraction"), values.get("data.test_fraction")
    if validation is not None and test is not None and validation + test >= 1:
        yield Mistake(
            assigned("data.test_fraction", test),
            f"with data.validation_fraction = {validation} nothing is left to train on; their sum must be less than 1",
        )
    if values.get("data.group") is not None and values.get("data.time") is not None:
        yield Mistake(
            assigned("data.time", values["data.time"]),
            f"rows are divided by time or by group, not both; data.group is {values['data.group']!r}",
        )


def _folds(values: Values) -> Iterator[Mistake]:
    n_folds, time, ensemble = (values.get(path) for path in ("data.folds", "data.time", "ensemble.kind"))
    if n_folds == 1:
        yield Mistake(assigned("data.folds", 1), "must be 0 (one validation part) or at least 2; 5 is usual")
    if n_folds and time is not None:
        yield Mistake(
            assigned("data.folds", n_folds),
            f"folds would train on rows newer than those they are tested on, and data.time is {time!r}; use "
            "data.folds=0, whose validation part is the newest rows before the test part",
        )
    if n_folds == 0 and ensemble == "bagging":
        yield Mistake(assigned("ensemble.kind", "bagging"), "needs the folds of a trial, e.g. data.folds=5")
    if n_folds and ensemble == "none":
        yield Mistake(
            assigned("ensemble.kind", "none"),
            f"would serve one net, and a trial on {n_folds} folds is {n_folds} of them; use ensemble=bagging, the mean "
            "of the best trial's folds",
        )


def _loss_and_metric_of_kind(values: Values) -> Iterator[Mistake]:
    kind: Any = values.get("task.kind")
    for path, allowed_of in (("task.loss", LOSSES_OF), ("task.metric", METRICS_OF)):
        value = values.get(path, "auto")
        allowed = allowed_of.get(kind, (value,))  # `auto` is settled when the target has been read
        if value not in ("auto", *allowed):
            yield Mistake(assigned(path, value), f"task={kind} takes one of auto, {', '.join(allowed)}")


def _metric_of_loss(values: Values) -> Iterator[Mistake]:
    loss, metric = values.get("task.loss", "auto"), values.get("task.metric", "auto")
    if values.get("task.kind") != "auto" or "auto" in (loss, metric):
        return
    kinds = [kind for kind in LOSSES_OF if loss in LOSSES_OF[kind]]
    if not any(metric in METRICS_OF[kind] for kind in kinds):
        yield Mistake(assigned("task.metric", metric), f"no task has it together with task.loss = {loss!r}")


def _model(values: Values) -> Iterator[Mistake]:
    grid, kernel = values.get("model.grid"), values.get("model.kernel", 1)
    if grid is not None and len(grid) != len(("rows", "columns")):
        yield Mistake(assigned("model.grid", grid), "must be rows and columns, e.g. model.grid=[8,8]")
    if kernel % 2 == 0:
        yield Mistake(assigned("model.kernel", kernel), "must be odd, so that a filter has a middle")
    target = values.get("model.target")
    if target is not None and not _DOTTED.fullmatch(target):
        yield Mistake(assigned("model.target", target), "must be a module and a class in it, e.g. my_net.Net")


def _halving(values: Values) -> Iterator[Mistake]:
    first, last = values.get("stopping.min_epochs"), values.get("trainer.max_epochs")
    if first is not None and last is not None and first >= last:
        yield Mistake(
            assigned("stopping.min_epochs", first),
            f"nothing would be halved before training ends; must be less than trainer.max_epochs = {last}",
        )


def _precision(values: Values) -> Iterator[Mistake]:
    if values.get("trainer.accelerator") == "mps" and values.get("trainer.precision") == "64-true":
        yield Mistake(
            assigned("trainer.precision", "64-true"), "an mps device has no 64-bit numbers; use trainer.accelerator=cpu"
        )


def _tracking(values: Values) -> Iterator[Mistake]:
    kind, uri = values.get("tracking.kind", ""), values.get("tracking.uri")
    schemes = _SCHEMES.get(kind, ())
    if uri is not None and schemes and not uri.startswith(schemes):
        yield Mistake(
            assigned("tracking.uri", uri), f"tracking={kind} needs one that begins with {' or '.join(schemes)}"
        )


def _engine(values: Values) -> Iterator[Mistake]:
    devices, accelerator = values.get("engine.devices"), values.get("trainer.accelerator", "auto")
    if devices is not None and not (devices and all(_DEVICE.fullmatch(device) for device in devices)):
        yield Mistake(assigned("engine.devices", devices), "each must be cpu or a GPU, e.g. engine.devices=[cuda:0]")
    elif accelerator != "auto" and any(device.split(":")[0] != accelerator for device in devices or ()):
        yield Mistake(assigned("engine.devices", devices), f"trainer.accelerator is {accelerator!r}; leave it auto")
    address, gpus = values.get("engine.address"), values.get("engine.gpus_per_stack", 0)
    if address is not None and not _ADDRESS.fullmatch(address):
        yield Mistake(assigned("engine.address", address), "must be host:port, as `ray start --head` prints it")
    if gpus > 1 and gpus != int(gpus):
        yield Mistake(assigned("engine.gpus_per_stack", gpus), "must be whole above 1; Ray shares one GPU, not several")
