"""Whatever blocks a loop is reported, by file and line, while it lasts."""

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

import pytest

from perdure import watchdog
from perdure.watchdog import LoopWatchdog, blocking_frame


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[logging.LogRecord]]]:
    with caplog.at_level(logging.WARNING, logger="perdure.watchdog"):
        yield lambda: [record for record in caplog.records if record.name == "perdure.watchdog"]


def blocks_until(done: Callable[[], bool], at_most_s: float = 10.0) -> None:
    """Keeps the thread busy the way a careless handler does, until the test has seen what it waits for."""
    deadline = time.monotonic() + at_most_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)


async def test_a_blocked_loop_is_reported_with_file_and_line(reports: Callable[[], list[logging.LogRecord]]) -> None:
    with LoopWatchdog():
        await asyncio.sleep(0)
        blocks_until(lambda: bool(reports()))
    [record] = reports()
    assert f"test_watchdog.py:{record.__dict__['line']}, in blocks_until: `" in record.getMessage()
    assert record.__dict__["file"] == __file__


async def test_it_is_reported_again_while_it_lasts_and_anew_when_it_comes_back(
    reports: Callable[[], list[logging.LogRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "AGAIN_S", 0.2)
    with LoopWatchdog():
        blocks_until(lambda: len(reports()) >= 3)
        assert len(reports()) >= 3
        came_back = time.monotonic()
        await asyncio.sleep(0.1)  # the loop runs: its beat must be seen
        seen = len(reports())
        blocks_until(lambda: len(reports()) > seen)
        assert len(reports()) > seen
        since_then_s = time.monotonic() - came_back
    ages = [record.__dict__["blocked_s"] for record in reports()]
    assert ages[0] < ages[1] < ages[2]
    assert ages[seen] <= since_then_s


async def test_a_loop_that_only_waits_is_not_reported(
    reports: Callable[[], list[logging.LogRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look(innermost: FrameType | None) -> FrameType | None:
        frame = blocking_frame(innermost)
        loop.call_soon_threadsafe(looked.set)
        return frame

    monkeypatch.setattr(watchdog, "blocking_frame", look)
    with LoopWatchdog() as watched:
        watched._timer.cancel()  # no beat comes any more, as if the whole process had been stopped
        await asyncio.wait_for(looked.wait(), 60)
    assert reports() == []


async def test_the_thread_ends_with_the_block(wait_until: Callable[..., Awaitable[None]]) -> None:
    def watched() -> bool:
        return any(thread.name == "perdure-watchdog" for thread in threading.enumerate())

    with LoopWatchdog():
        assert watched()
    await wait_until(lambda: not watched(), "the watchdog's thread ends")


def test_a_blockage_inside_a_library_is_blamed_on_the_users_line() -> None:
    seen: list[FrameType | None] = []

    class Encoder(json.JSONEncoder):
        def encode(self, o: object) -> str:
            seen.append(blocking_frame(sys._getframe().f_back))  # as if json itself were slow
            return ""

    def user_code() -> None:
        json.dumps([1], cls=Encoder)

    user_code()
    [frame] = seen
    assert frame is not None
    assert frame.f_code.co_name == "user_code"
