import re

import pytest
from hypothesis import given, strategies as st

from benchmarks.sweep.searches.answer import Answer, read_answer

seconds = st.floats(0.01, 1000)


def test_what_is_told_is_read(capsys: pytest.CaptureFixture[str]):
    answer = Answer(0.25, (1.0, 2.5), side_by_side=2)
    print("number value\n0 0.25")
    answer.tell()
    assert read_answer(capsys.readouterr().out, n_trials=2) == answer


@pytest.mark.parametrize("printed", ["", "a table\n", "[1, 2]\n", '{"best": 0.25}\n'])
def test_no_answer_is_an_error_that_shows_what_was_printed(printed: str):
    with pytest.raises(RuntimeError, match=f"without an answer: {re.escape(printed)}"):
        read_answer(printed, n_trials=2)


def test_a_search_that_lost_trials_is_not_compared(capsys: pytest.CaptureFixture[str]):
    Answer(0.25, (1.0,), side_by_side=2).tell()
    with pytest.raises(RuntimeError, match="1 of 2 trials"):
        read_answer(capsys.readouterr().out, n_trials=2)


@given(measured=seconds, trials=st.lists(seconds, min_size=1, max_size=8), side_by_side=st.integers(1, 4))
def test_a_search_that_had_all_trials_is_not_scaled(measured: float, trials: list[float], side_by_side: int):
    assert Answer(0.25, tuple(trials), side_by_side).seconds_of_all(measured, len(trials)) == measured


@given(start=seconds, trial=seconds, side_by_side=st.integers(1, 4), rounds=st.integers(1, 4), more=st.integers(0, 8))
def test_the_start_is_counted_once(start: float, trial: float, side_by_side: int, rounds: int, more: int):
    # Trials that all take the same, in full rounds: what more rounds take is known.
    measured = start + rounds * trial
    answer = Answer(0.25, (trial,) * (rounds * side_by_side), side_by_side)
    whole = answer.seconds_of_all(measured, (rounds + more) * side_by_side)
    assert whole == pytest.approx(start + (rounds + more) * trial)
