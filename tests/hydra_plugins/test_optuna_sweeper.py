"""`hydra/sweeper=optuna`, driven by Hydra with a stand-in for training: lower learning rates score better."""

import sqlite3
import statistics
import sys
from contextlib import closing

import optuna
import pytest
from hydra.core.utils import JobStatus

from hydra_plugins.sweepstack.storage import open_storage
from pipelines import train
from pipelines.errors import UserError
from tests.hydra_plugins.fake_sweep import WITHOUT_MODEL, FakeSweep, stand_in_for_training
from tests.hydra_plugins.multirun import batches

RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
RATE_AND_DROPOUT = (RATE, "model.dropout=interval(0,0.5)")
STORAGE = "sqlite:///var/optuna.db"
FOUR_BATCHES = {"n_trials": 16, "batch_size": 4}  # from its tenth trial on TPE learns: all of the last batch


def search(*overrides, n_trials=4, **settings):
    """The returns of all batches, one after the other."""
    settings = [f"hydra.sweeper.{name}={value}" for name, value in {"n_trials": n_trials, **settings}.items()]
    return [job for batch in batches("hydra/sweeper=optuna", *settings, "data=wine", *overrides) for job in batch]


def rates(stand_in):
    return [trial.optimizer.lr for trial in stand_in.trials]


def test_batches_are_asked_until_the_study_has_its_trials_and_all_are_one_sweep(stand_in, tmp_path):
    jobs = search(RATE, n_trials=10, batch_size=4)

    assert [len(batch) for batch in stand_in.batches] == [4, 4, 2]
    assert stand_in.finished == [10]
    assert len(jobs) == 10
    assert len(set(rates(stand_in))) == 10
    assert len(list(tmp_path.rglob("multirun.yaml"))) == 1
    assert not list(tmp_path.rglob("*.db")), "a search without a name is kept nowhere"


def test_every_kind_of_space_is_searched_within_its_bounds(stand_in):
    search(
        RATE,
        "model.dropout=interval(0.1,0.3)",
        "seed=int(interval(5,8))",
        "trainer.batch_size=range(16,65,16)",
        "optimizer.l2=0.0,0.001",
        "model.activation=choice(relu,tanh)",
        "model.hidden=[8],[8,4]",
        n_trials=40,
        batch_size=40,
        sampler="random",
    )

    found = stand_in.trials
    assert all(1e-4 <= trial.optimizer.lr <= 1e-1 for trial in found)
    assert 5 < sum(trial.optimizer.lr < 1e-3 for trial in found) < 25, "a third of the orders of magnitude"
    assert all(0.1 <= trial.model.dropout <= 0.3 for trial in found)
    assert {trial.seed for trial in found} == {5, 6, 7, 8}
    assert {trial.trainer.batch_size for trial in found} == {16, 32, 48, 64}
    assert {trial.optimizer.l2 for trial in found} == {0.0, 0.001}
    assert {trial.model.activation for trial in found} == {"relu", "tanh"}
    assert {trial.model.hidden for trial in found} == {(8,), (8, 4)}


def test_a_constant_is_applied_only_where_the_optimizer_has_it(stand_in):
    space = ["optimizer=adam,momentum,nesterov", "optimizer.momentum=interval(0.5,0.6)", "optimizer.beta1=0.8,0.85"]
    jobs = search(*space, n_trials=20)

    by_kind = {trial.optimizer.kind: trial.optimizer for trial in stand_in.trials}
    assert by_kind.keys() == {"adam", "momentum", "nesterov"}
    assert by_kind["adam"].beta1 in (0.8, 0.85)
    assert 0.5 <= by_kind["nesterov"].momentum <= 0.6
    for job, trial in zip(jobs, stand_in.trials, strict=True):
        assert any("momentum=" in text for text in job.overrides) == (trial.optimizer.kind != "adam")


