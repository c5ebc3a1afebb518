"""A file is held once, by whoever came first, until it is let go."""

import pytest

from pipelines.locked import locked


def test_a_file_is_held_once_and_let_go_when_it_is_closed(tmp_path):
    path = tmp_path / "lock"
    with locked(path), pytest.raises(BlockingIOError):
        locked(path)
    with locked(path):
        assert path.exists()


def test_a_file_that_cannot_be_made_is_not_told_as_held(tmp_path):
    with pytest.raises(FileNotFoundError):
        locked(tmp_path / "nowhere" / "lock")
