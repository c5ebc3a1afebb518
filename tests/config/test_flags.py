"""Flags of Hydra's that do not go together end with a line that says so."""

import pytest
from hydra._internal.utils import get_args_parser

from pipelines.config.flags import refuse_flags
from pipelines.errors import UserError


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", "seed=0,1"],
        ["--cfg", "job", "--resolve", "--package", "optimizer"],
        ["--help", "--resolve"],
        ["--info", "plugins"],
        ["-sc", "install=bash"],
        ["--config-dir", "."],
    ],
    ids=" ".join,
)
def test_what_goes_together_passes(arguments):
    refuse_flags(get_args_parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--resolve", "--resolve belongs to --cfg: write --cfg job --resolve."),
        ("--package data", "--package belongs to --cfg: write --cfg job --package data."),
        (
            "--cfg job -m seed=0,1",
            "-m and --cfg do not go together; --cfg prints one trial: leave out -m and give single values.",
        ),
        ("--run -m", "--run and -m do not go together; give one of them."),
        ("--cfg job --info", "--cfg and --info do not go together; give one of them."),
        ("-sc", "-sc needs what to do with the completion: write -sc install=bash."),
        ("--config-dir nowhere", "--config-dir nowhere: there is no such folder."),
        ("--experimental-rerun nothing", "--experimental-rerun nothing: there is no such file."),
    ],
    ids=lambda text: text.split(":")[0],
)
def test_what_does_not_is_refused(arguments, message):
    with pytest.raises(UserError) as caught:
        refuse_flags(get_args_parser().parse_args(arguments.split()))

    assert str(caught.value) == message