def test_a_sweep_knows_from_the_start_what_a_search_may_vary(stand_in):
    space = ["optimizer=adam,momentum", "optimizer.momentum=interval(0.5,0.6)", "model.dropout=0.2,0.1,0.2"]
    search(RATE, *space, "seed=range(0,1000000000)", n_trials=2, batch_size=1)

    [expected] = stand_in.expected
    assert {trial.optimizer.lr for trial in expected} == {1e-4, 1e-1}
    assert {trial.model.dropout for trial in expected} == {0.2, 0.1}
    assert {trial.seed for trial in expected} == {0, 999_999_999}
    assert {trial.optimizer.momentum for trial in expected if trial.optimizer.kind == "momentum"} == {0.5, 0.6}
    assert {trial.optimizer.kind for trial in expected} == {"adam", "momentum"}


def test_such_a_constant_passes_the_check_of_the_command_line_and_a_misspelled_one_does_not(stand_in, monkeypatch):
    space = ["optimizer=adam,momentum", "hydra.sweeper.n_trials=4"]
    command = ["train", "-m", "hydra/sweeper=optuna", "data=wine", *space]
    monkeypatch.setattr(sys, "argv", [*command, "optimizer.momentum=interval(0.5,0.6)"])
    train.main()
    assert len(stand_in.trials) == 4

    monkeypatch.setattr(sys, "argv", [*command, "optimizer.momentun=interval(0.5,0.6)"])
    with pytest.raises(SystemExit) as left:
        train.main()
    assert left.value.code == 2


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_the_same_seed_asks_the_same_trials(stand_in, sampler):
    found = []
    for seed in (3, 3, 4):
        stand_in.trials.clear()
        search(RATE, "model.dropout=0,0.2", n_trials=24, batch_size=8, sampler=sampler, seed=seed)
        found.append([(trial.optimizer.lr, trial.model.dropout) for trial in stand_in.trials])

    assert found[0] == found[1] != found[2]


def test_tpe_learns_from_the_batches_before(stand_in):
    search(RATE, n_trials=60, batch_size=20)

    first, *_, last = ([trial.optimizer.lr for trial in batch] for batch in stand_in.batches)
    assert statistics.median(last) < statistics.median(first)


def test_a_trial_that_failed_is_told_so_and_the_search_goes_on(stand_in, tmp_path, capsys):
    jobs = search("optimizer.lr=10,0.1", n_trials=8, batch_size=3, study="some")

    study = optuna.load_study(study_name="some", storage=STORAGE)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"FAIL", "COMPLETE"}
    assert states == ["FAIL" if rate >= 1 else "COMPLETE" for rate in rates(stand_in)]
    assert states == ["FAIL" if job.status is JobStatus.FAILED else "COMPLETE" for job in jobs]
    assert (
        "Search: best of 8 trials: optimizer.lr=0.1; to go on, type the command again with" in capsys.readouterr().out
    )


def test_a_trial_that_was_lost_is_told_once_it_has_been_trained(stand_in, capsys):
    stand_in.loses = 0.05
    search("optimizer.lr=0.01,0.06", n_trials=8, batch_size=4, study="mine")
    states = [trial.state.name for trial in optuna.load_study(study_name="mine", storage=STORAGE).trials]
    assert states == ["RUNNING" if rate > stand_in.loses else "COMPLETE" for rate in rates(stand_in)]
    assert set(states) == {"RUNNING", "COMPLETE"}

    stand_in.loses = float("inf")
    search("optimizer.lr=0.01,0.06", n_trials=8, batch_size=4, study="mine")
    trials = optuna.load_study(study_name="mine", storage=STORAGE).trials
    assert [trial.value for trial in trials] == [-rate for rate in rates(stand_in)[:8]]


def test_a_study_whose_table_or_net_has_changed_does_not_go_on(stand_in):
    search(RATE, n_trials=2, study="mine")
    stand_in.identity = "another"
    stand_in.batches.clear()

    with pytest.raises(UserError, match=r"^The study 'mine' was begun on another table, .*: hydra\.sweeper\.study="):
        search(RATE, n_trials=4, study="mine")
    assert stand_in.batches == []


def test_a_search_without_any_model_is_an_error(stand_in):
    with pytest.raises(UserError, match=f"^{WITHOUT_MODEL}$"):
        search("optimizer.lr=10,20", n_trials=6, batch_size=2)
    assert len(stand_in.batches) == 3


def test_the_greatest_score_is_the_best(stand_in, capsys):
    search(RATE, n_trials=12)

    assert f"best of 12 trials: optimizer.lr={min(rates(stand_in))!r};" in capsys.readouterr().out


