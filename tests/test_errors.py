"""What a user is told of a disk that is full."""

from pathlib import Path

import pytest

from pipelines.errors import UserError, writing


def test_what_a_full_disk_does_not_take_is_told_with_the_room_there_is() -> None:
    path = Path("/dev/full")
    with (
        pytest.raises(
            UserError,
            match=r"^/dev/full cannot be written: No space left on device\. Its disk has \S+ MiB left\. Make room\.$",
        ),
        writing(path, otherwise="Make room."),
    ):
        path.write_text("nothing fits")
