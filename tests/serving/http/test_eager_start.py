"""Work that has begun goes on where it waited, in the same task, and takes cancellations as it would have."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from serving.http.eager_start import EagerStart


def test_what_never_waits_is_done_at_once_and_what_it_raises_is_raised():
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    async def fail() -> None:
        raise ValueError("mine")

    assert EagerStart(work()).is_done
    assert done == [1]
    with pytest.raises(ValueError, match="mine"):
        EagerStart(fail())


def test_what_waits_goes_on_when_awaited():
    said: list[str] = []

    async def work() -> None:
        said.append("begun")
        for _ in range(3):
            await asyncio.sleep(0)
        said.append(await asyncio.to_thread(lambda: "from a thread"))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        said.append(str(asyncio.current_task() is task))

    async def main() -> None:
        started = EagerStart(work())
        assert (started.is_done, said) == (False, ["begun"])
        await started
        assert started.is_done

    async def run(main: Coroutine[Any, Any, None]) -> None:
        nonlocal task
        task = asyncio.current_task()
        await main

    task: asyncio.Task[Any] | None = None
    asyncio.run(run(main()))
    assert said == ["begun", "from a thread", "True"]


def test_a_deadline_around_it_cancels_it_and_it_may_tidy_up():
    said: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            said.append("tidied up")

    async def main() -> None:
        started = EagerStart(work())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await started

    asyncio.run(main())
    assert said == ["tidied up"]