def test_a_best_trial_that_others_equal_is_told_so(stand_in, capsys):
    search("seed=3,4,5", n_trials=12)

    seeds = dict.fromkeys(trial.seed for trial in stand_in.trials)
    assert len(seeds) > 1
    best = f"best of 12 trials, the first of {len(seeds)} that score alike: seed={next(iter(seeds))};"
    assert best in capsys.readouterr().out


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_study_is_continued_by_its_name_to_more_trials_as_one_sweep(stand_in, sampler, capsys):
    settings = {"study": "mine", "batch_size": 3, "sampler": sampler}
    search(RATE, n_trials=5, **settings)
    search(RATE, n_trials=9, **settings)

    first, then = rates(stand_in)[:5], rates(stand_in)[5:]
    assert then[:5] == first, "it is the same sweep: what was trained is kept"
    assert len(set(then)) == 9, "and nothing is asked twice"
    assert [len(batch) for batch in stand_in.batches] == [3, 2, 3, 2, 3, 1]
    assert stand_in.finished == [5, 9]
    assert "Search: study mine goes on; it has 5 trials." in capsys.readouterr().out


def test_an_interrupted_study_asks_again_what_it_had_not_heard_of(stand_in, monkeypatch):
    def interrupted(sweep, trials):
        if stand_in.batches:
            asked.extend(trial.optimizer.lr for trial in trials)
            raise KeyboardInterrupt
        return trained(sweep, trials)

    asked: list[float] = []
    trained = FakeSweep.train
    with monkeypatch.context() as patched:
        patched.setattr(FakeSweep, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(RATE, n_trials=6, batch_size=2, study="mine")
    search(RATE, n_trials=6, batch_size=2, study="mine")

    before, again = rates(stand_in)[:2], rates(stand_in)[2:]
    assert again[:4] == [*before, *asked]
    assert [len(batch) for batch in stand_in.batches] == [2, 2, 2, 2]
    assert stand_in.finished == [6]
    study = optuna.load_study(study_name="mine", storage=STORAGE)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 6


@pytest.fixture(scope="module", params=["tpe", "random", "qmc"])
def undisturbed(request, tmp_path_factory):
    """The settings of a search, and the trials of a study that nothing disturbs: it is the same for every test."""
    settings = {**FOUR_BATCHES, "sampler": request.param, "study": "mine"}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("undisturbed"))
        stand_in = stand_in_for_training(patched)
        search(*RATE_AND_DROPOUT, **settings)
    return settings, stand_in.trials


