import pytest

from benchmarks.sweep.settings import LEARNING_RATES, SETTINGS, spread_settings


def test_there_are_64_different_trials():
    assert len(set(SETTINGS)) == 64


@pytest.mark.parametrize("n_trials", [1, 2, 4, 8, 64])
def test_few_of_them_lie_at_even_distances(n_trials: int):
    places = [SETTINGS.index(own) for own in spread_settings(n_trials)]
    assert places == list(range(0, 64, 64 // n_trials))


def test_eight_of_them_have_every_learning_rate():
    assert tuple(own.learning_rate for own in spread_settings(8)) == LEARNING_RATES


@pytest.mark.parametrize("n_trials", [0, 3, 128])
def test_they_are_not_thinned_unevenly(n_trials: int):
    with pytest.raises(ValueError, match=f"to {n_trials}"):
        spread_settings(n_trials)
