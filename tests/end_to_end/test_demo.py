"""The main job, as a user types it: three sweeps on real tables, registered, served, asked."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.commands import champion, of_kind, run, runs, server
from tests.serving.load import eventually
from tests.serving.processes import environment

pytestmark = pytest.mark.slow
N_TESTED = {"diabetes": 88, "breast_cancer": 114, "digits": 359}  # rows of the test part
TABLES = tuple(N_TESTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("demo")
    done = run(own, "pipelines.demo")
    assert done.returncode == 0, done.stderr
    (own / "printed.txt").write_text(done.stdout)
    return own


def test_a_leaderboard_a_table_with_trials_ensemble_and_baselines(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text()
    for name in TABLES:
        assert f"\n{name}: " in printed
        assert f"Registered as {name}, version 1" in printed
        assert f"/models/{name}/predict?coverage=0.9&explain=true\n  asked " in printed
    assert printed.count("hist_gradient_boosting") == len(TABLES)
    assert printed.count("answered {") == printed.count("  because  ") == len(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_trial_is_a_finished_run(folder: Path, name: str) -> None:
    found = runs(folder, name)
    assert {own.info.status for own in found} == {"FINISHED"}
    trials = of_kind(found, "trial")
    assert len(trials) == 24
    assert len({tuple(sorted(own.data.params.items())) for own in trials}) == 24
    assert {"sweep", "stack", "member", "data_fingerprint", "code_version"} <= trials[0].data.tags.keys()
    assert {own.info.run_name for own in of_kind(found, "baseline")} >= {"hist_gradient_boosting"}


def test_only_the_champion_and_the_baselines_look_at_the_test_part(folder: Path) -> None:
    found = runs(folder, "digits")
    tested = [own for own in found if any(name.startswith("test/") for name in own.data.metrics)]
    assert len(tested) == 1 + len(of_kind(found, "baseline"))


@pytest.mark.parametrize("name", TABLES)
def test_the_test_part_is_covered_as_often_as_is_promised(folder: Path, name: str) -> None:
    contract = json.loads((folder / "var" / "bundles" / name / "1" / "contract.json").read_text())
    covered = contract["metrics"]["test"]["coverage_at_90"]
    n_calibrated, n_tested = contract["calibration"]["conformal"]["rows"], N_TESTED[name]
    deviation = np.sqrt(0.9 * 0.1 * (1 / (n_calibrated + 2) + 1 / n_tested))
    assert covered >= 0.9 - 2 * deviation
    # Labels that are told apart need no larger set than the likeliest, which then holds the truth more often.
    assert contract["target"]["classes"] or covered <= 0.9 + 2 * deviation


def test_breast_cancer_is_ranked_almost_perfectly(folder: Path) -> None:
    assert champion(runs(folder, "breast_cancer")).data.metrics["validation/roc_auc"] >= 0.99


def test_digits_are_read(folder: Path) -> None:
    assert champion(runs(folder, "digits")).data.metrics["test/accuracy"] >= 0.97


def test_diabetes_is_predicted_as_well_as_by_least_squares(folder: Path) -> None:
    found = runs(folder, "diabetes")
    (linear,) = [own for own in of_kind(found, "baseline") if own.info.run_name == "linear_regression"]
    assert champion(found).data.metrics["test/r2"] >= linear.data.metrics["test/r2"] - 0.02


def test_answers_over_http_are_what_training_predicted(folder: Path) -> None:
    asked = 0
    with server(folder) as served:
        for name in TABLES:
            contract = json.loads((folder / "var/bundles" / name / "1/contract.json").read_text())
            golden = contract["golden"]
            body = {"rows": [own["row"] for own in golden]}
            answer = served.post(f"/models/{name}/predict", json=body)
            assert answer.status_code == 200, answer.text
            for predicted, recorded in zip(answer.json()["predictions"], golden, strict=True):
                values = [predicted["value"]] if "value" in predicted else list(predicted["probabilities"].values())
                np.testing.assert_allclose(values, recorded["prediction"], rtol=1e-5, atol=1e-5)
                asked += 1
    assert asked >= 8 * len(TABLES)


def test_a_second_demo_serves_what_is_there(folder: Path) -> None:
    before = len(runs(folder, "digits"))
    done = run(folder, "pipelines.demo")
    assert done.returncode == 0, done.stderr
    assert "Models are there already" in done.stdout
    assert done.stdout.count("answered {") == len(TABLES)
    assert len(runs(folder, "digits")) == before


def test_ctrl_c_ends_the_demo_as_it_ends_the_command_that_it_types(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "pipelines.demo"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("diabetes: "):  # as soon as it is printed, though no terminal shows it
        assert demo.poll() is None
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate(timeout=120)
    assert (demo.returncode, errors) == (130, "Interrupted.\n")


def test_nothing_is_left_running(folder: Path) -> None:
    def is_empty() -> bool:
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()) == folder:
                    return False
            except psutil.Error:  # ended meanwhile, or another user's
                continue
        return True

    eventually(is_empty)
