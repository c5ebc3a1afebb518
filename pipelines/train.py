"""`python -m pipelines.train`: one trial, or with `-m` a sweep. Hydra stops here.

A mistake of the user ends with one message on stderr and exit code 2, Ctrl-C with 130, SIGTERM with 143, a pipe
that nobody reads any more with 141; none shows a traceback. torch is imported only when there is something right to
train.
"""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from pipelines.config.flags import refuse_flags
from pipelines.config.overrides import check_overrides
from pipelines.config.plain import plain_values
from pipelines.config.schema import DataConfig, TrialConfig
from pipelines.config.table_file import known_extension
from pipelines.config.validate import validate_all
from pipelines.errors import UserError
from pipelines.garbage import spare_modules
from pipelines.interrupts import Terminated, sigterm_raised
from pipelines.tracking.process import RecorderProcess
from serving.startup_interrupt import restore_interrupt

if TYPE_CHECKING:
    from pipelines.sweep import Sweep

CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> None:
    """Run what the command line asks for.

    Raises:
        SystemExit: 2 after a user's mistake, 130 after Ctrl-C, 141 when nobody reads its output, 143 after SIGTERM.
    """
    with _mistakes_told():
        restore_interrupt()
        spare_modules()
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # in a log file, too, a line is there when it is printed
        # Hydra then raises what went wrong instead of printing it with a traceback and exit code 1.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        _check(get_args_parser().parse_args())
        command = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(train_trial)
        command()


def train_trial(config: Any) -> float | None:
    """Hydra's task: one trial is a sweep of one, trained as a stack of one.

    Returns:
        Its score, greater is better.

    Raises:
        SystemExit: the trial is wrongly configured, or ended without a model. Hydra lets it pass, where it would
            print a line of its own for any other exception.
    """
    with _mistakes_told():
        trials = checked_trials([config])
        with begun_sweep() as sweep:
            sweep.train(trials)
            return sweep.finish().scores[0]


@contextmanager
def begun_sweep() -> Iterator["Sweep"]:
    """A sweep for trials that have been checked: torch is imported here and, meanwhile, MLflow in another process."""
    with closing(RecorderProcess()) as recorders:
        from pipelines.sweep import open_sweep  # noqa: PLC0415  # torch takes seconds, and a mistake is told at once

        with open_sweep(recorders) as sweep:
            yield sweep


def checked_trials(configs: Sequence[Any]) -> list[TrialConfig]:
    """Turn what Hydra composed into trials.

    Raises:
        UserError: lists every mistake of every trial; a table's file is not there, or a table has no such columns.
    """
    trials = validate_all([plain_values(config) for config in configs])
    tables = dict.fromkeys(trial.data for trial in trials)
    for path in dict.fromkeys(data.path for data in tables):
        if path is not None:
            known_extension(Path(path))  # the commonest mistake, told before anything is imported
    if naming := [data for data in tables if _names_columns(data)]:
        from pipelines.data import check_columns  # noqa: PLC0415  # imports polars, for which the others need not wait

        for data in naming:
            check_columns(data)  # the next commonest, told before torch is imported
    return trials


def _names_columns(data: DataConfig) -> bool:
    return any((data.target, data.drop, data.categorical, data.numeric, data.group, data.time))


def _check(arguments: Namespace) -> None:
    """Check the flags, and the overrides of a command that trains or composes on our conf/.

    Raises:
        UserError: lists what is wrong.
    """
    refuse_flags(arguments)
    asks_for_other = arguments.help or arguments.hydra_help or arguments.info or arguments.shell_completion
    other_tree = arguments.config_path or arguments.config_name or arguments.experimental_rerun
    if not asks_for_other and not other_tree:
        extra_dir = None if arguments.config_dir is None else Path(arguments.config_dir)
        check_overrides(arguments.overrides, CONF, extra_dir=extra_dir)


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """Print what the user did wrong, or that the command was interrupted, and leave."""
    try:
        with sigterm_raised():
            yield
    except UserError as error:
        _leave(str(error), code=2)
    except (HydraException, OmegaConfBaseException) as error:
        _leave("\n".join(str(part) for part in (error, error.__cause__) if part), code=2)
    except BrokenPipeError:  # whoever read what is printed has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        raise SystemExit(128 + signal.SIGPIPE) from None
    except KeyboardInterrupt as interrupt:
        number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
        _leave("Interrupted.", code=128 + number)  # as a shell tells of a command that died of a signal


def _leave(message: str, *, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    # By its real name, so that the launcher recognises `train_trial`: as `__main__` this file is a module of its own.
    from pipelines import train  # noqa: PLW0406  # for that reason

    train.main()
