"""How serving commands end, whatever still runs in their process. Each has a process of its own, since it ends it."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

from perdure.cli import lifetime as lifetimes
from perdure.errors import StoreError

atexit.register(print, "at exit")


async def fail(error):
    raise error


async def forever():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass


def sleep_in_a_thread():
    asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(), time.sleep, 3600)
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)


async def serve(lifetime):
    print("serves")  # not flushed: that is due at the end
{body}

{before}
lifetimes.run_until_stopped(serve)
"""


def start(body: str, before: str = "") -> "subprocess.Popen[str]":
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    program = PROGRAM.format(body=indented, before=before)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=9)  # before it would be forced
    finally:
        process.kill()
    return process.returncode, out, err


def test_what_ends_by_itself_does_not_wait_for_the_threads_that_handlers_block() -> None:
    ended = end(start('sleep_in_a_thread()\nawait lifetime.lasts(fail(StoreError("disk full")))'))
    assert ended == (5, "serves\nat exit\n", "perdure: disk full\n")


def test_a_signal_ends_it_without_waiting_for_threads_or_tasks_that_refuse_to_end() -> None:
    body = """
sleep_in_a_thread()
task = asyncio.ensure_future(forever())
print("ready", flush=True)
await lifetime.lasts(asyncio.Event().wait())
"""
    process = start(body)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["serves\n", "ready\n"]
    process.send_signal(signal.SIGTERM)
    assert end(process) == (0, "at exit\n", "")


@pytest.mark.parametrize("hangs", ["await forever()", "time.sleep(3600)", "atexit.register(time.sleep, 3600)"])
def test_an_end_that_hangs_is_forced_with_the_code_that_is_due(hangs: str) -> None:
    body = f"""
try:
    await lifetime.lasts(fail(StoreError("disk full")))
finally:
    {hangs}
"""
    code, out, err = end(start(body, before="lifetimes.FORCED_AFTER_S = 0.2"))
    assert (code, out[:7], err) == (5, "serves\n", "perdure: disk full\n")


def test_a_signal_while_it_ends_by_itself_cuts_that_short_with_the_code_that_is_due() -> None:
    body = """
try:
    await lifetime.lasts(fail(StoreError("disk full")))
finally:
    print("ending", flush=True)
    await forever()
"""
    process = start(body)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["serves\n", "ending\n"]
    process.send_signal(signal.SIGTERM)
    assert end(process) == (5, "", "perdure: disk full\n")


def test_a_bug_keeps_its_traceback() -> None:
    code, out, err = end(start('await lifetime.lasts(fail(ValueError("a bug")))'))
    assert (code, out) == (1, "serves\nat exit\n")
    assert err.startswith("Traceback")
    assert err.endswith("ValueError: a bug\n")


@pytest.mark.parametrize(
    ("argument", "code", "says"), [("", 0, ""), ("7", 7, ""), ("'not like this'", 1, "not like this\n")]
)
def test_an_exit_asked_for_inside_has_its_code(argument: str, code: int, says: str) -> None:
    assert end(start(f"sys.exit({argument})")) == (code, "serves\nat exit\n", says)
