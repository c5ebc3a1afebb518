"""Finds the class that `model.target` names, and builds it; every mistake of a user is told as one.

Not here: what its answers must be like (`custom_check`).
"""

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

from torch import nn

from pipelines.config.mistakes import did_you_mean
from pipelines.config.schema import CustomConfig, ModelConfig
from pipelines.errors import UserError

Returned = TypeVar("Returned")


def load_net_class(target: str) -> type[nn.Module]:
    """The class with this dotted name, from the current folder or from what is installed.

    Raises:
        UserError: there is no such module or class, the module cannot be imported, or it is no `nn.Module`.
    """
    module_name, _, name = target.rpartition(".")
    module = _imported(module_name, target)
    found = getattr(module, name, None)
    if found is None:
        near = did_you_mean(
            name, [other for other in vars(module) if not other.startswith("_")], prefix=f"{module_name}."
        )
        raise UserError(f"model.target={target}: {_where(module)} has no {name}{near or '.'}")
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        what = "another class" if isinstance(found, type) else f"a value of type {type(found).__name__}"
        raise UserError(f"model.target={target} must be a class derived from torch.nn.Module; {name} is {what}.")
    return found


def build_custom(config: CustomConfig, *, n_inputs: int, n_outputs: int) -> nn.Module:
    """Build `Net(inputs, outputs, **model.arguments)`.

    Raises:
        UserError: there is no such class, it does not take these arguments, or what it does with them fails.
    """
    net_class = load_net_class(config.target)
    arguments = config.arguments or {}
    try:
        inspect.signature(net_class).bind(n_inputs, n_outputs, **arguments)
    except TypeError as error:
        raise UserError(
            f"model.target={config.target} must be a class that is called as {_call(config, n_inputs, n_outputs)}: "
            f"{error}. Its arguments after inputs and outputs are given by model.arguments."
        ) from error
    build = partial(net_class, n_inputs, n_outputs, **arguments)
    return of_user(build, config.target, _call(config, n_inputs, n_outputs))


def of_user(call: Callable[[], Returned], target: str, what: str) -> Returned:
    """The result of code of the user's.

    Raises:
        UserError: it raised something; says what, and in which line.
    """
    try:
        return call()
    except Exception as error:  # noqa: BLE001  whatever a user's code raises is the user's to read
        _tell(error, target, what)


def source_version(model: ModelConfig) -> str:
    """The hash of the file that a user's class stands in; nothing for the nets that are our own.

    What that file imports is not looked at.

    Raises:
        UserError: as `load_net_class`.
    """
    return _hash_of(inspect.getsourcefile(load_net_class(model.target))) if isinstance(model, CustomConfig) else ""


@cache  # of the file that was imported, even if it is changed while the sweep runs
def _hash_of(file: str | None) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _imported(name: str, target: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:  # a worker of an engine, or a command that is not `python -m`
        sys.path.append(folder)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise UserError(
                f"model.target={target}: there is no module {missing} in {folder}, and none is installed. "
                "Type the command in the folder where it lies, or install it."
            ) from error
        _tell(error, target, f"importing {name}")
    except Exception as error:  # noqa: BLE001  whatever a user's file raises is the user's to read
        _tell(error, target, f"importing {name}")


def _tell(error: Exception, target: str, what: str) -> NoReturn:
    if isinstance(error, UserError):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    in_its_file = [frame for frame in frames if Path(frame.filename).name == f"{target.split('.')[-2]}.py"]
    where = f" ({in_its_file[-1].filename}, line {in_its_file[-1].lineno})" if in_its_file else ""
    raise UserError(f"model.target={target}: {what} raised {type(error).__name__}: {error}{where}") from error


def _call(config: CustomConfig, n_inputs: int, n_outputs: int) -> str:
    """As a user would write it: `Net(13, 3, width=8)`."""
    named = [f"{name}={value!r}" for name, value in (config.arguments or {}).items()]
    return f"{config.target.rpartition('.')[2]}({', '.join([str(n_inputs), str(n_outputs), *named])})"


def _where(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)