def test_a_study_interrupted_in_a_batch_ends_with_the_trials_of_an_undisturbed_one(stand_in, monkeypatch, undisturbed):
    def interrupted(sweep, trials):
        if len(stand_in.batches) == 1:
            raise KeyboardInterrupt
        return trained(sweep, trials)

    settings, expected = undisturbed
    trained = FakeSweep.train
    with monkeypatch.context() as patched:
        patched.setattr(FakeSweep, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(*RATE_AND_DROPOUT, **settings)
    stand_in.trials.clear()
    search(*RATE_AND_DROPOUT, **settings)

    assert len(expected) == 16
    assert stand_in.trials == expected


@pytest.mark.parametrize("n_attributes", [0, 4, 40])  # three a trial: in the first batch, and in the last
def test_a_study_interrupted_while_it_was_asked_ends_with_the_trials_of_an_undisturbed_one(
    stand_in, monkeypatch, undisturbed, n_attributes
):
    def interrupted(trial, key, value):
        if len(kept) == n_attributes:
            raise KeyboardInterrupt
        kept.append(key)
        keep(trial, key, value)

    settings, expected = undisturbed
    keep, kept = optuna.trial.Trial.set_user_attr, []
    with monkeypatch.context() as patched:
        patched.setattr(optuna.trial.Trial, "set_user_attr", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(*RATE_AND_DROPOUT, **settings)
    stand_in.batches.clear()
    stand_in.trials.clear()
    search(*RATE_AND_DROPOUT, **settings)

    assert [len(batch) for batch in stand_in.batches] == [4] * 4
    assert stand_in.trials == expected


def test_a_database_that_fails_on_the_way_ends_with_what_is_wrong_with_it(stand_in, monkeypatch):
    def broken(sweep, trials):
        with closing(sqlite3.connect("var/optuna.db")) as database:
            database.execute("DROP TABLE trial_values")
        return trained(sweep, trials)

    trained = FakeSweep.train
    monkeypatch.setattr(FakeSweep, "train", broken)
    with pytest.raises(UserError) as caught:
        search(RATE, n_trials=2, study="mine")

    assert str(caught.value) == (
        "hydra.sweeper.storage=sqlite:///var/optuna.db failed on the way: (sqlite3.OperationalError) no such table: "
        "trial_values. The same command goes on from what has been trained."
    )


def test_a_study_is_one_commands_at_a_time(stand_in):
    with open_storage(STORAGE, study="mine"):
        with pytest.raises(UserError, match=r"^Another command searches by the study 'mine' now\. Wait for it, or"):
            search(RATE, n_trials=2, study="mine")
        assert stand_in.batches == []
        search(RATE, n_trials=2, study="another")
    search(RATE, n_trials=2, study="mine")
    assert len(stand_in.batches) == 2


def test_mistakes_of_the_settings_are_told_together(stand_in):
    with pytest.raises(UserError) as caught:
        search(RATE, n_trials=0, batch_size="many", sampler="grid")

    assert str(caught.value).splitlines() == [
        "3 fields are wrong:",
        "  hydra.sweeper.n_trials = 0: must be a whole number at least 1",
        "  hydra.sweeper.batch_size = 'many': must be a whole number at least 1",
        "  hydra.sweeper.sampler = 'grid': must be one of tpe, random, qmc",
    ]


def test_a_setting_that_is_not_one_is_refused_wherever_it_was_written(stand_in):
    with pytest.raises(UserError) as caught:
        search(RATE, "+hydra.sweeper.n_trial=2", n_trials=0)

    assert str(caught.value) == (
        "2 fields are wrong:\n"
        "  hydra.sweeper.n_trials = 0: must be a whole number at least 1\n"
        "  hydra.sweeper.n_trial: no such field of hydra/sweeper=optuna; did you mean hydra.sweeper.n_trials? "
        "(has: n_trials, batch_size, sampler, seed, study, storage, params)"
    )


@pytest.mark.parametrize(
    ("overrides", "settings", "message"),
    [
        ([], {}, r"^hydra/sweeper=optuna has nothing to search\."),
        (["optimizer.lr=interval(0.2,0.1)"], {}, r"^optimizer\.lr=interval\(0\.2,0\.1\): the first bound must not be"),
        (["model.dropout=tag(log,interval(0,0.5))"], {}, r": on a log scale both bounds must be greater than 0\.$"),
        (
            [RATE],
            {"study": "a", "storage": "mysql://u:secret@host/d"},
            r"storage=mysql://u:\*\*\*@host/d keeps no study",
        ),
        ([RATE], {"study": "a", "storage": "sqlite:////proc/no/a.db"}, r"/proc/no cannot be made"),
        ([RATE, "model=mlp,custom"], {}, r"model\.target: must be given"),
        ([RATE, "model=mlp,cnn", "model.kernel=3,4,5"], {}, r"model\.kernel = 4: must be odd"),
        ([RATE, "model=mlp,cnn", "model.kernel=range(3,8)"], {}, r"model\.kernel = 4: must be odd"),
        ([RATE, "data=iris,diabetes"], {}, r"^data=iris,diabetes: a search compares scores, .* hydra/sweeper=grid\.$"),
        ([RATE, "data.split_seed=range(0,3)"], {}, r"^data\.split_seed=range\(0,3\): a search compares scores"),
    ],
    ids=[
        "nothing",
        "bounds",
        "log",
        "storage",
        "folder",
        "a combination",
        "a value between",
        "a step between",
        "tables",
        "divisions",
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_trains(stand_in, overrides, settings, message):
    with pytest.raises(UserError, match=message):
        search(*overrides, **settings)
    assert stand_in.batches == []


def test_a_study_keeps_its_space_and_its_fixed_values(stand_in):
    search(RATE, "model.dropout=0.1,0.2", study="mine")

    with pytest.raises(UserError, match=r"was begun with another list of values for model\.dropout\."):
        search(RATE, "model.dropout=0.1,0.3", study="mine")
    with pytest.raises(UserError, match=r"was begun with data=wine, not with data=wine seed=1: its scores could not"):
        search(RATE, "model.dropout=0.1,0.2", "seed=1", study="mine")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([], ["engine.memory_gb=2", "trainer.progress=false", "tracking.checkpoint_seconds=5", "ensemble=mean"]),
        (["engine=ray", "engine.memory_gb=1"], ["engine=local", "+engine.memory_gb=2", "tracking=server"]),
    ],
    ids=["more", "others"],
)
def test_a_study_goes_on_with_other_settings_of_the_command_in_all_of_its_trials(stand_in, first, then):
    search(RATE, *first, n_trials=2, study="mine")
    search(RATE, *then, n_trials=4, study="mine")

    before, goes_on = stand_in.trials[:2], stand_in.trials[2:]
    assert [trial.optimizer.lr for trial in goes_on[:2]] == [trial.optimizer.lr for trial in before]
    assert {trial.engine.memory_gb for trial in goes_on} == {2}
    assert len({(trial.engine, trial.tracking, trial.ensemble, trial.trainer) for trial in goes_on}) == 1


def test_a_study_may_search_wider_and_more_and_says_so(stand_in, capsys):
    search("optimizer.lr=tag(log,interval(1e-4,1e-1))", "seed=int(interval(0,3))", n_trials=2, study="mine")
    wider = ["optimizer.lr=tag(log,interval(1e-3,1e-2))", "seed=range(0,9,2)", "model.dropout=0.1,0.2"]
    capsys.readouterr()
    search(*wider, n_trials=4, study="mine")

    assert capsys.readouterr().out.startswith(
        "Search: study mine goes on; it has 2 trials.\n"
        "Search: its space is not as it began: model.dropout is new, until now it was as configured; "
        "optimizer.lr was 0.0001 to 0.1, is 0.001 to 0.01; seed was 0 to 3, is 0 to 8 by 2.\n"
    )
    search(*wider, n_trials=4, study="mine")
    assert "model.dropout is new" not in capsys.readouterr().out, "it has been searched by now"


def test_a_study_that_goes_on_as_it_began_says_nothing_of_its_space(stand_in, capsys):
    for n_trials in (2, 4):
        search(RATE, "model.dropout=0.1,0.2", n_trials=n_trials, study="mine")

    assert "space" not in capsys.readouterr().out


def test_a_study_goes_on_only_with_all_that_it_has_searched(stand_in):
    search(RATE, "model.dropout=0.1,0.2", study="mine")
    stand_in.batches.clear()

    for fixed in ([], ["model.dropout=0.1"]):
        with pytest.raises(UserError) as caught:
            search(RATE, *fixed, study="mine")
        assert str(caught.value) == (
            "The study 'mine' has searched model.dropout, and this command does not: the trials of a study share all "
            "that is not searched, so that their scores can be compared. Search it as well, or begin another study: "
            "hydra.sweeper.study=<name>."
        )
    assert stand_in.batches == []


def test_a_study_of_another_program_is_not_taken_over(stand_in, tmp_path):
    (tmp_path / "var").mkdir()
    optuna.create_study(study_name="theirs", storage=STORAGE, direction="minimize")

    with pytest.raises(UserError, match=r"^The study 'theirs' is not ours: it minimises\."):
        search(RATE, study="theirs")


def test_it_feeds_hydras_own_launcher_too(stand_in):
    jobs = search(RATE, "hydra/launcher=basic", n_trials=3, batch_size=2)

    assert [job.return_value for job in jobs] == [-rate for rate in rates(stand_in)]
    assert stand_in.finished == [1, 1, 1]


def test_a_thorough_search_needs_no_flag(stand_in, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "data=wine", "sweep=thorough", "hydra.sweeper.n_trials=40", "seed=7"])
    train.main()

    found = stand_in.trials
    assert [len(batch) for batch in stand_in.batches] == [32, 8]
    assert {trial.optimizer.kind for trial in found} == {"adamw", "nesterov"}
    assert {trial.schedule.kind for trial in found} == {"constant", "cosine"}
    assert {trial.seed for trial in found} == {7}
    assert len({trial.model.hidden for trial in found}) == 1, "one stack a batch"
