"""Refuses flags of Hydra's that do not go together: Hydra itself shows a traceback."""

from argparse import Namespace
from pathlib import Path

from pipelines.errors import UserError

# Flag -> the attribute of the parsed arguments that it sets. Each one is a command of its own.
_COMMANDS = {"--run": "run", "-m": "multirun", "--cfg": "cfg", "--info": "info", "-sc": "shell_completion"}
_SHELL_COMMANDS = ("install=", "uninstall=", "query=")


def refuse_flags(arguments: Namespace) -> None:
    """Do nothing if Hydra can carry out what the flags ask for.

    Args:
        arguments: as Hydra's own parser reads them.

    Raises:
        UserError: says which flags do not go together, or which folder or file is missing.
    """
    given = [flag for flag, name in _COMMANDS.items() if getattr(arguments, name)]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} do not go together; {_advice(given)}.")
    if arguments.resolve and not (arguments.cfg or arguments.help):
        raise UserError("--resolve belongs to --cfg: write --cfg job --resolve.")
    if arguments.package and not arguments.cfg:
        raise UserError(f"--package belongs to --cfg: write --cfg job --package {arguments.package}.")
    if arguments.shell_completion and not any(text.startswith(_SHELL_COMMANDS) for text in arguments.overrides):
        raise UserError("-sc needs what to do with the completion: write -sc install=bash.")
    if arguments.config_dir is not None and not Path(arguments.config_dir).is_dir():
        raise UserError(f"--config-dir {arguments.config_dir}: there is no such folder.")
    rerun = arguments.experimental_rerun
    if rerun is not None and not Path(rerun).is_file():
        raise UserError(f"--experimental-rerun {rerun}: there is no such file.")


def _advice(given: list[str]) -> str:
    if "--cfg" in given and "-m" in given:
        return "--cfg prints one trial: leave out -m and give single values"
    return "give one of them"
