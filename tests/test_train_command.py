"""`python -m pipelines.train` as a user's shell sees it: exit codes, streams, files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from pipelines import train
from tests.hydra_plugins.fake_sweep import WITHOUT_MODEL, stand_in_for_training

ROOT = Path(__file__).resolve().parents[1]

# What trains is stood in for, so that a command ends in less than a second.
STAND_IN = """
import sys, time
from contextlib import nullcontext
from tests.hydra_plugins.fake_sweep import FakeModule, FakeSweep

class Told(FakeSweep):
    def train(self, trials):
        print(len(trials), "trials")
        if trials[0].data.name == "slow":
            time.sleep(60)
        return super().train(trials)

stand_in = sys.modules["pipelines.sweep"] = FakeModule()
stand_in.open_sweep = lambda recorders: nullcontext(Told(stand_in))
from pipelines import train
train.main()
print("torch" in sys.modules)
"""


def started(folder, *arguments, how=("-m", "pipelines.train")):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *how, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, *arguments, how=("-m", "pipelines.train")):
    process = started(folder, *arguments, how=how)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (
            ["optimizer=adma", "optimizer.lr=fast", "modle.dropout=2"],
            (
                "3 fields are wrong:\n"
                "  optimizer=adma: no such option; did you mean optimizer=adam? "
                "(has: adadelta, adagrad, adam, adamw, momentum, nesterov, rmsprop, sgd)\n"
                "  optimizer.lr = 'fast': must be a number greater than 0\n"
                "  modle.dropout: no such field; did you mean model.dropout?\n"
            ),
        ),
        (
            ["data=table", "data.target=price", "task=binary", "task.loss=mse"],
            (
                "2 fields are wrong:\n"
                "  data.path: must be given for data=table, e.g. data.path=houses.csv\n"
                "  task.loss = 'mse': task=binary takes one of auto, cross_entropy, hinge\n"
            ),
        ),
        (
            ["-m", "data=iris,wine", "data.path=a.csv"],
            (
                "2 fields are wrong:\n"
                "  data.path = 'a.csv': data=iris is built in and takes none; use data=table for a file "
                "(1 of 2 trials, first in trial 0)\n"
                "  data.path = 'a.csv': data=wine is built in and takes none; use data=table for a file "
                "(1 of 2 trials, first in trial 1)\n"
            ),
        ),
        (
            ["hydra.foo=1"],
            (
                "Could not override 'hydra.foo'.\nTo append to your config use +hydra.foo=1\n"
                "Key 'foo' not in 'HydraConf'\n    full_key: hydra.foo\n    object_type=HydraConf\n"
            ),
        ),
        (["--resolve"], "--resolve belongs to --cfg: write --cfg job --resolve.\n"),
        (
            ["-m", "seed=range(0,20000)"],
            (
                "The grid has 20,000 trials (seed: 20,000); at most 10,000 are tried. Give shorter lists, or let a "
                "search choose among the same values: hydra/sweeper=optuna hydra.sweeper.n_trials=256.\n"
            ),
        ),
        (
            ["data.name=${nowhere}"],
            "data.name cannot be resolved: Interpolation key 'nowhere' not found\n",
        ),
    ],
    ids=["command line", "one trial", "sweep", "Hydra", "flags", "grid", "interpolation"],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2_and_nothing_is_made(tmp_path, arguments, errors):
    assert run(tmp_path, *arguments) == (2, "", errors)
    assert list(tmp_path.iterdir()) == []


def test_a_comma_list_without_the_flag_says_how_to_sweep(tmp_path):
    code, output, errors = run(tmp_path, "optimizer.lr=0.1,0.2")

    assert (code, output) == (2, "")
    assert "To sweep over it, add --multirun to your command line" in errors


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=0,1"]], ids=["one trial", "sweep"])
def test_a_file_that_is_not_there_is_told_before_anything_is_imported_or_made(tmp_path, arguments):
    table = ["data=table", "data.path=houses.csv", "data.target=price"]
    answer = run(tmp_path, *arguments, *table, how=("-c", STAND_IN))  # which reads no file
    assert answer == (2, "", "houses.csv does not exist. Check data.path.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=0,1"]], ids=["one trial", "sweep"])
@pytest.mark.parametrize("name", ["houses.csv", "houses.jsonl", "houses.parquet"])
def test_a_wrong_column_is_told_before_torch_is_imported_and_anything_is_made(tmp_path, arguments, name):
    frame = pl.DataFrame({"area": [50.0, 60.0], "price": [1.0, 2.0]})
    getattr(frame, {"csv": "write_csv", "jsonl": "write_ndjson"}.get(name.split(".")[1], "write_parquet"))(
        tmp_path / name
    )
    table = ["data=table", f"data.path={name}", "data.target=prcie"]
    answer = run(tmp_path, *arguments, *table, how=("-c", STAND_IN))  # which reads no file
    told = f"data.target names no column of {name}: 'prcie' (did you mean 'price'?). Columns: area, price.\n"
    assert answer == (2, "", told)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_wrong_column_of_a_built_in_table_is_told_as_early(tmp_path):
    code, output, errors = run(tmp_path, "-m", "data=iris,ice_cream", "data.drop=[humidty]", how=("-c", STAND_IN))
    assert (code, output) == (2, "")
    assert errors.startswith("data.drop names no column of data=iris: 'humidty'. Columns: sepal_length_cm, ")
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_looked_at_without_torch(tmp_path):
    (tmp_path / "houses.csv").write_text("area,price\n50,1\n60,2\n")
    table = ["data=table", "data.path=houses.csv", "data.target=price"]
    assert run(tmp_path, *table, how=("-c", STAND_IN)) == (0, "1 trials\nFalse\n", "")


def test_torch_is_not_imported_before_there_is_something_right_to_train(tmp_path):
    assert run(tmp_path, "data=wine", how=("-c", STAND_IN)) == (0, "1 trials\nFalse\n", "")


def test_a_sweep_succeeds_although_some_of_its_trials_failed(tmp_path):
    code, output, errors = run(tmp_path, "-m", "data=wine", "optimizer.lr=0.1,10", how=("-c", STAND_IN))

    assert (code, output, errors) == (0, "2 trials\nFalse\n", "")


@pytest.mark.parametrize("arguments", [["optimizer.lr=10"], ["-m", "optimizer.lr=10,20"]], ids=["one trial", "sweep"])
def test_a_command_without_any_model_fails(tmp_path, arguments):
    code, _, errors = run(tmp_path, *arguments, how=("-c", STAND_IN))

    assert code == 2
    assert errors == f"{WITHOUT_MODEL}\n"


@pytest.mark.parametrize(
    ("interrupt", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
@pytest.mark.parametrize("arguments", [[], ["-m"]], ids=["one trial", "sweep"])
def test_an_interruption_ends_with_one_line_and_an_exit_code_of_its_own(tmp_path, arguments, interrupt, code):
    process = started(tmp_path, *arguments, "data.name=slow", how=("-c", STAND_IN))
    assert process.stdout.readline() == "1 trials\n"
    process.send_signal(interrupt)
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (code, "Interrupted.\n")


def test_a_search_is_typed_as_a_grid_is(tmp_path):
    space = ["optimizer=adam,sgd", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "hydra.sweeper.n_trials=40"]
    code, output, errors = run(tmp_path, "-m", "hydra/sweeper=optuna", *space, how=("-c", STAND_IN))

    assert (code, errors) == (0, "")
    first, second, best, torch = output.splitlines()
    assert (first, second, torch) == ("32 trials", "8 trials", "False")
    assert best.startswith("Search: best of 40 trials: optimizer=")


def test_help_names_every_decision_with_its_options_and_examples_that_work(tmp_path, monkeypatch):
    code, output, errors = run(tmp_path, "--help")
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name != "hydra"}

    assert (code, errors) == (0, "")
    assert len(groups) == 12
    for group in groups:
        options = sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
        assert f"\n{group}: {', '.join(options)}\n" in output
    examples = [line.split()[3:] for line in output.splitlines() if line.startswith("  python -m pipelines.train ")]
    assert len(examples) == 6
    (tmp_path / "houses.csv").write_text("area,price\n50,1\n")
    monkeypatch.chdir(tmp_path)
    for example in examples:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["train", *example])
            stand_in = stand_in_for_training(patched)
            train.main()
        assert stand_in.finished


def test_the_configuration_can_be_printed_without_running_it(tmp_path):
    code, output, errors = run(tmp_path, "--cfg", "job", "data=iris", "optimizer=sgd")

    assert (code, errors) == (0, "")
    values = yaml.safe_load(output)
    assert (values["data"]["source"], values["optimizer"]["kind"]) == ("iris", "sgd")
    assert run(tmp_path, "--cfg", "job", "optimizer=sdg")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_command_whose_output_nobody_reads_any_more_ends_without_a_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pipelines.train", "data=iris", "trainer.max_epochs=1"]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
