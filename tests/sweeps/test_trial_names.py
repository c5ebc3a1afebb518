"""What a trial's run says: names that tell it from its neighbours, and values as they are typed."""

from pipelines.config.schema import EarlyStoppingConfig, PlateauScheduleConfig
from pipelines.sweeps.trial_names import flat_params, swept_names, trial_name
from tests.tables import trial


def early(patience: int) -> EarlyStoppingConfig:
    return EarlyStoppingConfig(kind="early", patience=patience, min_delta=0.0)


def plateau(patience: int) -> PlateauScheduleConfig:
    values = {"factor": 0.1, "min_delta": 0.0, "final_fraction": 0.0, "warmup_epochs": 0.0}
    return PlateauScheduleConfig(kind="plateau", patience=patience, **values)


def test_fields_of_one_name_are_told_apart_by_their_groups():
    trials = [
        trial(seed=seed, stopping=early(stops), schedule=plateau(lowers))
        for seed, stops, lowers in ((0, 20, 5), (1, 10, 5), (0, 20, 3))
    ]
    names = [trial_name(own, swept_names(trials)) for own in trials]
    assert names[0] == "schedule.patience=5 stopping.patience=20 seed=0"
    assert trial_name(trials[0], swept_names(trials[:2])) == "patience=20 seed=0"


def test_what_is_not_set_is_spelled_as_it_is_typed():
    values = flat_params(trial())
    assert values["data.name"] == "null"
    assert values["data.drop"] == "[]"
